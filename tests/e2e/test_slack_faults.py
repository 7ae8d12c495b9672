"""Slack is away, ill, or cuts the line: the control plane goes on, and what was acknowledged is done."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.slack_client import TIMEOUT
from tests.e2e.conftest import Desk, section
from tests.e2e.fake_slack import ANA, BEN, CHANNEL, FakeSlack
from tests.e2e.slack_desk import KEYS, Chatting, offered
from tests.support import PATIENCE, wait_for


@pytest.fixture
def chat(desk: Desk, slack: FakeSlack) -> Chatting:
    return Chatting(desk, slack)


@pytest.fixture
def quiet(chat: Chatting) -> Chatting:
    """A board on which nothing runs."""
    chat.desk.write(section("a", status="draft"), keys=KEYS)
    chat.up()
    return chat


def until_state(chat: Chatting, state: str, why: str = "") -> None:
    def found() -> dict[str, Any]:
        return chat.desk.status()["chat"] or {"state": "", "why": ""}

    wait_for(lambda: found()["state"] == state and why in found()["why"], lambda: f"chat is {state}: {found()}")


def renewed(chat: Chatting, before: set[int]) -> Callable[[], bool]:
    return lambda: len({each.number for each in chat.slack.connections()} - before) >= 2


@pytest.mark.parametrize("how", ["warning", "refresh_requested", "close", "too_many_websockets", "cut", "freeze"])
def test_connections_come_back_and_what_was_acknowledged_is_done(quiet: Chatting, how: str) -> None:
    before = {each.number for each in quiet.slack.connections()}
    turns = [quiet.slack.slash(BEN, "status")]
    match how:
        case "cut":
            quiet.slack.cut()
        case "freeze":
            quiet.slack.freeze()
        case "close":
            quiet.slack.disconnect("refresh_requested", close=True)
        case reason:
            quiet.slack.disconnect(reason)
    deadline = time.monotonic() + 40
    while not renewed(quiet, before)() and time.monotonic() < deadline:
        turns.append(quiet.slack.slash(BEN, "status", wait=0.5))
    assert renewed(quiet, before)()
    # Who is answered late, or not, was told so by Slack; who was acknowledged gets an answer.
    for turn in [each for each in turns if each.acked]:
        wait_for(lambda turn=turn: turn.replies, "what was acknowledged is answered")
    # The client may hear a new connection only when it stopped listening to the old one: until then Slack says so.
    again = wait_for(lambda: [each for each in [quiet.slack.slash(BEN, "status")] if each.acked], "one is taken again")
    wait_for(lambda: again[0].replies, "and answered")
    assert [event["text"] for event in quiet.events("chat")] == []


def test_one_connection_refreshed_at_a_time_is_not_noticed(quiet: Chatting) -> None:
    first, _ = quiet.slack.connections()
    quiet.slack.disconnect("refresh_requested", first.number, close=True)
    turns = [quiet.slack.slash(BEN, "status") for _ in range(10)]
    assert not any(turn.error for turn in turns)


def test_socket_mode_turned_off_turns_the_chat_off_and_nothing_else(quiet: Chatting) -> None:
    quiet.slack.disconnect("link_disabled")
    until_state(quiet, "off", "link_disabled")
    calls = len(quiet.slack.calls("apps.connections.open"))
    quiet.desk.order("a")
    quiet.desk.until_on_board("a", "done")
    assert len(quiet.slack.calls("apps.connections.open")) <= calls + 1
    assert len([event for event in quiet.events("chat") if "link_disabled" in event["text"]]) == 1


def test_two_processes_with_one_token_are_mentioned(chat: Chatting) -> None:
    from slack_sdk import WebClient
    from websockets.sync.client import connect

    url = WebClient(base_url=chat.slack.api_url).apps_connections_open(app_token=chat.slack.app_token)["url"]
    chat.desk.write(section("a", status="draft"), keys=KEYS)
    with connect(str(url)):
        chat.desk.up()
        wait_for(lambda: any("another process" in event["text"] for event in chat.events("chat")), "the warning")


def test_slack_is_down_when_mux_starts(chat: Chatting) -> None:
    desk = chat.desk
    chat.slack.down()
    desk.write(section("a", desk.counted("a", 'mux ask "Which?" --choice red --choice blue')), keys=KEYS)
    desk.up()
    wait_for(lambda: desk.status()["requests"], "it asks")
    until_state(chat, "connecting")
    chat.slack.up()
    message = chat.request()
    assert offered(message)[:2] == ["request:red", "request:blue"]
    chat.connected()
    chat.slack.click(message, "request:red", ANA)
    desk.until_on_board("a", "done")


def test_a_night_without_slack_ends_in_one_message_for_each_request(quiet: Chatting) -> None:
    desk = quiet.desk
    quiet.slack.down()
    for number in range(3):
        desk.append(section(f"t{number}", 'mux ask "Which?" --choice red'))
    wait_for(lambda: len(desk.status()["requests"]) == 3, "they ask")
    for request in desk.status()["requests"][:2]:
        desk.mux("approve", request["id"])
    wait_for(lambda: len(desk.status()["requests"]) == 1, "two are over")
    quiet.slack.up()
    message = quiet.request()
    quiet.connected()
    asked = [each for each in quiet.slack.messages() if "request:" in str(each.metadata)]
    assert [each.ts for each in asked] == [message.ts]  # what came and went is not told
    quiet.slack.click(message, "request:red", BEN)
    quiet.until_says(message, "ben")


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "retry_after": 1}, {"cut": True}])
@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
def test_faults_at_the_start(chat: Chatting, method: str, fault: dict[str, Any]) -> None:
    chat.slack.fail(method, 2, **fault)
    chat.desk.write(section("a", status="draft"), keys=KEYS)
    chat.up()
    assert chat.say(BEN, "status").blocks


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "retry_after": 1}, {"cut": True}])
def test_faults_on_the_way_to_a_reply(quiet: Chatting, fault: dict[str, Any]) -> None:
    quiet.slack.fail("response_url", 1, **fault)
    assert quiet.say(BEN, "status").blocks


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "retry_after": 1}, {"cut": True}])
def test_faults_on_the_way_to_who_cannot_be_told_by_a_response_url(chat: Chatting, fault: dict[str, Any]) -> None:
    """A filled-in form has none."""
    chat.desk.write(section("a", 'mux ask "Which?"'), keys=KEYS)
    chat.up()
    message = chat.request()
    opened = chat.slack.click(message, "request:answer", ANA)
    (view,) = wait_for(lambda: opened.views, "the modal")
    chat.desk.mux("answer", chat.asked()["id"], "red")
    chat.slack.fail("chat.postEphemeral", 1, **fault)
    assert chat.slack.submit(view, {"answer": "blue"}).acked
    assert "decided already" in chat.told(ANA).text
    assert len(chat.slack.ephemerals(ANA)) == 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "retry_after": 1}, {"cut": True}])
def test_faults_on_the_way_to_an_order_s_reply_do_it_once(quiet: Chatting, fault: dict[str, Any]) -> None:
    quiet.slack.fail("response_url", 1, **fault)
    turn = quiet.slack.slash(ANA, "add Milk")
    assert "as a draft" in wait_for(lambda: turn.replies, "the reply")[0].text
    assert quiet.desk.board.read_text().count("Milk") == 1


@pytest.mark.parametrize("how", ["refresh_requested", "close", "cut"])
def test_orders_and_clicks_at_the_moment_of_a_reconnect_are_done_if_they_were_acknowledged(
    chat: Chatting, how: str
) -> None:
    """Given in a row while both connections go. What was not acknowledged Slack calls failed, done or not."""
    desk = chat.desk
    desk.write(section("a", 'mux ask "Which?" --choice red; sleep 1000'), keys=KEYS)
    chat.up()
    message = chat.request()
    before = {each.number for each in chat.slack.connections()}
    orders = [chat.slack.slash(ANA, f"add Order {number}", hold=True) for number in range(8)]
    click = chat.slack.click(message, "request:red", ANA, hold=True)
    turns = [*orders[:4], click, *orders[4:]]
    for turn in turns:
        turn.deliver(wait=0)
    match how:
        case "cut":
            chat.slack.cut()
        case "close":
            chat.slack.disconnect("refresh_requested", close=True)
        case reason:
            chat.slack.disconnect(reason)
    wait_for(renewed(chat, before), "two new connections")
    wait_for(lambda: chat.slack.slash(ANA, "status").acked, "it hears again")
    acked = [number for number, turn in enumerate(orders) if turn.acked]
    for number in acked:
        wait_for(lambda number=number: f"Order {number}" in desk.board.read_text(), f"order {number} is done")
        assert desk.board.read_text().count(f"Order {number}\n") == 1
    if click.acked:
        chat.until_says(message, "ana")
    assert len(chat.events("approved")) <= 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "retry_after": 1}, {"drop": True}])
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
def test_faults_of_posts(chat: Chatting, method: str, fault: dict[str, Any]) -> None:
    chat.slack.fail(method, 2, **fault)
    desk = chat.desk
    desk.write(section("a", 'mux ask "Which?" --choice red'), keys=KEYS)
    chat.up()
    message = chat.request()
    chat.slack.click(message, "request:red", ANA)
    chat.until_says(message, "ana")
    assert len([each for each in chat.slack.messages() if "request:" in str(each.metadata)]) == 1


def test_the_form_cannot_be_opened(chat: Chatting) -> None:
    chat.desk.write(section("a", 'mux ask "Which?"'), keys=KEYS)
    chat.up()
    for fault in ({"status": 500}, {"status": 429, "retry_after": 1}):
        chat.slack.fail("views.open", **fault)
        turn = chat.slack.click(chat.request(), "request:answer", ANA)
        reply = wait_for(lambda turn=turn: turn.replies, f"what to do instead, after {fault}")[0]
        assert "/mux answer" in reply.text
    assert chat.slack.views() == []


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-wrong"}, "invalid_auth"),
        ({"SLACK_APP_TOKEN": "xapp-wrong"}, "invalid_auth"),
        ({"SLACK_APP_TOKEN": ""}, "has no SLACK_APP_TOKEN"),
        ({"SLACK_BOT_TOKEN": "xoxp-a-persons"}, "is no token of that kind"),
        ({"SLACK_BOT_TOKEN": "", "SLACK_APP_TOKEN": ""}, "no tokens"),
    ],
)
def test_bad_tokens_turn_off_the_chat_and_nothing_else(chat: Chatting, names: dict[str, str], why: str) -> None:
    desk = chat.desk
    desk.environment |= {"HOME": str(desk.repository.parent), **names}
    desk.write(section("a", desk.counted("a")), keys=KEYS)
    plane = desk.up()
    desk.until_on_board("a", "done")
    until_state(chat, "off", why)
    assert why in desk.mux("status").stdout
    plane.send_signal(signal.SIGTERM)
    printed = plane.communicate(timeout=PATIENCE)[0]
    assert "Traceback" not in printed
    assert not [token for token in names.values() if token and token in printed + desk.mux("journal").stdout]


def test_the_team_on_the_board_is_another(chat: Chatting) -> None:
    chat.desk.write(section("a", status="draft"), keys=KEYS.replace("channel:", "team: T0OTHER, channel:"))
    chat.desk.up()
    until_state(chat, "off", "the board says T0OTHER")


def test_tokens_from_a_private_file(chat: Chatting, tmp_path: Path) -> None:
    desk = chat.desk
    file = tmp_path / "slack.env"
    file.write_text(
        f"# ours\nexport SLACK_BOT_TOKEN={chat.slack.bot_token}\nSLACK_APP_TOKEN='{chat.slack.app_token}'\n"
    )
    file.chmod(0o640)
    desk.environment |= {"SLACK_BOT_TOKEN": "", "SLACK_APP_TOKEN": "", "SLACK_TOKENS_FILE": str(file)}
    desk.write(section("a", status="draft"), keys=KEYS)
    plane = desk.up()
    until_state(chat, "off", "others may read it")
    plane.send_signal(signal.SIGTERM)
    plane.wait()
    file.chmod(0o600)
    chat.up()
    until_state(chat, "on")


def test_a_board_without_chat_has_none_and_one_that_gets_it_needs_no_restart(chat: Chatting) -> None:
    desk = chat.desk
    desk.write(section("a", status="draft"))
    desk.up()
    assert desk.status()["chat"] in (None, {"state": "off", "why": "the board has no `slack:`"})
    assert chat.slack.calls() == []
    desk.edit(lambda text: text.replace("restart: never", f"restart: never\nslack: {{channel: {CHANNEL}}}"))
    chat.connected()
    until_state(chat, "on")


def test_a_board_that_gives_its_chat_up_is_left(chat: Chatting) -> None:
    desk = chat.desk
    desk.write(section("a"), keys=KEYS)
    chat.up()
    desk.until_on_board("a", "done")  # from then on the file carries a revision, and what is gone from it is gone
    desk.edit(lambda text: text.replace(KEYS.splitlines()[0] + "\n", ""))
    wait_for(lambda: chat.slack.connections() == [], "it leaves")
    until_state(chat, "off", "the board has no `slack:`")


def test_a_channel_that_mux_is_not_in_is_behind_and_says_why(chat: Chatting) -> None:
    chat.desk.write(section("a", 'mux ask "Which?" --choice red'), keys=KEYS.replace(CHANNEL, "C0ELSEWHERE"))
    chat.up()
    until_state(chat, "behind", "not_in_channel")


def test_a_damaged_request_is_said_once_and_holds_up_no_click_on_another(chat: Chatting) -> None:
    message = chat.crashed()
    requests = chat.desk.folder / "requests"
    (requests / "0123456789ab.json").write_text("{")
    wait_for(lambda: any("0123456789ab" in event["text"] for event in chat.desk.journal()), "it is said")
    chat.slack.click(message, "request:deny", ANA)
    wait_for(lambda: chat.events("denied"), "the other is decided")
    chat.until_says(message, "ana")
    assert len([event for event in chat.desk.journal() if "0123456789ab" in event["text"]]) == 1


def test_the_end_is_quick(quiet: Chatting) -> None:
    ends_soon(quiet)


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
def test_the_end_is_quick_while_slack_does_not_answer_at_the_start(chat: Chatting, method: str) -> None:
    chat.slack.fail(method, 9, hang=60)
    chat.desk.write(section("a", status="draft"), keys=KEYS)
    chat.desk.up()
    wait_for(lambda: chat.slack.hanging(method), "it waits for Slack")
    ends_soon(chat)
    assert [event["text"] for event in chat.events("chat")] == []


def ends_soon(chat: Chatting) -> None:
    plane = chat.desk.planes[-1]
    begun = time.monotonic()
    plane.send_signal(signal.SIGTERM)
    assert plane.wait(PATIENCE) == 0
    assert time.monotonic() - begun < TIMEOUT - 3  # 1 s for Slack, the rest for a busy machine


def test_the_end_is_quick_while_a_message_is_on_its_way_and_it_stands_once(chat: Chatting) -> None:
    chat.slack.fail("chat.postMessage", 1, hang=5)
    chat.desk.write(section("a", 'mux ask "Which?" --choice red'), keys=KEYS)
    chat.up()
    wait_for(lambda: chat.slack.hanging("chat.postMessage"), "it waits for Slack")
    ends_soon(chat)
    wait_for(chat.slack.messages, "it arrives all the same")
    chat.up()
    message = chat.request()
    chat.slack.click(message, "request:red", ANA)
    chat.until_says(message, "ana")
    assert len([each for each in chat.slack.messages() if "request:" in str(each.metadata)]) == 1
    assert [event["text"] for event in chat.events("chat") if "cannot be reached" in event["text"]] == []


@pytest.mark.parametrize("method", ["users.info", "views.open", "response_url"])
def test_the_end_is_quick_while_somebody_waits_for_slack_and_nothing_is_lost(chat: Chatting, method: str) -> None:
    """What was acknowledged is done, or refused and in the journal; the question still asks."""
    chat.slack.fail(method, 9, hang=60)
    chat.desk.write(section("a", 'mux ask "Which?" --choice red; sleep 1000'), keys=KEYS)
    chat.up()
    message = chat.request()
    match method:
        case "users.info":
            chat.slack.click(message, "request:deny", ANA)
        case "views.open":
            chat.desk.append(section("b", 'mux ask "Why?"; sleep 1000'))
            chat.slack.click(chat.request("Why?"), "request:answer", ANA)
        case "response_url":
            chat.slack.slash(ANA, "add Milk")
    wait_for(lambda: chat.slack.hanging(method), "it waits for Slack")
    ends_soon(chat)
    assert ("Milk" in chat.desk.board.read_text()) == (method == "response_url")
    chat.slack.heal()
    chat.up()
    chat.slack.click(message, "request:red", ANA)
    chat.until_says(message, "ana")
    assert len(chat.events("refused")) == (method == "users.info")
