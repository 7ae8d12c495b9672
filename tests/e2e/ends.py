"""Bad ends made on purpose, and byte-for-byte looks at what a home holds."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from runners.tmux import Tmux
from tests.e2e.conftest import Desk
from tests.support import wait_for

#: Files by their path from the home's top, HEAD, and the index as git lists it.
Picture = tuple[dict[str, bytes], str, str]


def server(desk: Desk) -> int:
    """The process of the board's tmux server."""
    pid = int(Tmux(desk.board, desk.folder, desk.environment)._call("display-message", "-p", "#{pid}").out)
    assert pid > 1
    return pid


def kill(*pids: int) -> None:
    """As the kernel does when memory runs out, or a power cut: no one of them can do anything about it."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def power_cut(desk: Desk, plane: subprocess.Popen[str], tasks: list[str]) -> None:
    """The control plane, the tmux server, every wrapper and every worker at once; then the machine has booted anew.

    A reboot cannot be had in a test: the boot's id in the records of the starts is made another one instead, so that
    what was recorded before is, as after a reboot, of no process that lives.
    """
    records = [desk.start_record(task) for task in tasks]
    # Wrappers first: none lives to write down an end that a power cut leaves no time for. Workers may go with theirs.
    pids = [*(record["wrapper_pid"] for record in records), server(desk), *(record["pid"] for record in records)]
    os.kill(plane.pid, signal.SIGKILL)
    for pid in pids:
        with suppress(ProcessLookupError):
            kill(pid)
    plane.wait()
    for task, record in zip(tasks, records, strict=True):
        before = record["boot_id"]
        text = json.dumps(record).replace(before, "a-boot-before")
        (desk.folder / "runs" / task / "1" / "start.json").write_text(text)


def picture(desk: Desk, task: str) -> Picture:
    home = desk.home(task)
    files = {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.name != ".git"
    }
    return files, desk.git("rev-parse", "HEAD", cwd=home), desk.git("ls-files", "--stage", cwd=home)


def snapshots(desk: Desk, task: str) -> list[str]:
    """The refs of a task's snapshots, newest first."""
    base = f"refs/mux/shop/snapshots/{task}/"
    names = desk.git("for-each-ref", "--format=%(refname)", base).split()
    return sorted(names, key=lambda name: -int(name.removeprefix(base)))


def blobs(desk: Desk, ref: str) -> dict[str, str]:
    """The files that a commit holds, each with the hash of its bytes."""
    lines = desk.git("ls-tree", "-r", ref).splitlines()
    return {line.partition("\t")[2]: line.split()[2] for line in lines}


def hashed(files: dict[str, bytes]) -> dict[str, str]:
    """As git names their bytes."""
    return {name: hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() for name, data in files.items()}


def outcome(desk: Desk, task: str, number: int = 1) -> dict[str, Any]:
    path = desk.folder / "runs" / task / str(number) / "outcome.json"
    wait_for(path.exists, lambda: f"attempt {number} of {task} is concluded: {desk.task(task)}")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def request_in(why: str) -> str:
    """The id of the request that a reason names; empty when it names none."""
    found = re.search(r"mux requests ([0-9a-f]{12})", why)
    return found[1] if found else ""


def request_of(desk: Desk, task: str, but: str = "") -> str:
    """The id of the request that the task's reason names, once it names one; `but`: another one than that."""
    wait_for(
        lambda: request_in(desk.task(task)["why"]) not in ("", but), lambda: f"{task} is asked about: {desk.task(task)}"
    )
    return request_in(desk.task(task)["why"])


def request(desk: Desk, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((desk.folder / "requests" / f"{request_id}.json").read_text())
    return found


def closed(desk: Desk, request_id: str) -> str:
    """What became of a request, once it is closed."""
    path = desk.folder / "requests" / f"{request_id}.closed.json"
    wait_for(path.exists, f"request {request_id} is closed")
    found: str = json.loads(path.read_text())["outcome"]
    return found


def open_requests(desk: Desk) -> list[str]:
    folder = desk.folder / "requests"
    every = {path.name.partition(".")[0] for path in folder.glob("*.json")}
    return sorted(every - {path.name.partition(".")[0] for path in folder.glob("*.closed.json")})


def why_on_board(desk: Desk, task: str) -> str:
    """The reason that stands in the file."""
    from runners.boards import read_board

    return str(read_board(desk.board.read_text(), None).by_id[task].mux.get("why", ""))


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def let_go(path: Path, waits: bool = True) -> None:
    """Open the fifo that a worker waits at, once it does: its open for reading returns, and it goes on.

    Without `waits` the worker may be gone: nobody is waited for.
    """

    def opened() -> bool:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # ENXIO: nobody reads yet
            return False
        return True

    if waits:
        wait_for(opened, f"a worker waits at {path}")
    else:
        opened()
