"""What people do in Slack, as the app hears of it: the payloads, and a turn that knows what came of each."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.fake_slack_api import close_view, named_blocks, put_view
from tests.e2e.fake_slack_reading import message_json
from tests.e2e.fake_slack_server import Hub
from tests.e2e.fake_slack_strict import Json, Refused, check_message, check_view, walk
from tests.e2e.fake_slack_world import (
    APP,
    BOT_USER,
    TEAM,
    Ack,
    Message,
    ResponseUrl,
    Trigger,
    User,
    View,
    World,
)

ACK_SECONDS = 3.0
#: What a choice is called in an action and in the state of a view, by the kind of the element.
CHOICES = {
    "static_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "checkboxes": "selected_options",
    "multi_static_select": "selected_options",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
}


@dataclass
class Turn:
    """One act of one person. `error`: the app was not there, or not in time, or its ack was nonsense."""

    world: World
    hub: Hub
    envelope: Json
    trigger: str = ""
    response_key: str = ""
    view: View | None = None
    error: str = ""
    connections: list[int] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    _heard: threading.Event = field(default_factory=threading.Event)

    def deliver(self, retry_attempt: int = 0, retry_reason: str = "", wait: float = ACK_SECONDS) -> Turn:
        """Send the envelope, once more if it was sent before; returns when it is acked or `wait` seconds are over."""
        envelope = dict(self.envelope)
        if retry_attempt:
            envelope |= {"retry_attempt": retry_attempt, "retry_reason": retry_reason or "timeout"}
        self._heard.clear()
        self.error = ""
        connection = self.hub.deliver(envelope, self._acked)
        if not connection:
            self.error = "dispatch_failed"
            return self
        self.connections.append(connection)
        if wait and not self._heard.wait(wait):
            self.error = "operation_timeout"
        return self

    @property
    def acked(self) -> bool:
        return bool(self.acks)

    @property
    def latency(self) -> float:
        """Seconds until the first ack; there must be one."""
        return self.acks[0].latency

    @property
    def answer(self) -> Json:
        """What the first ack carried."""
        payload = self.acks[0].payload if self.acks else None
        return payload if isinstance(payload, dict) else {}

    @property
    def errors(self) -> Mapping[str, str]:
        """By block id: what the app said is wrong with a submitted modal."""
        return self.answer.get("errors", {}) if self.answer.get("response_action") == "errors" else {}

    @property
    def replies(self) -> list[Message]:
        """What came through the ack or the response URL, oldest first."""
        with self.world.lock:
            return list(self.world.replies.get(self.response_key, ()))

    @property
    def views(self) -> list[View]:
        """What was opened with the trigger, as it stands now."""
        with self.world.lock:
            return [self.world.views[each] for each in self.world.opened.get(self.trigger, ())]

    @property
    def response_url(self) -> str:
        return f"{self.world.url}/respond/{self.response_key}"

    def summary(self) -> Json:
        return {
            "envelope_id": self.envelope["envelope_id"],
            "acked": self.acked,
            "latency": self.latency if self.acked else None,
            "error": self.error,
            "answer": self.answer,
            "replies": [each.text for each in self.replies],
            "views": [each.id for each in self.views],
        }

    def _acked(self, ack: Ack) -> None:
        """With the world's lock held."""
        first = not self.acks
        self.acks.append(ack)
        if first:
            try:
                self._apply(self.answer)
            except (Refused, LookupError) as refusal:
                self.error = f"invalid_ack: {refusal}"
        self._heard.set()

    def _apply(self, answer: Json) -> None:
        if self.view is not None and self.envelope["payload"]["type"] == "view_submission":
            self._apply_to_view(self.view, answer)
        elif answer.get("text") and self.response_key:
            check_message(answer)
            url = self.world.response_urls[self.response_key]
            to = "" if answer.get("response_type") == "in_channel" else url.user
            blocks = named_blocks(self.world, answer.get("blocks"))
            message = Message(url.channel, self.world.new_ts(), BOT_USER, answer["text"], blocks, to=to)
            self.world.replies.setdefault(self.response_key, []).append(self.world.put(message))
            self.world.note(message, answer, parsed=False)

    def _apply_to_view(self, view: View, answer: Json) -> None:
        action = answer.get("response_action", "clear")
        if action == "errors":
            inputs = {block["block_id"] for block in view.view["blocks"] if block["type"] == "input"}
            unknown = answer["errors"].keys() - inputs
            if unknown:
                raise LookupError(f"no inputs of the modal: {sorted(unknown)}")
        elif action in ("update", "push"):
            check_view(answer["view"])
            name = view.id if action == "update" else ""
            self.world.opened.setdefault(self.trigger, []).append(
                put_view(self.world, answer["view"], view.user, name).id
            )
        else:
            close_view(self.world, view)


def turn(world: World, hub: Hub, kind: str, payload: Json, user: User, channel: str = "", ts: str = "") -> Turn:
    """`channel`: the turn gets a response URL there; `ts`: of the message it came from."""
    trigger = response = ""
    if kind != "events_api":
        trigger = f"{world.new_id('trigger.')}.{secrets.token_hex(8)}"
        world.triggers[trigger] = Trigger(user.id, world.now())
        payload = {"trigger_id": trigger, **payload}
    if channel:
        response = f"{TEAM}/{world.new_id('')}/{secrets.token_hex(12)}"
        world.response_urls[response] = ResponseUrl(channel, user.id, world.now(), ts)
        payload = {"response_url": f"{world.url}/respond/{response}", **payload}
    envelope = {
        "envelope_id": f"{secrets.token_hex(4)}-{world.new_id('')}",
        "type": kind,
        "payload": payload,
        "accepts_response_payload": kind != "events_api",
    }
    return Turn(world, hub, envelope, trigger, response)


def command_payload(user: User, channel: str, channel_name: str, command: str, text: str) -> Json:
    return {
        "token": "local",
        "team_id": user.team,
        "team_domain": "mux" if user.team == TEAM else "elsewhere",
        "channel_id": channel,
        "channel_name": channel_name,
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
    }


def interaction(kind: str, user: User) -> Json:
    return {
        "type": kind,
        "team": {"id": TEAM, "domain": "mux"},
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "api_app_id": APP,
        "token": "local",
        "enterprise": None,
        "is_enterprise_install": False,
    }


def from_message(message: Message, channel_name: str) -> Json:
    """The part of an interaction's payload that says where it happened."""
    container = {"type": "message", "message_ts": message.ts, "channel_id": message.channel}
    channel = {"id": message.channel, "name": channel_name}
    where: Json = {"container": {**container, "is_ephemeral": bool(message.to)}, "channel": channel}
    if message.thread:
        where["container"]["thread_ts"] = message.thread
    # Of an ephemeral message Slack keeps nothing: the app gets no copy of it.
    return where | {"state": {"values": {}}} | ({} if message.to else {"message": message_json(message)})


def action_of(blocks: Any, action_id: str, choice: str, ts: str) -> Json:
    """The action that a click sends; `choice`: the value of the option, or what was entered."""
    offered = []
    for block in blocks:
        for _, element in walk(block):
            if "action_id" not in element:
                continue
            offered.append(element["action_id"])
            if element["action_id"] == action_id:
                kept: Json = {
                    key: element[key] for key in ("type", "action_id", "text", "value", "style") if key in element
                }
                return {**kept, **chosen(element, choice), "block_id": block["block_id"], "action_ts": ts}
    raise LookupError(f"nothing to click is called {action_id!r}; there are: {offered}")


def chosen(element: Json, choice: Any) -> Json:
    """What a person picked or typed, in the words of the element's kind."""
    kind = element["type"]
    if kind == "button":
        return {}
    if kind not in CHOICES:
        return {"value": None if choice in (None, "") else str(choice)}
    name = CHOICES[kind]
    if "option" not in name:
        return {name: choice or None}
    wanted = [] if choice in (None, "") else list(choice) if isinstance(choice, (list, tuple)) else [choice]
    by_value = {option["value"]: option for option in element.get("options", ())}
    missing = [each for each in wanted if each not in by_value]
    if missing:
        raise LookupError(f"no option {missing} of {element.get('action_id')}; there are: {list(by_value)}")
    picked = [by_value[each] for each in wanted]
    return {name: picked} if name.endswith("s") else {name: picked[0] if picked else None}


def state_of(view: Json, values: Mapping[str, Any]) -> Json:
    """The state of a modal that was filled in, by block id; refuses what Slack's own form would not let through."""
    state: Json = {}
    inputs = [block for block in view["blocks"] if block["type"] == "input"]
    unknown = values.keys() - {block["block_id"] for block in inputs}
    if unknown:
        raise LookupError(f"no input is called {sorted(unknown)}; there are: {[each['block_id'] for each in inputs]}")
    for block in inputs:
        element = block["element"]
        value = values.get(block["block_id"], element.get("initial_value"))
        if value in (None, "", []) and not block.get("optional"):
            raise ValueError(f"{block['block_id']}: the form asks for a value")
        if isinstance(value, str) and not element.get("min_length", 0) <= len(value) <= element.get("max_length", 3000):
            raise ValueError(f"{block['block_id']}: too short or too long for the form")
        state[block["block_id"]] = {element.get("action_id", "a"): {"type": element["type"], **chosen(element, value)}}
    return state
