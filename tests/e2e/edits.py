"""One of many writers: a process that edits the board again and again, as mux's commands do or as an editor does."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

from bot.orders import edit_board
from bot.place import place_of


def with_line(text: str, name: str, number: int) -> str:
    """One more line at the end of the text of the task `name`."""
    start = text.index(f"## {name}:")
    end = text.find("\n#", start + 1)
    end = len(text) if end < 0 else end
    return f"{text[:end].rstrip()}\n- {name} edit {number}.\n{text[end:]}"


def by_command(board: Path, name: str, count: int) -> None:
    place = place_of(board)
    for number in range(count):
        edit_board(place, lambda text, number=number: with_line(text, name, number))


def by_editor(board: Path, name: str, count: int) -> None:
    """Load, type for a moment, save by rename: whatever others wrote meanwhile is not in the buffer."""
    typing = random.Random(name)
    for number in range(count):
        buffer = board.read_text()
        time.sleep(typing.uniform(0.0, 0.06))
        temporary = board.with_name(f".{name}.tmp")
        temporary.write_text(with_line(buffer, name, number))
        temporary.replace(board)


if __name__ == "__main__":
    os.environ.pop("MUX_TASK", None)
    kind, path, task, edits = sys.argv[1:]
    {"command": by_command, "editor": by_editor}[kind](Path(path), task, int(edits))
