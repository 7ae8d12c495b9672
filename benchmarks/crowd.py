"""Idle workers in any number: each waits at one gate, and all end when it opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.desk import Desk, open_desk, section, wait_for
from benchmarks.stamps import at_gate, make_gate, open_gate

_FILES = 10


@contextmanager
def crowd(most: int) -> Iterator[Desk]:
    """A desk for at most so many idle workers; the control plane is not started yet. They end with the block."""
    with open_desk(_FILES, max_workers=most) as desk:
        make_gate(_gate(desk))
        yield desk
        workers = len(desk.starts())
        open_gate(_gate(desk), workers)
        wait_for(lambda: len(list(desk.folder.glob("runs/*/*/exit.json"))) == workers, "all workers ended")


def join(desk: Desk, first: int, last: int, script: str = "true") -> None:
    """Workers with these numbers, each of which runs the script and then waits; returns when the board says so."""
    names = [f"idle-{number}" for number in range(first, last)]
    desk.append(*(section(name, f"{script}\n{at_gate(_gate(desk))}") for name in names))
    desk.until(names, "running")


def _gate(desk: Desk) -> Path:
    return desk.scratch / "gate"
