"""A control plane that is killed, by itself and with no time to do anything, right before its nth act of a kind.

Acts are what the interpreter tells its audit hooks of: a file that is opened for writing, renamed, linked or removed, a
program that is started. So each is a moment to die at, in whatever thread it happens, and no other process is touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Desk

#: Counts from the first act whose path has the text in it. `traced` gets a line an act.
HOOK = """
import os, signal, sys, threading

ACTS = {{"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "subprocess.Popen", "open"}}
lock, seen, begun = threading.Lock(), 0, False
trace = os.open({traced!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def hook(event, arguments):
    global seen, begun
    if event not in ACTS or (event == "open" and not (isinstance(arguments[2], int) and arguments[2] & 3)):
        return
    what = " ".join(str(each) for each in arguments[:2])
    with lock:
        begun = begun or {since!r} in what
        if not begun:
            return
        seen += 1
        os.write(trace, (event + " " + what.replace(chr(10), " ") + chr(10)).encode("utf-8", "replace"))
        if seen == {number}:
            os.kill(os.getpid(), signal.SIGKILL)


if sys.argv[:1] == ["-m"]:
    sys.addaudithook(hook)
"""


def plane(desk: Desk, since: str, number: int) -> subprocess.Popen[str]:
    """It dies right before its act of that number, from the first one on that has `since` in its path; 0: never."""
    folder = desk.repository.parent / "hook"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(HOOK.format(traced=str(trace_of(desk)), since=since, number=number))
    trace_of(desk).unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "up", "--trust"],
        cwd=desk.repository,
        env=desk.environment | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    desk.planes.append(process)
    return process


def trace_of(desk: Desk) -> Path:
    return desk.repository.parent / "acts"


def acts(desk: Desk) -> list[str]:
    """What the last such control plane did, up to its death."""
    return trace_of(desk).read_text().splitlines()
