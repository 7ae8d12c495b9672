"""The board as a command sees it: what is in the file now, or, while that cannot be read, the last good version."""

from __future__ import annotations

from dataclasses import dataclass

from board.errors import MuxError
from board.file import BoardFile
from board.history import History
from board.model import Board
from board.parse import decode, parse
from bot.place import Place
from runners.agents import BUILT_IN


@dataclass(frozen=True, slots=True)
class Seen:
    """`trouble` says why `board` is not what the file holds; None when it is."""

    board: Board
    trouble: str | None = None


def load(place: Place) -> Board:
    """What the file holds. Raises MuxError when it is missing or cannot be read as a board."""
    return read(BoardFile(place.path).read_soon().text, place)


def read(data: bytes, place: Place, previous: Board | None = None) -> Board:
    """The board in these bytes. Raises BoardUnreadable."""
    name = place.path.name
    return parse(decode(data, name), BUILT_IN, previous, name)


def seen(place: Place) -> Seen:
    """Raises MuxError only when there never was a good version."""
    try:
        return Seen(load(place))
    except MuxError as error:
        history = History(place.folder / "history")
        latest = history.latest()
        if latest is None:
            raise
        return Seen(read(history.read(latest), place), f"{error}; shown is the last version that could be read")
