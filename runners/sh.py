"""The one place that starts other programs and waits for them: argument lists, always with a time limit."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from board.errors import CommandFailed

_INSTALL = {
    name: f"install it with `sudo apt install {name}` (Debian, Ubuntu) or `brew install {name}` (macOS)"
    for name in ("tmux", "git")
}
_VERB = re.compile(r"[a-z]+(-[a-z]+)*")

#: A program that was started and is not waited for here.
Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended by itself. `code` is its exit code, or minus the signal that ended it."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 30.0,
    input: str | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end. Bytes that are not UTF-8 survive as surrogates, both ways; line ends are kept.

    The program gets a session of its own: on a time-out its whole group is killed, and nothing in it can wait at the
    person's terminal for a password. `timeout` is in seconds. Without `input` it reads nothing.
    Raises CommandFailed when it is missing, takes too long, or (with `check`) exits with anything but 0.
    """
    process = _start(argv, cwd, env, subprocess.DEVNULL if input is None else subprocess.PIPE)
    with process:
        try:
            out, err = process.communicate(None if input is None else _encode(input), timeout)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            raise CommandFailed(f"{_name(argv)}: no answer in {timeout:g} s; it was killed") from None
        except BaseException:
            _kill_group(process)
            raise
    done = Completed(tuple(argv), process.returncode, _decode(out), _decode(err))
    if check and done.code != 0:
        raise failure(done)
    return done


def open_session(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Process:
    """Start a program in a session of its own, and leave it to the caller: its input is a pipe, its output one other.

    Raises CommandFailed when it cannot be started.
    """
    return _start(argv, cwd, env, subprocess.PIPE, subprocess.STDOUT)


def failure(done: Completed) -> CommandFailed:
    """The error for a program that said no: its name, how it ended, and its last line on stderr."""
    ended = f"exit {done.code}" if done.code >= 0 else f"signal {-done.code}"
    lines = done.err.strip().splitlines()
    told = f"{_name(done.argv)}: {ended}"
    return CommandFailed(f"{_name(done.argv)}: {lines[-1].strip()} ({ended})" if lines else told, told)


def _start(
    argv: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: int,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    except FileNotFoundError:
        if cwd is not None and not cwd.is_dir():
            raise CommandFailed(
                f"{_name(argv)}: there is no folder {cwd}", f"{_name(argv)}: its folder is gone"
            ) from None
        program = Path(argv[0]).name
        hint = _INSTALL.get(program, "install it, or check PATH")
        raise CommandFailed(f"{program} is not installed: {hint}") from None
    except OSError as error:
        raise CommandFailed(f"{_name(argv)}: could not be started: {error.strerror}") from None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """`Popen.kill` reaches one process only; its children would live on and hold its pipes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _name(argv: Sequence[str]) -> str:
    """The program and its verb, `git worktree`: never the rest, which may hold what is nobody's business."""
    verb = next((word for word in argv[1:] if _VERB.fullmatch(word)), "")
    return f"{Path(argv[0]).name} {verb}".strip()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
