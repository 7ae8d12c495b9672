"""`mux redact`: what text would look like outside of this machine. From standard input to standard output."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from board.errors import BoardMissing, MuxError
from board.model import Board
from board.redact import Redactor, safe
from board.redact_known import known_values
from bot import boards, copied
from bot.place import Place, find

MOST = 64 * 1024 * 1024  # bytes, read as a whole: half of a value would not be found


def run(arguments: argparse.Namespace) -> int:
    redactor = _redactor_for(arguments.board)
    if arguments.names:
        for name in redactor.names:
            print(name)
        return 0
    data = sys.stdin.buffer.read(MOST + 1)
    if len(data) > MOST:
        raise MuxError(f"redact reads at most {MOST // 1024 // 1024} MiB at once: split the input at a line's end")
    failed: list[Exception] = []
    sys.stdout.write(safe(data.decode("utf-8", "replace"), redactor, failed.append))
    return 1 if failed else 0


def _redactor_for(board: str | None) -> Redactor:
    try:
        place = find(board)
    except BoardMissing:
        if board is not None:
            raise
        return _redactor(known_values(os.environ, {}), [])
    return of_board(place)


def of_board(place: Place) -> Redactor:
    """For all that this board's mux says: knows the values, folders and names around it. Raises MuxError."""
    board = boards.seen(place).board
    return redactor_of(place.path, board, values_of(place.path, board, os.environ))


def redactor_of(path: Path, board: Board, values: dict[str, str]) -> Redactor:
    """For the board at `path` as it was read already, whose `values` must not leave."""
    from runners import names

    repository = names.repository_of(path, board.settings)
    homes = names.home_of(path, board.settings, "task").parent
    roots = {*(homes / task.id for task in board.tasks), homes, repository, path.parent}
    return _redactor(values, sorted(map(str, roots)))


def values_of(path: Path, board: Board, environment: Mapping[str, str]) -> dict[str, str]:
    """What must not leave, by name: of the environment, of the board's, and of what `copy:` brings to workers.

    Raises MuxError for a file whose values cannot be known.
    """
    values = known_values(environment, dict(copied.texts(path, board)))
    for settings, where in ((board.settings.defaults, "board"), *((task.settings, task.id) for task in board.tasks)):
        values |= {f"{where}: {name}": value for name, value in known_values(settings.env, {}).items()}
    now = set(values.values())
    held = known_values({}, dict(copied.texts_of_homes(path, board)))
    return values | {name: value for name, value in held.items() if value not in now}


def _redactor(values: dict[str, str], roots: list[str]) -> Redactor:
    import getpass
    import socket

    user = ""
    with suppress(KeyError, OSError):  # a user without a name
        user = getpass.getuser()
    home = Path.home()
    return Redactor(values, [str(home), str(home.resolve())], roots, user, socket.gethostname())
