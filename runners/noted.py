"""Signals that are written down instead of ending the process in the middle of something."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

#: What asks a program to end.
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def noted() -> Iterator[list[int]]:
    """The numbers of the signals that asked this process to end, in the order in which they come. Main thread only.

    One that was ignored before stays ignored: a program in the background is not meant by Ctrl-C.
    """
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in ENDS}
    mine = [number for number in ENDS if before[number] is not signal.SIG_IGN]
    for number in mine:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield came
    finally:
        for number in mine:
            signal.signal(number, before[number])
