"""What `mux status` shows, as plain data: built by the loop after each pass, or by the command itself without it. Pure.

The shape is documented in `docs/status-json.md` and only ever grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from board.clock import format_time
from board.model import Board, Problem, Task
from runners import names
from runners.model import Attempt, HostState, Liveness
from runners.standing import Standing, is_live


def build(
    board: Board,
    path: Path,
    where: Mapping[str, Standing],
    host: HostState,
    waiting: Mapping[str, str],
    trouble: str | None,
) -> dict[str, Any]:
    """`waiting`: ready tasks that do not start yet, with why. `trouble`: why the file on disk is not in force."""
    known = {task.id for task in board.tasks}
    orphans = [attempt for task, attempt in host.attempts.items() if task not in known and is_live(attempt)]
    return {
        "board": names.board_name(path, board.settings),
        "path": str(path),
        "rev": board.rev,
        "trouble": trouble,
        "max_workers": board.settings.max_workers,
        "problems": [_problem(problem) for problem in board.problems],
        "tasks": [
            _task(task, where[task.id], host.attempts.get(task.id), waiting.get(task.id)) for task in board.tasks
        ],
        "orphans": [_orphan(attempt) for attempt in orphans],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {"line": problem.line, "task": problem.task, "text": problem.text, "severity": problem.severity}


def _task(task: Task, now_at: Standing, attempt: Attempt | None, waiting: str | None) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": task.id,
        "title": task.title,
        "status": str(now_at.status),
        "condition": _condition(attempt),
        "agent": task.settings.agent,
        "attempt": attempt.number if attempt else task.attempt,
        "since": format_time(now_at.since) if now_at.since is not None else None,
        "why": waiting or now_at.why,
        "branch": None,
        "worktree": None,
        "checkpoint": (now_at.keys or {}).get("checkpoint"),
        "ports": None,
        "exit": None,
    }
    if attempt is not None:
        out |= {"branch": attempt.home.branch, "worktree": str(attempt.home.path), "ports": attempt.ports}
        if attempt.exit is not None:
            out["exit"] = {"code": attempt.exit.code, "signal": attempt.exit.signal}
    return out


def _condition(attempt: Attempt | None) -> str | None:
    """`working`, `lost`, `exited`; None for a task that never ran."""
    if attempt is None:
        return None
    if attempt.liveness is Liveness.LOST:
        return "lost"
    return "working" if is_live(attempt) and attempt.liveness is not Liveness.ENDED else "exited"


def _orphan(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.task,
        "attempt": attempt.number,
        "since": format_time(attempt.started or attempt.created),
        "worktree": str(attempt.home.path),
        "branch": attempt.home.branch,
    }
