"""What to do next: a pure function of the board, what is seen, and the time.

`plan` run twice on the same input gives the same actions; once they are applied, it gives none. Nothing is decided from
unknown: when tmux could not be asked, nothing starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from board.edit import Change
from board.model import Board, Status, Task
from runners.model import Attempt, HostState, Liveness
from runners.overlap import overlap
from runners.standing import Standing, is_live, standing

#: At most one board write in this many seconds, but for what people wait for (`URGENT`): each write costs a person who
#: has the file open a question from their editor.
WRITE_PAUSE = 5.0
#: `claimed` is not worth a write of its own if the worker runs within this many seconds.
CLAIM_GRACE = 1.0
#: What could not be looked at is looked at again after this many seconds.
LOOK_AGAIN = 1.0
URGENT = frozenset({Status.DONE, Status.REVIEW, Status.FAILED, Status.BLOCKED, Status.STOPPED})


@dataclass(frozen=True, slots=True)
class Start:
    """Take the order and start a worker: claim, home, record, window."""

    task: str
    number: int  # at least; spent epochs are skipped


@dataclass(frozen=True, slots=True)
class Abandon:
    """Give up an attempt that was written down but never started; its epoch is spent, its order stands."""

    task: str
    number: int


@dataclass(frozen=True, slots=True)
class StopWorker:
    """End a worker: interrupt, TERM, KILL. Its home is kept as it is."""

    task: str
    number: int
    reason: str  # stopped | timeout


@dataclass(frozen=True, slots=True)
class Restart:
    """End a live worker for a restart that a person ordered, unless its home is dirty."""

    task: str
    number: int


@dataclass(frozen=True, slots=True)
class Conclude:
    """Look at the home of an attempt that ended and write down its outcome."""

    task: str
    number: int


@dataclass(frozen=True, slots=True)
class Retire:
    """The section of an attempt was taken off the board: a new one with its id will be a new task."""

    task: str
    number: int


@dataclass(frozen=True, slots=True)
class CloseWindow:
    """Close the dead window of an attempt that is no longer its task's newest."""

    window: str
    task: str


@dataclass(frozen=True, slots=True)
class WriteBoard:
    """Bring the lines that mux owns up to date."""

    changes: tuple[Change, ...]


Action = Start | Abandon | StopWorker | Restart | Conclude | Retire | CloseWindow | WriteBoard


@dataclass(frozen=True, slots=True)
class Observed:
    now: float
    host: HostState
    busy: frozenset[str] = frozenset()  # tasks with a slow effect under way
    refused: Mapping[str, str] = field(default_factory=dict)  # restart orders turned down, by task
    wrote_at: float = 0.0  # when mux last wrote the board
    writable: bool = True  # False while the file on disk is not the board in force
    held: bool = False  # True while a person is asked about a save that could wipe the board


@dataclass(frozen=True, slots=True)
class Plan:
    actions: tuple[Action, ...] = ()
    wake_at: float | None = None  # look again no later than this
    waiting: Mapping[str, str] = field(default_factory=dict)  # ready tasks that do not start yet, each with why
    where: Mapping[str, Standing] = field(default_factory=dict)  # where each task stands


def standings(board: Board, observed: Observed) -> dict[str, Standing]:
    """Where each task of the board stands, in board order."""
    host, refused = observed.host, observed.refused
    return {
        task.id: standing(task, host.attempts.get(task.id), refused.get(task.id), host.abandoned.get(task.id, 0))
        for task in board.tasks
    }


def plan(board: Board, observed: Observed) -> Plan:
    where = standings(board, observed)
    actions: list[Action] = []
    actions += _finish_ended(observed)
    actions += _end_workers(board, observed, where)
    actions += _retire(board, observed)
    actions += _tidy_windows(observed)
    starts, waiting = _start_ready(board, observed, where)
    actions += starts
    write, write_at = _write_board(board, observed, where)
    actions += write
    times = [*_timeouts(observed), *([write_at] if write_at is not None else [])]
    if observed.host.windows is None:
        times.append(observed.now + LOOK_AGAIN)
    return Plan(tuple(actions), min(times, default=None), waiting, where)


def _free(observed: Observed) -> Iterator[tuple[str, Attempt]]:
    """Live attempts that no slow effect is working on."""
    for task, attempt in observed.host.attempts.items():
        if is_live(attempt) and task not in observed.busy:
            yield task, attempt


def _finish_ended(observed: Observed) -> Iterator[Action]:
    for task, attempt in _free(observed):
        if attempt.liveness is Liveness.ENDED:
            yield Conclude(task, attempt.number)
        elif attempt.liveness is Liveness.PLANNED:
            yield Abandon(task, attempt.number)


def _end_workers(board: Board, observed: Observed, where: Mapping[str, Standing]) -> Iterator[Action]:
    for task, attempt in _free(observed):
        if attempt.liveness not in (Liveness.RUNNING, Liveness.LOST):
            continue
        wanted = where.get(task)  # None: its section was deleted; an orphan is never killed for that
        if attempt.stop is not None:
            if attempt.stop.reason == "restart":
                yield Restart(task, attempt.number)
            else:
                yield StopWorker(task, attempt.number, attempt.stop.reason)
        elif _stop_ordered(board, task):
            yield StopWorker(task, attempt.number, "stopped")
        elif _overdue(attempt, observed.now) and not observed.held:
            yield StopWorker(task, attempt.number, "timeout")
        elif wanted is not None and wanted.order and board.by_id[task].sound and not attempt.retired:
            yield Restart(task, attempt.number)


def _stop_ordered(board: Board, task: str) -> bool:
    found = board.by_id.get(task)
    return found is not None and found.status is Status.STOPPED


def _overdue(attempt: Attempt, now: float) -> bool:
    return attempt.timeout is not None and now >= _begin(attempt) + attempt.timeout


def _begin(attempt: Attempt) -> float:
    """When its time began to count: the command's start, or the attempt's while it is in setup."""
    return attempt.started if attempt.started is not None else attempt.created


def _timeouts(observed: Observed) -> Iterator[float]:
    for _, attempt in _free(observed):
        if attempt.timeout is not None and attempt.stop is None:
            yield _begin(attempt) + attempt.timeout


def _retire(board: Board, observed: Observed) -> Iterator[Action]:
    for task, attempt in observed.host.attempts.items():
        if not attempt.retired and task not in board.by_id and task not in observed.busy:
            yield Retire(task, attempt.number)


def _tidy_windows(observed: Observed) -> Iterator[Action]:
    """A task keeps the screen of its newest attempt; those before it go once the next one started."""
    for window in observed.host.windows or ():
        newest = observed.host.attempts.get(window.task)
        if window.dead and newest is not None and newest.number > window.attempt and window.task not in observed.busy:
            yield CloseWindow(window.id, window.task)


def _start_ready(
    board: Board, observed: Observed, where: Mapping[str, Standing]
) -> tuple[list[Action], dict[str, str]]:
    live = {task: attempt for task, attempt in observed.host.attempts.items() if is_live(attempt)}
    working = {task.id: task for task in board.tasks if task.id in live or task.id in observed.busy}
    slots = board.settings.max_workers - len(live.keys() | observed.busy)
    starts: list[Action] = []
    waiting: dict[str, str] = {}
    for task in sorted(board.tasks, key=lambda task: -task.settings.priority):  # stable: board order within a priority
        earlier = live.get(task.id)
        if earlier is not None and earlier.retired and where[task.id].order:
            waiting[task.id] = "the worker of an earlier task with this id still lives"
        if not where[task.id].order or task.id in working:
            continue
        reason = _held_back(task, board, observed, where) or _too_close(task, working.values())
        if reason is None and slots <= 0:
            reason = f"all {board.settings.max_workers} slots are taken (max_workers)"
        if reason is not None:
            waiting[task.id] = reason
            continue
        attempt = observed.host.attempts.get(task.id)
        starts.append(Start(task.id, max(task.attempt, attempt.number if attempt else 0) + 1))
        working[task.id] = task
        slots -= 1
    return starts, waiting


def _held_back(task: Task, board: Board, observed: Observed, where: Mapping[str, Standing]) -> str | None:
    """Why a ready task must not start yet, slots aside; None when nothing holds it."""
    if not task.sound:
        return "its section has a problem"
    if not board.sound:
        return "the board's front matter has a problem"
    if observed.held:
        return "the file is held until you decide: mux requests"
    if observed.host.windows is None:
        return "tmux could not be asked; looking again"
    if any(window.task == task.id and not window.dead for window in observed.host.windows):
        return "a window of an earlier attempt still lives"
    if task.settings.destructive and task.id in observed.host.attempts:
        return "it is destructive and ran before; this version does not run it again"
    return _waits_for(task, where)


def _waits_for(task: Task, where: Mapping[str, Standing]) -> str | None:
    enough = {Status.DONE, Status.REVIEW} if task.settings.after_review else {Status.DONE}
    missing = [name for name in task.settings.after if name not in where or where[name].status not in enough]
    return f"after {', '.join(missing)}" if missing else None


def _too_close(task: Task, working: Iterable[Task]) -> str | None:
    for other in working:
        if overlap(task.settings.touches, other.settings.touches):
            return f"touches the same files as {other.id}"
    return None


def _write_board(board: Board, observed: Observed, where: Mapping[str, Standing]) -> tuple[list[Action], float | None]:
    """The owned lines that are not what they should be, and when to write them if not now."""
    changes = []
    due: list[float] = []
    for task in board.tasks:
        change = _change(task, where[task.id])
        if change is not None:
            changes.append(change)
            due.append(_due(change, where[task.id], observed))
    if not changes or not observed.writable:
        return [], None
    if min(due) > observed.now:
        return [], min(due)
    return [WriteBoard(tuple(changes))], None


def _change(task: Task, now_at: Standing) -> Change | None:
    status = now_at.status if now_at.status is not task.status or task.written_status else None
    wanted = {key: str(value) for key, value in (now_at.keys or {}).items()}
    mux = now_at.keys if now_at.keys is not None and wanted != dict(task.mux) else None
    return None if status is None and mux is None else Change(task.id, status, mux)


def _due(change: Change, now_at: Standing, observed: Observed) -> float:
    if change.status in URGENT:
        return observed.now
    quiet = observed.wrote_at + WRITE_PAUSE
    if change.status is Status.CLAIMED and now_at.since is not None:
        return max(quiet, now_at.since + CLAIM_GRACE)
    return quiet
