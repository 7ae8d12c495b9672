"""A worker that waits for a person's answer: to `mux ask`, `mux gate` or `mux once`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from board.clock import format_time
from board.errors import MuxError, UsageError
from bot.speaker import Worker
from runners import reports
from runners.journal import Redact
from runners.noted import noted
from runners.questions import OF_WORKER
from runners.requests import DENY, EXPIRED, Answer, Request, Requests, binding
from runners.words import quotable

APPROVE = "approve"
DENIED_CODE, EXPIRED_CODE = 1, 2
_LONGEST_CHOICE = 60  # characters
_POLL = 0.2  # seconds


def check_choices(choices: Sequence[str], redact: Redact) -> tuple[str, ...]:
    """Raises UsageError for one that could not be shown or typed as it is, or that means something else."""
    for choice in choices:
        if choice != redact(choice):
            raise UsageError("a choice is shown to people: it may hold no secret, path, user or host name")
        if choice != quotable(choice, _LONGEST_CHOICE) or not choice:
            raise UsageError(f"a choice is one line of 1 to {_LONGEST_CHOICE} plain characters, not {choice!r}")
        if choice in (DENY, EXPIRED):
            raise UsageError(f"'{choice}' is always possible, and never one of the choices")
    if len(set(choices)) < len(choices):
        raise UsageError("a choice is given twice")
    return tuple(choices)


def ask(worker: Worker, action: str, says: str, choices: tuple[str, ...], timeout: float | None) -> Answer | int:
    """The answer of a person, or the exit code that says that there is none. The same open question is asked once."""
    requests = Requests(worker.place.folder)
    withdraw_older(requests, worker, time.time())
    about = binding(worker.task, worker.attempt, action, says, *choices)
    limit = worker.expiry().gate if timeout is None else timeout

    def make() -> Request:
        now = time.time()
        return requests.ask(
            action,
            f"attempt {worker.attempt} {'asks' if action == 'ask' else 'needs an approval to go on'}",
            about,
            choices,
            now,
            expires=now + limit,
            task=worker.task,
            attempt=worker.attempt,
            says=says,
            free=not choices,
        )

    while True:
        request, answer = answer_to(worker, requests, make, action)
        if isinstance(answer, int):
            return answer
        # One approval lets one caller through; who comes second asks anew.
        taken = answer.denies or action != "gate" or requests.begin_step(request, "taken", time.time())
        close(worker, requests, request, answer)
        if answer.denies:
            return refusal(request, answer)
        if taken:
            return answer


def answer_to(
    worker: Worker, requests: Requests, make: Callable[[], Request], word: str
) -> tuple[Request, Answer | int]:
    """Make a request and wait for its answer; time answers, too. An exit code when told to end, from its making on."""
    with noted() as told:
        request = make()
        return request, _wait(worker, requests, request, word, told)


def _wait(worker: Worker, requests: Requests, request: Request, word: str, told: Sequence[int]) -> Answer | int:
    if (found := requests.answer_to(request)) is not None:
        return found
    worker.note("request", f"{word}: request {request.id} waits for a person")
    reports.wake(worker.run_folder, "request")
    until = f" until {format_time(request.expires)}" if request.expires is not None else ""
    print(f"mux: waits for a person to decide request {request.id}{until}", file=sys.stderr, flush=True)
    while True:
        if (found := requests.answer_to(request)) is not None:
            return found
        if requests.is_closed(request):
            asked = requests.find(request.id)  # its answer may have come, and mux have closed it, since the look above
            if asked.answer is not None:
                return asked.answer
            raise MuxError(f"request {request.id} is closed: {asked.closed.outcome if asked.closed else ''}")
        if told:
            return _withdraw(worker, requests, request, told[0])
        worker.check_newest(word)
        if request.expires is not None and time.time() >= request.expires:
            requests.expire(request)
        else:
            time.sleep(_POLL)


def close(worker: Worker, requests: Requests, request: Request, answer: Answer) -> None:
    """The answer has arrived: it counts no more."""
    how = "answered" if answer.text is not None else answer.choice
    outcome = how if answer.choice == EXPIRED else f"{how}, by {answer.by}"
    if not requests.is_closed(request):
        requests.close(request, outcome, time.time())
        worker.note("decided", f"request {request.id} ({request.action}): {outcome}", answer.by)
        reports.wake(worker.run_folder, "request")


def refusal(request: Request, answer: Answer) -> int:
    """Say why there is no yes, and with which exit code."""
    if answer.choice == EXPIRED:
        print(f"mux: request {request.id} expired: nobody decided it", file=sys.stderr)
        return EXPIRED_CODE
    print(f"mux: denied by {answer.by}, at {format_time(answer.at)} (request {request.id})", file=sys.stderr)
    return DENIED_CODE


def withdraw_older(requests: Requests, worker: Worker, now: float) -> None:
    """Close what earlier attempts asked, and nobody decided: nobody waits for it any more."""
    for asked in requests.all():
        request = asked.request
        mine = asked.waits and request.task == worker.task and request.action in OF_WORKER
        if mine and request.attempt is not None and request.attempt < worker.attempt:
            requests.close(request, f"attempt {request.attempt}, which asked, is over", now)


def _withdraw(worker: Worker, requests: Requests, request: Request, number: int) -> int:
    requests.close(request, "withdrawn: who asked was told to end", time.time())
    worker.note("request", f"request {request.id} is withdrawn: who asked was told to end")
    reports.wake(worker.run_folder, "request")
    return 128 + number
