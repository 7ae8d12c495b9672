"""What a control plane that starts anew must know of a worker, so that it tells nobody twice."""

from __future__ import annotations

from pathlib import Path

from runners import health_records
from runners.health import Health, Look, Name, Thresholds, advance, begin
from runners.screens import Seen

SENT = 5.0  # when a person had something typed: before all that is looked at here


def fails(health: Health, times: range) -> tuple[Health, int]:
    """The health after so many failures more, one every 10 s, and how often a person was told."""
    alerts = 0
    for number in times:
        text = "\n".join(f"● Bash(make {each})\n  ⎿  Error: Exit code 2\n     no rule" for each in range(number))
        for moment in (0.0, 1.0):
            now = number * 10 + moment
            look = Look(seen=Seen("working"), text=text, output_at=now, progress="x", person_at=SENT)
            health = advance(health, look, now, Thresholds(stuck_after=None))
            alerts += health.alerted
    return health, alerts


def test_a_loop_that_was_told_is_no_news_although_a_person_spoke_before_it(tmp_path: Path) -> None:
    health, alerts = fails(begin(0.0), range(1, 7))
    assert (health.condition.name, alerts) == (Name.LOOPING, 1)
    health_records.keep(tmp_path, health)
    recalled = health_records.recall(tmp_path, 65.0)
    assert recalled is not None
    health, alerts = fails(recalled, range(7, 13))
    assert (health.condition.name, alerts) == (Name.LOOPING, 0)


def test_what_a_person_said_long_ago_does_not_begin_the_count_of_stuck_anew(tmp_path: Path) -> None:
    health_records.keep(tmp_path, fails(begin(0.0), range(1, 3))[0])
    recalled = health_records.recall(tmp_path, 1_000.0)
    assert recalled is not None
    later = advance(recalled, Look(seen=Seen("working"), progress="x", person_at=SENT), 1_000.0)
    assert later.progress_at == recalled.progress_at < 100.0
