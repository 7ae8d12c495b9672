"""`mux snapshots`: what is kept of a task's uncommitted work. `mux restore`: bring it back into the task's worktree."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from shlex import quote

from board.clock import format_time
from board.errors import MuxError
from bot import boards, terminal
from bot.journalling import say_in
from bot.place import Place, find, unknown_task
from bot.requests import refuse_workers
from bot.table import Cell, Column, clean, render
from runners.delivery import Delivery, of_task
from runners.host import Host
from runners.kept import Restored, Snapshot
from runners.local import local_host
from runners.model import Attempt, Liveness
from runners.records import Records
from runners.standing import is_live

COLUMNS = (
    Column("SNAPSHOT", least=8),
    Column("WHEN", least=20),
    Column("TRY", least=3, drop=2),
    Column("WHY", least=8, drop=1),
    Column("WHAT", least=16),
)


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    host = local_host(place.path, place.folder, os.environ)
    _, delivery, found = _about(place, host, arguments.task)
    if not found:
        print(f"{arguments.task}: no snapshot; one is made when an attempt ends, or starts, with uncommitted work")
        return 0
    rows = [_row(each, host.snapshot_lines(delivery.repository, each)) for each in found]
    print("\n".join([*render(COLUMNS, rows, terminal.width()), *map(clean, _left_out(found))]))
    return 0


def restore(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refuse_workers(place, os.environ)
    host = local_host(place.path, place.folder, os.environ)
    _about(place, host, arguments.task)  # a word that is no task gets no lock
    with host.hold(arguments.task):
        copy, delivery, found = _about(place, host, arguments.task)
        attempt = _attempt(place, arguments.task)
        if attempt is not None and is_live(attempt):
            raise MuxError(f"{arguments.task}: {_not_through(attempt)}")
        snapshot = chosen(arguments.task, found, arguments.snapshot)
        now = time.time()
        restored = host.restore(delivery, snapshot, copy, now)
    lines = told(arguments.task, snapshot, restored)
    counts = f"{restored.written} written, {restored.removed} removed"
    say_in(place)("restore", f"snapshot {snapshot.number} is back: {counts}", arguments.task)
    print("\n".join(clean(f"{arguments.task}: {line}") for line in lines))
    return 0


def chosen(task: str, found: tuple[Snapshot, ...], number: int | None) -> Snapshot:
    """The newest one unless a number says which. Raises MuxError, with those that there are. Pure."""
    if not found:
        raise MuxError(
            f"{task}: it has no snapshot; one is made when an attempt ends, or starts, with uncommitted work"
        )
    if number is None:
        return found[0]
    if (match := next((each for each in found if each.number == number), None)) is None:
        there = ", ".join(str(each.number) for each in found)
        raise MuxError(f"{task}: it has no snapshot {number}; it has: {there}")
    return match


def told(task: str, snapshot: Snapshot, restored: Restored) -> Iterator[str]:
    """What a restore did, and how to undo it. Pure."""
    path, before = restored.home.path, restored.before
    if restored.made:
        yield f"made its worktree anew: {path}"
    if not restored.written and not restored.removed:
        yield f"its files are those of snapshot {snapshot.number} already; nothing was changed"
        return
    counts = f"{_files(restored.written)} written, {restored.removed} removed"
    yield f"its files are those of snapshot {snapshot.number}, not committed ({counts}), in {path}"
    if restored.moved_to is not None:
        was = f"was made at {snapshot.parent[:7]}" if snapshot.parent else "was made before the first commit"
        yield f"HEAD is {restored.moved_to[:7]}, and the snapshot {was}: the files are as they were then"
    for each in restored.untouched:
        yield f"left as it is: {each.name} ({each.why})"
    if before is None:
        yield f"to undo: git -C {quote(str(path))} stash --include-untracked"
    else:
        number = before.snapshot.number
        yield f"what was not committed before is snapshot {number}; to undo: mux restore {task} {number}"


def _about(place: Place, host: Host, task: str) -> tuple[tuple[str, ...], Delivery, tuple[Snapshot, ...]]:
    """What a new home gets copied, where the task's things are, and its snapshots. Raises MuxError for no such task."""
    board = boards.seen(place).board
    found, attempt = board.by_id.get(task), _attempt(place, task)
    own = found.settings if found else board.settings.defaults
    delivery = of_task(place.path, board.settings, task, own, attempt)
    kept = host.snapshots(delivery.repository, delivery.home.branch.removesuffix(task)).get(task, ())
    if found is None and attempt is None and not kept:
        raise unknown_task(task, board.by_id)
    return own.copy, delivery, kept


def _attempt(place: Place, task: str) -> Attempt | None:
    return Records(place.folder).attempts().get(task)


def _not_through(attempt: Attempt) -> str:
    if attempt.liveness is Liveness.ENDED:
        return f"attempt {attempt.number} ended, and what it left was not looked at yet: mux up"
    end = f"end it with: mux stop {attempt.task}"
    return f"its worker is not through (attempt {attempt.number}); wait for it, or {end}"


def _row(snapshot: Snapshot, lines: str) -> tuple[Cell, ...]:
    what = f"{snapshot.what}{f' ({lines})' if lines else ''}"
    attempt = str(snapshot.attempt or "")
    return tuple(map(Cell, (str(snapshot.number), format_time(snapshot.at), attempt, snapshot.reason, what)))


def _left_out(found: tuple[Snapshot, ...]) -> Iterator[str]:
    for snapshot in found:
        for each in snapshot.left_out:
            yield f"not in snapshot {snapshot.number}: {each.name} ({each.why})"


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"
