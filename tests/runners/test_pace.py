"""Between two starts after an outage there is a pause, however long the first one takes."""

from __future__ import annotations

from runners.pace import Pace


def test_the_pause_begins_once_the_start_is_over() -> None:
    pace = Pace()
    assert pace.at(1000.0) == 0.0
    pace.begins("a", 1000.0)
    assert pace.at(1030.0) == 1030.0
    pace.over("a", 1031.0)
    assert pace.at(1050.0) == 1031.0


def test_what_else_is_over_does_not_count() -> None:
    pace = Pace()
    pace.over("b", 900.0)
    assert pace.at(1000.0) == 0.0
    pace.begins("a", 1000.0)
    pace.over("b", 1010.0)
    assert pace.at(1020.0) == 1020.0
    pace.over("a", 1021.0)
    pace.over("a", 1040.0)
    assert pace.at(1050.0) == 1021.0
