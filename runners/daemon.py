"""One control plane a board: `.mux/daemon.lock`. The flock decides; the text says which process has it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from board.errors import LockHeld
from runners.flocks import lock_soon


@dataclass(frozen=True, slots=True)
class ControlPlane:
    pid: int
    since: float  # seconds since the epoch


@contextmanager
def only_one(folder: Path, now: float) -> Iterator[None]:
    """Hold the lock for the time of the block. Raises LockHeld with the holder's pid."""
    descriptor = os.open(folder / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not lock_soon(descriptor):
            holder = _holder(descriptor)
            who = f"process {holder.pid}" if holder else "another process"
            raise LockHeld(f"{folder.parent}: {who} already runs this board; end it with: mux down")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "since": now}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def running(folder: Path) -> ControlPlane | None:
    """Who runs the board now; None when nobody does."""
    try:
        descriptor = os.open(folder / "daemon.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> ControlPlane | None:
    try:
        record = json.loads(os.pread(descriptor, 4096, 0))
        return ControlPlane(int(record["pid"]), float(record["since"]))
    except (ValueError, KeyError, TypeError):
        return None  # it holds the lock and has not written its name yet
