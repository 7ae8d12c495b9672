"""What a worker of a benchmark does: say when it began, wait at a gate, say when it is about to end.

Times are those of `date`, so of the same clock as `time.time`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
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


def open_gate(gate: Path) -> None:
    """Let all that wait there go on; waits for the first to come."""

    def opened() -> bool:
        with suppress(OSError):  # ENXIO: nobody is there yet
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
            return True
        return False

    wait_for(opened, "a worker waits at the gate")


def written(path: Path) -> float:
    """When the stamp was written, in seconds of the epoch; waits for it."""
    return (
        int(wait_for(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text(), path.name)) / 1e9
    )


def last_written(paths: Sequence[Path]) -> float:
    return max(map(written, paths))
