"""What the board says against what is: homes, branches, windows. Computed now, for `mux doctor`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from board.model import TASK_ID, Board, Task
from bot.findings import Finding, Level
from bot.place import Place
from runners import names
from runners.drifts import look, says_done
from runners.host import Host
from runners.local import local_host
from runners.model import Attempt, Liveness, Window
from runners.records import Records
from runners.standing import is_live
from runners.tmux import closing


def drift(place: Place, board: Board) -> Iterator[Finding]:
    host = local_host(place.path, place.folder, os.environ)
    attempts = Records(place.folder).attempts()
    done = [task for task in board.tasks if says_done(task, attempts.get(task.id)) is not None]
    found = list(of_tasks(host, place, board, attempts, done))
    found += gone_from_board(place, board, host, attempts)
    found += of_workers(board, attempts)
    found += of_windows(host.windows(), board, attempts, partial(closing, place.path))
    yield from found
    if not found:
        yield Finding(Level.OK, f"what the board says agrees with trees and windows ({len(done)} done)")


def of_tasks(
    host: Host, place: Place, board: Board, attempts: Mapping[str, Attempt], done: Sequence[Task]
) -> Iterator[Finding]:
    """Tasks that say done, or wait for their review, and whose home or branch says something else."""
    for task in done:
        for each in look(host, board, place.path, task, attempts[task.id]):
            says = f"{task.id} says {says_done(task, attempts[task.id])}, but: {each.text}"
            yield Finding(Level.PROBLEM if each.known else Level.WARNING, says, each.fix)


def gone_from_board(place: Place, board: Board, host: Host, attempts: Mapping[str, Attempt]) -> Iterator[Finding]:
    """Worktrees whose task is not on the board."""
    path, settings = place.path, board.settings
    folder = names.home_of(path, settings, "any").parent
    found = host.remains(names.repository_of(path, settings), folder, names.branch_of(path, settings, ""))
    for task in found.homes:
        if task not in board.by_id and TASK_ID.match(task) and not is_live(attempts.get(task)):
            text = f"{folder / task}: its task is not on the board; write its section again, or see what can go"
            yield Finding(Level.WARNING, text, "mux clean --dry-run")


def of_workers(board: Board, attempts: Mapping[str, Attempt]) -> Iterator[Finding]:
    """Workers that no one on the board answers for, and remains of ones whose wrapper is gone. Pure."""
    for task, attempt in attempts.items():
        if not is_live(attempt):
            continue
        if attempt.liveness is Liveness.LOST:
            text = f"{task}: its wrapper is gone, and process {attempt.pid} of it still lives"
            yield Finding(Level.PROBLEM, text, f"mux stop {task}")
        elif task not in board.by_id:
            text = f"{task}: its section is gone from the board, and its worker goes on; write it again, or look at it"
            yield Finding(Level.WARNING, text, f"mux attach {task}")


def of_windows(
    windows: tuple[Window, ...] | None, board: Board, attempts: Mapping[str, Attempt], close: Callable[[str], str]
) -> Iterator[Finding]:
    """Windows that no task on the board needs. `close`: the command that closes one. Pure."""
    if windows is None:
        yield Finding(Level.PROBLEM, "tmux could not be asked: it is missing, or its server hangs", "see: tmux -V")
    for window in windows or ():
        attempt = attempts.get(window.task)
        if attempt is None or window.attempt > attempt.number:
            text = f"window {window.id} says it is attempt {window.attempt} of {window.task}, which has no record"
            yield Finding(Level.WARNING, text, close(window.id))
        elif window.dead and window.task not in board.by_id:
            yield Finding(
                Level.WARNING, f"window {window.id} of {window.task} ended, and its task is gone", close(window.id)
            )
