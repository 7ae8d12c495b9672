"""Deciding a request: the rules that hold on every surface, whoever decides and wherever it is typed or clicked."""

from __future__ import annotations

import secrets
from contextlib import suppress

from board.errors import MuxError
from board.storage import private_folder, write_atomic
from bot.journalling import say_in
from bot.place import Place
from runners import claims, evidence
from runners.choices import does
from runners.requests import DENY, Asked, Request, Requests

#: What a worker asks: with its attempt the question is over.
_OF_A_WORKER = ("ask", "gate")
_ANSWERED = "answer"  # the choice that stands for a text


def approve(place: Place, word: str, choice: str | None, by: str, now: float) -> tuple[Request, str]:
    """Let it go on: the one way there is, or the way that is named. Returns the request and the choice that was made.

    `word`: the request's id, or the beginning of it. Raises `MuxError`: unknown, ambiguous, decided (by whom, and
    when), expired, or a choice that has to be named.
    """
    request = _found(place, word, by, now).request
    if choice is None:
        choice = _only(request)
    return _decide(place, request, choice, by, now), choice


def answer(place: Place, word: str, text: str, by: str, now: float) -> tuple[Request, str]:
    """Answer by one of its choices, or by any text where the question takes that. Raises as `approve` does."""
    request = _found(place, word, by, now).request
    if request.free and text not in request.choices:
        return _decide(place, request, _ANSWERED, by, now, text), _ANSWERED
    return _decide(place, request, text, by, now), text


def ways(request: Request) -> list[tuple[str, str]]:
    """Its choices, each with what it does and what it takes away; empty where only the worker knows."""
    if request.action == "ask":
        return [(choice, "") for choice in request.choices]
    found = []
    for choice in request.choices:
        lost = evidence.lost_by(choice, request.evidence)
        found.append((choice, does(choice, request) + (f" ({lost})" if lost else "")))
    return found


def wake(place: Place) -> None:
    """Have the control plane look at once. Losing it costs latency only."""
    with suppress(MuxError):
        inbox = private_folder(place.folder / "inbox")
        write_atomic(inbox / f"answer-{secrets.token_hex(4)}", b"", durable=False)


def _found(place: Place, word: str, by: str, now: float) -> Asked:
    """Raises `MuxError` for a question of a worker that is not its task's newest any more, and closes that."""
    requests = Requests(place.folder)
    asked = requests.find(word)
    request = asked.request
    if not asked.waits or request.action not in _OF_A_WORKER or request.task is None:
        return asked
    newest = claims.epoch(place.folder, request.task)
    if newest == request.attempt:
        return asked
    over = f"attempt {request.attempt} of {request.task}, which asked, is over"
    requests.close(request, over, now)
    say_in(place)("refused", f"request {request.id}, answered by {by}: {over}", request.task, request.attempt)
    raise MuxError(f"request {request.id}: {over}; nothing is done")


def _only(request: Request) -> str:
    if len(request.choices) == 1:
        return request.choices[0]
    if not request.choices:
        raise MuxError(f"request {request.id} is a question: mux answer {request.id} TEXT")
    each = ", ".join(f"--choice {choice}" + (f" ({does})" if does else "") for choice, does in ways(request))
    raise MuxError(f"request {request.id} has several ways to go on, name one: {each}")


def _decide(place: Place, request: Request, choice: str, by: str, now: float, text: str | None = None) -> Request:
    say = say_in(place)
    Requests(place.folder).answer(request.id, choice, by, now, text)
    event = "answered" if text is not None else {DENY: "denied"}.get(choice, "approved")
    said = f"request {request.id} ({request.action}): {event if text is not None else choice}, by {by}"
    say(event, said, request.task, request.attempt, by=by)
    wake(place)
    return request
