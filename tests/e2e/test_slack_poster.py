"""The outbox brought to a chat by the real client: nothing lost, nothing twice, whatever goes wrong on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bot import backlog
from bot import poster as poster_module
from bot.outbox import Entry, Outbox
from bot.poster import Poster
from bot.posts import Post
from bot.slack_client import Api, Tokens
from tests.e2e.fake_slack import CHANNEL, ELSEWHERE, SCOPES, FakeSlack
from tests.support import PATIENCE, wait_for

READING = SCOPES | {"channels:history"}


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack(scopes=READING) as server:
        server.stop_clock()
        yield server


class Forgetful(Api):
    """A Slack that makes nothing of `client_msg_id`: what is posted twice stands there twice."""

    def __call__(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        arguments.pop("client_msg_id", None)
        return super().__call__(method, **arguments)


class Desk:
    """One run of a poster after the other, on one folder."""

    def __init__(self, slack: FakeSlack, folder: Path, api: type[Api] = Forgetful) -> None:
        self.slack = slack
        self.api = api
        self.folder = folder
        self.said: list[str] = []
        self.channel = CHANNEL  # as the board names it
        self.clock = slack.world.now  # it passes when a test says so: waiting for it is no wait
        self.set_by = 0.0  # how far the clock of this machine was set
        self.outbox = Outbox(folder)
        self.poster = self.new()

    def new(self, outbox: Outbox | None = None) -> Poster:
        api = self.api(Tokens(self.slack.bot_token, self.slack.app_token), self.slack.api_url)
        self.poster = Poster(
            outbox or self.outbox, api, lambda: self.channel, self.said.append, self.now, self.clock, lambda: 0.5
        )
        return self.poster

    def put(self, key: str, text: str, **more: Any) -> None:
        self.outbox.put(Post(key, text, **more), self.now())

    def now(self) -> float:
        """The time of day, as this machine shows it."""
        return self.clock() + self.set_by

    def settle(self, steps: int = 200) -> None:
        """Step until nothing waits; time passes as the poster asks for it."""
        for _ in range(steps):
            if not self.outbox.waiting():
                return
            if pause := self.poster.step():
                self.slack.pass_time(pause)
        raise AssertionError(f"still waiting: {self.outbox.waiting()}")

    def until(self, condition: Callable[[], object], what: str | Callable[[], str]) -> None:
        """Of what its thread does; time passes meanwhile, or it would wait for ever after a call that failed."""

        def passes() -> bool:
            self.slack.pass_time(0.05)
            return bool(condition())

        wait_for(passes, what)

    def settle_moves(self) -> None:
        """Until nothing waits, and nothing asks in a channel that was left."""
        self.poster.step()
        self.settle()
        self.poster.step()
        self.settle()

    def texts(self, channel: str = CHANNEL) -> list[str]:
        return [each.text for each in self.slack.messages(channel)]

    def posts(self) -> int:
        return len(self.slack.calls("chat.postMessage"))


@pytest.fixture
def desk(slack: FakeSlack, tmp_path: Path) -> Desk:
    return Desk(slack, tmp_path)


def buttons(*choices: str) -> tuple[dict[str, Any], ...]:
    made = [
        {"type": "button", "action_id": f"request:{each}", "value": "r1", "text": {"type": "plain_text", "text": each}}
        for each in choices
    ]
    return ({"type": "actions", "elements": made},)


def test_posted_once_and_edited_in_place(desk: Desk) -> None:
    desk.put("request:1", "Restart?", blocks=buttons("again"))
    desk.settle()
    (message,) = desk.slack.messages()
    assert message.metadata and message.metadata["event_payload"]["key"] == "request:1" and message.blocks
    desk.put("request:1", "Restarted.")
    desk.settle()
    (message,) = desk.slack.messages()
    assert (message.text, message.blocks, message.edits) == ("Restarted.", (), 1)
    assert [link.unfurls for link in desk.slack.links()] == []


class Crash(Exception):
    pass


class Crashing(Outbox):
    """Dies at the n-th write of what was sent, before or after the write."""

    def __init__(self, folder: Path, number: int, after: bool) -> None:
        super().__init__(folder)
        self.left, self.after = number, after

    def _keep(self, key: str, sent: Any) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Crash
        super()._keep(key, sent)
        if self.left == 0:
            raise Crash


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_crash_at_any_write_posts_nothing_twice_and_loses_nothing(desk: Desk, number: int, after: bool) -> None:
    """Two posts: claim and note of the first, claim and note of the second."""
    desk.put("request:1", "one")
    desk.put("request:2", "two", thread="task:x")
    poster = desk.new(Crashing(desk.folder, number, after))
    with pytest.raises(Crash):
        for _ in range(50):
            desk.slack.pass_time(poster.step())
    desk.outbox = Outbox(desk.folder)
    desk.new()
    desk.settle()
    assert desk.texts() == ["one", "two"]


@pytest.mark.parametrize("changed", [False, True])
def test_a_lost_answer_is_found_again(desk: Desk, changed: bool) -> None:
    desk.slack.fail("chat.postMessage", drop=True)
    desk.put("request:1", "one")
    desk.poster.step()
    assert desk.texts() == ["one"] and len(desk.outbox.waiting()) == 1
    if changed:
        desk.put("request:1", "two")
    desk.settle()
    assert desk.texts() == ["two" if changed else "one"] and desk.posts() == 1


def test_a_lost_answer_stays_in_doubt_while_slack_is_away(desk: Desk) -> None:
    desk.slack.fail("chat.postMessage", drop=True)
    desk.put("request:1", "one")
    desk.poster.step()
    desk.slack.down()
    for _ in range(3):
        desk.slack.pass_time(desk.poster.step() + 1)
    desk.slack.up()
    desk.settle()
    assert desk.texts() == ["one"] and desk.posts() == 1


def test_a_claim_in_doubt_keeps_its_id_whatever_comes_next(slack: FakeSlack, tmp_path: Path) -> None:
    slack.world.scopes = SCOPES  # it cannot be looked for
    desk = Desk(slack, tmp_path, Api)
    desk.put("request:1", "one")
    slack.fail("chat.postMessage", drop=True)
    slack.pass_time(desk.poster.step() + 5)
    slack.fail("chat.postMessage", status=429)
    desk.settle()
    assert desk.texts() == ["one"] and desk.posts() == 3


def test_posted_again_under_one_id_it_says_what_is_true_now(slack: FakeSlack, tmp_path: Path) -> None:
    slack.world.scopes = SCOPES  # it cannot be looked for
    desk = Desk(slack, tmp_path, Api)
    slack.fail("chat.postMessage", drop=True)
    desk.put("request:1", "one")
    desk.poster.step()
    desk.put("request:1", "two")
    desk.settle()
    assert desk.texts() == ["two"]


def test_a_lost_answer_in_a_thread_is_found_again(desk: Desk) -> None:
    desk.put("alert:x:1:failed", "failed", thread="task:x")
    desk.settle()
    desk.slack.fail("chat.postMessage", drop=True)
    desk.put("alert:x:2:failed", "failed again", thread="task:x")
    desk.settle()
    root, reply = desk.slack.messages()
    assert (root.thread, reply.thread, reply.text) == ("", root.ts, "failed again")
    assert desk.posts() == 2


class Meanwhile(Forgetful):
    """Something happens while a call is on its way."""

    happens: Callable[[], object] = staticmethod(lambda: None)

    def __call__(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        self.happens()
        return super().__call__(method, **arguments)


def test_what_is_over_before_anybody_could_be_told_is_not_told(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(slack, tmp_path, Meanwhile)
    slack.down()
    desk.put("request:1", "asks", blocks=buttons("again"))
    over = Post("request:1", "decided")
    monkeypatch.setattr(Meanwhile, "happens", lambda self: desk.outbox.put(over, desk.now(), last=True))
    desk.poster.step()
    slack.up()
    desk.settle()
    assert desk.texts() == [] and desk.outbox.entries() == []


def test_without_the_scope_to_look_it_is_said_once_and_nothing_is_lost(slack: FakeSlack, tmp_path: Path) -> None:
    slack.world.scopes = SCOPES
    desk = Desk(slack, tmp_path, Api)
    for number in (1, 2):
        desk.slack.fail("chat.postMessage", drop=True)
        desk.put(f"request:{number}", f"text {number}")
        desk.settle()
    assert desk.texts() == ["text 1", "text 2"]  # posted twice under one client_msg_id
    assert desk.posts() == 4
    assert len([line for line in desk.said if "channels:history" in line]) == 1


#: Each method that the poster calls.
METHODS = ("chat.postMessage", "chat.update", "conversations.history", "conversations.replies")


def about_to_call(desk: Desk, method: str) -> None:
    """One message is to stand, and this is what is called next for it."""
    threaded = {"thread": "task:a"} if method == "conversations.replies" else {}
    if threaded:
        desk.put("alert:a:1:failed", "failed", **threaded)
        desk.settle()
    desk.put("request:1", "one", **threaded)
    if method == "chat.update":
        desk.settle()
        desk.put("request:1", "two")
        desk.slack.pass_time(5)
    if method.startswith("conversations."):
        desk.slack.fail("chat.postMessage", drop=True)
        while len(desk.slack.messages()) < (2 if threaded else 1):
            desk.slack.pass_time(desk.poster.step())
        desk.slack.pass_time(5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"cut": True}, {"error": "internal_error"}])
def test_what_passes_is_waited_for_longer_each_time(desk: Desk, method: str, fault: dict[str, Any]) -> None:
    about_to_call(desk, method)
    desk.slack.fail(method, 4, **fault)
    pauses = []
    for _ in range(40):
        pauses.append(desk.poster.step())
        desk.slack.pass_time(pauses[-1])
    messages = 2 if method == "conversations.replies" else 1
    assert desk.outbox.waiting() == [] and len(desk.slack.messages()) == messages
    waits = [pause for pause in pauses if 1.4 < pause < poster_module.IDLE]
    assert waits == sorted(waits) and len(waits) >= 4
    assert len(desk.said) == 2 and desk.said[-1].startswith("Slack is there again")


@pytest.mark.parametrize("method", METHODS)
def test_slack_says_how_long_to_wait(desk: Desk, method: str) -> None:
    about_to_call(desk, method)
    desk.slack.fail(method, status=429, retry_after=77)
    pauses = [0.0]
    while pauses[-1] < 77 and len(pauses) < 20:
        desk.slack.pass_time(pauses[-1])
        pauses.append(desk.poster.step())
    assert 77 <= pauses[-1] < 79
    desk.poster.nudge(reachable=True)
    assert 77 <= desk.poster.step() < 79  # nobody shortens that
    desk.settle()
    messages = 2 if method == "conversations.replies" else 1
    assert desk.texts()[-1] in ("one", "two") and len(desk.slack.messages()) == messages
    assert desk.said == [] or method.startswith("conversations.")  # before it looks, the post was lost


@pytest.mark.parametrize("by", [-7200.0, 7200.0])
def test_a_clock_that_is_set_holds_up_nothing(desk: Desk, by: float) -> None:
    desk.put("request:1", "one")
    desk.put("request:2", "two")
    desk.settle()
    desk.slack.fail("chat.update", status=500)
    for number in (1, 2):
        desk.put(f"request:{number}", "changed")
    desk.poster.step()
    desk.set_by = by
    began = desk.clock()
    desk.put("request:3", "three")
    desk.settle()
    assert sorted(desk.texts()) == ["changed", "changed", "three"]
    assert desk.clock() - began < 10


def test_never_faster_than_slack_allows(slack: FakeSlack, tmp_path: Path) -> None:
    slack.world.rate_limits = True
    desk = Desk(slack, tmp_path)
    for number in range(30):
        desk.put(f"request:{number}", "one")
    desk.settle()
    for number in range(80):
        desk.put(f"request:{number % 30}", f"two {number}")
        desk.settle()
    assert [call for call in slack.calls() if call.error] == []


def test_in_order_in_each_channel(desk: Desk) -> None:
    desk.slack.add_channel("C0TWO", "two", desk.slack.world.users)
    for number in range(4):
        desk.put(f"request:{number}", f"one {number}")
        desk.put(f"digest:{number}", f"two {number}", channel="C0TWO")
    desk.slack.fail("chat.postMessage", 3, status=500)
    desk.settle()
    assert desk.texts() == [f"one {number}" for number in range(4)]
    assert desk.texts("C0TWO") == [f"two {number}" for number in range(4)]


@pytest.mark.parametrize("error", ["not_in_channel", "channel_not_found", "is_archived"])
def test_a_channel_that_takes_nothing_is_said_once_and_holds_up_no_other(desk: Desk, error: str) -> None:
    channel = {"not_in_channel": ELSEWHERE, "channel_not_found": "C0NOWHERE", "is_archived": "C0OLD"}[error]
    desk.slack.add_channel("C0OLD", "old", desk.slack.world.users)
    desk.slack.archive("C0OLD")
    desk.put("digest:1", "lost?", channel=channel)
    desk.put("request:1", "one")
    for _ in range(20):
        desk.slack.pass_time(min(desk.poster.step(), 5.0))
    assert desk.texts() == ["one"]
    assert desk.posts() == 2  # not again and again
    assert desk.said == [f"Slack: channel {channel}: {error}; what is to be said there waits, see docs/slack.md"]
    assert error in str(desk.poster.health().trouble)


def test_mended_by_people_a_channel_gets_what_waited(desk: Desk) -> None:
    desk.put("digest:1", "kept", channel="C0LATER")
    desk.poster.step()
    desk.slack.add_channel("C0LATER", "later", desk.slack.world.users)
    desk.settle()
    assert desk.texts("C0LATER") == ["kept"] and desk.poster.health().trouble is None


def test_bad_blocks_go_as_text_and_what_is_never_taken_is_given_up(desk: Desk) -> None:
    desk.put("request:1", "readable", blocks=({"type": "no such block"},))
    desk.put("request:2", "x" * 50_000)
    desk.put("request:3", "three")
    desk.settle()
    assert desk.texts() == ["readable", "three"]
    assert [line.partition(";")[0] for line in desk.said] == [
        "Slack: request:1: invalid_blocks",
        "Slack: request:2 is not taken: msg_too_long",
    ]
    calls = desk.posts()
    desk.slack.pass_time(3600)
    desk.poster.step()
    assert desk.posts() == calls


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "account_inactive"])
def test_no_use_going_on(desk: Desk, error: str) -> None:
    desk.slack.fail("chat.postMessage", 99, error=error)
    desk.put("request:1", "one")
    for _ in range(10):
        desk.slack.pass_time(desk.poster.step())
    assert desk.posts() == 1 and len(desk.said) == 1 and error in desk.said[0]
    assert desk.poster.health().fatal and desk.poster.health().waiting == 1


def test_hours_of_silence_are_followed_by_what_is_true_now(desk: Desk) -> None:
    desk.put("request:1", "asked", blocks=buttons("again"))
    desk.settle()
    before = desk.posts()
    desk.slack.down()
    for number in range(200):
        desk.put("request:1", f"state {number}")
        desk.put(f"alert:t{number}:1:failed", f"t{number} failed", thread=f"task:t{number}")
        desk.slack.pass_time(60)
        desk.poster.step()
    desk.put("alert:new:1:failed", "new failed")
    desk.slack.up()
    desk.settle()
    assert desk.texts()[0] == "state 199"
    (summary,) = [each for each in desk.slack.messages() if "alerts, from while Slack could not be" in each.text]
    assert "t1 failed" in str(summary.blocks)
    assert desk.posts() - before <= 1 + backlog.OLD / 60 + 2  # the summary, and what is younger than that
    assert "new failed" in desk.texts()


def test_deleted_by_a_person(desk: Desk) -> None:
    desk.put("request:1", "asks", blocks=buttons("again"))
    desk.put("alert:x:1:done", "told")
    desk.settle()
    for message in desk.slack.messages():
        del desk.slack.world.messages[CHANNEL][message.ts]
    desk.put("request:1", "still asks", blocks=buttons("again"))
    desk.put("alert:x:1:done", "told, more")
    desk.settle()
    assert desk.texts() == ["still asks"]  # what was only told is not told again


def test_the_root_of_a_thread_is_deleted(desk: Desk) -> None:
    desk.put("alert:x:1:failed", "failed", thread="task:x")
    desk.settle()
    desk.slack.world.messages[CHANNEL].clear()
    desk.put("alert:x:2:failed", "failed again", thread="task:x")
    desk.put("alert:x:3:failed", "and again", thread="task:x")
    desk.settle()
    first, second = desk.slack.messages()
    assert (first.text, first.thread, second.thread) == ("failed again", "", first.ts)


NEW = "C0NEW"


@pytest.fixture
def moving(desk: Desk) -> Desk:
    """Two questions and an alert stand in the old channel; the board names another one now."""
    desk.slack.add_channel(NEW, "new", desk.slack.world.users)
    desk.put("request:1", "asks", blocks=buttons("again"))
    desk.put("request:2", "is decided", blocks=buttons("again"))
    desk.put("alert:x:1:failed", "failed", thread="task:x")
    desk.settle()
    desk.channel = NEW
    return desk


def test_an_open_question_moves_with_the_channel_once(moving: Desk) -> None:
    moving.put("request:2", "decided")
    moving.put("alert:x:2:failed", "failed again", thread="task:x")
    moving.settle(50)
    moving.poster.step()
    moving.settle(50)
    first, second, _ = moving.slack.messages()
    assert "Moved to <#C0NEW>" in str(first.blocks) and "actions" not in str(first.blocks) and first.edits == 1
    assert second.text == "decided"
    assert moving.texts(NEW) == ["asks", "failed again"]
    assert [each.thread for each in moving.slack.messages(NEW)] == ["", ""]
    moving.put("request:1", "decided, too")
    moving.settle()
    assert moving.texts(NEW) == ["decided, too", "failed again"]


def test_a_question_that_moves_there_and_back_asks_where_the_board_says(moving: Desk) -> None:
    moving.settle_moves()
    moving.channel = CHANNEL
    moving.settle_moves()
    asking = [
        each for channel in (CHANNEL, NEW) for each in moving.slack.messages(channel) if "actions" in str(each.blocks)
    ]
    assert [each.channel for each in asking] == [CHANNEL, CHANNEL]
    assert all("Moved to <#C0MUX>" in str(each.blocks) for each in moving.slack.messages(NEW))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_a_crash_while_questions_move_repeats_and_loses_nothing(moving: Desk, number: int, after: bool) -> None:
    poster = moving.new(Crashing(moving.folder, number, after))
    with pytest.raises(Crash):
        for _ in range(50):
            moving.slack.pass_time(poster.step())
    moving.outbox = Outbox(moving.folder)
    moving.new()
    moving.settle_moves()
    assert sorted(moving.texts(NEW)) == ["asks", "is decided"]
    assert len(moving.slack.messages()) == 3
    assert sum("Moved to" in str(each.blocks) for each in moving.slack.messages()) == 2


@pytest.mark.parametrize("doubtful", [False, True])
def test_an_old_channel_that_takes_nothing_any_more_holds_up_no_question(moving: Desk, doubtful: bool) -> None:
    if doubtful:
        moving.channel = CHANNEL
        moving.slack.fail("chat.postMessage", drop=True)
        moving.put("request:3", "asks, perhaps", blocks=buttons("again"))
        moving.poster.step()
        moving.channel = NEW
    channels = moving.slack.world.channels
    channels[CHANNEL] = replace(channels[CHANNEL], private=True, members=frozenset())
    moving.put("moved:C0MUX:1", "look elsewhere", channel=CHANNEL)
    moving.settle_moves()
    assert sorted(moving.texts(NEW)) == ["asks", *["asks, perhaps"] * doubtful, "is decided"]
    assert moving.poster.health().trouble is None and not any(f"channel {CHANNEL}" in line for line in moving.said)


def test_what_may_not_have_been_said_in_a_channel_that_is_gone_is_said_in_the_new_one(desk: Desk) -> None:
    desk.slack.add_channel(NEW, "new", desk.slack.world.users)
    desk.slack.fail("chat.postMessage", drop=True)
    desk.put("alert:x:1:failed", "failed", thread="task:x")
    desk.poster.step()
    channels = desk.slack.world.channels
    channels[CHANNEL] = replace(channels[CHANNEL], private=True, members=frozenset())
    desk.channel = NEW
    desk.settle_moves()
    assert desk.texts(NEW) == ["failed"]


def test_the_thread_wakes_ends_and_is_quick(desk: Desk) -> None:
    desk.new()
    thread = threading.Thread(target=desk.poster.run)
    thread.start()
    try:
        desk.put("request:1", "one")
        desk.poster.nudge()
        desk.until(desk.texts, "the message")
    finally:
        desk.poster.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()


def test_an_end_that_comes_before_it_waits_is_heard(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poster_module, "IDLE", 10 * PATIENCE)
    clear = desk.poster._wake.clear

    def ended_right_before() -> None:
        desk.poster.stop()
        clear()

    monkeypatch.setattr(desk.poster._wake, "clear", ended_right_before)
    thread = threading.Thread(target=desk.poster.run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


class Failing(Outbox):
    """Cannot be read, for once by each of these."""

    errors: ClassVar[tuple[Exception, ...]] = (OSError(24, "Too many open files"), RuntimeError("a bug"))

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.left = [*self.errors, *self.errors]

    def entries(self) -> list[Entry]:
        if self.left:
            raise self.left.pop()
        return super().entries()


def test_no_error_ends_the_thread(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poster_module, "IDLE", 0.01)
    desk.put("request:1", "one")
    thread = threading.Thread(target=desk.new(Failing(desk.folder)).run, daemon=True)
    thread.start()
    try:
        desk.until(desk.texts, "the message")
        desk.until(lambda: desk.poster.health().trouble is None, "all is well again")
    finally:
        desk.poster.stop()
        thread.join(PATIENCE)
    assert all(line.startswith("Slack: nothing can be posted: a bug in mux") for line in desk.said)
    assert "Too many open files" in (desk.folder / "mux.log").read_text()


def test_what_hinders_is_said_once_and_what_cannot_be_read_is_not_posted_twice(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.put("request:1", "one")
    desk.settle()
    monkeypatch.setattr(poster_module, "IDLE", 0.01)
    (sent,) = (desk.folder / "outbox").glob("*.sent.json")
    record = sent.rename(tmp_path / "kept")
    sent.symlink_to(sent.name)  # cannot be read, by root neither
    thread = threading.Thread(target=desk.new(Outbox(desk.folder)).run, daemon=True)
    thread.start()
    try:
        desk.until(lambda: desk.said, "it is said")
        record.replace(sent)  # at once: where there is none, nothing was posted
        desk.put("request:2", "two")
        desk.poster.nudge()
        desk.until(lambda: len(desk.texts()) > 1, lambda: f"the next message; said was {desk.said}")
    finally:
        desk.poster.stop()
        thread.join(PATIENCE)
    assert desk.texts() == ["one", "two"]
    assert len(desk.said) <= 2 and "cannot read" in desk.said[0]


def test_tokens_are_in_no_error_and_no_line(desk: Desk) -> None:
    faults: list[Callable[[], object]] = [
        lambda: desk.slack.fail("chat.postMessage", error="invalid_arguments"),
        lambda: desk.slack.fail("chat.postMessage", status=500),
        lambda: desk.slack.fail("chat.postMessage", cut=True),
        lambda: desk.slack.fail("chat.postMessage", error="invalid_auth"),
    ]
    for number, fault in enumerate(faults):
        fault()
        desk.put(f"request:{number}", "one")
        desk.slack.pass_time(desk.poster.step() + 60)
        desk.poster.step()
    written = "".join(path.read_text() for path in desk.folder.rglob("*.json"))
    for token in (desk.slack.bot_token, desk.slack.app_token):
        assert token not in "".join(desk.said) + written + repr(Tokens(desk.slack.bot_token, desk.slack.app_token))
