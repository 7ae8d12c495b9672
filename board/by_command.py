"""A person's edits through commands: made on the board in force, and kept before the file says them."""

from __future__ import annotations

import time
from collections.abc import Callable

from board.errors import MuxError
from board.keeper import Keeper, Note, notes_of
from board.merge import Decision, merge
from board.restore import restored

#: A command waits so many seconds for a file that is just being saved.
PATIENCE = 5.0


def edit(keeper: Keeper, change: Callable[[str], str], over_held: bool = False) -> list[Note]:
    """`change` gets the board's text and returns the new one, or raises to change nothing.

    Saves that are in the file are taken first; while it is just being saved, the command waits. With `over_held` the
    result also takes the place of a save that is held. Raises `MuxError`, and nothing is changed, while the file is not
    in force.
    """
    deadline = float("inf")
    said: list[Note] = []
    while True:
        with keeper.lock():
            deadline = min(deadline, time.monotonic() + PATIENCE)  # from the first look: a turn may be long in coming
            now = time.time()
            said += keeper.look(now)
            if keeper.settled or (over_held and keeper.held is not None):
                said += keeper.replace(change(keeper.text), now)
                break
        if keeper.retry_at is None or time.monotonic() > deadline:
            raise MuxError(f"{keeper.trouble or f'{keeper.path}: it is just being saved'}; nothing was changed")
        time.sleep(0.02)
    # The edit is kept, and so in force; it is on disk too unless somebody keeps saving, or the disk is full.
    while keeper.retry_at is not None and time.monotonic() < deadline:
        said += keeper.look(time.time())
        time.sleep(0.005)
    return said


def restore(keeper: Keeper, serial: int) -> list[Note]:
    """Go back to a version: what a person wrote in it becomes an edit of the board in force; what is held is over.

    Statuses and mux's lines stay as they are. Raises `MuxError` when the version is not kept.
    """
    old = keeper.version(serial)
    decisions: list[Decision] = []

    def change(text: str) -> str:
        merged = merge([text], restored(old, text), text)
        decisions[:] = merged.decisions
        return merged.text

    said = edit(keeper, change, over_held=True)
    return [*notes_of(decisions), *said]
