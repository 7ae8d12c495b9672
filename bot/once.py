"""`mux once KEY -- command …`: run a command once a task, ever, whoever is killed meanwhile."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from board.clock import format_time
from board.errors import UsageError
from bot import waiting
from bot.speaker import Worker, speaker
from runners import once, once_questions, step
from runners.asked import AGAIN
from runners.once import How, Said, State, Step
from runners.requests import Request, Requests

_POLL = 0.1  # seconds


def run(arguments: argparse.Namespace) -> int:
    words: list[str] = arguments.command
    argv = words[1:] if words[:1] == ["--"] else words
    once.check_key(arguments.key)
    if not argv:
        raise UsageError("say what to run, as in: mux once deploy -- ./deploy.sh staging")
    worker = speaker(os.environ, "once")
    said = False
    while True:
        worker.check_newest("once")
        seen = once.look(worker.place.folder, worker.task, arguments.key)
        if seen is not None and seen.state is not State.UNFINISHED:
            _check_same(seen, argv)
        if seen is None or seen.state is State.NEVER_RAN:
            code = _run(worker, arguments.key, argv, seen, seen.request if seen else None)
        elif seen.state is State.FINISHED:
            return _recorded(worker, seen)
        elif seen.state is State.RUNNING:
            if not said:
                print(f"mux: waits: attempt {seen.attempt} runs this step now", file=sys.stderr, flush=True)
            said = True
            time.sleep(_POLL)
            continue
        else:
            code = _decide(worker, seen, argv)
        if code is not None:
            return code


def _run(worker: Worker, key: str, argv: Sequence[str], after: Step | None, request: str | None) -> int | None:
    """The exit code of the run that follows `after`; None when somebody else began it first."""
    ran = step.run(worker.place.folder, worker.task, key, argv, worker.attempt, after, request)
    if ran is None or ran.end is None:
        return None
    if ran.end.how is How.INTERRUPTED:
        print(
            "mux: the step did not get to its end by itself: before it runs again, a person is asked", file=sys.stderr
        )
    return ran.end.code


def _decide(worker: Worker, seen: Step, argv: Sequence[str]) -> int | None:
    """Have a person decide about a step that did not finish. None: look again."""
    _settle(worker, seen)
    requests = Requests(worker.place.folder)
    decided = once_questions.answered(requests, worker.task, seen, argv)
    if decided is None or decided.answer is None:
        waiting.withdraw_older(requests, worker, time.time())
        limit = worker.expiry().recovery

        def make() -> Request:
            now = time.time()
            return once_questions.ask(
                requests, worker.task, seen, now, now + limit, worker.attempt, worker.redact, argv
            )

        request, answer = waiting.answer_to(worker, requests, make, "once")
        if isinstance(answer, int):
            return answer
    else:
        request, answer = decided.request, decided.answer
    worker.check_newest("once")
    code = None
    if answer.denies:
        waiting.refusal(request, answer)
        code = 1
    elif answer.choice == AGAIN:
        code = _run(worker, seen.key, argv, seen, request.id)
    else:
        once.record_said(seen, Said(answer.by, answer.at, request.id))
    waiting.close(worker, requests, request, answer)
    return code


def _check_same(seen: Step, argv: Sequence[str]) -> None:
    """A step that never ran, or whose record is lost, binds nobody. Raises UsageError."""
    if seen.argv in ((), tuple(argv)) or (seen.state is State.NEVER_RAN and seen.request is None):
        return
    raise UsageError(
        f"the step '{seen.key}' is another command, begun by attempt {seen.attempt} at {format_time(seen.at)}: "
        f"{seen.command}; take another key"
    )


def _recorded(worker: Worker, seen: Step) -> int:
    _settle(worker, seen)
    step.replay(seen)
    if seen.said is not None:
        who = f"{seen.said.by} said at {format_time(seen.said.at)} that it took effect"
        print(f"mux: recorded: the step '{seen.key}' was not seen to end, {who}", file=sys.stderr)
        return 0
    assert seen.end is not None
    how = f"exit {seen.end.code}, at {format_time(seen.end.at)}, by attempt {seen.attempt}"
    print(f"mux: recorded: the step '{seen.key}' ran already: {how}", file=sys.stderr)
    return seen.end.code


def _settle(worker: Worker, seen: Step) -> None:
    """Close the question that this step's answer came from: whoever used it may have been killed right then."""
    requests = Requests(worker.place.folder)
    used = {seen.request, seen.said.request if seen.said else None} - {None}
    for request in requests.open():
        if request.id in used and (answer := requests.answer_to(request)) is not None:
            waiting.close(worker, requests, request, answer)
