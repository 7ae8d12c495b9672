"""What a worker can say: `mux done`, `blocked`, `checkpoint`, `ask`, `gate`, typed inside its window.

They find their board and task in the environment, and work while the control plane is down: what is said is a file.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from board.errors import MuxError, UsageError
from bot import waiting
from bot.speaker import Worker, speaker
from runners import reports, signals
from runners.gate import broken_rules, describe_dirt
from runners.model import Attempt, Report, Signal, TreeFacts
from runners.records import Records
from runners.words import LONGEST, quotable

#: Rules of the done gate that are not looked at while the worker waits for the answer.
_LATER = ("check", "merged")


def done(arguments: argparse.Namespace) -> int:
    worker = speaker(os.environ, "done")
    attempt = Records(worker.place.folder).read(worker.task, worker.attempt)
    reports.add(worker.run_folder, Report("done", time.time(), quotable(worker.redact(arguments.message or ""))))
    missing = _missing(worker, attempt)
    if not missing:
        print("mux checks it now; if that is all, end")
        return 0
    told = [report for report in reports.read(worker.run_folder) if report.kind == "done"]
    if len(told) == 1:
        print(f"mux: not done: {'; '.join(missing)}. Mend that, then say `mux done` again", file=sys.stderr)
        return 1
    print(f"mux: still not done: {'; '.join(missing)}. A person decides what becomes of it; end", file=sys.stderr)
    return 0


def blocked(arguments: argparse.Namespace) -> int:
    worker = speaker(os.environ, "blocked")
    on = quotable(worker.redact(arguments.on))
    if not on:
        raise UsageError('say what it waits for, as in: mux blocked "on the API key for staging"')
    reports.add(worker.run_folder, Report("blocked", time.time(), on))
    print("a person is told what it waits for; end now, nothing starts again before that is there")
    return 0


def checkpoint(arguments: argparse.Namespace) -> int:
    worker = speaker(os.environ, "checkpoint")
    attempt = Records(worker.place.folder).read(worker.task, worker.attempt)
    facts = _facts(worker, attempt)
    if facts is None:
        raise MuxError(f"{attempt.home.path}: the worktree is gone: there is nothing to mark")
    if facts.branch != attempt.home.branch:
        where = f"on {facts.branch}" if facts.branch else "on no branch (a rebase, or a detached HEAD)"
        raise MuxError(f"HEAD is {where}: a checkpoint is a commit of {attempt.home.branch}; go back to it first")
    words = quotable(worker.redact(arguments.message or ""))
    reports.add(worker.run_folder, Report("checkpoint", time.time(), words, facts.head))
    print(f"checkpoint {facts.head}")
    if not facts.clean:
        print(f"mux: {describe_dirt(facts)}: not part of the checkpoint, commit first to have it in", file=sys.stderr)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """What an agent's own hooks call. It exits 1 at worst: to some agents 2 means that they must go on."""
    try:
        worker = speaker(os.environ, "report")
    except UsageError as error:
        raise MuxError(str(error)) from None
    signals.keep(worker.run_folder, Signal(arguments.kind, time.time()))
    return 0


def ask(arguments: argparse.Namespace) -> int:
    worker = speaker(os.environ, "ask")
    choices = waiting.check_choices(arguments.choice or [], worker.redact)
    answer = waiting.ask(worker, "ask", _words(worker, arguments.question), choices, arguments.timeout)
    if isinstance(answer, int):
        return answer
    print(answer.text if answer.text is not None else answer.choice)
    return 0


def gate(arguments: argparse.Namespace) -> int:
    worker = speaker(os.environ, "gate")
    answer = waiting.ask(worker, "gate", _words(worker, arguments.what), (waiting.APPROVE,), arguments.timeout)
    if isinstance(answer, int):
        return answer
    print(f"approved by {answer.by}")
    return 0


def _words(worker: Worker, text: str) -> str:
    """What a person will be shown."""
    text = worker.redact(text)
    shown = quotable(text)
    if not shown:
        raise UsageError("say what a person is to decide, in one line")
    if shown.endswith("…") and not text.rstrip().endswith("…"):
        print(f"mux: a person is shown the first {LONGEST} characters of that", file=sys.stderr)
    return shown


def _facts(worker: Worker, attempt: Attempt) -> TreeFacts | None:
    from runners.local import local_host

    return local_host(worker.place.path, worker.place.folder, os.environ).tree(attempt.home)


def _missing(worker: Worker, attempt: Attempt) -> list[str]:
    """What is not there yet, of the rules that are quick to compute, and that a worker can see to."""
    rules = tuple(rule for rule in attempt.done_when if rule not in _LATER)
    return [text for _, text in broken_rules(rules, _facts(worker, attempt), attempt.home.branch)]
