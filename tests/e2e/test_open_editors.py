"""Editors that keep the board open while mux writes it: vim with a buffer, programs that truncate, pause and write."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest

from tests.e2e.conftest import Desk, section
from tests.support import PATIENCE, wait_for


@pytest.mark.skipif(not shutil.which("vim"), reason="vim is not installed")
def test_a_vim_buffer_held_open_across_muxs_writes(desk: Desk) -> None:
    """Opened before the task ran, saved after it is done: the edit is in, the task stays done, nothing runs again."""
    go = desk.repository.parent / "go"
    desk.write(section("a", desk.counted("a", f"while ! test -e '{go}'; do sleep 0.05; done")))
    desk.up()
    desk.until_on_board("a", "running")
    socket = ["tmux", "-S", str(desk.repository.parent / "vim"), "-f", "/dev/null"]

    def tmux(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*socket, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)

    def screen() -> str:
        return tmux("capture-pane", "-p").stdout

    def saved() -> bool:
        if "(y/n)" in screen():  # vim asks, as the file has changed since it was read
            tmux("send-keys", "y")
        return "edited in vim" in desk.board.read_text()

    try:
        assert (
            tmux("new-session", "-d", "-x", "100", "-y", "40", "vim", "-u", "NONE", "-n", str(desk.board)).returncode
            == 0
        )
        wait_for(lambda: "status: running" in screen(), screen)
        go.touch()
        desk.until_on_board("a", "done")
        tmux("send-keys", ":%s/Prose of mine/Prose of mine, edited in vim/", "Enter")
        wait_for(lambda: "edited in vim" in screen(), screen)
        tmux("send-keys", ":w!", "Enter")
        wait_for(saved, screen)
        wait_for(
            lambda: "edited in vim" in desk.board.read_text() and desk.on_board("a") == "done", desk.board.read_text
        )
    finally:
        tmux("kill-server")
    assert desk.task("a")["status"] == "done"
    assert desk.runs("a") == 1


@pytest.mark.parametrize("pause", [0.1, 1.0, 5.0])
def test_a_save_that_truncates_and_pauses_while_mux_wants_to_write(desk: Desk, pause: float) -> None:
    go = desk.repository.parent / "go"
    desk.write(section("a", desk.counted("a", f"while ! test -e '{go}'; do sleep 0.05; done")))
    desk.up()
    desk.until_on_board("a", "running")
    buffer = desk.board.read_text()
    with desk.board.open("w") as file:
        go.touch()  # the worker ends, and mux wants to write that, while the file is empty and open
        until = time.monotonic() + pause
        wait_for(lambda: time.monotonic() >= until)
        file.write(buffer.replace("Prose of mine", "Prose of mine, and more"))
    wait_for(lambda: "and more" in desk.board.read_text() and desk.on_board("a") == "done", desk.board.read_text)
    assert desk.runs("a") == 1
