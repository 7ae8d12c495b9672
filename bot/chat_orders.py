"""`/mux start` and `/mux stop`: what an operator may order, and what of it is an approver's to decide."""

from __future__ import annotations

import time

from board.errors import MuxError
from board.model import Status
from bot import orders
from bot.orders import Aim
from bot.place import Place
from runners import evidence
from runners.asked import ORDERED, Asked
from runners.model import Liveness
from runners.questions import OF_MUX, subjects
from runners.requests import Requests
from runners.resuming import is_new


def started(place: Place, task: str, by: str, decides: bool) -> str:
    """Order it to run; returns what came of it. `decides`: `by` is an approver. Raises MuxError."""

    def decide(aim: Aim) -> tuple[Status | None, str]:
        waiting = _waiting(place, task)
        if not decides:
            _check(task, waiting)
            _check_end(aim)
        return _noted(place, waiting, "Started", by, orders.make_ready(place, aim))

    return orders.order(place, task, decide)


def stopped(place: Place, task: str, by: str, decides: bool) -> str:
    """Order its worker to end; returns what came of it. `decides`: `by` is an approver. Raises MuxError."""

    def decide(aim: Aim) -> tuple[Status | None, str]:
        waiting = _waiting(place, task)
        if not decides:  # what lives may be ended by whoever may stop it, whatever is asked about it
            _check(task, [each for each in waiting if not evidence.is_live(each.request.evidence)])
        return _noted(place, waiting, "Stopped", by, orders.make_stopped(place, aim))

    return orders.order(place, task, decide)


def _waiting(place: Place, task: str) -> list[Asked]:
    """What mux asks approvers about going on with the task: an order would answer it."""
    of_mux = (each for each in Requests(place.folder).all() if each.waits and each.request.action in OF_MUX)
    return [each for each in of_mux if task in dict(subjects(each))]


def _check(task: str, waiting: list[Asked]) -> None:
    if waiting:
        asked = waiting[0].request.id
        raise MuxError(f"{task}: mux asks how to go on with it, and an approver decides that: request {asked}")


def _check_end(aim: Aim) -> None:
    """Denied, expired or closed, or not asked yet: how to go on is still an approver's to decide."""
    attempt, task = aim.attempt, aim.task
    if attempt is None or is_new(task, attempt):
        return
    if attempt.outcome is None and attempt.liveness is Liveness.ENDED:
        raise MuxError(f"{task.id}: its worker has ended; how it ended is written down in a moment")
    if orders.asks(attempt):
        raise MuxError(
            f"{task.id}: how to go on with it is an approver's to decide; it is asked anew with: mux restart {task.id}"
        )


def _noted(
    place: Place, waiting: list[Asked], what: str, by: str, ordered: tuple[Status | None, str]
) -> tuple[Status | None, str]:
    """Written down before the order is: it leaves nothing to decide, and the question then says who gave it.

    An order that could not be written on the board leaves its note; the next one has a note of its own.
    """
    if ordered[0] is not None:
        for asked in waiting:
            if asked.request.task is not None:  # one about several goes on for the others
                step = f"{ORDERED}-{sum(name.startswith(ORDERED) for name in asked.steps)}"
                Requests(place.folder).begin_step(asked.request, step, time.time(), by=by, what=what)
    return ordered
