"""`mux up`: run the control plane of a board, in the foreground or detached."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from board.errors import BoardMissing, MuxError
from board.keeper import Keeper
from board.storage import private_folder, read_json, stamp_at
from board.watch import Watcher
from bot.chat_start import chat_of, handed_over, named, taken_over, tokens_of
from bot.live import Screen
from bot.place import Place, find, ready
from bot.redaction import Redaction, register
from bot.status import problem_line
from runners import daemon, git, tmux, trust
from runners.boards import read_board
from runners.local import local_host
from runners.loop import ControlPlane
from runners.own_log import write_traceback

T = TypeVar("T")

#: A detached control plane that has not shown its state after this many seconds did not start.
DETACHED_START = 60.0


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    if not place.path.is_file():
        kept = (place.folder / "history").is_dir()
        way = "its versions: mux history; bring one back: mux history restore N" if kept else "make one with: mux init"
        raise BoardMissing(f"{place.path}: there is no such file; {way}")
    tmux.version()
    git.version()
    ready(place)
    private_folder(place.folder / "inbox")
    if arguments.watch:
        return _watched(place, arguments.trust)
    if (found := daemon.running(place.folder)) is not None:
        raise MuxError(f"{place.path}: process {found.pid} already runs this board; end it with: mux down")
    _check_trust(place, arguments.trust)
    return _detach(place) if arguments.detach else _run(place)


def _watched(place: Place, trusted: bool) -> int:
    """Nothing is started where the dashboard could not be shown; what runs already is only shown."""
    from bot.watch import check, watch

    check(place)
    if daemon.running(place.folder) is None:
        _check_trust(place, trusted)
        _detach(place)
    return watch(place)


def _check_trust(place: Place, trusted: bool) -> None:
    """A board that came with a repository runs none of its commands before a person has seen them."""
    if trusted:
        trust.trust(place.path)
    if trust.is_trusted(place.path):
        return
    from board.file import BoardFile
    from board.parse import decode

    commands = trust.commands_of(read_board(decode(BoardFile(place.path).read_soon().text)))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        count = len(commands)
        raise MuxError(
            f"{place.path}: this board was not made here and would run {count} command{'s' if count != 1 else ''}; "
            "read it, then run: mux up --trust"
        )
    print(f"{place.path} was not made here. It would run:")
    for where, command in commands:
        print(f"  {where}: {command}")
    if input("Trust this board from now on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise MuxError(f"{place.path}: not trusted; nothing was run")
    trust.trust(place.path)


def _detach(place: Place) -> int:
    """Start the control plane in a session of its own and wait until it runs the board, or say why it does not."""
    import subprocess

    log, state = place.folder / "mux.log", place.folder / "state.json"
    before = stamp_at(state)  # of an earlier control plane, which may have ended just now
    begin = log.stat().st_size if log.exists() else 0
    with (
        open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as output,
        handed_over(os.environ) as (environment, files),
    ):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bot.cli", "up", "--board", str(place.path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment,
            pass_fds=files,
        )
    deadline = time.monotonic() + DETACHED_START
    while process.poll() is None and time.monotonic() < deadline:
        running = daemon.running(place.folder)
        if running is not None and running.pid == process.pid and stamp_at(state) not in (None, before):
            print(f"mux runs {place.path} (process {process.pid}); look with: mux status; end with: mux down")
            shown = read_json(state) or {"problems": []}
            print("".join(f"{problem_line(shown, each)}\n" for each in shown["problems"]), end="")
            return 0
        time.sleep(0.02)
    said = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
    raise MuxError(said[-1].removeprefix("mux: ") if said else f"the control plane did not start; see {log}")


def _run(place: Place) -> int:
    os.environ["LC_ALL"] = os.environ.get("LC_ALL") or "C.UTF-8"
    now = time.time()
    with daemon.only_one(place.folder, now):
        keeper = Keeper(place.path, place.folder, partial(read_board, name=place.path.name), now)
        taken_over(os.environ)
        given = dict(os.environ)
        tokens = tokens_of(os.environ)
        known = {**given, **named(tokens[0])}
        redaction = Redaction(place.path, lambda: keeper.board, lambda _: write_traceback(place.folder), known)
        register(place, redaction)
        host = local_host(place.path, place.folder, os.environ, redaction.safe)
        screen = Screen(sys.stdout, now)
        chat = chat_of(place, tokens, lambda: keeper.board, redaction.safe, screen.tell, lambda: plane.wake("inbox"))
        tell, show = both(screen.tell, chat.tell), both(screen.show, chat.show)
        plane = ControlPlane(keeper, host, place.folder, tell, show, redact=redaction.safe)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: plane.wake("quit"))
        with Watcher(keeper.path, place.folder / "inbox", plane.wake), screen:
            chat.start()
            plane.run()
            chat.stop()
    return 0


def both(one: Callable[[T], None], other: Callable[[T], None]) -> Callable[[T], None]:
    def call(what: T) -> None:
        one(what)
        other(what)

    return call
