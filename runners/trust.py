"""Boards whose commands a person has agreed to run on this machine, and what there is to agree to.

A board that came with somebody's repository holds commands of theirs. It is trusted once, by its resolved path, before
any of them runs; `mux init` trusts the board it makes.
"""

from __future__ import annotations

import os
import shlex
import time
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from board.errors import LockHeld, MuxError
from board.model import Board, Task, TaskSettings
from board.storage import private_folder, read_json, write_json
from runners.agents import Profile, load, script

_LOCK_WAIT = 10.0  # seconds; it is held for milliseconds


def is_trusted(board_path: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a person agreed to run this board's commands. Raises `MuxError` when that cannot be read."""
    return _key(board_path) in _boards(_trust_file(environment))


def trust(board_path: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Remembers that a person agreed. Doing it twice changes nothing. Raises `MuxError` when it cannot be written."""
    from filelock import FileLock, Timeout

    path = _trust_file(environment)
    private_folder(path.parent)
    try:
        with FileLock(f"{path}.lock", timeout=_LOCK_WAIT, mode=0o600):
            boards = _boards(path)
            if _key(board_path) not in boards:
                write_json(path, {"boards": {**boards, _key(board_path): {"at": time.time()}}})
    except Timeout:
        raise LockHeld(f"{path}.lock: another mux holds it; try again in a moment") from None


def commands_of(board: Board) -> list[tuple[str, str]]:
    """All that this board would run or hand to what runs: (where it stands, what it is), ready for a terminal.

    Drafts are in it too: trust is given once, and a draft needs one word to run. Raises `MuxError` when an agent
    profile on the board cannot be used.
    """
    profiles = load(board.settings.agents)
    found = list(_settings_commands("board", board.settings.defaults, None))
    for name in board.settings.agents:
        found.extend(_profile_commands(profiles[str(name)]))
    for task in board.tasks:
        found.extend(_task_commands(task, board.settings.defaults, profiles))
    return [(visible(where), visible(what)) for where, what in found]


def visible(text: str) -> str:
    """The text with every character that a terminal obeys, hides or reorders by written out; newlines and tabs stay.

    What is hidden would not be agreed to: escape sequences, carriage returns, bidirectional overrides, zero widths.
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}:
        return character
    return character.encode("unicode_escape").decode("ascii")


def _settings_commands(where: str, settings: TaskSettings, over: TaskSettings | None) -> Iterator[tuple[str, str]]:
    """What these settings run, left out where it is the same in the settings that they are laid `over`."""
    kept = over or TaskSettings()
    if settings.setup != kept.setup:
        yield from ((f"{where}, setup", line) for line in settings.setup)
    if settings.copy != kept.copy:
        yield from ((f"{where}, copy", name) for name in settings.copy)
    if dict(settings.env) != dict(kept.env):
        yield from ((f"{where}, env", f"{name}={value}") for name, value in settings.env.items())
    if settings.check is not None and settings.check != kept.check:
        yield f"{where}, check", settings.check
    if settings.run is not None and over is None:
        yield f"{where}, run", _run_text(settings.run)


def _profile_commands(profile: Profile) -> Iterator[tuple[str, str]]:
    for name, mode in (("headless", profile.headless), ("interactive", profile.interactive)):
        for key, argv in (("start", mode.start), ("resume", mode.resume)) if mode else ():
            if argv:
                yield f"board, agents.{profile.name}.{name}.{key}", _argv_text(argv, profile)
        for variable, value in mode.environment if mode else ():
            yield f"board, agents.{profile.name}.{name}.environment", f"{variable}={value}"
    known = load({}).get(profile.name)
    if known is None or profile.files != known.files:  # hooks in them are commands
        yield from ((f"board, agents.{profile.name}.files, {name}", text.rstrip("\n")) for name, text in profile.files)
    if profile.version:
        yield f"board, agents.{profile.name}.version", _argv_text(profile.version, profile)


def _task_commands(task: Task, defaults: TaskSettings, profiles: Mapping[str, Profile]) -> Iterator[tuple[str, str]]:
    where = f"line {task.line}, {task.id}"
    yield from _settings_commands(where, task.settings, defaults)
    profile = profiles.get(task.settings.agent)
    if profile is None:
        return
    if profile.name != "shell":
        mode = profile.headless if task.settings.mode == "headless" else profile.interactive
        if mode:  # without it the task cannot start
            yield f"{where}, {profile.name}", _argv_text(mode.start, profile)
    elif isinstance(task.settings.run, tuple):
        yield f"{where}, run", _run_text(task.settings.run)
    elif found := script(task.prompt, task.settings.run):
        yield f"{where}, {found.interpreter}", found.text.rstrip("\n")


def _run_text(run: str | tuple[str, ...]) -> str:
    return run.rstrip("\n") if isinstance(run, str) else shlex.join(run)


def _argv_text(argv: tuple[str, ...], profile: Profile) -> str:
    """One line; the options and the program in their places, the other placeholders as they are."""
    items: list[str] = []
    for item in argv:
        items.extend(profile.options if item == "{options}" else (item.replace("{program}", profile.program),))
    return shlex.join(items)


def _trust_file(environment: Mapping[str, str]) -> Path:
    state = Path(environment.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # the XDG specification says to ignore a relative one
        state = Path(environment["HOME"] if environment.get("HOME") else Path.home()) / ".local" / "state"
    return state / "mux" / "trusted.json"


def _key(board_path: Path) -> str:
    """The resolved path; percent-encoded where it is no plain text, for a path may hold bytes that JSON cannot."""
    return quote_from_bytes(os.fsencode(board_path.resolve()), safe="/ ")


def _boards(path: Path) -> Mapping[str, Any]:
    boards = (read_json(path) or {}).get("boards", {})
    if not isinstance(boards, dict):
        raise MuxError(f"{path}: 'boards' is no mapping (damaged, or not written by mux); move it away and try again")
    return boards
