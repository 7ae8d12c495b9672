"""`mux watch`: the board, live, on the whole terminal; everything by keys. `mux up --watch` ends here, too."""

from __future__ import annotations

import argparse
import os
import sys
import time

from board.errors import MuxError
from bot import terminal
from bot.place import Place, find
from bot.requests import refuse_workers, terminal_user


def run(arguments: argparse.Namespace) -> int:
    return watch(find(arguments.board))


def watch(place: Place) -> int:
    """Returns when the person quits. Raises MuxError where there is no terminal, or no board to show."""
    check(place)
    from bot.status import look
    from bot.watch_app import Dashboard
    from bot.watch_look import Seen
    from runners.local import local_host

    first = Seen(look(place, time.time()))
    app = Dashboard(place, local_host(place.path, place.folder, os.environ), terminal_user(), first)
    app.run(mouse=False)  # the terminal's own selection goes on to work
    if app.failure is not None:
        raise app.failure
    return 0


def check(place: Place) -> None:
    """Raises MuxError where nobody could see it, or press its keys."""
    refuse_workers(place, os.environ)
    if not terminal.has_both():
        raise MuxError("watch needs a terminal; without one: mux status")
    if not terminal.is_terminal(sys.stderr):
        raise MuxError("watch draws on standard error, which is no terminal here: start it without 2>")
