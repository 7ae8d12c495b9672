"""Which board a command is about, and its `.mux` folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from board.errors import BoardMissing, MuxError

NAME = "board.md"
OWNER = "board.json"  # in `.mux`: the name of the board whose records are there


@dataclass(frozen=True, slots=True)
class Place:
    path: Path  # the board's file, symlinks followed; it may be missing just now
    folder: Path  # `.mux` beside it; it may not be there yet


def find(board: str | None, start: Path | None = None) -> Place:
    """The board that was named (a folder means the `board.md` in it), else that of `start` or its nearest parent.

    A folder whose board is gone for the moment counts while there is a `.mux` of ours in it: `mux status` must be able
    to say so, and `mux down` to work. Raises BoardMissing.
    """
    if board is not None:
        return _named(Path(board))
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        place = place_of(folder / NAME)
        if (folder / NAME).is_file() or _ours(place.folder):
            return place
    raise BoardMissing(f"no {NAME} in {here} or above it: make one with `mux init`, or name one with --board")


def place_of(path: Path) -> Place:
    resolved = Path(os.path.realpath(path))
    return Place(resolved, resolved.parent / ".mux")


def short(path: Path, start: Path | None = None) -> str:
    """The path as a person here would write it."""
    here = (start or Path.cwd()).resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def unknown_task(task: str, known: Iterable[str], where: str = "on the board") -> MuxError:
    """The error for a task that is not there, with the nearest that is."""
    from difflib import get_close_matches

    names = sorted(known)
    begun = [name for name in names if task and name.startswith(task.lower())]
    near = begun if len(begun) == 1 else get_close_matches(task.lower(), names, n=1)
    hint = f": did you mean '{near[0]}'?" if near else ""
    return MuxError(f"no task '{task}' {where}{hint}")


def ready(place: Place) -> None:
    """Make `.mux`, private and ignored by git, and remember whose it is.

    Raises MuxError where it is another board's: their records would mix.
    """
    from board.storage import private_folder, read_json, write_atomic, write_json

    private_folder(place.folder)
    _check_owner(place)
    owner = {"name": place.path.name}
    if read_json(place.folder / OWNER) != owner:
        write_atomic(place.folder / ".gitignore", b"*\n")
        write_json(place.folder / OWNER, owner)


def _check_owner(place: Place) -> None:
    """A board that was renamed takes its folder along; two boards beside each other cannot share it."""
    from board.storage import read_json

    owner = (read_json(place.folder / OWNER) or {}).get("name", place.path.name)
    if owner != place.path.name and (place.folder.parent / owner).is_file():
        raise MuxError(
            f"{place.path}: {place.folder} belongs to {owner}, and one folder holds one board: "
            f"move {place.path.name} to a folder of its own, and set `repo:` in it"
        )


def _named(path: Path) -> Place:
    place = place_of(path / NAME if path.is_dir() else path)
    if not place.path.exists() and not _ours(place.folder):
        raise BoardMissing(f"{path}: there is no board; make one with `mux init --board {path}`")
    _check_owner(place)
    return place


def _ours(folder: Path) -> bool:
    return (folder / "daemon.lock").is_file()
