from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from board.errors import LockHeld
from runners import daemon, flocks
from tests.support import PATIENCE

HOLD = """
import sys
from pathlib import Path
from runners import daemon
with daemon.only_one(Path(sys.argv[1]), 1.5):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_nobody_runs_a_new_board(tmp_path: Path) -> None:
    assert daemon.running(tmp_path) is None


def test_one_control_plane_a_board(tmp_path: Path) -> None:
    with daemon.only_one(tmp_path, 17.25):
        assert daemon.running(tmp_path) == daemon.ControlPlane(os.getpid(), 17.25)
        said = f"process {os.getpid()} already runs this board; end it with: mux down"
        with pytest.raises(LockHeld, match=said), daemon.only_one(tmp_path, 18.0):
            pass
        assert daemon.running(tmp_path) == daemon.ControlPlane(os.getpid(), 17.25)  # the second one changed nothing
    assert daemon.running(tmp_path) is None
    with daemon.only_one(tmp_path, 19.0):
        assert daemon.running(tmp_path) == daemon.ControlPlane(os.getpid(), 19.0)


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert daemon.running(tmp_path) == daemon.ControlPlane(holder.pid, 1.5)
    finally:
        holder.kill()
        holder.communicate()
    assert daemon.running(tmp_path) is None
    with daemon.only_one(tmp_path, 2.0):
        pass


def test_a_lock_without_a_name_yet(tmp_path: Path) -> None:
    with (tmp_path / "daemon.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert daemon.running(tmp_path) is None
        with pytest.raises(LockHeld, match="another process already runs"), daemon.only_one(tmp_path, 1.0):
            pass


def test_an_old_name_is_overwritten_whole(tmp_path: Path) -> None:
    (tmp_path / "daemon.lock").write_text('{"pid": 123456789012, "since": 1234567890.12345}')
    with daemon.only_one(tmp_path, 1.0):
        assert daemon.running(tmp_path) == daemon.ControlPlane(os.getpid(), 1.0)


def test_whoever_asks_does_not_keep_it_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mux up --detach` asks every 20 ms while the process it started takes the lock."""
    monkeypatch.setattr(flocks, "_LOOK", PATIENCE)  # threads that only ask leave each other little room
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            daemon.running(tmp_path)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for number in range(100):
            with daemon.only_one(tmp_path, float(number)):
                pass
    finally:
        over.set()
        for thread in asking:
            thread.join()
