"""What an agent's screen says of it: that it works, waits for a person, or is kept from working. Pure.

A screen is read from below: the lowest thing that takes keys, an input line or a menu, belongs to now; what is above
was printed before, and may quote anything. So each rule looks at one region only:

    menu     from the input line, or the top, to the end, when the chosen option of a menu is the lowest thing
    above    the lines above the input line: what the agent does, or did last
    input    the input line itself: the lowest match on the screen
    footer   what is below it
    end      the last lines of a screen without an input line
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from board.errors import MuxError

REGIONS = ("menu", "above", "input", "footer", "end")

#: The conditions that a screen can show, each with its reasons.
SHOWN: Mapping[str, tuple[str, ...]] = {
    "working": ("",),
    "waiting": ("permission", "trust", "question", "choice", "idle"),
    "limited": ("rate", "usage", "login", "model"),
    "unreachable": ("",),
}

#: Reasons for which a menu is open, where a text would be taken for keys.
MENUS = frozenset({"permission", "trust", "choice"})

_NEAR = 16  # lines of `above` and `menu`: what is farther from the keys is history
_END = 6  # lines
_EVIDENCE = 200  # characters

#: A line of a frame, however long: on a narrower terminal it is several.
RULE = "────"
_ALONG = frozenset("─━═╌┄┈▀▄▁▔")
_FRAME = _ALONG | frozenset(" \t╭╮╰╯┌┐└┘╹╻╵╷┏┓┗┛├┤│┃║")
_RULE_LENGTH = 6
_RIGHT = re.compile(r"[\s│┃║█▐]+\Z")  # a scroll bar, too

#: An option of a menu, and the one that Enter would take.
_OPTION = re.compile(r"[\s│┃]*(?:[❯›●▸▶►➤>◉»]\s*)?(?:\d{1,2}|[a-z])[.)]\s+\S")
_CHOSEN = re.compile(r"[\s│┃]*[❯›●▸▶►➤>◉»]\s*(?:\d{1,2}|[a-z])[.)]\s+\S")
_OPTIONS_APART = 4  # lines: a long option is wrapped, or explained

#: What stands below an agent's last words without being one of them, and where those begin.
_TALLY = re.compile(r"\W*(?:\w+ for (?:[<\d]|shortcuts)|for shortcuts|tokens: |▣|─)|\s*▣", re.IGNORECASE)
_SPEAKS = re.compile(r"[●•✦⏺◆]\s")
_BEFORE_WORDS = re.compile(r"[\s│┃]*[❯›>⎿┃■✗✘✕⚠ℹ]\s|.*\(y\)es/\(n\)o|────", re.IGNORECASE)
_LAST_WORDS = 4  # lines, beside those of a list
_LISTED = re.compile(r"\s*(?:[-*+·◦▪]|\d{1,2}[.)]|[a-z][.)])\s", re.IGNORECASE)
_QUESTION = re.compile(r"[\w)\"'`*]\?(?=[\s\"'`)*]|\Z)|[？؟]")


@dataclass(frozen=True, slots=True)
class ScreenRule:
    """Holds when each of `patterns` is found in the region. The first rule that holds says what a screen shows."""

    condition: str
    reason: str
    region: str
    patterns: tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a worker: a condition, its reason ("" where there is only one), and what says so.

    `evidence` is the worker's own text: for the person at the terminal, not for chat. `sure`: something that takes keys
    showed it; else the last lines of a screen did, which may be a quotation that is just being printed.
    """

    name: str
    reason: str = ""
    evidence: str = ""
    sure: bool = True


UNKNOWN = Seen("unknown")

#: What an agent's own hooks can say of its turn, by `mux report KIND`.
SAID: Mapping[str, Seen] = {
    "working": Seen("working"),
    "idle": Seen("waiting", "idle"),
    "permission": Seen("waiting", "permission"),
    "question": Seen("waiting", "question"),
}


def classify(screen: str, rules: Sequence[ScreenRule]) -> Seen:
    """What a captured screen shows; `unknown` when no rule holds. One for `input` holds when no other does."""
    lines = _lines(screen)
    regions, taking_input = _regions(lines, rules)
    for rule in rules:
        text = regions.get(rule.region)
        found = [pattern.search(text) for pattern in rule.patterns] if text is not None else []
        if text is not None and (first := found[0]) and all(found):
            return Seen(rule.condition, rule.reason, _evidence(text, first), sure=rule.region != "end")
    if taking_input is None:
        return UNKNOWN
    asked = _question(regions["above"]) if taking_input.reason == "idle" else ""
    if asked:
        return Seen(taking_input.condition, "question", asked)
    return Seen(taking_input.condition, taking_input.reason)


def input_lines(screen: str, rules: Sequence[ScreenRule]) -> tuple[int, int] | None:
    """The first and the last line of a screen that its input line takes; None when nothing may be typed there now.

    A rule with a group `typed` says so itself; where that is empty, nothing is typed: the last comes before the first.
    """
    numbered = _numbered(screen)
    lines = [line for _, line in numbered]
    if _regions(lines, rules)[1] is None:
        return None
    text = "\n".join(lines)
    found, _ = _find_input(text, rules)
    assert found is not None
    begin, end = found.span("typed") if "typed" in found.re.groupindex else found.span()
    first, last = (text.count("\n", 0, at) for at in (begin, end))
    if found[0][begin - found.start() : end - found.start()].endswith("\n") or begin == end:
        last -= 1
    return numbered[first][0], numbered[first][0] - 1 if last < first else numbered[last][0]


def _lines(screen: str) -> list[str]:
    return [line for _, line in _numbered(screen)]


def _numbered(screen: str) -> list[tuple[int, str]]:
    """What says something: no blank lines, no padding, no right side of a frame, no scroll bar, and all rules alike."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(screen.splitlines()):
        if not set(line) - _FRAME:
            long = sum(letter in _ALONG for letter in line) >= _RULE_LENGTH
            if long and (not lines or lines[-1][1] != RULE):
                lines.append((number, RULE))
        elif kept := _RIGHT.sub("", line):
            lines.append((number, kept))
    return lines


def _find_input(text: str, rules: Sequence[ScreenRule]) -> tuple[re.Match[str] | None, ScreenRule | None]:
    """The lowest match of a rule for the input line."""
    inputs = [(match, rule) for rule in rules if rule.region == "input" for match in rule.patterns[0].finditer(text)]
    return max(inputs, key=lambda each: each[0].end(), default=(None, None))


def _regions(lines: list[str], rules: Sequence[ScreenRule]) -> tuple[Mapping[str, str], ScreenRule | None]:
    """What each region holds, and the rule that found the input line."""
    text = "\n".join(lines)
    lowest, rule = _find_input(text, rules)
    bottom = text.count("\n", 0, lowest.end()) + 1 if lowest else 0
    chosen = _menu(lines)
    if chosen is not None and chosen >= bottom:
        box = max((number for number in range(bottom, chosen) if lines[number] == RULE), default=bottom)
        return {"menu": "\n".join(lines[max(box, chosen - _NEAR) :]), "end": "\n".join(lines[-_END:])}, None
    if lowest is None:
        return {"end": "\n".join(lines[-_END:])}, None
    top = text.count("\n", 0, lowest.start())
    return {"above": "\n".join(lines[max(0, top - _NEAR) : top]), "footer": "\n".join(lines[bottom:])}, rule


def _menu(lines: list[str]) -> int | None:
    """The lowest line that is the chosen option of a menu: another option is beside it."""
    for number in range(len(lines) - 1, -1, -1):
        if _CHOSEN.match(lines[number]):
            beside = lines[max(0, number - _OPTIONS_APART) : number] + lines[number + 1 : number + 1 + _OPTIONS_APART]
            if any(_OPTION.match(line) for line in beside):
                return number
    return None


def _question(above: str) -> str:
    """The agent's last words, when they ask something."""
    words: list[str] = []
    listed = 0  # what can be chosen stands below the question
    for line in reversed(above.splitlines()):
        if _TALLY.match(line) and not words:
            continue
        if _BEFORE_WORDS.match(line) or len(words) - listed == _LAST_WORDS:
            break
        words.insert(0, line.strip())
        listed += bool(_LISTED.match(line))
        if _SPEAKS.match(line):
            break
    said = " ".join(words)
    return said[-_EVIDENCE:] if _QUESTION.search(said) else ""


def _evidence(text: str, found: re.Match[str]) -> str:
    """From the line in which the match begins: what follows may name a time."""
    begin = text.rfind("\n", 0, found.start()) + 1
    return " ".join(text[begin : found.end() + _EVIDENCE].split())[:_EVIDENCE]


def read_screens(base: tuple[ScreenRule, ...], written: Any, where: str) -> tuple[ScreenRule, ...]:
    """The written rules, which come before those of `base`; an empty list: none at all. Raises `MuxError`."""
    if not isinstance(written, list | tuple):
        raise MuxError(f"{where}: must be a list, such as [{{condition: working, region: footer, pattern: 'esc'}}]")
    rules = tuple(_rule(item, f"{where}, item {number}") for number, item in enumerate(written, 1))
    return rules + base if rules else ()


def _rule(written: Any, where: str) -> ScreenRule:
    keys = set(written) if isinstance(written, Mapping) else set()
    if not {"condition", "region", "pattern"} <= keys or keys - {"condition", "reason", "region", "pattern"}:
        raise MuxError(f"{where}: must have condition, region, pattern, and for some conditions reason")
    condition, reason, region = (str(written.get(key, "")) for key in ("condition", "reason", "region"))
    if condition not in SHOWN:
        raise MuxError(f"{where}: no screen can show '{condition}'; write one of {', '.join(SHOWN)}")
    if reason not in SHOWN[condition]:
        known = ", ".join(SHOWN[condition])
        hint = f"write one of {known}" if known else "take it out"
        raise MuxError(f"{where}: '{condition}' has no reason '{reason}': {hint}")
    if region not in REGIONS:
        raise MuxError(f"{where}: there is no region '{region}'; write one of {', '.join(REGIONS)}")
    patterns = written["pattern"] if isinstance(written["pattern"], list | tuple) else [written["pattern"]]
    if not patterns:
        raise MuxError(f"{where}: needs at least one pattern")
    return ScreenRule(condition, reason, region, tuple(_pattern(each, where) for each in patterns))


def _pattern(written: Any, where: str) -> re.Pattern[str]:
    """Any case, `^` and `$` at each line, and a space for any blank: a narrower terminal breaks lines elsewhere."""
    if not isinstance(written, str) or not written:
        raise MuxError(f"{where}: a pattern must be a text in quotes, such as 'esc to interrupt'")
    try:
        return re.compile(re.sub(r" (?![?*+{])", r"\\s+", written), re.IGNORECASE | re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise MuxError(f"{where}: '{written}' is no regular expression: {error}; see docs.python.org, re") from None
