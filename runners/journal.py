"""The journal: `.mux/journal.jsonl`, append-only, one JSON object a line: what happened, to what, and why.

Only typed values go in, never a worker's own words. Rotated by month: `journal-2026-11.jsonl` holds November.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from board.storage import one_line_errors, private_folder


@dataclass(frozen=True, slots=True)
class Event:
    """`event` is a word from a closed set (`started`, `ended`, `board`, …); `text` one line for a person."""

    at: float  # seconds since the epoch
    event: str
    text: str
    task: str | None = None
    attempt: int | None = None


class Journal:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"

    def add(self, event: Event) -> None:
        """Append one event. Raises `MuxError` (disk full)."""
        private_folder(self.path.parent)
        record = {key: value for key in Event.__slots__ if (value := getattr(event, key)) is not None}
        # A path in a text may hold bytes that are no UTF-8.
        line = json.dumps(record, ensure_ascii=False).encode(errors="replace") + b"\n"
        with one_line_errors("write", self.path):
            self._rotate(event.at)
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _append(descriptor, line)
            finally:
                os.close(descriptor)

    def events(self, task: str | None = None) -> Iterator[Event]:
        """All events, oldest first, of one task or of all. A torn last line (power cut) is passed over."""
        for path in [*sorted(self.path.parent.glob("journal-*.jsonl")), self.path]:
            yield from (event for event in _read(path) if task is None or event.task == task)

    def _rotate(self, now: float) -> None:
        if self._finished_month(now) is None:
            return
        with self.path.with_name("journal.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            month = self._finished_month(now)  # another may have been here first: a second rename would be over his
            target = self.path.with_name(f"journal-{month}.jsonl")
            if month is not None and not target.exists():
                self.path.rename(target)

    def _finished_month(self, now: float) -> str | None:
        try:
            written = _month(self.path.stat().st_mtime)
        except FileNotFoundError:
            return None
        return written if written < _month(now) else None


def _append(descriptor: int, line: bytes) -> None:
    """In one call, with O_APPEND: lines of several processes never mix. A torn line before it is ended first."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    if end and os.pread(descriptor, 1, end - 1) != b"\n":
        line = b"\n" + line
    if os.write(descriptor, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _month(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")


def _read(path: Path) -> Iterator[Event]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")  # `splitlines` splits inside texts
    except FileNotFoundError:
        return
    for line in lines:
        try:
            record = json.loads(line)
            yield Event(record["at"], record["event"], record["text"], record.get("task"), record.get("attempt"))
        except (ValueError, KeyError, TypeError):
            continue
