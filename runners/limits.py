"""What an agent prints when it cannot work (no quota, rate limited, not logged in, model refused), and until when."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Literal, get_args

from board.errors import MuxError
from runners.until import find_until

#: The strongest first: an agent out of quota for days also prints the refusals that it met on the way there.
Reason = Literal["usage", "login", "model", "rate"]
REASONS: tuple[Reason, ...] = get_args(Reason)

#: A line that matches a pattern with this reason is no limit, whatever a later pattern says.
NONE = "none"

TAIL = 40  # lines
LONGEST_LINE = 2_000  # characters
PARAGRAPH = 8  # lines in which a message may name its time: terminals wrap, and JSON is long
WRAPPED = 2  # lines in which a message says what it is about
_EDGE = " │┃|"

#: Frames, bullets and the time of a log stand before a message; a quotation mark, `>` or `-` says that it is quoted.
_BEFORE = re.compile(r"(?:[^\w!-~“”„«»‘’]|\|)*(?:\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?\]?\s+)?")

#: How a line begins that reports an error: `API Error: `, `litellm.BadRequestError: `, `HTTP 429`, or a field of JSON.
_ERROR = (
    r"(?:http ?\d|(?:[\w./-]+ ){0,2}[\w./-]*(?:error|exception|failed|status)(?: code)? ?[:(\[{\d]|\{|\"\w+\" ?:).*"
)


@dataclass(frozen=True, slots=True)
class LimitPattern:
    """`pattern` is looked for at the beginning of a line, in any case; `reason` is one of `REASONS`, or `none`."""

    pattern: re.Pattern[str]
    reason: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Why an agent cannot work. `until`: when it can again, in seconds since 1970; None: it does not say."""

    reason: Reason
    until: float | None


def find_limit(text: str, patterns: Sequence[LimitPattern], now: float, timezone: tzinfo | None = None) -> Limit | None:
    """What the last lines that an agent printed, as plain text, say that keeps it from working.

    `timezone` is the one in which it prints its times; None: this machine's. Of several messages the one with the
    strongest reason counts, of several such the last.
    """
    lines = [line[:LONGEST_LINE] for line in text.rstrip().splitlines()[-TAIL:]]
    found: Limit | None = None
    for number in range(len(lines)):
        reason = _reason(" ".join(_paragraph(lines[number:])[:WRAPPED]), patterns)
        if reason and (found is None or REASONS.index(reason) <= REASONS.index(found.reason)):
            until = find_until("\n".join(_paragraph(lines[number:])), now, timezone)
            kept = found.until if found and found.reason == reason else None
            found = Limit(reason, kept if until is None else until)
    return found


def _reason(message: str, patterns: Sequence[LimitPattern]) -> Reason | None:
    before = _BEFORE.match(message)
    shown = message[before.end() :] if before else message
    for each in patterns:
        if each.pattern.match(shown):
            return next((reason for reason in REASONS if reason == each.reason), None)
    return None


def _paragraph(lines: Sequence[str]) -> list[str]:
    taken: list[str] = []
    for line in lines[:PARAGRAPH]:
        if not line.strip(_EDGE):
            break
        taken.append(line.strip(_EDGE))
    return taken


def read_limits(base: tuple[LimitPattern, ...], written: Any, where: str) -> tuple[LimitPattern, ...]:
    """The written patterns, which count before those of `base`; an empty list: none at all. Raises `MuxError`."""
    if not isinstance(written, list | tuple):
        raise MuxError(f"{where}: must be a list, such as [{{pattern: 'out of quota', reason: usage}}]")
    read = tuple(_pattern(item, f"{where}, item {number}") for number, item in enumerate(written, 1))
    return read + base if read else ()


def _pattern(written: Any, where: str) -> LimitPattern:
    keys = set(written) if isinstance(written, Mapping) else set()
    if keys not in ({"pattern", "reason"}, {"error", "reason"}):
        raise MuxError(
            f"{where}: must have reason and pattern or error, as in {{reason: usage, pattern: 'out of quota'}}"
        )
    if written["reason"] not in (*REASONS, NONE):
        raise MuxError(f"{where}: there is no reason '{written['reason']}'; write one of {', '.join(REASONS)}, {NONE}")
    if "pattern" in keys:
        return LimitPattern(read_pattern(written["pattern"], where), str(written["reason"]))
    inside = read_pattern(written["error"], where).pattern
    return LimitPattern(re.compile(rf"{_ERROR}(?:{inside})", re.IGNORECASE), str(written["reason"]))


def read_pattern(written: Any, where: str) -> re.Pattern[str]:
    """A regular expression for which capitals are as small letters. Raises `MuxError`."""
    if not isinstance(written, str) or not written:
        raise MuxError(f"{where}: the pattern must be a text in quotes, such as 'out of quota'")
    try:
        return re.compile(written, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise MuxError(f"{where}: '{written}' is no regular expression: {error}; see docs.python.org, re") from None
