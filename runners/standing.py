"""Where a task stands: one word and one reason, derived from the board, the newest attempt and its requests. Pure.

Nothing of this is stored. The board says what people want and what mux last wrote; the attempt's record says what
happened since. An attempt newer than the board's `mux.attempt` means that the board is behind: the order it carries has
been taken already. That is what keeps a crash between "start" and "write it down" from starting anything twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from board.clock import format_time
from board.model import PERSON_STATUSES, Status, Task
from runners import evidence, nudging
from runners.asked import EXPIRED, Asked
from runners.case import claim
from runners.health import Condition
from runners.model import Attempt, Liveness, Row
from runners.questions import is_denied, is_overtaken, is_settled, is_void, newest, waiting_worker


@dataclass(frozen=True, slots=True)
class Standing:
    """`keys` is what should stand under the task's `mux:`; None when mux has nothing to say and leaves it alone.

    `order`: a person's `ready` that no attempt has taken yet. `ask`: what a person has to be asked first, as in
    `requests.Request.action`.
    """

    status: Status
    why: str
    since: float | None
    keys: Mapping[str, str | int] | None
    order: bool = False
    ask: str | None = None


def standing(
    task: Task,
    attempt: Attempt | None,
    asked: Sequence[Asked] = (),
    abandoned: int = 0,
    condition: Condition | None = None,
) -> Standing:
    """`attempt`: the task's newest one that was not abandoned; `abandoned`: the number of the newest that was.

    `asked`: the requests about that attempt, oldest first. `condition`: how its worker is; None: nobody looked.
    """
    taken_since = attempt is not None and attempt.number > abandoned
    goes_on = taken_since or _goes_on(attempt) or _is_approved(task, attempt, asked)
    if task.status is Status.CLAIMED and 0 < task.attempt == abandoned and not goes_on:
        return Standing(Status.CLAIMED, "its start was cut short", None, None, order=True)
    if attempt is not None and attempt.retired and attempt.number != task.attempt and is_live(attempt):
        why = f"the worker of an earlier task with this id still lives; end it with: mux stop {task.id}"
        return replace(_never_ran(task), why=why)
    if attempt is None or (attempt.retired and attempt.number != task.attempt):
        return _never_ran(task)
    if attempt.outcome is None:
        return _live(task, attempt, asked, condition)
    return _ended(task, attempt, asked)


def is_live(attempt: Attempt | None) -> bool:
    """It holds a slot: started or about to, and nothing concluded about it yet."""
    return attempt is not None and attempt.outcome is None


def _goes_on(attempt: Attempt | None) -> bool:
    """Something follows its end by mux's decision, so that no order has to stand in for it."""
    return attempt is not None and attempt.outcome is not None and attempt.outcome.next is not None


def _is_approved(task: Task, attempt: Attempt | None, asked: Sequence[Asked]) -> bool:
    """What a person approved is still to be carried out."""
    question = _about_end(task, attempt, asked) if attempt is not None else None
    return question is not None and question.approved


def _never_ran(task: Task) -> Standing:
    if task.status in PERSON_STATUSES:
        return Standing(task.status, "", None, None, order=task.status is Status.READY)
    if task.attempt == 0:
        return Standing(Status.DRAFT, f"'{task.status}' is mux's word; it never ran", None, None)
    why = f"no record of attempt {task.attempt} is left (was .mux removed?); write ready to run it again"
    return Standing(Status.FAILED, why, None, {**task.mux, "why": why})


def _live(task: Task, attempt: Attempt, asked: Sequence[Asked], condition: Condition | None) -> Standing:
    status, why = _of_worker(task, attempt, asked, condition)
    since = attempt.started or attempt.created
    if status is Status.WAITING:
        waits = waiting_worker(asked)
        since = waits.request.at if waits else condition.since if condition else since
    ordered = task.status is Status.READY and task.attempt == attempt.number
    restart = newest(asked, ["restart"])
    nudge = nudging.told(task, attempt, asked, condition)
    plain = status is Status.RUNNING and why == attempt.why
    shown = nudge if nudge and plain else why  # a passing word: not worth a write of the board
    lost = attempt.liveness is Liveness.LOST and restart is None  # asked once: it can also be stopped
    again = ordered and (restart is None or not restart.open)
    ask = "restart" if (lost or again) and attempt.stop is None and task.status is not Status.STOPPED else None
    return Standing(status, shown, since, _keys(attempt, since, attempt.checkpoint, why), ask=ask)


def _of_worker(task: Task, attempt: Attempt, asked: Sequence[Asked], condition: Condition | None) -> tuple[Status, str]:
    """The first that holds of a worker that lives."""
    status = Status.RUNNING if attempt.started is not None else Status.CLAIMED
    said, judged, restart = claim(attempt), attempt.judged, newest(asked, ["restart"])
    claimed = said is not None and said.kind == "done"
    if task.status is Status.STOPPED:
        return Status.STOPPED, "stopping: its worker is to end"
    if restart is not None and restart.approved and restart.answer is not None and not is_void(restart, task.id):
        return status, f"restarts: {restart.answer.choice}, by {restart.answer.by}"
    if attempt.liveness is Liveness.LOST:
        open_one = restart.request.id if restart is not None and restart.waits else ""
        end = f"{f'decide: mux requests {open_one}, or ' if open_one else ''}end it with: mux stop {task.id}"
        return Status.BLOCKED, f"its wrapper is gone, but pid {attempt.pid} of it still lives; {end}"
    if task.status is Status.DONE:
        return Status.DONE, f"marked done by a person while its worker still runs; end it with: mux stop {task.id}"
    if (waits := waiting_worker(asked)) is not None:
        return Status.WAITING, _question(waits)
    if said is not None and said.kind == "blocked":
        return Status.BLOCKED, f'blocked, its worker says: "{said.text}"'
    if claimed and judged is not None and said is not None and judged.claimed == said.at:
        if not judged.passed:
            return Status.BLOCKED, f"claimed done, but {judged.why}"
        return status, "said done, and it is; its worker is to end"
    help_wanted = nudging.needed(task, attempt, asked, condition)
    if help_wanted:
        status = Status.WAITING
    if restart is not None and restart.waits:
        return status, f"restart it? decide: mux requests {restart.request.id}"
    return status, help_wanted or attempt.why


def _question(waits: Asked) -> str:
    """In the worker's words: it says them on purpose."""
    request = waits.request
    if request.action == "gate":
        return f'waits for approval: "{request.says}"; mux approve {request.id}'
    if request.action == "once":
        return f"{request.why}; decide: mux requests {request.id}"
    return f'asks: "{request.says}"; mux answer {request.id}'


def _ended(task: Task, attempt: Attempt, asked: Sequence[Asked]) -> Standing:
    outcome = attempt.outcome
    assert outcome is not None and outcome.status is not None
    word = None if task.written_status or _restart_is_asked(task, attempt, asked) else task.status
    ordered = word is Status.READY and task.attempt >= attempt.number and not _is_asked_about(task, attempt, asked)
    status, why, ask = _after_end(task, attempt, asked)
    if ordered and task.settings.destructive:
        rerun = newest(asked, ["rerun"])
        if (rerun is None or not rerun.open) and not _is_approved(task, attempt, asked):
            status, why, ask = Status.BLOCKED, "to run again needs a yes, as it is destructive", "rerun"
    elif ordered:
        return _stands(Status.READY, outcome.why, attempt, order=True)
    elif word in PERSON_STATUSES and word is not None and word is not Status.READY:
        return _stands(word, outcome.why, attempt)
    return _stands(status, why, attempt, ask=ask)


def _is_asked_about(task: Task, attempt: Attempt, asked: Sequence[Asked]) -> bool:
    """The `ready` that stands on the board became a question while its worker lived: it is no order any more.

    One that was written after mux wrote down the end is another one, and an order.
    """
    end = format_time(attempt.outcome.at) if attempt.outcome else ""
    if task.mux.get("since") == end and task.mux.get("why", "") != attempt.why:
        return False
    restarts = (each.request.evidence for each in asked if each.request.action == "restart")
    return any(evidence.is_live(shown) and shown.get("word") == Status.READY for shown in restarts)


def _restart_is_asked(task: Task, attempt: Attempt, asked: Sequence[Asked]) -> bool:
    """By a command, after the word on the board was written: it takes that word's place, unless that is an order."""
    if task.status is Status.READY:
        return False
    restart = newest(asked, ["restart"])
    over = restart is None or is_void(restart, task.id) or is_denied(restart) or is_overtaken(restart, attempt)
    if restart is None or over or not restart.open:
        return False
    return restart.request.evidence.get("word") == task.status  # a word written since then stands


def _after_end(task: Task, attempt: Attempt, asked: Sequence[Asked]) -> tuple[Status, str, str | None]:
    """Status, reason, and what is to be asked, as far as the decision and the answers to it say."""
    outcome = attempt.outcome
    assert outcome is not None and outcome.status is not None
    question = _about_end(task, attempt, asked)
    if question is not None and question.waits:
        # A question about several says nothing of each.
        own = f"{outcome.why}; " if question.request.action == "outage" else ""
        return Status.BLOCKED, f"{own}{question.request.why}; decide: mux requests {question.request.id}", None
    if question is not None and question.approved and question.answer is not None:
        why = f"{question.answer.choice}, by {question.answer.by}; after {outcome.why}"
        return Status.CLAIMED, why, None
    if (again := _voided(task, asked)) is not None:
        return Status.BLOCKED, "its worktree changed since it was asked about; it is asked about anew", again
    if outcome.next is None:
        return outcome.status, outcome.why, None
    if question is not None and is_denied(question) and question.answer is not None:
        if question.answer.choice == EXPIRED:
            how = f"nobody decided by {format_time(question.answer.at)}"
        else:
            how = f"denied by {question.answer.by}"
        ended = outcome.next.after or outcome.why  # not what would have followed
        return Status.BLOCKED, f"not decided: {how}; {ended}; to ask anew: mux restart {task.id}", None
    never = task.settings.restart.when == "never" and outcome.row != Row.LIMITED
    if outcome.next.do != "ask" and (task.settings.destructive or never):
        # The section was gone when it was decided, or says so since then.
        return Status.BLOCKED, f"{outcome.next.after}; as the board is now, it does not go on by itself", "recover"
    if outcome.next.do != "ask":
        return outcome.status, outcome.why, None
    return outcome.status, outcome.why, "recover"


def _about_end(task: Task, attempt: Attempt, asked: Sequence[Asked]) -> Asked | None:
    """The question about going on that counts: one that was approved, else the newest."""
    mine = [each for each in asked if each.request.action in ("recover", "outage", "rerun", "restart")]
    mine = [each for each in mine if not (is_overtaken(each, attempt) or is_settled(each, attempt))]
    mine = [each for each in mine if not is_void(each, task.id)]
    return next((each for each in reversed(mine) if each.approved), mine[-1] if mine else None)


def _voided(task: Task, asked: Sequence[Asked]) -> str | None:
    """What a person wanted and approved, and could not be done as they were shown it: it is asked about anew."""
    last = newest(asked, ["recover", "outage", "rerun", "restart"])
    void = last is not None and f"void-{task.id}" in last.steps
    return last.request.action if void and last is not None and last.request.action in ("rerun", "restart") else None


def _stands(status: Status, why: str, attempt: Attempt, order: bool = False, ask: str | None = None) -> Standing:
    outcome = attempt.outcome
    assert outcome is not None
    checkpoint = outcome.checkpoint or attempt.checkpoint
    return Standing(status, why, outcome.at, _keys(attempt, outcome.at, checkpoint, why), order, ask)


def _keys(attempt: Attempt, since: float, checkpoint: str, why: str) -> dict[str, str | int]:
    keys: dict[str, str | int] = {"attempt": attempt.number, "worker": attempt.task, "since": format_time(since)}
    if checkpoint:
        keys["checkpoint"] = checkpoint[:7]
    if why:
        keys["why"] = why
    return keys
