"""Files that `copy:` brings to workers and that may hold variables: as the repository has them, and as homes do.

Their values must not leave. They are known by `env` in their name or in that of a folder of `copy:` that they are in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR

from board.errors import MuxError
from board.model import Board
from runners import names

_LARGEST = 1024 * 1024  # bytes of a file
#: Of one folder of `copy:` so much is looked through, what is near its top first.
_MOST_FOLDERS, _MOST_ENTRIES = 100, 2000
#: What was installed, not written: these folders, and such as have one of these files in them.
_INSTALLED = frozenset({"node_modules", "site-packages", ".git"})
_OF_INSTALLED = frozenset({"pyvenv.cfg", "conda-meta"})


@dataclass(slots=True)
class Copied:
    """`files` may hold variables. `watched`: what changes when one comes, goes, or has other values.

    `closed`: an error for each place that could not be looked into.
    """

    files: list[Path] = field(default_factory=list)
    watched: list[Path] = field(default_factory=list)
    closed: list[MuxError] = field(default_factory=list)


def in_repository(path: Path, board: Board) -> Copied:
    """For the board at `path`. Raises MuxError for what cannot be looked into: its values could leak."""
    found = _below(names.repository_of(path, board.settings), _copies(board))
    if found.closed:
        raise found.closed[0]
    return found


def texts(path: Path, board: Board) -> Iterator[tuple[str, str]]:
    """What is in those files, by their names. One that cannot be read, or is too large, is an error: a MuxError."""
    repository = names.repository_of(path, board.settings)
    for file in in_repository(path, board).files:
        text = _read(file)
        if text is not None:
            yield str(file.relative_to(repository)), text


def texts_of_homes(path: Path, board: Board) -> Iterator[tuple[str, str]]:
    """The same of the homes, of what is no more as in the repository: a worker may hold what was there before.

    A worker can do with its own as it likes; what cannot be read there holds up nothing.
    """
    repository, copies = names.repository_of(path, board.settings), _copies(board)
    homes = names.home_of(path, board.settings, "task").parent
    for home in _entries(homes) if copies else ():
        for file in _below(home, copies).files:
            if _stamp(file) != _stamp(repository / file.relative_to(home)):
                with suppress(MuxError):
                    yield f"{home.name}: {file.relative_to(home)}", _read(file) or ""


def _copies(board: Board) -> Sequence[str]:
    everywhere = (board.settings.defaults, *(task.settings for task in board.tasks))
    return sorted({name for settings in everywhere for name in settings.copy})


def _below(root: Path, copies: Sequence[str]) -> Copied:
    found = Copied()
    for name in copies:
        path = root / name
        try:
            is_folder = path.is_dir()
        except OSError as error:
            found.closed.append(_unreadable(path, error))
            continue
        if is_folder:
            _walk(root, path, found)
            continue
        found.watched.append(path)
        if "env" in path.name.lower():
            found.files.append(path)
    return found


def _walk(root: Path, top: Path, found: Copied) -> None:
    """Links to folders are not followed: they are copied as links."""
    folders, looked, entered = deque([top] if top.name not in _INSTALLED else []), 0, 0
    while folders and entered < _MOST_FOLDERS and looked < _MOST_ENTRIES:
        folder = folders.popleft()
        try:
            entries = _entries(folder)
        except MuxError as error:
            found.closed.append(error)
            continue
        if any(entry.name in _OF_INSTALLED for entry in entries):
            continue
        entered += 1
        found.watched.append(folder)
        taken = entries[: _MOST_ENTRIES - looked]
        looked += len(taken)
        for entry in taken:
            try:
                is_folder = S_ISDIR(entry.lstat().st_mode)
            except OSError as error:
                found.closed += [_unreadable(entry, error)] if not isinstance(error, FileNotFoundError) else []
                continue
            if is_folder:
                folders += [entry] if entry.name not in _INSTALLED else []
            elif "env" in entry.name.lower() or (
                "env" in str(entry.relative_to(root)).lower() and not _is_large(entry)
            ):
                found.files.append(entry)
                found.watched.append(entry)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _is_large(path: Path) -> bool:
    """Or not to be looked at: then it is read, which says so."""
    try:
        return path.stat().st_size > _LARGEST
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int] | None:
    """A copy has the time of what it was copied from."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _read(path: Path) -> str | None:
    """None where there is no such file."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(data) > _LARGEST:
        raise MuxError(f"{path}: is larger than 1 MiB, so its values could not be redacted: take it out of `copy:`")
    return data.decode("utf-8", "replace")


def _unreadable(path: Path, error: OSError) -> MuxError:
    return MuxError(f"{path}: cannot be read ({error.strerror}), so its values could not be redacted")
