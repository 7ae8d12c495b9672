from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.until import find_until

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 22, 40, tzinfo=BERLIN).timestamp()  # a Wednesday


def found(text: str) -> str | None:
    at = find_until(text, NOW, BERLIN)
    return None if at is None else f"{datetime.fromtimestamp(at, BERLIN):%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        # a time of day: the next one
        ("resets 3am", "11-26 03:00:00"),
        ("resets at 3:15pm (Europe/Berlin)", "11-26 15:15:00"),
        ("limit reached ∙ resets 11pm", "11-25 23:00:00"),
        ("purchase more credits or try again at 10:50 PM.", "11-25 22:50:00"),
        ("Access resets at 11:00 AM GMT+2.", "11-26 10:00:00"),
        ("Access resets at 11:00 AM UTC.", "11-26 12:00:00"),
        ("You've hit your limit · resets 8:30pm (Asia/Tokyo)", "11-26 12:30:00"),
        ("resets 12am", "11-26 00:00:00"),
        ("resets 12:30pm", "11-26 12:30:00"),
        ("resets 13:37", "11-26 13:37:00"),
        ("resets 3am (Not/AZone)", "11-26 03:00:00"),
        ("resets 10:38pm", "11-25 22:38:00"),  # just gone
        ("resets 10:30pm", "11-26 22:30:00"),
        # a day
        ("try again at Nov 27th, 2026 9:00 AM.", "11-27 09:00:00"),
        ("try again after December 3, 2026 at 2:45 PM", "12-03 14:45:00"),
        ("resets Dec 12, 8am (Europe/Paris)", "12-12 08:00:00"),
        ("resets Nov 24, 11am", "11-24 11:00:00"),  # over
        ("Try again Dec 18.", "12-18 00:00:00"),
        ("resets 21:13 on 2 Dec", "12-02 21:13:00"),
        ("Usage will reset when your monthly cycle ends on 12/23/2026.", "12-23 00:00:00"),
        ("resets Fri 9:00 AM", "11-27 09:00:00"),
        ("resets tomorrow at 6pm", "11-26 18:00:00"),
        # a span
        ("try again in 3 hours 12 minutes", "11-26 01:52:00"),
        ("or try again in 5 days 22 hours 11\nminutes.", "12-01 20:51:00"),
        ("Retry after 30 seconds", "11-25 22:40:30"),
        ("Resets in 2 days", "11-27 22:40:00"),
        ("Your quota will reset after 9h21m13s.", "11-26 08:01:13"),
        ("Please try again in 11.054s.", "11-25 22:40:11"),
        ("[retrying in 26s attempt #5]", "11-25 22:40:26"),
        ("retrying in 1h 5m attempt #2", "11-25 23:45:00"),
        ('"retryDelay": "34.07s"', "11-25 22:40:34"),
        ("Retry-After: 120", "11-25 22:42:00"),
        ("try again in 1 hour and 5 minutes", "11-25 23:45:00"),
        # a moment
        ("Claude AI usage limit reached|1795651200", "11-26 01:00:00"),
        ('"resets_at":1795651200,', "11-26 01:00:00"),
        ("resets at 2026-11-26T08:00:00Z", "11-26 09:00:00"),
        ("resets 2026-11-26 08:00:00.123+05:30", "11-26 03:30:00"),
        ("available again at 2026-11-26 08:00", "11-26 08:00:00"),
        # none
        ("2026-11-25T21:30:00Z ERROR: rate limit", None),
        ("try again later", None),
        ("resets Feb 31, 2027 8am", None),
        ("resets Dec 31, 2099", None),  # for a person to say
        ("try again in 9999999999999999999 days", None),
        ("error at line 3:15 of a file", None),
        ("", None),
    ],
)
def test_the_time_that_a_message_names(text: str, at: str | None) -> None:
    assert found(text) == at


def test_a_time_without_a_zone_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    at = find_until("resets 3am", NOW)
    assert at is not None
    assert datetime.fromtimestamp(at).astimezone().hour == 3


def test_tomorrow_is_a_day_of_the_calendar() -> None:
    """In the night of 25 October 2026 Berlin's clocks go back: 3am is ten hours after 6pm, not nine."""
    evening = datetime(2026, 10, 24, 18, tzinfo=BERLIN).timestamp()
    assert find_until("resets 3am", evening, BERLIN) == evening + 10 * 3600


@given(st.text(alphabet="resetin atry 0123456789:/-+.|apmhds()UTC\nNovFri", max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    at = find_until(text, NOW, UTC)
    assert at is None or at <= NOW + 32 * 86_400
