from __future__ import annotations

import io
import json
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.clock import parse_time
from board.errors import MuxError
from board.file import BoardFile
from board.model import TASK_ID, Status
from board.storage import private_folder, write_json
from bot import boards
from bot.addition import slug
from bot.cli import main
from bot.orders import edit_board
from bot.place import Place, find
from runners import daemon
from runners.asked import Asked
from runners.requests import Requests
from tests.bot.conftest import BOARD, Mux, ended, working
from tests.support import PATIENCE

ASKS = {"do": "ask", "at": 1.0, "choices": ["in-place"], "after": ""}


def status_of(place: Place, task: str) -> Status:
    return boards.load(place).by_id[task].status


def at_revision(number: int, text: str) -> str:
    """Each edit by a command has a revision of its own, by which later saves are merged."""
    front, end, rest = text.partition("\n---\n")
    return f"{front}\nmux:\n  rev: {number}{end}{rest}"


def test_start_and_stop_change_the_status_and_not_another_byte(mux: Mux, place: Place) -> None:
    reply = mux("start", "one")
    assert (reply.code, reply.err) == (0, "")
    assert reply.out == "one: ready (mux is down; it takes effect with the next: mux up)\n"
    assert place.path.read_text() == at_revision(1, BOARD.replace("status: draft  # mine", "status: ready  # mine"))
    assert mux("start", "one").out.startswith("one: ready already")
    assert mux("stop", "one").out.startswith("one: stopped before it started")
    assert place.path.read_text() == at_revision(2, BOARD.replace("status: draft  # mine", "status: stopped  # mine"))


def test_with_mux_up_nothing_is_said_of_later_unless_the_file_is_not_in_force(mux: Mux, place: Place) -> None:
    private_folder(place.folder)
    with daemon.only_one(place.folder, 1000.0):
        assert mux("start", "one").out == "one: ready\n"
        write_json(place.folder / "state.json", {"trouble": "it is held"})
        assert mux("stop", "one").out.endswith("(but the file is not in force: it is held)\n")


def test_orders_that_cannot_be_are_one_line(mux: Mux, place: Place) -> None:
    for words, said in (
        (("start", "tow"), "mux: no task 'tow' on the board: did you mean 'two'?\n"),
        (("stop", "one"), "mux: one is not running: it is draft\n"),
        (("restart", "nothing-like-it"), "mux: no task 'nothing-like-it' on the board\n"),
    ):
        reply = mux(*words)
        assert (reply.code, reply.out, reply.err) == (1, "", said)
    assert place.path.read_text() == BOARD


def open_requests(place: Place) -> list[Asked]:
    return [asked for asked in Requests(place.folder).all() if asked.open]


def test_a_running_task_is_not_started_but_stopped_or_restarted(mux: Mux, place: Place, repository: Path) -> None:
    running = BOARD.replace("status: draft  # mine", "status: running\nmux:\n  attempt: 1")
    place.path.write_text(running)
    with working(place, "one", branch="main", start_commit="HEAD"):
        reply = mux("start", "one")
        assert reply.code == 1
        assert reply.err.startswith("mux: one is running already (attempt 1, for ")
        assert "starts anew, in its worktree as it is" in mux("restart", "one").out
        (asked,) = open_requests(place)
        assert (asked.request.action, asked.request.task, asked.request.attempt) == ("restart", "one", 1)
        assert asked.answer is not None and asked.answer.choice == "in-place" and "terminal:" in asked.answer.by
        assert status_of(place, "one") is Status.RUNNING, "the order is a request, not a word on the board"
        assert mux("restart", "one").out.startswith("one: a restart is ordered already (in-place, by terminal:")
        assert "is to end" in mux("stop", "one").out
        assert status_of(place, "one") is Status.STOPPED


def test_a_restart_points_to_what_is_asked_about_it_already(mux: Mux, place: Place, repository: Path) -> None:
    run = ended(place, "one", Status.BLOCKED)
    write_json(run / "outcome.json", json.loads((run / "outcome.json").read_text()) | {"next": ASKS})
    place.path.write_text(BOARD.replace("status: draft  # mine", "status: blocked\nmux:\n  attempt: 1"))
    request = Requests(place.folder).ask("recover", "why", "x", ("in-place",), 1.0, task="one", attempt=1)
    assert (
        mux("restart", "one").out == f"one: it is asked about already, and yours to decide: mux requests {request.id}\n"
    )
    assert [asked.request.id for asked in open_requests(place)] == [request.id]


def test_a_restart_that_takes_work_away_is_asked_first(mux: Mux, place: Place, repository: Path) -> None:
    (repository / ".git" / "info" / "exclude").write_text("*board.md*\n.mux/\n")
    (repository / "README.md").write_text("changed\n")
    place.path.write_text(BOARD.replace("status: draft  # mine", "status: running\nmux:\n  attempt: 1"))
    with working(place, "one", branch="main", start_commit="HEAD"):
        reply = mux("restart", "one", "--how", "checkpoint")
    (asked,) = open_requests(place)
    assert reply.code == 0 and asked.waits
    assert "takes away 1 changed file, kept in a snapshot first" in reply.out
    assert f"mux approve {asked.request.id} --choice checkpoint" in reply.out


def test_a_way_that_there_is_not_is_named(mux: Mux, place: Place, repository: Path) -> None:
    with working(place, "one", branch="main", start_commit="HEAD"):
        assert (
            "there is no 'resume' for it; there is in-place, checkpoint" in mux("restart", "one", "--how", "resume").err
        )


def test_an_ended_task_is_started_again_by_either_word(mux: Mux, place: Place) -> None:
    ended(place, "one", Status.FAILED)
    for word in ("start", "restart"):
        place.path.write_text(BOARD.replace("status: draft  # mine", "status: failed\nmux:\n  attempt: 1"))
        assert mux(word, "one").code == 0
        assert status_of(place, "one") is Status.READY


def test_an_order_that_the_board_could_not_carry_is_refused(mux: Mux, place: Place) -> None:
    """The board still shows the `ready` that attempt 1 took: writing it again would be no order."""
    ended(place, "two", Status.FAILED)
    reply = mux("start", "two")
    assert (reply.code, "not on the board yet" in reply.err) == (1, True)


def test_what_is_broken_is_not_started_and_what_must_not_run_again_is_said(mux: Mux, place: Place) -> None:
    place.path.write_text(BOARD.replace("status: draft  # mine", "status: draft\nprioritty: 3"))
    reply = mux("start", "one")
    assert reply.err.startswith("mux: board.md:14: unknown key 'prioritty'")
    place.path.write_text(BOARD.replace("status: draft  # mine", "status: done\ndestructive: true"))
    ended(place, "one", Status.DONE)
    assert "destructive and ran before, so you are asked first" in mux("start", "one").out


def test_a_worker_without_a_section_says_how_to_end_it(mux: Mux, place: Place) -> None:
    with working(place, "gone"):
        assert "mux attach gone" in mux("stop", "gone").err


def test_an_unreadable_board_is_not_touched(mux: Mux, place: Place) -> None:
    for data in (b"---\nboard: [\n---\n", b"\xff\xfe", b"a\0b"):
        place.path.write_bytes(data)
        reply = mux("start", "one")
        assert reply.code == 1
        assert reply.err.startswith("mux: board.md:")
        assert place.path.read_bytes() == data


def test_add_writes_a_task_that_reads_back(mux: Mux, place: Place) -> None:
    reply = mux("add", "Run: the “tests” — #1!", "--run", 'make "x": # \\ $(y)', "--ready", "--after", "one,two")
    assert reply.out.startswith("run-the-tests-1: added to board.md as ready")
    assert place.path.read_text().startswith(at_revision(1, BOARD))
    task = boards.load(place).by_id["run-the-tests-1"]
    assert (task.title, task.status) == ("Run: the “tests” — #1!", Status.READY)
    assert (task.settings.run, task.settings.after) == ('make "x": # \\ $(y)', ("one", "two"))


def test_add_takes_a_prompt_from_standard_input(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("line 1\n\n### more\nline 2\n"))
    words = ("add", "Do it", "--agent", "claude", "--prompt", "-", "--priority", "-2", "--id", "it")
    assert mux(*words).out == "it: added to board.md as a draft; to run it: mux start it\n"
    task = boards.load(place).by_id["it"]
    assert (task.prompt, task.settings.agent, task.settings.priority) == ("line 1\n\n### more\nline 2", "claude", -2)


def test_ids_are_unique_also_among_tasks_that_ran_before(mux: Mux, place: Place) -> None:
    ended(place, "one-2", Status.DONE)
    mux("add", "One")
    assert "one-3" in boards.load(place).by_id
    assert mux("add", "x", "--id", "one").code == 1
    assert "ran before" in mux("add", "x", "--id", "one-2").err


def test_a_shell_command_is_for_the_shell_agent(mux: Mux, place: Place) -> None:
    place.path.write_text(BOARD.replace("max_workers: 2", "agent: claude").replace("run: make two", "agent: claude"))
    assert mux("add", "Build", "--run", "make").code == 0
    assert boards.load(place).by_id["build"].settings.agent == "shell"
    assert mux("add", "Build", "--run", "make", "--agent", "claude").code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x", "--id", "../x"], "'../x' is no id"),
        (["x", "--agent", "claud"], "no agent 'claud': did you mean 'claude'?"),
        (["x", "--after", "oen"], "--after: no task 'oen' on the board: did you mean 'one'?"),
        (["x", "--ready"], "not added: nothing to run"),
        (["x", "--prompt", "a\n# b\nc"], "###"),
        (["x", "--prompt", "```"], "close"),
        (["  "], "the title is empty"),
    ],
)
def test_additions_that_cannot_be_meant_change_nothing(words: list[str], said: str, mux: Mux, place: Place) -> None:
    reply = mux("add", *words)
    assert reply.code in (1, 2)
    assert said in reply.err
    assert reply.err.count("\n") == 1
    assert place.path.read_text() == BOARD


@given(st.text())
def test_every_title_gives_an_id(title: str) -> None:
    assert TASK_ID.match(slug(title))


def test_slugs_read_like_the_title() -> None:
    assert slug("Don't fix the Löwe!") == "dont-fix-the-lowe"
    assert slug("日本") == "task"
    assert slug("word " * 30) == "-".join(["word"] * 9)


def test_a_save_in_the_same_instant_and_the_edit_are_both_in(place: Place) -> None:
    def change(text: str) -> str:
        place.path.write_text(BOARD.replace("Prose of mine.", "Prose of mine, and more."))
        return text + "\nmine\n"

    edit_board(place, change)
    text = place.path.read_text()
    assert "Prose of mine, and more." in text
    assert text.endswith("\nmine\n")


def test_an_edit_that_an_editor_saves_over_is_not_lost(place: Place) -> None:
    """The editor had loaded the board before the command wrote it, and nobody has read the file in between."""
    edit_board(place, lambda text: text + "\nmine\n")
    place.path.write_text(BOARD.replace("Prose of mine.", "Prose of mine, and more."))
    edit_board(place, lambda text: text.replace("# Shop", "# The shop"))
    text = place.path.read_text()
    assert all(words in text for words in ("\nmine\n", "Prose of mine, and more.", "# The shop"))


def _add_many(folder: str, name: str) -> None:
    os.chdir(folder)
    for _ in range(10):
        assert main(["add", name, "--run", "true"]) == 0


def test_many_processes_add_at_once_and_none_is_lost(place: Place) -> None:
    context = multiprocessing.get_context("spawn")
    folder = str(place.path.parent)
    workers = [context.Process(target=_add_many, args=(folder, f"w{number}")) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(5 * PATIENCE)
        assert worker.exitcode == 0
    assert len(boards.load(find(None)).tasks) == 42


def test_the_lock_of_another_writer_is_waited_for_and_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []

    def change(text: str) -> str:
        with pytest.raises(MuxError, match=r"board\.md\.lock"), BoardFile(place.path).lock(timeout=0.05):
            entered.append(text)
        return text

    edit_board(place, change)
    assert not entered
    assert parse_time("2026-11-23T08:01:12Z") == 1795420872.0
    assert parse_time("2026-11-23") is None
    assert parse_time("2026-13-23T08:01:12Z") is None
