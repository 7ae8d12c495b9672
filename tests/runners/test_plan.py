"""The plan as tables: what is on the board and what is seen, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from board.clock import format_time
from board.edit import Change
from board.model import Board, BoardSettings, Problem, RestartPolicy, Status, Task, TaskSettings
from runners.actions import (
    Abandon,
    Ask,
    CarryOut,
    CloseRequest,
    CloseWindow,
    Conclude,
    Observed,
    Retire,
    Start,
    StopWorker,
    WriteBoard,
)
from runners.asked import DENY, EXPIRED, Answer, Asked, Closed, Request
from runners.model import Attempt, Cause, Exit, Home, HostState, Judged, Liveness, Next, Outcome, Report, Stop, Window
from runners.plan import plan

NOW = 1_800_000_000.0
HOME = Home(Path("/homes/a"), "mux/shop/a", "0123456789abcdef")


def task(name: str = "a", status: str = "ready", mux: dict[str, str] | None = None, **settings: Any) -> Task:
    return Task(name, name.title(), Status(status), "", 1, TaskSettings(**settings), mux or {})


def board(*tasks: Task, problems: tuple[Problem, ...] = (), **settings: Any) -> Board:
    by_id = MappingProxyType({each.id: each for each in tasks})
    return Board("", BoardSettings(**settings), 1, tasks, problems, by_id)


def attempt(name: str = "a", number: int = 1, **changes: Any) -> Attempt:
    base = Attempt(name, number, NOW - 60, "shell", "headless", HOME, Liveness.RUNNING, started=NOW - 59, pid=42)
    return replace(base, **changes)


def ended(status: str = "done", reason: str = "done", **changes: Any) -> dict[str, Any]:
    return {"liveness": Liveness.ENDED, "outcome": Outcome(Status(status), reason, "why", NOW - 10), **changes}


def see(*attempts: Attempt, windows: tuple[Window, ...] | None = (), **changes: Any) -> Observed:
    return Observed(NOW, HostState({each.task: each for each in attempts}, windows), **changes)


def restart(choice: str | None = None, **changes: Any) -> Asked:
    """Whether to end the worker and start it anew: asked while it lives, and answered with the `choice`."""
    request = Request("cafe", "restart", "why", "about", ("in-place",), NOW - 5, task="a", attempt=1)
    answer = Answer(choice, "person", NOW - 4) if choice else None
    return replace(Asked(replace(request, evidence={"live": 1, "word": "running"}), answer), **changes)


def does(wanted: Board, seen: Observed) -> list[Any]:
    return [action for action in plan(wanted, seen).actions if not isinstance(action, WriteBoard)]


def writes(wanted: Board, seen: Observed) -> dict[str, Change]:
    found = [action for action in plan(wanted, seen).actions if isinstance(action, WriteBoard)]
    return {change.task: change for action in found for change in action.changes}


def test_only_ready_starts() -> None:
    statuses = [status for status in Status if status is not Status.READY]
    assert does(board(*(task(f"t-{status}", status) for status in statuses), max_workers=99), see()) == []
    assert does(board(task()), see()) == [Start("a", 1)]


def test_a_started_order_is_not_started_again_before_the_board_says_so() -> None:
    """The crash between starting a worker and writing it down: the file still says ready, attempt 0."""
    assert does(board(task()), see(attempt())) == []
    assert writes(board(task()), see(attempt()))["a"].status is Status.RUNNING


def test_a_worker_that_ended_before_the_board_said_it_ran_is_not_run_again() -> None:
    seen = see(attempt(**ended("failed", "exit")))
    assert does(board(task()), seen) == []
    assert writes(board(task()), seen)["a"].status is Status.FAILED


@pytest.mark.parametrize("status", ["failed", "done", "blocked", "stopped"])
def test_ready_written_after_it_ended_runs_it_again(status: str) -> None:
    wanted = board(task(mux={"attempt": "1"}))
    assert does(wanted, see(attempt(**ended(status)))) == [Start("a", 2)]


def test_an_abandoned_start_keeps_its_order() -> None:
    assert does(board(task()), see(attempt(liveness=Liveness.PLANNED, started=None))) == [Abandon("a", 1)]


def test_an_order_stands_when_its_start_was_cut_short_after_the_board_said_claimed() -> None:
    wanted = board(task(status="claimed", mux={"attempt": "2"}))
    host = HostState({}, (), {"a": 2})
    assert does(wanted, Observed(NOW, host)) == [Start("a", 3)]
    assert writes(wanted, Observed(NOW, host)) == {}
    assert does(wanted, Observed(NOW, HostState({}, (), {"a": 1}))) == []  # of attempt 2 nothing is known


def test_a_start_under_way_is_left_alone() -> None:
    seen = see(attempt(liveness=Liveness.PLANNED, started=None), busy=frozenset({"a"}))
    assert does(board(task()), seen) == []


def test_an_ended_attempt_is_concluded_even_without_its_section() -> None:
    assert does(board(), see(attempt(liveness=Liveness.ENDED, retired=True))) == [Conclude("a", 1)]


def test_a_deleted_section_never_ends_its_worker() -> None:
    assert does(board(), see(attempt())) == [Retire("a", 1)]
    assert does(board(), see(attempt(retired=True))) == [Ask("a", 1, "orphan")]


def test_an_orphan_that_is_overdue_is_ended_and_asked_about_if_it_still_lives() -> None:
    overdue = attempt(retired=True, timeout=30.0)
    assert does(board(), see(overdue)) == [StopWorker("a", 1, "timeout")]


def test_a_new_section_with_the_id_of_an_orphan_waits_for_it_and_never_ends_it() -> None:
    planned = plan(board(task()), see(attempt(retired=True)))
    assert [action for action in planned.actions if not isinstance(action, WriteBoard)] == []
    assert "earlier task" in planned.waiting["a"]


@pytest.mark.parametrize("word", ["running", "done", "draft", "claimed", "failed", "waiting", "blocked", "review"])
def test_no_word_but_stopped_and_ready_touches_a_live_worker(word: str) -> None:
    assert does(board(task(status=word, mux={"attempt": "1"})), see(attempt())) == []


def test_stopped_ends_a_live_worker() -> None:
    wanted = board(task(status="stopped", mux={"attempt": "1"}))
    assert does(wanted, see(attempt())) == [StopWorker("a", 1, "stopped")]
    assert does(wanted, see(attempt(liveness=Liveness.LOST))) == [StopWorker("a", 1, "stopped")]


def test_a_stop_that_a_crash_cut_short_goes_on() -> None:
    seen = see(attempt(stop=Stop("timeout", NOW - 3)))
    assert does(board(task(status="running", mux={"attempt": "1"})), seen) == [StopWorker("a", 1, "timeout")]


def test_ready_on_a_live_worker_is_a_question_and_put_back() -> None:
    wanted = board(task(mux={"attempt": "1"}))
    assert does(wanted, see(attempt())) == [Ask("a", 1, "restart")]
    assert writes(wanted, see(attempt())) == {}, "the order stands until it is asked about"
    assert writes(wanted, see(attempt(), asked=(restart(),)))["a"].status is Status.RUNNING


@pytest.mark.parametrize(
    "worker",
    [
        attempt(),
        attempt(liveness=Liveness.LOST),
        attempt(reports=(Report("blocked", NOW - 9, "on X"),)),
        attempt(reports=(Report("done", NOW - 9),)),
        attempt(reports=(Report("done", NOW - 9),), judged=Judged(NOW - 9, NOW - 8, False, "dirt")),
        attempt(timeout=30.0),
    ],
)
def test_an_ordered_restart_is_carried_out_whatever_the_worker_says_or_is(worker: Attempt) -> None:
    wanted = board(task(status="running", mux={"attempt": "1"}))
    ordered = see(worker, asked=(restart("in-place"),))
    assert does(wanted, ordered) == [CarryOut("a", 1, "cafe", "in-place")]


def test_an_ordered_restart_waits_until_its_ended_worker_is_looked_at() -> None:
    wanted = board(task(status="running", mux={"attempt": "1"}))
    over = attempt(liveness=Liveness.ENDED, exit=Exit(NOW - 2, None, 15), stop=Stop("restart", NOW - 3))
    stopped = restart("in-place", steps={"stop": {"at": NOW - 3}})
    assert does(wanted, see(over, asked=(stopped,))) == [Conclude("a", 1)]
    assert does(wanted, see(replace(over, stop=None), asked=(stopped,))) == [Conclude("a", 1)]


def test_a_worker_that_ended_before_its_restart_was_decided_is_not_blocked_by_the_question() -> None:
    wanted = board(task(status="running", mux={"attempt": "1"}))
    seen = see(attempt(**ended("claimed")), asked=(restart(),))
    assert does(wanted, seen) == [CloseRequest("cafe", "its worker ended by itself")]
    assert writes(wanted, seen)["a"].status is Status.CLAIMED


@pytest.mark.parametrize("stop", [None, Stop("restart", NOW - 3)])
def test_a_worker_that_was_through_before_its_restart_reached_it_does_not_run_again(stop: Stop | None) -> None:
    """The first step of the restart was begun, and then there was nothing left to end."""
    wanted = board(task(status="running", mux={"attempt": "1"}))
    over = attempt(**ended("done", "exit 0", exit=Exit(NOW - 3, 0)), stop=stop)
    seen = see(over, asked=(restart("in-place", steps={"stop": {"at": NOW - 3}}),))
    assert does(wanted, seen) == [CloseRequest("cafe", "its worker ended by itself")]
    assert writes(wanted, seen)["a"].status is Status.DONE


@pytest.mark.parametrize("choice", [None, "in-place", "deny"])
def test_a_ready_that_became_a_question_does_not_start_its_task_once_the_worker_ended_by_itself(
    choice: str | None,
) -> None:
    """The file still says `ready`, as mux has not put its own word back yet; it ran for less than a second."""
    wanted = board(task(status="ready", mux={"attempt": "1", "since": format_time(NOW - 10)}))
    asked = restart(choice)
    asked = replace(asked, request=replace(asked.request, evidence={"live": 1, "word": "ready"}))
    seen = see(attempt(**ended("done", "exit 0", exit=Exit(NOW - 3, 0))), asked=(asked,))
    assert [each for each in does(wanted, seen) if isinstance(each, Start | CarryOut)] == []
    assert writes(wanted, seen)["a"].status is Status.DONE


@pytest.mark.parametrize("choice", [None, "in-place", "deny"])
def test_a_ready_that_is_written_after_the_end_was_is_an_order_whatever_was_asked_before(choice: str | None) -> None:
    over = attempt(**ended("failed", "exit", exit=Exit(NOW - 11, 3)))
    mux = {"attempt": "1", "since": format_time(NOW - 10), "why": "exit 3"}
    asked = restart(choice)
    asked = replace(asked, request=replace(asked.request, evidence={"live": 1, "word": "ready"}))
    asked = replace(asked, closed=Closed("its worker ended by itself", NOW - 9))
    assert Start("a", 2) in does(board(task(status="ready", mux=mux)), see(over, asked=(asked,)))


def test_what_was_approved_is_carried_out_though_it_is_asked_about_once_more() -> None:
    wanted = board(task(status="claimed", mux={"attempt": "1"}))
    approved = restart("in-place", steps={"stop": {"at": NOW - 3}})
    again = Asked(replace(approved.request, id="beef", evidence={"word": "claimed"}))
    over = attempt(**ended("stopped", "restart"), stop=Stop("restart", NOW - 3, reached=NOW - 3))
    seen = see(over, asked=(approved, again))
    assert does(wanted, seen) == [CarryOut("a", 1, "cafe", "in-place")]


def test_a_restart_that_a_person_denied_does_not_go_on_by_itself() -> None:
    """They were asked by `mux restart`, while mux was about to restart it."""
    wanted = board(task(status="claimed", mux={"attempt": "1"}))
    goes_on = Outcome(Status.CLAIMED, "exit", "exit 1", NOW - 10, next=Next("restart", NOW - 1))
    over = attempt(liveness=Liveness.ENDED, outcome=goes_on)
    asked = Asked(replace(restart().request, evidence={}))
    assert does(wanted, see(over)) == [Start("a", 2, Cause.MUX, why="restarted after ")]
    assert does(wanted, see(over, asked=(asked,))) == []
    for choice in (DENY, EXPIRED):
        denied = replace(asked, answer=Answer(choice, "person", NOW - 2), closed=Closed("denied", NOW - 1))
        assert does(wanted, see(over, asked=(denied,))) == []
        change = writes(wanted, see(over, asked=(denied,)))["a"]
        assert change.status is Status.BLOCKED
        assert change.mux is not None and str(change.mux["why"]).startswith("not decided")


@pytest.mark.parametrize("settings", [{"destructive": True}, {"restart": RestartPolicy("never")}])
def test_what_the_board_says_now_holds_for_a_restart_that_was_decided_before(settings: dict[str, Any]) -> None:
    """Its section was gone when it ended, and is back."""
    wanted = board(task(status="claimed", mux={"attempt": "1"}, **settings))
    goes_on = Outcome(Status.CLAIMED, "exit", "exit 1", NOW - 10, next=Next("restart", NOW - 1, after="exit 1"))
    seen = see(attempt(liveness=Liveness.ENDED, outcome=goes_on))
    assert does(wanted, seen) == [Ask("a", 1, "recover")]


def test_an_ordered_restart_of_a_worker_marked_done_or_being_stopped_is_no_word_too_late() -> None:
    done = board(task(status="done", mux={"attempt": "1"}))
    asked = restart("in-place")
    ordered = replace(asked, request=replace(asked.request, evidence={"live": 1, "word": "done"}))
    assert does(done, see(attempt(), asked=(ordered,))) == []
    assert writes(done, see(attempt(), asked=(ordered,)))["a"].status is Status.RUNNING
    stopped = board(task(status="stopped", mux={"attempt": "1"}))
    ordered = replace(asked, request=replace(asked.request, evidence={"live": 1, "word": "stopped"}))
    over = attempt(**ended("stopped", stop=Stop("stopped", NOW - 9)))
    assert does(stopped, see(over, asked=(ordered,))) == []
    assert writes(stopped, see(over, asked=(ordered,)))["a"].status is Status.CLAIMED


def test_an_approved_start_that_was_cut_short_is_made_again_as_it_was_approved() -> None:
    """Not as an order: that would start from the prompt what was to be resumed."""
    wanted = board(task(status="claimed", mux={"attempt": "2"}))
    before = attempt(**ended("blocked"))
    approved = restart("resume", steps={"start-a": {"at": NOW - 3}})
    approved = replace(approved, request=replace(approved.request, evidence={}))
    cut_short = attempt(number=2, liveness=Liveness.PLANNED, started=None)
    assert does(wanted, see(cut_short, asked=(approved,))) == [Abandon("a", 2)]
    host = HostState({"a": before}, (), {"a": 2})
    assert does(wanted, Observed(NOW, host, asked=(approved,))) == [CarryOut("a", 1, "cafe", "resume")]
    assert does(wanted, Observed(NOW, host)) == [Start("a", 3)]


def test_ready_on_a_destructive_task_whose_start_is_approved_asks_no_second_time() -> None:
    wanted = board(task(mux={"attempt": "1"}, destructive=True))
    approved = restart("in-place")
    approved = replace(approved, request=replace(approved.request, action="recover", evidence={}))
    assert does(wanted, see(attempt(**ended("blocked")), asked=(approved,))) == [CarryOut("a", 1, "cafe", "in-place")]


@pytest.mark.parametrize("word", ["stopped", "done", "draft"])
def test_a_word_written_after_a_restart_was_asked_about_stands(word: str) -> None:
    wanted = board(task(status=word, mux={"attempt": "1"}))
    goes_on = Outcome(Status.CLAIMED, "exit", "exit 1", NOW - 10, next=Next("restart", NOW - 1))
    asked = Asked(replace(restart().request, evidence={"word": "claimed"}))
    seen = see(attempt(liveness=Liveness.ENDED, outcome=goes_on), asked=(asked,))
    assert does(wanted, seen) == [CloseRequest("cafe", f"'{word}' was written at a")]
    assert writes(wanted, seen)["a"].status is None


@pytest.mark.parametrize("action", ["restart", "rerun"])
def test_what_was_approved_and_found_changed_is_asked_about_anew(action: str) -> None:
    wanted = board(task(status="claimed", mux={"attempt": "1"}))
    approved = restart("in-place", steps={"void-a": {"at": NOW - 3}}, closed=Closed("changed", NOW - 2))
    void = replace(approved, request=replace(approved.request, action=action, evidence={}))
    assert does(wanted, see(attempt(**ended("stopped")), asked=(void,))) == [Ask("a", 1, action)]


def test_a_timeout_ends_the_worker_and_wakes_the_loop_in_time() -> None:
    wanted = board(task(status="running", mux={"attempt": "1"}))
    assert does(wanted, see(attempt(timeout=30.0))) == [StopWorker("a", 1, "timeout")]
    assert plan(wanted, see(attempt(timeout=70.0), wrote_at=NOW)).wake_at == NOW + 5
    settled = board(task(status="running", mux=_keys(wanted, attempt(timeout=70.0))))
    assert plan(settled, see(attempt(timeout=70.0))).wake_at == NOW + 11


def test_a_worker_that_lost_its_wrapper_is_shown_and_nothing_starts() -> None:
    wanted = board(task(mux={"attempt": "1"}))
    seen = see(attempt(liveness=Liveness.LOST))
    assert does(wanted, seen) == [Ask("a", 1, "restart")]
    change = writes(wanted, replace(seen, asked=(restart(),)))["a"]
    assert change.status is Status.BLOCKED
    assert change.mux is not None and "pid 42" in str(change.mux["why"])


def test_slots_priority_and_order() -> None:
    wanted = board(task("a"), task("b", priority=5), task("c"), max_workers=2)
    assert does(wanted, see()) == [Start("b", 1), Start("a", 1)]
    assert "max_workers" in plan(wanted, see()).waiting["c"]
    orphans = see(attempt("x", retired=True), attempt("y", retired=True))
    assert does(wanted, orphans) == [Ask("x", 1, "orphan"), Ask("y", 1, "orphan")]  # they hold slots too


def test_after_waits_for_done() -> None:
    def wanted(status: str, **settings: Any) -> Board:
        return board(task("a", status, mux={"attempt": "1"}), task("b", after=("a",), **settings))

    assert does(wanted("running"), see(attempt())) == []
    assert does(wanted("review"), see(attempt(**ended("review")))) == []
    assert does(wanted("review", after_review=True), see(attempt(**ended("review")))) == [Start("b", 1)]
    assert does(wanted("done"), see(attempt(**ended()))) == [Start("b", 1)]
    assert does(board(task("b", after=("gone",))), see()) == []


def test_tasks_that_touch_the_same_files_run_one_after_the_other() -> None:
    wanted = board(task("a", touches=("src/*.py",)), task("b", touches=("src/x.py",)), task("c", touches=("docs/",)))
    assert does(wanted, see()) == [Start("a", 1), Start("c", 1)]
    assert plan(wanted, see()).waiting["b"] == "touches the same files as a"


@pytest.mark.parametrize(
    "wanted",
    [
        board(replace(task(), problems=(Problem(3, "unknown key", "a"),))),
        board(task(), problems=(Problem(2, "unknown key"),)),
    ],
)
def test_problems_start_nothing(wanted: Board) -> None:
    assert does(wanted, see()) == []


def test_unknown_starts_nothing_and_looks_again() -> None:
    planned = plan(board(task()), see(windows=None))
    assert planned.actions == ()
    assert planned.wake_at == NOW + 1


def test_a_window_that_still_lives_starts_nothing() -> None:
    window = Window("@1", "a", 1, 9, False, NOW)
    assert does(board(task()), see(windows=(window,))) == []


def test_a_destructive_task_runs_again_only_after_a_question() -> None:
    wanted = board(task(mux={"attempt": "1"}, destructive=True))
    assert does(wanted, see(attempt(**ended("failed")))) == [Ask("a", 1, "rerun")]
    assert does(board(task(destructive=True)), see()) == [Start("a", 1)]


def test_a_new_section_with_the_id_of_one_taken_off_the_board_is_a_new_task() -> None:
    over = attempt(number=3, **ended("done"))
    assert does(board(), see(over)) == [Retire("a", 3)]
    retired = see(replace(over, retired=True))
    assert does(board(), retired) == []
    assert does(board(task()), retired) == [Start("a", 4)]
    assert writes(board(task(status="draft")), retired) == {}
    put_back = board(task(status="done", mux={"attempt": "3"}))
    assert does(put_back, retired) == []


def test_only_the_newest_attempt_keeps_its_dead_window() -> None:
    windows = (Window("@1", "a", 1, 9, True, NOW), Window("@2", "a", 2, 10, False, NOW))
    wanted = board(task(status="running", mux={"attempt": "2"}))
    assert does(wanted, see(attempt(number=2), windows=windows)) == [CloseWindow("@1", "a")]


def test_lost_records_restart_nothing() -> None:
    wanted = board(task(status="running", mux={"attempt": "3"}))
    assert does(wanted, see()) == []
    change = writes(wanted, see())["a"]
    assert change.status is Status.FAILED
    assert change.mux is not None and "no record of attempt 3" in str(change.mux["why"])
    assert does(board(task(mux={"attempt": "3"})), see()) == [Start("a", 4)]


@pytest.mark.parametrize("word", ["running", "claimed", "waiting", "review", "failed", "blocked"])
def test_mux_words_written_by_a_person_are_put_back(word: str) -> None:
    assert writes(board(task(status=word)), see())["a"].status is Status.DRAFT
    kept = board(task(status=word, mux={"attempt": "1"}))
    back = writes(kept, see(attempt(**ended("done"))))["a"].status
    assert back is Status.DONE


@pytest.mark.parametrize("word", ["draft", "stopped", "done"])
def test_a_persons_words_on_an_ended_task_stay(word: str) -> None:
    change = writes(board(task(status=word, mux={"attempt": "1"})), see(attempt(**ended("failed"))))["a"]
    assert change.status is None  # only the mux keys are brought up to date


def test_writes_are_paced_but_not_for_what_people_wait_for() -> None:
    wanted = board(task())
    assert writes(wanted, see(attempt(), wrote_at=NOW - 1)) == {}
    assert plan(wanted, see(attempt(), wrote_at=NOW - 1)).wake_at == NOW + 4
    assert writes(wanted, see(attempt(**ended("failed")), wrote_at=NOW - 1))
    claimed = attempt(created=NOW - 0.2, started=None, liveness=Liveness.PLANNED)
    seen = see(claimed, busy=frozenset({"a"}))
    assert writes(wanted, seen) == {}
    assert plan(wanted, seen).wake_at == pytest.approx(NOW + 0.8)


def test_nothing_is_written_while_the_file_is_not_the_board_in_force() -> None:
    assert writes(board(task()), see(attempt(**ended("failed")), writable=False)) == {}


def test_what_was_applied_is_not_planned_again() -> None:
    wanted = board(task("a", mux={"attempt": "1"}, status="running"), task("b", "running", mux={"attempt": "1"}))
    exited = attempt("b", exit=Exit(NOW, 0), **ended("done"))
    seen = see(attempt("a"), exited)
    changes = writes(wanted, seen)
    after = board(*(_applied(each, changes.get(each.id)) for each in wanted.tasks))
    assert plan(after, seen).actions == ()


def _applied(each: Task, change: Change | None) -> Task:
    if change is None:
        return each
    mux = dict(change.mux) if change.mux is not None else each.mux
    return replace(each, status=change.status or each.status, mux={key: str(value) for key, value in mux.items()})


def _keys(wanted: Board, seen: Attempt) -> dict[str, str]:
    change = writes(wanted, see(seen))["a"]
    assert change.mux is not None
    return {key: str(value) for key, value in change.mux.items()}
