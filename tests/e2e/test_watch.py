"""`mux watch` in a real terminal: tmux holds it at 80x24, keys go in, and what a person would see comes out."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Desk, section
from tests.support import wait_for

#: Prints a line a second until it is told to end, so that its screen goes on changing.
TICKS = "n=0; while [ ! -e ../enough ]; do n=$((n+1)); echo tick $n; sleep 0.2; done"
GATE = 'mux gate "deploy to production" && echo went on > ../went-on'


class Terminal:
    """A person's terminal, 80 columns and 24 lines."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def tmux(self, *words: str) -> str:
        argv = ["tmux", "-Lhand", "-f/dev/null", *words]
        done = subprocess.run(argv, cwd=self.desk.repository, env=self.desk.environment, capture_output=True, text=True)
        return done.stdout

    def open(self, *words: str) -> None:
        """Says how it ended, and stays."""
        mux = [sys.executable, "-m", "bot.cli", *words]
        shell = ["sh", "-c", '"$@"; echo "ended with $?"; exec cat', "sh", *mux]
        self.tmux(
            *("set-option", "-g", "status", "off", ";", "set-option", "-g", "prefix", "None", ";"),
            *("new-session", "-d", "-x", "80", "-y", "24", "-s", "hand", "--", *shell),
        )

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "hand", *keys)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "hand")

    def sees(self, *texts: str) -> None:
        wait_for(lambda: all(text in self.screen() for text in texts), lambda: f"shows {texts}:\n{self.screen()}")

    def beside(self) -> bool:
        """Whether the chosen task stands beside the list."""
        return any("TASK" in line and "[about]" in line for line in self.screen().splitlines())

    def close(self) -> None:
        self.tmux("kill-server")


@pytest.fixture
def terminal(desk: Desk) -> Iterator[Terminal]:
    made = Terminal(desk)
    yield made
    made.close()


def test_a_person_watches_decides_and_attaches_by_keys_alone(desk: Desk, terminal: Terminal) -> None:
    desk.write(section("deploy", GATE), section("works", TICKS))
    desk.up()
    desk.until("works", "running")
    desk.until("deploy", "waiting")
    terminal.open("watch")
    terminal.sees("mux is up", "deploy", "waiting", "works", "running", "? help")

    terminal.press("?")
    terminal.sees("approve or answer", "esc back")
    terminal.press("Escape")  # closed before the next key: right behind Escape it would be Alt and that key
    terminal.sees("? help")

    terminal.press("j")
    terminal.press("2")
    terminal.sees("[screen]", "tick ")
    last = terminal.screen()
    wait_for(lambda: terminal.screen() != last, "the screen goes on")

    terminal.press("t")
    terminal.sees("[mux] ")  # tmux's own line: the person is in the worker's window
    terminal.press("C-b", "d")
    terminal.sees("[screen]", "? help")

    terminal.press("k")
    terminal.press("a")
    terminal.sees("deploy to production", "y do it")
    terminal.press("y")
    terminal.sees("told now")
    desk.until("deploy", "done")
    assert (desk.home("deploy").parent / "went-on").exists()

    terminal.press("q")
    terminal.sees("ended with 0")
    assert desk.task("works")["status"] == "running"


def test_what_is_typed_reaches_the_worker(desk: Desk, terminal: Terminal) -> None:
    desk.write(section("asks", "read -r line; echo got $line | tee ../got; cat"))
    desk.up()
    desk.until("asks", "running")
    terminal.open("watch")
    terminal.sees("running", "? help")
    terminal.press("s")
    terminal.sees("what to type into its window")
    terminal.press("-l", "use the staging key")
    terminal.press("Enter")
    got = desk.home("asks").parent / "got"
    wait_for(lambda: got.exists() and got.read_text() == "got use the staging key\n", terminal.screen)
    terminal.sees("asks: sent, 19 characters")


def test_without_colours_it_writes_none_and_the_chosen_task_is_reversed(desk: Desk, terminal: Terminal) -> None:
    desk.write(section("first", status="draft"), section("second", status="draft"))
    desk.environment["NO_COLOR"] = "1"
    terminal.open("watch")
    terminal.sees("mux is down", "first", "second")
    terminal.press("j")
    terminal.sees("journal  second")
    drawn = ""

    def reversed_lines() -> list[str]:
        nonlocal drawn
        drawn = terminal.tmux("capture-pane", "-p", "-e", "-t", "hand")
        return [line for line in drawn.splitlines() if re.search(r"\x1b\[([0-9;]*;)?7m", line)]

    # The parts of the screen are drawn one after the other.
    wait_for(lambda: ["Task second" in line for line in reversed_lines()] == [True], lambda: drawn)
    numbers = {number for codes in re.findall(r"\x1b\[([0-9;]*)m", drawn) for number in codes.split(";")}
    assert numbers <= {"", "0", "1", "2", "7", "39", "49"}, numbers


def test_up_with_watch_starts_mux_and_leaves_it_running(desk: Desk, terminal: Terminal) -> None:
    desk.write(section("works", TICKS))
    terminal.open("up", "--watch", "--trust")
    try:
        terminal.sees("mux is up", "works", "running")
        terminal.press("C-c")
        terminal.sees("ended with 0")
        assert desk.status()["control_plane"]["running"]
    finally:
        desk.mux("down", code=None)


def test_it_follows_the_size_of_its_terminal(desk: Desk, terminal: Terminal) -> None:
    desk.write(section("first", status="draft"))
    terminal.open("watch")
    terminal.sees("first", "? help")
    for columns, rows in ((40, 10), (160, 40), (80, 24)):
        terminal.tmux("resize-window", "-t", "hand", "-x", str(columns), "-y", str(rows))
        beside = columns == 160
        wait_for(lambda beside=beside: terminal.beside() is beside, terminal.screen)
        terminal.sees("first", "? help")
