from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from board.errors import LockHeld
from runners import claims, flocks
from tests.support import PATIENCE


@contextmanager
def held(folder: Path, mode: int = fcntl.LOCK_EX) -> Iterator[None]:
    """A flock by another open file counts as another's, also within one process."""
    with claims.claim_path(folder, "fix").open("r+") as file:
        fcntl.flock(file, mode)
        yield


def test_the_text_says_who_works_on_the_task(tmp_path: Path) -> None:
    claims.grant(tmp_path, "fix", 7, 1_800_000_000.0)
    text = (tmp_path / "locks" / "fix.lock").read_text()
    node = os.uname().nodename
    assert text == f"attempt: 7\nwindow: fix\nhost: {node}\nsince: 2027-01-15T08:00:00Z\n"


def test_a_shorter_text_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    claims.grant(tmp_path, "fix", 1000, 0.0)
    claims.grant(tmp_path, "fix", 1, 0.0)
    text = claims.claim_path(tmp_path, "fix").read_text()
    assert (
        text.startswith("attempt: 1\n")
        and text.endswith("\nsince: 1970-01-01T00:00:00Z\n")
        and len(text.split("\n")) == 5
    )


def test_a_new_grant_is_the_same_file(tmp_path: Path) -> None:
    """The flock belongs to the file: a replaced one could be held twice."""
    claims.grant(tmp_path, "fix", 1, 0.0)
    before = claims.claim_path(tmp_path, "fix").stat().st_ino
    claims.grant(tmp_path, "fix", 2, 0.0)
    assert claims.claim_path(tmp_path, "fix").stat().st_ino == before


def test_it_is_held_by_whoever_has_the_flock(tmp_path: Path) -> None:
    assert claims.held_by(tmp_path, "fix") is None
    claims.grant(tmp_path, "fix", 7, 0.0)
    assert claims.held_by(tmp_path, "fix") is None
    with held(tmp_path):
        assert claims.held_by(tmp_path, "fix") == 7
    assert claims.held_by(tmp_path, "fix") is None


def test_a_held_claim_is_not_granted_again(tmp_path: Path) -> None:
    claims.grant(tmp_path, "fix", 7, 0.0)
    with held(tmp_path), pytest.raises(LockHeld, match="fix: attempt 7 still works on it"):
        claims.grant(tmp_path, "fix", 8, 0.0)
    with held(tmp_path):
        assert claims.held_by(tmp_path, "fix") == 7


def test_two_that_look_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    claims.grant(tmp_path, "fix", 7, 0.0)
    with held(tmp_path, fcntl.LOCK_SH):  # what a look does
        assert claims.held_by(tmp_path, "fix") is None


def test_whoever_looks_does_not_make_a_start_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mux status`, `mux logs -f` and the loop itself look at claims all the time."""
    monkeypatch.setattr(flocks, "_LOOK", PATIENCE)  # threads that only look leave each other little room
    claims.grant(tmp_path, "fix", 1, 0.0)
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            claims.held_by(tmp_path, "fix")

    looking = [threading.Thread(target=look) for _ in range(3)]
    for thread in looking:
        thread.start()
    try:
        for epoch in range(2, 60):
            claims.grant(tmp_path, "fix", epoch, 0.0)
    finally:
        over.set()
        for thread in looking:
            thread.join()
    assert "attempt: 59\n" in claims.claim_path(tmp_path, "fix").read_text()


@pytest.mark.parametrize("text", [b"", b"nonsense", b"attempt:", b"attempt: x\n", b"\xff\xfe"])
def test_a_held_claim_that_cannot_be_read_names_nobody(tmp_path: Path, text: bytes) -> None:
    claims.grant(tmp_path, "fix", 7, 0.0)
    claims.claim_path(tmp_path, "fix").write_bytes(text)
    with held(tmp_path):
        assert claims.held_by(tmp_path, "fix") is None
        with pytest.raises(LockHeld):
            claims.grant(tmp_path, "fix", 8, 0.0)


def test_the_newest_epoch_is_known_whether_it_is_held_or_not(tmp_path: Path) -> None:
    assert claims.epoch(tmp_path, "fix") is None
    claims.grant(tmp_path, "fix", 3, 1000.0)
    assert (claims.epoch(tmp_path, "fix"), claims.held_by(tmp_path, "fix")) == (3, None)
