"""`mux snapshots`, `mux restore`, and what `mux clean` and `mux finish` leave of them."""

from __future__ import annotations

import shutil
import time
from typing import Any

import pytest

from board.errors import LockHeld
from runners import claims, homes, local, snapshots
from runners.journal import Journal
from runners.kept import Restored, Snapshot
from runners.model import Home
from runners.records import Records
from tests.bot.conftest import Mux, record, working
from tests.bot.workplace import Work, call, commit, root, work

__all__ = ["root", "work"]
DAY = 86400.0


def kept(work: Work, text: str, age: float = 0.0, cap: int = snapshots.CAP) -> Snapshot:
    """A snapshot of a home in which `fix.txt` says `text`, and an untracked file is beside it."""
    (work.home / "fix.txt").write_text(text)
    (work.home / "new.txt").write_text(text)
    taken = snapshots.take(Home(work.home, work.branch, ""), 1, "ended: failed", time.time() - age, cap)
    assert taken is not None and taken.new
    return taken.snapshot


def clear(work: Work) -> None:
    call(work.home, "reset", "--quiet", "--hard")
    call(work.home, "clean", "--quiet", "--force", "-d")


def numbers(work: Work) -> list[int]:
    return [each.number for each in snapshots.kept(work.root, "mux/shop/").get("fix", ())]


class TestSnapshots:
    def test_a_table_newest_first(self, mux: Mux, work: Work) -> None:
        kept(work, "one\n", age=1_000_000)
        (work.home / "nested").mkdir()
        call(work.home / "nested", "init", "--quiet")
        (work.home / "nes\nted").write_text("x" * 100)
        kept(work, "two\nthree\n", cap=50)
        lines = mux("snapshots", "fix").out.splitlines()
        assert lines[0].split() == ["SNAPSHOT", "WHEN", "TRY", "WHY", "WHAT"]
        assert lines[1].startswith("2 ") and lines[1].endswith("1 file changed, 1 untracked, 2 left out (+4 -1)")
        assert lines[2].startswith("1 ") and lines[2].endswith("ended: failed  1 file changed, 1 untracked (+2 -1)")
        assert lines[3:] == [
            "not in snapshot 2: nes ted (100 bytes, over 50)",
            "not in snapshot 2: nested/ (a repository of its own)",
        ]

    def test_none_yet(self, mux: Mux, work: Work) -> None:
        reply = mux("snapshots", "fix")
        assert (reply.code, reply.out.startswith("fix: no snapshot; one is made when")) == (0, True)

    @pytest.mark.parametrize("command", ["snapshots", "restore"])
    @pytest.mark.parametrize("task", ["fi", "../../fix"])
    def test_of_no_task(self, mux: Mux, work: Work, command: str, task: str) -> None:
        reply = mux(command, task)
        assert reply.code == 1 and f"no task '{task}'" in reply.err
        assert not list(work.place.folder.glob("locks/*"))

    def test_of_a_task_that_left_the_board(self, mux: Mux, work: Work) -> None:
        kept(work, "one\n")
        work.board("## fix: Fix it", "## other: Other")
        shutil.rmtree(work.place.folder)
        assert mux("snapshots", "fix").out.splitlines()[1].startswith("1 ")


class TestRestore:
    def test_the_newest_or_a_numbered_one(self, mux: Mux, work: Work) -> None:
        kept(work, "one\n")
        kept(work, "two\n")
        clear(work)
        assert mux("restore", "fix").code == 0
        assert (work.home / "fix.txt").read_text() == (work.home / "new.txt").read_text() == "two\n"
        assert mux("restore", "fix", "1").code == 0
        assert (work.home / "fix.txt").read_text() == "one\n"

    def test_it_says_what_it_did_and_how_to_undo_it(self, mux: Mux, work: Work) -> None:
        kept(work, "one\n")
        clear(work)
        reply = mux("restore", "fix")
        assert reply.out.splitlines() == [
            f"fix: its files are those of snapshot 1, not committed (2 files written, 0 removed), in {work.home}",
            f"fix: to undo: git -C {work.home} stash --include-untracked",
        ]
        (work.home / "fix.txt").write_text("mine\n")
        reply = mux("restore", "fix", "1")
        assert reply.out.splitlines()[-1] == (
            "fix: what was not committed before is snapshot 2; to undo: mux restore fix 2"
        )
        assert mux("restore", "fix", "2").code == 0 and (work.home / "fix.txt").read_text() == "mine\n"
        (event, *_) = Journal(work.place.folder).events("fix")
        assert (event.event, event.text) == ("restore", "snapshot 1 is back: 2 written, 0 removed")

    def test_again_says_that_it_is_so_already(self, mux: Mux, work: Work) -> None:
        kept(work, "one\n")
        assert mux("restore", "fix").out == "fix: its files are those of snapshot 1 already; nothing was changed\n"

    def test_a_branch_that_moved_on_is_said(self, mux: Mux, work: Work) -> None:
        made = kept(work, "one\n")
        commit(work.home, "later")
        reply = mux("restore", "fix")
        assert made.parent is not None
        assert f"HEAD is {(work.head or '')[:7]}, and the snapshot was made at {made.parent[:7]}: " in reply.out

    def test_after_finish_the_work_can_be_had_back(self, mux: Mux, work: Work) -> None:
        kept(work, "one\n")
        clear(work)
        assert mux("finish", "fix").code == 0 and not work.home.exists() and work.head is None
        assert numbers(work) == [1]
        reply = mux("restore", "fix")
        assert reply.code == 0 and f"made its worktree anew: {work.home}" in reply.out
        assert (work.home / "fix.txt").read_text() == "one\n" and (work.home / "new.txt").exists()
        assert homes.is_whole(work.home)

    def test_unknown_numbers(self, mux: Mux, work: Work) -> None:
        assert "fix: it has no snapshot; one is made when" in mux("restore", "fix").err
        kept(work, "one\n")
        reply = mux("restore", "fix", "7")
        assert (reply.code, reply.err.strip().endswith("fix: it has no snapshot 7; it has: 1")) == (1, True)
        assert mux("restore", "fix", "x").code == 2

    def refused(self, mux: Mux, work: Work) -> str:
        before = work.whole
        reply = mux("restore", "fix", "1")
        assert reply.code == 1 and reply.err.count("\n") == 1 and work.whole == before
        assert numbers(work) == [1]
        return reply.err

    def test_not_while_a_worker_lives(self, mux: Mux, work: Work) -> None:
        kept(work, "one\n")
        (work.home / "fix.txt").write_text("the worker's\n")
        with working(work.place, "fix", 2, cwd=str(work.home), branch=work.branch):
            assert "works on it" in self.refused(mux, work)

    def test_not_while_a_start_is_planned(self, mux: Mux, work: Work) -> None:
        kept(work, "one\n")
        record(work.place, "fix", 2, cwd=str(work.home), branch=work.branch)
        assert "its worker is not through (attempt 2)" in self.refused(mux, work)

    def test_no_worker_starts_meanwhile(self, mux: Mux, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        kept(work, "one\n")
        clear(work)
        restore = local.restore.restore

        def look(*arguments: Any) -> Restored:
            with pytest.raises(LockHeld):
                claims.grant(work.place.folder, "fix", 9, 0.0)
            return restore(*arguments)

        monkeypatch.setattr(local.restore, "restore", look)
        assert mux("restore", "fix").code == 0 and (work.home / "fix.txt").read_text() == "one\n"


class TestKept:
    def test_old_ones_go_but_never_the_newest(self, mux: Mux, work: Work) -> None:
        for age in (40, 30, 20):
            kept(work, f"{age}\n", age * DAY)
        reply = mux("clean", "--dry-run")
        assert "would remove: 2 snapshots of fix older than 14d" in reply.out and numbers(work) == [3, 2, 1]
        assert "removed: 2 snapshots of fix" in mux("clean").out
        assert numbers(work) == [3] and "snapshot" not in mux("clean").out
        kept(work, "later\n")
        assert "1 snapshot of fix older" in mux("clean").out
        assert numbers(work) == [4]

    def test_for_as_long_as_the_board_says(self, mux: Mux, work: Work) -> None:
        for age in (3, 2):
            kept(work, f"{age}\n", age * DAY)
        assert "snapshot" not in mux("clean").out
        work.board("board: shop\n", "board: shop\nretain: 1d\n")
        assert "removed: 1 snapshot of fix older than 1d" in mux("clean").out


def test_records_are_not_needed(mux: Mux, work: Work) -> None:
    kept(work, "one\n")
    clear(work)
    shutil.rmtree(work.place.folder)
    assert mux("restore", "fix").code == 0 and (work.home / "fix.txt").read_text() == "one\n"
    assert Records(work.place.folder).attempts() == {}
