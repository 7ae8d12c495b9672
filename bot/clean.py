"""`mux clean`: remove what is no longer needed and cannot be missed; say what stays, and why.

Every removal looks again, with the task's claim in hand, before it removes anything.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from board.clock import format_duration
from board.errors import MuxError
from board.history import Entry, History
from board.model import TASK_ID, Board, Status
from bot import boards
from bot.place import Place, find
from bot.sizes import human
from runners import names
from runners.delivery import BranchFacts, Delivery, Remains, Step, at_stake, of_task
from runners.host import Host
from runners.local import local_host
from runners.model import Attempt
from runners.records import Records
from runners.standing import is_live, standing


@dataclass(frozen=True, slots=True)
class Removal:
    """Something that can go. `act` raises MuxError, with nothing removed, when that is no longer so."""

    what: str
    size: int
    act: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Stays:
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class _Scene:
    place: Place
    board: Board
    host: Host
    now: float

    def attempt(self, task: str) -> Attempt | None:
        return Records(self.place.folder).attempts().get(task)

    def delivery(self, task: str, attempt: Attempt | None) -> Delivery:
        found = self.board.by_id.get(task)
        own = found.settings if found else self.board.settings.defaults
        return of_task(self.place.path, self.board.settings, task, own, attempt)


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    host = local_host(place.path, place.folder, os.environ)
    scene = _Scene(place, boards.load(place), host, time.time())
    removals: list[Removal] = []
    for found in (*_work(scene), *_snapshots(scene), *_runs(scene), *_history(scene)):
        if isinstance(found, Stays):
            print(f"stays: {found.what}: {found.why}")
        else:
            removals.append(found)
    if not removals:
        print("nothing to remove")
        return 0
    return _only_say(removals) if arguments.dry_run else _remove(removals)


def why_home_stays(
    status: Status | None, attempt: Attempt | None, delivery: Delivery, facts: BranchFacts
) -> str | None:
    """None when the home can go. `status` is None for a task that neither the board nor a record knows. Pure."""
    if attempt is not None and is_live(attempt):
        return "its worker is not through"
    if status is not Status.DONE:
        return f"its task is {status}, not done" if status else "no record says that its task is done"
    if (stake := at_stake(delivery, facts)) is not None:
        return stake
    if facts.head is None or facts.merged or facts.unpushed == 0:
        return None
    commits = f"{facts.unpushed} commit{'s' if facts.unpushed != 1 else ''}"
    return f"{commits} neither in {facts.base} nor on a remote: mux finish {delivery.task}"


def _only_say(removals: list[Removal]) -> int:
    for removal in removals:
        print(f"would remove: {removal.what} ({human(removal.size)})")
    print(f"would free {human(sum(removal.size for removal in removals))}; to do it: mux clean")
    return 0


def _remove(removals: list[Removal]) -> int:
    freed, failed = 0, False
    for removal in removals:
        try:
            removal.act()
        except MuxError as error:
            failed = True
            print(f"stays: {removal.what}: {error}")
        else:
            freed += removal.size
            print(f"removed: {removal.what} ({human(removal.size)})")
    print(f"freed {human(freed)}")
    return 1 if failed else 0


def _work(scene: _Scene) -> Iterator[Removal | Stays]:
    """Homes and branches of this board's tasks."""
    path, settings = scene.place.path, scene.board.settings
    repository = names.repository_of(path, settings)
    homes = names.home_of(path, settings, "any").parent
    try:
        remains = scene.host.remains(repository, homes, names.branch_of(path, settings, ""))
    except MuxError as error:
        yield Stays("worktrees and branches", str(error))
        return
    for task in sorted({*remains.homes, *remains.branches}):
        if TASK_ID.match(task):
            yield from _of_task(scene, task, remains)
        else:
            yield Stays(str(homes / task) if task in remains.homes else task, "is not named like a task's")


def _of_task(scene: _Scene, task: str, remains: Remains) -> Iterator[Removal | Stays]:
    attempt = scene.attempt(task)
    delivery = scene.delivery(task, attempt)
    path, branch = delivery.home.path, delivery.home.branch
    try:
        facts = scene.host.branch_facts(delivery)
    except MuxError as error:
        yield Stays(task, str(error))
        return
    home_goes = False
    if facts.there:
        why = why_home_stays(_status(scene, task, attempt), attempt, delivery, facts)
        home_goes = why is None
        size = scene.host.disk_usage(path)
        if why is not None:
            yield Stays(f"the worktree of {task} ({human(size)})", why)
        else:
            yield Removal(f"the worktree of {task}, {path}", size, lambda: _remove_home(scene, task))
    if facts.head is None or (facts.there and not home_goes):
        return
    if attempt is not None and is_live(attempt):
        yield Stays(f"the branch {branch}", "its worker is not through")
    elif facts.merged:
        yield Removal(f"the branch {branch}, all of it in {facts.base}", 0, lambda: _delete_branch(scene, task))
    else:
        yield Stays(f"the branch {branch}", f"{facts.own} of its commits are not in {facts.base}")


def _status(scene: _Scene, task: str, attempt: Attempt | None) -> Status | None:
    """Of a task that left the board, what was concluded about its newest attempt."""
    found = scene.board.by_id.get(task)
    if found is not None:
        return standing(found, attempt).status
    return attempt.outcome.status if attempt and attempt.outcome else None


def _remove_home(scene: _Scene, task: str) -> None:
    with scene.host.hold(task):
        attempt = scene.attempt(task)
        delivery = scene.delivery(task, attempt)
        facts = scene.host.branch_facts(delivery)
        why = why_home_stays(_status(scene, task, attempt), attempt, delivery, facts)
        if why is not None:
            raise MuxError(why)
        scene.host.deliver(delivery, Step.REMOVE_HOME)


def _delete_branch(scene: _Scene, task: str) -> None:
    with scene.host.hold(task):
        attempt = scene.attempt(task)
        if attempt is not None and is_live(attempt):
            raise MuxError("its worker is not through")
        scene.host.deliver(scene.delivery(task, attempt), Step.DELETE_BRANCH)


def _snapshots(scene: _Scene) -> Iterator[Removal | Stays]:
    """Old ones, never the newest of a task. Git frees their space with its next gc: how much, it does not say."""
    path, settings = scene.place.path, scene.board.settings
    repository, prefix = names.repository_of(path, settings), names.branch_of(path, settings, "")
    try:
        kept = scene.host.snapshots(repository, prefix)
    except MuxError as error:
        yield Stays("snapshots", str(error))
        return
    for task, found in sorted(kept.items()):
        old = [each for each in found[1:] if each.at < scene.now - settings.retain]
        if old:
            count = f"{len(old)} snapshot{'s' if len(old) != 1 else ''}"
            what = f"{count} of {task} older than {format_duration(settings.retain)}"
            yield Removal(what, 0, partial(scene.host.drop_snapshots, repository, f"{prefix}{task}", old))


def _runs(scene: _Scene) -> Iterator[Removal]:
    retain = scene.board.settings.retain
    old = [
        (task, number)
        for task in _tasks_that_ran(scene.place.folder / "runs")
        for number in _old_runs(scene, task, scene.now - retain)
    ]
    if old:
        size = sum(scene.host.disk_usage(scene.host.run_folder(task, number)) for task, number in old)
        what = f"{len(old)} run folder{'s' if len(old) != 1 else ''} older than {format_duration(retain)}"
        yield Removal(what, size, lambda: _remove_runs(scene, old))


def _remove_runs(scene: _Scene, old: list[tuple[str, int]]) -> None:
    for task, number in old:
        scene.host.remove_run(task, number)


def _old_runs(scene: _Scene, task: str, before: float) -> list[int]:
    """Never one that is not concluded, nor the newest of a task that is on the board or has a home."""
    attempts = scene.host.history(task)
    if not attempts:
        return []
    newest = scene.attempt(task)
    kept = {attempts[0].number} | ({newest.number} if newest else set())
    if task not in scene.board.by_id and not attempts[0].home.path.joinpath(".git").exists():
        kept = set()
    return [
        each.number
        for each in attempts
        if each.number not in kept and each.outcome is not None and each.outcome.at < before
    ]


def _tasks_that_ran(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if TASK_ID.match(entry.name) and any(entry.iterdir()))


def _history(scene: _Scene) -> Iterator[Removal]:
    history = History(scene.place.folder / "history")
    retain = scene.board.settings.retain
    latest = history.latest()
    old = [entry for entry in history.entries() if entry.at < scene.now - retain and entry != latest]
    if old:
        size = sum(scene.host.disk_usage(_file(history, entry)) for entry in old)
        what = f"{len(old)} version{'s' if len(old) != 1 else ''} of the board older than {format_duration(retain)}"
        yield Removal(what, size, lambda: history.prune(scene.now, retain))


def _file(history: History, entry: Entry) -> Path:
    return history.folder / entry.name
