from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from board.model import Board, Problem
from runners import report
from runners.model import Attempt, Exit, Liveness
from runners.plan import standings
from tests.runners.test_plan import NOW, attempt, board, ended, see, task


def built(wanted: Board, *attempts: Attempt, waiting: Mapping[str, str] | None = None) -> dict[str, Any]:
    seen = see(*attempts)
    where = standings(wanted, seen)
    made = report.build(wanted, Path("/work/shop/board.md"), where, seen.host, waiting or {}, "half saved")
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
            "agent": "shell",
            "attempt": 0,
            "since": None,
            "why": "after b",
            "branch": None,
            "worktree": None,
            "checkpoint": None,
            "ports": None,
            "exit": None,
        }
    ]
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
