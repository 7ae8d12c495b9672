"""Claims: `.mux/locks/<task>.lock`. One task, one worker, one home.

The text says who works on the task; the flock on it, held by the wrapper for its life, decides. The epoch (attempt
number) in the text is changed only by the control plane and only while nobody holds the flock, so a wrapper that comes
late finds another epoch and starts nothing.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from board.clock import format_time
from board.errors import LockHeld
from board.storage import private_folder
from runners.flocks import lock_soon


def claim_path(folder: Path, task: str) -> Path:
    return folder / "locks" / f"{task}.lock"


def held_by(folder: Path, task: str) -> int | None:
    """The epoch of the wrapper that holds the claim now; None when nobody does."""
    try:
        descriptor = os.open(claim_path(folder, task), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not take each other for it
    except BlockingIOError:
        return _epoch(os.pread(descriptor, 4096, 0))
    else:
        return None
    finally:
        os.close(descriptor)


def epoch(folder: Path, task: str) -> int | None:
    """The newest epoch of the task, held or not; None when there never was one."""
    try:
        return _epoch(claim_path(folder, task).read_bytes())
    except FileNotFoundError:
        return None


def grant(folder: Path, task: str, epoch: int, now: float) -> None:
    """Write the claim for `epoch`. Raises LockHeld, with who has it, while a wrapper holds it."""
    path = claim_path(folder, task)
    private_folder(path.parent)
    # In place, never by rename: the flock belongs to this very file.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not lock_soon(descriptor):
            raise LockHeld(f"{task}: attempt {_epoch(os.pread(descriptor, 4096, 0))} still works on it")
        text = f"attempt: {epoch}\nwindow: {task}\nhost: {os.uname().nodename}\nsince: {format_time(now)}\n"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    finally:
        os.close(descriptor)


def _epoch(text: bytes) -> int | None:
    for line in text.splitlines():
        key, _, value = line.partition(b":")
        if key == b"attempt" and value.strip().isdigit():
            return int(value)
    return None
