"""`mux restart`: end a worker and start it anew, or start one that ended: with a reason, and asked where it matters."""

from __future__ import annotations

import argparse
import os
import random
import time

from board.errors import MuxError
from bot import boards
from bot.decisions import wake
from bot.journalling import say_in
from bot.orders import aim_at, asks, effect_of, fresh_keeper, started
from bot.place import Place, find
from bot.requests import refuse_workers, user
from runners import evidence, questions
from runners.approvals import Approvals
from runners.effects import Effects
from runners.local import local_host
from runners.model import Attempt
from runners.requests import Request, Requests
from runners.troubles import Troubles


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refuse_workers(place, os.environ)
    print("\n".join(restarted(place, arguments.task, arguments.how, f"terminal:{user()}")))
    return 0


def restarted(place: Place, task: str, wanted: str | None, by: str) -> list[str]:
    """Order it, by `wanted` or by the mildest way there is; returns what to tell. Raises MuxError."""
    aim = aim_at(place, boards.load(place), task)
    if aim.attempt is None or (wanted is None and not aim.works and not asks(aim.attempt)):
        return [started(place, task)]
    effects = _effects(place)
    requests = Requests(place.folder)
    approvals = Approvals(effects, requests)
    if wanted is not None and wanted not in (ways := approvals.choices(aim.attempt, "restart")):
        raise MuxError(f"{task}: there is no '{wanted}' for it; there is {', '.join(ways)}")
    if wanted is None and (open_one := _open_question(requests, aim.attempt)) is not None:
        return [f"{task}: it is asked about already, and yours to decide: mux requests {open_one.id}"]
    request = approvals.ask(aim.attempt, "restart")
    if (first := requests.answer_to(request)) is not None:
        return [f"{task}: a restart is ordered already ({first.choice}, by {first.by}){effect_of(place)}"]
    how = wanted or request.choices[0]
    if wanted is None and asks(aim.attempt):
        return [f"{task}: how to go on is yours to decide, see: mux requests {request.id}"]
    if (why := _why_asked(effects, aim.attempt, request, how)) is None:
        requests.answer(request.id, how, by, time.time())
        said = [f"{task}: {_DOES[how]}{effect_of(place)}"]
    else:
        decide = f"to do it: mux approve {request.id} --choice {how}; to leave it: mux deny {request.id}"
        said = [f"{task}: {why}; look at: mux requests {request.id}", decide]
    wake(place)
    return said


_DOES = {
    "resume": "it resumes its conversation, in its worktree as it is",
    "in-place": "it starts anew, in its worktree as it is",
    "checkpoint": "it starts anew from its checkpoint",
}


def _open_question(requests: Requests, attempt: Attempt) -> Request | None:
    """What is asked about its end: another question about the same would only stand beside it."""
    about = (attempt.task, attempt.number)
    found = (asked for asked in requests.all() if asked.waits and about in questions.subjects(asked))
    return next((asked.request for asked in found if asked.request.action in ("recover", "outage")), None)


def _why_asked(effects: Effects, attempt: Attempt, request: Request, how: str) -> str | None:
    """Why the order has to be looked at once more before it is carried out; None when nothing is at stake."""
    if lost := evidence.lost_by(how, request.evidence):
        return f"{lost}, kept in a snapshot first"
    if effects.settings(attempt.task).destructive:
        return "it is destructive and ran before"
    if unfinished := effects.host.once_undecided(attempt.task):
        steps = f"{len(unfinished)} `once` step{'s' if len(unfinished) != 1 else ''}"
        return f"{steps} began and did not finish"
    return None


def _effects(place: Place) -> Effects:
    host = local_host(place.path, place.folder, os.environ)
    troubles = Troubles(lambda *_: None, time.time)
    return Effects(fresh_keeper(place), host, say_in(place), troubles, time.time, random.random)
