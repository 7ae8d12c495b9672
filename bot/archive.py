"""`mux archive`: done tasks move from the board to `board.archive.md` beside it."""

from __future__ import annotations

import argparse
import stat
from pathlib import Path

from board import edit
from board.model import Board, Status
from board.storage import one_line_errors, write_atomic
from bot import boards
from bot.orders import edit_board
from bot.place import Place, find, short
from runners.records import Records
from runners.standing import is_live


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    archive = place.path.with_name(f"{place.path.stem}.archive.md")
    moved: list[str] = []
    kept: dict[str, str] = {}

    def change(text: str) -> str:
        board = boards.read(text.encode(), place)
        names, reasons = choose(board, _live(place))
        kept.clear()
        kept.update(reasons)
        moved[:] = names
        left, sections = edit.remove_tasks(text, names) if names else (text, "")
        if sections:
            append(archive, sections, place.path)  # first: a crash in between leaves them in both, never in none
        return left

    edit_board(place, change)
    print(f"to {short(archive)}: {', '.join(moved)}" if moved else "no done task to archive")
    for task, reason in kept.items():
        print(f"{task} stays: {reason}")
    return 0


def choose(board: Board, live: frozenset[str]) -> tuple[list[str], dict[str, str]]:
    """The done tasks that can go, and why the other done ones stay. Pure."""
    going = [task.id for task in board.tasks if task.status is Status.DONE and task.id not in live]
    kept = {task.id: "its worker still runs" for task in board.tasks if task.status is Status.DONE and task.id in live}
    while needed := _needed(board, going):
        kept |= needed
        going = [name for name in going if name not in needed]
    return going, kept


def append(archive: Path, sections: str, like: Path) -> None:
    """Raises MuxError. Sections that the archive holds already, from a move that was cut short, are not added again."""
    with one_line_errors("read", archive):
        before = archive.read_bytes() if archive.exists() else b"# Archive\n\n"
        mode = stat.S_IMODE((archive if archive.exists() else like).stat().st_mode)
    added = sections.encode().strip(b"\r\n") + b"\n"
    if added.strip() in before:
        return
    gap = b"" if before.endswith(b"\n\n") else b"\n" if before.endswith(b"\n") else b"\n\n"
    write_atomic(archive, before + gap + added, mode=mode)


def _needed(board: Board, going: list[str]) -> dict[str, str]:
    """Tasks that others, which stay, name in `after`: without them those would never start."""
    staying = [task for task in board.tasks if task.id not in going]
    return {name: f"{task.id} comes after it" for task in staying for name in task.settings.after if name in going}


def _live(place: Place) -> frozenset[str]:
    return frozenset(task for task, attempt in Records(place.folder).attempts().items() if is_live(attempt))
