"""The time that a message names: agents say in many ways when they can work again."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, tzinfo
from datetime import timezone as fixed_zone

#: A limit that ends later than this is for a person: no text of a worker's may park its task for ever.
LONGEST = 32 * 86_400.0  # seconds

#: A time of day that has just gone by is today's, not tomorrow's: the message was on its way when the clock struck.
JUST_GONE = 300.0  # seconds

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "w": 604_800.0}
_UNIT = r"(?:ms|milliseconds?|w(?:eeks?)?|d(?:ays?)?|h(?:ou)?r?s?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)"
_AMOUNT = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})(?![a-z])", re.IGNORECASE)
_DURATION = re.compile(
    rf"\b(?:in|after|retry_?delay|wait|for)\W{{1,4}}(?:about\s)?((?:\d+(?:\.\d+)?\s*{_UNIT}(?![a-z])(?:,?\s+and\s+|,?\s*))+)",
    re.IGNORECASE,
)
_SECONDS = re.compile(r"retry[-_ ]?after\W{1,4}(\d{1,7})(?![\d\w:/-])", re.IGNORECASE)  # the header, in seconds

_EPOCH = re.compile(r"(?:\||reset\w*\W{1,4})(\d{10})(?:\d{3})?(?!\d)", re.IGNORECASE)
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?\s?(Z|UTC|[+-]\d\d:?\d\d)?")

#: Without one of these before it a time is only when something was logged.
_LEAD = re.compile(r"\b(?:resets?|resetting|renews?|again|retry|until|available|ends|expires)\b", re.IGNORECASE)
_REACH = 70  # characters from such a word to the end of its time

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTH_DAY = re.compile(
    rf"\b({'|'.join(_MONTHS)})[a-z]*\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,?\s+(\d{{4}})\b)?", re.IGNORECASE
)
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})\.?\s+({'|'.join(_MONTHS)})[a-z]*\b(?:,?\s+(\d{{4}})\b)?", re.IGNORECASE)
_NUMBERS = re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b")
_WEEKDAY = re.compile(rf"\b({'|'.join(_DAYS)})[a-z]*\b", re.IGNORECASE)
_CLOCK = re.compile(r"\b(\d{1,2})(?::(\d\d))?(?::\d\d)?\s?([ap])\.?m\b|\b(\d{1,2}):(\d\d)\b", re.IGNORECASE)
_ZONE = re.compile(r"\(([A-Za-z_]+(?:/[A-Za-z_+-]+\d*){0,2})\)|\b(?:UTC|GMT)(?:([+-]\d{1,2})(?::?(\d\d))?)?")


def find_until(text: str, now: float, timezone: tzinfo | None = None) -> float | None:
    """The moment from which `text` says that work can go on, in seconds since 1970; None when it names none.

    `timezone` is the one of times that name none; None: this machine's. May lie in the past: the limit is over then.
    """
    one_line = " ".join(text.split())
    try:
        found = (
            _epoch(one_line) or _iso(one_line, timezone) or _duration(one_line, now) or _clock(one_line, now, timezone)
        )
    except (ValueError, OverflowError):  # the 31st of February; a year that no clock knows
        return None
    return found if found is not None and found <= now + LONGEST else None


def _epoch(text: str) -> float | None:
    match = _EPOCH.search(text)
    return float(match[1]) if match else None


def _iso(text: str, timezone: tzinfo | None) -> float | None:
    for lead in _leads(text):
        if match := _ISO.search(lead):
            zone = (match[3] or "").replace("UTC", "Z")
            moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}")
            return _seconds(moment, timezone)
    return None


def _duration(text: str, now: float) -> float | None:
    if match := _DURATION.search(text):
        return now + sum(float(number) * _UNITS[_unit(unit)] for number, unit in _AMOUNT.findall(match[1]))
    if match := _SECONDS.search(text):
        return now + float(match[1])
    return None


def _unit(written: str) -> str:
    word = written.lower()
    return "ms" if word in ("ms", "millisecond", "milliseconds") else word[0]


def _clock(text: str, now: float, timezone: tzinfo | None) -> float | None:
    """A time of day, a day, or both."""
    for lead in _leads(text):
        zone = _zone(lead) or timezone
        today = datetime.fromtimestamp(now, zone).date()
        day, rest = _day(lead, today)
        hour = _time(rest)
        if day is not None:
            return _seconds(datetime.combine(day, hour or time()), zone)
        if hour is not None:
            at = _seconds(datetime.combine(today, hour), zone)
            return at if at > now - JUST_GONE else _seconds(datetime.combine(today + timedelta(days=1), hour), zone)
    return None


def _leads(text: str) -> list[str]:
    """What follows each word that announces a time, up to the end of its reach."""
    return [text[match.start() : match.end() + _REACH] for match in _LEAD.finditer(text)]


def _day(text: str, today: date) -> tuple[date | None, str]:
    """The day that a text names, and the text without it."""
    if match := _MONTH_DAY.search(text):
        found = _dated(match[3], _MONTHS.index(match[1].lower()) + 1, match[2], today)
    elif match := _DAY_MONTH.search(text):
        found = _dated(match[3], _MONTHS.index(match[2].lower()) + 1, match[1], today)
    elif match := _NUMBERS.search(text):
        found = date(int(match[3]), int(match[1]), int(match[2]))
    elif match := _WEEKDAY.search(text):
        found = today + timedelta(days=(_DAYS.index(match[1].lower()) - today.weekday()) % 7)
    elif match := re.search(r"\btomorrow\b", text, re.IGNORECASE):
        found = today + timedelta(days=1)
    else:
        return None, text
    return found, text[: match.start()] + " " + text[match.end() :]


def _dated(year: str | None, month: int, day: str, today: date) -> date:
    """Without a year the nearest one that is not half a year gone."""
    if year:
        return date(int(year), month, int(day))
    this = date(today.year, month, int(day))
    return this if (today - this).days < 183 else date(today.year + 1, month, int(day))


def _time(text: str) -> time | None:
    match = _CLOCK.search(text)
    if not match:
        return None
    if match[3]:
        return time(int(match[1]) % 12 + (12 if match[3].lower() == "p" else 0), int(match[2] or 0))
    return time(int(match[4]), int(match[5]))


def _zone(text: str) -> tzinfo | None:
    """The time zone that a text names in its long form; short ones such as PST mean several."""
    match = _ZONE.search(text)
    if not match:
        return None
    if match[1] is None or match[1] in ("UTC", "GMT"):
        return fixed_zone(timedelta(hours=int(match[2] or 0), minutes=int(match[3] or 0)))
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(match[1])
    except (OSError, ValueError, KeyError):  # no such zone, or no zones on this machine
        return None


def _seconds(moment: datetime, timezone: tzinfo | None) -> float:
    """Naive moments are in `timezone`, or else in this machine's."""
    return (moment.replace(tzinfo=timezone) if moment.tzinfo is None and timezone else moment).timestamp()
