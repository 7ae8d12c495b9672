"""The chat of a control plane in this process, over a real socket: what a test of the whole cannot bring about."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from board.storage import read_json
from bot import chat as chat_module
from bot.chat import Chat
from bot.outbox import Outbox
from bot.place import Place, place_of
from bot.poster import Poster
from bot.slack_client import Tokens
from runners.boards import read_board
from runners.journal import Event
from tests.bot.chat import state, task
from tests.e2e.fake_slack import CHANNEL, FakeSlack
from tests.support import PATIENCE, wait_for

#: The client leaves a socket to the collector when it is closed while it connects; it is collected in `running`.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Running:
    """A chat of a board that does nothing, and what it says."""

    def __init__(self, place: Place, slack: FakeSlack) -> None:
        self.place = place
        self.said: list[str] = []
        self.started = False
        tokens = Tokens(slack.bot_token, slack.app_token)
        self.board = read_board(f"---\nboard: shop\nslack: {{channel: {CHANNEL}, api_url: '{slack.api_url}'}}\n---\n")
        self.chat = Chat(place, tokens, "", lambda: self.board, lambda text: text, self.said.append, lambda: None)

    def start(self) -> None:
        self.started = True
        self.chat.start()

    def report(self) -> dict[str, Any]:
        return read_json(self.place.folder / "chat.json") or {"state": "", "why": ""}


@pytest.fixture
def running(slack: FakeSlack, tmp_path: Path) -> Iterator[Running]:
    """Not started yet."""
    (tmp_path / ".mux").mkdir()
    made = Running(place_of(tmp_path / "board.md"), slack)
    yield made
    if made.started:
        made.chat.stop()
        wait_for(lambda: not ours(), lambda: f"no thread is left: {ours()}")
        gc.collect()


def ours() -> list[str]:
    """The threads that speak to Slack."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("Slack")]


def test_people_can_decide_though_what_there_is_to_say_cannot_be_read(running: Running, slack: FakeSlack) -> None:
    (running.place.folder / "requests").write_text("no folder")
    running.start()
    wait_for(lambda: len(slack.connections()) == 2, "it is connected")
    wait_for(lambda: any("requests" in text for text in running.said), "it says what it cannot read")


def test_a_poster_that_ended_by_a_bug_is_said_and_not_taken_for_silence(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Poster, "run", lambda self: None)
    running.start()
    wait_for(lambda: running.report()["state"] == "off", "it says that nothing is posted")
    assert "by a bug in mux: start mux anew" in running.report()["why"]


def test_what_failed_before_the_chat_looked_for_the_first_time_is_said(running: Running, slack: FakeSlack) -> None:
    running.chat.show(state(task("a", "running")))
    running.chat.show(state(task("a", "failed")))
    running.start()
    (alert,) = wait_for(slack.messages, "the alert")
    assert "a failed" in alert.text


def test_what_failed_before_there_was_a_chat_is_no_news(running: Running, slack: FakeSlack) -> None:
    with_chat, running.board = running.board, read_board("---\nboard: shop\n---\n")
    running.chat.show(state(task("a", "running")))
    running.start()
    wait_for(lambda: running.report()["state"] == "off", "there is none")
    failed = state(task("a", "failed"), task("b", "running"))
    running.chat.show(failed)
    wait_for(lambda: running.chat._first is failed, "it is seen")
    running.board = with_chat
    running.chat.show(state(task("a", "failed"), task("b", "failed")))
    (alert,) = wait_for(slack.messages, "the alert")
    assert "b failed" in alert.text


def test_of_many_rules_that_one_save_changed_none_is_kept_back(running: Running) -> None:
    """The loop says them all at once, and the chat may be at something else."""
    outbox = Outbox(running.place.folder)
    now = time.time()
    for number in range(50):
        running.chat.tell(Event(now + number / 1000, "policy", "check: none -> a command", f"t{number}"))
    running.start()
    wait_for(lambda: len(outbox.entries()) == 50, lambda: f"all are said, not {len(outbox.entries())}")


def test_an_end_that_comes_before_it_waits_is_heard(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "LOOK", 10 * PATIENCE)
    woken = running.chat._woken
    clear, ends = woken.clear, threading.Thread(target=running.chat.stop, daemon=True)

    def ended_right_before() -> None:
        if not ends.ident:
            ends.start()
            wait_for(woken.is_set, "it is to end")
        clear()

    monkeypatch.setattr(woken, "clear", ended_right_before)
    running.start()
    wait_for(lambda: ends.ident and not ends.is_alive(), "it has ended")


def test_slack_comes_back_and_one_connection_is_made_not_two(running: Running, slack: FakeSlack) -> None:
    slack.fail("auth.test", 2, status=500)
    running.start()
    wait_for(lambda: running.report()["state"] == "on", "it is connected")
    wait_for(lambda: len(slack.connections()) == 2, "by both of its connections")
    assert len(slack.calls("auth.test")) == 3
    assert [text for text in running.said if "cannot be reached" in text] == running.said[:1]
