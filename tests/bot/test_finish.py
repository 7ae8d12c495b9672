from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from board.model import Status
from bot.sizes import human, largest
from runners import claims, git
from runners.delivery import pull_request_hint
from runners.journal import Journal
from runners.model import Home
from runners.records import Records
from tests.bot.conftest import Mux, working
from tests.bot.workplace import Work, call, commit, make_home, ran, root, work

__all__ = ["root", "work"]


class TestMerge:
    def test_merges_then_puts_the_home_away(self, mux: Mux, work: Work) -> None:
        reply = mux("finish", "fix")
        assert reply.code == 0, reply.err
        assert (work.root / "fix.txt").exists() and not work.home.exists() and work.head is None
        assert reply.out.splitlines()[0].startswith("fix: merged mux/shop/fix into main (at ")
        assert [event.event for event in Journal(work.place.folder).events("fix")] == ["finish"] * 3

    def test_again_says_what_was_done_already(self, mux: Mux, work: Work) -> None:
        mux("finish", "fix")
        reply = mux("finish", "fix")
        assert (reply.code, reply.err) == (0, "")
        assert reply.out == "fix: its branch mux/shop/fix is gone\nfix: its worktree is gone\n"

    def test_goes_on_where_a_crash_left_it(self, mux: Mux, work: Work) -> None:
        call(work.root, "merge", "--quiet", work.branch)
        reply = mux("finish", "fix")
        assert reply.code == 0 and not work.home.exists() and work.head is None
        call(work.root, "branch", work.branch)
        assert mux("finish", "fix").code == 0 and work.head is None

    def test_a_folder_that_was_deleted_by_hand_does_not_keep_the_branch(self, mux: Mux, work: Work) -> None:
        shutil.rmtree(work.home)
        reply = mux("finish", "fix")
        assert reply.code == 0, reply.err
        assert (work.root / "fix.txt").exists() and work.head is None
        assert str(work.home) not in call(work.root, "worktree", "list")

    def test_a_squashed_branch_is_merged_already(self, mux: Mux, work: Work) -> None:
        commit(work.home, "more.txt")
        call(work.root, "merge", "--quiet", "--squash", work.branch)
        call(work.root, "commit", "--quiet", "-m", "squashed")
        reply = mux("finish", "fix")
        assert "mux/shop/fix is merged into main already" in reply.out
        assert not work.home.exists() and work.head is None

    def test_a_branch_without_a_commit_has_nothing_to_merge(self, mux: Mux, work: Work) -> None:
        ran(work.place, "next", make_home(work.root, "next"))
        work.board("status: ready", "status: done")
        reply = mux("finish", "next")
        assert reply.code == 0 and "has no commit that is not in main" in reply.out
        assert git.resolve(work.root, "mux/shop/next") is None

    def test_what_git_ignores_and_goes_is_said(self, mux: Mux, work: Work) -> None:
        (work.home / "big.log").write_text("x" * 4200)
        (work.home / "small.log").write_text("x")
        assert "4.2 kB that git ignores went with it: big.log (4.2 kB), small.log (1 B)" in mux("finish", "fix").out

    def test_without_run_records_too(self, mux: Mux, work: Work) -> None:
        shutil.rmtree(work.place.folder)
        assert mux("finish", "fix").code == 0
        assert (work.root / "fix.txt").exists() and not work.home.exists()


class TestRefusals:
    """Each of them leaves branch, home and the person's branch as they were."""

    def refused(self, mux: Mux, work: Work, *words: str) -> str:
        before = work.whole
        reply = mux("finish", "fix", *words)
        assert reply.code == 1 and reply.err.count("\n") == 1
        assert work.whole == before
        assert not [event for event in Journal(work.place.folder).events("fix") if event.event == "finish"]
        return reply.err

    def test_uncommitted(self, mux: Mux, work: Work) -> None:
        (work.home / "fix.txt").write_text("changed")
        assert "1 file changed and not committed" in self.refused(mux, work)

    @pytest.mark.parametrize("how", ["merge", "push", "pr"])
    def test_untracked_ones_by_name(self, mux: Mux, work: Work, how: str) -> None:
        work.add_remote()
        for number in range(12):
            (work.home / f"new{number:02}").write_text("x")
        said = self.refused(mux, work, "--how", how)
        assert "12 files untracked" in said and "new09 and 2 more" in said and "new10" not in said

    def test_untracked_where_the_persons_git_hides_them(self, mux: Mux, work: Work) -> None:
        call(work.root, "config", "status.showUntrackedFiles", "no")
        (work.home / "new").write_text("x")
        assert "1 file untracked" in self.refused(mux, work)

    def test_a_merged_branch_with_edits_in_its_home(self, mux: Mux, work: Work) -> None:
        call(work.root, "merge", "--quiet", work.branch)
        (work.home / "new").write_text("x")
        assert "untracked" in self.refused(mux, work)

    def test_commits_on_no_branch(self, mux: Mux, work: Work) -> None:
        call(work.home, "switch", "--quiet", "--detach")
        commit(work.home, "loose")
        assert "is on no branch, not on mux/shop/fix" in self.refused(mux, work)

    def test_a_rebase_under_way(self, mux: Mux, work: Work) -> None:
        call(work.home, "-c", "sequence.editor=sed -i s/^pick/break\\\\npick/", "rebase", "-q", "-i", "HEAD~1")
        assert "a rebase is under way" in self.refused(mux, work)

    def test_a_merge_that_was_not_committed(self, mux: Mux, work: Work) -> None:
        commit(work.root, "other")
        call(work.home, "merge", "--quiet", "--no-commit", "-s", "ours", "main")
        assert "a merge is under way" in self.refused(mux, work)

    def test_the_persons_checkout_is_on_another_branch(self, mux: Mux, work: Work) -> None:
        work.board("board: shop\n", "board: shop\nbase: main\n")
        call(work.root, "switch", "--quiet", "-c", "mine")
        assert "git switch main" in self.refused(mux, work)

    def test_the_persons_checkout_is_on_no_branch(self, mux: Mux, work: Work) -> None:
        call(work.root, "switch", "--quiet", "--detach", work.branch)
        assert "is on no branch" in self.refused(mux, work)

    def test_the_persons_checkout_is_dirty(self, mux: Mux, work: Work) -> None:
        (work.root / "README").write_text("mine")
        assert "is not clean (1 changed)" in self.refused(mux, work)
        assert (work.root / "README").read_text() == "mine"

    def test_a_conflict(self, mux: Mux, work: Work) -> None:
        commit(work.root, "fix.txt", "mine\n")
        assert "cannot be merged" in self.refused(mux, work)
        assert call(work.root, "status", "--porcelain") == ""

    def test_a_change_of_the_board(self, mux: Mux, work: Work) -> None:
        (work.home / "board.md").write_text("theirs")
        call(work.home, "add", "--force", "board.md")
        call(work.home, "commit", "--quiet", "-m", "the board")
        before = work.place.path.read_text()
        assert "changes the board board.md" in self.refused(mux, work)
        assert work.place.path.read_text() == before

    def test_a_base_that_is_no_branch(self, mux: Mux, work: Work) -> None:
        call(work.root, "tag", "v1")
        work.board("board: shop\n", "board: shop\nbase: v1\n")
        assert "v1 is no branch to merge into" in self.refused(mux, work)

    def test_its_own_branch_as_base(self, mux: Mux, work: Work) -> None:
        work.board("status: done", f"status: done\nbase: {work.branch}")
        assert "is its own base" in self.refused(mux, work)

    @pytest.mark.parametrize("how", ["push", "pr"])
    def test_no_remote(self, mux: Mux, work: Work, how: str) -> None:
        assert "has no remote to push to: git remote add" in self.refused(mux, work, "--how", how)

    def test_a_push_that_is_rejected(self, mux: Mux, work: Work) -> None:
        remote = work.add_remote()
        (remote / "hooks").mkdir(exist_ok=True)
        (remote / "hooks" / "pre-receive").write_text("#!/bin/sh\nexit 1\n")
        (remote / "hooks" / "pre-receive").chmod(0o755)
        assert "was not pushed to origin" in self.refused(mux, work, "--how", "push")

    @pytest.mark.parametrize("status", [Status.FAILED, Status.BLOCKED])
    def test_a_task_that_is_not_done(self, mux: Mux, work: Work, status: Status) -> None:
        work.board("status: done", f"status: {status}")
        ran(work.place, "fix", Home(work.home, work.branch, ""), status)
        assert f"fix is {status}, not done; look with: mux diff fix" in self.refused(mux, work)

    def test_a_task_that_would_start_again(self, mux: Mux, work: Work) -> None:
        work.board("status: done", "status: ready\nmux:\n  attempt: 1")
        assert "ready and would start again" in self.refused(mux, work)

    def test_a_living_worker(self, mux: Mux, work: Work) -> None:
        with working(work.place, "fix", 2, cwd=str(work.home), branch=work.branch):
            assert "its worker still runs (attempt 2)" in self.refused(mux, work)

    def test_a_worker_that_nobody_has_looked_at_yet(self, mux: Mux, work: Work) -> None:
        (Records(work.place.folder).run_folder("fix", 1) / "outcome.json").unlink()
        assert "not looked at yet: mux up" in self.refused(mux, work)

    def test_somebody_else_holds_the_claim(self, mux: Mux, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        import fcntl

        monkeypatch.setattr("runners.deliver._HOLD_WAIT", 0.05)
        claims.grant(work.place.folder, "fix", 1, 0.0)
        with claims.claim_path(work.place.folder, "fix").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert "a worker, or another mux, works on it" in self.refused(mux, work)

    def test_a_folder_that_lost_its_git(self, mux: Mux, work: Work) -> None:
        (work.home / ".git").unlink()
        assert "is no worktree any more" in self.refused(mux, work)

    def test_unknown_tasks(self, mux: Mux, work: Work) -> None:
        assert mux("finish", "fxi").err == "mux: no task 'fxi' on the board: did you mean 'fix'?\n"


class TestPush:
    def test_pushes_and_keeps_the_branch(self, mux: Mux, work: Work) -> None:
        remote = work.add_remote()
        head = work.head
        reply = mux("finish", "fix", "--how", "push")
        assert reply.code == 0, reply.err
        assert call(remote, "rev-parse", work.branch) == head == work.head
        assert not work.home.exists() and not (work.root / "fix.txt").exists()
        again = mux("finish", "fix", "--how", "push")
        assert again.out == "fix: mux/shop/fix is on origin already\nfix: its worktree is gone\n"

    def test_the_boards_key_decides(self, mux: Mux, work: Work) -> None:
        remote = work.add_remote("upstream")
        work.board("board: shop\n", "board: shop\nfinish: push\n")
        assert mux("finish", "fix").code == 0
        assert call(remote, "rev-parse", work.branch) == work.head


class TestPullRequest:
    def gh(self, folder: Path, monkeypatch: pytest.MonkeyPatch, found: str = "", code: int = 0) -> Path:
        """A `gh` that writes down how it was called."""
        (folder / "bin").mkdir()
        program = folder / "bin" / "gh"
        reply = f'case "$2" in list) echo {found};; *) echo https://example.org/pull/1; exit {code};; esac'
        program.write_text(f'#!/bin/sh\necho "$@" >> {folder / "calls"}\n{reply}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return folder / "calls"

    def test_opened_by_gh(self, mux: Mux, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        remote = work.add_remote()
        calls = self.gh(tmp_path, monkeypatch)
        reply = mux("finish", "fix", "--how", "pr")
        assert "opened a pull request: https://example.org/pull/1" in reply.out
        assert calls.read_text().splitlines()[-1] == "pr create --head mux/shop/fix --base main --fill"
        assert call(remote, "rev-parse", work.branch) == work.head and not work.home.exists()

    def test_one_that_is_open_is_not_opened_again(
        self, mux: Mux, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        work.add_remote()
        calls = self.gh(tmp_path, monkeypatch, found="https://example.org/pull/7")
        assert "is open already: https://example.org/pull/7" in mux("finish", "fix", "--how", "pr").out
        assert "create" not in calls.read_text()

    def test_when_gh_fails_the_home_stays(
        self, mux: Mux, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remote = work.add_remote()
        self.gh(tmp_path, monkeypatch, code=4)
        reply = mux("finish", "fix", "--how", "pr")
        assert reply.code == 1 and "gh pr" in reply.err and "its worktree was kept" in reply.err
        assert work.home.exists() and call(remote, "rev-parse", work.branch) == work.head

    def test_without_gh_a_person_opens_it(self, mux: Mux, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        work.add_remote()
        monkeypatch.setattr("shutil.which", lambda *_, **__: None)
        reply = mux("finish", "fix", "--how", "pr")
        assert "gh is not installed: open a pull request for mux/shop/fix into main" in reply.out
        assert not work.home.exists()

    @pytest.mark.parametrize(
        "address",
        ["git@github.com:ana/shop.git", "https://ana:secret@github.com/ana/shop", "ssh://git@github.com/ana/shop.git"],
    )
    def test_the_address_to_open(self, address: str) -> None:
        hint = pull_request_hint(address, "mux/shop/fix", "main")
        assert hint == "open https://github.com/ana/shop/compare/main...mux/shop/fix?expand=1"

    def test_a_password_in_another_address_is_not_shown(self) -> None:
        assert "secret" not in pull_request_hint("https://ana:secret@git.example.org/x", "b", "main")


def test_sizes() -> None:
    sizes = [human(size) for size in (0, 999, 1000, 4200, 9_960, 999_600, 37_000_000, 2_500_000_000)]
    assert sizes == ["0 B", "999 B", "1.0 kB", "4.2 kB", "10 kB", "1.0 MB", "37 MB", "2.5 GB"]
    assert largest([(str(n), n) for n in range(7, 0, -1)]) == "7 (7 B), 6 (6 B), 5 (5 B), 4 (4 B), 3 (3 B) and 2 more"
