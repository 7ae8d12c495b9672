"""The local Slack, with the real client on the other end of the socket: Bolt, in Socket Mode."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.e2e.fake_slack import ANA, BEN, CHANNEL, EVE, OTHER_BOT, FakeSlack
from tests.e2e.test_fake_slack_strict import actions, button, modal, plain, section, select
from tests.support import PATIENCE, wait_for

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]


class Robot:
    """A small bot: it answers commands, buttons, modals and events, and keeps every body that it got."""

    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack
        client = WebClient(slack.bot_token, base_url=slack.api_url)
        self.app = App(client=client, token_verification_enabled=False)
        self.handlers: list[SocketModeHandler] = []
        self.bodies: list[Json] = []
        self.retries: list[str] = []
        self.goes_on = threading.Event()  # before that no command is acked
        self.goes_on.set()
        self.app.command("/mux")(self.command)
        self.app.action("approve")(self.approve)
        self.app.action("ask")(self.ask)
        self.app.action("pick")(self.keep)
        self.app.view("answer")(self.answer)
        self.app.view_closed("answer")(self.keep)
        self.app.event("app_home_opened")(self.opened)

    def connect(self, ping_interval: float = 10) -> SocketModeHandler:
        handler = SocketModeHandler(self.app, self.slack.app_token, ping_interval=ping_interval)
        self.handlers.append(handler)
        handler.connect()
        wait_for(lambda: len(self.slack.connections()) >= len(self.handlers), "connected")
        return handler

    def close(self) -> None:
        """The client waits 3 s for the socket before it closes it, unless the other side ends it first."""
        for handler in self.handlers:
            handler.client.auto_reconnect_enabled = False
        self.slack.cut()
        for handler in self.handlers:
            handler.close()

    def keep(self, ack: Callable[..., Any], body: Json) -> None:
        self.bodies.append(body)  # first: who waits for the ack finds it
        ack()

    def command(self, ack: Callable[..., Any], body: Json, respond: Callable[..., Any], client: WebClient) -> None:
        self.goes_on.wait(PATIENCE)
        self.bodies.append(body)
        if body["text"] == "quick":
            ack("at once")
            return
        ack()
        blocks = [section("Restart *one*?"), actions(button(value="r1"), button("Ask", "ask"), select(("A", "a")))]
        if body["text"] == "post":
            client.chat_postMessage(channel=body["channel_id"], text="Restart one?", blocks=blocks)
        else:
            respond(text=f"you said {body['text']}", blocks=[*blocks])

    def approve(self, ack: Callable[..., Any], body: Json, respond: Callable[..., Any]) -> None:
        self.keep(ack, body)
        respond(text=f"approved by {body['user']['name']}", blocks=[], replace_original=True)

    def ask(self, ack: Callable[..., Any], body: Json, client: WebClient) -> None:
        self.keep(ack, body)
        line = {"type": "plain_text_input", "action_id": "text", "max_length": 300}
        asked = {"type": "input", "block_id": "why", "label": plain("Why?"), "element": line}
        choice = {
            "type": "input",
            "block_id": "how",
            "label": plain("How?"),
            "element": select(("In place", "in-place")),
        }
        view = modal(asked, {**choice, "optional": True}, callback_id="answer", notify_on_close=True)
        client.views_open(trigger_id=body["trigger_id"], view={**view, "private_metadata": "r1"})

    def answer(self, ack: Callable[..., Any], body: Json, view: Json) -> None:
        self.bodies.append(body)
        said = view["state"]["values"]["why"]["text"]["value"]
        if said == "nonsense":
            ack(response_action="errors", errors={"who": "no such input"})
        elif said == "because":
            ack(response_action="errors", errors={"why": "say more"})
        elif said == "next":
            ack(response_action="update", view=modal(section("Thank you"), callback_id="answer"))
        else:
            ack()

    def opened(self, event: Json, body: Json, request: Any, client: WebClient) -> None:
        self.retries += request.headers.get("x-slack-retry-num", [])
        self.bodies.append(body)
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [section("3 running")]})


@pytest.fixture
def robot(slack: FakeSlack) -> Iterator[Robot]:
    made = Robot(slack)
    yield made
    made.close()


@pytest.fixture
def bot(robot: Robot) -> Robot:
    robot.connect()
    return robot


def new_link(slack: FakeSlack) -> str:
    return str(WebClient(base_url=slack.api_url).apps_connections_open(app_token=slack.app_token)["url"])


def test_a_command_is_acked_and_answered(slack: FakeSlack, bot: Robot) -> None:
    turn = slack.slash(ANA, "status")
    assert turn.acked and not turn.error and turn.latency < 3
    (reply,) = wait_for(lambda: turn.replies, "the answer")
    assert (reply.text, reply.to, reply.channel) == ("you said status", ANA, CHANNEL)
    assert slack.ephemerals(ANA) == [reply] and slack.ephemerals(BEN) == [] and slack.messages() == []
    (body,) = bot.bodies
    assert (body["user_id"], body["user_name"], body["team_id"]) == (ANA, "ana", "T0MUX")
    assert (body["channel_id"], body["channel_name"], body["api_app_id"]) == (CHANNEL, "mux", "A0MUX")
    assert [ack.envelope_id for ack in slack.acks()] == [turn.envelope["envelope_id"]]


def test_an_ack_can_carry_the_answer(slack: FakeSlack, bot: Robot) -> None:
    turn = slack.slash(ANA, "quick")
    assert [(each.text, each.to) for each in turn.replies] == [("at once", ANA)]
    assert turn.answer["text"] == "at once"
    private = slack.slash(ANA, "quick", channel=ANA)
    assert bot.bodies[-1]["channel_name"] == "directmessage" and private.replies[0].channel.startswith("D")


def test_a_click_says_who_where_and_what(slack: FakeSlack, bot: Robot) -> None:
    slack.slash(ANA, "post")
    (message,) = wait_for(slack.messages, "the message")
    turn = slack.click(message, "approve", BEN)
    assert turn.acked
    edited = wait_for(lambda: slack.message(message.ts).edits and slack.message(message.ts), "the edit")
    assert (edited.text, edited.blocks) == ("approved by ben", ())
    body = bot.bodies[-1]
    assert body["user"] == {"id": BEN, "username": "ben", "name": "ben", "team_id": "T0MUX"}
    assert body["team"]["id"] == "T0MUX" and body["api_app_id"] == "A0MUX"
    assert (body["enterprise"], body["is_enterprise_install"]) == (None, False)
    assert body["container"]["message_ts"] == message.ts == body["message"]["ts"]
    assert body["container"]["channel_id"] == body["channel"]["id"] == CHANNEL
    (action,) = body["actions"]
    assert (action["action_id"], action["value"], action["type"]) == ("approve", "r1", "button")
    assert body["response_url"] == turn.response_url and body["trigger_id"] == turn.trigger

    with pytest.raises(LookupError, match=r"nothing to click is called 'approve'; there are: \[\]"):
        slack.click(edited, "approve")
    assert slack.click(message, "approve", ANA).acked  # a window that still shows the old version


def test_a_click_in_an_ephemeral_message(slack: FakeSlack, bot: Robot) -> None:
    turn = slack.slash(ANA, "status")
    (reply,) = wait_for(lambda: turn.replies, "the answer")
    slack.click(reply, "pick", choice="a")
    body = wait_for(lambda: [each for each in bot.bodies if "actions" in each], "the click")[0]
    assert body["container"]["is_ephemeral"] and "message" not in body
    assert body["actions"][0]["selected_option"]["value"] == "a"
    with pytest.raises(LookupError, match="only U0ANA sees"):
        slack.click(reply, "approve", BEN)
    slack.click(reply, "approve")
    wait_for(lambda: slack.ephemerals(ANA)[0].text == "approved by ana", "the edit")


def test_a_modal(slack: FakeSlack, bot: Robot) -> None:
    slack.slash(ANA, "post")
    (message,) = wait_for(slack.messages, "the message")
    turn = slack.click(message, "ask")
    (view,) = wait_for(lambda: turn.views, "the modal")
    with pytest.raises(ValueError, match="the form asks for a value"):
        slack.submit(view, {})
    with pytest.raises(LookupError, match="no option"):
        slack.submit(view, {"why": "x", "how": "sideways"})
    assert slack.submit(view, {"why": "nonsense"}).error == "invalid_ack: no inputs of the modal: ['who']"
    assert slack.submit(view, {"why": "because"}).errors == {"why": "say more"}
    assert slack.views() == [view]
    slack.submit(view, {"why": "next", "how": "in-place"})
    body = bot.bodies[-1]["view"]
    assert (body["private_metadata"], body["callback_id"], body["id"]) == ("r1", "answer", view.id)
    assert body["state"]["values"]["how"]["pick"]["selected_option"]["value"] == "in-place"
    (view,) = slack.views()
    assert view.view["blocks"][0]["text"]["text"] == "Thank you"


def test_a_modal_is_closed(slack: FakeSlack, bot: Robot) -> None:
    slack.slash(ANA, "post")
    (message,) = wait_for(slack.messages, "the message")
    for end in ("submit", "close"):
        turn = slack.click(message, "ask")
        (view,) = wait_for(lambda turn=turn: turn.views, "the modal")
        if end == "submit":
            assert slack.submit(view, {"why": "a good reason"}).acked
        else:
            closed = slack.close(view)
            assert closed and closed.acked and bot.bodies[-1]["type"] == "view_closed"
        assert slack.views() == []


def test_the_home_tab(slack: FakeSlack, bot: Robot) -> None:
    turn = slack.event({"type": "app_home_opened", "user": BEN, "tab": "home"})
    assert turn.acked
    wait_for(lambda: slack.home(BEN), "the Home tab")
    turn.deliver(retry_attempt=1)
    wait_for(lambda: len(bot.bodies) == 2, "the second delivery")
    assert bot.retries == ["1"] and len({each["event_id"] for each in bot.bodies}) == 1


def test_the_same_envelope_twice_and_late(slack: FakeSlack, bot: Robot) -> None:
    turn = slack.slash(ANA, "status", hold=True)
    assert bot.bodies == [] and not turn.acked
    slack.pass_time(60)
    for _ in range(2):
        turn.deliver()
    wait_for(lambda: len(bot.bodies) == 2, "both")
    assert len(turn.acks) == 2 and {each.envelope_id for each in slack.acks()} == {turn.envelope["envelope_id"]}


def test_a_late_ack_is_an_error_for_the_person(slack: FakeSlack, bot: Robot) -> None:
    bot.goes_on.clear()
    turn = slack.slash(ANA, "status", wait=0.2)
    assert turn.error == "operation_timeout" and not turn.acked
    bot.goes_on.set()
    wait_for(lambda: turn.acked, "the ack")
    assert turn.latency >= 0.2 and turn.error == "operation_timeout"


def test_nobody_is_there(slack: FakeSlack) -> None:
    assert slack.slash(ANA, "status").error == "dispatch_failed"


def test_strangers_bots_and_forgeries_look_as_they_do_in_slack(slack: FakeSlack, bot: Robot) -> None:
    slack.slash(ANA, "post")
    (message,) = wait_for(slack.messages, "the message")
    slack.click(message, "pick", EVE, choice="a")
    slack.click(message, "pick", OTHER_BOT, choice="a")
    slack.click(message, "pick", ANA, choice="a", overrides={"api_app_id": "A0OTHER"})
    slack.slash(EVE, "status")
    _, stranger, robot, forged, command = bot.bodies
    assert (stranger["user"]["team_id"], stranger["team"]["id"]) == ("T0STRANGERS", "T0MUX")
    assert (robot["user"]["id"], forged["api_app_id"], command["team_id"]) == (OTHER_BOT, "A0OTHER", "T0STRANGERS")


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_refresh_and_reconnect(slack: FakeSlack, bot: Robot, reason: str) -> None:
    (first,) = slack.connections()
    slack.disconnect(reason)
    wait_for(lambda: [each for each in slack.connections() if each != first], "a new connection")
    wait_for(lambda: first not in slack.connections(), "the old connection is gone")
    turn = slack.slash(ANA, "status")
    wait_for(lambda: turn.acked, "the ack")
    assert turn.connections == [slack.connections()[-1].number] != [first.number]


def test_two_connections_close_the_gap_of_a_refresh(slack: FakeSlack, bot: Robot) -> None:
    bot.connect()
    first, second = slack.connections()
    assert {slack.slash(ANA, "status").connections[0] for _ in range(4)} == {first.number, second.number}
    slack.disconnect("refresh_requested", first.number, close=True)
    turns = [slack.slash(ANA, "status") for _ in range(10)]
    assert not any(each.error for each in turns) and all(each.latency < 3 for each in turns)
    assert first.number not in {number for each in turns for number in each.connections}


def test_a_cut_cable_and_a_reconnect(slack: FakeSlack, robot: Robot) -> None:
    robot.connect(ping_interval=1)
    (before,) = slack.connections()
    slack.cut()
    wait_for(lambda: slack.connections() and before not in slack.connections(), "a new connection, and no old one")
    assert slack.slash(ANA, "status").acked


def test_down_and_up_again(slack: FakeSlack, robot: Robot) -> None:
    robot.connect(ping_interval=1)
    slack.down()
    assert slack.connections() == []
    assert slack.slash(ANA, "status").error == "dispatch_failed"
    slack.up()
    wait_for(slack.connections, "a new connection")
    assert slack.slash(ANA, "status").acked


def test_a_frozen_connection_says_nothing(slack: FakeSlack) -> None:
    with connect(new_link(slack)) as link:
        hello = json.loads(link.recv())
        assert (hello["type"], hello["num_connections"]) == ("hello", 1)
        assert hello["connection_info"] == {"app_id": "A0MUX"}
        assert link.ping("are you there").wait(PATIENCE)
        wait_for(lambda: slack.connections()[0].pings == 1, "the ping is counted")
        slack.freeze()
        assert slack.slash(ANA, "status", wait=0.1).error == "operation_timeout"
        pong = link.ping("and now")
        with pytest.raises(TimeoutError):
            link.recv(timeout=0.3)
        assert not pong.is_set()
        slack.cut()


def test_hello_counts_and_eleven_are_too_many(slack: FakeSlack) -> None:
    with ExitStack() as stack:
        links, first = [], []
        for _ in range(11):
            links.append(stack.enter_context(connect(new_link(slack))))
            first.append(json.loads(links[-1].recv()))
        assert [each.get("num_connections") for each in first[:10]] == list(range(1, 11))
        assert (first[10]["type"], first[10]["reason"]) == ("disconnect", "too_many_websockets")
        with pytest.raises(ConnectionClosed):
            links[10].recv(timeout=PATIENCE)


def test_tickets_are_for_one_use_and_for_a_while(slack: FakeSlack) -> None:
    url = new_link(slack)
    with connect(url) as link:
        link.recv()
    late = new_link(slack)
    for each, age in ((url, 0), (f"ws://127.0.0.1:{slack.port}/link/?ticket=guess", 0), (late, 60)):
        slack.pass_time(age)
        with pytest.raises(InvalidStatus, match="403"), connect(each):
            pass


def test_socket_mode_is_turned_off(slack: FakeSlack) -> None:
    with connect(new_link(slack)) as link:
        link.recv()
        slack.disconnect("link_disabled")
        assert json.loads(link.recv())["reason"] == "link_disabled"
        with pytest.raises(ConnectionClosed):
            link.recv(timeout=PATIENCE)
    with pytest.raises(SlackApiError, match="link_disabled"):
        new_link(slack)
    slack.enable_socket_mode()
    new_link(slack)


def test_a_wrong_app_token_does_not_connect(slack: FakeSlack, robot: Robot) -> None:
    handler = SocketModeHandler(robot.app, "xapp-wrong")
    robot.handlers.append(handler)
    with pytest.raises(SlackApiError, match="invalid_auth"):
        handler.connect()


def ask(url: str, body: Json | None = None) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_driven_from_another_process(slack: FakeSlack, bot: Robot) -> None:
    control = f"{slack.url}/control"
    _, text = ask(f"{control}/slash", {"user": ANA, "text": "post"})
    assert json.loads(text)["acked"] is True
    (message,) = wait_for(slack.messages, "the message")
    assert "[ Approve ]" in ask(f"{control}/text?channel={CHANNEL}")[1]
    assert json.loads(ask(f"{control}/messages")[1])[0]["ts"] == message.ts
    ask(f"{control}/click", {"ts": message.ts, "action_id": "ask", "user": BEN})
    (view,) = wait_for(slack.views, "the modal")
    assert view.user == BEN
    _, text = ask(f"{control}/submit", {"values": {"why": "because"}})
    assert json.loads(text)["answer"]["errors"] == {"why": "say more"}
    ask(f"{control}/fail", {"method": "auth.test", "status": 500})
    assert ask(f"{slack.api_url}auth.test", {})[0] == 500
    status, text = ask(f"{control}/click", {"ts": message.ts, "action_id": "destroy"})
    assert status == 400 and "there are: ['approve', 'ask', 'pick']" in text
    assert ask(f"{control}/world", {})[0] == 400


def test_by_hand() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.fake_slack", "--scopes", "chat:write,commands"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as program:
        try:
            assert program.stdin and program.stdout
            settings = dict(program.stdout.readline().strip().split("=", 1) for _ in range(3))
            program.stdout.readline()
            client = WebClient(settings["SLACK_BOT_TOKEN"], base_url=settings["SLACK_BASE_URL"])
            client.chat_postMessage(channel=CHANNEL, text="Restart?", blocks=[section("Restart?"), actions(button())])
            shown = [program.stdout.readline() for _ in range(3)]
            assert shown[0].startswith(f"#1 in {CHANNEL}: mux") and shown[2].strip() == "[ Approve ]"
            program.stdout.readline()
            for line, answer in (
                ("/mux status", "-- not acked: dispatch_failed"),
                ("as U0BEN", ""),
                ("click 1 approve", "-- not acked: dispatch_failed"),
                ("click 1 destroy", "nothing to click"),
                ("dance", "/mux …"),
            ):
                program.stdin.write(f"{line}\n")
                assert not answer or answer in program.stdout.readline()
            program.stdin.write("quit\n")
            program.stdin.close()
            assert program.wait(PATIENCE) == 0
        finally:
            if program.poll() is None:
                program.send_signal(signal.SIGKILL)
