"""What `mux status` shows, as plain data: built by the loop after each pass, or by the command itself without it. Pure.

The shape is documented in `docs/status-json.md` and only ever grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from board.clock import format_time
from board.model import NOTHING, Board, Problem, Status, Task
from runners import names
from runners.conditions import concern
from runners.drift import Drift
from runners.health import Condition, Name
from runners.model import Attempt, HostState, Liveness
from runners.standing import Standing, is_live

if TYPE_CHECKING:  # it reads and writes files
    from runners.requests import Asked


def build(
    board: Board,
    path: Path,
    where: Mapping[str, Standing],
    host: HostState,
    waiting: Mapping[str, str],
    trouble: str | None,
    *,
    requests: Sequence[Asked] = (),
    drift: Mapping[str, tuple[Drift, ...]] = NOTHING,
    drift_at: float | None = None,
    conditions: Mapping[str, Condition] = NOTHING,
) -> dict[str, Any]:
    """`waiting`: ready tasks that do not start yet, with why. `trouble`: why the file on disk is not in force.

    `drift` by task, as it was at `drift_at`; None: nobody looked. Of `requests` the open ones are shown.
    `conditions`: of live workers that were looked at, by task.
    """
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
            _task(task, where[task.id], host.attempts.get(task.id), waiting.get(task.id), conditions.get(task.id))
            | {"drift": [_drift(each) for each in drift.get(task.id, ())]}
            for task in board.tasks
        ],
        "drift_at": format_time(drift_at) if drift_at is not None else None,
        "requests": [_request(asked) for asked in requests if asked.open],
        "orphans": [_orphan(attempt) for attempt in orphans],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {"line": problem.line, "task": problem.task, "text": problem.text, "severity": problem.severity}


def _drift(drift: Drift) -> dict[str, Any]:
    return {"rule": drift.rule, "text": drift.text, "fix": drift.fix, "known": drift.known}


def _request(asked: Asked) -> dict[str, Any]:
    request, answer = asked.request, asked.answer
    return {
        "id": request.id,
        "task": request.task,
        "attempt": request.attempt,
        "tasks": [task for task, _ in request.members],
        "action": request.action,
        "why": request.why,
        "says": request.says,
        "evidence": dict(request.evidence),
        "choices": list(request.choices),
        "free": request.free,
        "deniable": request.deniable,
        "since": format_time(request.at),
        "expires": format_time(request.expires) if request.expires is not None else None,
        "decided": {"choice": answer.choice, "by": answer.by} if answer is not None else None,
    }


def _task(
    task: Task, now_at: Standing, attempt: Attempt | None, waiting: str | None, condition: Condition | None
) -> dict[str, Any]:
    worries = concern(condition, task.id) if now_at.status in (Status.RUNNING, Status.CLAIMED) else ""
    out: dict[str, Any] = {
        "id": task.id,
        "title": task.title,
        "status": str(now_at.status),
        "condition": _condition(attempt, condition),
        "health": _health(condition) if _is_seen(attempt) else None,
        "agent": task.settings.agent,
        "attempt": attempt.number if attempt else task.attempt,
        "since": format_time(now_at.since) if now_at.since is not None else None,
        "why": waiting or worries or now_at.why,
        "branch": None,
        "worktree": None,
        "nudged": None,
        "checkpoint": (now_at.keys or {}).get("checkpoint"),
        "ports": None,
        "exit": None,
    }
    if attempt is not None:
        out |= {"branch": attempt.home.branch, "worktree": str(attempt.home.path), "ports": attempt.ports}
        if attempt.nudge is not None and not attempt.nudge.refused:
            out["nudged"] = format_time(attempt.nudge.at)
        if attempt.exit is not None:
            out["exit"] = {"code": attempt.exit.code, "signal": attempt.exit.signal}
    return out


def _condition(attempt: Attempt | None, condition: Condition | None) -> str | None:
    """How the worker is; `working` when it lives and nobody looked closer, None for a task that never ran."""
    if attempt is None:
        return None
    if attempt.liveness is Liveness.LOST:
        return "lost"
    if _is_seen(attempt):
        return str(condition.name if condition is not None else Name.WORKING)
    return str(Name.EXITED)


def _is_seen(attempt: Attempt | None) -> bool:
    """It has a worker that lives, as far as mux knows: its condition is of now."""
    return attempt is not None and is_live(attempt) and attempt.liveness not in (Liveness.ENDED, Liveness.LOST)


def _health(condition: Condition | None) -> dict[str, Any] | None:
    if condition is None:
        return None
    return {
        "reason": condition.reason,
        "evidence": condition.evidence,
        "since": format_time(condition.since),
        "until": format_time(condition.until) if condition.until is not None else None,
        "told": format_time(condition.told) if condition.told is not None else None,
    }


def _orphan(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.task,
        "attempt": attempt.number,
        "since": format_time(attempt.started or attempt.created),
        "worktree": str(attempt.home.path),
        "branch": attempt.home.branch,
    }
