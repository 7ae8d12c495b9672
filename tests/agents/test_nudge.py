"""A nudge, from end to end: an idle stand-in is told once how to end its task, whatever is killed and whoever types."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from board.clock import parse_time
from runners import preamble
from tests.agents.test_standin import alerts, conversation, screen, seen, type_there, write
from tests.e2e.conftest import Desk
from tests.e2e.conftest import desk as desk
from tests.support import wait_for

IDLE = {"condition": "waiting", "reason": "idle"}
NUDGE = preamble.nudge("talk")


def nudged(desk: Desk) -> list[dict[str, Any]]:
    return [each for each in desk.journal() if each["event"] == "nudged"]


def record(desk: Desk) -> Path:
    return desk.folder / "runs" / "talk" / "1" / "nudge.json"


def seen_since(desk: Desk) -> float:
    return parse_time((desk.task("talk").get("health") or {}).get("since") or "") or 0.0


def idle_for(desk: Desk, seconds: float) -> bool:
    """It waits for a person, and so long after all that happened: a nudge that was to come would have."""
    happened = [each["at"] for each in desk.journal() if each["event"] in ("condition", "nudged", "sent", "started")]
    since = max([seen_since(desk) or time.time(), *happened])
    return desk.task("talk")["status"] == "waiting" and time.time() - since > seconds


def test_an_idle_agent_is_nudged_says_done_and_is_judged(desk: Desk) -> None:
    write(desk, "Hello.", keys="nudge: 1s\ndone_grace: 1s\n")
    desk.up()
    desk.until("talk", "done")
    assert conversation(desk)[1:] == [NUDGE]
    assert (desk.home("talk") / "made").read_text() == NUDGE
    assert [(each["text"], each["by"]) for each in nudged(desk)] == [
        ("idle, and said nothing: told how to end its task", "mux")
    ]
    assert alerts(desk) == []  # nobody was called: it was not needed


def test_one_that_stays_idle_is_left_to_a_person_and_never_nudged_again(desk: Desk) -> None:
    write(desk, "Be deaf.", keys="nudge: 3s\n")
    plane = desk.up()
    wait_for(lambda: "it is nudged at" in desk.task("talk")["why"], "it is said that it will be")
    assert desk.task("talk")["status"] == "running"
    desk.until("talk", "waiting")
    assert conversation(desk)[1:] == [NUDGE] and alerts(desk) == [IDLE]
    words = [each["event"] for each in desk.journal()]
    assert words.index("nudged") < words.index("condition")
    assert "idle at its prompt" in desk.task("talk")["why"] and "; nudged at " in desk.task("talk")["why"]
    assert "nudged     20" in desk.mux("status", "talk").stdout

    desk.mux("send", "talk", "Go on.")
    wait_for(lambda: conversation(desk)[2:] == ["Go on."])
    wait_for(lambda: idle_for(desk, 6), lambda: f"it is idle again: {desk.task('talk')}")
    told = alerts(desk)
    desk.kill(plane)
    desk.up()
    up_at = time.time()
    wait_for(lambda: time.time() - up_at > 6 and idle_for(desk, 6), lambda: f"it is idle still: {desk.task('talk')}")
    assert alerts(desk) == told
    assert conversation(desk)[1:] == [NUDGE, "Go on."] and len(nudged(desk)) == 1


def test_killed_between_the_record_and_the_first_key_it_is_not_nudged_again(desk: Desk) -> None:
    hold, held = desk.repository.parent / "hold", desk.repository.parent / "held"
    programs = desk.repository.parent / "programs"
    programs.mkdir()
    shim = programs / "tmux"  # the real tmux, but where something is to be typed
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *load-buffer*) if [ -e {hold} ]; then echo $$ > {held}.part; '
        f'mv {held}.part {held}; exec sleep 1000; fi;; esac\nexec {shutil.which("tmux")} "$@"\n'
    )
    shim.chmod(0o755)
    desk.environment["PATH"] = f"{programs}{os.pathsep}{desk.environment['PATH']}"
    hold.touch()
    write(desk, "Hello.", keys="nudge: 1s\n")
    plane = desk.up()
    wait_for(held.exists, "it is about to type")
    assert record(desk).exists()  # written down before a key was typed
    desk.kill(plane)
    os.kill(int(held.read_text()), signal.SIGKILL)
    hold.unlink()
    assert len(conversation(desk)) == 1

    desk.up()
    wait_for(lambda: idle_for(desk, 6), lambda: f"it is left to a person: {desk.task('talk')}")
    assert len(conversation(desk)) == 1 and alerts(desk) == [IDLE]
    desk.mux("send", "talk", "Hello again.")  # the way is free: nothing but the record kept it from being typed
    wait_for(lambda: conversation(desk)[1:] == ["Hello again."])


def test_killed_after_it_was_typed_it_is_not_typed_again(desk: Desk) -> None:
    write(desk, "Be deaf.", keys="nudge: 1s\n")
    plane = desk.up()
    wait_for(lambda: conversation(desk)[1:] == [NUDGE])
    desk.kill(plane)
    desk.up()
    wait_for(lambda: idle_for(desk, 6), lambda: f"it is left to a person: {desk.task('talk')}")
    assert conversation(desk)[1:] == [NUDGE]


def test_a_draft_in_the_line_is_not_typed_over(desk: Desk) -> None:
    write(desk, "Hello.", keys="nudge: 4s\n")
    desk.up()
    seen(desk, "waiting", "idle")
    type_there(desk, *"half a though")
    wait_for(lambda: nudged(desk), "it is said")
    desk.until("talk", "waiting")
    assert desk.task("talk")["why"].endswith("; not nudged: its input line holds a draft")
    wait_for(lambda: idle_for(desk, 6))
    assert [each["text"] for each in nudged(desk)] == ["not nudged, and not again: its input line holds a draft"]
    assert alerts(desk) == [IDLE] and desk.task("talk")["nudged"] is None
    assert len(conversation(desk)) == 1 and "❯ half a though\n" in screen(desk)
    type_there(desk, "t", "Enter")
    wait_for(lambda: conversation(desk)[1:] == ["half a thought"])


def test_nobody_is_nudged_unasked(desk: Desk) -> None:
    write(desk, "Hello.", keys="nudge: no\n", front="nudge: 1s\n")  # the task's own word counts
    desk.up()
    wait_for(lambda: idle_for(desk, 6))
    assert len(conversation(desk)) == 1 and nudged(desk) == [] and alerts(desk) == [IDLE]
