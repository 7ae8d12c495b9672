"""A desk with a chat: `mux up` against the local Slack."""

from __future__ import annotations

import os
import signal
from typing import Any

from tests.e2e.conftest import Desk, section
from tests.e2e.fake_slack import ANA, BEN, CHANNEL, FakeSlack
from tests.e2e.fake_slack_world import Message
from tests.support import wait_for

KEYS = f"slack: {{channel: {CHANNEL}, approvers: [{ANA}, {BEN}]}}\nrestart: {{backoff: 1s, early: 1s}}\n"


class Chatting:
    """What people do and see, at the terminal and in the chat."""

    def __init__(self, desk: Desk, slack: FakeSlack) -> None:
        self.desk = desk
        self.slack = slack
        desk.environment |= {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_API_URL": slack.api_url,
        }

    def up(self) -> Any:
        plane = self.desk.up()
        self.connected()
        return plane

    def connected(self) -> None:
        wait_for(lambda: len(self.slack.connections()) >= 2, "two connections")

    def say(self, user: str, text: str, **more: Any) -> Message:
        """The reply to `/mux text`."""
        turn = self.slack.slash(user, text, **more)
        assert not turn.error, turn.error
        reply: Message = wait_for(lambda: turn.replies, f"a reply to {text}")[0]
        return reply

    def asked(self) -> dict[str, Any]:
        """The one open request, as `mux status` has it: a moment after the chat, which reads it where it is kept."""
        (request,) = wait_for(lambda: self.desk.state().get("requests"), "the control plane shows the request")
        found: dict[str, Any] = request
        return found

    def request(self, word: str = "request:") -> Message:
        """The newest message with buttons."""
        found: list[Message] = wait_for(
            lambda: [each for each in self.slack.messages() if word in str(each.blocks)], f"a message with {word}"
        )
        return found[-1]

    def now(self, message: Message) -> Message:
        return self.slack.message(message.ts)

    def until_says(self, message: Message, *words: str) -> Message:
        wait_for(
            lambda: all(word in words_of(self.now(message)) for word in words),
            lambda: f"the message says {words}: {words_of(self.now(message))}",
        )
        return self.now(message)

    def told(self, user: str, count: int = 1) -> Message:
        """The newest of what only this user sees."""
        wait_for(lambda: len(self.slack.ephemerals(user)) >= count, f"{user} is told")
        return self.slack.ephemerals(user)[-1]

    def crashed(self, task: str = "a", keys: str = KEYS) -> Message:
        """A worker with uncommitted work is killed; the question about it."""
        desk = self.desk
        desk.write(section(task, desk.counted(task, "echo half >> work; sleep 1000")), keys=keys)
        self.up()
        desk.until_on_board(task, "running")
        wait_for(lambda: (desk.home(task) / "work").exists(), "there is work")
        os.kill(desk.start_record(task)["pid"], signal.SIGKILL)
        return self.request()

    def events(self, word: str) -> list[dict[str, Any]]:
        return [event for event in self.desk.journal() if event["event"] == word]


def words_of(message: Message) -> str:
    return f"{message.text}\n{message.blocks}"


def offered(message: Message) -> list[str]:
    """The action ids that can be clicked."""
    return [
        element["action_id"]
        for block in message.blocks
        for element in block.get("elements", ())
        if str(element.get("action_id", "")).startswith("request:")
    ]
