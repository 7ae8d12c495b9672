"""The Web API methods of the local Slack, and its response URLs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.e2e import fake_slack_reading as reading
from tests.e2e.fake_slack_reading import message_json, need_scope
from tests.e2e.fake_slack_strict import UPDATE_TEXT, Json, Refused, check_message, check_view, walk
from tests.e2e.fake_slack_world import (
    APP,
    BOT,
    BOT_USER,
    RESPONSE_URL_SECONDS,
    RESPONSE_URL_USES,
    TEAM,
    TRIGGER_SECONDS,
    Channel,
    Message,
    View,
    World,
)

Run = Callable[[World, Json], Json]


class RateLimited(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"wait {seconds:g} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Method:
    run: Run
    scope: str = ""
    app_token: bool = False


def call(world: World, name: str, token: str, arguments: Json) -> Json:
    """The answer to a call; raises Refused or RateLimited."""
    method = METHODS.get(name)
    if method is None:
        raise Refused("unknown_method", req_method=name)
    if not token:
        raise Refused("not_authed")
    if token not in (world.bot_token, world.app_token):
        raise Refused("invalid_auth")
    if (token == world.app_token) != method.app_token and name != "auth.test":
        raise Refused("not_allowed_token_type")
    if method.scope:
        need_scope(world, method.scope)
    return {"ok": True, **method.run(world, arguments)}


def auth_test(world: World, arguments: Json) -> Json:
    name = {"url": "https://mux.slack.com/", "team": "mux", "team_id": TEAM, "user": "mux", "user_id": BOT_USER}
    return {**name, "bot_id": BOT, "is_enterprise_install": False}


def connections_open(world: World, arguments: Json) -> Json:
    if not world.socket_mode:
        raise Refused("link_disabled")
    ticket = world.new_id("ticket-")
    world.tickets[ticket] = world.now()
    return {"url": f"{world.url.replace('http', 'ws', 1)}/link/?ticket={ticket}&app_id={APP}"}


def post_message(world: World, arguments: Json) -> Json:
    channel = world.postable(arguments.get("channel"))
    check_message(arguments)
    same = arguments.get("client_msg_id")
    known = [each for each in world.messages.get(channel.id, {}).values() if same and each.client_msg_id == same]
    if known:
        return _posted(known[0])
    _limit(world, f"post {channel.id}", burst=2, per_second=1)
    thread = str(arguments.get("thread_ts") or "")
    if thread and thread not in world.messages.get(channel.id, {}):
        raise Refused("thread_not_found")
    message = Message(
        channel.id,
        world.new_ts(),
        BOT_USER,
        arguments["text"],
        named_blocks(world, arguments.get("blocks")),
        thread=thread,
        metadata=arguments.get("metadata") or None,
        client_msg_id=str(same or ""),
    )
    world.put(message)
    world.note(message, arguments, _is_parsed(arguments, default="none"))
    return _posted(message)


def post_ephemeral(world: World, arguments: Json) -> Json:
    channel = world.postable(arguments.get("channel"))
    check_message(arguments)
    if arguments.get("user") not in world.users:
        raise Refused("user_not_found")
    if arguments["user"] not in channel.members:
        raise Refused("user_not_in_channel")
    _limit(world, f"post {channel.id}", burst=2, per_second=1)
    blocks = named_blocks(world, arguments.get("blocks"))
    thread = str(arguments.get("thread_ts") or "")
    to = str(arguments["user"])
    message = Message(channel.id, world.new_ts(), BOT_USER, arguments["text"], blocks, thread=thread, to=to)
    world.put(message)
    world.note(message, arguments, _is_parsed(arguments, default="none"))
    return {"message_ts": message.ts}


def update(world: World, arguments: Json) -> Json:
    channel = world.channel(arguments.get("channel"))
    old = _own_message(world, channel, arguments.get("ts"), "cant_update_message")
    check_message(arguments, UPDATE_TEXT)
    _limit(world, "update", burst=50, per_second=50 / 60)
    changes: Json = {"text": arguments["text"]}
    # What is left out stays as it was; an empty list or object removes it.
    if arguments.get("blocks") is not None:
        changes["blocks"] = named_blocks(world, arguments["blocks"])
    if arguments.get("metadata") is not None:
        changes["metadata"] = arguments["metadata"] or None
    message = world.edit(old, **changes)
    world.note(message, arguments, _is_parsed(arguments, default="client"))
    return {**_posted(message), "text": message.text}


def delete(world: World, arguments: Json) -> Json:
    channel = world.channel(arguments.get("channel"))
    message = _own_message(world, channel, arguments.get("ts"), "cant_delete_message")
    del world.messages[channel.id][message.ts]
    return {"channel": channel.id, "ts": message.ts}


def views_open(world: World, arguments: Json) -> Json:
    trigger = world.triggers.get(str(arguments.get("trigger_id")))
    if trigger is None:
        raise Refused("invalid_trigger_id")
    if trigger.used:
        raise Refused("exchanged_trigger_id")
    if world.now() - trigger.made > TRIGGER_SECONDS:
        raise Refused("expired_trigger_id")
    check_view(arguments.get("view"))
    if arguments["view"]["type"] != "modal":
        raise Refused("invalid_arguments")
    trigger.used = True
    opened = put_view(world, arguments["view"], trigger.user)
    world.opened.setdefault(arguments["trigger_id"], []).append(opened.id)
    return {"view": opened.as_sent()}


def views_update(world: World, arguments: Json) -> Json:
    old = world.views.get(str(arguments.get("view_id")))
    if old is None:
        raise Refused("not_found")
    if arguments.get("hash") not in (None, old.hash):
        raise Refused("hash_conflict")
    check_view(arguments.get("view"))
    return {"view": put_view(world, arguments["view"], old.user, old.id).as_sent()}


def views_publish(world: World, arguments: Json) -> Json:
    person = str(arguments.get("user_id"))
    if person not in world.users:
        raise Refused("user_not_found")
    check_view(arguments.get("view"))
    if arguments["view"]["type"] != "home":
        raise Refused("invalid_arguments")
    old = world.homes.get(person)
    if old and arguments.get("hash") not in (None, old.hash):
        raise Refused("hash_conflict")
    view = put_view(world, arguments["view"], person, old.id if old else "")
    world.homes[person] = view
    return {"view": view.as_sent()}


def put_view(world: World, view: Json, person: str, name: str = "") -> View:
    named = {**copy.deepcopy(view), "blocks": list(named_blocks(world, view["blocks"]))}
    made = View(name or world.new_id("V"), named, person, f"{world.new_ts()}.hash")
    world.views[made.id] = made
    return made


def named_blocks(world: World, blocks: list[Json] | None) -> tuple[Json, ...]:
    """Slack names the blocks and the elements that have no name."""
    named = copy.deepcopy(blocks or [])
    for block in named:
        block.setdefault("block_id", world.new_id("b"))
        for _, each in walk(block):
            if each.get("type") in ("button", "overflow"):
                each.setdefault("action_id", world.new_id("a"))
    return tuple(named)


def respond(world: World, key: str, body: Json) -> None:
    """A POST to a response URL."""
    url = world.response_urls.get(key)
    if url is None or world.now() - url.made > RESPONSE_URL_SECONDS:
        raise Refused("expired_url")
    if url.uses >= RESPONSE_URL_USES:
        raise Refused("used_url")
    original = world.messages.get(url.channel, {}).get(url.ts)
    original = original or next((each for each in world.ephemerals if each.ts == url.ts), None)
    if body.get("delete_original"):
        if original is None:
            raise Refused("message_not_found")
        url.uses += 1
        world.messages.get(url.channel, {}).pop(url.ts, None)
        world.ephemerals = [each for each in world.ephemerals if each.ts != url.ts]
        return
    check_message(body)
    blocks = named_blocks(world, body.get("blocks"))
    if body.get("replace_original"):
        if original is None:
            raise Refused("message_not_found")
        message = world.edit(original, text=body["text"], blocks=blocks)
    else:
        if body.get("response_type", "ephemeral") not in ("ephemeral", "in_channel"):
            raise Refused("invalid_response_type")
        to = "" if body.get("response_type") == "in_channel" else url.user
        thread = str(body.get("thread_ts") or "")
        message = Message(url.channel, world.new_ts(), BOT_USER, body["text"], blocks, thread=thread, to=to)
        world.put(message)
    url.uses += 1
    world.note(message, body, parsed=False)
    world.replies.setdefault(key, []).append(message)


def _posted(message: Message) -> Json:
    return {"channel": message.channel, "ts": message.ts, "message": message_json(message, with_metadata=True)}


def _is_parsed(arguments: Json, default: str) -> bool:
    return arguments.get("parse", default) != "none" or bool(arguments.get("link_names"))


def _limit(world: World, key: str, burst: float, per_second: float) -> None:
    wait = world.spend(key, burst, per_second) if world.rate_limits else 0.0
    if wait:
        raise RateLimited(wait)


def _own_message(world: World, channel: Channel, ts: Any, otherwise: str) -> Message:
    message = world.messages.get(channel.id, {}).get(str(ts))
    if message is None:
        raise Refused("message_not_found")
    if message.user != BOT_USER:
        raise Refused(otherwise)
    return message


def close_view(world: World, view: View) -> None:
    world.views[view.id] = replace(view, open=False)


METHODS = {
    "auth.test": Method(auth_test),
    "apps.connections.open": Method(connections_open, app_token=True),
    "chat.postMessage": Method(post_message, "chat:write"),
    "chat.postEphemeral": Method(post_ephemeral, "chat:write"),
    "chat.update": Method(update, "chat:write"),
    "chat.delete": Method(delete, "chat:write"),
    "views.open": Method(views_open),
    "views.update": Method(views_update),
    "views.publish": Method(views_publish),
    "conversations.open": Method(reading.conversations_open, "im:write"),
    "conversations.info": Method(reading.conversations_info),
    "conversations.history": Method(reading.conversations_history),
    "conversations.replies": Method(reading.conversations_replies),
    "usergroups.users.list": Method(reading.usergroups_users_list, "usergroups:read"),
    "users.info": Method(reading.users_info, "users:read"),
}
