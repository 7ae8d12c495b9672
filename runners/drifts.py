"""Looking for drift: at one task, for `mux doctor`; now and then at all of a board, for the loop and `mux status`."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from board.errors import MuxError
from board.model import NOTHING, Board, Status, Task
from runners.agents import load
from runners.delivery import Delivery, of_task
from runners.drift import Drift, needs_branch, of_delivered, of_home, rules_of, unknown
from runners.host import Host
from runners.journal import Say
from runners.model import Attempt
from runners.standing import is_live, standing

#: Seconds until a task is looked at again: nothing tells when a file in its home changes.
AGAIN = 600.0
#: Seconds between two rounds, and how many tasks one looks at: a round holds up nothing for long.
PAUSE = 30.0
AT_ONCE = 25
_SAYS = frozenset({Status.DONE, Status.REVIEW})


def says_done(task: Task, attempt: Attempt | None) -> Status | None:
    """`done` or `review` of a task that ran and was judged; None for every other one. Pure."""
    if attempt is None or is_live(attempt):
        return None
    status = standing(task, attempt).status
    return status if status in _SAYS else None


def look(host: Host, board: Board, path: Path, task: Task, attempt: Attempt) -> tuple[Drift, ...]:
    """The drift of a task that says done. What could not be looked at is said as that."""
    status = says_done(task, attempt)
    if status is None:
        return ()
    delivery = of_task(path, board.settings, task.id, task.settings, attempt)
    try:
        facts = host.tree(delivery.home)
        if facts is None:
            return _of_gone(host, delivery, status)
        rules = rules_of(attempt.done_when or _asked(board, task), status)
        branch = host.branch_facts(delivery) if needs_branch(rules, facts, delivery.home.branch) else None
        return of_home(delivery, rules, facts, branch, task.settings.check is not None)
    except MuxError as error:
        return (unknown(task.id, str(error)),)


def _of_gone(host: Host, delivery: Delivery, status: Status) -> tuple[Drift, ...]:
    if delivery.checkpoint is None:
        return ()
    delivered = host.is_delivered(delivery, delivery.checkpoint)
    there = not delivered and host.branch_facts(delivery).head is not None
    return of_delivered(delivery, status, delivered, there)


def _asked(board: Board, task: Task) -> tuple[str, ...]:
    profile = load(board.settings.agents).get(task.settings.agent)
    return task.settings.done_when or (profile.done_when if profile else ())


@dataclass(frozen=True, slots=True)
class _Looked:
    at: float
    about: tuple[object, ...]  # with another value it is looked at anew at once
    drifts: tuple[Drift, ...]


class Drifts:
    """What the loop knows of drift. `refresh` is slow: in the pool, one at a time. The rest is instant."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._looked: Mapping[str, _Looked] = NOTHING  # replaced as a whole: read in another thread
        self._due_at = 0.0
        self._looks = False

    @property
    def looked_at(self) -> float | None:
        """When the task was looked at that was not for longest, in seconds since the epoch; None: none was yet."""
        return min((looked.at for looked in self._looked.values()), default=None)

    def due(self, now: float) -> bool:
        return now >= self._due_at

    def look_soon(
        self, pool: Executor, board: Board, path: Path, attempts: Mapping[str, Attempt], now: float, say: Say
    ) -> None:
        """One round in the pool if it is due, and never two at a time."""

        def look() -> None:
            try:
                for drift in self.refresh(board, path, attempts, now):
                    say("drift", drift.told, drift.task)
            finally:
                self._looks = False

        if not self._looks and self.due(now):
            self._looks = True
            pool.submit(look)

    def found(self) -> Mapping[str, tuple[Drift, ...]]:
        """By task, those that have any."""
        return {task: looked.drifts for task, looked in self._looked.items() if looked.drifts}

    def refresh(self, board: Board, path: Path, attempts: Mapping[str, Attempt], now: float) -> tuple[Drift, ...]:
        """Look at the tasks whose turn it is; returns the drift that was not there before. Raises nothing of git's."""
        tasks = {task.id: task for task in board.tasks if says_done(task, attempts.get(task.id)) is not None}
        looked = {task: known for task, known in self._looked.items() if task in tasks}
        about = {task: _about(tasks[task], attempts[task]) for task in tasks}
        turns = sorted(
            (task for task in tasks if _is_due(looked.get(task), about[task], now)),
            key=lambda task: looked[task].at if task in looked else 0.0,
        )
        new: list[Drift] = []
        for task in turns[:AT_ONCE]:
            drifts = look(self._host, board, path, tasks[task], attempts[task])
            before = {(each.rule, each.known) for each in looked[task].drifts} if task in looked else set()
            new += [each for each in drifts if (each.rule, each.known) not in before]
            looked[task] = _Looked(now, about[task], drifts)
        self._looked = looked
        self._due_at = now if len(turns) > AT_ONCE else now + PAUSE
        return tuple(new)


def _about(task: Task, attempt: Attempt) -> tuple[object, ...]:
    return (attempt.number, attempt.outcome, task.status, task.settings)


def _is_due(looked: _Looked | None, about: tuple[object, ...], now: float) -> bool:
    return looked is None or looked.about != about or now >= looked.at + AGAIN
