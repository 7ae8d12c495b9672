"""Requests seen from a task: which are about it, and what has become of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runners import evidence
from runners.asked import FINISHED, Asked
from runners.case import was_stopped
from runners.model import Attempt, Row

#: Questions of mux about going on with an attempt that ended, or ending one that lives.
OF_MUX = frozenset({"recover", "outage", "rerun", "restart", "orphan"})
#: Questions of a worker that waits for the answer.
OF_WORKER = frozenset({"ask", "gate", "once"})


def by_task(asked: Iterable[Asked], attempts: Mapping[str, Attempt]) -> dict[str, tuple[Asked, ...]]:
    """By task: the requests about its newest attempt, oldest first."""
    found: dict[str, list[Asked]] = {}
    for each in asked:
        for task, number in subjects(each):
            attempt = attempts.get(task)
            if attempt is not None and attempt.number == number:
                found.setdefault(task, []).append(each)
    return {task: tuple(several) for task, several in found.items()}


def subjects(asked: Asked) -> tuple[tuple[str, int], ...]:
    """The attempts that a request is about."""
    request = asked.request
    if request.members:
        return request.members
    return ((request.task, request.attempt),) if request.task is not None and request.attempt is not None else ()


def newest(asked: Sequence[Asked], actions: Iterable[str]) -> Asked | None:
    wanted = frozenset(actions)
    return next((each for each in reversed(asked) if each.request.action in wanted), None)


def waiting_worker(asked: Sequence[Asked]) -> Asked | None:
    """The oldest question that a worker waits for the answer to."""
    return next((each for each in asked if each.request.action in OF_WORKER and each.waits), None)


def is_void(asked: Asked, task: str) -> bool:
    """What it asked about changed before it was carried out, or it was closed undecided: it has to be asked anew."""
    if f"void-{task}" in asked.steps:
        return True
    return asked.closed is not None and not (asked.answer is not None and asked.answer.denies)


def is_overtaken(asked: Asked, attempt: Attempt) -> bool:
    """Of an attempt that ended: it asked whether to end its worker, and that ended before anybody did."""
    request, stop = asked.request, attempt.stop
    ours = stop is not None and ("stop" in asked.steps or stop.reason == "stopped")
    stopped = ours and was_stopped(attempt)
    return request.action == "restart" and evidence.is_live(request.evidence) and not stopped


def is_settled(asked: Asked, attempt: Attempt) -> bool:
    """A person said that its steps took effect, and since then its end is decided anew."""
    said = asked.request.action == "recover" and asked.answer is not None and asked.answer.choice == FINISHED
    return said and attempt.outcome is not None and attempt.outcome.row != Row.ONCE


def restarts(asked: Sequence[Asked], task: str) -> bool:
    """A person ordered that the worker is ended and started anew."""
    restart = newest(asked, ["restart"])
    return restart is not None and restart.approved and not is_void(restart, task)


def is_denied(asked: Asked) -> bool:
    return asked.answer is not None and asked.answer.denies
