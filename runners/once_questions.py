"""What people are asked about `mux once` steps that began and did not finish, and what they answered.

A question belongs to one run of a step, and its answer counts until it is used, whichever attempt asked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from board.clock import format_time
from runners.asked import AGAIN, FINISHED
from runners.journal import Redact, unredacted
from runners.model import OpenStep
from runners.once import Said, State, Step, record_said, steps
from runners.requests import Asked, Request, Requests, binding
from runners.words import quotable

#: The question about a step is answered as soon as it is asked where a person decided about a whole task.
_DECIDED_EXPIRES = 86400.0


def undecided(folder: Path, task: str, redact: Redact = unredacted) -> tuple[OpenStep, ...]:
    """A task's unfinished steps about which no person has decided, oldest first. An `again` counts until it is used."""
    requests = Requests(folder)
    return tuple(
        OpenStep(
            id=f"{step.folder.name}/{step.number}",
            key=quotable(redact(step.key)),
            command=quotable(redact(step.command)),
            number=step.number,
            at=step.at,
        )
        for step in steps(folder, task)
        if step.state is State.UNFINISHED and answered(requests, task, step) is None
    )


def decide(folder: Path, task: str, choice: str, by: str, before: float, redact: Redact = unredacted) -> None:
    """Answer the questions about a task's unfinished steps that were begun `before` a person was asked about them.

    What took effect counts as finished from then on; an `again` is there for the task's next worker.
    """
    requests = Requests(folder)
    for step in steps(folder, task):
        if step.state is not State.UNFINISHED or step.at > before:
            continue
        now = time.time()
        if (decided := answered(requests, task, step)) is None:
            request = ask(requests, task, step, now, now + _DECIDED_EXPIRES, redact=redact)
            if requests.answer_to(request) is None:
                requests.answer(request.id, choice, by, now)
            decided = answered(requests, task, step)
        if decided is not None and decided.answer is not None and decided.answer.choice == FINISHED:
            record_said(step, Said(decided.answer.by, decided.answer.at, decided.request.id))


def ask(
    requests: Requests,
    task: str,
    step: Step,
    now: float,
    expires: float,
    attempt: int | None = None,
    redact: Redact = unredacted,
    argv: Sequence[str] = (),
) -> Request:
    """The question about an unfinished step. `attempt`: the one that waits for the answer; None: whose step it is.

    `argv`: what is to run under its key now. Another command than before is another question: whoever allowed that one
    once more has not seen this.
    """
    why = f"a step of attempt {step.attempt} began and did not finish: it may have taken effect"
    if not step.argv:
        why = "a step began, and its record is lost: it may have taken effect, and whether it still runs is not known"
    if _is_other(step, argv):
        why += "; its worker wants to run another command now, as the same step"
    evidence: dict[str, str | int] = {"run": step.number, "step_began": format_time(step.at)}
    if step.end is not None:
        evidence["step_ended"] = step.end.code
    return requests.ask(
        "once",
        why,
        _about(task, step, argv),
        (AGAIN, FINISHED),
        now,
        expires=expires,
        task=task,
        attempt=step.attempt if attempt is None else attempt,
        evidence=evidence,
        says=quotable(redact(step.key)),
    )


def answered(requests: Requests, task: str, step: Step, argv: Sequence[str] = ()) -> Asked | None:
    """What a person decided about this run of the step, whichever attempt asked, and whatever became of that one.

    It counts until it is used: by the next run, or by saying that the step took effect. A no counts for who asked only,
    and a yes to another run only for the command that was asked about.
    """
    exactly, about = _about(task, step, argv), _about(task, step)
    found: list[tuple[float, Asked]] = []
    for asked in requests.all():
        request, answer = asked.request, asked.answer
        if (request.action, request.task) != ("once", task) or answer is None or answer.denies:
            continue
        if request.about == exactly or (request.about == about and answer.choice == FINISHED):
            found.append((answer.at, asked))
    return max(found, key=lambda each: each[0])[1] if found else None  # the last word counts


def _about(task: str, step: Step, argv: Sequence[str] = ()) -> str:
    """When it was begun tells it from a step of an earlier task with the same id."""
    key = step.key if step.argv else step.folder.name
    return binding("once", task, key, step.number, step.at, *(argv if _is_other(step, argv) else ()))


def _is_other(step: Step, argv: Sequence[str]) -> bool:
    return bool(argv) and bool(step.argv) and tuple(argv) != step.argv
