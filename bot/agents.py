"""`mux agents`: which agents there are, and what one of their screens says. For the person who mends a profile."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from board.errors import BoardMissing, MuxError, UsageError
from bot import boards, terminal
from bot.logs import plain
from bot.place import Place, find
from bot.table import Cell, Column, render
from runners import sh, trust
from runners.agents import load
from runners.environment import worker_environment
from runners.profiles import Profile
from runners.screens import Seen, classify
from runners.until import find_until

_VERSION_LIMIT = 20.0  # seconds; agents written for node take a while to say theirs
_LARGEST = 1_000_000  # bytes of a saved screen

COLUMNS = (
    Column("AGENT", least=8),
    Column("PROGRAM", least=8),
    Column("INSTALLED", least=9),
    Column("VERSION", least=12),
)


@dataclass(frozen=True, slots=True)
class Agent:
    """`path` is None when the program is not installed, `version` when it is not told."""

    name: str
    program: str
    path: str | None
    version: str | None
    install: str


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "test":
        return _test(arguments)
    place, written = _board(arguments.board)
    profiles = load(written)
    untrusted = set(written) if place and not trust.is_trusted(place.path) else set()
    with ThreadPoolExecutor(len(profiles)) as pool:  # each takes a second to say its version
        found = list(pool.map(lambda profile: _look(profile, profile.name not in untrusted), profiles.values()))
    if arguments.json:
        print(json.dumps([asdict(agent) for agent in found], ensure_ascii=False, indent=1))
        return 0
    print("\n".join(render(COLUMNS, [_row(agent) for agent in found], terminal.width(), terminal.colourful())))
    return 0


def said_version(profile: Profile) -> str:
    """What the program says its version is; empty when the profile does not know how to ask. Raises MuxError."""
    argv = [item.replace("{program}", profile.program) for item in profile.version]
    if not argv:
        return ""
    done = sh.run(argv, env=worker_environment(os.environ), timeout=_VERSION_LIMIT)
    said = (done.out.strip() or done.err.strip()).splitlines()
    return said[0].strip() if said else ""


def found_program(profile: Profile) -> str | None:
    """Where a worker would find the program."""
    return shutil.which(profile.program, path=worker_environment(os.environ)["PATH"])


def _look(profile: Profile, may_run: bool) -> Agent:
    """A command that a board brings along is not run before the board is trusted."""
    path = found_program(profile)
    version: str | None = None
    if path and may_run:
        try:
            version = said_version(profile) or None
        except MuxError as error:
            version = f"does not say: {error}"
    return Agent(profile.name, profile.program, path, version, profile.install)


def _row(agent: Agent) -> list[Cell]:
    missing = f"install it: {agent.install}" if agent.install else "install it"
    return [
        Cell(agent.name),
        Cell(agent.program),
        Cell("yes", "32") if agent.path else Cell("no", "33"),
        Cell(agent.version or "" if agent.path else missing),
    ]


def _test(arguments: argparse.Namespace) -> int:
    if arguments.name is None or arguments.file is None:
        raise UsageError("name an agent and the file of a screen, as in: mux agents test claude screen.txt")
    profiles = load(_board(arguments.board)[1])
    if arguments.name not in profiles:
        raise MuxError(f"no agent '{arguments.name}': there are {', '.join(profiles)}")
    seen = classify(_screen(arguments.file), profiles[arguments.name].screens)
    print(_json(arguments.name, seen) if arguments.json else seen.name)
    return 0


def _json(agent: str, seen: Seen) -> str:
    until = find_until(seen.evidence, time.time()) if seen.name == "limited" else None
    reply = {"agent": agent, "condition": seen.name, "reason": seen.reason, "evidence": seen.evidence, "until": until}
    return json.dumps(reply, ensure_ascii=False, indent=1)


def _screen(name: str) -> str:
    """A saved screen, without colours if it was saved with them; `-` is standard input."""
    if name == "-":
        data = sys.stdin.buffer.read(_LARGEST)
    else:
        try:
            with Path(name).open("rb") as file:
                data = file.read(_LARGEST)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise MuxError(
                f"{name}: cannot read: {why}; name a file that holds a screen, or - for standard input"
            ) from error
    return b"\n".join(map(plain, data.split(b"\n"))).decode("utf-8", errors="replace")


def _board(named: str | None) -> tuple[Place | None, Mapping[str, object]]:
    """The board, and what it says of agents; without one only the built-in profiles count."""
    try:
        place = find(named)
    except BoardMissing:
        if named is not None:
            raise
        return None, {}
    return place, boards.seen(place).board.settings.agents
