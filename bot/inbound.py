"""What comes in from Slack, read: commands, clicks and filled-in modals. Pure.

Everything in it was written by whoever sent it: nothing is believed before `bot.access` has seen it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.access import Actor

LATE = 300.0  #: seconds after which a click is not carried out any more: more than clocks differ by
REMEMBERED = 600.0  #: seconds for which a delivery is known again
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Inbound:
    """`surface`: command, button or modal. `id` is the same for each delivery of the same act.

    `text`: of a command, or what was typed into the modal. `choice` and `request`: of a click or modal. `at`: when it
    was done, where Slack says so. `repeated`: Slack says that it delivers it again.
    """

    surface: str
    actor: Actor
    id: str
    text: str = ""
    choice: str = ""
    request: str = ""
    trigger: str = ""
    respond: str = ""
    at: float | None = None
    repeated: bool = False


class Seen:
    """Which deliveries came before."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def again(self, name: str, now: float) -> bool:
        """Whether it came before, within ten minutes; from now on it did. `now`: by a clock that nobody sets."""
        for old in [each for each, at in self._at.items() if now - at > REMEMBERED]:
            del self._at[old]
        while len(self._at) >= _MOST:
            del self._at[next(iter(self._at))]
        if name in self._at:
            return True
        self._at[name] = now
        return False


def command(body: Mapping[str, Any], repeated: bool = False) -> Inbound:
    """A slash command: its `team_id` is the one of the person."""
    home = _text(body, "team_id")
    actor = Actor(
        user=_text(body, "user_id"),
        team=home,
        home=home,
        app=_text(body, "api_app_id"),
        channel=_text(body, "channel_id"),
        name=_text(body, "user_name"),
        is_bot=bool(body.get("bot_id")),
    )
    trigger = _text(body, "trigger_id")
    return Inbound(
        "command",
        actor,
        trigger,
        text=unescaped(_text(body, "text")),
        trigger=trigger,
        respond=_text(body, "response_url"),
        repeated=repeated,
    )


def click(body: Mapping[str, Any], repeated: bool = False) -> Inbound:
    """A button: `request:<choice>`, whose value is the request's id."""
    actions = body.get("actions") or [{}]
    action: Mapping[str, Any] = actions[0]
    channel = _text(_map(body, "channel"), "id") or _text(_map(body, "container"), "channel_id")
    trigger = _text(body, "trigger_id")
    at = _text(action, "action_ts")
    return Inbound(
        "button",
        _actor(body, channel),
        trigger or at,
        choice=_text(action, "action_id").removeprefix("request:"),
        request=_text(action, "value"),
        trigger=trigger,
        respond=_text(body, "response_url"),
        at=_seconds(at),
        repeated=repeated,
    )


def modal(body: Mapping[str, Any], repeated: bool = False) -> Inbound:
    """A filled-in modal; its `private_metadata` is what we put there: the request and the channel."""
    view = _map(body, "view")
    try:
        ours = json.loads(_text(view, "private_metadata"))
    except ValueError:
        ours = {}
    ours = ours if isinstance(ours, dict) else {}
    typed = _map(_map(_map(view, "state"), "values"), "answer")
    return Inbound(
        "modal",
        _actor(body, _text(ours, "channel")),
        _text(body, "trigger_id") or _text(view, "id"),
        text=_text(_map(typed, "text"), "value"),
        choice="answer",
        request=_text(ours, "request"),
        repeated=repeated,
    )


def unescaped(text: str) -> str:
    """What a person typed: Slack escapes three characters, and phones put curly quotation marks."""
    for escaped, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(escaped, character)
    return text.translate({0x201C: '"', 0x201D: '"', 0x201E: '"', 0x2018: "'", 0x2019: "'", 0x00A0: " "})


def is_late(inbound: Inbound, now: float) -> bool:
    """The person has long given it up, or the world has moved on since."""
    return inbound.at is not None and now - inbound.at > LATE


def _actor(body: Mapping[str, Any], channel: str) -> Actor:
    user, team = _map(body, "user"), _map(body, "team")
    return Actor(
        user=_text(user, "id"),
        team=_text(team, "id"),
        home=_text(user, "team_id") or _text(team, "id"),
        app=_text(body, "api_app_id"),
        channel=channel,
        name=_text(user, "name") or _text(user, "username"),
        is_bot=bool(body.get("bot_id") or user.get("is_bot")),
    )


def _map(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _seconds(ts: str) -> float | None:
    try:
        return float(ts)
    except ValueError:
        return None
