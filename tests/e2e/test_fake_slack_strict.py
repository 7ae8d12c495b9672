"""The local Slack refuses what Slack refuses: asked with the real Web client."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import RemoteDisconnected
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler
from slack_sdk.webhook import WebhookClient

from tests.e2e.fake_slack import ANA, BEN, CHANNEL, ELSEWHERE, SCOPES, SECRET, FakeSlack
from tests.e2e.fake_slack_text import as_text, view_as_text
from tests.support import wait_for

Json = dict[str, Any]
READING = {"channels:history", "channels:read", "im:history", "users:read", "usergroups:read"}


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str, **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(text: str = "Approve", action: str = "approve", **more: Any) -> Json:
    return {"type": "button", "text": plain(text), "action_id": action, **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def confirm(title: str = "Sure?", text: str = "It discards work.", yes: str = "Yes", no: str = "No") -> Json:
    return {"title": plain(title), "text": plain(text), "confirm": plain(yes), "deny": plain(no)}


def select(*options: tuple[str, str]) -> Json:
    offered = [{"text": plain(text), "value": value} for text, value in options]
    return {"type": "static_select", "action_id": "pick", "placeholder": plain("Pick"), "options": offered}


def modal(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain("Answer"), "submit": plain("Send"), "blocks": list(blocks), **more}


def client_of(slack: FakeSlack, **more: Any) -> WebClient:
    """Without the client's own second try after a broken connection."""
    return WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[], **more)


@pytest.fixture
def client(slack: FakeSlack) -> WebClient:
    return client_of(slack)


@pytest.fixture
def reader() -> Iterator[tuple[FakeSlack, WebClient]]:
    """A Slack in which the bot may read, too."""
    with FakeSlack(scopes=SCOPES | READING) as slack:
        yield slack, client_of(slack)


def refused(call: Any, *arguments: Any, **more: Any) -> Any:
    """The answer to a call that must not go through."""
    with pytest.raises(SlackApiError) as caught:
        call(*arguments, **more)
    return caught.value.response


GOOD = {
    "a section": [section("*bold* &amp; <https://example.org|a link>")],
    "a header, a divider, a context": [
        {"type": "header", "text": plain("h" * 150)},
        {"type": "divider"},
        {"type": "context", "elements": [mrkdwn("small"), plain("too")]},
    ],
    "a button with a confirm dialog": [
        actions(button("b" * 75, value="v" * 2000, style="danger", confirm=confirm("t" * 100, "x" * 300, "y" * 30)))
    ],
    "a select": [actions(select(("o" * 75, "v" * 150)))],
    "a button beside a section": [section("s" * 3000, accessory=button())],
    "fields": [{"type": "section", "fields": [mrkdwn("f" * 2000), plain("x")]}],
    "fifty blocks": [{"type": "divider"}] * 50,
    "names as long as they may be": [{"type": "divider", "block_id": "b" * 255}, actions(button(action="a" * 255))],
}
BAD = {
    "an unknown block": ([{"type": "marquee", "text": plain("x")}], "/blocks/0/type"),
    "no type": ([{"text": plain("x")}], "/blocks/0/type"),
    "no block at all": (["text"], "/blocks/0"),
    "a section without text": ([{"type": "section"}], "/blocks/0"),
    "empty text": ([section("")], "/blocks/0/text/text"),
    "a long section": ([section("s" * 3001)], "/blocks/0"),
    "a long header": ([{"type": "header", "text": plain("h" * 151)}], "/blocks/0"),
    "mrkdwn in a header": ([{"type": "header", "text": mrkdwn("h")}], "/blocks/0/text"),
    "a key that blocks do not have": ([section("x", colour="red")], "/blocks/0/colour"),
    "a key that buttons do not have": ([actions(button(tooltip="x"))], "/blocks/0/elements/0/tooltip"),
    "an unknown element": ([actions(button(), {"type": "slider"})], "/blocks/0/elements/1"),
    "no elements": ([actions()], "/blocks/0/elements"),
    "too many elements": ([actions(*(button(action=str(each)) for each in range(26)))], "/blocks/0"),
    "mrkdwn in a button": ([actions({**button(), "text": mrkdwn("x")})], "/blocks/0/elements/0/text"),
    "a long button": ([actions(button("b" * 76))], "/blocks/0"),
    "a long button beside a section": ([section("x", accessory=button("b" * 76))], "/blocks/0"),
    "a long value": ([actions(button(value="v" * 2001))], "/blocks/0"),
    "a style that there is not": ([actions(button(style="warning"))], "/blocks/0"),
    "a long action id": ([actions(button(action="a" * 256))], "/blocks/0"),
    "a long block id": ([{"type": "divider", "block_id": "b" * 256}], "/blocks/0"),
    "the same action id twice": ([actions(button(), button())], "/blocks/0"),
    "the same block id twice": ([{"type": "divider", "block_id": "b"}] * 2, "/blocks/1/block_id"),
    "a long confirm title": ([actions(button(confirm=confirm(title="t" * 101)))], "/blocks/0"),
    "a long confirm text": ([actions(button(confirm=confirm(text="t" * 301)))], "/blocks/0"),
    "a long confirm button": ([actions(button(confirm=confirm(yes="y" * 31)))], "/blocks/0"),
    "mrkdwn in a confirm title": (
        [actions(button(confirm={**confirm(), "title": mrkdwn("x")}))],
        "/blocks/0/elements/0/confirm/title",
    ),
    "a long option": ([actions(select(("o" * 76, "v")))], "/blocks/0/elements/0/options/0/text"),
    "an option without a value": ([actions(select(("o", "")))], "/blocks/0/elements/0/options/0/value"),
    "a long field": ([{"type": "section", "fields": [mrkdwn("f" * 2001)]}], "/blocks/0/fields/0"),
    "fifty-one blocks": ([{"type": "divider"}] * 51, "/blocks"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_blocks_are_taken(slack: FakeSlack, client: WebClient, name: str) -> None:
    client.chat_postMessage(channel=CHANNEL, text="x", blocks=GOOD[name])
    (message,) = slack.messages()
    for stored, given in zip(message.blocks, GOOD[name], strict=True):
        assert stored == {"block_id": stored["block_id"], **given}
    assert all(block["block_id"] for block in message.blocks)


@pytest.mark.parametrize("name", BAD)
def test_bad_blocks_are_refused(slack: FakeSlack, client: WebClient, name: str) -> None:
    blocks, pointer = BAD[name]
    answer = refused(client.chat_postMessage, channel=CHANNEL, text="x", blocks=blocks)
    assert answer["error"] == "invalid_blocks"
    assert any(f"json-pointer:{pointer}]" in each for each in answer["response_metadata"]["messages"]), answer
    assert slack.messages() == [] and slack.calls("chat.postMessage")[0].error == "invalid_blocks"


def test_messages_have_text_and_limits(slack: FakeSlack, client: WebClient) -> None:
    with pytest.warns(UserWarning, match="text"):
        assert refused(client.chat_postMessage, channel=CHANNEL, blocks=[section("x")])["error"] == "no_text"
    with pytest.warns(UserWarning, match="text"):
        assert refused(client.chat_postMessage, channel=CHANNEL, text=" ")["error"] == "no_text"
    assert refused(client.chat_postMessage, channel=CHANNEL, text="x" * 40_001)["error"] == "msg_too_long"
    much = [section("x" * 2900) for _ in range(5)]
    assert refused(client.chat_postMessage, channel=CHANNEL, text="x", blocks=much)["error"] == "msg_blocks_too_long"
    broken = refused(client.chat_postMessage, channel=CHANNEL, text="x", blocks='{"type"')
    assert broken["error"] == "invalid_blocks_format"
    metadata = {"event_type": "mux"}
    answer = refused(client.chat_postMessage, channel=CHANNEL, text="x", metadata=metadata)
    assert answer["error"] == "invalid_metadata_format"
    ts = client.chat_postMessage(channel=CHANNEL, text="x" * 40_000)["ts"]
    assert refused(client.chat_update, channel=CHANNEL, ts=ts, text="x" * 4001)["error"] == "msg_too_long"


def test_channels(slack: FakeSlack, client: WebClient) -> None:
    post = client.chat_postMessage
    assert refused(post, channel="C0NOWHERE", text="x")["error"] == "channel_not_found"
    assert refused(post, channel=SECRET, text="x")["error"] == "channel_not_found"
    assert refused(post, channel=ELSEWHERE, text="x")["error"] == "not_in_channel"
    ts = post(channel=CHANNEL, text="x")["ts"]
    assert refused(post, channel=CHANNEL, text="x", thread_ts="1.000000")["error"] == "thread_not_found"
    post(channel=CHANNEL, text="below", thread_ts=ts)
    assert [each.text for each in slack.thread(ts)] == ["below"]
    slack.add_channel("C0QUIET", "quiet", [ANA])
    assert refused(client.chat_postEphemeral, channel="C0QUIET", user=ANA, text="x")["error"] == "not_in_channel"
    slack.add_channel("C0SMALL", "small", ["U0BOT"])
    assert refused(client.chat_postEphemeral, channel="C0SMALL", user=ANA, text="x")["error"] == "user_not_in_channel"
    slack.archive(CHANNEL)
    assert refused(post, channel=CHANNEL, text="x")["error"] == "is_archived"


def test_edits(slack: FakeSlack, client: WebClient) -> None:
    sent = client.chat_postMessage(channel=CHANNEL, text="one", blocks=[section("one"), actions(button())])
    where = {"channel": CHANNEL, "ts": sent["ts"], "parse": "none"}
    before = slack.message(sent["ts"])
    client.chat_update(**where, text="two")
    after = slack.message(sent["ts"])
    assert (after.text, after.blocks, after.edits) == ("two", before.blocks, 1)
    client.chat_update(**where, text="three", blocks=[section("three")])
    assert slack.message(sent["ts"]).blocks[0]["text"]["text"] == "three"
    client.chat_update(**where, text="four", blocks=[])
    assert slack.message(sent["ts"]).blocks == ()
    assert [each.text for each in slack.message(sent["ts"]).earlier] == ["one", "two", "three"]
    assert refused(client.chat_update, channel=CHANNEL, ts="1.000000", text="x")["error"] == "message_not_found"
    foreign = slack.say(ANA, "mine")
    for call, error in ((client.chat_update, "cant_update_message"), (client.chat_delete, "cant_delete_message")):
        more = {"text": "x"} if call == client.chat_update else {}
        assert refused(call, channel=CHANNEL, ts=foreign.ts, **more)["error"] == error
    client.chat_delete(channel=CHANNEL, ts=sent["ts"])
    assert [each.text for each in slack.messages()] == ["mine"]
    assert refused(client.chat_delete, channel=CHANNEL, ts=sent["ts"])["error"] == "message_not_found"


def test_tokens_and_scopes(slack: FakeSlack, client: WebClient) -> None:
    def error(token: str, call: str, **arguments: Any) -> str:
        return str(refused(WebClient(token, base_url=slack.api_url).api_call, call, **arguments)["error"])

    assert error("", "auth.test") == "not_authed"
    assert error("xoxb-wrong", "auth.test") == "invalid_auth"
    assert error("xapp-wrong", "apps.connections.open") == "invalid_auth"
    assert error(slack.bot_token, "apps.connections.open") == "not_allowed_token_type"
    assert error(slack.app_token, "chat.postMessage") == "not_allowed_token_type"
    assert error(slack.bot_token, "chat.shout") == "unknown_method"
    assert client.auth_test()["user_id"] == "U0BOT"
    answer = refused(client.conversations_history, channel=CHANNEL)
    assert (answer["error"], answer["needed"]) == ("missing_scope", "channels:history")
    assert answer["provided"] == "chat:write,commands,im:write,users:read"
    with FakeSlack(scopes={"commands"}) as other:
        assert refused(client_of(other).chat_postMessage, channel=CHANNEL, text="x")["needed"] == "chat:write"
    slack.fail("chat.postMessage", error="token_revoked")
    assert refused(client.chat_postMessage, channel=CHANNEL, text="x")["error"] == "token_revoked"


def test_reading(reader: tuple[FakeSlack, WebClient]) -> None:
    slack, client = reader
    slack.add_group("S0ONCALL", [ANA, BEN])
    assert client.usergroups_users_list(usergroup="S0ONCALL")["users"] == [ANA, BEN]
    assert refused(client.usergroups_users_list, usergroup="S0NONE")["error"] == "no_such_subteam"
    assert client.users_info(user=ANA)["user"]["name"] == "ana"
    assert refused(client.users_info, user="U0NOBODY")["error"] == "user_not_found"
    channel = client.conversations_open(users=ANA)["channel"]["id"]
    assert client.conversations_open(users=[ANA])["channel"]["id"] == channel
    client.chat_postMessage(channel=ANA, text="to her")
    assert [each.channel for each in slack.messages(ANA)] == [channel]
    info = client.conversations_info(channel=CHANNEL)["channel"]
    assert (info["name"], info["is_member"], info["is_archived"]) == ("mux", True, False)

    first = client.chat_postMessage(channel=CHANNEL, text="0")["ts"]
    client.chat_postMessage(channel=CHANNEL, text="below", thread_ts=first)
    for number in range(1, 5):
        client.chat_postMessage(channel=CHANNEL, text=str(number))
    seen: list[str] = []
    cursor = ""
    while not seen or cursor:
        page = client.conversations_history(channel=CHANNEL, limit=2, cursor=cursor)
        seen += [each["text"] for each in page["messages"]]
        cursor = page["response_metadata"]["next_cursor"]
    assert seen == ["4", "3", "2", "1", "0"]
    newer = client.conversations_history(channel=CHANNEL, oldest=first)["messages"]
    assert [each["text"] for each in newer] == ["4", "3", "2", "1"]
    thread = client.conversations_replies(channel=CHANNEL, ts=first)["messages"]
    assert [each["text"] for each in thread] == ["0", "below"]


def test_found_again_after_a_crash(reader: tuple[FakeSlack, WebClient]) -> None:
    """The answer is lost, the message is there: by its metadata, and a second post with its id is the first one."""
    slack, client = reader
    post: Json = {"channel": CHANNEL, "text": "x", "client_msg_id": "6c4b"}
    metadata = {"event_type": "mux_request", "event_payload": {"id": "r1"}}
    slack.fail("chat.postMessage", drop=True)
    with pytest.raises(RemoteDisconnected):
        client.chat_postMessage(**post, metadata=metadata)
    assert slack.calls("chat.postMessage")[0].status == 0
    (found,) = client.conversations_history(channel=CHANNEL, include_all_metadata=True)["messages"]
    assert found["metadata"] == metadata
    assert "metadata" not in client.conversations_history(channel=CHANNEL)["messages"][0]
    assert client.chat_postMessage(**post)["ts"] == found["ts"]
    assert len(slack.messages()) == 1


def test_the_client_tries_again_by_itself_and_posts_twice(slack: FakeSlack) -> None:
    """What the retry of the default client does with a lost answer, unless the message has an id of its own."""
    client = client_of(slack)
    client.retry_handlers.append(ConnectionErrorRetryHandler())
    slack.fail("chat.postMessage", drop=True)
    client.chat_postMessage(channel=CHANNEL, text="x")
    assert len(slack.messages()) == 2
    slack.fail("chat.postMessage", drop=True)
    client.chat_postMessage(channel=CHANNEL, text="y", client_msg_id="6c4b")
    assert len(slack.messages()) == 3


def test_faults(slack: FakeSlack, client: WebClient) -> None:
    slack.fail("chat.postMessage", times=2, status=500)
    for _ in range(2):
        assert refused(client.chat_postMessage, channel=CHANNEL, text="x").status_code == 500
    slack.fail("chat.postMessage", cut=True)
    with pytest.raises(RemoteDisconnected):
        client.chat_postMessage(channel=CHANNEL, text="x")
    slack.fail("*", hang=30)
    with pytest.raises(TimeoutError):
        client_of(slack, timeout=1).chat_postMessage(channel=CHANNEL, text="x")
    wait_for(lambda: slack.hanging("chat.postMessage"), "that call has met its fault, and no other will")
    slack.fail("chat.postMessage", status=429, retry_after=7)
    answer = refused(client.chat_postMessage, channel=CHANNEL, text="x")
    assert (answer.status_code, answer["error"], answer.headers["Retry-After"]) == (429, "ratelimited", "7")
    assert slack.messages() == []
    slack.fail("*", times=99, status=500)
    slack.heal()
    client.chat_postMessage(channel=CHANNEL, text="x")


def test_the_client_waits_for_a_429(slack: FakeSlack, client: WebClient) -> None:
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    slack.fail("chat.postMessage", status=429, retry_after=1)
    client.chat_postMessage(channel=CHANNEL, text="x")
    first, second = slack.calls("chat.postMessage")
    assert (first.status, second.status) == (429, 200) and second.at - first.at >= 1
    assert len(slack.messages()) == 1


def test_down_and_up_on_the_same_port(slack: FakeSlack, client: WebClient) -> None:
    before = slack.api_url
    slack.down()
    with pytest.raises(OSError, match="refused"):
        client.chat_postMessage(channel=CHANNEL, text="x")
    slack.up()
    assert slack.api_url == before
    client.chat_postMessage(channel=CHANNEL, text="x")


def test_rate_limits_when_asked_for() -> None:
    with FakeSlack(rate_limits=True) as slack:
        slack.stop_clock()  # nothing is filled up beneath the test
        client = client_of(slack)
        sent = [client.chat_postMessage(channel=CHANNEL, text="x")["ts"] for _ in range(2)]
        answer = refused(client.chat_postMessage, channel=CHANNEL, text="x")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        client.chat_postMessage(channel=BEN, text="another channel has a limit of its own")
        slack.pass_time(1)
        client.chat_postMessage(channel=CHANNEL, text="x")
        edit = {"channel": CHANNEL, "ts": sent[0], "text": "y"}
        for _ in range(50):
            client.chat_update(**edit)
        assert refused(client.chat_update, **edit).status_code == 429


def test_nobody_is_pinged_and_nothing_unfurled_unseen(slack: FakeSlack, client: WebClient) -> None:
    quiet: Json = {"channel": CHANNEL, "unfurl_links": False, "unfurl_media": False}
    client.chat_postMessage(**quiet, text="&lt;!channel&gt; @here", blocks=[actions(button("<!here>"))])
    assert (slack.pings(), slack.links()) == ([], [])
    client.chat_postMessage(channel=CHANNEL, text="<!channel>", blocks=[section(f"<@{ANA}> <!subteam^S1|x> <!here|h>")])
    assert [each.what for each in slack.pings()] == ["!channel", f"@{ANA}", "!subteam^S1", "!here"]
    client.chat_postMessage(**quiet, text="see <https://example.org/a|it> and https://example.org/b")
    client.chat_postMessage(channel=CHANNEL, text="x", blocks=[actions(button(url="https://example.org/c"))])
    links = [(each.url.rpartition("/")[2], each.unfurls) for each in slack.links()]
    assert links == [("a", False), ("b", False), ("c", True)]
    ts = slack.messages()[0].ts
    client.chat_update(channel=CHANNEL, ts=ts, text="@channel", parse="none")
    assert len(slack.pings()) == 4
    client.chat_update(channel=CHANNEL, ts=ts, text="@channel")
    assert slack.pings()[-1].what == "@channel"


def test_response_urls_wear_out(slack: FakeSlack) -> None:
    turn = slack.slash(ANA, "status", hold=True)
    webhook = WebhookClient(turn.response_url)
    assert webhook.send(text="").status_code == 404
    for number in range(5):
        assert webhook.send(text=str(number)).body == "ok"
    assert "used_url" in webhook.send(text="5").body
    assert [each.text for each in turn.replies] == ["0", "1", "2", "3", "4"]
    assert slack.ephemerals(ANA) == turn.replies and slack.messages() == []
    other = slack.slash(ANA, "status", hold=True)
    WebhookClient(other.response_url).send(text="to all", response_type="in_channel")
    assert [each.text for each in slack.messages()] == ["to all"]
    slack.pass_time(31 * 60)
    assert "expired_url" in WebhookClient(other.response_url).send(text="x").body
    assert "expired_url" in WebhookClient(f"{slack.url}/respond/T0/1/guess").send(text="x").body


BAD_VIEWS = {
    "a long title": modal(section("x"), title=plain("t" * 25)),
    "no title": {**modal(section("x")), "title": None},
    "mrkdwn in the title": modal(section("x"), title=mrkdwn("t")),
    "an unknown key": modal(section("x"), colour="red"),
    "a long submit": modal(section("x"), submit=plain("t" * 25)),
    "long private metadata": modal(section("x"), private_metadata="p" * 3001),
}


@pytest.mark.parametrize("name", BAD_VIEWS)
def test_bad_views_are_refused(slack: FakeSlack, client: WebClient, name: str) -> None:
    trigger = slack.slash(ANA, hold=True).trigger
    assert refused(client.views_open, trigger_id=trigger, view=BAD_VIEWS[name])["error"] == "invalid_arguments"
    assert slack.views() == []


def test_triggers_work_once_and_for_three_seconds(slack: FakeSlack, client: WebClient) -> None:
    assert refused(client.views_open, trigger_id="guess", view=modal(section("x")))["error"] == "invalid_trigger_id"
    trigger = slack.slash(ANA, hold=True).trigger
    bad = refused(client.views_open, trigger_id=trigger, view=modal(section("s" * 3001)))
    assert bad["error"] == "invalid_blocks"
    client.views_open(trigger_id=trigger, view=modal(section("x")))
    assert refused(client.views_open, trigger_id=trigger, view=modal(section("x")))["error"] == "exchanged_trigger_id"
    late = slack.slash(ANA, hold=True).trigger
    slack.pass_time(3.5)
    assert refused(client.views_open, trigger_id=late, view=modal(section("x")))["error"] == "expired_trigger_id"


def test_views_are_updated_and_published(slack: FakeSlack, client: WebClient) -> None:
    opened = client.views_open(trigger_id=slack.slash(ANA, hold=True).trigger, view=modal(section("x")))["view"]
    assert refused(client.views_update, view_id="V0", view=modal(section("y")))["error"] == "not_found"
    client.views_update(view_id=opened["id"], hash=opened["hash"], view=modal(section("y")))
    stale = refused(client.views_update, view_id=opened["id"], hash=opened["hash"], view=modal(section("z")))
    assert stale["error"] == "hash_conflict"
    assert "y" in view_as_text(slack.views()[0])
    home = {"type": "home", "blocks": [section("3 running")]}
    client.views_publish(user_id=ANA, view=home)
    shown = slack.home(ANA)
    assert shown and "3 running" in view_as_text(shown) and slack.home(BEN) is None
    assert refused(client.views_publish, user_id="U0NOBODY", view=home)["error"] == "user_not_found"
    assert refused(client.views_publish, user_id=ANA, view=modal(section("x")))["error"] == "invalid_arguments"


def test_a_message_as_a_person_sees_it(slack: FakeSlack, client: WebClient) -> None:
    blocks = [
        {"type": "header", "text": plain("Shop")},
        section(f"*2 &lt;running&gt;*, see <https://example.org|the log>, by <@{ANA}>", accessory=button("Open", "o")),
        {"type": "divider"},
        actions(button("Approve", "approve"), button("Deny", "deny"), select(("Here", "h"), ("There", "t"))),
        {"type": "context", "elements": [mrkdwn("rev 17")]},
    ]
    client.chat_postMessage(channel=CHANNEL, text="fallback", blocks=blocks)
    (message,) = slack.messages()
    head, *lines = as_text(message, {ANA: "ana"}).splitlines()
    assert head.startswith("mux  ")
    assert [line.strip() for line in lines] == [
        "",
        "SHOP",
        "*2 <running>*, see the log (https://example.org), by @ana",
        "[ Open ]",
        "-" * 40,
        "[ Approve ]  [ Deny ]  < Here | There >",
        "rev 17",
    ]
    client.chat_postEphemeral(channel=CHANNEL, user=ANA, text="for you")
    assert "only visible to ana" in slack.as_text()


def test_its_own_mistakes_do_not_pass() -> None:
    broken = FakeSlack()
    broken.up()
    broken.world.channels = None  # type: ignore[assignment]
    with pytest.raises(OSError):
        client_of(broken).chat_postMessage(channel=CHANNEL, text="x")
    wait_for(lambda: broken._server and broken._server.bugs, "the mistake is noted")
    with pytest.raises(AssertionError, match="itself failed"):
        broken.stop()
