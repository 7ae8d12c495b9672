"""`mux finish`: deliver a task's branch, then put its worktree away. Nothing that would be lost is removed.

What to do is decided from what is: a run that was cut short is gone on from by running it again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from board.errors import MuxError
from board.model import Status, Task
from bot import boards
from bot.journalling import say_in
from bot.place import Place, find, unknown_task
from bot.sizes import human, largest
from runners.delivery import BranchFacts, Delivery, How, Step, of_task, steps
from runners.host import Host
from runners.local import local_host
from runners.model import Attempt, Liveness
from runners.records import Records
from runners.standing import is_live, standing


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    board = boards.load(place)
    task = board.by_id.get(arguments.task)
    if task is None:
        raise unknown_task(arguments.task, board.by_id)
    check(task, _attempt(place, task.id))
    host = local_host(place.path, place.folder, os.environ)
    with host.hold(task.id):
        attempt = _attempt(place, task.id)  # anew: one could have started before the claim was ours
        check(task, attempt)
        delivery = of_task(place.path, board.settings, task.id, task.settings, attempt)
        _finish(place, host, delivery, arguments.how or task.settings.finish, attempt)
    return 0


def check(task: Task, attempt: Attempt | None) -> None:
    """Raises MuxError, with what to do, unless the task is through and nobody works on it. Pure."""
    if attempt is not None and is_live(attempt):
        raise MuxError(f"{task.id}: {_works(attempt)}")
    status = standing(task, attempt).status
    if status is Status.READY:
        raise MuxError(f"{task.id} is ready and would start again: write `status: done` at it first")
    if status not in (Status.DONE, Status.REVIEW):
        hint = f"look with: mux diff {task.id}; to finish it as it is, write `status: done` at it"
        raise MuxError(f"{task.id} is {status}, not done; {hint}")


def already_done(how: How, delivery: Delivery, facts: BranchFacts) -> list[str]:
    """What an earlier run did, or a person. Pure."""
    branch = delivery.home.branch
    said = []
    if facts.head is None:
        said.append(f"its branch {branch} is gone")
    elif facts.own == 0:
        said.append(f"{branch} has no commit that is not in {facts.base}")
    elif how == "merge" and facts.merged:
        said.append(f"{branch} is merged into {facts.base} already")
    elif how != "merge" and facts.pushed:
        said.append(f"{branch} is on {facts.remote} already")
    if not facts.there:
        said.append("its worktree is gone")
    return said


def _attempt(place: Place, task: str) -> Attempt | None:
    return Records(place.folder).attempts().get(task)


def _works(attempt: Attempt) -> str:
    end = f"end it with: mux stop {attempt.task}"
    if attempt.liveness is Liveness.LOST:
        return f"a process of attempt {attempt.number} still lives; {end}"
    if attempt.liveness is Liveness.ENDED:
        return f"attempt {attempt.number} ended, and what it left was not looked at yet: mux up"
    return f"its worker still runs (attempt {attempt.number}); wait for it, or {end}"


def _finish(place: Place, host: Host, delivery: Delivery, how: How, attempt: Attempt | None) -> None:
    facts = host.branch_facts(delivery)
    todo = steps(how, delivery, facts)
    for line in already_done(how, delivery, facts):
        print(f"{delivery.task}: {line}")
    for step in todo:
        goes = host.ignored(delivery.home) if step is Step.REMOVE_HOME else ()
        said = host.deliver(delivery, step)
        say_in(place)("finish", said, delivery.task, attempt.number if attempt else None)
        print(f"{delivery.task}: {said}{_with_it(goes)}")
    for window in host.windows() or ():
        if window.task == delivery.task and window.dead:
            host.close_window(window.id)


def _with_it(goes: Sequence[tuple[str, int]]) -> str:
    """Ignored files are not in git: what went with the worktree is said, whatever its size."""
    if not goes:
        return ""
    total = human(sum(size for _, size in goes))
    return f"; {total} that git ignores went with it: {largest(goes)}"
