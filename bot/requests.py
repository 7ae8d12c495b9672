"""`mux requests`: what people are asked. `mux approve`, `mux deny`, `mux answer`: decide it."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from collections.abc import Mapping

from board.clock import format_duration, format_time
from board.errors import MuxError
from bot import decisions
from bot.place import Place, find
from bot.table import clean
from runners import daemon, processes
from runners.choices import ACTIONS, DENIALS, shown
from runners.records import Records
from runners.requests import DENY, Asked, Request, Requests


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    requests = Requests(place.folder)
    now = time.time()
    if arguments.id is not None:
        print("\n".join(map(clean, details(requests.find(arguments.id), now))))
        return 0
    found = [lines(asked, now) for asked in requests.all() if asked.open]
    damaged = requests.damaged()
    found += [[text] for text in damaged.values()]
    print("\n\n".join("\n".join(map(clean, each)) for each in found) or "nothing is asked")
    return 1 if damaged else 0


def approve(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refuse_workers(place, os.environ)
    request, choice = decisions.approve(place, arguments.id, arguments.choice, terminal_user(), time.time())
    print(told(place, request, choice))
    return 0


def deny(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refuse_workers(place, os.environ)
    request, choice = decisions.approve(place, arguments.id, DENY, terminal_user(), time.time())
    print(told(place, request, choice))
    return 0


def answer(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refuse_workers(place, os.environ)
    text = " ".join(arguments.text)
    request, choice = decisions.answer(place, arguments.id, text, terminal_user(), time.time())
    print(told(place, request, choice))
    return 0


def lines(asked: Asked, now: float) -> list[str]:
    """What is asked, and what to type. Pure."""
    return [*question(asked, now), *(_commands(asked.request) if asked.waits else [])]


def question(asked: Asked, now: float) -> list[str]:
    """What is asked, since when and until when, and what a person needs to decide it; or who did. Pure."""
    request = asked.request
    about = f"{request.task}: " if request.task else ""
    head = (
        f"{request.id}  {about}{ACTIONS.get(request.action, request.action)}, for {format_duration(now - request.at)}"
    )
    if request.expires is not None and asked.waits:
        head += f", until {format_time(request.expires)}"
    out = [head, f"  why: {request.why}"]
    if request.says is not None:
        out.append(f'  the worker says: "{request.says}"')
    if request.members:
        out.append(f"  tasks: {', '.join(task for task, _ in request.members)}")
    out += [
        f"  step '{step['key']}': run {step['number']}, begun {format_time(step['at'])}: {step['command']}"
        for step in request.evidence.get("steps", ())
    ]
    out += [f"  {name}: {value}" for name, value in shown(request.evidence)]
    if asked.answer is not None:
        how = asked.answer.text if asked.answer.text is not None else asked.answer.choice
        when = f"by {asked.answer.by}, at {format_time(asked.answer.at)}"
        out.append(f"  decided: {how}, {when}" + ("; not carried out yet" if asked.open else ""))
    return out


def details(asked: Asked, now: float) -> list[str]:
    """The same, and what became of it. Pure."""
    request = asked.request
    out = [*lines(asked, now), f"  asked: {format_time(request.at)}, about {request.action}, bound to {request.about}"]
    if request.attempt is not None:
        out.append(f"  attempt: {request.attempt}")
    begun = sorted(asked.steps.items(), key=lambda step: step[1].get("at", 0))
    out += [f"  step: {name}, at {format_time(facts.get('at', 0))}" for name, facts in begun]
    if asked.closed is not None:
        out.append(f"  closed: {asked.closed.outcome}, at {format_time(asked.closed.at)}")
    return out


def refuse_workers(place: Place, environment: Mapping[str, str]) -> None:
    """Only a person decides. Stops accidents, not a hostile agent with the same user id. Raises `MuxError`."""
    if task := environment.get("MUX_TASK") or _worker_above(place):
        raise MuxError(f"this is the worker of {task}: only a person decides; answer in another terminal")


def user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return str(os.getuid())


def terminal_user() -> str:
    return f"terminal:{user()}"


def _worker_above(place: Place) -> str | None:
    """The task in whose worker's session this process, or one that it descends from, lives."""
    records = Records(place.folder)
    above = {session: processes.start_time(session) for session in processes.sessions_above(os.getpid())}
    for task, attempt in records.attempts().items():
        session = records.session(task, attempt.number)
        # Without its leader the number of a session is still nobody else's.
        if session is not None and session[0] in above and above[session[0]] in (None, session[1]):
            return task
    return None


def _commands(request: Request) -> list[str]:
    """One line for each answer that it takes: what to type, and what that does."""
    several = len(request.choices) > 1
    typed = [
        (f"mux approve {request.id}" + (f" --choice {shlex.quote(choice)}" if several else ""), does)
        for choice, does in decisions.ways(request)
    ]
    if request.free:
        typed.append((f"mux answer {request.id} TEXT", "answer in your own words"))
    if request.deniable:
        typed.append((f"mux deny {request.id}", DENIALS.get(request.action, "nothing is done")))
    width = max(len(words) for words, _ in typed)
    return ["  type:", *(f"    {words:{width}}  {does}".rstrip() for words, does in typed)]


def told(place: Place, request: Request, choice: str) -> str:
    """What a person hears of a decision."""
    return f"{request.id}: {choice}{_effect(place, request, choice)}"


def _effect(place: Place, request: Request, choice: str) -> str:
    if choice == DENY:
        return f": {DENIALS.get(request.action, 'nothing is done')}"
    if request.action in ("ask", "gate", "once"):
        return ": the worker that waits for it is told now"
    if daemon.running(place.folder) is None:
        return " (mux is down; it takes effect with the next: mux up)"
    return ": mux carries it out now; what came of it: mux journal"
