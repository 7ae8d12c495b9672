from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.model import DigestSettings
from bot.slots import GRACE, cron_fields, due_slots, name, next_slot

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


def digest(at: str, channel: str | None = None, timezone: str | None = "Europe/Berlin") -> DigestSettings:
    return DigestSettings(at, timezone, channel)


def due(at: str, after: str, until: str, step: float = 607.0) -> list[str]:
    """As a clock on the wall shows them, looked for again and again, as the control plane does."""
    found: list[str] = []
    seen, end = berlin(after), berlin(until)
    while seen < end:
        now = min(seen + step, end)
        found += [slot.local for slot in due_slots([digest(at)], {name(digest(at)): seen}, now, UTC)]
        seen = now
    return found


@pytest.mark.parametrize(
    ("day", "weekdays"),
    [
        ("0", "sun"),
        ("7", "sun"),
        ("1", "mon"),
        ("6", "sat"),
        ("sun", "sun"),
        ("mon-fri", "mon,tue,wed,thu,fri"),
        ("1-5", "mon,tue,wed,thu,fri"),
        ("0-7", "sun,mon,tue,wed,thu,fri,sat"),
        ("5-7", "fri,sat,sun"),
        ("sun,3", "sun,wed"),
        ("*/2", "sun,tue,thu,sat"),
        ("1-6/2", "mon,wed,fri"),
        ("*", "sun,mon,tue,wed,thu,fri,sat"),
    ],
)
def test_weekdays_are_those_of_crontab(day: str, weekdays: str) -> None:
    (fields,) = cron_fields(f"0 9 * * {day}")
    assert fields["day_of_week"] == weekdays


@pytest.mark.parametrize("number", range(8))
def test_a_weekday_by_number_is_due_on_that_day(number: int) -> None:
    slots = due(f"0 9 * * {number}", "2026-11-22T10:00", "2026-11-29T10:00", 3607)  # a Sunday to the next
    assert [(datetime.fromisoformat(slot).weekday() + 1) % 7 for slot in slots] == [number % 7]


def test_days_of_the_month_and_weekdays_are_due_on_either() -> None:
    days = [slot[5:10] for slot in due("0 9 15 * fri", "2026-11-12T10:00", "2026-11-21T10:00", 3607)]
    assert days == ["11-13", "11-15", "11-20"]


def test_months_lists_and_steps() -> None:
    (fields,) = cron_fields("*/20 9-17/4 1-5,20 jan-mar,7 *")
    assert fields["minute"] == "0,20,40" and fields["hour"] == "9,13,17"
    assert fields["day"] == "1,2,3,4,5,20" and fields["month"] == "1,2,3,7"


def test_half_past_two_comes_once_on_the_day_with_two() -> None:
    at = digest("30 2 * * *")
    night = due_slots([at], {name(at): berlin("2026-10-25T00:00")}, berlin("2026-10-25T08:00"), UTC)
    assert [(slot.local, slot.at) for slot in night] == [("2026-10-25T02:30", berlin("2026-10-25T02:30"))]
    seen = {name(at): berlin("2026-10-25T02:31")}
    assert due_slots([at], seen, berlin("2026-10-25T02:31", 1), UTC) == [], "the second is no slot"
    assert due("30 2 * * *", "2026-10-24T12:00", "2026-10-26T12:00") == ["2026-10-25T02:30", "2026-10-26T02:30"]


def test_half_past_two_comes_once_on_the_day_without() -> None:
    assert due("30 2 * * *", "2026-03-28T12:00", "2026-03-30T12:00") == ["2026-03-29T02:30", "2026-03-30T02:30"]
    assert due("30 * * * *", "2026-03-29T01:00", "2026-03-29T04:45") == [
        "2026-03-29T01:30",
        "2026-03-29T03:30",
        "2026-03-29T04:30",
    ]


def test_a_schedule_that_was_never_seen_begins_now() -> None:
    assert due_slots([digest("* * * * *")], {}, berlin("2026-11-23T08:00"), UTC) == []


def test_digests_at_one_time() -> None:
    here, there, again = digest("0 8 * * *"), digest("0 8 * * *", "C0OTHER"), digest("0 8 * * 1")
    seen = {name(each): berlin("2026-11-23T07:59") for each in (here, there, again)}
    slots = due_slots([here, there, again, here], seen, berlin("2026-11-23T08:00"), UTC)
    assert [slot.key for slot in slots] == [
        "2026-11-23T08:00 Europe/Berlin board",
        "2026-11-23T08:00 Europe/Berlin C0OTHER",
    ]


def test_a_long_absence_costs_no_long_look() -> None:
    every_minute = digest("* * * * *")
    now = berlin("2026-11-23T08:00")
    slots = due_slots([every_minute], {name(every_minute): 0.0}, now, UTC)
    assert 100 < len(slots) < 900 and slots[-1].at == now
    assert len([slot for slot in slots if slot.at <= now - GRACE]) == 100


def test_without_a_time_zone_it_is_this_machines() -> None:
    at = digest("0 8 * * *", timezone=None)
    assert next_slot([at], berlin("2026-11-23T07:00"), BERLIN) == berlin("2026-11-23T08:00")
    assert next_slot([at], berlin("2026-11-23T07:00"), UTC) == berlin("2026-11-23T09:00")


def test_when_there_is_no_next_one() -> None:
    assert next_slot([digest("0 8 30 2 *")], berlin("2026-11-23T07:00"), UTC) is None
    assert next_slot([], berlin("2026-11-23T07:00"), UTC) is None


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda two: f"{min(two)}-{max(two)}")
    part = st.one_of(number.map(str), span, st.tuples(span, st.integers(1, 9)).map(lambda two: f"{two[0]}/{two[1]}"))
    step = st.integers(1, 9).map(lambda each: f"*/{each}")
    return st.one_of(st.just("*"), step, st.lists(part, min_size=1, max_size=3).map(",".join))


def numbers(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = f"{low}-{high}".partition("-") if span == "*" else span.partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


@settings(max_examples=30, deadline=None)
@given(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6), st.integers(0, 300))
def test_slots_are_the_minutes_that_crontab_names(a: str, b: str, c: str, d: str, e: str, day: int) -> None:
    """Against the rules of crontab(5), written down once more, minute by minute for half a day."""
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    at = DigestSettings(f"{a} {b} {c} {d} {e}", "UTC")
    expected = []
    for minute in range(1, 12 * 60):
        then = start + timedelta(minutes=minute)
        of_month, of_week = then.day in numbers(c, 1, 31), (then.weekday() + 1) % 7 in numbers(e, 0, 6)
        either = of_month or of_week if not c.startswith("*") and not e.startswith("*") else of_month and of_week
        fits = then.minute in numbers(a, 0, 59) and then.hour in numbers(b, 0, 23) and then.month in numbers(d, 1, 12)
        expected += [then.timestamp()] if fits and either else []
    until = (start + timedelta(minutes=12 * 60 - 1)).timestamp()
    assert [slot.at for slot in due_slots([at], {name(at): start.timestamp()}, until, UTC)] == expected
