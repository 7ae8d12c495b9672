"""`init`, `check`, `history`, `journal`, `archive`, `down`, `completion`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from board.edit import set_status
from board.history import History
from board.model import Status
from board.parse import parse
from bot import archive, boards, down
from bot.completion import SCRIPTS, candidates
from bot.place import Place, place_of
from runners import daemon, git, trust
from runners.agents import BUILT_IN
from runners.journal import Event, Journal
from runners.requests import Requests
from tests.bot.conftest import BOARD, Mux, ended, working
from tests.bot.test_cli import ROOT
from tests.support import PATIENCE


def test_init_writes_a_sound_board_that_git_ignores_and_mux_trusts(mux: Mux, repository: Path) -> None:
    (repository / ".gitignore").write_bytes(b"*.log")
    reply = mux("init")
    assert reply.code == 0
    assert reply.out.splitlines()[-1] == "then: mux up"
    place = place_of(repository / "board.md")
    board = boards.load(place)
    assert (board.problems, [task.status for task in board.tasks]) == ((), [Status.DRAFT])
    ready = parse(set_status(board.text, "hello", Status.READY), BUILT_IN)
    assert ready.problems == ()
    assert (repository / ".gitignore").read_text().startswith("*.log\n/board.md\n")
    place.folder.mkdir()
    for name in ("board.md", "board.md.lock", ".mux/history", ".board.md.mux.0.a.b", "board.archive.md"):
        assert git.is_ignored(repository / name)
    assert trust.is_trusted(place.path)
    assert mux("check").code == 0


def test_init_never_overwrites_and_says_its_ignore_lines_once(mux: Mux, repository: Path) -> None:
    mux("init")
    lines = (repository / ".gitignore").read_bytes()
    (repository / "board.md").write_text("mine")
    reply = mux("init")
    assert (reply.code, reply.err.count("\n")) == (1, 1)
    assert (repository / "board.md").read_text() == "mine"
    (repository / "board.md").unlink()
    assert mux("init").code == 0
    assert (repository / ".gitignore").read_bytes() == lines


def test_init_outside_a_repository_says_what_is_missing(mux: Mux, own_folder: Path) -> None:
    assert "git init" in mux("init", "-b", "todo.md").out
    assert not (own_folder / ".gitignore").exists()
    assert (own_folder / "todo.md").exists()


def test_check_names_lines_and_exits_1_for_errors_only(mux: Mux, place: Place, repository: Path) -> None:
    assert mux("check").out == "board.md: 2 tasks, no problems\n"
    place.path.write_text(BOARD.replace("run: make two", "run: make two\nprioritty: 3\ntouches: [src]"))
    reply = mux("check", "board.md")
    assert reply.code == 1
    assert "board.md:26: unknown key 'prioritty': did you mean 'priority'?" in reply.out
    assert reply.err == ""
    shown = json.loads(mux("check", "--json").out)
    assert shown["ok"] is False
    assert shown["problems"][0]["line"] == 26
    place.path.write_text(BOARD.replace("run: make two", "run: make two\nsandbox: true"))
    reply = mux("check")
    assert (reply.code, "board.md:26: warning: " in reply.out) == (0, True)


def test_check_of_a_file_that_is_no_board_is_a_problem_with_its_line(mux: Mux, place: Place) -> None:
    place.path.write_bytes(b"a\nb\n\0")
    reply = mux("check")
    assert (reply.code, reply.out.startswith("board.md:3: the file holds binary data")) == (1, True)
    assert json.loads(mux("check", "--json").out)["problems"][0]["line"] == 3


def test_check_looks_at_the_repository_too(mux: Mux, place: Place, repository: Path) -> None:
    place.path.write_text(BOARD.replace("board: shop", "repo: nowhere"))
    assert "board.md:2: " in mux("check").out
    place.path.write_text(BOARD.replace("board: shop", "base: mian"))
    assert "board.md:2: no branch 'mian'" in mux("check").out
    git.git(repository, "add", "board.md")
    place.path.write_text(BOARD)
    assert "board.md:1: warning: git tracks the board" in mux("check").out


def test_history_lists_versions_in_words_and_shows_one(mux: Mux, place: Place) -> None:
    history = History(place.folder / "history")
    second = set_status(BOARD, "one", Status.READY).replace("Second", "2nd")
    history.append(BOARD.encode(), None, "person", 1000.0)
    history.append(second.encode(), None, "person", 1010.0)
    third = second.replace("Prose of mine", "Prose of ours")
    history.append(third.encode(), 1, "mux", 1020.0)
    history.append((third + "\n## three: Third\n\n```yaml\nrun: x\n```\n").encode(), 2, "person", 1030.0)
    out = mux("history").out
    assert [line.split()[0] for line in out.splitlines()] == ["VERSION", "4", "3", "2", "1"]
    assert "one: draft → ready; two: title" in out
    assert "+ three" in out
    assert "prose" in out.splitlines()[2]
    assert "1970-01-01T00:16:40Z  person" in out.splitlines()[4]
    assert len(mux("history", "-n", "2").out.splitlines()) == 3
    assert mux("history", "show", "1").out == BOARD
    assert "no version 9" in mux("history", "show", "9").err


def test_journal_of_all_or_one_task_with_the_newest_last(mux: Mux, place: Place) -> None:
    journal = Journal(place.folder)
    for number in range(5):
        journal.add(Event(1000.0 + number, "started", f"text {number}\x1b[2J", "one" if number % 2 else "two", number))
    out = mux("journal", "one").out
    assert len(out.splitlines()) == 2
    assert "one #3  started: text 3" in out.splitlines()[-1]
    assert "\x1b" not in out
    assert len(mux("journal", "-n", "3").out.splitlines()) == 3
    reply = mux("journal", "oen")
    assert (reply.code, reply.err) == (1, "mux: no task 'oen' in the journal: did you mean 'one'?\n")


def test_the_story_of_a_task_has_what_was_asked_about_several(mux: Mux, place: Place) -> None:
    journal = Journal(place.folder)
    asks = Requests(place.folder).ask
    mine, other = (
        asks("outage", "why", name, ("in-place",), 999.0, members=((name, 1), ("x", 1))).id for name in ("one", "two")
    )
    journal.add(Event(1000.0, "blocked", "exit 3", "one", 1, evidence={"exit": "exit 3", "restarts": 2}))
    journal.add(Event(1001.0, "request", f"2 tasks ended; decide with: mux requests {mine}"))
    journal.add(Event(1002.0, "request", f"2 tasks ended; decide with: mux requests {other}"))
    journal.add(Event(1003.0, "approved", f"request {mine} (outage): in-place, by ana", by="ana"))
    lines = mux("journal", "one").out.splitlines()
    assert [line.split("  ", 1)[1].strip() for line in lines][1] == "exit 3, restarts 2"
    assert [mine in line for line in lines] == [False, False, True, True]


DONE = BOARD.replace("status: draft  # mine", "status: done")


def test_archive_moves_done_tasks_and_keeps_what_others_wait_for(mux: Mux, place: Place) -> None:
    place.path.write_text(DONE)
    reply = mux("archive")
    assert reply.out == "no done task to archive\none stays: two comes after it\n"
    text = DONE.replace("status: ready", "status: done")
    place.path.write_text(text)
    assert mux("archive").out == "to board.archive.md: one, two\n"
    left, kept = place.path.read_text(), Path("board.archive.md").read_text()
    assert "Prose of mine." in left
    assert [task.id for task in parse(kept, BUILT_IN).tasks] == ["one", "two"]
    assert text[text.index("## one") :].strip() in kept
    assert not boards.load(place).tasks


def test_archive_appends_and_a_move_that_was_cut_short_is_not_doubled(mux: Mux, place: Place) -> None:
    place.path.write_text(DONE.replace("after: [one]\n", ""))
    section = DONE[DONE.index("## one") : DONE.index("## two")]
    archive.append(Path("board.archive.md"), "## zero: Earlier\n\n```yaml\nstatus: done\n```\n", place.path)
    archive.append(Path("board.archive.md"), section, place.path)
    before = Path("board.archive.md").read_bytes()
    assert mux("archive").out == "to board.archive.md: one\n"
    assert Path("board.archive.md").read_bytes() == before
    assert [task.id for task in parse(before.decode(), BUILT_IN).tasks] == ["zero", "one"]


def test_archive_leaves_a_task_whose_worker_runs(mux: Mux, place: Place) -> None:
    place.path.write_text(DONE.replace("after: [one]\n", ""))
    with working(place, "one"):
        assert mux("archive").out == "no done task to archive\none stays: its worker still runs\n"
    ended(place, "one", Status.DONE)
    assert mux("archive").out == "to board.archive.md: one\n"


def test_archive_loses_nothing_when_the_archive_cannot_be_written(mux: Mux, place: Place) -> None:
    place.path.write_text(DONE.replace("after: [one]\n", ""))
    Path("board.archive.md").mkdir()
    before = place.path.read_bytes()
    reply = mux("archive")
    assert (reply.code, reply.err.count("\n")) == (1, 1)
    assert place.path.read_bytes() == before


def test_down_of_one_that_ends_at_that_moment_is_no_error(
    mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([daemon.ControlPlane(4711, 1000.0), None])

    def gone(pid: int, number: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(daemon, "running", lambda folder: next(found))
    monkeypatch.setattr(down.os, "kill", gone)
    reply = mux("down")
    assert (reply.code, reply.err) == (0, "") and "is stopped" in reply.out


def test_completion_offers_commands_tasks_choices_and_options(place: Place, mux: Mux) -> None:
    assert "status" in candidates([], "st")
    assert list(candidates(["start"], "")) == ["one", "two"]
    assert list(candidates(["completion"], "")) == ["bash", "zsh", "fish"]
    assert "--follow" in candidates(["logs", "one"], "--")
    assert list(candidates(["status", "-b"], "")) == list(candidates(["nonsense"], "")) == []
    assert mux("__complete", "logs", "").out == "one\ntwo\n"
    assert "checkpoint" in candidates([], "ch") and "--choice" in candidates(["ask"], "--")
    asked = Requests(place.folder).ask("gate", "why", "about", ("approve",), 1.0, task="one", attempt=1)
    assert list(candidates(["approve"], "")) == list(candidates(["requests"], "")) == [asked.id]
    for shell, script in SCRIPTS.items():
        assert mux("completion", shell).out == script


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_with_the_script(place: Place, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "mux"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m bot.cli "$@"\n')
    program.chmod(0o755)
    ask = 'COMP_WORDS=(mux stop "tw"); COMP_CWORD=2; _mux; echo "${COMPREPLY[@]}"'
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    argv = ["bash", "--norc", "-c", f"{SCRIPTS['bash']}\n{ask}"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("two\n", "")
