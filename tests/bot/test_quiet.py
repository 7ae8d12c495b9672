from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from board.model import QuietHours
from bot.quiet import quiet_until

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(22 * 60, 7 * 60, "Europe/Berlin")


def berlin(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        (NIGHT, "2026-11-23T21:59:59", None),
        (NIGHT, "2026-11-23T22:00:00", "2026-11-24T07:00"),
        (NIGHT, "2026-11-23T23:59:59", "2026-11-24T07:00"),
        (NIGHT, "2026-11-24T00:00:00", "2026-11-24T07:00"),
        (NIGHT, "2026-11-24T06:59:59", "2026-11-24T07:00"),
        (NIGHT, "2026-11-24T07:00:00", None),
        (QuietHours(12 * 60, 13 * 60, "Europe/Berlin"), "2026-11-24T12:30:00", "2026-11-24T13:00"),
        (QuietHours(12 * 60, 13 * 60, "Europe/Berlin"), "2026-11-24T23:30:00", None),
        (QuietHours(60, 60, "Europe/Berlin"), "2026-11-24T01:00:00", None),
        (None, "2026-11-24T01:00:00", None),
    ],
)
def test_hours_of_a_day_and_over_midnight(quiet: QuietHours | None, now: str, until: str | None) -> None:
    assert quiet_until(quiet, berlin(now), UTC) == (berlin(until) if until else None)


@pytest.mark.parametrize(("evening", "hours"), [("2026-03-28", 8), ("2026-10-24", 10), ("2026-11-23", 9)])
def test_a_night_in_which_the_clock_changes_ends_by_the_clock_on_the_wall(evening: str, hours: int) -> None:
    now = berlin(f"{evening}T22:00:00")
    assert quiet_until(NIGHT, now, UTC) == now + hours * 3600


def test_an_end_that_comes_twice() -> None:
    quiet = QuietHours(22 * 60, 2 * 60 + 30, "Europe/Berlin")
    assert quiet_until(quiet, berlin("2026-10-25T02:15:00"), UTC) == berlin("2026-10-25T02:30:00")
    assert quiet_until(quiet, berlin("2026-10-25T02:15:00", 1), UTC) == berlin("2026-10-25T02:30:00", 1)


def test_without_a_time_zone_it_is_this_machines() -> None:
    quiet = QuietHours(22 * 60, 7 * 60)
    assert quiet_until(quiet, berlin("2026-11-23T22:30:00"), BERLIN) == berlin("2026-11-24T07:00:00")
    assert quiet_until(quiet, berlin("2026-11-23T22:30:00"), UTC) is None
