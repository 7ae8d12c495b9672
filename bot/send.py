"""`mux send`: type a message into an agent's window, or answer the menu that it shows; seen to arrive."""

from __future__ import annotations

import argparse
import os
import sys
import time

from board.errors import MuxError, UsageError
from bot import boards
from bot.place import Place, find, unknown_task
from bot.requests import refuse_workers, terminal_user
from runners import reports, sending
from runners.agents import load
from runners.journal import Event, Journal
from runners.model import Attempt, Liveness
from runners.records import Records


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refuse_workers(place, os.environ)
    text = " ".join(arguments.text)
    if (arguments.choice is None) == (not text):
        raise UsageError("give a text, or --choice N to answer a menu, as in: mux send fix-login 'use the staging key'")
    said = sys.stdin.read() if text == "-" else text
    print(send(place, arguments.task, said, arguments.choice, terminal_user()))
    return 0


def send(place: Place, task: str, text: str, choice: str | None, by: str) -> str:
    """Type for a person, on any surface: a text, or the key of a choice. Returns what is to be said of it.

    The journal keeps who, and how much; never the text. Raises `MuxError`: nobody to type to, or what is in the way.
    """
    from runners.local import local_host

    attempt = _attempt(place, task)
    host = local_host(place.path, place.folder, os.environ)
    windows = host.windows()
    if windows is None:
        raise MuxError(f"{task}: tmux does not say which window is its; try again in a moment")
    window = next((each for each in windows if (each.task, each.attempt) == (task, attempt.number)), None)
    if window is None or window.dead:
        raise MuxError(f"{task}: its worker has no window; what there is of it: mux status {task}")
    profile = load(boards.seen(place).board.settings.agents).get(attempt.agent)
    run = Records(place.folder).run_folder(task, attempt.number)
    with sending.alone(task, run):
        if choice is not None:
            sending.choose(host, task, profile, window.id, choice)
            said = f"choice {choice}"
        else:
            sending.send(host, task, profile, window.id, text)
            said = f"{len(text)} characters"
    (run / "sent").touch()
    reports.wake(run, "sent")
    Journal(place.folder).add(Event(time.time(), "sent", f"{said} typed into its window", task, attempt.number, by=by))
    return f"{task}: sent, {said}"


def _attempt(place: Place, task: str) -> Attempt:
    """The live attempt of a task that reads what is typed. Raises `MuxError`."""
    attempts = Records(place.folder).attempts()
    attempt = attempts.get(task)
    if attempt is None:
        board = boards.seen(place).board
        if task not in board.by_id:
            raise unknown_task(task, [*board.by_id, *attempts])
        raise MuxError(f"{task}: it never ran, so nobody reads what you type; start it: mux start {task}")
    if attempt.liveness is not Liveness.RUNNING or attempt.started is None:
        raise MuxError(f"{task}: its worker does not run, so nobody reads what you type; see: mux status {task}")
    if attempt.mode == "headless" and attempt.agent != "shell":
        raise MuxError(f"{task}: its agent runs headless and reads nothing; set mode: interactive, then: mux restart")
    return attempt
