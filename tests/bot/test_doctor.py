from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from board.model import Status
from bot.boards import load
from bot.doctor import editor_of, files, locale
from bot.drift import of_windows
from bot.findings import Finding, Level, lines
from runners import trust
from runners.model import Window
from runners.records import Records
from tests.bot.conftest import Mux, working
from tests.bot.workplace import Work, call, commit, ran, root, work

__all__ = ["root", "work"]


def findings(out: str) -> dict[str, str]:
    """Each finding's text, by its line, with its fix behind it."""
    found: dict[str, str] = {}
    for line in out.splitlines():
        if line.startswith("         fix: "):
            found[list(found)[-1]] += line.removeprefix("         ")
        else:
            found[line] = ""
    return found


def the_one(out: str, part: str) -> tuple[str, str]:
    """Level and fix of the one finding with that in it."""
    matching = [(line, fix) for line, fix in findings(out).items() if part in line]
    assert len(matching) == 1, out
    return matching[0][0].split()[0], matching[0][1]


def test_all_is_well(mux: Mux, work: Work) -> None:
    trust.trust(work.place.path)
    reply = mux("doctor")
    assert reply.code == 0, reply.out
    for part in ("tmux 3.", "git 2.", "is trusted", "git ignores board.md", "repository ", "base main", "agent shell"):
        assert the_one(reply.out, part) == ("ok", "")
    assert the_one(reply.out, "agrees with trees and windows (1 done)") == ("ok", "")
    assert the_one(reply.out, "mux is down")[0] == "warning"
    assert "no problems" in reply.out.splitlines()[-1]


def test_what_is_around_the_board(mux: Mux, work: Work) -> None:
    (work.root / ".gitignore").write_text("")
    assert "is not trusted" in mux("doctor").out
    assert the_one(mux("doctor").out, "git does not ignore board.md and .mux")[1].startswith(
        "fix: add /board.md and /.m"
    )
    call(work.root, "add", "board.md")
    level, fix = the_one(mux("doctor").out, "git tracks board.md")
    assert level == "warning" and fix.endswith("rm --cached board.md")
    subprocess.run(shlex.split(fix.removeprefix("fix: ")), check=True)
    assert "git tracks" not in mux("doctor").out


def test_problems_of_board_and_repository(mux: Mux, work: Work) -> None:
    work.board("board: shop\n", "board: shop\nbase: nowhere\n")
    reply = mux("doctor")
    assert reply.code == 1 and the_one(reply.out, "no branch 'nowhere'")[0] == "problem"
    work.board("base: nowhere\n", "repo: nowhere\n")
    assert the_one(mux("doctor").out, "there is no such folder")[0] == "problem"
    work.board("repo: nowhere\n", "agnet: x\n")
    assert the_one(mux("doctor").out, "1 problem on the board, the first in line 3") == ("problem", "fix: mux check")


def test_a_board_that_cannot_be_read(mux: Mux, work: Work) -> None:
    work.place.path.write_bytes(b"\xff\x00")
    reply = mux("doctor")
    assert reply.code == 1 and "tmux 3." in reply.out


def test_programs_of_agents(mux: Mux, work: Work, tmp_path: Path) -> None:
    program = tmp_path / "helper"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho helper 7\n")
    program.chmod(0o755)
    profile = (
        f"agents: {{mine: {{program: {program}, version: ['{{program}}'], headless: {{start: [x, '{{prompt}}']}}}}}}"
    )
    work.board("board: shop\n", f"board: shop\n{profile}\n")
    work.board("status: ready\nrun: make next", "status: draft\nagent: mine")
    assert the_one(mux("doctor").out, "agent mine:")[0] == "ok"
    assert not (tmp_path / "ran").exists()  # a command of a board that nobody trusts
    trust.trust(work.place.path)
    assert "helper 7" in mux("doctor").out and (tmp_path / "ran").exists()
    program.unlink()
    assert the_one(mux("doctor").out, "agent mine: there is no program")[0] == "problem"


class TestDrift:
    def drifted(self, mux: Mux, part: str) -> tuple[str, str]:
        reply = mux("doctor")
        assert "agrees with trees" not in reply.out
        return the_one(reply.out, part)

    def test_done_and_not_clean(self, mux: Mux, work: Work) -> None:
        (work.home / "new").write_text("x")
        (work.home / "fix.txt").write_text("changed")
        assert (
            self.mends(mux, work, "fix says done, but: 1 file changed and not committed, 1 file untracked") == "problem"
        )
        assert call(work.root, "stash", "show", "--include-untracked", "--name-only").split() == ["fix.txt", "new"]

    def test_done_without_a_commit(self, mux: Mux, work: Work) -> None:
        head = work.head
        call(work.home, "reset", "--quiet", "--hard", "main")
        assert self.mends(mux, work, "fix says done, but: no commit on its branch") == "problem"
        assert work.head == head

    def test_done_on_another_branch(self, mux: Mux, work: Work) -> None:
        call(work.home, "switch", "--quiet", "--create", "aside")
        assert self.mends(mux, work, f"its home is on aside, not on {work.branch}") == "problem"

    def test_done_on_no_branch_that_is_there(self, mux: Mux, work: Work) -> None:
        head = work.head
        call(work.home, "switch", "--quiet", "--detach")
        call(work.root, "branch", "--quiet", "-D", work.branch)
        assert self.mends(mux, work, f"its home is on no branch, not on {work.branch}") == "problem"
        assert work.head == head

    @pytest.mark.parametrize("words", [["rebase", "main"], ["bisect", "start", "HEAD", "HEAD~1"]])
    def test_done_in_the_middle_of_something(self, mux: Mux, work: Work, words: list[str]) -> None:
        commit(work.root, "fix.txt", "another\n")
        if words[0] == "bisect":
            call(work.home, "commit", "--quiet", "--allow-empty", "-m", "x")
            words = [*words[:3], "HEAD~2"]
        subprocess.run(["git", "-C", work.home, *words], capture_output=True, check=False)
        level, fix = self.drifted(mux, "its home is on no branch")
        assert level == "problem" and words[0] in fix
        self.paste(mux, work, fix)

    def test_done_and_not_pushed(self, mux: Mux, work: Work) -> None:
        self.asks_for(work, "pushed")
        far = work.add_remote()
        assert self.mends(mux, work, "its branch has no upstream on a remote") == "problem"
        assert call(far, "rev-parse", work.branch) == work.head
        commit(work.home, "more")
        assert self.mends(mux, work, "1 commit not pushed") == "problem"
        call(work.home, "reset", "--quiet", "--hard", "HEAD~1")
        assert self.mends(mux, work, "its upstream has commits that it does not have") == "problem"
        assert call(far, "rev-parse", work.branch) == work.head
        call(work.home, "update-ref", "-d", f"refs/remotes/origin/{work.branch}")
        assert self.mends(mux, work, "its branch has no upstream on a remote") == "problem"

    def test_done_and_nowhere_to_push_it(self, mux: Mux, work: Work) -> None:
        self.asks_for(work, "pushed")
        assert self.mends(mux, work, "its branch has no upstream on a remote") == "problem"
        assert call(work.root, "rev-parse", "main^{tree}") and not work.home.exists()

    def test_done_and_not_merged(self, mux: Mux, work: Work) -> None:
        self.asks_for(work, "merged")
        assert self.mends(mux, work, "it is not merged into main") == "problem"

    def test_in_review_nothing_has_to_be_merged(self, mux: Mux, work: Work) -> None:
        self.asks_for(work, "merged")
        path = Records(work.place.folder).run_folder("fix", 1) / "outcome.json"
        path.write_text(path.read_text().replace('"done"', '"review"', 1))
        work.board("status: done", "status: review\nmux:\n  attempt: 1")
        assert "agrees with trees and windows (1 done)" in mux("doctor").out
        (work.home / "new").write_text("x")
        assert self.drifted(mux, "fix says review, but: 1 file untracked")[0] == "problem"

    def test_done_and_changed_since_its_check(self, mux: Mux, work: Work) -> None:
        self.asks_for(work, "check")
        work.board("run: make fix", "run: make fix\ncheck: test -e 'fix.txt' && echo seen")
        assert "agrees with trees" in mux("doctor").out
        work.board("status: done", "status: done\nmux:\n  attempt: 1")
        commit(work.home, "more")
        assert self.mends(mux, work, "its check did not run since commit") == "warning"
        assert "status: ready" in work.place.path.read_text(), "the gate runs the check once its worker ended"

    def asks_for(self, work: Work, rule: str) -> None:
        path = Records(work.place.folder).run_folder("fix", 1) / "attempt.json"
        path.write_text(path.read_text().replace('"clean"', f'"clean", "{rule}"'))

    def mends(self, mux: Mux, work: Work, part: str) -> str:
        """The level of that finding, after its fix was pasted and mended it."""
        level, fix = self.drifted(mux, part)
        self.paste(mux, work, fix)
        return level

    def paste(self, mux: Mux, work: Work, fix: str) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        line = fix.removeprefix("fix: ")
        done = subprocess.run(
            ["sh", "-c", line], cwd=work.root, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert "agrees with trees" in mux("doctor").out, mux("doctor").out

    def test_after_finish_there_is_none(self, mux: Mux, work: Work) -> None:
        mux("finish", "fix")
        assert "agrees with trees" in mux("doctor").out

    def test_finished_and_then_thrown_out_of_base(self, mux: Mux, work: Work) -> None:
        mux("finish", "fix")
        call(work.root, "reset", "--quiet", "--hard", "HEAD~1")
        level, fix = self.drifted(mux, "neither in its base nor on a remote")
        assert level == "problem"
        self.paste(mux, work, fix)
        assert (work.root / "fix.txt").exists()

    def test_the_home_is_gone_and_the_branch_is_not_delivered(self, mux: Mux, work: Work) -> None:
        shutil.rmtree(work.home)
        assert self.mends(mux, work, "neither in its base nor on a remote") == "problem"

    def test_a_pushed_one(self, mux: Mux, work: Work) -> None:
        work.add_remote()
        mux("finish", "fix", "--how", "push")
        assert "agrees with trees" in mux("doctor").out

    def test_a_commit_that_git_has_lost(self, mux: Mux, work: Work) -> None:
        path = Records(work.place.folder).run_folder("fix", 1) / "outcome.json"
        path.write_text(path.read_text().replace(str(work.head), "0" * 40))
        shutil.rmtree(work.home)
        assert self.drifted(mux, "unknown where it went")[0] == "warning"

    def test_a_worktree_whose_task_is_gone(self, mux: Mux, work: Work) -> None:
        work.board("## fix: Fix it", "## other: Other")
        assert self.drifted(mux, f"{work.home}: its task is not on the board")[0] == "warning"

    def test_an_orphan(self, mux: Mux, work: Work) -> None:
        with working(work.place, "gone"):
            assert self.drifted(mux, "gone: its section is gone from the board")[0] == "warning"

    def test_windows(self, work: Work) -> None:
        board = load(work.place)
        attempts = Records(work.place.folder).attempts()
        mine = Window("@1", "fix", 1, 1, True, 0.0)
        assert not list(of_windows((mine,), board, attempts, str))
        strange = Window("@2", "fix", 9, 1, False, 0.0)
        assert "which has no record" in next(of_windows((strange,), board, attempts, str)).text
        assert next(of_windows(None, board, attempts, str)).level is Level.PROBLEM

    def test_a_task_that_was_stopped_says_nothing_of_its_tree(self, mux: Mux, work: Work) -> None:
        ran(work.place, "fix", Records(work.place.folder).attempts()["fix"].home, Status.STOPPED, number=2)
        work.board("status: done", "status: stopped")
        (work.home / "new").write_text("x")
        assert "agrees with trees" in mux("doctor").out


class TestEditors:
    def test_one_that_is_gone_and_one_that_is_open(self, mux: Mux, work: Work) -> None:
        ended = subprocess.Popen(["true"])
        ended.wait()
        swap = work.root / ".board.md.swp"
        for pid, shown in ((ended.pid, True), (os.getpid(), False)):
            swap.write_bytes(b"b0VIM 9.0\0\0\0" + bytes(12) + pid.to_bytes(4, "little") + bytes(8))
            assert editor_of(swap) == pid
            assert (".board.md.swp" in mux("doctor").out) is shown

    def test_emacs(self, mux: Mux, work: Work) -> None:
        (work.root / ".#board.md").symlink_to("ana@host.example.999999999:1700000000")
        (work.root / "#board.md#").write_text("half a thought")
        out = mux("doctor").out
        assert "an editor that ended left .#board.md" in out and "left #board.md#" in out


def test_damaged_history(mux: Mux, work: Work) -> None:
    (work.place.folder / "history").mkdir()
    (work.place.folder / "history" / "x.z.damaged").write_text("")
    assert the_one(mux("doctor").out, "in the history is damaged")[1].startswith("fix: rm ")


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({"LANG": "de_DE.UTF-8"}, Level.OK),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, Level.WARNING),
        ({"LC_ALL": "", "LC_CTYPE": "C.utf8"}, Level.OK),
        ({}, Level.WARNING),
    ],
)
def test_locale(environment: dict[str, str], level: Level) -> None:
    assert locale(environment).level is level


def test_open_files() -> None:
    assert files(None, 4).level is Level.OK
    assert files(1024, 400).level is Level.OK
    assert files(100, 41).level is Level.PROBLEM


def test_lines() -> None:
    assert lines(Finding(Level.PROBLEM, "a\x1b[31mb", "do\nthis"), False) == [
        "problem  a\ufffd[31mb",
        "         fix: do this",
    ]
