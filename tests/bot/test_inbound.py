"""What comes in from Slack, read; deliveries known again."""

from __future__ import annotations

from typing import Any

import pytest

from bot import inbound
from bot.inbound import Seen, is_late, unescaped


def click(**changes: Any) -> dict[str, Any]:
    body = {
        "type": "block_actions",
        "user": {"id": "U1", "name": "ana", "team_id": "T1"},
        "team": {"id": "T1"},
        "api_app_id": "A1",
        "channel": {"id": "C1"},
        "trigger_id": "t1",
        "response_url": "https://hooks.slack.com/1",
        "actions": [{"action_id": "request:in-place", "value": "0123456789ab", "action_ts": "1800000000.5"}],
    }
    return body | changes


def test_a_command() -> None:
    body = {"team_id": "T1", "user_id": "U1", "user_name": "ana", "api_app_id": "A1", "channel_id": "C1"}
    act = inbound.command(body | {"text": "add a &amp; b", "trigger_id": "t1", "response_url": "https://x"})
    assert (act.surface, act.text, act.id, act.respond) == ("command", "add a & b", "t1", "https://x")
    assert (act.actor.user, act.actor.home, act.actor.channel, act.actor.app) == ("U1", "T1", "C1", "A1")


def test_a_click() -> None:
    act = inbound.click(click())
    assert (act.choice, act.request, act.id, act.at) == ("in-place", "0123456789ab", "t1", 1800000000.5)
    assert (act.actor.team, act.actor.home, act.actor.channel) == ("T1", "T1", "C1")


def test_the_workspace_of_a_person_and_that_of_the_place_are_two() -> None:
    act = inbound.click(click(user={"id": "U9", "team_id": "T9"}))
    assert (act.actor.team, act.actor.home) == ("T1", "T9")
    assert inbound.click(click(bot_id="B1")).actor.is_bot


def test_a_modal() -> None:
    view = {
        "private_metadata": '{"request": "0123456789ab", "channel": "C1"}',
        "state": {"values": {"answer": {"text": {"type": "plain_text_input", "value": "blue, please"}}}},
    }
    act = inbound.modal(click(view=view))
    assert (act.surface, act.request, act.text, act.actor.channel) == ("modal", "0123456789ab", "blue, please", "C1")


@pytest.mark.parametrize("body", [{}, {"actions": []}, {"view": {"private_metadata": "[]"}}, {"user": None, "view": 3}])
def test_nonsense_is_read_as_nobody_doing_nothing(body: dict[str, Any]) -> None:
    for read in (inbound.command, inbound.click, inbound.modal):
        act = read(body)
        assert (act.actor.user, act.request, act.text, act.at) == ("", "", "", None)


def test_what_people_type() -> None:
    assert unescaped("&lt;b&gt; &amp;lt; “quoted” ‘too’") == "<b> &lt; \"quoted\" 'too'"


def test_deliveries_are_known_for_ten_minutes() -> None:
    seen = Seen()
    assert not seen.again("a", 0.0) and not seen.again("b", 1.0)
    assert seen.again("a", 599.0)
    assert not seen.again("a", 601.0) and seen.again("b", 601.0)


def test_a_click_of_long_ago_is_late() -> None:
    act = inbound.click(click())
    assert not is_late(act, 1800000000.0 + 60) and is_late(act, 1800000000.0 + 600)
    assert not is_late(inbound.command({}), 9e9)
