"""`mux requests`: what mux asks a person. `mux answer`: decide one of them."""

from __future__ import annotations

import argparse
import os
import secrets
import time
from collections.abc import Mapping

from board.clock import format_duration
from board.errors import MuxError
from board.storage import private_folder, write_atomic
from bot.place import Place, find
from bot.table import clean
from runners import daemon
from runners.requests import Answer, Request, Requests


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    requests = Requests(place.folder)
    now = time.time()
    found = [(request, requests.answer_to(request)) for request in requests.open()]
    if not found:
        print("nothing is asked")
    for request, answer in found:
        print("\n".join(map(clean, lines(request, answer, now))))
    return 0


def answer(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refuse_workers(os.environ)
    request = Requests(place.folder).answer(arguments.id, arguments.choice, f"terminal:{user()}", time.time())
    wake(place)
    print(f"{request.id}: {arguments.choice}{_effect(place)}")
    return 0


def lines(request: Request, answer: Answer | None, now: float) -> list[str]:
    """What is asked, since when, and how to decide it. Pure."""
    head = f"{request.id}  {request.action}, for {format_duration(now - request.at)}: {request.why}"
    if answer is not None:
        return [head, f"  decided: {answer.choice}, by {answer.by}; not carried out yet"]
    return [head, f"  decide with: mux answer {request.id} {'|'.join(request.choices)}"]


def refuse_workers(environment: Mapping[str, str]) -> None:
    """Stops accidents, not a hostile agent with the same user id."""
    if task := environment.get("MUX_TASK"):
        raise MuxError(f"this is the worker of {task}: only a person decides; answer in another terminal")


def user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return str(os.getuid())


def wake(place: Place) -> None:
    inbox = private_folder(place.folder / "inbox")
    write_atomic(inbox / f"answer-{secrets.token_hex(4)}", b"", durable=False)


def _effect(place: Place) -> str:
    if daemon.running(place.folder) is None:
        return " (mux is down; it takes effect with the next: mux up)"
    return ": mux carries it out now; what came of it: mux journal"
