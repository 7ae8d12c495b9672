"""What it costs to know how workers are, and what is typed into those that are no agents; with real tmux."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk, section
from tests.support import wait_for


def count_calls(desk: Desk) -> Path:
    """A `tmux` before the real one on the control plane's PATH, which adds a line with its words for each call."""
    scratch = desk.repository.parent
    folder, calls = scratch / "counting", scratch / "tmux.calls"
    folder.mkdir()
    calls.touch()
    (folder / "tmux").write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\nexec "{shutil.which("tmux")}" "$@"\n')
    (folder / "tmux").chmod(0o755)
    desk.environment["PATH"] = f"{folder}:{desk.environment['PATH']}"
    return calls


def called_within(calls: Path, seconds: float) -> list[str]:
    before, end = len(calls.read_text().splitlines()), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
    return calls.read_text().splitlines()[before:]


def test_a_worker_that_prints_nothing_costs_no_subprocess(desk: Desk) -> None:
    go = desk.repository.parent / "go"
    talks = f"until [ -e {go} ]; do sleep 0.1; done\nwhile :; do date; sleep 0.1; done"
    calls = count_calls(desk)
    desk.write(*(section(name, "exec sleep 600") for name in ("one", "two")), section("talks", talks))
    desk.up()
    for name in ("one", "two", "talks"):
        desk.until(name, "running")
    wait_for(lambda: len([call for call in calls.read_text().splitlines() if "capture-pane" in call]) >= 1)
    wait_for(lambda: called_within(calls, 2.5) == [], "nothing more to look at")  # a screen is due after 2 s
    quiet = called_within(calls, 11.0)
    assert quiet and all("list-panes" in call for call in quiet) and len(quiet) <= 5  # the loop looks by itself
    go.touch()
    wait_for(lambda: any("capture-pane" in call for call in called_within(calls, 1.0)), "it is looked at")
    busy = [call for call in called_within(calls, 6.0) if "capture-pane" in call]
    assert 1 <= len(busy) <= 6 and all(call.count("capture-pane") == 1 for call in busy)  # of the one that prints


@pytest.mark.parametrize("mode", ["headless", "interactive"])
@pytest.mark.parametrize("quietly", ["", "stty -echo; "])
def test_a_script_that_reads_a_line_gets_it_once(desk: Desk, mode: str, quietly: str) -> None:
    """It says nothing before, nothing after, and may not even echo what is typed."""
    read = "IFS= read -r answer; printf '%s\\n' \"$answer\" >> ../answers"
    desk.write(section("asks", f"{quietly}touch ../asks; {read}\n{read}\nexec sleep 600", mode=mode))
    desk.up()
    desk.until("asks", "running")
    answers = desk.home("asks").parent / "answers"
    wait_for((answers.parent / "asks").exists)
    assert "sent" in desk.mux("send", "asks", "--", "yes; $(x) ä").stdout
    wait_for(answers.exists)
    assert desk.mux("send", "asks", "more", "words").stdout == "asks: sent, 10 characters\n"
    wait_for(lambda: answers.read_text().splitlines() == ["yes; $(x) ä", "more words"], answers.read_text)
    assert [each["text"] for each in desk.journal() if each["event"] == "sent"] == [
        "11 characters typed into its window",
        "10 characters typed into its window",
    ]


def test_many_lines_are_many_answers(desk: Desk) -> None:
    script = "touch ../asks; while IFS= read -r line; do printf '%s\\n' \"$line\" >> ../answers; done"
    desk.write(section("asks", script))
    desk.up()
    desk.until("asks", "running")
    answers = desk.home("asks").parent / "answers"
    wait_for((answers.parent / "asks").exists)
    lines = [f"line {number} of many, of which each is an answer" for number in range(300)]
    desk.mux("send", "asks", "-", stdin="\n".join(lines))
    wait_for(lambda: answers.exists() and answers.read_text().splitlines() == lines)
    assert "at most 4000 bytes a line" in desk.mux("send", "asks", "x" * 4_001, code=1).stderr
    desk.mux("send", "asks", "y" * 4_000)
    wait_for(lambda: answers.read_text().splitlines() == [*lines, "y" * 4_000])


def test_what_nobody_reads_is_not_sent(desk: Desk) -> None:
    """It stays in the terminal, which is said; and no second message is put on top of it."""
    go = desk.repository.parent / "go"
    script = f'until [ -e {go} ]; do sleep 0.1; done; read -r answer; echo "$answer" > ../answer; exec sleep 600'
    desk.write(section("sleeps", script))
    desk.up()
    desk.until("sleeps", "running")
    refused = desk.mux("send", "sleeps", "too early", code=1)
    assert "nothing has read it" in refused.stderr and "do not send it again" in refused.stderr
    assert "what was typed before is still there" in desk.mux("send", "sleeps", "again", code=1).stderr
    assert [each for each in desk.journal() if each["event"] == "sent"] == []
    go.touch()
    answer = desk.home("sleeps").parent / "answer"
    wait_for(lambda: answer.exists() and answer.read_text() == "too early\n")


def test_a_program_that_takes_single_keys_gets_a_message_whole(desk: Desk) -> None:
    """An agent of the board's own, of whose screen nothing is known, and which draws nothing for what is typed."""
    program = desk.repository.parent / "keys"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys, tty\ntty.setraw(0)\nopen('../ready', 'w').close()\n"
        "file = open('../keys', 'ab', buffering=0)\nwhile True: file.write(os.read(0, 1024))\n"
    )
    program.chmod(0o755)
    agents = f"agents: {{keys: {{program: {program}, interactive: {{start: ['{{program}}', '{{prompt}}']}}}}}}\n"
    asks = "\n## asks: Ask\n\n```yaml\nstatus: ready\nagent: keys\nmode: interactive\n```\n\nDo it.\n"
    desk.write(asks, keys=agents)
    desk.up()
    desk.until("asks", "running")
    keys = desk.home("asks").parent / "keys"
    wait_for((keys.parent / "ready").exists)
    desk.mux("send", "asks", "use the staging key")
    wait_for(lambda: keys.read_bytes() == b"use the staging key\r", lambda: str(keys.read_bytes()))
