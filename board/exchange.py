"""What the kernel can do for a file that other programs write: swap it in one step, read it with writers held off."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from board.errors import BoardBusy, BoardMissing, BoardUnreadable
from board.storage import Stamp, digest, stamp_of

SIZE_LIMIT = 20 * 1024 * 1024  # bytes
_NOT_OFFERED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})

#: File systems on which another machine (or the host of a virtual one) writes: no events, no leases to rely on.
_REMOTE = re.compile(r"nfs.*|cifs|smb3|9p|fuse\.sshfs|virtiofs|drvfs")
_OCTAL = re.compile(r"\\([0-7]{3})")  # how mountinfo writes blanks and backslashes


def exchange(first: Path, second: Path) -> bool:
    """Swaps two names in one step; False when the system or the file system cannot.

    Linux: `renameat2(RENAME_EXCHANGE)`; macOS: `renamex_np(RENAME_SWAP)`. Neither is in Python's `os`.
    Raises `OSError`, so `FileNotFoundError` when one of them is not there.
    """
    swap = _swap_call()
    if swap is None:
        return False
    error = swap(os.fsencode(first), os.fsencode(second))
    if error in _NOT_OFFERED:
        return False
    if error:
        raise OSError(error, os.strerror(error), str(first), None, str(second))
    return True


@cache
def _swap_call() -> Callable[[bytes, bytes], int] | None:
    """A function that swaps two names and returns 0 or the error's number; None where the system has none."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            rename = libc.renamex_np
            return lambda first, second: ctypes.get_errno() if rename(first, second, 2) else 0
        rename = libc.renameat2  # glibc 2.28 and later; not in every musl
    except AttributeError:
        return None
    here = -100  # AT_FDCWD
    return lambda first, second: ctypes.get_errno() if rename(here, first, here, second, 2) else 0


@dataclass(frozen=True, slots=True)
class Version:
    """One state of the file, read whole."""

    text: bytes
    digest: str
    stamp: Stamp


class Writers(Enum):
    """Who has a file open for writing."""

    NONE = "none"  # and nobody can, until the body of `hold_off_writers` ends
    SOME = "some"
    UNKNOWN = "unknown"  # this system, file system or owner allows no lease


@contextmanager
def hold_off_writers(descriptor: int) -> Iterator[Writers]:
    """Takes a read lease on a file opened read-only: while it lasts, whoever opens it for writing waits.

    Keep the body short: an editor that saves waits for it (for at most `fs.lease-break-time`).
    """
    writers = _lease(descriptor)
    try:
        yield writers
    finally:
        if writers is Writers.NONE:
            _end_lease(descriptor)


def _lease(descriptor: int) -> Writers:
    if sys.platform != "linux":
        return Writers.UNKNOWN
    import fcntl
    import signal

    try:
        # Without this, an open for writing during the lease sends SIGIO, which ends the process. SIGURG is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return Writers.SOME
    except OSError:  # not the owner; the file system has no leases
        return Writers.UNKNOWN
    return Writers.NONE


def _end_lease(descriptor: int) -> None:
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def look(path: Path, leases: bool) -> tuple[Version, Writers]:
    """Reads `path`, and says whether a writer could have had it open meanwhile.

    `leases`: False where they prove nothing (`is_remote`); the answer is then always `Writers.UNKNOWN`, and all that
    is sure is that size and time were the same before and after. Raises as `board.file.BoardFile.read`.
    """
    try:
        with _opened(path) as descriptor:
            if not leases:
                return _contents(path, descriptor), Writers.UNKNOWN
            with hold_off_writers(descriptor) as writers:
                if writers is Writers.SOME:
                    raise busy(path)
                return _contents(path, descriptor), writers
    except BlockingIOError:
        raise busy(path) from None
    except OSError as error:
        raise BoardMissing(f"{path}: no board to read there: {_reason(error)}") from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # O_NONBLOCK: neither a pipe in the board's place nor another program's lease may hang us.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file; make one with `mux init` or give its path"
    if error.errno == errno.ELOOP:
        return "it has become a symbolic link; put a file there, or start mux again to follow the link"
    return f"{(error.strerror or str(error)).lower()}; mend that and save it again"


def _contents(path: Path, descriptor: int) -> Version:
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        raise BoardMissing(f"{path}: a folder or device stands where the board should be; move it away")
    if before.st_size > SIZE_LIMIT:
        megabytes = before.st_size >> 20
        raise BoardUnreadable(
            f"{path.name}: {megabytes} MB is too large for a board (at most 20 MB): move text out of it"
        )
    text = _read_all(descriptor, before.st_size)
    if len(text) != before.st_size or stamp_of(os.fstat(descriptor)) != stamp_of(before):
        raise busy(path)
    return Version(text, digest(text), stamp_of(before))


def _read_all(descriptor: int, size: int) -> bytes:
    """Up to one byte more than `size`, so that growth shows."""
    parts = []
    while size >= 0 and (part := os.read(descriptor, size + 1)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def busy(path: Path) -> BoardBusy:
    return BoardBusy(f"{path}: a program is saving it, or keeps it open for writing; wait for it, or close it there")


def is_remote(folder: Path) -> bool:
    """True where other machines may write without this kernel knowing: it sends no events and leases prove nothing.

    Source: `/proc/self/mountinfo`; False where there is none.
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    except OSError:
        return False
    return _REMOTE.fullmatch(filesystem_type(mounts, folder.resolve())) is not None


def filesystem_type(mounts: str, path: Path) -> str:
    """The type of the file system that holds the absolute `path`, by the text of a `mountinfo`; "" when unknown."""
    found, depth = "", 0
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields.split(" ")[4]))
        if len(point.parts) >= depth and path.is_relative_to(point):  # of equal points the later one lies on top
            found, depth = rest.split(" ")[0], len(point.parts)
    return found


def lock_holder(path: Path) -> int | None:
    """The process that holds the flock on `path`, as far as `/proc/locks` tells."""
    try:
        info = path.stat()
        locks = Path("/proc/locks").read_text()
    except OSError:
        return None
    file = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    for fields in map(str.split, locks.splitlines()):
        if fields[1] == "FLOCK" and fields[5] == file:
            return int(fields[4]) if fields[4].isdecimal() else None
    return None
