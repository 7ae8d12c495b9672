"""`mux down`: stop the control plane. Workers go on."""

from __future__ import annotations

import argparse
import os
import signal
import time
from contextlib import suppress

from board.errors import MuxError
from bot.place import find
from runners import daemon

#: Seconds for slow effects under way (a checkout, a stop) to end.
PATIENCE = 60.0


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    found = daemon.running(place.folder)
    if found is None:
        print("the control plane is not running; workers, if any, go on")
        return 0
    with suppress(ProcessLookupError):  # it ends by itself, at this moment
        os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while daemon.running(place.folder) == found:
        if time.monotonic() > deadline:
            raise MuxError(
                f"process {found.pid} does not end; what it waits for: mux journal. To end it: kill {found.pid}"
            )
        time.sleep(0.02)
    print("the control plane is stopped; workers go on, and `mux up` finds them again")
    return 0
