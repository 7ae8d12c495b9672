"""`mux diff`: what a task changed since its branch started."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress

from board.errors import MuxError
from bot import boards, terminal
from bot.place import Place, find, unknown_task
from bot.table import clean, paint
from runners.delivery import Changes, of_task
from runners.local import local_host
from runners.records import Records

_COLOURS = (("+++", "1"), ("---", "1"), ("diff ", "1"), ("index ", "1"), ("@@", "36"), ("+", "32"), ("-", "31"))


def run(arguments: argparse.Namespace) -> int:
    changes = changes_of(find(arguments.board), arguments.task, arguments.stat)
    if not changes.diff and not changes.untracked:
        print(f"{arguments.task}: nothing changed", file=sys.stderr)
    elif terminal.is_terminal(sys.stdout):
        page("\n".join(for_terminal(changes, terminal.colourful())) + "\n", os.environ)
    else:
        sys.stdout.flush()
        # Byte for byte, so that it can be applied; git passes over the lines at its end.
        sys.stdout.buffer.write(plain(changes).encode("utf-8", "surrogateescape"))
    return 0


def changes_of(place: Place, name: str, stat: bool) -> Changes:
    """`stat`: with what `git diff --stat` prints. Raises MuxError, with the nearest task, when there is none."""
    board = boards.seen(place).board
    attempt = Records(place.folder).attempts().get(name)
    task = board.by_id.get(name)
    if task is None and attempt is None:
        raise unknown_task(name, board.by_id)
    own = task.settings if task else board.settings.defaults
    delivery = of_task(place.path, board.settings, name, own, attempt)
    return local_host(place.path, place.folder, os.environ).diff(delivery, stat)


def plain(changes: Changes) -> str:
    """The diff as git gives it, then the untracked files. Pure."""
    lines = [f"untracked: {name}" for name in changes.untracked]
    return changes.diff + "".join(f"{line}\n" for line in lines)


def for_terminal(changes: Changes, colour: bool) -> Iterator[str]:
    """The same, line by line, with nothing in it that a terminal would obey. Pure."""
    for line in plain(changes).removesuffix("\n").split("\n"):
        text = "\t".join(map(clean, line.split("\t")))
        yield paint(text, _colour(line)) if colour else text


def page(text: str, environment: Mapping[str, str]) -> None:
    """Through `$PAGER`, else `less`, else straight to the terminal."""
    argv = _pager(environment)
    if not argv:
        sys.stdout.write(text)
        return
    import subprocess

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's: less stops searching and stays
    try:
        # A pager needs the terminal, so it cannot be run as every other program is.
        with subprocess.Popen(argv, stdin=subprocess.PIPE, env={"LESS": "FRX", **environment}) as pager:
            assert pager.stdin is not None
            with suppress(BrokenPipeError):
                pager.stdin.write(text.encode("utf-8", "replace"))
                pager.stdin.close()
    finally:
        signal.signal(signal.SIGINT, before)


def _pager(environment: Mapping[str, str]) -> list[str]:
    """The pager's arguments; none when the person wants none, or it is not there."""
    wanted = environment.get("PAGER", "less -FRX")
    try:
        argv = shlex.split(wanted)
    except ValueError as error:
        raise MuxError(f"PAGER={wanted}: cannot be read ({error}); set it to something like: less -FRX") from error
    return argv if argv and argv != ["cat"] and shutil.which(argv[0]) else []


def _colour(line: str) -> str:
    return next((colour for begin, colour in _COLOURS if line.startswith(begin)), "")
