from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.model import Status
from board.redact import Redactor
from board.storage import write_json
from bot.chat_texts import logs_reply
from bot.logs import Output, last_lines, plain, tail
from bot.place import Place
from runners.wrapper import LAST_BYTES
from tests.bot.conftest import Mux, Reply, ended, record, working
from tests.bot.test_cli import ROOT
from tests.support import PATIENCE, wait_for


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain \xc3\xa9\r", "plain é"),
        (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b]8;;http://a\x1b\\link", "red xlink"),
        (b" 10%\r 50%\r100%\r", "100%"),
        (b"ab\x08c \x08\x08\x08\x08x", "x"),
        (b"a\tb\x1b(B\x1b=\x07\xff", "a\tb\ufffd\ufffd"),
        (b"\xc2\x9b31mred", "red"),
        (b"\x1b]0;never ended", ""),
    ],
)
def test_what_a_terminal_would_act_on_is_gone(raw: bytes, shown: str) -> None:
    assert plain(raw).decode() == shown


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_bring_an_escape_through(line: bytes) -> None:
    text = plain(line).decode()
    assert not {"\x1b", "\x9b", "\r", "\n", "\x08"} & set(text)


@settings(deadline=None)
@given(st.lists(st.binary().map(lambda line: line.replace(b"\n", b"")), max_size=8), st.integers(1, 9), st.booleans())
def test_the_last_lines(lines: list[bytes], count: int, ended: bool) -> None:
    whole = [line + b"\n" for line in lines]
    if whole and not ended and lines[-1]:
        whole[-1] = lines[-1]
    assert last_lines(b"".join(whole), count) == b"".join(whole[-count:])


def test_output_is_one_stream_across_rotations(tmp_path: Path) -> None:
    log, old = tmp_path / "output.log", tmp_path / "output.log.1"
    with Output(tmp_path) as output:
        assert output.read() == b""
        old.write_bytes(b"1")
        log.write_bytes(b"2")
        assert output.read() == b"12"
        _append(log, b"3")
        assert output.read() == b"3"
        _append(log, b"4")
        log.rename(old)
        assert output.read() == b"4"
        log.write_bytes(b"5")
        assert output.read() == b"5"
        log.rename(old)  # twice between two looks
        log.write_bytes(b"6")
        log.rename(old)
        log.write_bytes(b"7")
        assert output.read() == b"67"
        assert output.read() == b""


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_logs_are_plain_or_raw_of_any_attempt_and_as_many_lines_as_wanted(mux: Mux, place: Place) -> None:
    run = ended(place, "one", Status.FAILED)
    (run / "output.log.1").write_bytes(b"a\r\n")
    (run / "output.log").write_bytes(b"\x1b[31mb\x1b[0m\r\nc")
    assert mux("logs", "one").out == "a\nb\nc\n"
    assert mux("logs", "one", "-n", "2").out == "b\nc\n"
    assert mux("logs", "one", "--raw").out == "a\r\n\x1b[31mb\x1b[0m\r\nc"
    ended(place, "one", None, number=2)
    assert mux("logs", "one").out == "a\nb\nc\n", "attempt 2 never started"
    assert mux("logs", "one", "--attempt", "2").out == ""
    assert mux("logs", "one", "--attempt", "3").err == "mux: one has no attempt 3; kept are: 1, 2\n"


REDACTOR = Redactor({"a password": "ember-Walnut_8842"})
HALVES = ("ember-Wal", "nut_8842")


def in_chat(place: Place, printed: bytes, lines: int = 40) -> str:
    """What an approver sees of it."""
    (ended(place, "one", Status.FAILED) / "output.log").write_bytes(printed)
    attempt, text = tail(place, "one", None, lines)
    return str(logs_reply("one", attempt, text, REDACTOR.redact, lines).blocks[1:])


@pytest.mark.parametrize(
    "between", ["\a", "\0", "\u200b", "\u00ad", "\u202e", "\x1b[31m", "\b", "\n", "\r\n  ", "\x9b1m"]
)
def test_no_half_of_a_value_is_seen_in_a_chat_whatever_is_within_it(place: Place, between: str) -> None:
    for before in (b"", b"x\n" * 1000):
        for after in (b"", b"\nlast", b"\nx" * 39):
            shown = in_chat(place, before + between.join(HALVES).encode() + after)
            assert not any(half in shown for half in HALVES) and "redacted" in shown


@pytest.mark.parametrize("lines", [1, 2, 40])
def test_what_is_cut_off_is_redacted_with_the_rest(place: Place, lines: int) -> None:
    shown = in_chat(place, "\n".join(HALVES).encode() + b"\nx" * (lines - 1) + b"\n", lines)
    assert HALVES[1] not in shown and "redacted" in shown
    named = b'"password":\n "hunter-of-Walnuts"' + b"\nx" * (lines - 1)
    assert "hunter" not in in_chat(place, named, lines)


def test_the_end_of_a_log_in_a_chat_is_redacted_in_a_bounded_time(place: Place) -> None:
    assert len(tail_of(place, b"0123456789\n" * 100_000)) < 10_000
    assert len(tail_of(place, b"x" * 600_000 + b"\n" + b"y" * 400_000)) == 400_000
    assert "withheld" in tail_of(place, b"ember-Walnut_8842" * 50_000)


@pytest.mark.parametrize("behind", [b"\n", b"\r\n", LAST_BYTES, b"\n" + LAST_BYTES, LAST_BYTES + b"\r\n", b"\n\n"])
def test_a_last_line_that_is_too_long_is_not_called_nothing(place: Place, behind: bytes) -> None:
    assert "withheld" in in_chat(place, b"before\n" + b"x" * 600_000 + behind)


def tail_of(place: Place, printed: bytes) -> str:
    (ended(place, "one", Status.FAILED) / "output.log").write_bytes(printed)
    return tail(place, "one", None, 40)[1]


def test_no_output_yet_or_no_such_task_is_one_line(mux: Mux, place: Place) -> None:
    assert mux("logs", "one").err == "mux: one has not run yet\n"
    assert mux("logs", "oen").err == "mux: no task 'oen' on the board: did you mean 'one'?\n"


def test_follow_shows_what_comes_and_ends_with_the_attempt(place: Place) -> None:
    with working(place, "one") as run:
        log = run / "output.log"
        log.write_bytes(b"old\nfirst\n")
        argv = [sys.executable, "-m", "bot.cli", "logs", "one", "-f", "-n", "1"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"first\n"
            _append(log, b"second\n")
            assert process.stdout.readline() == b"second\n"
            log.rename(run / "output.log.1")
            log.write_bytes(b"third\n")
            assert process.stdout.readline() == b"third\n"
            assert process.poll() is None
            process.send_signal(signal.SIGSTOP)  # it finds both at its next look, however slow the disk is
            write_json(run / "exit.json", {"at": 1.0, "code": 0, "signal": None, "phase": "run"})
            _append(log, b"last")
            process.send_signal(signal.SIGCONT)
            assert process.stdout.read() == b"last\n"
            assert process.wait(PATIENCE) == 0


def test_follow_ends_when_the_wrapper_was_killed(mux: Mux, place: Place) -> None:
    with working(place, "one") as run:
        (run / "output.log").write_bytes(b"x\n")
    assert mux("logs", "one", "-f") == Reply(0, "x\n", "")


def test_follow_waits_for_a_worker_that_has_not_started(mux: Mux, place: Place) -> None:
    run = record(place, "one")

    def later() -> None:
        (run / "output.log").write_bytes(b"hello\n")
        write_json(run / "exit.json", {"at": 1.0, "code": 0, "signal": None, "phase": "run"})

    timer = threading.Timer(0.5, later)
    timer.start()
    assert mux("logs", "one", "-f").out == "hello\n"
    timer.join()


def test_attach_without_a_window_or_a_terminal_is_one_line(mux: Mux, place: Place) -> None:
    assert mux("attach", "one").err == "mux: one: it has no window; what there is of it: mux status one\n"
    reply = mux("attach")
    assert reply.code == 1
    assert "no worker has a window now" in reply.err
    assert reply.err.count("\n") == 1


def test_attach_becomes_tmux_on_a_terminal(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named tmux stands in: what counts is that it gets the terminal and the right words."""
    fake = tmp_path / "bin" / "tmux"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" > {shlex.quote(str(tmp_path))}/said; test -t 0 && echo tty\n')
    fake.chmod(0o755)
    leader, follower = pty.openpty()
    environment = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "bot.cli", "attach"]
    process = subprocess.Popen(argv, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    try:
        wait_for(lambda: process.poll() is not None, "it ended")
        assert b"tty" in os.read(leader, 4096)
        assert "attach-session" in (tmp_path / "said").read_text()
    finally:
        os.close(leader)
