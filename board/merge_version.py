"""One version of the board as a merge sees it: its sections by what they are, and how the file is written."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import NamedTuple, TypeVar

from board.frontmatter import line_of
from board.merge_text import lines, newline
from board.sections import Kind, Section, sections

_Text = TypeVar("_Text", str, list[str])

_BLANKS = re.compile(r"[ \t]+(?=\n|\Z)")
_BLANK_END = re.compile(r"[ \t](?:[\r\n]|\Z)")
_BARE_CR = re.compile(r"\r(?!\n)")
_TASK_LINE = re.compile(r"(?:(?<=\n)|(?<=\r))## ([a-z0-9-]+):")


class Key(NamedTuple):
    """What makes a section the same one in two versions: a task's id, prose's heading, and which of several it is."""

    kind: Kind
    name: str
    nth: int = 0

    @property
    def task(self) -> str | None:
        return self.name if self.kind is Kind.TASK else None

    @property
    def rank(self) -> int:
        """Front matter, and text without a heading, can stand nowhere but at the start."""
        return 0 if self.kind is Kind.FRONT else 1 if self.kind is Kind.PROSE and not self.name else 2


@dataclass(frozen=True, slots=True)
class Version:
    """`by_key` is in the order of the file. `hidden` are tasks of other versions that stand in a fence or comment
    here: text to the parser, and sections to the merge. A fence that a person has just opened takes no task away."""

    text: str
    by_key: dict[Key, Section]
    hidden: frozenset[Key]

    def seen(self, key: Key) -> Section | None:
        """The section, unless it is hidden."""
        return None if key in self.hidden else self.by_key.get(key)


def version(text: str, like: Version | None = None, ids: Collection[str] = ()) -> Version:
    """`ids` are those of all tasks that the versions at hand have: one that is missing here may be hidden.

    Of several sections with one id, the one that is a section of `like` counts as the first.
    """
    seen = _sections(text)
    missing = frozenset(ids).difference(part.id for part in seen)
    cut = [_uncovered(part, missing) if missing else [part] for part in seen]
    parts = [part for group in cut for part in group]
    keys = _keys(parts, like)
    in_sight = [index == 0 for group in cut for index in range(len(group))]
    hidden = frozenset(key for key, shows in zip(keys, in_sight, strict=True) if not shows)
    return Version(text, dict(zip(keys, parts, strict=True)), hidden)


@functools.lru_cache(maxsize=64)
def _sections(text: str) -> tuple[Section, ...]:
    """Kept for many more texts than `sections` keeps: every save of one revision looks at the ones before it."""
    return sections(text)


def task_ids(text: str) -> set[str]:
    """The ids of the tasks on a board."""
    return {part.id for part in _sections(text) if part.id}


class Past:
    """Every state that each section had in many older texts, oldest first.

    A history is long and little of it matters: it is cut at the tasks' headings, and only distinct stretches are split.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._stretches: dict[str, dict[str, None]] = {}  # by the id of the task that it begins with; "": none
        for text in texts:
            starts = [(found.start(), found[1]) for found in _TASK_LINE.finditer(text)]
            ends = [start for start, _ in starts] + [len(text)]
            for (start, name), end in zip([(0, ""), *starts], ends, strict=True):
                states = self._stretches.setdefault(name, {})
                stretch = text[start:end]
                states.pop(stretch, None)  # it was so again: that is the newest state now
                states[stretch] = None

    def states(self, key: Key, like: Section | None) -> list[Section]:
        """The states of one section, written as `like` is."""
        found = [part for stretch in self._around(key) for part in sections(stretch) if _key(part) == key]
        if like is None or all(style(part.text) == style(like.text) for part in found):
            return found
        ending = newline(like.text)
        return [sections(_restyled(part.text, like, ending))[0] for part in found]

    def _around(self, key: Key) -> list[str]:
        if key.task or key.rank < 2:
            return list(self._stretches.get(key.task or "", ()))
        return [stretch for states in self._stretches.values() for stretch in states if key.name in stretch]


def distance(one: Version, other: Version) -> tuple[int, int]:
    """By how many characters two versions differ, and in how many sections, apart from how they are written.

    Characters, as neither sections nor lines tell two people from one. Both have saved on one revision: two people who
    each added a line are each nearer to what they had loaded; one who went on typing in a line is nearer to the save
    before.
    """
    plain = _as_written if style(one.text) == style(other.text) else canonical
    pairs = ((_plain(one, key, plain), _plain(other, key, plain)) for key in one.by_key | other.by_key)
    unlike = [(first, second) for first, second in pairs if first != second]
    return sum(_apart(first, second) for first, second in unlike), len(unlike)


def _plain(of: Version, key: Key, plain: Callable[[str], str]) -> str:
    return plain(of.by_key[key].text).rstrip() if key in of.by_key else ""


def _as_written(text: str) -> str:
    return text


def _apart(one: str, other: str) -> int:
    """Characters in the lines that differ, without what each two stretches begin and end with alike."""
    first, second = _without_common(lines(one), lines(other))
    stretches = SequenceMatcher(None, first, second, False).get_opcodes()
    return sum(
        len(rest)
        for tag, start, end, begin, stop in stretches
        if tag != "equal"
        for rest in _without_common("".join(first[start:end]), "".join(second[begin:stop]))
    )


def _without_common(one: _Text, other: _Text) -> tuple[_Text, _Text]:
    limit = min(len(one), len(other))
    start = next((index for index in range(limit) if one[index] != other[index]), limit)
    rest = limit - start
    end = next((index for index in range(rest) if one[-1 - index] != other[-1 - index]), rest)
    return one[start : len(one) - end], other[start : len(other) - end]


def style(text: str) -> tuple[bool, ...]:
    """Which line breaks a file has, and whether any line ends with blanks: what some editors change everywhere."""
    windows = text.count("\r\n")
    bare_cr = "\r" in text and _BARE_CR.search(text) is not None
    return windows > 0, text.count("\n") > windows, bare_cr, _BLANK_END.search(text) is not None


def canonical(text: str) -> str:
    """The text without what `style` is about."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        return _BLANKS.sub("", text)
    return text


def restyled(of: Version, like: Version) -> Version:
    """The version with each line that `like` has too written as it is there. Nothing a person means gets lost."""
    if style(of.text) == style(like.text):
        return of
    ending = newline(like.text)
    parts = [_restyled(part.text, like.by_key.get(key), ending) for key, part in of.by_key.items()]
    return version("".join(parts), like, {key.name for key in of.by_key if key.task})


def _restyled(text: str, like: Section | None, ending: str) -> str:
    if like and (text == like.text or canonical(text) == canonical(like.text)):
        return like.text
    own = lines(text)
    model = lines(like.text) if like else []
    plain, wanted = [canonical(line) for line in own], [canonical(line) for line in model]
    result = []
    for tag, start, end, first, last in SequenceMatcher(None, plain, wanted, False).get_opcodes():
        result += model[first:last] if tag == "equal" else [_ended(line, ending) for line in own[start:end]]
    return "".join(result)


def _ended(line: str, ending: str) -> str:
    bare = line.rstrip("\r\n")
    return bare + ending if bare != line else bare


def _uncovered(part: Section, missing: frozenset[str]) -> list[Section]:
    """The section, without the missing tasks that stand in it as text, and those."""
    for found in _TASK_LINE.finditer(part.text, 1):
        if found[1] not in missing:
            continue
        inner = sections(part.text[found.start() :])
        if inner[0].id == found[1]:
            hidden = [each for section in inner for each in _uncovered(section, missing - {found[1]})]
            return [_shortened(part, found.start()), *hidden]
    return [part]


def _shortened(part: Section, end: int) -> Section:
    yaml = (min(part.yaml[0], end), min(part.yaml[1], end)) if part.yaml else None
    text = part.text[:end]
    return replace(part, text=text, lines=line_of(text, end), yaml=yaml, prompt=min(part.prompt, end))


def _keys(parts: Sequence[Section], like: Version | None) -> list[Key]:
    kinds = [_key(part) for part in parts]
    originals = _originals(parts, kinds, like) if like and len(set(kinds)) < len(kinds) else {}
    counts: dict[Key, int] = {}
    keys = []
    for index, kind in enumerate(kinds):
        nth = 0
        if originals.get(kind) != index:
            nth = counts.get(kind, 1 if kind in originals else 0)
            counts[kind] = nth + 1
        keys.append(kind._replace(nth=nth))
    return keys


def _originals(parts: Sequence[Section], kinds: list[Key], like: Version) -> dict[Key, int]:
    """Someone copies a section to make another of it: the original stays itself, wherever the copy stands."""
    found: dict[Key, int] = {}
    for index, (part, kind) in enumerate(zip(parts, kinds, strict=True)):
        known = like.by_key.get(kind)
        if known and known.text.rstrip() == part.text.rstrip():
            found.setdefault(kind, index)
    return found


def _key(part: Section) -> Key:
    if part.kind is Kind.PROSE:
        return Key(part.kind, f"{'#' * part.level} {part.heading}" if part.level else "")
    return Key(part.kind, part.id)
