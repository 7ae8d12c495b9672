"""The board's file on disk: stable reads, and writes that lose nobody's save.

People save at any moment, also between our read and our write. So a write never throws away what it replaces: the new
text and the board swap names in one step, and what came out lies beside the board as a hidden *swap file*,

    .board.md.mux.<n>.<digest>.<digest>

whose name tells which two texts are accounted for: the one mux had read and the one mux wrote. Content with another
digest is a person's save that landed in between, perhaps from an editor that still has it open and has not written
yet. Nobody waits for that editor: `BoardFile.displaced` is asked on every tick and at every start, and hands such a
save out, again and again, until `BoardFile.forget` says that it is safe elsewhere. Killed at any instruction, the
board is the old or the new one, whole, and the swap file says what is left to do.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from board.errors import BoardBusy, BoardChanged, BoardMissing, LockHeld, MuxError
from board.exchange import Version, Writers, busy, exchange, is_remote, lock_holder, look
from board.storage import Stamp, digest, one_line_errors, stamp_of, sync_folder, write_new

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["BoardFile", "Displaced", "Stamp", "Version", "Written"]

#: Where no lease tells who has the file open: seconds unchanged until a save, or a displaced file, is taken as closed.
QUIET_BOARD = 2.0
QUIET_DISPLACED = 10.0

#: Seconds a swap file with nothing new in it is kept: a program can be halfway through opening it when it is swapped
#: out, and has it open for writing only a moment later.
GRACE = 2.0

_TURNS = 6  # how many times the time limit of the lock, while others write the board one after the other

_DIGITS = 16  # of a digest in a swap file's name


@dataclass(frozen=True, slots=True)
class Displaced:
    """A person's save that a write of mux took out of the board's place; it is merged like any other save.

    Empty text is an editor that truncated the file and never wrote.
    """

    text: bytes
    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class Written:
    """What is in the file now, and the displaced saves that wait to be taken (usually none)."""

    version: Version
    displaced: tuple[Displaced, ...]


class BoardFile:
    """The board at `path`. A board that is a symlink now is followed, and `path` is then its target.

    Leases prove that no program has the file open for writing (Linux, own files, local file systems). Elsewhere a
    save counts once this object saw it unchanged for `QUIET_BOARD` seconds.
    """

    def __init__(
        self, path: Path, monotonic: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time
    ) -> None:
        self.path = Path(os.path.realpath(path))
        self._monotonic = monotonic
        self._now = now
        self._first_seen: dict[Path, tuple[Stamp, str, float]] = {}
        name = re.escape(self.path.name)
        self._swap_name = re.compile(rf"\.{name}\.mux\.\d+\.([0-9a-f]{{{_DIGITS}}})\.([0-9a-f]{{{_DIGITS}}})")

    def stamp(self) -> Stamp | None:
        """A cheap look for the slow poll; None when there is no regular file."""
        try:
            info = self.path.lstat()
        except OSError:
            return None
        return stamp_of(info) if stat.S_ISREG(info.st_mode) else None

    def read(self) -> Version:
        """The whole file at a moment when no program has it open for writing.

        Raises `BoardBusy` (ask again in a moment), `BoardMissing` (nothing readable there; vim renames the file away
        while it saves, so ask again before believing it) and `BoardUnreadable` (over 20 MB).
        """
        version, writers = look(self.path, self._leases)
        if writers is Writers.UNKNOWN and self._unchanged_for(self.path, version) < QUIET_BOARD:
            raise busy(self.path)
        return version

    def read_soon(self, patience: float = 3.0, missing: float = 0.3) -> Version:
        """`read` for a command: waits at most `patience` seconds for a busy file, `missing` for an absent one."""
        start = self._monotonic()
        while True:
            try:
                return self.read()
            except (BoardBusy, BoardMissing) as error:
                limit = patience if isinstance(error, BoardBusy) else missing
                if self._monotonic() - start >= limit:
                    raise
            time.sleep(0.01)

    @contextmanager
    def lock(self, timeout: float = 10.0) -> Iterator[None]:
        """Holds `board.md.lock`, which whoever rewrites the board holds; reentrant in a thread. Raises `LockHeld`.

        Nobody keeps an order among many who write: while the board goes on changing, our turn is waited for.
        """
        path = Path(self._file_lock.lock_file)
        with one_line_errors("lock", path):
            for turn in range(_TURNS):
                before = self.stamp()
                if self._locked(timeout):
                    break
                if timeout == 0 or turn + 1 == _TURNS or self.stamp() == before:
                    raise _held(path, timeout * (turn + 1))
        try:
            yield
        finally:
            self._file_lock.release()

    def write(self, text: bytes, expected: str | None) -> Written:
        """Replaces the version with the digest `expected` by `text`; None: there is no file yet.

        Mode and owner stay. Raises `BoardChanged`, `BoardBusy` or `BoardMissing` when the file is not as expected, and
        `LockHeld` or `MuxError` (disk full, folder not writable); the file is then as it was.
        """
        with self.lock(), one_line_errors("write", self.path):
            stamp = self._create(text) if expected is None else self._replace(text, expected)
            sync_folder(self.path.parent)
            version = Version(text, digest(text), stamp)
            self._first_seen[self.path] = (stamp, version.digest, float("-inf"))
            return Written(version, self._collect())

    def has_swaps(self) -> bool:
        """Whether a write has left something to look at with `displaced`. Raises `MuxError`."""
        return bool(self._swaps())

    def displaced(self) -> tuple[Displaced, ...]:
        """Saves that writes have displaced and whose writers are done; also removes what holds nothing new.

        For every tick and every start. Empty while another process writes the board. Raises `MuxError`.
        """
        if not self._swaps():
            return ()
        try:
            with self.lock(timeout=0), one_line_errors("clean up beside", self.path):
                return self._collect()
        except LockHeld:
            return ()

    def forget(self, displaced: Displaced) -> None:
        """Says that a displaced save is safe elsewhere (in the history). Raises `LockHeld` or `MuxError`."""
        with self.lock(), one_line_errors("clean up beside", self.path), suppress(FileNotFoundError):
            displaced.path.rename(self._free_swap(displaced.digest, displaced.digest))

    @cached_property
    def _file_lock(self) -> BaseFileLock:
        from filelock import FileLock

        return FileLock(self.path.with_name(self.path.name + ".lock"))

    @cached_property
    def _leases(self) -> bool:
        return not is_remote(self.path.parent)

    def _locked(self, timeout: float) -> bool:
        from filelock import Timeout

        try:
            self._file_lock.acquire(timeout=timeout, poll_interval=0.01)
        except Timeout:
            return False
        return True

    def _unchanged_for(self, path: Path, version: Version) -> float:
        """Seconds since this object first saw `path` as it is now."""
        now = self._monotonic()
        stamp, seen_digest, since = self._first_seen.get(path, (None, "", now))
        if (stamp, seen_digest) != (version.stamp, version.digest):
            since = now
        self._first_seen[path] = (version.stamp, version.digest, since)
        return now - since

    def _create(self, text: bytes) -> Stamp:
        new = self._prepare(text, digest(text), None)
        try:
            os.link(new, self.path)
        except FileExistsError:
            raise _changed(self.path) from None
        finally:
            new.unlink()
        return stamp_of(self.path.lstat())

    def _replace(self, text: bytes, expected: str) -> Stamp:
        if look(self.path, self._leases)[0].digest != expected:
            raise _changed(self.path)
        new = self._prepare(text, expected, self.path.lstat())
        stamp = stamp_of(new.lstat())
        try:
            if not exchange(new, self.path):
                self._rename_over(new, expected)
        except FileNotFoundError:  # an editor has just renamed the board away
            new.unlink(missing_ok=True)
            raise _changed(self.path) from None
        except (OSError, BoardChanged):  # nothing wider: after the swap, `new` may hold the only copy of a save
            new.unlink(missing_ok=True)
            raise
        return stamp

    def _rename_over(self, new: Path, expected: str) -> None:
        """Without an atomic exchange: a save by rename that lands after the check is lost; one in place is not."""
        old = self._free_swap(expected, expected)
        with suppress(OSError):  # no hard links here (or no board any more: the next line says so)
            os.link(self.path, old)
        if digest(self.path.read_bytes()) != expected:
            old.unlink(missing_ok=True)
            raise _changed(self.path)
        new.replace(self.path)

    def _prepare(self, text: bytes, expected: str, like: os.stat_result | None) -> Path:
        """The new text, on disk, under a swap file's name. A half-written file never carries such a name."""
        temporary = self.path.with_name(f".{self.path.name}.mux.tmp")
        temporary.unlink(missing_ok=True)  # of a process that was killed: we hold the lock
        write_new(temporary, text, 0o644 if like is None else stat.S_IMODE(like.st_mode))
        try:
            if like is not None and (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(PermissionError):  # only root gives files away
                    os.chown(temporary, like.st_uid, like.st_gid)
            return temporary.rename(self._free_swap(expected, digest(text)))
        except OSError:
            temporary.unlink()
            raise

    def _swaps(self) -> list[tuple[Path, tuple[str, ...]]]:
        """Swap files with the digests that their names account for. Raises `MuxError`."""
        with one_line_errors("list", self.path.parent), os.scandir(self.path.parent) as entries:
            found = [(Path(entry.path), self._swap_name.fullmatch(entry.name)) for entry in entries]
        return [(path, match.groups()) for path, match in sorted(found) if match]

    def _free_swap(self, first: str, second: str) -> Path:
        digests = f"{first[:_DIGITS]}.{second[:_DIGITS]}"
        number = 0
        while (path := self.path.with_name(f".{self.path.name}.mux.{number}.{digests}")).exists():
            number += 1
        return path

    def _collect(self) -> tuple[Displaced, ...]:
        """The work of `displaced`; the caller holds the lock, so that no swap happens between look and removal."""
        found = []
        for path, accounted in self._swaps():
            try:
                version, writers = look(path, self._leases)
            except MuxError:  # still open, or a thing we never put there
                continue
            if writers is Writers.UNKNOWN and self._unchanged_for(path, version) < QUIET_DISPLACED:
                continue
            if version.digest[:_DIGITS] not in accounted:
                found.append(Displaced(version.text, version.digest, path))
            elif writers is Writers.UNKNOWN or self._now() - path.lstat().st_ctime >= GRACE:
                path.unlink()
                self._first_seen.pop(path, None)
        return tuple(found)


def _changed(path: Path) -> BoardChanged:
    return BoardChanged(f"{path}: somebody saved it meanwhile and nothing was written; read it again")


def _held(path: Path, seconds: float) -> LockHeld:
    holder = lock_holder(path)
    who = "another mux process" if holder is None else f"process {holder}"
    text = f"others have been writing the board for {seconds:g} s, at last {who}; try again, or end it if it hangs"
    return LockHeld(f"{path}: {text}")
