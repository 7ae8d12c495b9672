"""`mux doctor`: is everything here as mux needs it, and is what the board says still so? Each finding with its fix.

Looks only. What cannot be looked at is a finding of its own; the other checks go on.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from shlex import quote

from board.errors import MuxError
from board.history import History
from board.model import Board
from bot import boards, terminal
from bot.agents import found_program, said_version
from bot.drift import drift
from bot.findings import Finding, Level, count, lines
from bot.place import Place, find, short
from runners import daemon, git, names, tmux, trust
from runners.agents import load
from runners.profiles import Profile
from runners.requests import Requests

#: A worker needs two of the tmux server's open files, and tmux refuses above this share of its limit.
_FILES_EACH, _FILES_SHARE = 2, 0.8


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    findings = [*_guarded(machine), *_guarded(lambda: of_board(place))]
    try:
        board = boards.load(place)
    except MuxError as error:
        findings.append(Finding(Level.PROBLEM, str(error), f"mend {short(place.path)}, or see: mux history"))
    else:
        findings += [*_guarded(lambda: of_repository(place, board)), *_guarded(lambda: programs(place, board))]
        findings += [*_guarded(lambda: limits(board)), *_guarded(lambda: drift(place, board))]
    colour = terminal.colourful()
    findings = list(dict.fromkeys(findings))  # one cause may stop several checks
    for finding in findings:
        print("\n".join(lines(finding, colour)))
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    print(f"{count(problems, 'problem')}, {count(warnings, 'warning')}")
    return 1 if problems else 0


def machine() -> Iterator[Finding]:
    for ask, name in ((tmux.version, "tmux"), (git.version, "git")):
        yield _asked(f"{name} {{}}", ask)
    yield locale(os.environ)


def locale(environment: Mapping[str, str]) -> Finding:
    """As setlocale reads it. mux gives tmux and the workers one in UTF-8 in any case. Pure."""
    chosen = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "")
    if "utf8" in chosen.lower().replace("-", ""):
        return Finding(Level.OK, f"locale {chosen}")
    text = f"the locale is {chosen or 'not set'}, not in UTF-8: titles may show as ? here"
    return Finding(Level.WARNING, text, "export LC_ALL=C.UTF-8")


def limits(board: Board) -> Iterator[Finding]:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    yield files(hard if hard != resource.RLIM_INFINITY else None, board.settings.max_workers)


def files(hard: int | None, workers: int) -> Finding:
    """Whether the tmux server may open enough files: it hangs without them. `hard` is None for no limit. Pure."""
    if hard is None:
        return Finding(Level.OK, "open files: no limit")
    room = int(hard * _FILES_SHARE / _FILES_EACH)
    if room >= workers:
        return Finding(Level.OK, f"open files: {hard}, enough for {room} windows of workers")
    text = f"at most {hard} open files: enough for {room} workers, and max_workers is {workers}"
    return Finding(Level.PROBLEM, text, "raise the hard limit (ulimit -Hn, or LimitNOFILE= of the service)")


def of_board(place: Place) -> Iterator[Finding]:
    """What is around the board's file: folder, git, trust, control plane, history, editors."""
    from board.exchange import is_remote

    name = short(place.path)
    if is_remote(place.path.parent):
        text = f"{place.path.parent} is on a file system that sends no events: saves are noticed late"
        yield Finding(Level.WARNING, text, "move the board to a local disk, and set `repo:` in it")
    else:
        yield Finding(Level.OK, f"{place.path.parent} sends events for saves")
    yield from _ignored(place)
    if trust.is_trusted(place.path):
        yield Finding(Level.OK, f"{name} is trusted: its commands may run")
    else:
        yield Finding(Level.WARNING, f"{name} is not trusted: it was not made here", "read it, then: mux up --trust")
    plane = daemon.running(place.folder)
    if plane is not None:
        yield Finding(Level.OK, f"mux runs this board (process {plane.pid})")
    else:
        yield Finding(Level.WARNING, "mux is down: nothing starts", "mux up --detach, or: mux service install")
    for path in History(place.folder / "history").damaged():
        text = f"a version of the board in the history is damaged: {path.name}; the others are not affected"
        yield Finding(Level.WARNING, text, f"rm {quote(str(path))}")
    requests = Requests(place.folder)
    requests.all()
    for text in requests.damaged().values():
        what, _, aside = text.rpartition("; set it aside: ")
        yield Finding(Level.PROBLEM, what, aside)
    yield from left_by_editors(place.path)


def _ignored(place: Place) -> Iterator[Finding]:
    path = place.path
    if not any((folder / ".git").exists() for folder in path.parents):
        yield Finding(Level.OK, f"{short(path)} is in no git repository")
        return
    tracked = git.is_tracked(path)
    if tracked:
        command = f"git -C {quote(str(path.parent))} rm --cached {quote(path.name)}"
        yield Finding(Level.WARNING, f"git tracks {short(path)}: branches and checkouts would change it", command)
    shown = [each for each in (path, place.folder) if not git.is_ignored(each, folder=each == place.folder)]
    if shown and not tracked:  # what is tracked counts as not ignored, whatever .gitignore says
        entries = " and ".join(f"/{each.name}{'/' if each == place.folder else ''}" for each in shown)
        text = f"git does not ignore {' and '.join(each.name for each in shown)}: `mux finish` needs a clean checkout"
        yield Finding(Level.WARNING, text, f"add {entries} to {path.parent / '.gitignore'}")
    elif not shown:
        yield Finding(Level.OK, f"git ignores {short(path)} and .mux")


def left_by_editors(board: Path) -> Iterator[Finding]:
    """Swap, lock and autosave files of editors that are gone: they may hold words that never reached the board."""
    name = board.name
    candidates = [*board.parent.glob(f".{name}.sw[a-p]"), board.with_name(f".#{name}"), board.with_name(f"#{name}#")]
    for path in candidates:
        if not path.is_symlink() and not path.exists():
            continue
        if (pid := editor_of(path)) is not None and Path(f"/proc/{pid}").exists():
            continue  # open in an editor right now
        how = f"vim -r {quote(name)}" if path.suffix.startswith(".sw") else f"compare it with {name}"
        yield Finding(Level.WARNING, f"an editor that ended left {path.name}", f"{how}, then: rm {quote(str(path))}")


def editor_of(path: Path) -> int | None:
    """The process that a vim swap file (4 bytes at 24) or an emacs lock (a link to `user@host.pid:boot`) names."""
    if path.is_symlink():
        number = path.readlink().name.partition(":")[0].rpartition(".")[2]
        return int(number) if number.isdecimal() else None
    if not path.name.startswith(".") or not path.is_file():
        return None
    with path.open("rb") as file:
        block = file.read(28)
    return int.from_bytes(block[24:28], "little") if block[:2] == b"b0" and len(block) == 28 else None


def of_repository(place: Place, board: Board) -> Iterator[Finding]:
    folder = names.repository_of(place.path, board.settings)
    repository = git.open_repository(folder)
    yield Finding(Level.OK, f"repository {repository.root}")
    for base in sorted({task.settings.base or "" for task in board.tasks} | {board.settings.defaults.base or ""}):
        current = base or git.current_branch(repository.root)
        if current is None:
            text = f"{repository.root} is on no branch, and the board names no base"
            yield Finding(Level.WARNING, text, "switch to a branch there, or set `base:` on the board")
        elif git.resolve(repository.root, current) is None:
            text = f"there is no branch '{current}' in {repository.root}"
            yield Finding(Level.PROBLEM, text, "set `base:` to one that is there")
        else:
            yield Finding(Level.OK, f"base {current}")
    broken = [problem for problem in board.problems if problem.severity == "error"]
    if broken:
        text = f"{count(len(broken), 'problem')} on the board, the first in line {broken[0].line}: {broken[0].text}"
        yield Finding(Level.PROBLEM, text, "mux check")


def programs(place: Place, board: Board) -> Iterator[Finding]:
    """The agents' programs. A command that the board brings along is not run before the board is trusted."""
    profiles = load(board.settings.agents)
    for name in sorted({task.settings.agent for task in board.tasks} & profiles.keys()):
        profile = profiles[name]
        if found_program(profile) is None:
            text = f"agent {name}: there is no program {profile.program} on PATH"
            yield Finding(Level.PROBLEM, text, f"install it: {profile.install}" if profile.install else "install it")
        elif name in board.settings.agents and not trust.is_trusted(place.path):
            yield Finding(Level.OK, f"agent {name}: {profile.program} is installed")
        else:
            yield _version(profile)
    if shutil.which("gh") is None and any(task.settings.finish == "pr" for task in board.tasks):
        text = "`finish: pr` without gh: mux pushes, and a person opens the pull request"
        yield Finding(Level.WARNING, text, "install gh: https://cli.github.com, then: gh auth login")


def _version(profile: Profile) -> Finding:
    try:
        said = said_version(profile)
    except MuxError as error:
        text = f"agent {profile.name}: {profile.program} is there, but does not say its version: {error}"
        return Finding(Level.WARNING, text, f"install it anew: {profile.install}" if profile.install else "")
    return Finding(Level.OK, f"agent {profile.name}: {profile.program} {said or 'is installed'}")


def _asked(text: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(Level.OK, text.format(ask()))
    except MuxError as error:
        return Finding(Level.PROBLEM, str(error))


def _guarded(check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except MuxError as error:
        yield Finding(Level.PROBLEM, str(error))
