"""`mux digest`: what happened in the last day, now; `--post` has it said in the chat instead."""

from __future__ import annotations

import argparse
import time

from bot import digest_order, digests
from bot.decisions import wake
from bot.place import find
from bot.status import look
from bot.table import clean
from runners import daemon
from runners.journal import Journal


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    if arguments.post:
        digest_order.put(place.folder)
        wake(place)
        when = "in a moment" if daemon.running(place.folder) else "when it is up again: mux up"
        print(f"mux makes the digest and, where the board has a chat, posts it {when}")
        return 0
    now = time.time()
    since = now - digests.DAY
    events = list(Journal(place.folder).events(after=since - digests.LOOK_BACK))
    shown = digests.digest(look(place, now), events, since, now, lambda text: text)
    print("\n".join(map(clean, digests.lines(shown))))
    return 0
