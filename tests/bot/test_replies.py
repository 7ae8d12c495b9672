"""Replies: none holds up another, or anything else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from board.model import SlackSettings
from bot import replies
from bot.access import Actor, Identity
from bot.desk import Desk
from bot.inbound import Inbound
from bot.names import Names
from bot.place import place_of
from bot.posts import Reply
from bot.replies import Replies
from bot.slack_client import Failed, Trouble
from tests.support import wait_for


def act(user: str, text: str = "status") -> Inbound:
    actor = Actor(user, "T1", "T1", "A1", "C1")
    return Inbound("command", actor, f"{user} {text}", text=text, respond="https://slack.example/respond")


class Sending:
    """Refuses some people for long, and can be blocked."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.waits = threading.Event()

    def __call__(self, done: Inbound, reply: Reply) -> None:
        self.waits.set()
        self.goes_on.wait(20)
        if done.actor.user == "ULIMITED":
            raise Failed(Trouble.LIMITED, "ratelimited", 30.0)
        if done.actor.user == "UBUG":
            raise ValueError("a bug")
        if done.actor.user == "UOLD" and done.respond:
            raise Failed(Trouble.REFUSED, "HTTP 404")
        self.told.append(f"{done.actor.user}: {reply.text}")


def test_one_that_has_to_wait_holds_up_no_other_and_no_end() -> None:
    sending = Sending()
    bugs: list[int] = []
    sender = Replies(sending, lambda: bugs.append(1))
    sender.put(act("ULIMITED"), Reply("one"))
    sender.put(act("UBUG"), Reply("none"))
    sender.put(act("UOLD"), Reply("two"))
    wait_for(lambda: sending.told == ["UOLD: two"], "the other is told")
    begun = time.monotonic()
    sender.close()
    assert time.monotonic() - begun < 20 and bugs == [1]  # and not the 30 s that one has to wait


def test_the_oldest_goes_when_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "MOST", 3)
    sending = Sending()
    sending.goes_on.clear()
    sender = Replies(sending, lambda: None)
    sender.put(act("UA"), Reply("0"))
    wait_for(sending.waits.is_set, "it is sending")
    for number in range(1, 7):
        sender.put(act("UA"), Reply(str(number)))
    sending.goes_on.set()
    wait_for(lambda: len(sending.told) >= 4, "what waits is told")
    sender.close()
    assert sending.told == [f"UA: {number}" for number in (0, 4, 5, 6)]


class Stuck:
    """A Slack whose answers to replies do not come before `goes_on`."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.waits = threading.Event()

    def __call__(self, method: str, **arguments: Any) -> dict[str, Any]:
        return {"user": {"is_bot": False}}

    def respond(self, url: str, body: dict[str, Any]) -> None:
        self.waits.set()
        self.goes_on.wait(20)


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    slack = Stuck()
    yield slack
    slack.goes_on.set()


def test_a_stranger_who_cannot_be_told_holds_up_no_order(stuck: Stuck, tmp_path: Path) -> None:
    board = tmp_path / "board.md"
    board.write_text("---\nboard: shop\n---\n")
    settings = SlackSettings(channel="C1", approvers=("UANA",))
    place = place_of(board)
    desk = Desk(
        place,
        stuck,  # type: ignore[arg-type]
        Identity("T1", "UMUX"),
        lambda: settings,
        lambda text: text,
        Names(place.folder),
        lambda: None,
    )
    for number in range(3):
        desk.receive(act("USTRANGER", f"stop {number}"))
    wait_for(stuck.waits.is_set, "somebody is being told")
    desk.receive(act("UANA", "add Buy milk"))
    wait_for(lambda: "Buy milk" in board.read_text(), "the order is done")
    begun = time.monotonic()
    desk.close()
    assert time.monotonic() - begun < replies.GRACE + 8
