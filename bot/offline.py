"""What the control plane would show, computed by a command while none runs. Reads only; asks neither tmux nor git."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot import boards
from bot.place import Place
from runners import report
from runners.actions import CarryOut, Observed, Start
from runners.gate import describe_exit
from runners.model import Attempt, HostState
from runners.plan import plan
from runners.records import Records
from runners.requests import Requests


def state(place: Place, now: float, starts: str) -> dict[str, Any]:
    """The same as `state.json`. `starts` is said of a task that could start now. Raises MuxError."""
    seen = boards.seen(place)
    records = Records(place.folder)
    host = HostState(records.attempts(), windows=(), abandoned=records.abandoned())
    requests = Requests(place.folder).all()
    planned = plan(seen.board, Observed(now, host, asked=tuple(requests)))
    due = (action.task for action in planned.actions if isinstance(action, Start | CarryOut))
    waiting = dict.fromkeys(due, starts) | dict(planned.waiting)
    built = report.build(seen.board, place.path, planned.where, host, waiting, seen.trouble, requests=requests)
    tasks = [_with_end(task, host.attempts) for task in built["tasks"]]
    return built | {"tasks": tasks, "at": now}


def _with_end(task: dict[str, Any], attempts: Mapping[str, Attempt]) -> dict[str, Any]:
    """A worker that ended meanwhile: nobody has looked at its home yet, so nothing is concluded."""
    if task["status"] not in ("claimed", "running") or task["condition"] != "exited":
        return task
    return task | {"why": f"ended ({describe_exit(attempts[task['id']])}); the next `mux up` looks at what it left"}
