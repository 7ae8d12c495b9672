"""`mux service`: a systemd user service that keeps the control plane of a board running after a logout."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from board.errors import CommandFailed, MuxError
from board.storage import one_line_errors, write_atomic
from bot import boards
from bot.place import Place, find
from runners import daemon, names, sh, trust
from runners.environment import UTF8_LOCALE

_LIMIT = 30.0  # seconds
#: Where programs are, where tmux has its sockets, where mux remembers whom a person trusts: as in this terminal.
_KEPT = ("PATH", "TMUX_TMPDIR", "XDG_STATE_HOME")


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    name = unit_name(names.board_name(place.path, boards.seen(place).board.settings))
    text = unit(place, os.environ)
    if arguments.print:
        print(text, end="")
        return 0
    if sys.platform != "linux":
        raise MuxError(
            "only systemd is supported; start mux from what keeps programs running here (launchd, cron @reboot), "
            f"with: mux up --board {place.path}"
        )
    file = unit_folder(os.environ) / name
    return _install(place, file, text) if arguments.action == "install" else _uninstall(file)


def unit_name(board: str) -> str:
    return f"mux-{board}.service"


def unit_folder(environment: Mapping[str, str]) -> Path:
    written = Path(environment.get("XDG_CONFIG_HOME", ""))
    if not written.is_absolute():  # the XDG specification says to ignore a relative one
        written = Path(environment["HOME"] if environment.get("HOME") else Path.home()) / ".config"
    return written / "systemd" / "user"


def unit(place: Place, environment: Mapping[str, str], python: str = sys.executable) -> str:
    """The unit's text. `KillMode=process`: workers and their tmux server outlive a restart of the service. Pure."""
    # -P: a folder `bot` beside somebody's board is not ours. Only arguments know variables, the program does not.
    words = [quoted(python, False), *map(quoted, ("-P", "-m", "bot.cli", "up", "--board", str(place.path)))]
    kept = {"LC_ALL": UTF8_LOCALE} | {name: environment[name] for name in _KEPT if environment.get(name)}
    return f"""\
[Unit]
Description=mux: the control plane of {_specifiers(str(place.path))}

[Service]
ExecStart={" ".join(words)}
WorkingDirectory={_specifiers(str(place.path.parent))}
Environment={" ".join(quoted(f"{name}={value}", False) for name, value in kept.items())}
KillMode=process
Restart=on-failure
RestartSec=10

[Install]
WantedBy=default.target
"""


def quoted(word: str, variables: bool = True) -> str:
    """One word for systemd. `variables`: in a command line, where `$` begins a variable; elsewhere it is itself.

    Source: systemd.service(5), "Command lines", and systemd.unit(5), "Specifiers". Pure.
    """
    escaped = _specifiers(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped.replace("$", "$$") if variables else escaped}"'


def _specifiers(text: str) -> str:
    """Raises MuxError for a line break, which a unit cannot hold."""
    if "\n" in text or "\r" in text:
        raise MuxError(f"{text!r}: systemd takes no line break in a path; rename the folder")
    return text.replace("%", "%%")


def _install(place: Place, file: Path, text: str) -> int:
    """Exit 1 when it is written and not started."""
    if not trust.is_trusted(place.path):
        raise MuxError(f"{place.path} is not trusted, so a service could not run it; read it, then: mux up --trust")
    with one_line_errors("make the folder", file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, text.encode("utf-8", "surrogateescape"), mode=0o644)
    print(f"wrote {file}")
    commands = [["daemon-reload"], ["enable", "--now", file.name]]
    if (trouble := _systemctl(commands)) is not None:
        print(f"not started yet: {trouble}; as the user it is for, run:")
        print("\n".join(f"  systemctl --user {' '.join(words)}" for words in commands))
    else:
        print(f"started; look with: systemctl --user status {file.name}, and: mux status --board {place.path}")
    if (plane := daemon.running(place.folder)) is not None:
        print(f"the service takes over from process {plane.pid} within 10 s after: mux down")
    print("workers get the environment of your user manager: put what agents need into ~/.config/environment.d/")
    _say_lingering()
    return 0 if trouble is None else 1


def _uninstall(file: Path) -> int:
    if not file.exists():
        print(f"there is no {file}")
        return 0
    trouble = _systemctl([["disable", "--now", file.name]])
    if trouble is not None and "is not installed" not in trouble and "connect to bus" not in trouble.lower():
        raise MuxError(f"{file.name} could not be stopped, and was kept: {trouble}")
    with one_line_errors("remove", file):
        file.unlink(missing_ok=True)
    _systemctl([["daemon-reload"]])
    print(f"removed {file}; workers, if any, go on")
    return 0


def _systemctl(commands: list[list[str]]) -> str | None:
    """Why it did not work; None when it did."""
    if shutil.which("systemctl") is None:
        return "systemctl is not installed"
    try:
        for words in commands:
            sh.run(["systemctl", "--user", *words], timeout=_LIMIT)
    except CommandFailed as error:
        return str(error)
    return None


def _say_lingering() -> None:
    """Without lingering systemd ends a user's services with the last session."""
    user = str(os.getuid())
    try:
        said = sh.run(["loginctl", "show-user", user, "--property=Linger"], timeout=_LIMIT).out.strip()
    except CommandFailed:
        said = ""
    if said == "Linger=yes":
        print("lingering is on: it goes on after you log out")
    else:
        unknown = "" if said else " (it could not be asked whether that is on already)"
        print(f"it ends when you log out, until you run: loginctl enable-linger{unknown}")
