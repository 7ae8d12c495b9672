"""What an interactive agent is from start to end, as one story, with the flags, hooks and screens of two agents."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.agents.test_standin import conversation, seen, write
from tests.e2e.conftest import Desk
from tests.e2e.conftest import desk as desk
from tests.e2e.conftest import slack as slack
from tests.e2e.fake_slack import FakeSlack
from tests.e2e.slack_desk import KEYS, Chatting
from tests.support import wait_for

PERMISSION = {"condition": "waiting", "reason": "permission"}
IDLE = {"condition": "waiting", "reason": "idle"}
RESUMES = {"claude": "--resume={session}", "codex": "resume --last"}


def alerts(desk: Desk, attempt: int) -> list[Any]:
    found = [each for each in desk.journal() if each["event"] == "condition" and each["attempt"] == attempt]
    return [each["evidence"] for each in found]


def argv(desk: Desk, attempt: int) -> str:
    record = desk.folder / "runs" / "talk" / str(attempt) / "attempt.json"
    return " ".join(json.loads(record.read_text())["argv"])


def in_chat(slack: FakeSlack, words: str) -> list[float]:
    """When each message with these words was posted."""
    return [float(each.ts) for each in slack.messages() if words in each.text]


@pytest.mark.parametrize("agent", ["claude", "codex"])
def test_prompt_permission_alert_answer_end_of_turn_kill_resume_and_done(
    desk: Desk, slack: FakeSlack, agent: str
) -> None:
    write(
        desk,
        "Ask for a permission.",
        keys="done_grace: 1s\n",
        front=KEYS.replace("backoff: 1s", "when: safe, backoff: 1s"),
        agent=agent,
        env={"STANDIN_HOOKS": "1"},
    )
    Chatting(desk, slack).up()
    wait_for(lambda: conversation(desk), "the prompt was delivered")
    assert conversation(desk)[0].startswith("You are the worker of the task `talk`")
    assert conversation(desk)[0].endswith("Ask for a permission.")

    # Its permission prompt is seen, and told once: at the terminal and in the journal, then in chat.
    assert "asks for a permission" in seen(desk, "waiting", "permission")["why"]
    posted = wait_for(lambda: in_chat(slack, "talk waits for a person: asks for a permission"), "an alert in chat")
    shown_at = float((desk.repository.parent / "shown").read_text())
    told_at = next(each["at"] for each in desk.journal() if each["event"] == "condition")
    print(f"{agent}: told {told_at - shown_at:.2f} s after the screen, in chat {posted[0] - shown_at:.2f} s")
    assert alerts(desk, 1) == [PERMISSION] and len(posted) == 1

    # It is answered, and the end of the turn is seen.
    desk.mux("send", "talk", "--choice", "1")
    wait_for((desk.home("talk") / "asked").exists, "the answer reached it")
    seen(desk, "waiting", "idle")
    assert alerts(desk, 1) == [PERMISSION, IDLE] and len(conversation(desk)) == 1

    # It is killed, and goes on with the same conversation, told what happened.
    before = {path: path.read_bytes() for path in (desk.repository.parent / "conversations").iterdir()}
    os.kill(desk.start_record("talk")["pid"], signal.SIGKILL)
    wait_for(lambda: len(conversation(desk)) == 2, "it goes on with its conversation")
    assert all(path.read_bytes().startswith(data) for path, data in before.items()) and len(before) == 1
    assert "You were interrupted: attempt 1 of this task ended with signal 9" in conversation(desk)[1]
    wait_for(lambda: desk.task("talk")["attempt"] == 2, "that is its second attempt")
    session = Path(next(iter(before))).name
    assert RESUMES[agent].format(session=session) in argv(desk, 2) and RESUMES[agent].split("=")[0] not in argv(desk, 1)

    # It asks again, is answered, and says done: that is judged, and so it is.
    seen(desk, "waiting", "permission")
    desk.mux("send", "talk", "--choice", "1")
    seen(desk, "waiting", "idle")
    desk.mux("send", "talk", "Say done.")
    desk.until("talk", "done")
    assert alerts(desk, 2) == [PERMISSION, IDLE] and conversation(desk)[2:] == ["Say done."]
    assert desk.git("log", "--format=%s", "-1", cwd=desk.home("talk")) == "made"
    events = [each["event"] for each in desk.journal()]
    assert [events.count(word) for word in ("started", "restarted", "judged", "sent")] == [1, 1, 1, 3]
