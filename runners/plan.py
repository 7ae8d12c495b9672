"""What to do next: a pure function of the board, what is seen, and the time.

`plan` run twice on the same input gives the same actions; once they are applied, it gives none. Nothing is decided from
unknown: when tmux could not be asked, nothing starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from board.edit import Change
from board.model import Board, Status, Task
from runners import nudging, outage, questions
from runners.actions import (
    Abandon,
    Action,
    Ask,
    AskAll,
    CarryOut,
    CloseWindow,
    Conclude,
    Judge,
    NudgeAgent,
    Observed,
    Plan,
    Retire,
    Start,
    StopWorker,
    WriteBoard,
)
from runners.asked import Asked
from runners.asking import to_ask, to_settle
from runners.case import claim, ended_badly
from runners.model import Attempt, Liveness
from runners.standing import Standing, is_live, standing
from runners.starting import starts

#: At most one board write in this many seconds, but for what people wait for (`URGENT`): each write costs a person who
#: has the file open a question from their editor.
WRITE_PAUSE = 5.0
#: `claimed` is not worth a write of its own if the worker runs within this many seconds.
CLAIM_GRACE = 1.0
#: `waiting` is worth one only after it lasted this many seconds: many questions are answered before.
WAITING_GRACE = 60.0
#: What is to be asked is not worth one before the request is there, which its reason names; unless that takes long.
ASK_GRACE = 5.0
#: What could not be looked at is looked at again after this many seconds.
LOOK_AGAIN = 1.0
URGENT = frozenset({Status.DONE, Status.REVIEW, Status.FAILED, Status.BLOCKED, Status.STOPPED})


def standings(board: Board, observed: Observed) -> dict[str, Standing]:
    """Where each task of the board stands, in board order."""
    return _standings(board, observed, questions.by_task(observed.asked, observed.host.attempts))


def _standings(board: Board, observed: Observed, asked: Mapping[str, tuple[Asked, ...]]) -> dict[str, Standing]:
    host = observed.host
    return {
        task.id: standing(
            task,
            host.attempts.get(task.id),
            asked.get(task.id, ()),
            host.abandoned.get(task.id, 0),
            observed.conditions.get(task.id),
        )
        for task in board.tasks
    }


def plan(board: Board, observed: Observed) -> Plan:
    asked = questions.by_task(observed.asked, observed.host.attempts)
    where = _standings(board, observed, asked)
    settled, expiries = to_settle(board, observed)
    concluded, conclude_at = _finish_ended(board, observed)
    wanted, ask_at = to_ask(board, observed, where)
    nudged, nudge_at = _nudge_idle(board, observed, asked)
    started = starts(board, observed, where, asked)
    write, write_at = _write_board(board, observed, where)
    actions: list[Action] = [*settled, *concluded, *_end_workers(board, observed, asked), *_retire(board, observed)]
    actions += [*_tidy_windows(observed), *wanted, *nudged, *started.actions, *write]
    times = [*expiries, *conclude_at, *ask_at, *nudge_at, *started.times, *_ends(board, observed), *write_at]
    if observed.host.windows is None:
        times.append(observed.now + LOOK_AGAIN)
    return Plan(tuple(_one_effect_each(actions)), min(times, default=None), started.waiting, where)


def _one_effect_each(actions: list[Action]) -> Iterator[Action]:
    """At most one slow effect a task, the first one: what is still wanted after it is planned again then."""
    taken: set[str] = set()
    for action in actions:
        mine: set[str] = set()
        if isinstance(action, AskAll):
            mine = {task for task, _ in action.members}
        elif isinstance(action, (Conclude, StopWorker, Judge, NudgeAgent, Ask, CarryOut, Start)):
            mine = {action.task}
        if taken.isdisjoint(mine):
            taken |= mine
            yield action


def _free(observed: Observed) -> Iterator[tuple[str, Attempt]]:
    """Live attempts that no slow effect is working on."""
    for task, attempt in observed.host.attempts.items():
        if is_live(attempt) and task not in observed.busy:
            yield task, attempt


def _finish_ended(board: Board, observed: Observed) -> tuple[list[Action], list[float]]:
    """A bad end that could be one of many is looked at a moment later: then it is known whether it is."""
    found: list[Action] = []
    times: list[float] = []
    policy = board.settings.outage
    members = outage.members(observed.host, policy, observed.now)
    for task, attempt in _free(observed):
        if attempt.liveness is Liveness.PLANNED:
            found.append(Abandon(task, attempt.number))
        if attempt.liveness is not Liveness.ENDED:
            continue
        ended_at = attempt.exit.at if attempt.exit is not None else observed.now
        settled_at = ended_at + outage.SETTLE if attempt.exit is not None else ended_at
        alone = task not in members and ended_badly(attempt)
        if alone and settled_at > observed.now and outage.could_grow(observed.host, policy, ended_at, observed.now):
            times.append(settled_at)
        else:
            found.append(Conclude(task, attempt.number, task in members))
    return found, times


def _end_workers(board: Board, observed: Observed, asked: Mapping[str, tuple[Asked, ...]]) -> Iterator[Action]:
    for task, attempt in _free(observed):
        if attempt.liveness not in (Liveness.RUNNING, Liveness.LOST):
            continue
        said = claim(attempt)
        if attempt.stop is not None:
            yield StopWorker(task, attempt.number, attempt.stop.reason)
        elif _stop_ordered(board, task) or _orphan_ends(asked.get(task, ())):
            yield StopWorker(task, attempt.number, "stopped")
        elif questions.restarts(asked.get(task, ()), task):
            continue  # it is ended for its restart
        elif _overdue(attempt, observed.now) and not observed.held:
            yield StopWorker(task, attempt.number, "timeout")
        elif said is not None and said.kind == "done" and not _is_judged(attempt):
            yield Judge(task, attempt.number)
        elif (at := _done_at(board, attempt)) is not None and at <= observed.now and not observed.held:
            yield StopWorker(task, attempt.number, "done")


def _orphan_ends(asked: tuple[Asked, ...]) -> bool:
    return any(each.request.action == "orphan" and each.approved for each in asked)


def _is_judged(attempt: Attempt) -> bool:
    said = claim(attempt)
    return said is not None and attempt.judged is not None and attempt.judged.claimed == said.at


def _done_at(board: Board, attempt: Attempt) -> float | None:
    """When a worker whose claim to be done holds is ended, if it has not left by itself."""
    said = claim(attempt)
    if said is None or said.kind != "done" or not _is_judged(attempt):
        return None
    assert attempt.judged is not None
    found = board.by_id.get(attempt.task)
    settings = found.settings if found else board.settings.defaults
    return attempt.judged.at + settings.done_grace if attempt.judged.passed else None


def _stop_ordered(board: Board, task: str) -> bool:
    found = board.by_id.get(task)
    return found is not None and found.status is Status.STOPPED


def _overdue(attempt: Attempt, now: float) -> bool:
    return attempt.timeout is not None and now >= _begin(attempt) + attempt.timeout


def _begin(attempt: Attempt) -> float:
    """When its time began to count: the command's start, or the attempt's while it is in setup."""
    return attempt.started if attempt.started is not None else attempt.created


def _ends(board: Board, observed: Observed) -> Iterator[float]:
    """When workers are to be ended."""
    for _, attempt in _free(observed):
        if attempt.stop is not None:
            continue
        if attempt.timeout is not None:
            yield _begin(attempt) + attempt.timeout
        if (at := _done_at(board, attempt)) is not None:
            yield at


def _nudge_idle(
    board: Board, observed: Observed, asked: Mapping[str, tuple[Asked, ...]]
) -> tuple[list[NudgeAgent], list[float]]:
    found: list[NudgeAgent] = []
    times: list[float] = []
    for task, attempt in _free(observed):
        condition = observed.conditions.get(task)
        at = nudging.nudge_at(board.by_id.get(task), attempt, asked.get(task, ()), condition)
        if at is not None and at <= observed.now:
            found.append(NudgeAgent(task, attempt.number))
        elif at is not None:
            times.append(at)
    return found, times


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


def _write_board(board: Board, observed: Observed, where: Mapping[str, Standing]) -> tuple[list[Action], list[float]]:
    """The owned lines that are not what they should be, and when to write them if not now."""
    changes = []
    due: list[float] = []
    for task in board.tasks:
        change = _change(task, where[task.id])
        if change is not None and where[task.id].ask not in ("rerun", "restart"):  # the order stands until it is asked
            changes.append(change)
            due.append(_due(change, where[task.id], observed))
    if not changes or not observed.writable:
        return [], []
    if min(due) > observed.now:
        return [], [min(due)]
    return [WriteBoard(tuple(changes))], []


def _change(task: Task, now_at: Standing) -> Change | None:
    status = now_at.status if now_at.status is not task.status or task.written_status else None
    wanted = {key: str(value) for key, value in (now_at.keys or {}).items()}
    mux = now_at.keys if now_at.keys is not None and wanted != dict(task.mux) else None
    return None if status is None and mux is None else Change(task.id, status, mux)


def _due(change: Change, now_at: Standing, observed: Observed) -> float:
    if now_at.ask is not None and now_at.since is not None:
        return now_at.since + ASK_GRACE
    if change.status in URGENT:
        return observed.now
    quiet = observed.wrote_at + WRITE_PAUSE
    if change.status is Status.CLAIMED and now_at.since is not None:
        return max(quiet, now_at.since + CLAIM_GRACE)
    if now_at.status is Status.WAITING and now_at.since is not None:
        return max(quiet, now_at.since + WAITING_GRACE)
    return quiet
