"""`mux history restore`: go back to an older version of the board, with or without a control plane."""

from __future__ import annotations

import os

from board import by_command
from bot.journalling import journalled, say_in
from bot.orders import keeper_of
from bot.place import Place
from bot.requests import refuse_workers, user


def to_version(place: Place, serial: int) -> str:
    """Says what came of it. Raises MuxError."""
    refuse_workers(place, os.environ)
    notes = by_command.restore(keeper_of(place), serial)
    say_in(place)("restore", f"went back to version {serial}", by=f"terminal:{user()}")
    journalled(place, "board", notes)
    return (
        f"{place.path.name}: the words of version {serial} are back; statuses and mux's lines are as they were, "
        "and what stood there before is in: mux history"
    )
