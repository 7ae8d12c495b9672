"""Taking a flock that others take for a moment only to look at it."""

from __future__ import annotations

import fcntl
import time

#: Seconds. Whoever only looks holds a flock for far less; whoever works under one, for far longer.
_LOOK = 0.5
_POLL = 0.005


def lock_soon(descriptor: int) -> bool:
    """Take the flock; False when it is really held. One refusal is no proof: somebody may just be looking."""
    deadline = time.monotonic() + _LOOK
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        else:
            return True
