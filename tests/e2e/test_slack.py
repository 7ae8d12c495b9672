"""The chat over a real socket: commands, and requests from a crash to the message that says who decided."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from pathlib import Path

import pytest

from board.storage import read_json
from tests.e2e.conftest import Desk, section
from tests.e2e.fake_slack import ANA, BEN, FakeSlack
from tests.e2e.slack_desk import KEYS, Chatting, offered, words_of
from tests.support import PATIENCE, wait_for

WITHOUT_APP = "Slack: the environment has no SLACK_APP_TOKEN; it begins with xapp-"


@pytest.fixture
def chat(desk: Desk, slack: FakeSlack) -> Chatting:
    return Chatting(desk, slack)


def test_a_command_is_answered_to_the_one_who_asked(chat: Chatting) -> None:
    chat.desk.write(section("a", "sleep 1000"), keys=KEYS)
    chat.up()
    chat.desk.until("a", "running")  # on the board it may stand before
    reply = chat.say("U0BEN", "status")
    assert reply.to == BEN and "Running" in words_of(reply) and "a · running" in words_of(reply)
    assert "a" in words_of(chat.say(BEN, "status a")) and chat.slack.messages() == []
    assert "nothing is asked" in chat.say(BEN, "requests").text.lower()
    assert "/mux status" in words_of(chat.say(BEN, "help"))
    assert "no task 'b'" in chat.say(BEN, "status b").text
    assert "did you mean '/mux status'" in chat.say(BEN, "statsu").text


def test_a_crash_is_asked_about_decided_by_a_click_and_the_message_says_by_whom(chat: Chatting) -> None:
    message = chat.crashed()
    assert offered(message) == ["request:in-place", "request:checkpoint", "request:deny"]
    turn = chat.slack.click(message, "request:in-place", ANA)
    assert turn.acked and not turn.error
    wait_for(lambda: chat.desk.runs("a") == 2, "it goes on")
    edited = chat.until_says(message, "ana", "Restart in place")
    assert offered(edited) == []
    assert [each.ts for each in chat.slack.messages() if not each.thread] == [message.ts]
    assert chat.slack.pings() == []
    (decided,) = wait_for(lambda: chat.events("approved"), "it is in the journal")
    assert decided["by"] == f"slack:{ANA}"


def test_orders_from_the_chat(chat: Chatting) -> None:
    desk = chat.desk
    desk.write(section("a", desk.counted("a", "sleep 1000"), status="draft"), keys=KEYS)
    chat.up()
    assert "a: ready" in chat.say(ANA, "start a").text
    desk.until_on_board("a", "running")
    assert "its worker is to end" in chat.say(ANA, "stop a").text
    desk.until_on_board("a", "stopped")
    assert "as a draft" in chat.say(ANA, "add Don't forget the milk").text
    assert desk.on_board("dont-forget-the-milk") == "draft"
    assert "only drafts" in chat.say(ANA, 'add "Now" --ready').text
    assert "for the terminal" in chat.say(ANA, "status --board /etc/passwd").text
    assert "nothing changed" in chat.say(ANA, "diff a").text
    assert "stop, by ana" in words_of(chat.say(ANA, "journal a"))
    assert [event["by"] for event in chat.events("chat")] == [f"slack:{ANA}"] * 3


def test_denied_in_the_chat(chat: Chatting) -> None:
    message = chat.crashed()
    chat.slack.click(message, "request:deny", BEN)
    edited = chat.until_says(message, "ben")
    assert offered(edited) == [] and chat.desk.runs("a") == 1
    wait_for(lambda: not chat.desk.status()["requests"], "it is over")
    assert chat.desk.task("a")["status"] == "blocked"


def test_decided_at_the_terminal_the_message_changes_too(chat: Chatting) -> None:
    message = chat.crashed()
    chat.desk.mux("approve", chat.asked()["id"], "--choice", "in-place")
    edited = chat.until_says(message, "somebody at the terminal")
    assert offered(edited) == []
    chat.slack.click(message, "request:checkpoint", ANA)  # a window that still shows the buttons
    assert "decided already" in chat.told(ANA).text
    wait_for(lambda: chat.desk.runs("a") == 2, "it goes on")


def test_a_worker_asks_and_is_answered_in_a_modal(chat: Chatting) -> None:
    desk = chat.desk
    answer = desk.repository.parent / "answer"
    desk.write(section("a", f'mux ask "Which colour?" > "{answer}"; sleep 1000'), keys=KEYS)
    chat.up()
    message = chat.request()
    assert "Which colour?" in words_of(message)
    turn = chat.slack.click(message, "request:answer", ANA)
    (view,) = wait_for(lambda: turn.views, "the modal")
    assert chat.slack.submit(view, {"answer": "blue, <!channel> & all"}).acked
    wait_for(lambda: answer.exists() and answer.read_text().strip(), "the worker has it")
    assert answer.read_text().strip() == "blue, <!channel> & all"
    chat.until_says(message, "ana")
    assert offered(chat.now(message)) == [] and chat.slack.pings() == []


def test_a_worker_asks_and_is_answered_by_a_button(chat: Chatting) -> None:
    desk = chat.desk
    answer = desk.repository.parent / "answer"
    script = f'mux ask "Which?" --choice red --choice blue > "{answer}"; sleep 1000'
    desk.write(section("a", script), keys=KEYS)
    chat.up()
    message = chat.request()
    chat.slack.click(message, "request:blue", ANA)
    wait_for(lambda: answer.exists() and answer.read_text().strip() == "blue", "the worker has it")


def test_a_gate_is_approved_by_a_command(chat: Chatting) -> None:
    desk = chat.desk
    desk.write(section("a", desk.counted("a", 'mux gate "deploy to production" && exit 0; exit 9')), keys=KEYS)
    chat.up()
    message = chat.request()
    assert "approve" in chat.say(ANA, f"approve {chat.asked()['id'][:6]}").text
    desk.until_on_board("a", "done")
    chat.until_says(message, "ana")


def test_logs_are_redacted_and_for_one_pair_of_eyes(chat: Chatting) -> None:
    desk = chat.desk
    secret = "xoxb-" + "1" * 12 + "-" + "a1B2" * 6
    desk.write(section("a", f"echo hello; echo token={secret}; sleep 1000"), keys=KEYS)
    chat.up()
    desk.until_on_board("a", "running")
    wait_for(lambda: "hello" in desk.mux("logs", "a").stdout, "it printed")
    reply = chat.say(ANA, "logs a")
    assert "hello" in words_of(reply) and secret not in words_of(reply)
    assert reply.to == ANA and chat.slack.messages() == []
    assert "for the terminal" in chat.say(ANA, "logs a --raw").text


def test_a_digest_for_the_one_who_asks(chat: Chatting) -> None:
    chat.desk.write(section("a", "sleep 1000"), keys=KEYS)
    chat.up()
    chat.desk.until_on_board("a", "running")
    assert "a" in words_of(chat.say(BEN, "digest"))


def test_failures_are_alerts_in_the_tasks_thread(chat: Chatting) -> None:
    desk = chat.desk
    desk.write(section("a", "sleep 1.2; exit 7"), keys=f"{KEYS.replace('restart: {', 'restart: {when: never, ')}")
    chat.up()
    desk.until_on_board("a", "failed")
    (alert,) = wait_for(chat.slack.messages, "the alert")
    assert "a failed" in alert.text


def test_status_says_how_the_chat_is(chat: Chatting) -> None:
    chat.desk.write(section("a", status="draft"), keys=KEYS)
    plane = chat.up()
    wait_for(lambda: "Slack: on" in chat.desk.mux("status").stdout, "on")
    assert chat.desk.status()["chat"] == {"state": "on", "why": ""}
    plane.send_signal(signal.SIGTERM)
    assert plane.wait(PATIENCE) == 0
    assert "Slack" not in chat.desk.mux("status").stdout


def test_tokens_reach_no_worker_no_file_and_no_output(chat: Chatting) -> None:
    desk = chat.desk
    found = desk.repository.parent / "environment"
    desk.write(section("a", f'env > "{found}"; sleep 1000'), keys=KEYS)
    plane = chat.up()
    desk.until_on_board("a", "running")
    wait_for(lambda: found.exists() and "MUX_TASK=" in found.read_text(), "the environment")
    chat.say(ANA, "status")
    plane.send_signal(signal.SIGTERM)
    printed = plane.communicate(timeout=PATIENCE)[0]
    assert "SLACK" not in found.read_text()
    everything = [path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()]
    for token in (chat.slack.bot_token, chat.slack.app_token):
        assert token not in printed and not any(token.encode() in data for data in everything)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")
def test_detached_no_process_shows_the_tokens_that_it_was_started_with(chat: Chatting) -> None:
    desk = chat.desk
    desk.environment |= {"SLACK_SIGNING_SECRET": "none-of-its-business"}
    desk.write(section("a", "sleep 1000"), keys=KEYS)
    desk.mux("up", "--trust", "--detach")
    try:
        chat.connected()
        desk.until_on_board("a", "running")
        assert chat.say(BEN, "status").blocks
        for process in (read_json(desk.folder / "daemon.lock") or {})["pid"], desk.start_record("a")["pid"]:
            shown = Path(f"/proc/{process}/environ").read_bytes()
            assert b"PATH=" in shown
            assert chat.slack.bot_token.encode() not in shown and chat.slack.app_token.encode() not in shown
            assert b"none-of-its-business" not in shown
    finally:
        desk.mux("down")


@pytest.mark.skipif(os.getuid() == 0 or sys.platform != "linux", reason="who is root may read everything")
def test_in_the_foreground_nobody_may_read_what_it_was_started_with(chat: Chatting) -> None:
    chat.desk.write(section("a", "sleep 1000"), keys=KEYS)
    plane = chat.up()
    chat.connected()
    with pytest.raises(PermissionError):
        Path(f"/proc/{plane.pid}/environ").read_bytes()


def test_detached_a_mistake_in_the_tokens_of_the_environment_is_said_of_it(chat: Chatting) -> None:
    desk = chat.desk
    desk.environment |= {"SLACK_APP_TOKEN": ""}
    desk.write(section("a", status="draft"), keys=KEYS)
    desk.mux("up", "--trust", "--detach")
    try:
        wait_for(lambda: desk.status()["chat"]["why"] == WITHOUT_APP, lambda: f"it says why: {desk.status()['chat']}")
    finally:
        desk.mux("down")


def test_what_is_kept_is_private(chat: Chatting) -> None:
    chat.crashed()
    plane = chat.desk.planes[-1]
    plane.send_signal(signal.SIGTERM)
    assert plane.wait(PATIENCE) == 0  # so that nothing comes and goes beneath the look
    for path in chat.desk.folder.rglob("*"):
        if path.is_file() or path.is_dir():
            assert path.stat().st_mode & 0o077 == 0 or path.parent != chat.desk.folder, path
    assert chat.desk.folder.stat().st_mode & 0o077 == 0


def test_acks_and_status_are_quick_with_200_tasks(chat: Chatting, capsys: pytest.CaptureFixture[str]) -> None:
    desk = chat.desk
    sections = [section(f"task-{number}", "true", status="draft", title=f"Task {number}") for number in range(200)]
    desk.write(*sections, keys=KEYS)
    chat.up()
    chat.say(BEN, "status")
    acks, answers = [], []
    for _ in range(20):
        begun = time.monotonic()
        turn = chat.slack.slash(BEN, "status")
        wait_for(lambda turn=turn: turn.replies, "the reply")
        answers.append(time.monotonic() - begun)
        acks.append(turn.latency)
    with capsys.disabled():
        worst = sorted(answers)[-2]
        print(
            f"\nack: {statistics.median(acks) * 1000:.0f} ms, at most {max(acks) * 1000:.0f} ms; "
            f"/mux status of 200 tasks: {statistics.median(answers) * 1000:.0f} ms, 95 % in {worst * 1000:.0f} ms"
        )
    assert statistics.median(answers) < 0.3 and max(acks) < 3
