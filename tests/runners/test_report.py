from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from board.model import Board, Problem
from runners import report
from runners.drift import Drift
from runners.model import Attempt, Exit, Liveness
from runners.plan import standings
from runners.requests import Answer, Asked, Closed, Request
from tests.runners.test_plan import NOW, attempt, board, ended, see, task


def built(wanted: Board, *attempts: Attempt, waiting: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    seen = see(*attempts)
    where = standings(wanted, seen)
    made = report.build(wanted, Path("/work/shop/board.md"), where, seen.host, waiting or {}, "half saved", **more)
    again: dict[str, Any] = json.loads(json.dumps(made))  # plain data: it goes into a file
    return again


def test_a_task_that_never_ran() -> None:
    state = built(board(task()), waiting={"a": "after b"})
    assert state["tasks"] == [
        {
            "id": "a",
            "title": "A",
            "status": "ready",
            "condition": None,
            "health": None,
            "agent": "shell",
            "attempt": 0,
            "since": None,
            "why": "after b",
            "branch": None,
            "worktree": None,
            "nudged": None,
            "checkpoint": None,
            "ports": None,
            "exit": None,
            "drift": [],
        }
    ]
    assert (state["requests"], state["drift_at"]) == ([], None)
    assert state["board"] == "shop" and state["path"] == "/work/shop/board.md"
    assert (state["rev"], state["trouble"], state["max_workers"]) == (1, "half saved", 4)


def test_a_task_at_work() -> None:
    (shown,) = built(board(task(status="running", mux={"attempt": "1"})), attempt(ports=(20000, 20009)))["tasks"]
    assert (shown["status"], shown["condition"], shown["attempt"]) == ("running", "working", 1)
    assert (shown["branch"], shown["worktree"]) == ("mux/shop/a", "/homes/a")
    assert (shown["ports"], shown["checkpoint"]) == ([20000, 20009], "0123456")
    assert shown["since"] == "2027-01-15T07:59:01Z"


def test_conditions() -> None:
    wanted = board(*(task(name) for name in "abcd"))
    seen = [
        attempt("a", liveness=Liveness.PLANNED),
        attempt("b", liveness=Liveness.LOST),
        attempt("c", liveness=Liveness.ENDED, exit=Exit(NOW, None, 9)),
        attempt("d", exit=Exit(NOW, 0), **ended()),
    ]
    shown = built(wanted, *seen)["tasks"]
    assert [each["condition"] for each in shown] == ["working", "lost", "exited", "exited"]
    assert [each["exit"] for each in shown[2:]] == [{"code": None, "signal": 9}, {"code": 0, "signal": None}]


def test_a_worker_without_its_section_is_an_orphan_until_it_ended() -> None:
    state = built(board(), attempt("gone"), attempt("over", **ended()))
    (orphan,) = state["orphans"]
    assert orphan == {
        "id": "gone",
        "attempt": 1,
        "since": "2027-01-15T07:59:01Z",
        "worktree": "/homes/a",
        "branch": "mux/shop/a",
    }


def test_the_problems_of_the_board_are_all_there() -> None:
    found = (Problem(3, "no such agent", "a"), Problem(1, "odd", None, "warning"))
    assert built(board(task(), problems=found))["problems"] == [
        {"line": 3, "task": "a", "text": "no such agent", "severity": "error"},
        {"line": 1, "task": None, "text": "odd", "severity": "warning"},
    ]


def test_drift_is_with_its_task_and_says_how_old_it_is() -> None:
    found = {"a": (Drift("a", "clean", "1 file untracked", "git stash"),), "gone": (Drift("gone", "clean", "x", "y"),)}
    state = built(board(task()), drift=found, drift_at=NOW)
    assert state["tasks"][0]["drift"] == [
        {"rule": "clean", "text": "1 file untracked", "fix": "git stash", "known": True}
    ]
    assert state["drift_at"] == "2027-01-15T08:00:00Z"


def test_open_requests_are_all_there_and_closed_ones_are_not() -> None:
    request = Request(
        "0123456789ab", "recover", "same failure twice", "x", ("in-place", "checkpoint"), NOW, NOW + 60, "a", 2
    )
    others = Request("c" * 12, "outage", "3 workers ended", "x", ("resume",), NOW, members=(("a", 1), ("b", 1)))
    state = built(
        board(task()),
        requests=[
            Asked(request),
            Asked(others, Answer("resume", "terminal:ana", NOW)),
            Asked(request, closed=Closed("void", NOW)),
        ],
    )
    first, second = state["requests"]
    assert first == {
        "id": "0123456789ab",
        "task": "a",
        "attempt": 2,
        "tasks": [],
        "action": "recover",
        "why": "same failure twice",
        "says": None,
        "evidence": {},
        "choices": ["in-place", "checkpoint"],
        "free": False,
        "deniable": True,
        "since": "2027-01-15T08:00:00Z",
        "expires": "2027-01-15T08:01:00Z",
        "decided": None,
    }
    assert (second["tasks"], second["expires"]) == (["a", "b"], None)
    assert second["decided"] == {"choice": "resume", "by": "terminal:ana"}
