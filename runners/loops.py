"""What the lines of a screen tell of failures, and when the same failure comes again and again. Pure.

A step fails once, however many lines tell of it: what a compiler, a test run or a poll prints below the call that
started it is one failure of each kind. What an agent says at the left edge counts each time.
"""

from __future__ import annotations

import re

#: A tool that failed, as agents show it; and any other line that tells of a failure.
_TOOL_FAILED = re.compile(
    r"\W*(?:error: )?(?:exit(?:ed)?(?: with)?(?: code| status)? [1-9]|command failed|tool (?:call )?failed|[✗✘✕❌])",
    re.IGNORECASE,
)
_FAILED = re.compile(
    r"(?:^|[\s(\[:])(?:\w*error|\w*exception|fatal|failed|failure|panic|permission denied|not found|no such file)\b"
    r"(?![-(])|^[\s│┃└⎿]+fail(?=:|\s+\S*[./])",
    re.IGNORECASE,
)
#: Counts are no failures: they say how many there were, and whether they become fewer is hidden with the digits.
_TALLY = re.compile(r"(?<![\w:.])(?:\d+|no|without)\s+(?:\w+\s+)?(?:errors?|failures?|failed)\b(?!:)", re.IGNORECASE)
#: A line of a program that speaks of failures, as it stands in a file or a diff.
_CODE = re.compile(
    r"[\s\d+→|-]*(?:\}\s*)?(?:except|raise|catch|throws?|class|import|from|return|def|assert|if|elif|while|with|case)\b"
    r"(?! errors?:)",
    re.IGNORECASE,
)
#: A line of a report, of which one run prints many: of a test that failed, or of a place in a file.
_REPORT = re.compile(r"\s*(?:fail(?:ed)?\b|[✗✘✕❌]|[^\s:(]*[./][^\s:(]*(?::\d+|\(\d+[,)]))", re.IGNORECASE)
_PATH = re.compile(r"(?:[~.]?/|[A-Za-z]:\\)[^\s:'\"()\[\]]+|\b[\w.-]+\.[a-z]{1,4}\b")
_HEX = re.compile(r"\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b", re.IGNORECASE)
_DIGITS = re.compile(r"\d+(?:\.\d+)*")
#: By what is above it a failure is known again, wherever a terminal of another width breaks the lines.
_ABOVE = 8  # lines
_LAST = 60  # letters and digits of them, and of the failure
_EDGE = re.compile(r"[\s│┃└⎿]*")
_TOOL = "tool: "


def locate_failures(lines: tuple[str, ...], begun: int = 0) -> tuple[tuple[str, str], ...]:
    """The failures that lines from number `begun` on tell of, without what differs each time: digits, hashes, paths.

    Each with its place: what its line and those above it hold. Lines before `begun` were told of already: what is
    printed below the same call is no further failure. That of a tool takes the next line along: `exit code 1` alone is
    no failure like another.
    """
    found: list[tuple[str, str]] = []
    seen: set[tuple[str, int]] = set()
    last: dict[str, int] = {}
    for number, line in enumerate(lines):
        failure = _failure(lines, number)
        if not failure:
            continue
        head, before = _head(lines, number), last.get(failure)
        last[failure] = number
        if head is not None:
            again = (failure, head) in seen
            seen.add((failure, head))
        else:
            merges = _indent(line) > 0 or (bool(_REPORT.match(line)) and before is not None and before >= begun)
            again = before is not None and merges and _goes_on(lines, before, number)
        if number >= begun and not again:
            found.append((failure, _place(lines[max(0, number - _ABOVE) : number + 1])))
    return tuple(found)


def news_among(found: tuple[tuple[str, str], ...], known: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Of a screen that holds nothing of the one before: each failure once that did not stand there as it does now.

    A step may have printed more than a screenful; or what was there before is drawn anew.
    """
    first: dict[str, str] = {}
    for failure, place in found:
        if not any(each.endswith(place) for each in known):  # what was above may be off the screen by now
            first.setdefault(failure, place)
    return tuple(first.items())


def find_loop(failures: tuple[str, ...], same_failure: int, same_line: int, alternating: int) -> str:
    """What the last failures repeat, for a person; empty when they do not.

    `same_failure`: times that a tool fails in the same way; `same_line`: of any other failure; `alternating`: failures
    of which two come in turns.
    """
    if not failures:
        return ""
    last = failures[-1]
    times = next((count for count, each in enumerate(reversed(failures)) if each != last), len(failures))
    if times >= (same_failure if last.startswith(_TOOL) else same_line):
        return f"the same failure {times} times: {last.removeprefix(_TOOL)}"
    turns = failures[-alternating:]
    if len(turns) == alternating and len(set(turns)) == 2 and turns[0] != turns[1] and turns[2:] == turns[:-2]:
        return f"two failures in turns: {turns[0].removeprefix(_TOOL)}; {turns[1].removeprefix(_TOOL)}"
    return ""


def repeats(failures: tuple[str, ...]) -> bool:
    """Whether the last failure came before: it may become a loop."""
    return failures[-1:] != () and failures[-1] in failures[:-1]


def _place(lines: tuple[str, ...]) -> str:
    return "".join(letter for line in lines for letter in line if letter.isalnum())[-_LAST:]


def _failure(lines: tuple[str, ...], number: int) -> str:
    line = lines[number]
    if _TOOL_FAILED.match(line):
        return _TOOL + _stripped(" ".join(lines[number : number + 2]))
    after_tool = number > 0 and bool(_TOOL_FAILED.match(lines[number - 1]))
    fails = _FAILED.search(line) and not _TALLY.search(line) and not _CODE.match(line)
    return _stripped(line) if fails and not after_tool else ""


def _head(lines: tuple[str, ...], number: int) -> int | None:
    """The call below which a line was printed: the nearest line above that is indented less. None: there is none."""
    indent = _indent(lines[number])
    return next((above for above in range(number - 1, -1, -1) if _indent(lines[above]) < indent), None)


def _indent(line: str) -> int:
    found = _EDGE.match(line)
    return found.end() if found else 0


def _goes_on(lines: tuple[str, ...], before: int, number: int) -> bool:
    """Only more of the same report is between two lines."""
    indent = _indent(lines[number])
    return all(_indent(lines[each]) > indent or _failure(lines, each) for each in range(before + 1, number))


def _stripped(line: str) -> str:
    bare = _DIGITS.sub("0", _HEX.sub("0", _PATH.sub("/", line)))
    return " ".join(re.sub(r"[^\w/.:=-]+", " ", bare).lower().split())
