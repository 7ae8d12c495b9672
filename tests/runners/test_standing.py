"""Where a task stands, as tables: what the board says and what its newest attempt says, and the word that follows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from board.model import PERSON_STATUSES, Status
from runners.asked import Asked, Request
from runners.model import Attempt, Liveness, Next, Outcome
from runners.standing import Standing, is_live, standing
from tests.runners.test_plan import NOW, attempt, ended, task

ALL = [str(status) for status in Status]
PEOPLES = [str(status) for status in PERSON_STATUSES]


def keys_of(now_at: Standing) -> dict[str, str]:
    assert now_at.keys is not None
    return {key: str(value) for key, value in now_at.keys.items()}


@pytest.mark.parametrize("word", ALL)
def test_a_task_that_never_ran(word: str) -> None:
    now_at = standing(task(status=word), None)
    assert now_at.status is (Status(word) if word in PEOPLES else Status.DRAFT)
    assert now_at.order is (word == "ready")
    assert now_at.keys is None  # mux has nothing to say


@pytest.mark.parametrize("word", ALL)
def test_lost_records_are_no_order_unless_a_person_gives_it(word: str) -> None:
    now_at = standing(task(status=word, mux={"attempt": "3", "worker": "a"}), None)
    assert now_at.order is (word == "ready")
    if word in PEOPLES:
        assert now_at.status is Status(word) and now_at.keys is None
    else:
        assert now_at.status is Status.FAILED and "no record of attempt 3" in now_at.why
        assert keys_of(now_at) == {"attempt": "3", "worker": "a", "why": now_at.why}


@pytest.mark.parametrize(
    ("word", "written", "status", "order"),
    [
        ("ready", 0, "running", False),  # the order that this very attempt took
        ("ready", 1, "running", False),  # written while it runs: a person is asked whether to restart it
        ("running", 1, "running", False),
        ("claimed", 1, "running", False),
        ("draft", 1, "running", False),
        ("waiting", 1, "running", False),
        ("failed", 1, "running", False),
        ("blocked", 1, "running", False),
        ("done", 1, "done", False),
        ("stopped", 1, "stopped", False),
        ("stopped", 0, "stopped", False),
    ],
)
def test_a_live_worker(word: str, written: int, status: str, order: bool) -> None:
    wanted = task(status=word, mux={"attempt": str(written)} if written else None)
    now_at = standing(wanted, attempt())
    assert (now_at.status, now_at.order) == (Status(status), order)
    assert keys_of(now_at)["attempt"] == "1"


def test_a_start_under_way_is_claimed() -> None:
    now_at = standing(task(), attempt(started=None, liveness=Liveness.PLANNED))
    assert (now_at.status, now_at.since) == (Status.CLAIMED, NOW - 60)


def test_a_start_that_was_cut_short_keeps_its_order() -> None:
    claimed = task(status="claimed", mux={"attempt": "2"})
    for before in (None, attempt(**ended("failed"))):
        now_at = standing(claimed, before, abandoned=2)
        assert (now_at.status, now_at.order) == (Status.CLAIMED, True)


@pytest.mark.parametrize("since", [attempt(number=3), attempt(number=3, **ended("failed"))])
def test_its_order_is_taken_once(since: Attempt) -> None:
    """Also when the next attempt was over before the board said that it ran."""
    now_at = standing(task(status="claimed", mux={"attempt": "2"}), since, abandoned=2)
    assert now_at.status is (Status.FAILED if since.outcome else Status.RUNNING) and not now_at.order


def test_a_claim_of_another_attempt_is_not_the_one_that_was_cut_short() -> None:
    assert not standing(task(status="claimed", mux={"attempt": "3"}), None, abandoned=2).order
    assert not standing(task(status="claimed"), None, abandoned=0).order
    assert not standing(task(status="running", mux={"attempt": "2"}), None, abandoned=2).order


@pytest.mark.parametrize("word", ["ready", "running", "draft", "done"])
def test_a_lost_worker_is_shown_and_named(word: str) -> None:
    now_at = standing(task(status=word, mux={"attempt": "1"}), attempt(liveness=Liveness.LOST))
    assert now_at.status is Status.BLOCKED and not now_at.order
    assert "pid 42" in now_at.why and "mux stop a" in now_at.why


def test_a_lost_worker_that_is_to_stop_is_being_stopped() -> None:
    now_at = standing(task(status="stopped", mux={"attempt": "1"}), attempt(liveness=Liveness.LOST))
    assert now_at.status is Status.STOPPED


@pytest.mark.parametrize("outcome", ["done", "failed", "blocked", "stopped"])
@pytest.mark.parametrize(
    ("word", "written", "expected"),
    [
        ("ready", 1, "ready"),
        ("ready", 0, None),
        ("running", 0, None),
        ("running", 1, None),
        ("claimed", 1, None),
        ("draft", 1, "draft"),
        ("stopped", 1, "stopped"),
        ("done", 1, "done"),
    ],
)
def test_an_ended_attempt(outcome: str, word: str, written: int, expected: str | None) -> None:
    wanted = task(status=word, mux={"attempt": str(written)} if written else None)
    now_at = standing(wanted, attempt(**ended(outcome)))
    assert now_at.status is Status(expected or outcome)
    assert now_at.order is (word == "ready" and written == 1)
    assert keys_of(now_at)["why"] == "why"


def test_the_keys_of_mux() -> None:
    seen = attempt(number=2, **ended())
    assert seen.outcome is not None
    passed = replace(seen, outcome=replace(seen.outcome, checkpoint="feedfacecafe"))
    since = "2027-01-15T07:59:50Z"
    expected = {"attempt": "2", "worker": "a", "since": since, "checkpoint": "feedfac", "why": "why"}
    assert keys_of(standing(task(), passed)) == expected
    assert keys_of(standing(task(), seen)) == expected | {"checkpoint": "0123456"}  # where its branch started
    unknown = replace(seen, home=replace(seen.home, start_commit=""))
    assert "checkpoint" not in keys_of(standing(task(), unknown))


def test_what_holds_a_slot() -> None:
    assert not is_live(None)
    assert is_live(attempt()) and is_live(attempt(liveness=Liveness.ENDED))
    assert not is_live(attempt(**ended()))


def test_while_several_are_asked_about_at_once_each_keeps_its_own_reason() -> None:
    request = Request(
        "0123456789ab", "outage", "3 tasks ended in one outage", "x", ("in-place",), NOW, members=(("a", 1),)
    )
    asks = Outcome(Status.BLOCKED, "dirty", "it has work that is not committed", NOW, next=Next("ask", NOW))
    now_at = standing(task(status="blocked"), attempt(**{**ended(), "outcome": asks}), (Asked(request),))
    assert now_at.why == (
        "it has work that is not committed; 3 tasks ended in one outage; decide: mux requests 0123456789ab"
    )
