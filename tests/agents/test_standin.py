"""An interactive agent from start to end, played by a stand-in: seen, answered, told, judged, killed, resumed."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from board.clock import parse_time
from board.model import NOTHING
from runners.tmux import Tmux
from tests.e2e.conftest import Desk
from tests.e2e.conftest import desk as desk
from tests.e2e.test_watch import Terminal
from tests.e2e.test_watch import terminal as terminal
from tests.support import wait_for

STANDIN = Path(__file__).with_name("standin.py")
RULE = "─" * 40


def write(
    desk: Desk, prompt: str, keys: str = "", front: str = "", agent: str = "claude", env: Mapping[str, str] = NOTHING
) -> None:
    """A board with one task for the stand-in, which is started with the commands of that agent's profile."""
    folder = desk.repository.parent / "conversations"
    folder.mkdir(exist_ok=True)
    program = desk.repository.parent / "standin"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(STANDIN))} {agent} "$@"\n')
    program.chmod(0o755)
    variables = json.dumps({"STANDIN": str(folder), **env})
    front += f"agent: {agent}\nmode: interactive\nagents: {{{agent}: {{program: {program}}}}}\nenv: {variables}\n"
    section = f"\n## talk: Talk\n\n```yaml\nstatus: ready\n{keys}```\n\n{prompt}\n"
    desk.write(section, keys=front)


def conversation(desk: Desk) -> list[str]:
    found = list((desk.repository.parent / "conversations").iterdir())
    assert len(found) <= 1, "one conversation, also after a restart"
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def seen(desk: Desk, condition: str, reason: str = "", seconds: float = 40.0) -> dict[str, Any]:
    """The task, once its condition is that."""

    def matches() -> bool:
        task = desk.task("talk")
        return task.get("condition") == condition and (task.get("health") or {}).get("reason") == reason

    wait_for(matches, lambda: f"{condition} {reason}: {desk.task('talk')}", seconds)
    return desk.task("talk")


def alerts(desk: Desk) -> list[dict[str, Any]]:
    return [each["evidence"] for each in desk.journal() if each["event"] == "condition"]


def test_a_permission_is_seen_told_once_and_answered_from_the_dashboard(desk: Desk, terminal: Terminal) -> None:
    write(desk, "Ask for a permission.")
    desk.up()
    wait_for(lambda: conversation(desk), "the prompt was delivered")
    task = seen(desk, "waiting", "permission")
    assert task["status"] == "waiting" and "asks for a permission" in task["why"]
    assert alerts(desk) == [{"condition": "waiting", "reason": "permission"}]
    terminal.open("watch")
    terminal.sees("talk", "permission", "? help")
    terminal.press("s")
    terminal.sees("the number of your choice")
    terminal.press("1", "Enter")
    terminal.sees("talk: sent, choice 1")
    wait_for((desk.home("talk") / "asked").exists, "the answer reached it")
    seen(desk, "waiting", "idle")
    terminal.sees("idle at its prompt")
    terminal.press("s")
    terminal.sees("what to type into its window")
    terminal.press("-l", "go on")
    terminal.press("Enter")
    terminal.sees("talk: sent, 5 characters")
    wait_for(lambda: conversation(desk)[1:] == ["go on"])
    terminal.press("q")
    terminal.sees("ended with 0")


def test_a_control_plane_that_is_killed_tells_nothing_a_second_time(desk: Desk) -> None:
    write(desk, "Ask for a permission.")
    plane = desk.up()
    before = seen(desk, "waiting", "permission")
    wait_for(lambda: alerts(desk))
    desk.kill(plane)
    desk.up()
    began = time.monotonic()
    while time.monotonic() < began + 5:  # as many looks as would tell it
        assert desk.task("talk")["condition"] == "waiting"
        time.sleep(0.05)
    assert desk.task("talk")["since"] == before["since"]
    desk.mux("send", "talk", "--choice", "1")
    wait_for(lambda: len(alerts(desk)) > 1)
    assert [each["reason"] for each in alerts(desk)] == ["permission", "idle"]


def test_a_screen_that_flickers_is_told_once(desk: Desk) -> None:
    write(desk, "Begin to flicker.")
    desk.up()
    seen(desk, "waiting", "permission")
    seen(desk, "waiting", "idle")
    wait_for(lambda: len(alerts(desk)) > 1)
    assert [each["reason"] for each in alerts(desk)] == ["permission", "idle"]


def test_a_permission_is_answered_by_its_choice_and_never_by_a_text(desk: Desk) -> None:
    write(desk, "Ask for a permission.")
    desk.up()
    seen(desk, "waiting", "permission")
    refused = desk.mux("send", "talk", "1", code=1)
    assert "mux send talk --choice 1" in refused.stderr and not (desk.home("talk") / "asked").exists()
    desk.mux("send", "talk", "--choice", "1")
    wait_for((desk.home("talk") / "asked").exists, "the answer reached it")
    seen(desk, "waiting", "idle")
    assert alerts(desk) == [
        {"condition": "waiting", "reason": "permission"},
        {"condition": "waiting", "reason": "idle"},
    ]
    sent = [each for each in desk.journal() if each["event"] == "sent"]
    assert [each["text"] for each in sent] == ["choice 1 typed into its window"] and sent[0]["by"].startswith(
        "terminal:"
    )


def test_a_permission_that_comes_up_while_a_message_is_typed_is_not_answered_by_it(desk: Desk) -> None:
    write(desk, "Work, and ask all of a sudden.")
    desk.up()
    seen(desk, "working")
    wait_for(lambda: "Going on" in screen(desk))
    refused = desk.mux("send", "talk", "1. Yes, use staging\n2. No, keep the old name", code=1)  # also its options
    assert "asks for a permission" in refused.stderr and "not sent" in refused.stderr
    seen(desk, "waiting", "permission")
    assert not (desk.home("talk") / "asked").exists()


def test_a_menu_without_numbers_is_answered_where_its_mark_is_seen(desk: Desk) -> None:
    """The first of its options ends the agent, and Enter would take it."""
    write(desk, "Ask for trust.")
    desk.up()
    seen(desk, "waiting", "trust")
    refused = desk.mux("send", "talk", "--choice", "3", code=1)
    assert "there is no choice 3 on its screen; it has 2, and nothing was answered" in refused.stderr
    desk.mux("send", "talk", "--choice", "2")
    seen(desk, "waiting", "idle")
    assert [each["event"] for each in desk.journal()].count("sent") == 1 and desk.task("talk")["attempt"] == 1


def write_program(desk: Desk, agent: str, *lines: str) -> None:
    """A board with one task, and a shell script in the place of its agent."""
    program = desk.repository.parent / "program"
    program.write_text("\n".join(["#!/bin/sh", *lines, "read -r go", ""]))
    program.chmod(0o755)
    front = f"agent: {agent}\nmode: interactive\nagents: {{{agent}: {{program: {program}}}}}\n"
    desk.write("\n## talk: Talk\n\n```yaml\nstatus: ready\n```\n\nHello.\n", keys=front)


ASKS = "printf 'Run shell command? (Y)es/(N)o [Yes]: '; read -r said"


def test_a_question_that_reads_a_line_gets_its_letter_and_enter(desk: Desk) -> None:
    """As Aider asks: the letter alone is no answer, and the question looks answered as soon as it stands there."""
    answer = desk.repository.parent / "answer"
    write_program(desk, "aider", ASKS, f'echo "$said" > {answer}.new; mv {answer}.new {answer}')
    desk.up()
    seen(desk, "waiting", "permission")
    desk.mux("send", "talk", "--choice", "y")
    wait_for(answer.exists, "the answer reached it")
    assert answer.read_text() == "y\n"


def test_who_reads_lines_gets_one_enter_however_long_it_shows_nothing(desk: Desk) -> None:
    """A second one would answer what it asks next: to Aider Enter is the yes to a command."""
    answers = desk.repository.parent / "answers"
    prompt = f"printf '{RULE}\\n> '; read -r told; sleep 3"
    write_program(desk, "aider", prompt, ASKS, f'echo "$told, then $said" > {answers}.new; mv {answers}.new {answers}')
    desk.up()
    seen(desk, "waiting", "idle")
    desk.mux("send", "talk", "do it")
    seen(desk, "waiting", "permission")
    assert not answers.exists()
    desk.mux("send", "talk", "--choice", "n")
    wait_for(answers.exists, "the answer reached it")
    assert answers.read_text() == "do it, then n\n"


@pytest.mark.parametrize("own", ["", "/home/me/opencode.json"])
def test_its_own_variables_are_given_where_the_person_has_none(desk: Desk, own: str) -> None:
    told = desk.repository.parent / "told"
    write_program(desk, "opencode", f'printf "%s" "$OPENCODE_CONFIG" > {told}.new; mv {told}.new {told}')
    desk.environment.pop("OPENCODE_CONFIG", None)
    if own:
        desk.environment["OPENCODE_CONFIG"] = own
    desk.up()
    wait_for(told.exists, "it was started")
    given = desk.folder / "runs" / "talk" / "1" / "agent" / "opencode.json"
    assert told.read_text() == (own or str(given))
    assert json.loads(given.read_text()) == {"plugin": ["./mux.js"]} and given.with_name("mux.js").exists()
    assert desk.git("status", "--porcelain", "--ignored", cwd=desk.home("talk")) == ""


LONG = "\n".join(f"line {number} of a long message; it ends here" for number in range(250))
TEXTS = [
    "plain",
    "a; b;",
    "$(touch pwned) `x` #{pid} %d -l 'q' \"d\" \\ ~",
    "ä ö 漢字 👩‍💻",
    "two\n  lines; and\n\na fourth",
    LONG,
]


def test_what_is_sent_arrives_as_it_is(desk: Desk) -> None:
    write(desk, "Hello.")
    desk.up()
    seen(desk, "waiting", "idle")
    assert len(LONG) > 10_000
    for text in TEXTS:
        desk.mux("send", "talk", "--", text)
    desk.mux("send", "talk", "-", stdin="from a pipe\n")
    wait_for(lambda: len(conversation(desk)) == len(TEXTS) + 2, "all arrived")
    assert conversation(desk)[1:] == [*TEXTS, "from a pipe"]
    journal = (desk.folder / "journal.jsonl").read_text()
    assert "pwned" not in journal and "of a long message" not in journal


def type_there(desk: Desk, *keys: str) -> None:
    """As a person who is attached types."""
    tmux = Tmux(desk.board, desk.folder, desk.environment)
    window = next(each.id for each in tmux.windows() or () if each.task == "talk")
    for key in keys:
        tmux.press(window, key, len(key) == 1)


def test_a_draft_is_never_written_over(desk: Desk) -> None:
    write(desk, "Hello.")
    desk.up()
    seen(desk, "waiting", "idle")
    type_there(desk, *"half a though")
    wait_for(lambda: "half a though" in screen(desk))
    refused = desk.mux("send", "talk", "and mine", code=1)
    assert 'holds a draft: "half a though"' in refused.stderr
    type_there(desk, "t", "Enter")
    wait_for(lambda: conversation(desk)[1:] == ["half a thought"])


def screen(desk: Desk) -> str:
    tmux = Tmux(desk.board, desk.folder, desk.environment)
    window = next(each.id for each in tmux.windows() or () if each.task == "talk")
    return tmux.capture(window)


def test_it_leaves_what_a_person_scrolled_to(desk: Desk) -> None:
    write(desk, "Hello.")
    desk.up()
    seen(desk, "waiting", "idle")
    tmux = Tmux(desk.board, desk.folder, desk.environment)
    window = next(each.id for each in tmux.windows() or () if each.task == "talk")
    tmux._call("copy-mode", "-t", f"{window}.0")
    desk.mux("send", "talk", "through it")
    wait_for(lambda: conversation(desk)[1:] == ["through it"])


def test_who_cannot_read_it_is_not_typed_to(desk: Desk) -> None:
    write(desk, "Hello.", keys="mode: headless\n")
    assert "it never ran" in desk.mux("send", "talk", "x", code=1).stderr
    assert "no task" in desk.mux("send", "tlak", "x", code=1).stderr
    desk.mux("send", "talk", code=2)
    desk.environment["MUX_TASK"] = "talk"
    assert "only a person decides" in desk.mux("send", "talk", "x", code=1).stderr


def test_a_turn_that_ends_done_is_judged_and_ended(desk: Desk) -> None:
    write(desk, "Say done.", keys="done_grace: 1s\n")
    desk.up()
    desk.until("talk", "done")
    assert (desk.home("talk") / "made").read_text() == "Say done."
    assert alerts(desk) == []  # that its prompt was idle then is no news


def test_killed_and_resumed_with_the_same_conversation(desk: Desk) -> None:
    write(desk, "Work slowly.", front="restart: safe\n")
    desk.up()
    seen(desk, "working")
    wait_for(lambda: len(conversation(desk)) == 1)
    os.kill(desk.start_record("talk")["pid"], signal.SIGKILL)
    wait_for(lambda: len(conversation(desk)) == 2, "it goes on with its conversation")
    assert conversation(desk)[0].strip().endswith("Work slowly.")
    assert "You were interrupted" in conversation(desk)[1]
    wait_for(lambda: desk.task("talk")["attempt"] == 2)


def test_the_same_failure_again_and_again_is_a_loop_and_a_message_ends_it(desk: Desk) -> None:
    write(desk, "Run into a loop, then go on slowly.")
    desk.up()
    task = seen(desk, "looping")
    assert (task["status"], task["attempt"]) == ("running", 1) and "mux attach talk" in task["why"]
    assert alerts(desk) == [{"condition": "looping"}]
    desk.mux("send", "talk", "try something else")
    assert seen(desk, "working")["why"] != task["why"]


@contextmanager
def attached(desk: Desk) -> Iterator[int]:
    """A terminal in which a person runs `mux attach talk`. Gives what the keys are written to."""
    ours, theirs = pty.openpty()
    environment = desk.environment | {"TERM": "xterm-256color"}
    argv = [sys.executable, "-m", "bot.cli", "attach", "talk"]
    with subprocess.Popen(
        argv, cwd=desk.repository, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as client:
        os.close(theirs)
        shows = threading.Thread(target=read_all, args=(ours,), daemon=True)
        shows.start()
        try:
            tmux = Tmux(desk.board, desk.folder, desk.environment)
            wait_for(lambda: any(each.attached for each in tmux.windows() or ()), "attached")
            yield ours
        finally:
            client.terminate()
            client.wait()
            shows.join()
            os.close(ours)


def read_all(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass


def test_a_key_of_who_is_attached_ends_a_loop_and_to_attach_does_not(desk: Desk) -> None:
    write(desk, "Run into a loop, then go on slowly.")
    desk.up()
    before = seen(desk, "looping")
    with attached(desk) as keys:
        began = time.time()
        while time.time() < began + 7:  # longer than it takes to find out that somebody is attached
            assert desk.task("talk")["condition"] == "looping"
            time.sleep(0.05)
        os.write(keys, b"x")
        typed = time.time()
        task = seen(desk, "working")
        assert (parse_time(task["health"]["since"]) or 0.0) < typed + 5
        assert task["why"] != before["why"]
        wait_for(lambda: "❯ x" in screen(desk), "the key reached its agent")
    assert alerts(desk) == [{"condition": "looping"}]


def test_a_used_up_quota_is_shown_with_its_end_and_nothing_restarts(desk: Desk) -> None:
    write(desk, "Meet a limit.", front="restart: safe\n")
    desk.up()
    task = seen(desk, "limited", "usage")
    assert task["status"] == "waiting" and "out of quota until" in task["why"]
    assert (parse_time(task["health"]["until"]) or 0.0) > time.time() + 3_500
    assert [each["event"] for each in desk.journal()].count("started") == 1


def test_its_own_hooks_are_given_by_flag_and_leave_its_home_clean(desk: Desk) -> None:
    write(desk, "Hello.")
    desk.up()
    seen(desk, "waiting", "idle")
    settings = desk.folder / "runs" / "talk" / "1" / "agent" / "settings.json"
    assert "Stop" in json.loads(settings.read_text())["hooks"]
    assert f"--settings={settings}" in json.loads((settings.parent.parent / "attempt.json").read_text())["argv"]
    assert desk.git("status", "--porcelain", "--ignored", cwd=desk.home("talk")) == ""


def test_what_its_hooks_say_counts_where_the_screen_says_nothing(desk: Desk) -> None:
    """A program whose screen no rule knows: only its hook says that it waits."""
    program = desk.repository.parent / "plain"
    program.write_text('#!/bin/sh\nsleep 9\nmux report permission "{}"\nread -r go\n')
    program.chmod(0o755)
    agents = f"agents: {{plain: {{program: {program}, interactive: {{start: ['{{program}}', '{{prompt}}']}}}}}}\n"
    section = "\n## talk: Talk\n\n```yaml\nstatus: ready\nagent: plain\nmode: interactive\n```\n\nDo it.\n"
    desk.write(section, keys=agents)
    desk.up()
    seen(desk, "waiting", "permission")
    assert alerts(desk) == [{"condition": "waiting", "reason": "permission"}]


def test_two_who_send_at_once_are_never_one_message(desk: Desk) -> None:
    write(desk, "Hello.")
    desk.up()
    seen(desk, "waiting", "idle")
    texts = [f"message number {number}" for number in range(4)]
    with ThreadPoolExecutor(len(texts)) as pool:
        ended = list(pool.map(lambda text: desk.mux("send", "talk", text, code=None), texts))
    assert [each.returncode for each in ended] == [0] * len(texts), [each.stderr for each in ended]
    wait_for(lambda: len(conversation(desk)) == len(texts) + 1, lambda: f"all of them: {conversation(desk)}")
    assert sorted(conversation(desk)[1:]) == texts
