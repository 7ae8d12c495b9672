"""The methods of the local Slack that only look something up, and how things are shown in answers."""

from __future__ import annotations

from tests.e2e.fake_slack_strict import Json, Refused
from tests.e2e.fake_slack_world import APP, BOT, BOT_USER, TEAM, Channel, Message, User, World


def need_scope(world: World, scope: str) -> None:
    if scope not in world.scopes:
        raise Refused("missing_scope", needed=scope, provided=",".join(sorted(world.scopes)))


def scope_of(channel: Channel, kind: str) -> str:
    return f"{'im' if channel.person else 'groups' if channel.private else 'channels'}:{kind}"


def conversations_open(world: World, arguments: Json) -> Json:
    people = [each for each in str(arguments.get("users") or "").split(",") if each]
    if not people:
        raise Refused("users_list_not_supplied")
    if len(people) > 1:
        raise Refused("method_not_supported_for_channel_type")
    return {"channel": {"id": world.direct(people[0]).id}}


def conversations_info(world: World, arguments: Json) -> Json:
    channel = world.channel(arguments.get("channel"))
    need_scope(world, scope_of(channel, "read"))
    kind = {"is_im": bool(channel.person), "is_private": channel.private, "is_channel": not channel.private}
    state = {"is_archived": channel.archived, "is_member": BOT_USER in channel.members}
    return {"channel": {"id": channel.id, "name": channel.name, **kind, **state}}


def conversations_history(world: World, arguments: Json) -> Json:
    channel = _readable(world, arguments)
    top = [each for each in world.messages.get(channel.id, {}).values() if not each.thread]
    return _page(world, arguments, sorted(top, key=lambda each: float(each.ts), reverse=True))


def conversations_replies(world: World, arguments: Json) -> Json:
    channel = _readable(world, arguments)
    start = str(arguments.get("ts"))
    if start not in world.messages.get(channel.id, {}):
        raise Refused("thread_not_found")
    thread = [each for each in world.messages[channel.id].values() if start in (each.ts, each.thread)]
    return _page(world, arguments, sorted(thread, key=lambda each: float(each.ts)))


def usergroups_users_list(world: World, arguments: Json) -> Json:
    if arguments.get("usergroup") not in world.groups:
        raise Refused("no_such_subteam")
    return {"users": list(world.groups[arguments["usergroup"]])}


def users_info(world: World, arguments: Json) -> Json:
    user = world.users.get(str(arguments.get("user")))
    if user is None:
        raise Refused("user_not_found")
    return {"user": user_json(user)}


def user_json(user: User) -> Json:
    flags = {"is_bot": user.is_bot, "deleted": False, "is_stranger": user.team != TEAM}
    profile = {"real_name": user.name.title(), "display_name": user.name}
    return {"id": user.id, "team_id": user.team, "name": user.name, "tz": "Europe/Berlin", "profile": profile, **flags}


def message_json(message: Message, with_metadata: bool = False) -> Json:
    """As Slack shows a message in answers and payloads."""
    shown: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text, "team": TEAM}
    if message.user == BOT_USER:
        shown |= {"bot_id": BOT, "app_id": APP}
    if message.blocks:
        shown["blocks"] = list(message.blocks)
    if message.thread:
        shown["thread_ts"] = message.thread
    if message.earlier:
        shown["edited"] = {"user": BOT_USER, "ts": message.ts}
    if message.client_msg_id:
        shown["client_msg_id"] = message.client_msg_id
    if message.metadata and with_metadata:
        shown["metadata"] = message.metadata
    return shown


def _readable(world: World, arguments: Json) -> Channel:
    channel = world.channel(arguments.get("channel"))
    need_scope(world, scope_of(channel, "history"))
    if BOT_USER not in channel.members:
        raise Refused("not_in_channel")
    return channel


def _page(world: World, arguments: Json, messages: list[Message]) -> Json:
    oldest, latest = float(arguments.get("oldest") or 0), float(arguments.get("latest") or "inf")
    edge = (oldest, latest) if arguments.get("inclusive") else ()
    found = [each for each in messages if oldest < float(each.ts) < latest or float(each.ts) in edge]
    start, limit = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 100)
    if not 1 <= limit <= 999:
        raise Refused("invalid_limit")
    more = start + limit < len(found)
    shown = [message_json(each, bool(arguments.get("include_all_metadata"))) for each in found[start : start + limit]]
    cursor = str(start + limit) if more else ""
    return {"messages": shown, "has_more": more, "response_metadata": {"next_cursor": cursor}}
