"""What a worker of a benchmark does: say when it began, wait at a gate, say when it is about to end.

Times are those of `date`, so of the same clock as `time.time`.
"""

from __future__ import annotations

import fcntl
import os
import termios
from array import array
from collections.abc import Sequence
from pathlib import Path

from benchmarks.desk import wait_for


def stamp(path: Path) -> str:
    """Shell: write down the time."""
    return f'date +%s%N > "{path}"'


def at_gate(gate: Path) -> str:
    """Shell: wait, without a process of its own, until the gate opens."""
    return f'read -r go < "{gate}" || true'


def make_gate(path: Path) -> Path:
    os.mkfifo(path)
    return path


def open_gate(gate: Path, workers: int = 1) -> None:
    """Let so many workers go on; waits until each has passed, also one that is still on its way to the gate."""
    descriptor = os.open(gate, os.O_RDWR)
    try:
        os.write(descriptor, b"\n" * workers)  # `read` takes one line and not a byte more
        wait_for(lambda: _waiting_bytes(descriptor) == 0, "all workers have passed the gate")
    finally:
        os.close(descriptor)


def _waiting_bytes(descriptor: int) -> int:
    count = array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def written(path: Path) -> float:
    """When the stamp was written, in seconds of the epoch; waits for it."""
    return (
        int(wait_for(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text(), path.name)) / 1e9
    )


def last_written(paths: Sequence[Path]) -> float:
    return max(map(written, paths))
