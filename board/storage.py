"""Small files that are whole or absent: private, atomic, durable.

Temporary files are hidden (`.name.1f2e3d4c.tmp`) and lie beside their target, so whoever lists such a folder passes
over names that start with a dot. A process killed while writing leaves one behind and nothing else.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from board.errors import Damaged, MuxError

_ADVICE = {
    errno.ENOSPC: "free some disk space and try again",
    errno.EDQUOT: "free some disk space and try again",
    errno.EACCES: "give yourself write access to it, or move the board",
    errno.EPERM: "give yourself write access to it, or move the board",
    errno.EROFS: "it is mounted read-only: move the board to a folder that can be written",
    errno.ENOTDIR: "a file stands where a folder is needed: move it away",
    errno.EISDIR: "a folder stands where a file is needed: move it away",
    errno.EEXIST: "something else stands there: move it away",
    errno.ENOENT: "its folder is gone: make it again",
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a look without reading tells: another stamp means another version, the same one very likely not."""

    inode: int
    size: int
    mtime_ns: int


@contextmanager
def one_line_errors(doing: str, path: Path) -> Iterator[None]:
    """Turns an `OSError` in the body into a one-line `MuxError` that names `path`, what failed and what to do."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        advice = _ADVICE.get(error.errno or 0, "mend that and try again")
        said = f"cannot {doing}: {reason}; {advice}"
        raise MuxError(f"{path}: {said}", told=f"mux {said}") from error


def digest(data: bytes) -> str:
    """What tells two versions of a file apart: SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def stamp_of(info: os.stat_result) -> Stamp:
    return Stamp(info.st_ino, info.st_size, info.st_mtime_ns)


def stamp_at(path: Path) -> Stamp | None:
    """None while nothing is there that can be looked at."""
    with suppress(OSError):
        return stamp_of(path.stat())
    return None


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable. Raises `OSError`, except where a folder cannot be synced at all."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network and FUSE file systems
            raise
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes, mode: int = 0o600, durable: bool = True) -> None:
    """A file that was not there, with all of `data`; nothing is left when it fails. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # the umask took bits away from what `open` was given
            file.write(data)
            file.flush()
            if durable:
                os.fsync(descriptor)
    except BaseException:
        with suppress(FileNotFoundError):
            path.unlink()
        raise


def write_atomic(path: Path, data: bytes, mode: int = 0o600, durable: bool = True) -> None:
    """Replaces `path` by a file that holds `data`: readers and crashes see the old one or the new one, whole.

    `durable` waits until file and name are on disk. A failure leaves the old file as it was. Raises `MuxError`.
    """
    temporary = _beside(path)
    with one_line_errors("write", path):
        write_new(temporary, data, mode, durable)
        try:
            temporary.replace(path)
        except OSError:
            temporary.unlink()
            raise
        if durable:
            sync_folder(path.parent)


def create_exclusive(path: Path, data: bytes, mode: int = 0o600, durable: bool = True) -> bool:
    """True when this call made `path`; False when the name was taken. The name appears with all of its content.

    Raises `MuxError`, also on a file system without hard links.
    """
    temporary = _beside(path)
    with one_line_errors("create", path):
        write_new(temporary, data, mode, durable)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        if durable:
            sync_folder(path.parent)
        return True


def private_folder(path: Path) -> Path:
    """Makes `path`, and its missing parents, for the owner's eyes only (0700), and returns it. Raises `MuxError`."""
    for folder in reversed([path, *path.parents]):
        with one_line_errors("make the folder", folder):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
    return path


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None when there is no such file. Raises `MuxError` when it holds anything else."""
    with one_line_errors("read", path):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        value = json.loads(data)
    except ValueError:  # also text that is not UTF-8
        value = None
    if not isinstance(value, dict):
        raise Damaged(f"{path}: not a JSON object (damaged, or not written by mux); move it away and try again")
    return value


def write_json(path: Path, value: Mapping[str, Any], durable: bool = True) -> None:
    """Writes `value` as one JSON object, private and atomically; any path survives as text. Raises `MuxError`.

    On one line: only that is encoded without Python, and the state of 200 tasks is written often.
    """
    write_atomic(path, json.dumps(dict(value)).encode() + b"\n", durable=durable)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
