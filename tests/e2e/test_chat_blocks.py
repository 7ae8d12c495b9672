"""The views as the local Slack takes them from the real client: nobody is pinged, and nothing is a link."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from slack_sdk import WebClient

from bot import chat_texts, chat_views, digests
from bot.alerts import SETTLE, step
from bot.chat_requests import request_post
from bot.posts import Post, Reply
from runners.asked import Answer, Asked
from runners.journal import Event
from tests.bot.chat import NASTY, NOW, nothing, state, task
from tests.bot.test_chat_requests import CHOICES, request
from tests.bot.test_chat_views import nasty_state
from tests.e2e.fake_slack import ANA, CHANNEL, FakeSlack


def client_of(slack: FakeSlack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


def arguments(message: Post | Reply) -> dict[str, Any]:
    return {"channel": CHANNEL, "text": message.text, "blocks": json.loads(json.dumps(message.blocks))}


def storm() -> Post:
    memory = step(None, state(), NOW, None, nothing, UTC).memory
    failed = state(*(task(f"t{number}", "failed", title=NASTY, why=NASTY) for number in range(200)))
    memory = step(memory, failed, NOW, None, nothing, UTC).memory
    (post,) = step(memory, failed, NOW + SETTLE, None, nothing, UTC).posts
    return post


def test_everything_is_taken_and_pings_nobody(slack: FakeSlack) -> None:
    client = client_of(slack)
    seen = nasty_state(500)
    entry = {**seen["tasks"][1], "problems": [], "requests": seen["requests"][:1]}
    events = [Event(NOW - number, "restarted", NASTY, f"t{number}", 2) for number in range(300)]
    messages: list[Post | Reply] = [
        chat_views.status_reply(seen, NOW, nothing),
        chat_views.requests_reply(seen, NOW, nothing),
        chat_views.task_reply(entry, NOW, nothing),
        chat_texts.journal_reply(events, nothing),
        chat_texts.logs_reply("a", 1, NASTY * 500, nothing),
        chat_texts.help_reply(),
        digests.post(digests.digest(seen, events, None, NOW, nothing, [NASTY]), "digest:x"),
        storm(),
    ]
    for message in messages:
        client.chat_postMessage(**arguments(message), unfurl_links=False, unfurl_media=False)
        client.chat_postEphemeral(**arguments(message), user=ANA)
    assert slack.pings() == [] and slack.links() == []
    assert len(slack.messages()) == len(messages)


def test_a_request_is_edited_when_it_is_decided(slack: FakeSlack) -> None:
    client = client_of(slack)
    for action in CHOICES:
        asked = Asked(request(action, why=NASTY, says=NASTY))
        posted = client.chat_postMessage(**arguments(request_post(asked, NASTY, NOW, nothing)))
        answered = Asked(asked.request, Answer(CHOICES[action][0], f"slack:{ANA}", NOW))
        edited = arguments(request_post(answered, NASTY, NOW, nothing))
        client.chat_update(ts=posted["ts"], **edited)
        message = slack.message(posted["ts"])
        kinds = [block["type"] for block in message.blocks]
        assert message.edits == 1 and "actions" in [block["type"] for block in message.earlier[0].blocks]
        assert "actions" not in kinds and ANA in json.dumps(message.blocks)
    assert slack.pings() == [] and slack.links() == []
