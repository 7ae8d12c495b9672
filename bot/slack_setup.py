"""`mux slack manifest`: what makes the Slack app in one paste. `mux slack check`: is everything as the chat needs it?

The check posts nothing and changes nothing. Each finding is one line, with its fix below it; tokens are never shown.
"""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from board.errors import BoardMissing, MuxError
from board.model import BoardSettings, SlackSettings
from bot import boards, terminal
from bot.chat_start import NO_TOKENS
from bot.findings import Finding, Level, count, lines
from bot.place import Place, find
from bot.slack_client import Api, Failed, Tokens, Trouble, api_url, take_tokens
from runners import daemon

GREETING = 15.0  #: seconds that Slack has to greet a new connection

#: Without these there is no chat.
NEEDED = {
    "commands": "people type /mux",
    "chat:write": "mux posts, and edits what it posted",
    "users:read": "mux tells people from bots: only people decide",
}
#: Without these something is missing, as it says.
USEFUL = {
    "channels:history": "after a crash mux looks whether a message is there already, and does not post it twice",
    "groups:history": "the same in a private channel",
    "channels:read": "`mux slack check` can say whether mux is in its channel",
    "groups:read": "the same for a private channel",
    "im:write": "the channel may be a direct message",
}

_MANIFEST = """\
# Paste this at https://api.slack.com/apps: Create New App, From a manifest, YAML.
display_information:
  name: mux
  description: Asks before anything destructive, and says what became of the night
  background_color: "#1f2937"
features:
  bot_user:
    display_name: mux
    always_online: false
  slash_commands:
    - command: /mux
      description: What runs, what needs you, and the orders that you may give
      usage_hint: "status | requests | approve ID | help"
      should_escape: false
oauth_config:
  scopes:
    bot:
{scopes}
settings:
  interactivity:
    is_enabled: true
  org_deploy_enabled: false
  socket_mode_enabled: true
  token_rotation_enabled: false
"""

#: What Slack says of a token, and what to do.
_FIXES = {
    "missing_scope": "make the app anew from `mux slack manifest`, or add the scope and reinstall it",
    "not_allowed_token_type": "SLACK_BOT_TOKEN begins with xoxb-, SLACK_APP_TOKEN with xapp-",
    "link_disabled": "turn Socket Mode on: api.slack.com/apps, your app, Socket Mode",
}
_NEW_BOT_TOKEN = "copy it anew: api.slack.com/apps, your app, OAuth & Permissions"
_NEW_APP_TOKEN = (
    "make one with the scope connections:write: api.slack.com/apps, your app, Basic Information, App-Level Tokens"
)


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "manifest":
        print(manifest(), end="")
        return 0
    findings = []
    colour = terminal.colourful()
    for finding in check(arguments.board):
        findings.append(finding)
        print("\n".join(lines(finding, colour)), flush=True)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    print(f"{count(problems, 'problem')}, {count(warnings, 'warning')}")
    return 1 if problems else 0


def manifest() -> str:
    """YAML, as Slack takes it."""
    width = max(map(len, (*NEEDED, *USEFUL)))
    each = (f"      - {scope:{width}}  # {why}" for scope, why in (NEEDED | USEFUL).items())
    return _MANIFEST.format(scopes="\n".join(each))


def check(board: str | None) -> Iterator[Finding]:
    """In the order in which a person mends it: what hangs on a problem is not looked at."""
    place, settings = None, BoardSettings()
    try:
        place = find(board)
        settings = boards.seen(place).board.settings
    except BoardMissing:
        if board is not None:
            raise
        yield Finding(Level.WARNING, "there is no board here: only the tokens are looked at", "name one with --board")
    if place is not None and (settings.slack is None or settings.slack.channel is None):
        fix = "write into its front matter: slack: {channel: C0123ABCD, approvers: [U012ABCDEF]}"
        yield Finding(Level.PROBLEM, f"{place.path.name} names no channel", fix)
    slack = settings.slack or SlackSettings()
    try:
        url = api_url(slack.api_url, os.environ)
        tokens = take_tokens(dict(os.environ), Path.home())
    except MuxError as error:
        yield Finding(Level.PROBLEM, str(error))
        return
    if tokens is None:
        yield Finding(Level.PROBLEM, NO_TOKENS, "docs/slack.md says where they come from")
        return
    yield from _with_tokens(Api(tokens, url), tokens, slack, settings, place)


def _with_tokens(
    api: Api, tokens: Tokens, slack: SlackSettings, settings: BoardSettings, place: Place | None
) -> Iterator[Finding]:
    try:
        me, scopes = _who(api)
    except Failed as failed:
        yield _failed("the bot token", failed, _NEW_BOT_TOKEN)
        return
    team = str(me.get("team_id"))
    yield Finding(Level.OK, f"the bot token is of {me.get('team')} ({team}), where mux is {me.get('user_id')}")
    if slack.team not in (None, team):
        yield Finding(Level.PROBLEM, f"the board says team {slack.team}, the token is of {team}", f"team: {team}")
    if scopes is not None:
        yield from _scopes(scopes)
    yield from _socket(api, tokens, place)
    channels = dict.fromkeys([slack.channel, *(digest.channel for digest in settings.digests)])
    for channel in channels:
        if channel is not None:
            yield _channel(api, channel)
    if place is not None:
        yield from _people(api, slack, team)


def _who(api: Api) -> tuple[Mapping[str, Any], frozenset[str] | None]:
    """Who mux is, and its scopes; None where Slack does not tell. Raises Failed."""
    from bot.slack_client import failure_of

    try:
        answer = api.client.auth_test()
    except Exception as error:
        raise failure_of(error) from None
    told = next((value for name, value in answer.headers.items() if name.lower() == "x-oauth-scopes"), None)
    scopes = frozenset(part.strip() for part in str(told).split(",")) if told is not None else None
    assert isinstance(answer.data, dict)
    return answer.data, scopes


def _scopes(scopes: frozenset[str]) -> Iterator[Finding]:
    for scope, why in NEEDED.items():
        if scope not in scopes:
            yield Finding(Level.PROBLEM, f"the app lacks the scope {scope}: {why}", _FIXES["missing_scope"])
    lacks = [scope for scope in USEFUL if scope not in scopes]
    for scope in lacks:
        yield Finding(Level.WARNING, f"the app lacks the scope {scope}: {USEFUL[scope]}", _FIXES["missing_scope"])
    if not lacks and scopes.issuperset(NEEDED):
        yield Finding(Level.OK, "the app has every scope that mux uses")


def _socket(api: Api, tokens: Tokens, place: Place | None) -> Iterator[Finding]:
    try:
        address = str(api.client.apps_connections_open(app_token=tokens.app)["url"])
    except Exception as error:
        from bot.slack_client import failure_of

        yield _failed("Socket Mode", failure_of(error), _NEW_APP_TOKEN)
        return
    yield Finding(Level.OK, "the app token opens Socket Mode")
    if place is not None and daemon.running(place.folder) is not None:
        yield Finding(Level.OK, "mux runs and is connected or says why not: mux status; it is left alone")
    elif _greets(address, tokens):
        yield Finding(Level.OK, "Socket Mode connects")
    else:
        fix = "let this machine reach wss-primary.slack.com:443; proxies must pass WebSockets"
        yield Finding(Level.PROBLEM, f"Socket Mode did not connect within {GREETING:.0f} s", fix)


def _greets(address: str, tokens: Tokens) -> bool:
    """Whether Slack says hello on a new connection. Not while mux runs: it would take some of the clicks."""
    from slack_sdk.socket_mode import SocketModeClient

    from bot.slack_client import quiet_logger

    hello = threading.Event()

    def hear(message: str) -> None:
        if '"hello"' in message:
            hello.set()

    client = SocketModeClient(
        tokens.app, quiet_logger(), auto_reconnect_enabled=False, on_message_listeners=[hear], concurrency=1
    )
    client.wss_uri = address
    try:
        client.connect()
        return hello.wait(GREETING)
    except Exception:  # whatever the network says, the answer is no
        return False
    finally:
        client.close()


def _channel(api: Api, channel: str) -> Finding:
    try:
        found = api("conversations.info", channel=channel)["channel"]
    except Failed as failed:
        if failed.error.startswith("missing_scope"):
            return Finding(Level.WARNING, f"whether mux is in {channel} cannot be seen", _FIXES["missing_scope"])
        if failed.trouble is Trouble.CHANNEL:
            fix = "copy the id from the channel's details; in a private channel type: /invite @mux"
            return Finding(Level.PROBLEM, f"channel {channel} is not there, or mux may not see it", fix)
        return _failed(f"channel {channel}", failed, "")
    if found.get("is_archived"):
        return Finding(Level.PROBLEM, f"channel {channel} is archived", "take another, or unarchive it")
    if found.get("is_im") or found.get("is_member"):
        return Finding(Level.OK, f"mux is in channel {channel}")
    return Finding(Level.PROBLEM, f"mux is not in channel {channel}", "type there: /invite @mux")


def _people(api: Api, slack: SlackSettings, team: str) -> Iterator[Finding]:
    if not slack.approvers:
        text = "the board lists no approvers: in Slack nobody can decide, only at the terminal"
        yield Finding(Level.WARNING, text, "slack: {approvers: [U012ABCDEF]}; the id is in a person's profile")
    for user in dict.fromkeys((*slack.approvers, *slack.operators)):
        try:
            found = api("users.info", user=user)["user"]
        except Failed as failed:
            if failed.error.startswith("missing_scope"):
                yield Finding(Level.WARNING, "whether the people listed exist cannot be seen", _FIXES["missing_scope"])
                return
            if failed.error in ("user_not_found", "users_not_found", "user_not_visible"):
                fix = "copy the id anew: profile, three dots, Copy member ID"
                yield Finding(Level.PROBLEM, f"there is no user {user}", fix)
            else:
                yield _failed(f"user {user}", failed, "")
            continue
        yield _person(user, found, team)


def _person(user: str, found: Mapping[str, Any], team: str) -> Finding:
    if found.get("is_bot"):
        return Finding(Level.PROBLEM, f"{user} is a bot: bots never decide", "list people only")
    if found.get("deleted"):
        return Finding(Level.PROBLEM, f"{user} was deactivated", "take the id off the board")
    if found.get("team_id", team) != team:
        text = f"{user} is of another workspace, and would be refused"
        return Finding(Level.PROBLEM, text, "list people of the workspace that mux is in")
    return Finding(Level.OK, f"{user} is a person of this workspace")


def _failed(what: str, failed: Failed, fix: str) -> Finding:
    word = failed.error.partition(":")[0]
    if failed.trouble in (Trouble.AWAY, Trouble.NOT_SENT, Trouble.LIMITED):
        return Finding(
            Level.PROBLEM, f"{what}: Slack cannot be reached ({failed.error})", "look at the network; try again"
        )
    return Finding(Level.PROBLEM, f"{what} is refused ({failed.error})", _FIXES.get(word, fix))
