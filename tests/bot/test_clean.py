from __future__ import annotations

import shutil
import time

from board.history import History
from board.model import Status
from runners import git
from runners.model import Home
from runners.records import Records
from tests.bot.conftest import Mux, working
from tests.bot.workplace import Work, call, commit, make_home, ran, root, work

__all__ = ["root", "work"]
DAY = 86400.0


def test_a_dry_run_removes_nothing_and_says_sizes(mux: Mux, work: Work) -> None:
    call(work.root, "merge", "--quiet", work.branch)
    (work.home / "big.log").write_text("x" * 5_000_000)
    before = work.whole
    reply = mux("clean", "--dry-run")
    assert f"would remove: the worktree of fix, {work.home} (5.0 MB)" in reply.out
    assert "would remove: the branch mux/shop/fix, all of it in main" in reply.out
    assert "would free 5.0 MB" in reply.out and reply.code == 0
    assert work.whole == before


def test_a_merged_home_goes_with_its_branch(mux: Mux, work: Work) -> None:
    call(work.root, "merge", "--quiet", work.branch)
    reply = mux("clean")
    assert reply.code == 0 and not work.home.exists() and work.head is None
    assert mux("clean").out == "nothing to remove\n"


def test_a_pushed_home_goes_and_its_branch_stays(mux: Mux, work: Work) -> None:
    work.add_remote()
    call(work.root, "push", "--quiet", "origin", work.branch)
    reply = mux("clean")
    assert not work.home.exists() and work.head is not None
    assert "stays: the branch mux/shop/fix: 1 of its commits are not in main" in reply.out


class TestStays:
    def stays(self, mux: Mux, work: Work) -> str:
        before = work.whole
        reply = mux("clean")
        assert reply.code == 0 and work.whole == before
        return reply.out

    def test_unmerged(self, mux: Mux, work: Work) -> None:
        assert "1 commit neither in main nor on a remote: mux finish fix" in self.stays(mux, work)

    def test_dirty(self, mux: Mux, work: Work) -> None:
        call(work.root, "merge", "--quiet", work.branch)
        (work.home / "new").write_text("x")
        assert "1 file untracked" in self.stays(mux, work)

    def test_commits_on_no_branch(self, mux: Mux, work: Work) -> None:
        call(work.root, "merge", "--quiet", work.branch)
        call(work.home, "switch", "--quiet", "--detach")
        commit(work.home, "loose")
        assert "is on no branch" in self.stays(mux, work)

    def test_not_done(self, mux: Mux, work: Work) -> None:
        call(work.root, "merge", "--quiet", work.branch)
        work.board("status: done", "status: stopped")
        assert "its task is stopped, not done" in self.stays(mux, work)

    def test_a_new_branch_with_no_commit_of_a_task_that_works(self, mux: Mux, work: Work) -> None:
        call(work.home, "reset", "--quiet", "--hard", "main")
        with working(work.place, "fix", 2, cwd=str(work.home), branch=work.branch):
            assert "its worker is not through" in self.stays(mux, work)

    def test_a_branch_whose_worktree_is_about_to_be_made(self, mux: Mux, work: Work) -> None:
        call(work.root, "branch", "mux/shop/next")
        with working(work.place, "next"):
            mux("clean")
        assert git.resolve(work.root, "mux/shop/next") is not None

    def test_a_task_that_nobody_knows(self, mux: Mux, work: Work) -> None:
        call(work.root, "merge", "--quiet", work.branch)
        work.board("## fix: Fix it", "## other: Other")
        shutil.rmtree(work.place.folder)
        assert "no record says that its task is done" in self.stays(mux, work)

    def test_a_strange_folder_among_the_homes(self, mux: Mux, work: Work) -> None:
        (work.home.parent / "My Notes").mkdir()
        (work.home.parent / "My Notes" / "text").write_text("x")
        assert "is not named like a task's" in self.stays(mux, work)
        assert (work.home.parent / "My Notes" / "text").exists()

    def test_a_branch_checked_out_by_a_person(self, mux: Mux, work: Work) -> None:
        call(work.root, "worktree", "add", "--quiet", "-b", "mux/shop/next", str(work.root.with_name("mine")))
        reply = mux("clean")
        assert reply.code == 1 and "is checked out in" in reply.out
        assert git.resolve(work.root, "mux/shop/next") is not None

    def test_another_boards_branches(self, mux: Mux, work: Work) -> None:
        call(work.root, "branch", "mux/other/fix")
        call(work.root, "branch", "mux/shop-2/fix")
        mux("clean")
        assert git.branch_exists(work.root, "mux/other/fix") and git.branch_exists(work.root, "mux/shop-2/fix")


def test_the_home_of_a_done_task_that_left_the_board_goes(mux: Mux, work: Work) -> None:
    call(work.root, "merge", "--quiet", work.branch)
    work.board("## fix: Fix it", "## other: Other")
    assert mux("clean").code == 0 and not work.home.exists()


class TestRunFolders:
    def numbers(self, work: Work, task: str = "fix") -> list[int]:
        return Records(work.place.folder).numbers(task)

    def test_old_ones_go_but_for_the_newest(self, mux: Mux, work: Work) -> None:
        now = time.time()
        home = Home(work.home, work.branch, "")
        for number, age in ((1, 40), (2, 30), (3, 20), (4, 19)):
            ran(work.place, "fix", home, at=now - age * DAY, number=number)
        (Records(work.place.folder).run_folder("fix", 2) / "output.log").write_text("x" * 2_000_000)
        assert "would remove: 3 run folders older than 14d (2.0 MB)" in mux("clean", "--dry-run").out
        mux("clean")
        assert self.numbers(work) == [4]

    def test_young_ones_and_abandoned_ones(self, mux: Mux, work: Work) -> None:
        now = time.time()
        home = Home(work.home, work.branch, "")
        ran(work.place, "fix", home, at=now - 20 * DAY, number=1)
        ran(work.place, "fix", home, Status.FAILED, at=now - 1 * DAY, number=2)
        mux("clean")
        assert self.numbers(work) == [2]

    def test_all_of_a_task_that_is_gone_from_the_board(self, mux: Mux, work: Work) -> None:
        home = make_home(work.root, "gone")
        ran(work.place, "gone", home)
        mux("clean")
        assert self.numbers(work, "gone") == [1] and not home.path.exists()  # its home was there when it was looked at
        mux("clean")
        assert self.numbers(work, "gone") == [] and not (work.place.folder / "runs" / "gone").exists()

    def test_never_one_that_is_not_concluded(self, mux: Mux, work: Work) -> None:
        with working(work.place, "gone"):
            mux("clean")
            assert self.numbers(work, "gone") == [1]


def test_old_versions_of_the_board_go_but_for_the_newest(mux: Mux, work: Work) -> None:
    history = History(work.place.folder / "history")
    for text, age in ((b"one", 30), (b"two", 20), (b"three", 10), (b"four", 9)):
        history.append(text, 1, "mux", time.time() - age * DAY)
    assert "2 versions of the board older than 14d" in mux("clean", "--dry-run").out
    assert len(history.entries()) == 4
    mux("clean")
    assert [history.read(entry) for entry in history.entries()] == [b"three", b"four"]


def test_a_repository_that_does_not_open_does_not_stop_the_rest(mux: Mux, work: Work) -> None:
    work.board("board: shop\n", "board: shop\nrepo: nowhere\n")
    reply = mux("clean")
    assert reply.code == 0 and "stays: worktrees and branches:" in reply.out
