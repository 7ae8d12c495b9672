"""The journal: `.mux/journal.jsonl`, append-only, one JSON object a line: what happened, to what, and why.

Only typed values go in, never a worker's own words, and all of it redacted. Rotated by month: `journal-2026-11.jsonl`
holds November.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from board.storage import one_line_errors, private_folder

#: Bytes at the end of the file in which the newest events are looked for: some hundreds of events.
_NEAR = 128 * 1024
#: Seconds for which events are kept at least.
_TOLD = 31 * 86400.0


@dataclass(frozen=True, slots=True)
class Event:
    """`event` is a word from a closed set (`started`, `ended`, `board`, …); `text` one line for a person.

    `by`: who decided or ordered it. `evidence`: what it was decided from, typed values only.
    """

    at: float  # seconds since the epoch
    event: str
    text: str
    task: str | None = None
    attempt: int | None = None
    by: str | None = None
    evidence: Mapping[str, str | int] | None = field(default=None, hash=False)


#: Text as it may leave the machine.
Redact = Callable[[str], str]


def unredacted(text: str) -> str:
    """For who keeps nothing and tells nobody."""
    return text


def redacted(event: Event, redact: Redact) -> Event:
    """As it may be kept and told. Who it was by is an id, and stays."""
    evidence = event.evidence
    if evidence is not None:
        evidence = {key: redact(value) if isinstance(value, str) else value for key, value in evidence.items()}
    return replace(event, text=redact(event.text), evidence=evidence)


class Say(Protocol):
    """Puts an event into the journal, and tells whoever listens."""

    def __call__(
        self,
        event: str,
        text: str,
        task: str | None = None,
        attempt: int | None = None,
        *,
        by: str | None = None,
        evidence: Mapping[str, str | int] | None = None,
    ) -> None: ...


class Journal:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"

    def add(self, event: Event) -> None:
        """Append one event. Raises `MuxError` (disk full)."""
        private_folder(self.path.parent)
        record = {key: value for key in Event.__slots__ if (value := getattr(event, key)) is not None}
        if event.evidence is not None:
            record["evidence"] = dict(event.evidence)
        # A path in a text may hold bytes that are no UTF-8.
        line = json.dumps(record, ensure_ascii=False).encode(errors="replace") + b"\n"
        with one_line_errors("write", self.path):
            self._rotate(event.at)
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _append(descriptor, line)
            finally:
                os.close(descriptor)

    def events(self, task: str | None = None, after: float | None = None) -> Iterator[Event]:
        """All events, oldest first, of one task or of all. A torn last line (power cut) is passed over.

        `after`: only those after that time; the files of months that were over by then are not read.
        """
        months = [path for path in self._months() if after is None or _name(path) >= _month(after)]
        for path in [*months, self.path]:
            events = (event for event in _read(path) if after is None or event.at > after)
            yield from (event for event in events if task is None or event.task == task)

    def prune(self, now: float, retain: float) -> int:
        """Remove the months that were over so many seconds ago, and a month: digests tell of one. Returns how many."""
        before = now - max(retain, _TOLD)
        old = [path for path in self._months() if _name(path) < _month(before)]
        for path in old:
            with one_line_errors("remove", path):
                path.unlink(missing_ok=True)
        return len(old)

    def newest(self, count: int, task: str | None = None) -> list[Event]:
        """The last events of one task or of all, oldest first: those near the end of the file, whatever its size."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _NEAR))
                lines = file.read().decode(errors="replace").split("\n")
        except FileNotFoundError:
            return []
        found = [event for event in _parsed(lines) if task is None or event.task == task]
        return found[-count:]

    def _months(self) -> list[Path]:
        return sorted(self.path.parent.glob("journal-*.jsonl"))

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


def _name(path: Path) -> str:
    """The month that a file is of."""
    return path.stem.removeprefix("journal-")


def _read(path: Path) -> Iterator[Event]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")  # `splitlines` splits inside texts
    except FileNotFoundError:
        return
    yield from _parsed(lines)


def _parsed(lines: Iterable[str]) -> Iterator[Event]:
    """What is no whole event is passed over: a torn line, and the first one of a part of a file."""
    for line in lines:
        try:
            record = json.loads(line)
            rest = (record.get(key) for key in ("task", "attempt", "by", "evidence"))
            yield Event(record["at"], record["event"], record["text"], *rest)
        except (ValueError, KeyError, TypeError):
            continue
