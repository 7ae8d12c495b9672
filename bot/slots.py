"""When digests are due, by the board's cron lines. Pure: times are given, nothing waits.

A slot is one moment of one schedule, named by what a clock on the wall shows in its time zone: on the day when a clock
is set back, 02:30 comes twice and is one slot; on the day when it is set forward, 02:30 is the moment an hour later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from board.chat_values import CRON
from board.model import DigestSettings

#: A slot that was missed (no mux, a sleeping machine) is made up for within so many seconds.
GRACE = 12 * 3600.0
#: Of what was missed before that, so many slots are counted, of so many seconds.
_COUNTED, _REMEMBERED = 100, 14 * 86400.0
#: By how much clocks are set forward or back at most, in seconds, and some more.
_CHANGE = 3 * 3600.0
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True)
class Slot:
    """`local`: its date and time in the digest's time zone, `2026-11-23T08:00`."""

    digest: DigestSettings
    at: float  # seconds since the epoch
    local: str

    @property
    def key(self) -> str:
        return f"{self.local} {identity(self.digest)}"


def identity(digest: DigestSettings) -> str:
    """Whose slots are the same ones: digests for one channel, by one time zone."""
    return f"{digest.timezone or 'local'} {digest.channel or 'board'}"


def name(digest: DigestSettings) -> str:
    """The schedule, as it stands on the board."""
    return f"{digest.at} {identity(digest)}"


def due_slots(
    digests: Iterable[DigestSettings], last_seen: Mapping[str, float], now: float, local: tzinfo
) -> list[Slot]:
    """The slots after each schedule's `last_seen` (by `name`) up to now, oldest first, each key once.

    A schedule that was never seen has none: it begins now. `local`: the time zone of this machine.
    """
    found: dict[str, Slot] = {}
    for digest in dict.fromkeys(digests):
        seen = last_seen.get(name(digest), now)
        old = _between(digest, max(seen, now - _REMEMBERED), now - GRACE, local, _COUNTED)
        for slot in (*old, *_between(digest, max(seen, now - GRACE), now, local)):
            found.setdefault(slot.key, slot)
    return sorted(found.values(), key=lambda slot: slot.at)


def next_slot(digests: Iterable[DigestSettings], now: float, local: tzinfo) -> float | None:
    """When the next slot of any of them comes; None when there is none."""
    return min((at for digest in digests if (at := _first(digest, now, local)) is not None), default=None)


def cron_fields(at: str) -> list[dict[str, str]]:
    """A checked cron line as the arguments of APScheduler's triggers; it is due when any of them is.

    That library counts weekdays from Monday, and a line that names both days of the month and weekdays is due on
    either, as in crontab(5).
    """
    words = at.lower().split()
    values = [_numbers(word, *field) for word, field in zip(words, CRON, strict=True)]
    minute, hour, day, month, weekday = (",".join(map(str, sorted(numbers))) for numbers in values)
    weekday = ",".join(dict.fromkeys(_DAYS[number % 7] for number in sorted(values[4])))
    fields = {"minute": minute, "hour": hour, "month": month}
    any_day, any_weekday = words[2].startswith("*"), words[4].startswith("*")
    if any_day or any_weekday:
        return [{**fields, "day": day, "day_of_week": weekday}]
    return [{**fields, "day": day}, {**fields, "day_of_week": weekday}]


def zone(digest: DigestSettings, local: tzinfo) -> tzinfo:
    return ZoneInfo(digest.timezone) if digest.timezone else local


def _numbers(word: str, _: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    """The numbers that a field of a cron line stands for."""
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        start = low if span == "*" else _number(first, low, names)
        # 7 is another name for Sunday, and not a day of its own.
        highest = 6 if high == 7 else high
        end = _number(last, low, names) if dash else highest if span == "*" or slash else start
        found.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _number(word: str, low: int, names: tuple[str, ...]) -> int:
    return names.index(word) + low if word in names else int(word)


def _first(digest: DigestSettings, now: float, local: tzinfo) -> float | None:
    return next((slot.at for _, slot in _slots(digest, now - _CHANGE, local) if slot.at > now), None)


def _between(digest: DigestSettings, after: float, until: float, local: tzinfo, most: int = 10_000) -> list[Slot]:
    """The slots after one moment up to another, the first `most` of them.

    Of two for one moment the later one stands: on the day without 02:30, that is what the clock on the wall shows.
    """
    last = _wall(until + _CHANGE, digest, local)
    found: dict[float, Slot] = {}
    for wall, slot in _slots(digest, after - _CHANGE, local):
        if wall > last or len(found) >= most:
            break
        if after < slot.at <= until:
            found[slot.at] = slot
    return list(found.values())


def _slots(digest: DigestSettings, after: float, local: tzinfo) -> Iterator[tuple[datetime, Slot]]:
    """By the clock on the wall, so that no change of it hides one; without end, or none at all (the 30th of February).

    The clock on the wall runs through in UTC; what it shows is looked up in the time zone afterwards.
    """
    from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]

    there = zone(digest, local)
    triggers = [CronTrigger(**fields, timezone=UTC) for fields in cron_fields(digest.at)]
    wall = _wall(after, digest, local)
    while True:
        fires = [fire for trigger in triggers if (fire := trigger.get_next_fire_time(None, wall)) is not None]
        if not fires:
            return
        wall = min(fires)
        yield wall, Slot(digest, wall.replace(tzinfo=there).timestamp(), wall.strftime("%Y-%m-%dT%H:%M"))
        wall += timedelta(seconds=1)


def _wall(at: float, digest: DigestSettings, local: tzinfo) -> datetime:
    return datetime.fromtimestamp(at, zone(digest, local)).replace(tzinfo=UTC, fold=0)
