from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from board.errors import UsageError
from bot import commands, status
from bot.place import Place
from tests.bot.conftest import Mux
from tests.support import PATIENCE

ROOT = Path(__file__).parents[2]
HEAVY = ("ruamel", "libtmux", "filelock", "watchdog", "psutil", "markdown_it", "subprocess", "hashlib", "shutil")


def process(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "bot.cli", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=PATIENCE, **more)  # type: ignore[call-overload, no-any-return]


def test_alone_it_prints_every_command(mux: Mux) -> None:
    reply = mux()
    assert reply.code == 0
    for command in (*commands.COMMANDS, *commands.WORKER_WORDS):
        assert f"  {command.name} " in reply.out
    assert mux("--help").out == mux("help").out == reply.out


@pytest.mark.parametrize("command", (*commands.COMMANDS, *commands.WORKER_WORDS), ids=lambda command: command.name)
def test_every_command_has_help_with_an_example_and_somebody_who_runs_it(command: commands.Command, mux: Mux) -> None:
    reply = mux(command.name, "--help")
    assert (reply.code, reply.err) == (0, "")
    assert f"example: {command.example}" in " ".join(reply.out.split())
    module, _, function = command.target.partition(":")
    target = getattr(importlib.import_module(f"bot.{module}"), function or "run")
    assert list(inspect.signature(target).parameters) == ["arguments"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stauts"], "mux: no command 'stauts': did you mean 'mux status'?"),
        (["status", "--jsn"], "mux: unrecognized arguments: --jsn; see: mux status --help"),
        (["-b", "x", "status"], "mux: -b goes after a command"),
        (["start"], "mux: the following arguments are required: TASK"),
        (["logs", "one", "-n", "0"], "mux: argument -n/--lines: '0' is no whole number of at least 1"),
        (["history", "show"], "mux: which version?"),
    ],
)
def test_wrong_words_are_one_line_and_exit_2(words: list[str], said: str, mux: Mux, place: Place) -> None:
    reply = mux(*words)
    assert (reply.code, reply.out) == (2, "")
    assert reply.err.startswith(said)
    assert reply.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("agents test --json claude FILE", {"action": "test", "name": "claude", "file": "FILE", "json": True}),
        ("agents test claude --json FILE", {"action": "test", "name": "claude", "file": "FILE", "json": True}),
        ("send fix -b board.md hello", {"task": "fix", "text": ["hello"], "board": "board.md"}),
        ("send fix one --board=board.md two -", {"text": ["one", "two", "-"], "board": "board.md"}),
        ("send fix -b board.md -- --choice -b", {"text": ["--choice", "-b"], "choice": None}),
        ("send -- fix --choice", {"text": ["--choice"], "choice": None}),
        ("send fix -1", {"text": ["-1"]}),
        ("answer 3f yes -b board.md please", {"text": ["yes", "please"]}),
        ("history diff -n 3 4 5", {"action": "diff", "version": 4, "other": 5, "lines": 3}),
        ("logs -fn 5 fix", {"follow": True, "lines": 5}),
        ("logs fix -fn5", {"follow": True, "lines": 5}),
        ("up --detach other.md", {"board": "other.md", "detach": True}),
        ("once deploy -- ./deploy -b x", {"key": "deploy", "command": ["./deploy", "-b", "x"]}),
    ],
)
def test_options_may_stand_between_the_words(words: str, expected: dict[str, object]) -> None:
    name, *rest = words.split()
    found = vars(commands.parser_of(commands.command_named(name)).parse_args(rest))
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    "words", ["send fix hello -b", "start fix --board", "send fix --choice -b board.md", "logs fix -n"]
)
def test_no_word_becomes_the_value_of_an_option_behind_it(words: str) -> None:
    name, *rest = words.split()
    with pytest.raises(UsageError, match="expected one argument"):
        commands.parser_of(commands.command_named(name)).parse_args(rest)


def test_the_board_is_found_above_named_or_in_a_named_folder(
    mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = place.path.parent / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    for words in ([], ["-b", "../../board.md"], ["--board", "../.."]):
        assert "shop: " in mux("status", *words).out
    assert "2 tasks" in mux("check", "../../board.md").out


def test_no_board_is_one_line_that_says_how_to_make_one(mux: Mux) -> None:
    for words in (["status"], ["start", "one"], ["check", "other.md"]):
        reply = mux(*words)
        assert reply.code == 1
        assert "mux init" in reply.err
        assert reply.err.count("\n") == 1


def test_a_linked_board_is_followed(mux: Mux, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "board.md").symlink_to(place.path)
    monkeypatch.chdir(tmp_path / "other")
    assert f"shop: {place.path}" in mux("status").out


def test_a_bug_is_written_down_and_no_traceback_is_shown(
    mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(status, "look", broken)
    reply = mux("status")
    assert reply.code == 3
    log = Path(reply.err.removeprefix("mux: a bug in mux, see ").strip())
    assert "ZeroDivisionError: oh" in log.read_text()
    log.unlink()
    place.folder.mkdir()
    assert mux("status").err == f"mux: a bug in mux, see {place.folder}/mux.log\n"
    assert (place.folder / "mux.log").stat().st_mode & 0o777 == 0o600


def test_ctrl_c_is_130(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "look", interrupted)
    assert (mux("status").code, mux("status").err) == (130, "")


def test_a_reader_that_leaves_is_no_error(place: Place) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-m", "bot.cli", "--help"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, env=environment, timeout=PATIENCE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_output_is_one_line(place: Place) -> None:
    with Path("/dev/full").open("w") as full:
        argv = [sys.executable, "-m", "bot.cli", "--help"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, env=environment, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (1, "mux: output: the disk is full; free some space and try again\n")


def test_a_locale_that_cannot_spell_a_title_is_no_error(place: Place) -> None:
    place.path.write_text(place.path.read_text().replace("First thing", "日本 ünï"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    argv = [sys.executable, "-m", "bot.cli", "status"]
    done = subprocess.run(argv, env=environment, capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?? ?n?" in done.stdout


def test_the_process_exits_with_the_code_of_the_command(place: Place) -> None:
    assert process("status").returncode == 0
    assert process("start", "nothing").returncode == 1
    assert process("nothing").returncode == 2
