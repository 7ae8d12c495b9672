"""Who may decide, on every surface: over the real socket, with real requests. Denied means that nothing happens."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from board.storage import read_json
from tests.e2e.conftest import Desk, section
from tests.e2e.fake_slack import ANA, BEN, BOT_USER, CHANNEL, ELSEWHERE, EVE, OTHER_BOT, FakeSlack
from tests.e2e.fake_slack_acts import Turn
from tests.e2e.fake_slack_world import Message
from tests.e2e.slack_desk import KEYS, Chatting, offered, words_of
from tests.support import wait_for

STRANGER = "U0STRANGER"
#: Everybody here is on the list of approvers, but for the stranger: the list alone must not do.
LISTED = KEYS.replace(f"[{ANA}, {BEN}]", f"[{ANA}, {BEN}, {EVE}, {BOT_USER}]")

WHO: dict[str, tuple[str, dict[str, Any]]] = {
    "a stranger": (STRANGER, {}),
    "a person of another workspace": (EVE, {}),
    "mux's own user": (BOT_USER, {}),
    "a bot": (OTHER_BOT, {}),
    "another app": (ANA, {"api_app_id": "A0OTHER"}),
}


@pytest.fixture
def chat(desk: Desk, slack: FakeSlack) -> Chatting:
    slack.add_user(STRANGER, "nobody")
    return Chatting(desk, slack)


@pytest.fixture
def asked(chat: Chatting) -> Chatting:
    """A worker asks a question that takes a choice or any text."""
    desk = chat.desk
    answer = desk.repository.parent / "answer"
    script = f'mux ask "Which?" > "{answer}"; echo $? >> "{answer}"; sleep 1000'
    desk.write(section("a", script), keys=LISTED)
    chat.up()
    return chat


def undecided(chat: Chatting) -> None:
    assert chat.asked()["decided"] is None
    assert chat.events("approved") == chat.events("answered") == chat.events("denied") == []


def refused(chat: Chatting, turn: Turn, user: str) -> None:
    """Only who did it is told, the journal knows it, and the message is as it was."""
    wait_for(lambda: len(chat.events("refused")) == 1, "it is in the journal")
    assert user in chat.events("refused")[0]["text"]
    told = wait_for(lambda: turn.replies or chat.slack.ephemerals(), "an answer")
    assert {each.to for each in told} == {user} and "Not allowed" in told[-1].text
    assert {each.to for each in chat.slack.ephemerals()} == {user}
    undecided(chat)


@pytest.mark.parametrize("who", WHO)
def test_a_button(asked: Chatting, who: str) -> None:
    user, overrides = WHO[who]
    message = asked.request()
    refused(asked, asked.slack.click(message, "request:deny", user, overrides=overrides), user)
    assert offered(asked.now(message)) == offered(message)


@pytest.mark.parametrize("who", WHO)
def test_a_command(asked: Chatting, who: str) -> None:
    user, overrides = WHO[who]
    asked.request()
    request = asked.asked()
    refused(asked, asked.slack.slash(user, f"answer {request['id']} blue", overrides=overrides), user)


@pytest.mark.parametrize("who", WHO)
def test_a_modal(asked: Chatting, who: str) -> None:
    """One that an approver opened; another one's submission of it."""
    user, overrides = WHO[who]
    opened = asked.slack.click(asked.request(), "request:answer", ANA)
    (view,) = wait_for(lambda: opened.views, "the modal")
    team = asked.slack.world.users[user].team
    forged = {"user": {"id": user, "name": "x", "team_id": team}, **overrides}
    turn = asked.slack.submit(view, {"answer": "blue"}, overrides=forged)
    refused(asked, turn, user)


@pytest.mark.parametrize("who", ["a stranger", "a person of another workspace"])
def test_nobody_else_opens_the_modal(asked: Chatting, who: str) -> None:
    user, _ = WHO[who]
    turn = asked.slack.click(asked.request(), "request:answer", user)
    refused(asked, turn, user)
    assert turn.views == []


@pytest.mark.parametrize("channel", [ELSEWHERE, ANA])
def test_elsewhere_mux_says_nothing(asked: Chatting, channel: str) -> None:
    asked.request()
    request = asked.asked()
    for text in ("status", f"answer {request['id']} blue"):
        assert "only in the channel" in words_of(asked.say(ANA, text, channel=channel))
    undecided(asked)


def test_strangers_of_the_workspace_may_read_and_others_may_not(asked: Chatting) -> None:
    assert "Not allowed" not in asked.say(STRANGER, "status").text
    for command in ("start a", "stop a", "restart a", "add x", "logs a"):
        assert "Not allowed" in asked.say(STRANGER, command).text
    assert "Not allowed" in asked.say(EVE, "status").text
    assert asked.desk.task("a")["status"] != "stopped"


def test_operators_start_and_stop_and_decide_nothing(chat: Chatting) -> None:
    desk = chat.desk
    keys = KEYS.replace(f"[{ANA}, {BEN}]", f"[{ANA}], operators: [{BEN}]")
    desk.write(section("a", desk.counted("a", "sleep 1000"), status="draft"), keys=keys)
    chat.up()
    chat.say(BEN, "start a")
    desk.until_on_board("a", "running")
    assert "Not allowed" in chat.say(BEN, "logs a").text and "Not allowed" in chat.say(BEN, "add x").text
    assert "Not allowed" in chat.say(BEN, "restart a").text
    chat.say(BEN, "stop a")
    desk.until_on_board("a", "stopped")


def test_what_approvers_are_asked_no_operator_decides_by_a_start_or_a_stop(chat: Chatting) -> None:
    keys = KEYS.replace(f"[{ANA}, {BEN}]", f"[{ANA}], operators: [{BEN}]")
    message = chat.crashed(keys=keys)
    for order in ("start a", "stop a"):
        assert "an approver decides that" in chat.say(BEN, order).text
    assert "Not allowed" in chat.say(BEN, "restart a --how in-place").text
    assert chat.desk.task("a")["attempt"] == 1 and offered(chat.request())
    chat.say(ANA, "start a")
    wait_for(lambda: chat.desk.task("a")["attempt"] == 2, "an approver's start is a decision")
    chat.until_says(message, "*Started* by ", ANA)


def test_an_empty_list_approves_nobody_until_the_board_names_somebody(chat: Chatting) -> None:
    desk = chat.desk
    desk.write(section("a", 'mux ask "Which?" --choice red'), keys=f"slack: {{channel: {CHANNEL}}}\n")
    chat.up()
    message = chat.request()
    refused(chat, chat.slack.click(message, "request:red", ANA), ANA)
    desk.edit(lambda text: text.replace(f"channel: {CHANNEL}", f"channel: {CHANNEL}, approvers: [{ANA}]"))
    told = f"slack approvers: [] -> [{ANA}]"
    wait_for(lambda: any(told in words_of(each) for each in chat.slack.messages()), "everybody is told")
    chat.slack.click(message, "request:red", ANA)
    chat.until_says(message, "ana")


def hears_of_rules(chat: Chatting, channel: str) -> bool:
    return any(f"slack channel: {CHANNEL} -&gt; C0NEW" in each.text for each in chat.slack.messages(channel))


def test_a_channel_that_changed_while_mux_was_down_is_told_in_both(chat: Chatting) -> None:
    chat.slack.add_channel("C0NEW", "new", chat.slack.world.channels[CHANNEL].members)
    chat.desk.write(section("a", status="draft"), keys=KEYS)
    chat.up()
    wait_for(
        lambda: (read_json(chat.desk.folder / "told.json") or {}).get("channel") == CHANNEL, "it knows its channel"
    )
    chat.desk.kill(chat.desk.planes[-1])
    chat.desk.edit(lambda text: text.replace(f"channel: {CHANNEL}", "channel: C0NEW"))
    chat.up()
    for channel in (CHANNEL, "C0NEW"):
        wait_for(lambda channel=channel: hears_of_rules(chat, channel), f"{channel} hears that the rules changed")


def test_a_question_moves_with_the_channel_and_is_decided_where_it_is_asked_now(chat: Chatting) -> None:
    message = chat.crashed()
    everybody = chat.slack.world.channels[CHANNEL].members
    chat.slack.add_channel("C0NEW", "new", everybody)
    chat.desk.edit(lambda text: text.replace(f"channel: {CHANNEL}", "channel: C0NEW"))
    chat.until_says(message, "Moved to <#C0NEW>")
    assert offered(chat.now(message)) == []
    turn = chat.slack.click(message, "request:in-place", ANA)  # a window that still shows the buttons
    assert "only in the channel" in wait_for(lambda: turn.replies, "an answer")[0].text

    def asked() -> list[Message]:
        return [each for each in chat.slack.messages("C0NEW") if offered(each)]

    (again,) = wait_for(asked, "it is asked there")
    told = wait_for(lambda: [each for each in chat.slack.messages() if "answers there only" in words_of(each)], "told")
    for channel in (CHANNEL, "C0NEW"):
        wait_for(lambda channel=channel: hears_of_rules(chat, channel), "everybody hears that the rules changed")
    chat.slack.click(again, "request:in-place", ANA)
    wait_for(lambda: chat.desk.runs("a") == 2, "it goes on")
    wait_for(lambda: "ana" in words_of(chat.slack.message(again.ts, "C0NEW")), "it says who decided")
    assert (
        len(told) == 1 and len([each for each in chat.slack.messages("C0NEW") if "request:" in str(each.metadata)]) == 1
    )


def test_a_choice_that_was_never_offered(asked: Chatting) -> None:
    message = asked.request()
    request = asked.asked()
    for action in ("request:checkpoint", "request:", "request:expired"):
        forged = [{"action_id": action, "value": request["id"], "type": "button", "action_ts": message.ts}]
        turn = asked.slack.click(message, "request:deny", ANA, overrides={"actions": forged})
        assert "no such answer" in wait_for(lambda turn=turn: turn.replies, "an answer")[0].text
    undecided(asked)


def test_clicked_twice_and_by_two_at_the_same_moment(chat: Chatting) -> None:
    message = chat.crashed()
    turns = [
        chat.slack.click(message, "request:in-place", ANA, hold=True),
        chat.slack.click(message, "request:checkpoint", BEN, hold=True),
        chat.slack.click(message, "request:in-place", ANA, hold=True),
    ]
    threads = [threading.Thread(target=turn.deliver) for turn in turns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(turn.acked for turn in turns)
    wait_for(lambda: sum(bool(turn.replies) for turn in turns) == 2, "two are told that they were late")
    assert all("decided already" in reply.text for turn in turns for reply in turn.replies)
    assert len(chat.events("approved")) == 1  # orders are carried out one after the other
    (winner,) = [turn for turn in turns if not turn.replies]
    name = winner.envelope["payload"]["user"]["name"]
    chat.until_says(message, name)
    wait_for(lambda: chat.desk.runs("a") == 2, "it goes on, once")


def test_after_the_tree_changed_a_click_does_nothing_and_a_new_question_asks(chat: Chatting) -> None:
    message = chat.crashed()
    (chat.desk.home("a") / "mine").write_text("a person's\n")
    chat.slack.click(message, "request:checkpoint", ANA)
    again = wait_for(
        lambda: [each for each in chat.slack.messages() if each.ts != message.ts and offered(each)], "a new question"
    )
    wait_for(lambda: offered(chat.now(message)) == [], "the old question takes no answer")
    assert chat.desk.runs("a") == 1 and (chat.desk.home("a") / "mine").exists()
    chat.slack.click(again[0], "request:in-place", ANA)
    wait_for(lambda: chat.desk.runs("a") == 2, "it goes on")


def test_after_it_expired(chat: Chatting) -> None:
    desk = chat.desk
    desk.write(section("a", 'mux gate "deploy" --timeout 10s; sleep 1000', status="draft"), keys=KEYS)
    chat.up()
    desk.order("a")  # Slack is there already: it is asked long before it expires
    message = chat.request()
    chat.until_says(message, "Expired")
    assert offered(chat.now(message)) == []
    turn = chat.slack.click(message, "request:approve", ANA)  # a window that still shows the button
    assert "expired" in wait_for(lambda: turn.replies, "an answer")[0].text
    assert chat.events("approved") == []


def test_after_a_kill_of_the_control_plane(chat: Chatting) -> None:
    message = chat.crashed()
    chat.desk.kill(chat.desk.planes[-1])
    assert chat.slack.click(message, "request:in-place", ANA, wait=0.5).error
    assert chat.desk.runs("a") == 1
    chat.up()
    chat.slack.click(message, "request:in-place", ANA)
    wait_for(lambda: chat.desk.runs("a") == 2, "it goes on")
    chat.until_says(message, "ana")
    assert [each.ts for each in chat.slack.messages() if not each.thread] == [message.ts]


def test_delivered_twice_and_late(chat: Chatting) -> None:
    desk = chat.desk
    desk.write(section("a", desk.counted("a", "sleep 1000"), status="draft"), keys=KEYS)
    chat.up()
    turn = chat.slack.slash(ANA, "add Once only", hold=True)
    turn.deliver()
    turn.deliver(retry_attempt=1)
    wait_for(lambda: turn.replies, "the reply")
    assert len(turn.acks) == 2
    chat.say(ANA, "status")
    assert desk.board.read_text().count("Once only") == 1 and len(turn.replies) == 1
    # Delivered again to a mux that was started meanwhile, which cannot know it.
    desk.planes[-1].send_signal(signal.SIGTERM)
    desk.planes[-1].wait()
    chat.up()
    turn.deliver(retry_attempt=2)
    assert "not done again" in wait_for(lambda: turn.replies[1:], "a polite answer")[0].text
    assert desk.board.read_text().count("Once only") == 1


def started_anew(chat: Chatting) -> None:
    plane = chat.desk.planes[-1]
    plane.send_signal(signal.SIGTERM)
    plane.wait()
    chat.up()


def test_a_click_delivered_twice_and_late(chat: Chatting) -> None:
    message = chat.crashed()
    turn = chat.slack.click(message, "request:in-place", ANA, hold=True)
    turn.deliver()
    turn.deliver(retry_attempt=1)
    chat.until_says(message, "ana")
    wait_for(lambda: chat.desk.runs("a") == 2, "it goes on")
    chat.say(ANA, "status")
    assert len(turn.acks) == 2 and turn.replies == [] and len(chat.events("approved")) == 1
    started_anew(chat)  # which cannot know it
    turn.deliver(retry_attempt=2)
    assert "decided already" in wait_for(lambda: turn.replies, "a polite answer")[0].text
    assert len(chat.events("approved")) == 1 and chat.desk.runs("a") == 2


def test_a_filled_in_form_delivered_twice_and_late(asked: Chatting) -> None:
    answer = asked.desk.repository.parent / "answer"
    opened = asked.slack.click(asked.request(), "request:answer", ANA)
    (view,) = wait_for(lambda: opened.views, "the modal")
    turn = asked.slack.submit(view, {"answer": "blue"}, hold=True)
    turn.deliver()
    turn.deliver(retry_attempt=1)
    wait_for(lambda: answer.exists() and answer.read_text() == "blue\n0\n", "the worker has it, once")
    asked.say(ANA, "status")
    assert len(turn.acks) == 2 and asked.slack.ephemerals(ANA)[0].text.startswith("shop")
    started_anew(asked)
    turn.deliver(retry_attempt=2)
    assert "decided already" in asked.told(ANA, 2).text
    assert len(asked.events("answered")) == 1 and answer.read_text() == "blue\n0\n"


def test_a_first_delivery_may_count_its_attempts_from_0(chat: Chatting) -> None:
    chat.desk.write(section("a", status="draft"), keys=KEYS)
    chat.up()
    turn = chat.slack.slash(ANA, "add Once only", hold=True)
    turn.envelope |= {"retry_attempt": 0, "retry_reason": ""}
    turn.deliver()
    assert "as a draft" in wait_for(lambda: turn.replies, "it is done")[0].text


def test_a_click_of_an_hour_ago(chat: Chatting) -> None:
    message = chat.crashed()
    request = chat.asked()
    stale = [{"action_id": "request:in-place", "value": request["id"], "type": "button", "action_ts": "1700000000.1"}]
    turn = chat.slack.click(message, "request:in-place", ANA, overrides={"actions": stale})
    assert "too late" in wait_for(lambda: turn.replies, "a polite answer")[0].text
    assert chat.asked()["decided"] is None


def test_where_the_response_url_is_over_the_answer_comes_another_way(asked: Chatting) -> None:
    turn = asked.slack.click(asked.request(), "request:deny", STRANGER, hold=True)
    asked.slack.pass_time(3600)
    turn.deliver()
    assert "Not allowed" in asked.told(STRANGER).text and turn.replies == []
    undecided(asked)


def test_a_bot_on_the_list_of_approvers_decides_nothing(chat: Chatting) -> None:
    desk = chat.desk
    desk.write(section("a", 'mux ask "Which?" --choice red'), keys=KEYS.replace(BEN, OTHER_BOT))
    chat.up()
    refused(chat, chat.slack.click(chat.request(), "request:red", OTHER_BOT), OTHER_BOT)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 500}, "try again in a minute"),
        ({"status": 429, "retry_after": 30}, "try again in a minute"),
        ({"cut": True}, "try again in a minute"),
        ({"error": "user_not_found"}, "does not know you"),
        ({"error": "missing_scope"}, "lacks the scope users:read"),
    ],
)
def test_who_cannot_be_asked_about_decides_nothing_and_who_is_known_does(
    chat: Chatting, fault: dict[str, Any], words: str
) -> None:
    """Ana was seen to be a person before Slack fell ill; Ben is on the list, and nobody knows what he is."""
    desk = chat.desk
    keys = KEYS.replace(f", {BEN}", "")
    desk.write(section("a", desk.counted("a", 'mux ask "Which?" --choice red')), keys=keys)
    chat.up()
    message = chat.request()
    wait_for((desk.folder / "people.json").exists, "Ana is met")
    chat.slack.fail("users.info", 99, **fault)
    desk.edit(lambda text: text.replace(f"[{ANA}]", f"[{ANA}, {BEN}]"))
    wait_for(lambda: any(BEN in words_of(each) for each in chat.slack.messages()), "the rules changed")
    turn = chat.slack.click(message, "request:red", BEN)
    refused(chat, turn, BEN)
    assert words in wait_for(lambda: turn.replies, "an answer")[0].text
    chat.slack.click(message, "request:red", ANA)
    chat.until_says(message, "ana")
    desk.until_on_board("a", "done")
