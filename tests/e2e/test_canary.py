"""Canaries: what must not leave is planted wherever a text can come from, and looked for wherever one can go.

The same night once more without the redactor has to leak, or this would prove nothing.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from runners import processes
from runners.boards import read_board
from runners.command_folder import command_folder
from tests.e2e.conftest import FRONT, Desk
from tests.e2e.fake_slack import ANA, CHANNEL, FakeSlack
from tests.support import wait_for

ENVIRONMENT, DOTENV, BOARD = "ember-Walnut_8842", "cobalt-Meadow_3391", "saffron-Kettle_5567"
FOLDER, HOST = "/home/canary-person/hidden", "canary-host-73"
#: Wherever somebody can write a text, all of this is in it.
PLANTED = f"{ENVIRONMENT} {DOTENV} {BOARD} {FOLDER}/notes.txt {HOST}"
#: The same, as far as a branch, a file or a key can be called so.
NAMED = f"{ENVIRONMENT}+{DOTENV}+{BOARD}"
#: Ordinary words of places from which nothing is ever said, redacted or not.
PROMPT, OUTPUT, COMMIT, FILE = "zinnia-of-the-prompt", "output-of-tamarind", "juniper-was-committed", "file-of-quince"

KEYS = f"""restart: {{backoff: 1s, early: 1s, limit: 1}}
outage: {{workers: 50}}
copy: [.env]
env: {{SHOP_TOKEN: {BOARD}}}
slack: {{channel: {CHANNEL}, approvers: [{ANA}]}}
max_workers: 9
"""

#: Runs first in every worker and git hook of the test, and in every `mux`: never in a person's.
CUSTOM = f"""import socket
socket.gethostname = lambda: {HOST!r}
"""
OFF = """import board.redact
board.redact.Redactor.redact = lambda self, text: text
"""

#: What each task does. `$PLANTED` and the like are the worker's own knowledge.
SCRIPTS = {
    "crashes": f"""if [ -e ../crashed ]; then git add -A; git commit -qm "{COMMIT} $PLANTED"; exit 0; fi
echo x > "{FILE} $NAMED"; echo "{OUTPUT} $PLANTED"; touch ../crashed; sleep 1000""",
    "asks": 'mux ask "$PLANTED in $PWD/x?" --choice left --choice right; mux gate "$PLANTED now"',
    "answers": 'mux ask "any $PLANTED?"',
    "blocked": 'mux blocked "on $PLANTED in $PWD/x"; exit 1',
    "branches": 'git checkout -q -b "leak/$NAMED"; exit 0',
    "fails": 'echo "$PLANTED" >&2; exit 3',
    "said": 'mux checkpoint -m "$PLANTED"; echo y > z; mux done -m "$PLANTED"; mux done -m "$PLANTED"; exit 0',
    "repeats": 'mux once "deploy $NAMED" -- sh -c "sleep 1000"',
    "unhomed": f'rm -rf .git; echo "gitdir: /nowhere/{FILE}" > .git; exit 3',
    "based": "true",
    "settled": "true",
    "copies": "true",
}
MORE = {"copies": f"copy: [.env, {FILE}.txt]\n"} | {
    "based": f"base: {NAMED}\n",
    "settled": f"setup: ['cat {FOLDER}/{NAMED}']\n",
}


def section(desk: Desk, task: str) -> str:
    said = f'PATH="$PATH:{command_folder(desk.folder)}"\nPLANTED="{PLANTED}" NAMED="{NAMED}"\n{SCRIPTS[task]}'
    front = f"status: ready\nagent: shell\n{MORE.get(task, '')}"
    title = f"Task {task} of {PLANTED}"
    return f"\n## {task}: {title}\n\n```yaml\n{front}```\n\n{PROMPT} {PLANTED}\n\n```sh\n{said}\n```\n"


def prepare(desk: Desk, slack: FakeSlack, redacts: bool) -> None:
    custom = desk.repository.parent / "custom"
    custom.mkdir()
    (custom / "sitecustomize.py").write_text(CUSTOM if redacts else CUSTOM + OFF)
    (desk.repository / ".env").write_text(f"ANYTHING={DOTENV}\n")
    desk.environment |= {
        "PYTHONPATH": str(custom),
        "SHOP_PASSWORD": ENVIRONMENT,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
    }
    desk.save(FRONT.format(keys=KEYS) + "".join(section(desk, task) for task in SCRIPTS))


def click(slack: FakeSlack, task: str, action: str) -> None:
    """The button of a task's request, once it is there."""

    def there() -> list[object]:
        return [each for each in slack.messages() if action in str(each.blocks) and f"'{task}: " in str(each.blocks)]

    message = wait_for(there, lambda: f"{action} of {task}:\n{slack.as_text()}")[-1]
    assert not slack.click(message, action, ANA).error


def night(desk: Desk, slack: FakeSlack) -> str:
    """Everything happens once; returns what the control plane printed."""
    plane = desk.up()
    wait_for(lambda: slack.connections(), "Slack is connected")
    for task in ("crashes", "repeats"):
        record = desk.start_record(task)
        begun = desk.home(task).parent / "crashed" if task == "crashes" else desk.folder / "once" / "repeats"
        wait_for(begun.exists, f"{task} has begun")
        processes.end_session(record["session"], record["wrapper_start"], grace=0.1)
    click(slack, "crashes", "request:in-place")
    click(slack, "asks", "request:left")
    click(slack, "asks", "request:approve")
    click(slack, "answers", "request:answer")
    view = wait_for(slack.views, "the form")[-1]
    assert not slack.submit(view, {"answer": f"right, and {PLANTED}"}).error
    for task, word in (("crashes", "done"), ("asks", "done"), ("blocked", "blocked"), ("branches", "blocked")):
        desk.until(task, word)
    for task in ("fails", "based", "settled", "copies"):
        desk.until(task, "blocked", "failed")
    wait_for(lambda: any(each["event"] == "trouble" for each in desk.journal()), "the home of unhomed cannot be read")
    desk.edit(lambda text: text + f"\n## Later {PLANTED}\n\n```yaml\nstatus: ready\n```\n")
    desk.edit(lambda text: text.replace("max_workers: 9", f"max_workers: {NAMED}"))
    wait_for(lambda: desk.state()["problems"], "the board has a problem")
    knows = desk.environment.pop("SHOP_PASSWORD")  # whoever orders it need not
    desk.mux("digest", "--post")
    desk.environment["SHOP_PASSWORD"] = knows
    desk.mux("finish", "crashes")
    for words in ("status unhomed", "diff unhomed", "status copies"):
        turn = slack.slash(ANA, words)
        wait_for(lambda turn=turn: turn.replies, f"a reply to {words}")
    for words in ("status", "status blocked", "requests", "journal", "digest", "diff said", f"start {NAMED}"):
        turn = slack.slash(ANA, words)
        wait_for(lambda turn=turn: turn.replies, f"a reply to {words}")
    wait_for(lambda: "digest" in str([each.metadata for each in slack.messages()]), "the digest")
    plane.send_signal(signal.SIGTERM)
    plane.wait()
    assert plane.stdout is not None
    return plane.stdout.read()


def sinks(desk: Desk, slack: FakeSlack, printed: str) -> Mapping[str, str]:
    """All that went out, by where to."""
    board = read_board(desk.board.read_text(), name="board.md")
    keys = [dict(task.mux) for task in board.tasks]
    assert sum("why" in each for each in keys) >= 5
    events = [line for line in printed.splitlines() if line[:2] == "20"]  # the rest is for the person at the terminal
    return {
        "Slack": json.dumps([asdict(call) for call in slack.calls()], ensure_ascii=False),
        "journal": "".join(path.read_text() for path in desk.folder.glob("journal*.jsonl")),
        "log": "\n".join(events),
        "board": json.dumps(keys, ensure_ascii=False),
    }


def leaks(found: Mapping[str, str], canaries: Mapping[str, str]) -> set[tuple[str, str]]:
    return {(where, name) for where, text in found.items() for name, canary in canaries.items() if canary in text}


@pytest.fixture
def full() -> Iterator[FakeSlack]:
    with FakeSlack(scopes=("commands", "chat:write", "channels:history", "users:read")) as slack:
        yield slack


def secrets_and_places(desk: Desk) -> dict[str, str]:
    secrets = {"environment": ENVIRONMENT, ".env": DOTENV, "env of the board": BOARD}
    return secrets | {
        "path": FOLDER,
        "host": HOST,
        "scratch": str(desk.repository.parent),
        "home": str(Path.home()) + "/",
    }


UNSAID = {"prompt": PROMPT, "output": OUTPUT, "commit": COMMIT, "file": FILE}


def test_nothing_that_was_planted_leaves(desk: Desk, full: FakeSlack) -> None:
    prepare(desk, full, redacts=True)
    found = sinks(desk, full, night(desk, full))
    assert leaks(found, secrets_and_places(desk) | UNSAID) == set()
    assert all(text.count("redacted") > 3 for text in found.values())
    desk.up()
    wait_for(lambda: full.connections(), "Slack is connected")
    turn = full.slash(ANA, "logs crashes --attempt 1")
    shown = wait_for(lambda: turn.replies, "what it printed")[0]
    assert shown.to == ANA and OUTPUT in str(shown.blocks)
    assert leaks({"logs": f"{shown.text}{shown.blocks}"}, secrets_and_places(desk)) == set()


def test_without_the_redactor_it_would(desk: Desk, full: FakeSlack) -> None:
    """The night is the same; what is never said at all is not said then either."""
    prepare(desk, full, redacts=False)
    found = leaks(sinks(desk, full, night(desk, full)), secrets_and_places(desk))
    for where in ("Slack", "journal", "log", "board"):
        assert {name for sink, name in found if sink == where} >= {"environment", ".env", "env of the board"}, where
    assert {("Slack", "path"), ("Slack", "host"), ("board", "path"), ("board", "host"), ("board", "scratch")} <= found
    assert {("journal", "path"), ("journal", "host"), ("log", "path")} <= found
