"""Where a task stands: one word and one reason, derived from the board and the newest attempt. Pure.

Nothing of this is stored. The board says what people want and what mux last wrote; the attempt's record says what
happened since. An attempt newer than the board's `mux.attempt` means that the board is behind: the order it carries has
been taken already. That is what keeps a crash between "start" and "write it down" from starting anything twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from board.clock import format_time
from board.model import PERSON_STATUSES, Status, Task
from runners.model import Attempt, Liveness


@dataclass(frozen=True, slots=True)
class Standing:
    """`keys` is what should stand under the task's `mux:`; None when mux has nothing to say and leaves it alone."""

    status: Status
    why: str
    since: float | None
    keys: Mapping[str, str | int] | None
    order: bool = False  # a person's `ready` that no attempt has taken yet


def standing(task: Task, attempt: Attempt | None, refused: str | None = None, abandoned: int = 0) -> Standing:
    """`attempt`: the task's newest one that was not abandoned; `abandoned`: the number of the newest that was.

    `refused`: why its restart order was turned down.
    """
    taken_since = attempt is not None and attempt.number > abandoned
    if task.status is Status.CLAIMED and 0 < task.attempt == abandoned and not taken_since:
        return Standing(Status.CLAIMED, "its start was cut short", None, None, order=True)
    if attempt is None or (attempt.retired and attempt.number != task.attempt):
        return _never_ran(task)
    if attempt.outcome is None:
        return _live(task, attempt, refused)
    return _ended(task, attempt)


def is_live(attempt: Attempt | None) -> bool:
    """It holds a slot: started or about to, and nothing concluded about it yet."""
    return attempt is not None and attempt.outcome is None


def _never_ran(task: Task) -> Standing:
    if task.status in PERSON_STATUSES:
        return Standing(task.status, "", None, None, order=task.status is Status.READY)
    if task.attempt == 0:
        return Standing(Status.DRAFT, f"'{task.status}' is mux's word; it never ran", None, None)
    why = f"no record of attempt {task.attempt} is left (was .mux removed?); write ready to run it again"
    return Standing(Status.FAILED, why, None, {**task.mux, "why": why})


def _live(task: Task, attempt: Attempt, refused: str | None) -> Standing:
    status = Status.RUNNING if attempt.started is not None else Status.CLAIMED
    since = attempt.started or attempt.created
    why = ""
    order = False
    if task.status is Status.STOPPED:
        status, why = Status.STOPPED, "stopping: its worker is to end"
    elif attempt.liveness is Liveness.LOST:
        status = Status.BLOCKED
        why = f"its wrapper is gone, but pid {attempt.pid} of it still lives; end it with: mux stop {task.id}"
    elif task.status is Status.DONE:
        status = Status.DONE
        why = f"marked done by a person while its worker still runs; end it with: mux stop {task.id}"
    elif task.status is Status.READY and task.attempt == attempt.number:
        if refused is None:
            status, why, order = Status.READY, "a restart was ordered", True
        else:
            why = refused
    elif refused is not None:
        why = refused
    return Standing(status, why, since, _keys(attempt, since, attempt.home.start_commit, why), order)


def _ended(task: Task, attempt: Attempt) -> Standing:
    outcome = attempt.outcome
    assert outcome is not None and outcome.status is not None
    checkpoint = outcome.checkpoint or attempt.home.start_commit
    keys = _keys(attempt, outcome.at, checkpoint, outcome.why)
    taken = task.attempt < attempt.number
    if task.written_status:  # a word that is no status says nothing: its own is put back
        return Standing(outcome.status, outcome.why, outcome.at, keys)
    if task.status is Status.READY and not taken:
        return Standing(Status.READY, outcome.why, outcome.at, keys, order=True)
    if task.status in PERSON_STATUSES and not (task.status is Status.READY and taken):
        return Standing(task.status, outcome.why, outcome.at, keys)
    return Standing(outcome.status, outcome.why, outcome.at, keys)


def _keys(attempt: Attempt, since: float, checkpoint: str, why: str) -> dict[str, str | int]:
    keys: dict[str, str | int] = {"attempt": attempt.number, "worker": attempt.task, "since": format_time(since)}
    if checkpoint:
        keys["checkpoint"] = checkpoint[:7]
    if why:
        keys["why"] = why
    return keys
