from __future__ import annotations

import os
import shlex
import shutil
import subprocess
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
from tests.bot.workplace import Work, call, ran, root, work

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
        level, fix = self.drifted(mux, "fix says done, but: 1 file untracked")
        assert (level, fix) == ("problem", f"fix: git -C {work.home} status")
        assert mux("doctor").code == 1

    def test_done_without_a_commit(self, mux: Mux, work: Work) -> None:
        call(work.home, "reset", "--quiet", "--hard", "main")
        assert self.drifted(mux, "fix says done, but: no commit on its branch")[0] == "problem"

    def test_after_finish_there_is_none(self, mux: Mux, work: Work) -> None:
        mux("finish", "fix")
        assert "agrees with trees" in mux("doctor").out

    def test_finished_and_then_thrown_out_of_base(self, mux: Mux, work: Work) -> None:
        mux("finish", "fix")
        call(work.root, "reset", "--quiet", "--hard", "HEAD~1")
        level, fix = self.drifted(mux, "neither in its base nor on a remote")
        assert level == "problem" and "branch keep-fix" in fix
        subprocess.run(shlex.split(fix.removeprefix("fix: ")), check=True)
        assert call(work.root, "rev-parse", "keep-fix^") == call(work.root, "rev-parse", "main")

    def test_the_home_is_gone_and_the_branch_is_not_delivered(self, mux: Mux, work: Work) -> None:
        shutil.rmtree(work.home)
        assert self.drifted(mux, "neither in its base nor on a remote") == ("problem", "fix: mux finish fix")

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
        assert not list(of_windows((mine,), board, attempts))
        strange = Window("@2", "fix", 9, 1, False, 0.0)
        assert "which has no record" in next(of_windows((strange,), board, attempts)).text
        assert next(of_windows(None, board, attempts)).level is Level.PROBLEM

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
