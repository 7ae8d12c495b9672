"""What a profile is, and reading one from what a person wrote, with an answer to all that can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from board.errors import MuxError
from board.model import RULES
from runners.limits import LimitPattern, read_limits
from runners.screens import ScreenRule, read_screens

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\Z")
_PLACEHOLDERS = (
    "program",
    "options",
    "prompt",
    "prompt_file",
    "session",
    "git_dir",
    "common_dir",
    "run_dir",
    "quoted_home",
    "files",
    "shell",
    "script",
)
_MODE_KEYS = ("start", "resume", "stdin", "environment")
_DELIVERY = ("prompt", "prompt_file", "script")
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
#: The placeholders that the value of a variable may hold.
IN_ENVIRONMENT = ("files", "run_dir")


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run a program: argument lists with placeholders. No `resume`: it starts afresh instead."""

    start: tuple[str, ...]
    resume: tuple[str, ...] = ()
    stdin: bool = False  # the prompt is its standard input
    environment: tuple[tuple[str, str], ...] = ()  # names and values, with placeholders


@dataclass(frozen=True, slots=True)
class Profile:
    """How to run one kind of worker program. At least one of the two modes is there."""

    name: str
    program: str
    headless: Mode | None = None
    interactive: Mode | None = None
    options: tuple[str, ...] = ()
    done_when: tuple[str, ...] = ("committed", "clean")
    version: tuple[str, ...] = ()  # prints the program's version; empty: not known
    install: str = ""  # how a person gets the program
    limits: tuple[LimitPattern, ...] = ()  # what it prints when it cannot work
    screens: tuple[ScreenRule, ...] = ()  # what its screen shows when it works, waits or cannot work
    files: tuple[tuple[str, str], ...] = ()  # names and texts of files that it is started with

    def mode(self, name: str) -> Mode:
        """Raises `MuxError` when the profile does not have it."""
        found = self.headless if name == "headless" else self.interactive
        if found is None:
            other = "interactive" if name == "headless" else "headless"
            raise MuxError(
                f"agent '{self.name}' has no {name} commands: set mode: {other}, or add agents.{self.name}.{name}"
            )
        return found


def read_profile(base: Profile, written: Any) -> Profile:
    """`base` with the written keys laid over it. Raises `MuxError` that says which key, and what to write instead."""
    if not _NAME.match(base.name):
        raise MuxError(f"agents: '{base.name}' is no agent name: use a-z, 0-9 and '-', such as my-agent")
    where = f"agents.{base.name}"
    keys = _mapping(
        written, where, "program, headless, interactive, options, done_when, version, install, limits, screens, files"
    )
    changes: dict[str, Any] = {}
    for key, value in keys.items():
        changes[key] = _READERS[_known(key, _READERS, where)](base, value, f"{where}.{key}")
    profile = replace(base, **changes)
    _check(profile, where)
    return profile


def _check(profile: Profile, where: str) -> None:
    """Raises `MuxError` for a profile that reads well but could not do its work."""
    modes = [mode for mode in (profile.headless, profile.interactive) if mode]
    if not modes:
        raise MuxError(f"{where}: needs a start command: write headless: {{start: [{profile.name}, '{{prompt}}']}}")
    lists = [argv for mode in modes for argv in (mode.start, mode.resume) if argv]
    if profile.options and not any("{options}" in argv for argv in lists):
        raise MuxError(f"{where}.options: no command of this agent has an '{{options}}' item to put them in; add one")


def _mode(base: Mode | None, written: Any, where: str) -> Mode:
    keys = _mapping(written, where, ", ".join(_MODE_KEYS))
    for key in keys:
        _known(key, _MODE_KEYS, where)
    old = base or Mode(())
    mode = Mode(
        _argv(keys["start"], f"{where}.start") if "start" in keys else old.start,
        _argv(keys["resume"], f"{where}.resume") if "resume" in keys else old.resume,
        _stdin(keys["stdin"], f"{where}.stdin") if "stdin" in keys else old.stdin,
        _environment(keys["environment"], f"{where}.environment") if "environment" in keys else old.environment,
    )
    if not mode.start:
        raise MuxError(f"{where}: has no start: write start: ['{{program}}', '{{prompt}}']")
    for key, argv in (("start", mode.start), ("resume", mode.resume)):
        _check_delivery(argv, mode.stdin, f"{where}.{key}")
    return mode


def _check_delivery(argv: tuple[str, ...], stdin: bool, where: str) -> None:
    used = {name for item in argv for name in PLACEHOLDER.findall(item)}
    if argv and not stdin and not used.intersection(_DELIVERY):
        raise MuxError(f"{where}: the agent never gets its prompt: add '{{prompt}}' or '{{prompt_file}}'")


def _argv(written: Any, where: str) -> tuple[str, ...]:
    items = _strings(written, where)
    for item in items:
        for name in PLACEHOLDER.findall(item):
            _known_placeholder(name, item, where)
    return items


def _known_placeholder(name: str, item: str, where: str) -> None:
    if name not in _PLACEHOLDERS:
        raise MuxError(f"{where}: unknown placeholder '{{{name}}}': {_nearest(name, _PLACEHOLDERS)}")
    if name == "options" and item != "{options}":
        raise MuxError(f"{where}: '{item}': {{options}} must be an item of its own")


def _strings(written: Any, where: str) -> tuple[str, ...]:
    """A list of arguments; numbers are taken as they are written, other values must be quoted."""
    if not isinstance(written, list | tuple) or any(isinstance(item, bool) for item in written):
        raise MuxError(f"{where}: must be a list of texts, such as [--model, opus]")
    if not all(isinstance(item, str | int | float) for item in written):
        raise MuxError(f"{where}: must be a list of texts, such as [--model, opus]; put quotes around the others")
    if any("\0" in str(item) for item in written):
        raise MuxError(f"{where}: an argument cannot hold a NUL character; take it out")
    return tuple(str(item) for item in written)


def _stdin(written: Any, where: str) -> bool:
    if written not in ("prompt", "none"):
        raise MuxError(f"{where}: must be 'prompt' (the agent reads its prompt there) or 'none'")
    return bool(written == "prompt")


def _environment(written: Any, where: str) -> tuple[tuple[str, str], ...]:
    items = _mapping(written, where, "NAME: value").items()
    for name, value in items:
        if not _VARIABLE.match(str(name)) or not isinstance(value, str) or "\0" in value:
            raise MuxError(
                f"{where}: '{name}': must be a plain name with a text, such as MY_CONFIG: '{{files}}/my.json'"
            )
        if unknown := set(PLACEHOLDER.findall(value)) - {*IN_ENVIRONMENT}:
            raise MuxError(f"{where}.{name}: no '{{{min(unknown)}}}' can stand there: use {{files}} or {{run_dir}}")
    return tuple((str(name), value) for name, value in items)


def _rules(written: Any, where: str) -> tuple[str, ...]:
    rules = _strings(written, where)
    for rule in rules:
        if rule not in RULES:
            raise MuxError(f"{where}: unknown rule '{rule}': {_nearest(rule, RULES)}")
    return rules


def _text(written: Any, where: str) -> str:
    if not isinstance(written, str) or not written or "\0" in written:
        raise MuxError(f"{where}: must be a text, such as claude")
    return written


def _files(written: Any, where: str) -> tuple[tuple[str, str], ...]:
    items = _mapping(written, where, "name: text").items()
    for name, text in items:
        if not _FILE_NAME.match(str(name)) or not isinstance(text, str):
            raise MuxError(f"{where}: '{name}': must be a plain file name with a text, such as settings.json: '{{}}'")
    return tuple((str(name), text) for name, text in items)


def _mapping(written: Any, where: str, keys: str) -> Mapping[str, Any]:
    if not isinstance(written, Mapping):
        raise MuxError(f"{where}: must be a mapping with some of the keys {keys}")
    return written


def _known(key: str, keys: Collection[str], where: str) -> str:
    if key in keys:
        return key
    raise MuxError(f"{where}: unknown key '{key}': {_nearest(str(key), keys)}")


def _nearest(word: str, words: Collection[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, list(words), 1)
    return f"did you mean '{near[0]}'?" if near else "there are " + ", ".join(words)


_READERS: Mapping[str, Callable[[Profile, Any, str], object]] = {
    "program": lambda base, value, where: _text(value, where),
    "headless": lambda base, value, where: _mode(base.headless, value, where),
    "interactive": lambda base, value, where: _mode(base.interactive, value, where),
    "options": lambda base, value, where: _strings(value, where),
    "done_when": lambda base, value, where: _rules(value, where),
    "version": lambda base, value, where: _argv(value, where),
    "install": lambda base, value, where: _text(value, where),
    "limits": lambda base, value, where: read_limits(base.limits, value, where),
    "screens": lambda base, value, where: read_screens(base.screens, value, where),
    "files": lambda base, value, where: _files(value, where),
}
