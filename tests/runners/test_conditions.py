"""What a condition changes: status and reason, the slot, what is shown; and what it must not change."""

from __future__ import annotations

import pytest

from board.model import Status
from runners.actions import Start
from runners.conditions import concern, needed
from runners.health import Condition, Name
from runners.model import Liveness
from runners.plan import WAITING_GRACE, plan
from runners.standing import standing
from tests.runners.test_plan import NOW, attempt, board, does, ended, see, task, writes
from tests.runners.test_report import built

PERMISSION = Condition(Name.WAITING, "permission", "❯ 1. Yes, delete SECRET-FILE", NOW - 5)
IDLE = Condition(Name.WAITING, "idle", "", NOW - 700)
LIMIT = Condition(Name.LIMITED, "usage", "You've hit your limit", NOW - 5, until=NOW + 3_600)
RUNNING = task(status="running", mux={"attempt": "1"})


@pytest.mark.parametrize("condition", [PERMISSION, IDLE, LIMIT])
def test_a_worker_that_waits_says_for_what_and_since_when(condition: Condition) -> None:
    now_at = standing(RUNNING, attempt(), condition=condition)
    assert (now_at.status, now_at.since) == (Status.WAITING, condition.since)
    assert now_at.why == needed(condition, "a") and "a" in now_at.why
    assert "SECRET" not in now_at.why  # what the worker printed stays in the terminal


def test_a_limit_names_its_end() -> None:
    assert "out of quota until 2027-01-15T09:00:00Z" in needed(LIMIT, "a")


@pytest.mark.parametrize("name", [Name.STUCK, Name.SILENT, Name.LOOPING, Name.UNREACHABLE])
def test_what_looks_wrong_is_only_shown(name: Name) -> None:
    seen = Condition(name, "", "the same failure 5 times", NOW - 5_000)
    assert standing(RUNNING, attempt(), condition=seen) == standing(RUNNING, attempt())
    wanted = board(RUNNING)
    watched = see(attempt(), conditions={"a": seen})
    assert plan(wanted, watched) == plan(wanted, see(attempt()))
    (shown,) = built(wanted, attempt(), conditions={"a": seen})["tasks"]
    assert (shown["status"], shown["condition"], shown["why"]) == ("running", name, concern(seen, "a"))
    assert shown["health"]["evidence"] == "the same failure 5 times" and "failure 5" not in shown["why"]


@pytest.mark.parametrize("name", [Name.WORKING, Name.UNKNOWN])
def test_nothing_is_needed_by_one_that_works(name: Name) -> None:
    seen = Condition(name, "", "", NOW)
    assert (needed(seen, "a"), concern(seen, "a")) == ("", "")


def test_a_stopped_or_lost_worker_is_that_first() -> None:
    assert standing(task(status="stopped"), attempt(), condition=PERMISSION).status is Status.STOPPED
    assert standing(RUNNING, attempt(liveness=Liveness.LOST), condition=PERMISSION).status is Status.BLOCKED


def test_the_board_says_waiting_after_a_while() -> None:
    wanted = board(RUNNING)
    planned = plan(wanted, see(attempt(), conditions={"a": PERMISSION}))
    assert planned.actions == () and planned.wake_at == PERMISSION.since + WAITING_GRACE
    assert writes(wanted, see(attempt(), conditions={"a": IDLE}))["a"].status is Status.WAITING


def test_a_waiting_worker_gives_up_its_slot_after_wait_slot() -> None:
    wanted = board(RUNNING, task("b"), max_workers=1)
    assert does(wanted, see(attempt(), conditions={"a": PERMISSION})) == []
    assert does(wanted, see(attempt(), conditions={"a": IDLE})) == [Start("b", 1)]
    stuck = Condition(Name.STUCK, "", "", NOW - 5_000)
    assert does(wanted, see(attempt(), conditions={"a": stuck})) == []


def test_health_is_of_workers_that_live() -> None:
    (shown,) = built(board(RUNNING), attempt(), conditions={"a": LIMIT})["tasks"]
    assert shown["condition"] == "limited"
    assert shown["health"] == {
        "reason": "usage",
        "evidence": "You've hit your limit",
        "since": "2027-01-15T07:59:55Z",
        "until": "2027-01-15T09:00:00Z",
        "told": None,
    }
    over = built(board(RUNNING), attempt(**ended("failed")), conditions={"a": LIMIT})["tasks"][0]
    assert (over["condition"], over["health"]) == ("exited", None)
