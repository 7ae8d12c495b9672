from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot import diff
from runners import git, sh
from runners.delivery import Changes
from tests.bot.conftest import Mux
from tests.bot.workplace import Work, call, commit, root, work
from tests.support import PATIENCE

__all__ = ["root", "work"]


def test_committed_uncommitted_and_untracked(mux: Mux, work: Work) -> None:
    (work.home / "README").write_text("changed\n")
    (work.home / "new").write_text("x")
    (work.home / "out.log").write_text("ignored")
    out = mux("diff", "fix").out
    assert "+++ b/fix.txt" in out and "-text\n+changed" in out
    assert out.endswith("\nuntracked: new\n") and "out.log" not in out and "\x1b" not in out


def test_what_base_did_meanwhile_is_not_in_it(mux: Mux, work: Work) -> None:
    commit(work.root, "other")
    assert "other" not in mux("diff", "fix").out


def test_can_be_applied(mux: Mux, work: Work) -> None:
    (work.home / "bytes").write_bytes(b"caf\xe9\r\nend without a line break")
    call(work.home, "add", "bytes")
    (work.home / "new").write_text("x")
    program = [sys.executable, "-m", "bot.cli", "diff", "fix", "-b", str(work.place.path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(diff.__file__).parents[1])}
    done = subprocess.run(program, capture_output=True, env=environment, check=True)
    subprocess.run(["git", "apply"], input=done.stdout, cwd=work.root, check=True)
    assert (work.root / "bytes").read_bytes() == (work.home / "bytes").read_bytes()


def test_only_statistics(mux: Mux, work: Work) -> None:
    out = mux("diff", "fix", "--stat").out
    assert "fix.txt | 1 +" in out and "@@" not in out


def test_without_the_home_the_branch_then_the_recorded_commit(mux: Mux, work: Work) -> None:
    whole = mux("diff", "fix").out
    shutil.rmtree(work.home)
    assert mux("diff", "fix").out == whole
    assert mux("finish", "fix").code == 0
    assert work.head is None and mux("diff", "fix").out == whole


def test_without_run_records_from_where_the_branch_left_base(mux: Mux, work: Work) -> None:
    whole = mux("diff", "fix").out
    commit(work.root, "other")
    shutil.rmtree(work.place.folder)
    assert mux("diff", "fix").out == whole


def test_nothing_changed(mux: Mux, work: Work) -> None:
    call(work.home, "reset", "--quiet", "--hard", "main")
    reply = mux("diff", "fix")
    assert (reply.code, reply.out, reply.err) == (0, "", "fix: nothing changed\n")


def test_a_task_that_never_ran_and_one_that_is_not_there(mux: Mux, work: Work) -> None:
    assert "next: it has no worktree and no branch" in mux("diff", "next").err
    assert "did you mean 'next'?" in mux("diff", "nxt").err


def test_a_task_that_is_gone_from_the_board(mux: Mux, work: Work) -> None:
    work.board("## fix: Fix it", "## else: Something else")
    assert "fix.txt" in mux("diff", "fix").out


def test_nothing_in_it_reaches_a_terminal_as_an_order() -> None:
    changes = Changes("+a\x1b]0;title\x07\tb\n-\x9b31m\n @@ no\n@@ -1 +1 @@\r\n", ("na\x1bme",))
    plain = list(diff.for_terminal(changes, colour=False))
    assert plain[0] == "+a\ufffd]0;title\ufffd\tb"
    assert not any(set("\x1b\x07\x9b\r\n") & set(line) for line in plain)
    painted = list(diff.for_terminal(changes, colour=True))
    assert painted[0].startswith("\x1b[32m+a") and painted[1].startswith("\x1b[31m-") and painted[2] == " @@ no"


@pytest.mark.parametrize(
    ("environment", "argv"),
    [
        ({}, ["less", "-FRX"]),
        ({"PAGER": "less -R '+/a b'"}, ["less", "-R", "+/a b"]),
        ({"PAGER": "cat"}, []),
        ({"PAGER": ""}, []),
        ({"PAGER": "no-such-pager"}, []),
        ({"PAGER": "less; touch pwned"}, []),
    ],
)
def test_the_pager_is_never_a_shell_string(
    environment: dict[str, str], argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: name if name == "less" else None)
    assert diff._pager(environment) == argv


def test_on_a_terminal_it_goes_through_the_pager(work: Work, tmp_path: Path) -> None:
    (tmp_path / "a pager").write_text(f"#!/bin/sh\ncat > '{tmp_path}/paged'\n")
    (tmp_path / "a pager").chmod(0o755)
    main_side, terminal_side = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(diff.__file__).parents[1]), "TERM": "xterm"}
    environment |= {"PAGER": f"'{tmp_path}/a pager' $(touch pwned)"}
    environment.pop("NO_COLOR", None)
    program = [sys.executable, "-m", "bot.cli", "diff", "fix", "-b", str(work.place.path)]
    try:
        subprocess.run(program, stdout=terminal_side, env=environment, check=True, timeout=PATIENCE)
    finally:
        os.close(terminal_side)
        os.close(main_side)
    assert "\x1b[32m+text\x1b[0m" in (tmp_path / "paged").read_text()
    assert not (Path.cwd() / "pwned").exists()


def test_the_index_of_a_worker_is_left_alone(mux: Mux, work: Work) -> None:
    private = git.open_repository(work.root).common_dir / "worktrees" / "fix" / "index"
    before = private.stat().st_mtime_ns
    sh.run(["touch", str(work.home / "fix.txt")])
    mux("diff", "fix")
    assert private.stat().st_mtime_ns == before
