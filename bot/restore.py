"""`mux history restore`: go back to an older version of the board, with or without a control plane."""

from __future__ import annotations

import os

from board import by_command
from board.keeper import Note
from bot.orders import journalled, keeper_of
from bot.place import Place
from bot.requests import refuse_workers, user


def to_version(place: Place, serial: int) -> str:
    """Says what came of it. Raises MuxError."""
    refuse_workers(os.environ)
    notes = by_command.restore(keeper_of(place), serial)
    journalled(place, "restore", [Note(f"went back to version {serial}, by terminal:{user()}")])
    journalled(place, "board", notes)
    return (
        f"{place.path.name}: the words of version {serial} are back; statuses and mux's lines are as they were, "
        "and what stood there before is in: mux history"
    )
