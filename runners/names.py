"""Where a board's things are: its name, its repository, its homes and branches. Pure but for following links."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from board.model import BoardSettings


def board_name(board: Path, settings: BoardSettings) -> str:
    """The `board:` key; else the file's name; else, for a `board.md`, its folder's. Always fit for a branch."""
    written = settings.board or (board.stem if board.stem.lower() != "board" else board.parent.name)
    return re.sub(r"[^a-z0-9]+", "-", written.lower()).strip("-") or "board"


def repository_of(board: Path, settings: BoardSettings) -> Path:
    return _path(board, settings.repo).resolve()


def home_of(board: Path, settings: BoardSettings, task: str) -> Path:
    """Outside the repository: a nested worktree would inherit its `node_modules` and agent files."""
    if settings.worktrees is not None:
        root = _path(board, settings.worktrees)
    else:
        repository = repository_of(board, settings)
        root = repository.parent / f"{repository.name}.worktrees" / board_name(board, settings)
    return root.resolve() / task


def _path(board: Path, written: str) -> Path:
    with suppress(RuntimeError):  # a `~user` that there is not: then a folder's name, as in a shell
        return board.parent / Path(written).expanduser()
    return board.parent / written


def branch_of(board: Path, settings: BoardSettings, task: str) -> str:
    """With the board's name in it: two boards on one repository may have tasks of the same id."""
    return f"mux/{board_name(board, settings)}/{task}"
