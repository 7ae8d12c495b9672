"""Killed, or refused by the system, in any call while mux writes: the board is old or new, whole, nothing to mend."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from board.edit import Change
from board.history import History
from board.keeper import Keeper
from board.model import Board, Status
from board.parse import parse
from tests.board.test_keeper import TEXT

if shutil.which("strace") is None:
    if os.environ.get("CI"):
        pytest.fail("strace is not installed: faults at the system-call level cannot be tested")
    pytest.skip("strace is not installed", allow_module_level=True)

ROOT = Path(__file__).parents[2]

#: Opens a keeper, takes a stale save with an order in it, and writes.
DRIVER = """
import sys
from pathlib import Path
from board.edit import Change
from board.errors import MuxError
from board.keeper import Keeper
from board.model import Status
from board.parse import parse
path = Path(sys.argv[1])
try:
    keeper = Keeper(path, path.parent / ".mux", lambda text, old: parse(text, {"shell"}, old), 2000.0)
    keeper.look(2000.0)
    if keeper.trouble is None:
        keeper.write([Change("one", Status.FAILED, {"attempt": 3})], 2001.0)
except MuxError as error:
    print(error)
"""


def read(text: str, previous: Board | None) -> Board:
    return parse(text, {"shell"}, previous)


def prepared(folder: Path) -> Path:
    """A board that mux wrote twice since an editor loaded it; the editor's save is in the file."""
    path = folder / "board.md"
    path.write_text(TEXT)
    keeper = Keeper(path, folder / ".mux", read, 1000.0)
    keeper.write([Change("one", Status.RUNNING, {"attempt": 1})], 1001.0)
    stale = path.read_text().replace("Do two.", "Do two well.").replace("status: draft", "status: ready")
    keeper.write([Change("one", Status.FAILED, {"attempt": 2})], 1002.0)
    path.write_text(stale)
    return path


def drive(path: Path, *strace: str) -> subprocess.CompletedProcess[str]:
    argv = ["strace", "-f", "-qq", "-o", str(path.with_name("trace")), *strace, sys.executable, "-c", DRIVER, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)


def check(path: Path, before: str) -> None:
    """Old or new, whole; then one start and one look, and all is as if nothing had happened."""
    folder = path.parent / ".mux"
    history = History(folder / "history")
    entries = history.entries()
    assert len(history.whole(entries)) == len(entries) and history.damaged() == ()
    texts = {data.decode() for _, data in history.whole(entries)}
    found = path.read_text()
    assert found == before or found in texts, "neither the old version nor an accepted one"
    keeper = Keeper(path, folder, read, 3000.0)
    notes = keeper.look(3000.0)
    assert keeper.trouble is None and keeper.held is None, notes
    assert "as it was" not in str(notes)
    assert path.read_text() == keeper.board.text
    assert "Do two well." in keeper.board.text
    tasks = keeper.board.by_id
    assert (tasks["two"].status, tasks["one"].status, tasks["one"].attempt >= 2) == ("ready", "failed", True)
    assert not keeper.write([Change("one", Status.FAILED, {"attempt": tasks["one"].attempt})], 3001.0)
    keeper.look(3010.0)
    assert path.read_text() == keeper.board.text and keeper.trouble is None


CALLS = ("write", "fsync", "rename", "renameat2", "openat", "link", "unlink")


def calls(path: Path, name: str) -> list[int]:
    """The numbers of the driver's calls of that name that touch the board's folder, as strace counts them."""
    drive(path, "-e", f"trace={name}", "-y")
    lines = [line for line in path.with_name("trace").read_text().splitlines() if re.match(rf"\d+ +{name}\(", line)]
    assert lines or name in ("link", "rename", "unlink")
    return [number for number, line in enumerate(lines, 1) if str(path.parent) in line]


@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOSPC", "error=EIO", "error=EINTR"])
@pytest.mark.parametrize("name", CALLS)
def test_a_fault_in_any_call(tmp_path: Path, name: str, fault: str) -> None:
    if fault != "signal=KILL" and name in ("openat", "unlink") and fault == "error=EINTR":
        pytest.skip("the interpreter repeats it")
    first = tmp_path / "first"
    first.mkdir()
    numbers = calls(prepared(first), name)
    chosen = sorted({*numbers[:3], *numbers[len(numbers) // 2 :][:1], *numbers[-2:]})
    for number in chosen:
        folder = tmp_path / f"{name}-{number}"
        folder.mkdir()
        path = prepared(folder)
        before = path.read_text()
        done = drive(path, "-e", f"trace={name}", "-e", f"inject={name}:{fault}:when={number}")
        assert "Traceback" not in done.stderr, f"{name} {number}: {done.stderr}"
        check(path, before)
