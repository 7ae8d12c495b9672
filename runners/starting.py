"""Which workers start now, which wait, and for what. Pure.

Three things start one: a person's `ready`, a restart that the recovery table decided, and a request that was approved.
All take a slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from board.model import Board, Status, Task
from runners import outage, questions
from runners.actions import CarryOut, Observed, Start
from runners.asked import Asked
from runners.conditions import needed
from runners.model import Attempt, Cause, How, Liveness, Row
from runners.overlap import overlap
from runners.standing import Standing, is_live


@dataclass(frozen=True, slots=True)
class Starts:
    actions: tuple[Start | CarryOut, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    times: tuple[float, ...] = ()  # when to look again


@dataclass(frozen=True, slots=True)
class _Scene:
    board: Board
    observed: Observed
    where: Mapping[str, Standing]
    asked: Mapping[str, tuple[Asked, ...]]
    together: frozenset[str]  # tasks that ended in an outage


def starts(
    board: Board, observed: Observed, where: Mapping[str, Standing], asked: Mapping[str, tuple[Asked, ...]]
) -> Starts:
    """`asked`: by task, the requests about its newest attempt."""
    scene = _Scene(board, observed, where, asked, outage.members(observed.host, board.settings.outage, observed.now))
    live = {task: attempt for task, attempt in observed.host.attempts.items() if is_live(attempt)}
    working = {task.id: task for task in board.tasks if task.id in live or task.id in observed.busy}
    slots = board.settings.max_workers - len(_holding(scene, live) | observed.busy)
    actions: list[Start | CarryOut] = []
    waiting: dict[str, str] = {}
    times = [at for task in live if (at := _gives_up_slot(scene, task)) is not None and at > observed.now]
    paced_at = _paced_at(observed)
    for task in sorted(board.tasks, key=lambda task: -task.settings.priority):  # stable: board order within a priority
        earlier = live.get(task.id)
        if earlier is not None and earlier.retired and where[task.id].order:
            waiting[task.id] = "the worker of an earlier task with this id still lives"
        action, due = _wanted(task, scene)
        if action is None or task.id in observed.busy:
            continue
        if due > observed.now:
            times.append(due)
            continue
        if task.id in live:  # its worker is ended first; it has its slot already
            lives = live[task.id].liveness in (Liveness.RUNNING, Liveness.LOST)
            if isinstance(action, CarryOut) and lives and live[task.id].stop is None:
                actions.append(action)
            continue
        reason = _held_back(task, scene) or _too_close(task, working.values())
        paced = _is_paced(action, task, scene)
        if reason is None and paced and paced_at + board.settings.outage.pace > observed.now:
            times.append(paced_at + board.settings.outage.pace)
            reason = f"after the outage one worker starts every {board.settings.outage.pace:g} s"
        if reason is None and slots <= 0:
            reason = f"all {board.settings.max_workers} slots are taken (max_workers)"
        if reason is not None:
            waiting[task.id] = reason
            continue
        actions.append(action)
        working[task.id] = task
        slots -= 1
        if paced:
            paced_at = observed.now
    return Starts(tuple(actions), waiting, tuple(times))


def _wanted(task: Task, scene: _Scene) -> tuple[Start | CarryOut | None, float]:
    """What should start the task, and when."""
    now_at, attempt = scene.where[task.id], scene.observed.host.attempts.get(task.id)
    number = max(task.attempt, attempt.number if attempt else 0) + 1
    approved = next((each for each in reversed(scene.asked.get(task.id, ())) if _is_approved(each, attempt)), None)
    if now_at.order:
        return Start(task.id, number), scene.observed.now
    goes_on = now_at.status in (Status.CLAIMED, Status.WAITING, Status.RUNNING)
    if attempt is None or not (goes_on or is_live(attempt)):  # one that lives may be blocked, and is restarted then
        return None, 0.0
    if approved is not None and approved.answer is not None:
        if task.status in (Status.STOPPED, Status.DONE, Status.DRAFT):
            return None, 0.0  # a word that the approval takes the place of: the board says so first
        carry = CarryOut(task.id, attempt.number, approved.request.id, approved.answer.choice)
        return carry, scene.observed.now
    outcome = attempt.outcome
    if outcome is None or outcome.next is None or outcome.next.do == "ask":
        return None, 0.0
    how = How.RESUME if outcome.next.do == "resume" else How.START
    why = f"{'resumed' if how is How.RESUME else 'restarted'} after {outcome.next.after}"
    return Start(task.id, number, _cause(task, outcome.row, scene), how, why), outcome.next.at


def _cause(task: Task, row: str, scene: _Scene) -> Cause:
    if row == Row.LIMITED:
        return Cause.LIMIT
    return Cause.OUTAGE if task.id in scene.together else Cause.MUX


def _is_approved(asked: Asked, attempt: Attempt | None) -> bool:
    if attempt is None or asked.request.action not in questions.OF_MUX or not asked.approved:
        return False
    return not questions.is_void(asked, attempt.task) and not questions.is_settled(asked, attempt)


def _is_paced(action: Start | CarryOut, task: Task, scene: _Scene) -> bool:
    """After an outage all that mux starts comes one by one; what a person orders does not wait."""
    if isinstance(action, Start):
        return action.cause is Cause.OUTAGE
    return any(each.request.id == action.request and each.request.action == "outage" for each in scene.asked[task.id])


def _paced_at(observed: Observed) -> float:
    """When the last one started: by the records, as another control plane may have started it; by memory, as the
    record of one that was ordered a moment ago may be yet to come."""
    created = (each.created for each in observed.host.attempts.values() if each.cause is Cause.OUTAGE)
    outages = (each.steps for each in observed.asked if each.request.action == "outage")
    begun = (float(facts["at"]) for steps in outages for name, facts in steps.items() if name.startswith("start-"))
    return max([observed.paced_at, *created, *begun])


def _holding(scene: _Scene, live: Mapping[str, Attempt]) -> set[str]:
    """Live workers that hold a slot: one that waits for a person gives it up after a while."""
    return {task for task in live if (at := _gives_up_slot(scene, task)) is None or at > scene.observed.now}


def _gives_up_slot(scene: _Scene, task: str) -> float | None:
    waits = questions.waiting_worker(scene.asked.get(task, ()))
    condition = scene.observed.conditions.get(task)
    since = [waits.request.at] if waits else []
    if condition is not None and needed(condition, task):
        since.append(condition.since)
    found = scene.board.by_id.get(task)
    settings = found.settings if found else scene.board.settings.defaults
    return min(since) + settings.wait_slot if since else None


def _held_back(task: Task, scene: _Scene) -> str | None:
    """Why a task must not start yet, slots aside; None when nothing holds it."""
    board, observed = scene.board, scene.observed
    if not task.sound:
        return "its section has a problem"
    if not board.sound:
        return "the board's front matter has a problem"
    if observed.held:
        return "the file is held until you decide: mux requests"
    if observed.host.windows is None:
        return "tmux could not be asked; looking again"
    if any(window.task == task.id and not window.dead for window in observed.host.windows):
        return "a window of an earlier attempt still lives; look at it with: mux doctor"
    if _unaccounted(observed):
        return "what ran before mux came up is looked at first"
    return _waits_for(task, scene.where) if scene.where[task.id].order else None


def _unaccounted(observed: Observed) -> bool:
    """After an unclean stop nothing queued starts before what ran is accounted for."""
    return any(
        attempt.outcome is None and attempt.liveness in (Liveness.ENDED, Liveness.PLANNED)
        for attempt in observed.host.attempts.values()
        if attempt.created < observed.since
    )


def _waits_for(task: Task, where: Mapping[str, Standing]) -> str | None:
    enough = {Status.DONE, Status.REVIEW} if task.settings.after_review else {Status.DONE}
    missing = [name for name in task.settings.after if name not in where or where[name].status not in enough]
    return f"after {', '.join(missing)}" if missing else None


def _too_close(task: Task, working: Iterable[Task]) -> str | None:
    for other in working:
        if other.id != task.id and overlap(task.settings.touches, other.settings.touches):
            return f"touches the same files as {other.id}"
    return None
