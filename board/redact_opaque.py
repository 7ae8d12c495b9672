"""Opaque runs: strings that look made by a machine, told from words, names and paths by their letter pairs. Pure.

Named rules know the tokens of yesterday; that a run of characters is no language holds for tomorrow's, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from board.redact_text import REDACTED, Span, words_of

LEAST = 16  # characters; what is shorter stays, unless something around it says what it is

SYMBOLS = "abcdefghijklmnopqrstuvwxyz0-"  # `0` stands for every digit, `-` for whatever parts words
#: From one symbol (row) to the next (column): above 5 the pair is more frequent in random strings than in names and
#: words, below 5 less, each step a factor of two. Counted by `python -m benchmarks.letter_pairs`.
_TABLE = words_of("""
7544974949523394923256766997
3757488933826734944629893785
4978488359336817845247896995
4785287929948838954548996993
5855766989835375622386646994
4977547929948727935549996993
5878295549957468943657999894
2997299939867839957459998994
6544564989934235953396969598
4878288759589835983839897884
5876285849949677874779598994
4785229939949836985458996995
2596299949855833994659996995
3843353959668547984356998995
5543866979644254924446579996
2976288749739934936458993995
7878898889748697865809899995
3856275949775637954456895994
6969297549768955884259896994
4967279439877947945569885994
5456356949934264934389989998
2879189939996868988899899986
3976489529967438934899589995
5837469849975973987299956964
7767689979965473983397686893
4987178829966747997899767386
7777779988989887998799949942
5545556659755554853367689861
""")
_WEIGHT = {
    first + second: int(_TABLE[row][column]) - 5
    for row, first in enumerate(SYMBOLS)
    for column, second in enumerate(SYMBOLS)
}
_OPAQUE = 11  # from which score on; of random strings of 16 characters it finds 96 %, of longer ones more than 99 %
_WORDY = 4
_LEAST_DIFFERENT = 3  # characters in a run: `aaaaaaaaaaaaaaaa` is rare, and no key

_SYMBOL = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}
_SYMBOL |= {ord(digit): "0" for digit in "0123456789"}

_RUN = re.compile(r"(?<![A-Za-z0-9_+/=.~%$-])[A-Za-z0-9_+/=.~%$-]{16,}+")
#: Some keys are `number:key` or `number|key`.
_ACCOUNT = re.compile(r"(?<![\w.])\d{6,24}[:|]\Z")
_PART = re.compile(r"[^/=.]+")
_WORDS = re.compile(r"[A-Za-z]+(?:[_-][A-Za-z]+)*")
_HEX = re.compile(r"(?<![A-Za-z0-9])(?=[0-9]*[A-Fa-f])(?=[A-Fa-f]*[0-9])(?:[0-9a-f]{16,}|[0-9A-F]{16,})(?![A-Za-z0-9])")
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])")
#: `git diff` and `git log` name short commits in pairs.
_COMMITS = re.compile(r"[0-9a-f]{7,12}\.{2,3}[0-9a-f]{7,12}")
#: The ids of commits, containers and builds are short enough to be read, and too short to be keys.
_SHORT_HEX = re.compile(r"(?<![A-Za-z0-9])[0-9a-f]{7,12}(?![A-Za-z0-9])")
_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_SHORT_IDS = 2  # so many in one run; a key may be written as many short pieces
_LONGEST = 512  # characters that are looked at as one run
_LEAST_LINE = 40  # characters; nobody wraps narrower
_HEAD = re.compile(r"[A-Za-z0-9_+/=.~%$-]{1,256}")
_TAIL = re.compile(r"[A-Za-z0-9_+/=.~%$-]{1,256}\Z")


def symbols(text: str) -> str:
    """The text in the 28 symbols of the table, a border at each end and where camel case has one."""
    return _spelt(text)[0]


@lru_cache(maxsize=8192)
def score(text: str) -> int:
    """How much its most random stretch is more like a random string than like names and words; 0 for plain words."""
    return _worst(text)[0]


def is_opaque(text: str) -> bool:
    return any(_parts(text[start:end]) for start, end in _chunks(text))


def opaque_runs(text: str) -> Iterator[Span]:
    for match in _RUN.finditer(text):
        begin = match.start()
        for first, last in _chunks(match[0]):
            for start, end in _parts(match[0][first:last]):
                account = 0 if first + start else _account_before(text, begin)
                yield Span(begin + first + start - account, begin + first + end, REDACTED)
    yield from _wrapped(text)


def _account_before(text: str, at: int) -> int:
    match = _ACCOUNT.search(text, max(at - 25, 0), at)
    return len(match[0]) if match else 0


def _chunks(run: str) -> Iterator[tuple[int, int]]:
    """Pieces that are quick to look at and to remember, cut between components where there is a place to."""
    begin = 0
    while len(run) - begin > _LONGEST + LEAST:
        middle = max(run.rfind(sign, begin + LEAST, begin + _LONGEST) for sign in "/=.")
        end = middle + 1 if middle >= 0 else begin + _LONGEST
        yield begin, end
        begin = end
    yield begin, len(run)


@lru_cache(maxsize=8192)
def _parts(run: str) -> tuple[tuple[int, int], ...]:
    """Where a run of characters without a space is opaque: whole components between `/`, `=` and `.`."""
    if len(run) < LEAST or len(set(run)) < _LEAST_DIFFERENT or _COMMITS.fullmatch(run):
        return ()
    found = [match.span() for pattern in (_UUID, _HEX) for match in pattern.finditer(run)] or _random_in(run)
    components = [match.span() for match in _PART.finditer(run)]
    return tuple(_widened(run, components, start, end) for start, end in found)


def _random_in(run: str) -> list[tuple[int, int]]:
    ids = _SHORT_HEX.findall(run)
    read = _SHORT_HEX.sub(lambda match: "0" * len(match[0]), run) if len(ids) <= _SHORT_IDS else run
    worst, start, end = _worst(_ESCAPE.sub("---", read))
    return [(start, end)] if worst >= _OPAQUE and end - start >= LEAST // 2 else []


def _widened(run: str, components: list[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """To whole components, and on over neighbours that are no plain words: base64 has `/` and `=` of its own."""
    touched = [index for index, (first, last) in enumerate(components) if first < end and last > start]
    if not touched:
        return start, end
    low, high = touched[0], touched[-1]
    while low > 0 and not _is_wordy(run[slice(*components[low - 1])]):
        low -= 1
    while high + 1 < len(components) and not _is_wordy(run[slice(*components[high + 1])]):
        high += 1
    stop = components[high][1]
    return components[low][0], len(run) if not run[stop:].strip("=") else stop


def _is_wordy(component: str) -> bool:
    return bool(_WORDS.fullmatch(component)) and score(component) < _WORDY


@lru_cache(maxsize=8192)
def _worst(run: str) -> tuple[int, int, int]:
    """The highest score that a stretch of the run has, and where that stretch is."""
    best = best_start = best_end = here = start = 0
    at = -1  # in the run; the symbols have a border more at each camel case
    spelt, marks = _spelt(run)
    for index in range(len(spelt) - 1):
        here += _WEIGHT[spelt[index : index + 2]]
        at = marks[index]
        if here <= 0:
            here, start = 0, marks[index + 1]
        elif here > best:
            best, best_start, best_end = here, start, max(at + 1, marks[index + 1])
    return best, max(best_start, 0), min(best_end + 1, len(run))


def _spelt(run: str) -> tuple[str, list[int]]:
    """The symbols, and for each where it is from in the run."""
    letters = ["-"]
    marks = [-1]
    before = ""
    for at, character in enumerate(run):
        symbol = _SYMBOL.get(ord(character), "-")
        if (symbol != "-" or letters[-1] != "-") and not (before.islower() and character.isupper()):
            letters.append(symbol)
            marks.append(at)
        elif symbol != "-":
            letters += ("-", symbol)
            marks += (at, at)
        before = character
    return "".join((*letters, "-")), [*marks, len(run)]


def _wrapped(text: str) -> Iterator[Span]:
    """Runs that a line break cut in two, neither half long enough to be told."""
    begin, at = 0, text.find("\n")
    while at >= 0:
        if at - begin >= _LEAST_LINE and (head := _HEAD.match(text, at + 1)):
            tail = _TAIL.search(text[max(at - 256, begin) : at].rpartition(" ")[2])
            if tail and len(tail[0]) + len(head[0]) >= LEAST:
                yield from _over_the_break(tail[0], head[0], at)
        begin = at + 1
        at = text.find("\n", begin)


def _over_the_break(tail: str, head: str, at: int) -> Iterator[Span]:
    middle = len(tail)
    for start, end in _parts(tail + head):
        if start < middle < end and not _is_wordy(tail[start:]) and not _is_wordy(head[: end - middle]):
            yield Span(at - middle + start, at, REDACTED)
            yield Span(at + 1, at + 1 + end - middle, REDACTED)
