"""Agent profiles: data that says how each kind of worker program is started, resumed and given its prompt.

The built-in ones are in `agents.yaml` beside this file; the board's `agents:` key changes single keys of them or adds
new ones. Every command is an argument list: no prompt ever passes through a shell string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from board.errors import MuxError
from board.fences import script_blocks
from board.model import Problem
from runners.limits import read_limits
from runners.profiles import PLACEHOLDER, Mode, Profile, read_profile
from runners.screens import read_screens

__all__ = [
    "BUILT_IN",
    "Command",
    "Mode",
    "Profile",
    "Script",
    "command",
    "environment",
    "load",
    "names",
    "problems",
    "script",
    "session_id",
    "shell_command",
]

#: The profiles of `agents.yaml`, without reading it: `mux status` only needs to know the names.
BUILT_IN = frozenset({"shell", "claude", "codex", "gemini", "opencode", "aider"})

#: The folder of a run folder for the files that an agent is started with.
FILES = "agent"

#: Linux allows one argument of 128 KiB; what stands around the prompt in its item needs some of it.
LONGEST_ARGUMENT = 100_000  # bytes


@dataclass(frozen=True, slots=True)
class Command:
    """What to execute in the worker's home: an argument list, and the file to feed to its standard input."""

    argv: tuple[str, ...]
    stdin: Path | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """What a shell task runs; `text` goes into a file of the run folder."""

    text: str
    interpreter: Literal["sh", "bash"]


def names(board_agents: Mapping[str, Any]) -> frozenset[str]:
    """Every agent a task of this board may name. Reads no file."""
    return BUILT_IN | {str(name) for name in board_agents}


def load(board_agents: Mapping[str, Any]) -> Mapping[str, Profile]:
    """The built-in profiles with the board's laid over them. Raises `MuxError` with the first of `problems`."""
    profiles = dict(_built_in()[0])
    for name, written in board_agents.items():
        profiles[str(name)] = _overlaid(str(name), written)
    return MappingProxyType(profiles)


def problems(board_agents: Mapping[str, Any], line: int) -> tuple[Problem, ...]:
    """What a person should mend under the board's `agents:` key, which stands in `line`: at most one a profile."""
    found = []
    for name, written in board_agents.items():
        try:
            _overlaid(str(name), written)
        except MuxError as error:
            found.append(Problem(line, str(error)))
    return tuple(found)


def session_id(board_path: Path, task: str, attempt: int) -> str:
    """The id under which an agent that lets its caller choose keeps the conversation of a task.

    `attempt` is the one that started the conversation: a later start from scratch needs a new id, since agents refuse
    one that is in use.
    """
    import uuid

    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mux:{board_path}:{task}:{attempt}"))


def script(task_prompt: str, run: str | Sequence[str] | None) -> Script | None:
    """What a shell task runs: its `run:` text, else the fenced blocks of its prompt, joined in order.

    None when `run:` is an argument list, which needs no script, and when there is nothing to run.
    """
    if isinstance(run, str):
        return Script(run.rstrip("\n") + "\n", "sh")
    blocks = script_blocks(task_prompt) if run is None else ()
    if not blocks:
        return None
    bash = any(block.language == "bash" for block in blocks)
    return Script("".join(block.text for block in blocks), "bash" if bash else "sh")


def shell_command(profile: Profile, mode: str, what: Script | Sequence[str], script_file: Path) -> Command:
    """How a shell task starts, now or again: `what` is its `run:` list, or its script, which is in `script_file`."""
    if not isinstance(what, Script):
        return Command(tuple(what))
    values = {"program": profile.program, "shell": what.interpreter, "script": str(script_file)}
    return Command(_filled(profile.mode(mode).start, profile.options, values))


def command(
    profile: Profile,
    mode: str,
    resume: bool,
    prompt: str,
    prompt_file: Path,
    session: str,
    *,
    git_dir: Path,
    common_dir: Path,
    run_dir: Path,
    home: Path | None = None,
) -> Command:
    """How an agent starts or resumes with `prompt`, which `prompt_file` holds too.

    `git_dir` is the private git folder of the worker's worktree, `common_dir` the one it shares with its repository;
    `run_dir` holds what the worker says to mux, and in `FILES` the profile's files; `home` is the worktree.
    Raises `MuxError` when the profile does not have the mode.
    """
    chosen = profile.mode(mode)
    values = {
        "program": profile.program,
        "prompt": _as_argument(prompt, prompt_file),
        "prompt_file": str(prompt_file),
        "session": session,
        "git_dir": str(git_dir),
        "common_dir": str(common_dir),
        "run_dir": str(run_dir),
        "files": str(run_dir / FILES),
        "quoted_home": json.dumps(str(home or ""), ensure_ascii=False),
    }
    argv = chosen.resume if resume and chosen.resume else chosen.start
    return Command(_filled(argv, profile.options, values), prompt_file if chosen.stdin else None)


def environment(profile: Profile, mode: str, run_dir: Path, inherited: Collection[str]) -> dict[str, str]:
    """The variables that an agent is started with, beside those that it inherits, which stay as they are."""
    values = {"run_dir": str(run_dir), "files": str(run_dir / FILES)}
    return {
        name: PLACEHOLDER.sub(lambda match: values[match[1]], value)
        for name, value in profile.mode(mode).environment
        if name not in inherited
    }


def _as_argument(prompt: str, prompt_file: Path) -> str:
    if len(prompt.encode(errors="surrogateescape")) <= LONGEST_ARGUMENT:
        return prompt
    return f"Read your task from the file {prompt_file} and do it."


def _filled(argv: tuple[str, ...], options: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """The arguments with their placeholders filled in one pass: a `{session}` in a prompt stays as it is."""

    def value(match: re.Match[str]) -> str:
        return values.get(match[1], match[0])

    filled: list[str] = []
    for item in argv:
        filled.extend(options if item == "{options}" else (PLACEHOLDER.sub(value, item),))
    return tuple(filled)


@cache
def _built_in() -> tuple[Mapping[str, Profile], Profile]:
    """The profiles of `agents.yaml`, and what an agent that only a board knows begins as."""
    from ruamel.yaml import YAML

    written = YAML(typ="safe").load(Path(__file__).with_name("agents.yaml").read_text(encoding="utf-8"))
    shared = written.pop("every-agent")
    every = Profile(
        *("", ""),
        limits=read_limits((), shared["limits"], "every-agent.limits"),
        screens=read_screens((), shared["screens"], "every-agent.screens"),
    )
    bases = {name: replace(every, name=name, program=name) for name in written}
    bases["shell"] = Profile("shell", "sh")  # a script's output is not an agent's
    # It draws no menus, and no input line while it prints: what looks like a menu is quoted.
    bases["aider"] = replace(bases["aider"], screens=())
    return {name: read_profile(base, written[name]) for name, base in bases.items()}, every


def _overlaid(name: str, written: Any) -> Profile:
    built_in, every = _built_in()
    return read_profile(built_in.get(name) or replace(every, name=name, program=name), written)
