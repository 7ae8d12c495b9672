"""Which questions are to be asked, ended or given up now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from board.model import PERSON_STATUSES, Board, Status
from runners import outage, questions
from runners.actions import Ask, AskAll, CloseRequest, Expire, Observed
from runners.asked import EXPIRED, Asked
from runners.model import Attempt, Liveness
from runners.standing import Standing, is_live

Question = Ask | AskAll | Expire | CloseRequest


def to_ask(board: Board, observed: Observed, where: Mapping[str, Standing]) -> tuple[list[Question], list[float]]:
    """Questions that are not asked yet, and when to look again. What ended together is asked about in one."""
    asks: list[Question] = []
    times: list[float] = []
    together: list[tuple[str, int]] = []
    members = outage.members(observed.host, board.settings.outage, observed.now)
    for task, now_at in where.items():
        attempt = observed.host.attempts.get(task)
        if now_at.ask is None or attempt is None or task in observed.busy or not board.by_id[task].sound:
            continue
        due = attempt.outcome.next.at if attempt.outcome and attempt.outcome.next else 0.0
        if now_at.ask == "recover" and due > observed.now:
            times.append(due)
        elif now_at.ask == "recover" and task in members and not _was_asked(observed.asked, task, attempt):
            together.append((task, attempt.number))
        else:
            asks.append(Ask(task, attempt.number, now_at.ask))
    if together and _still_ending(observed, members):
        times.append(observed.now + outage.SETTLE)
    elif len(together) == 1:
        asks.append(Ask(*together[0], "recover"))
    elif together:
        asks.append(AskAll(tuple(together)))
    return asks + list(_orphans(board, observed)), times


def to_settle(board: Board, observed: Observed) -> tuple[list[Question], list[float]]:
    """Open requests that are over: expired, denied, carried out, or about something that is no more."""
    found: list[Question] = []
    times: list[float] = []
    for asked in observed.asked:
        request = asked.request
        if not asked.open or request.action == "held":
            continue
        if asked.waits and request.expires is not None and request.expires <= observed.now:
            found.append(Expire(request.id))
        elif (outcome := _over(asked, board, observed)) is not None:
            found.append(CloseRequest(request.id, outcome))
        elif asked.waits and request.expires is not None:
            times.append(request.expires)
    return found, times


def _over(asked: Asked, board: Board, observed: Observed) -> str | None:
    """What became of a request; None while it is to the point."""
    answer = asked.answer
    if answer is not None and answer.denies:
        return "nobody decided in time" if answer.choice == EXPIRED else f"denied, by {answer.by}"
    if asked.request.action in questions.OF_WORKER:
        if answer is not None:
            return f"answered, by {answer.by}"
        return None if _worker_waits(asked, observed) else "its worker ended"
    ends = [_end_of_subject(asked, task, number, board, observed) for task, number in questions.subjects(asked)]
    return None if None in ends else next((end for end in ends if end), "there is nothing left to decide")


def _worker_waits(asked: Asked, observed: Observed) -> bool:
    attempt = observed.host.attempts.get(asked.request.task or "")
    return attempt is not None and attempt.number == asked.request.attempt and is_live(attempt)


def _end_of_subject(asked: Asked, task: str, number: int, board: Board, observed: Observed) -> str | None:
    """Why one of the attempts that a request is about needs no decision any more; None while it does."""
    attempt = observed.host.attempts.get(task)
    found = board.by_id.get(task)
    if attempt is None:
        return f"no record of {task} is left"
    if attempt.number != number:
        # Until it started it may be given up, and what was approved is carried out once more.
        starts = attempt.liveness is Liveness.PLANNED and attempt.outcome is None
        return None if starts else f"attempt {attempt.number} of {task} started"
    if questions.is_void(asked, task):
        return f"{task}: {asked.steps[f'void-{task}']['why']}"
    if questions.is_settled(asked, attempt):
        return "its steps took effect; what follows is decided anew"
    live = is_live(attempt)
    if asked.request.action == "orphan":
        if found is not None and not attempt.retired:
            return "its section is on the board again"
        return None if live else "its worker ended"
    if found is None:
        return f"the section of {task} is gone"
    word = asked.request.evidence.get("word")  # what stood on the board when it was asked
    if found.status in PERSON_STATUSES and found.status is not Status.READY and found.status != word:
        return f"'{found.status}' was written at {task}"
    return "its worker ended by itself" if not live and questions.is_overtaken(asked, attempt) else None


def _was_asked(asked: Sequence[Asked], task: str, attempt: Attempt) -> bool:
    """In a question about several, which did not hold for this one: it is then asked about alone."""
    return any((task, attempt.number) in questions.subjects(each) for each in asked)


def _still_ending(observed: Observed, members: frozenset[str]) -> bool:
    """The end of one is being looked at, or was just now: the next may follow."""
    outcomes = [observed.host.attempts[task].outcome for task in members]
    return any(outcome is None or outcome.at + outage.SETTLE > observed.now for outcome in outcomes)


def _orphans(board: Board, observed: Observed) -> Iterator[Ask]:
    """Workers whose section is gone: they go on, and a person is asked, once."""
    if observed.held:
        return
    for task, attempt in observed.host.attempts.items():
        if task in board.by_id or not attempt.retired or task in observed.busy:
            continue
        running = attempt.liveness in (Liveness.RUNNING, Liveness.LOST) and attempt.stop is None
        if running and not _orphan_was_asked(observed.asked, task, attempt):
            yield Ask(task, attempt.number, "orphan")


def _orphan_was_asked(asked: Sequence[Asked], task: str, attempt: Attempt) -> bool:
    return any(each.request.action == "orphan" and (task, attempt.number) in questions.subjects(each) for each in asked)
