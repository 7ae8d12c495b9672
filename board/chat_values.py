"""How the board's keys about chat are read: `slack` and `digests`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from board.frontmatter import List, Map, Node
from board.model import DigestSettings, QuietHours, SlackSettings
from board.values import NotOne, mapping_of, text, texts

_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,20}\Z")
_USER = re.compile(r"[UW][A-Z0-9]{2,20}\Z")
_TEAM = re.compile(r"T[A-Z0-9]{2,20}\Z")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)\Z")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: The fields of a cron line: lowest and highest number, and the names that stand for numbers.
CRON: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)


def slack(node: Node) -> SlackSettings:
    readers: dict[str, Callable[[Node], Any]] = {
        "channel": _id(_CHANNEL, "channel", "C0123ABCD"),
        "team": _id(_TEAM, "team", "T0123ABCD"),
        "approvers": _users("approvers"),
        "operators": _users("operators"),
        "api_url": _api_url,
        "quiet": _quiet,
    }
    return SlackSettings(**mapping_of(node, "slack", readers))


def digests(node: Node) -> tuple[DigestSettings, ...]:
    if not isinstance(node, List):
        raise NotOne
    readers = {"at": _cron, "timezone": _timezone, "channel": _id(_CHANNEL, "channel", "C0123ABCD")}
    found = []
    for item in node.items:
        read = mapping_of(item, "digests", readers)
        if "at" not in read:
            raise NotOne('a digest needs `at`, for example `{at: "0 8 * * mon-fri", timezone: Europe/Berlin}`')
        found.append(DigestSettings(**read))
    return tuple(found)


def _id(pattern: re.Pattern[str], what: str, example: str) -> Callable[[Node], str]:
    def read(node: Node) -> str:
        value = text(node)
        if not pattern.match(value):
            raise NotOne(f"'{value}' is no id of a {what}: ids look like {example}; names are not used, they change")
        return value

    return read


def _users(key: str) -> Callable[[Node], tuple[str, ...]]:
    def read(node: Node) -> tuple[str, ...]:
        for value in texts(node):
            if not _USER.match(value):
                raise NotOne(
                    f"'{value}' in `{key}` is no id of a user: ids look like U012ABCDEF, in the user's profile"
                )
        return texts(node)

    return read


def _api_url(node: Node) -> str:
    """Tokens go there: https, or http to this very machine."""
    value = text(node)
    parts = urlsplit(value)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return value
    raise NotOne(f"`api_url` must be https, or http to 127.0.0.1, not '{value}': tokens are sent there")


def _quiet(node: Node) -> QuietHours:
    readers = {"hours": text, "timezone": _timezone}
    read = mapping_of(node, "quiet", readers) if isinstance(node, Map) else {"hours": text(node)}
    match = _HOURS.match(read.get("hours", ""))
    if match is None:
        raise NotOne("`quiet` must be hours such as 22:00-07:00, or {hours: 22:00-07:00, timezone: Europe/Berlin}")
    start, end = (int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4]))
    return QuietHours(start, end, read.get("timezone"))


def _timezone(node: Node) -> str:
    from zoneinfo import ZoneInfo

    value = text(node)
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise NotOne(f"'{value}' is no time zone that this machine knows: write one such as Europe/Berlin") from None
    return value


def _cron(node: Node) -> str:
    """Five fields as in crontab(5); Sunday is 0 or 7. Days of the week may be names."""
    value = " ".join(text(node).lower().split())
    fields = value.split(" ")
    if len(fields) != len(CRON):
        raise NotOne(f"'{value}' has {len(fields)} fields, and a cron line five: minute hour day month weekday")
    for field, (name, low, high, names) in zip(fields, CRON, strict=True):
        for part in field.split(","):
            if not _is_cron(part, low, high, names):
                raise NotOne(f"'{part}' in '{value}' is no {name}: numbers from {low} to {high}, `*`, `a-b`, `*/n`")
    return value


def _is_cron(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and int(step) >= 1):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    numbers = [_number(word, low, names) for word in ([first, last] if dash else [first])]
    if any(number is None or not low <= number <= high for number in numbers):
        return False
    return not dash or (numbers[0] or 0) <= (numbers[1] or 0)


def _number(word: str, low: int, names: tuple[str, ...]) -> int | None:
    if word in names:
        return names.index(word) + low
    return int(word) if word.isdecimal() else None
