"""Every accepted version of the board, mux's and people's: one compressed file each, named so that a listing tells all.

    .mux/history/0000000012_17_mux_1795420872123_<digest>.z

is version 12, with `mux.rev` 17 (or `none`), written by mux (or `person`), at that time in milliseconds. A `save` is
what a person saved and mux merged into the version before it: a base for later merges, never itself the board in force.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from board.errors import MuxError
from board.storage import digest, one_line_errors, private_folder, write_atomic

Author = Literal["mux", "person", "save"]

_NAME = re.compile(r"(\d{10})_(\d+|none)_(mux|person|save)_(\d+)_([0-9a-f]{64})\.z")
_DAMAGED = ".damaged"


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted version. `serial` orders them; `at` is seconds since the epoch, to the millisecond."""

    serial: int
    rev: int | None
    by: Author
    at: float
    digest: str

    @property
    def name(self) -> str:
        rev = "none" if self.rev is None else self.rev
        return f"{self.serial:010d}_{rev}_{self.by}_{round(self.at * 1000)}_{self.digest}.z"


class History:
    """The versions in `folder`, which is made with the first one. A damaged file is set aside when it is read.

    Nothing is remembered between calls, so several processes may use one folder. Two that append at the same instant
    can give out one serial twice; the order is then that of the names.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, text: bytes, rev: int | None, by: Author, now: float) -> Entry:
        """Keeps `text`; it is on disk before this returns. What the newest version already says adds nothing.

        Raises `MuxError`.
        """
        newest = next((entry for entry in self._newest_first() if self.whole([entry])), None)
        text_digest = digest(text)
        if newest is not None and (newest.digest, newest.rev, newest.by) == (text_digest, rev, by):
            return newest
        private_folder(self.folder)
        serial = 1 if newest is None else newest.serial + 1
        entry = Entry(serial, rev, by, round(now * 1000) / 1000, text_digest)
        write_atomic(self.folder / entry.name, zlib.compress(text, 1))  # level 1: a third of the time of the default
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """All of them, oldest first. Raises `MuxError`."""
        return tuple(reversed(list(self._newest_first())))

    def with_rev(self, rev: int | None) -> tuple[Entry, ...]:
        """The versions that carry `rev`: what an editor may have loaded, and saves based on it. Raises `MuxError`."""
        return tuple(entry for entry in self.entries() if entry.rev == rev)

    def find(self, text_digest: str) -> Entry | None:
        """The newest version with that digest. Raises `MuxError`."""
        return next((entry for entry in self._newest_first() if entry.digest == text_digest), None)

    def version(self, serial: int) -> Entry:
        """The version with that number, as `mux history` lists it. Raises `MuxError` when it is not kept."""
        for entry in self._newest_first():
            if entry.serial == serial:
                return entry
        raise MuxError(f"no version {serial} is kept; those that are: mux history")

    def newest(self) -> Entry | None:
        """The entry kept last, by its name alone: cheap. Raises `MuxError`."""
        return next(self._newest_first(), None)

    def latest(self) -> Entry | None:
        """The newest version that was in force and can be read. Raises `MuxError`."""
        return next((entry for entry in self._in_force() if self.whole([entry])), None)

    def tail(self) -> tuple[Entry, ...]:
        """The newest entries, oldest first, from the version that was in force before the newest one on.

        Raises `MuxError`.
        """
        found: list[Entry] = []
        for entry in self._newest_first():
            found.append(entry)
            if sum(each.by != "save" for each in found) == 2:
                break
        return tuple(reversed(found))

    def _in_force(self) -> Iterator[Entry]:
        return (entry for entry in self._newest_first() if entry.by != "save")

    def read(self, entry: Entry) -> bytes:
        """Its text. Raises `MuxError` when the file is gone, or damaged: it is then set aside, and listed no more."""
        path = self.folder / entry.name
        with one_line_errors("read", path):
            data = path.read_bytes()
        with suppress(zlib.error):
            text = zlib.decompress(data)
            if digest(text) == entry.digest:
                return text
        with one_line_errors("set aside", path):
            path.rename(path.with_name(path.name + _DAMAGED))
        raise MuxError(f"{path}: this version of the board is damaged and was set aside; the others are not affected")

    def whole(self, entries: Iterable[Entry]) -> tuple[tuple[Entry, bytes], ...]:
        """Those of `entries` that can be read, with their texts."""
        found = []
        for entry in entries:
            with suppress(MuxError):
                found.append((entry, self.read(entry)))
        return tuple(found)

    def damaged(self) -> tuple[Path, ...]:
        """Files that were set aside, for `doctor` and the start to report. Raises `MuxError`."""
        return tuple(self.folder / name for name in self._names() if name.endswith(_DAMAGED))

    def prune(self, now: float, keep_seconds: float) -> int:
        """Removes what is older than that, but never the latest version; returns how many. Raises `MuxError`."""
        latest = self.latest()
        old = [entry for entry in self.entries() if entry.at < now - keep_seconds and entry != latest]
        for entry in old:
            with one_line_errors("remove", self.folder / entry.name):
                (self.folder / entry.name).unlink(missing_ok=True)
        return len(old)

    def _newest_first(self) -> Iterator[Entry]:
        """Parses no more names than are asked for: most callers want the newest, of thousands."""
        return filter(None, map(_entry, reversed(self._names())))

    def _names(self) -> list[str]:
        with one_line_errors("list", self.folder):
            try:
                with os.scandir(self.folder) as files:
                    return sorted(file.name for file in files)
            except FileNotFoundError:
                return []


def _entry(name: str) -> Entry | None:
    """None for a file that is no version: a temporary one, a damaged one, a stranger's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    serial, rev, by, milliseconds, text_digest = match.groups()
    at = int(milliseconds) / 1000
    return Entry(int(serial), None if rev == "none" else int(rev), cast(Author, by), at, text_digest)
