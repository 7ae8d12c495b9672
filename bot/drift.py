"""What the board says against what is: homes, branches, windows. Computed now, for `mux doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from shlex import quote

from board.errors import MuxError
from board.model import TASK_ID, Board, Status, Task
from bot.findings import Finding, Level
from bot.place import Place
from runners import gate, names
from runners.agents import load
from runners.delivery import Delivery, of_task
from runners.host import Host
from runners.local import local_host
from runners.model import Attempt, Liveness, Window
from runners.records import Records
from runners.standing import is_live, standing


def drift(place: Place, board: Board) -> Iterator[Finding]:
    host = local_host(place.path, place.folder, os.environ)
    attempts = Records(place.folder).attempts()
    done = [task for task in board.tasks if standing(task, attempts.get(task.id)).status is Status.DONE]
    found = [finding for task in done for finding in _of_done(host, place, board, task, attempts.get(task.id))]
    found += gone_from_board(place, board, host, attempts)
    found += of_workers(board, attempts)
    found += of_windows(host.windows(), board, attempts)
    yield from found
    if not found:
        yield Finding(Level.OK, f"what the board says agrees with trees and windows ({len(done)} done)")


def _of_done(host: Host, place: Place, board: Board, task: Task, attempt: Attempt | None) -> Iterator[Finding]:
    """A task that says done, and whose tree or branch says something else."""
    delivery = of_task(place.path, board.settings, task.id, task.settings, attempt)
    if attempt is None or is_live(attempt):  # it never ran, or its end is still to be judged
        return
    try:
        facts = host.tree(delivery.home)
        if facts is None:
            yield from _delivered(host, delivery)
            return
    except MuxError as error:
        yield Finding(Level.WARNING, f"{task.id}: its worktree could not be looked at: {error}")
        return
    home = quote(str(delivery.home.path))
    rules = attempt.done_when or task.settings.done_when or load(board.settings.agents)[task.settings.agent].done_when
    for rule, text in gate.broken_rules(rules, facts, delivery.home.branch):
        fix = f"git -C {home} status" if rule == "clean" else f"git -C {home} log --oneline"
        yield Finding(Level.PROBLEM, f"{task.id} says done, but: {text}", fix)


def _delivered(host: Host, delivery: Delivery) -> Iterator[Finding]:
    """The worktree is gone, as after `mux finish`: is the recorded commit still in base or on a remote?"""
    if delivery.checkpoint is None:
        return
    commit = delivery.checkpoint[:7]
    answer = host.is_delivered(delivery, delivery.checkpoint)
    if answer is None:
        text = f"{delivery.task} says done, but git does not have its commit {commit} any more: unknown where it went"
        yield Finding(Level.WARNING, text, f"git -C {quote(str(delivery.repository))} fetch --all")
    elif not answer:
        text = f"{delivery.task} says done, but its commit {commit} is neither in its base nor on a remote"
        keep = f"git -C {quote(str(delivery.repository))} branch keep-{delivery.task} {commit}"
        there = host.branch_facts(delivery).head is not None
        yield Finding(Level.PROBLEM, text, f"mux finish {delivery.task}" if there else keep)


def gone_from_board(place: Place, board: Board, host: Host, attempts: Mapping[str, Attempt]) -> Iterator[Finding]:
    """Worktrees whose task is not on the board."""
    path, settings = place.path, board.settings
    folder = names.home_of(path, settings, "any").parent
    found = host.remains(names.repository_of(path, settings), folder, names.branch_of(path, settings, ""))
    for task in found.homes:
        if task not in board.by_id and TASK_ID.match(task) and not is_live(attempts.get(task)):
            fix = "mux clean, or write its section again"
            yield Finding(Level.WARNING, f"{folder / task}: its task is not on the board", fix)


def of_workers(board: Board, attempts: Mapping[str, Attempt]) -> Iterator[Finding]:
    """Workers that no one on the board answers for, and remains of ones whose wrapper is gone. Pure."""
    for task, attempt in attempts.items():
        if not is_live(attempt):
            continue
        if attempt.liveness is Liveness.LOST:
            text = f"{task}: its wrapper is gone, and process {attempt.pid} of it still lives"
            yield Finding(Level.PROBLEM, text, f"mux stop {task}")
        elif task not in board.by_id:
            text = f"{task}: its section is gone from the board, and its worker goes on"
            yield Finding(Level.WARNING, text, f"mux attach {task}, or write its section again")


def of_windows(windows: tuple[Window, ...] | None, board: Board, attempts: Mapping[str, Attempt]) -> Iterator[Finding]:
    """Windows that no task on the board needs. Pure."""
    if windows is None:
        yield Finding(Level.PROBLEM, "tmux could not be asked: it is missing, or its server hangs", "see: tmux -V")
    for window in windows or ():
        attempt = attempts.get(window.task)
        close = f"mux attach {window.task}, then: Ctrl-b &"
        if attempt is None or window.attempt > attempt.number:
            text = f"window {window.id} says it is attempt {window.attempt} of {window.task}, which has no record"
            yield Finding(Level.WARNING, text, close)
        elif window.dead and window.task not in board.by_id:
            yield Finding(Level.WARNING, f"window {window.id} of {window.task} ended, and its task is gone", close)
