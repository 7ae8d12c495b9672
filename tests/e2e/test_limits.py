"""An agent that is out of quota is limited, and is not started before the time that it names: then once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from board.clock import format_time
from tests.e2e.conftest import Desk
from tests.support import wait_for

#: What agents print, and in how many seconds they can work again.
USAGE = "You've hit your session limit · try again in 15 seconds"
RATE = "API Error: 429 too many requests, retry-after: 15"
NAMED = 15.0
AGENT = """#!/bin/sh
cat > '{folder}/prompt'
echo "$*" >> '{folder}/starts'
if [ "$(wc -l < '{folder}/starts')" -eq 1 ]; then
    echo "{says}"
    exit 1
fi
echo work > made && git add made && git commit --quiet --message made
"""


def write(desk: Desk, says: str) -> Path:
    """A board with one task for a stand-in that cannot work the first time; the file of its starts."""
    folder = desk.repository.parent
    program = folder / "claude"
    program.write_text(AGENT.format(folder=folder, says=says))
    program.chmod(0o755)
    section = "\n## fix: Fix it\n\n```yaml\nstatus: ready\n```\n\nFix it.\n"
    front = f"agent: claude\nagents: {{claude: {{program: {program}}}}}\nrestart: {{backoff: 1s, early: 5s}}\n"
    desk.write(section, keys=front)
    return folder / "starts"


def record(desk: Desk, number: int, name: str) -> dict[str, Any]:
    path = desk.folder / "runs" / "fix" / str(number) / name
    wait_for(path.exists, f"{name} of attempt {number}")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def events(desk: Desk) -> list[str]:
    return [each["event"] for each in desk.journal() if each.get("task") == "fix"]


@pytest.mark.parametrize("killed", [False, True], ids=["up", "killed-meanwhile"])
@pytest.mark.parametrize(("says", "reason"), [(USAGE, "usage"), (RATE, "rate")])
def test_it_is_limited_and_starts_once_after_the_time_it_names(
    desk: Desk, says: str, reason: str, killed: bool
) -> None:
    starts = write(desk, says)
    plane = desk.up()
    ended_at = record(desk, 1, "exit.json")["at"]
    decided = record(desk, 1, "outcome.json")
    task = desk.until("fix", "waiting")
    assert decided["next"]["at"] >= ended_at + NAMED and (decided["row"], decided["reason"]) == ("limited", reason)
    assert f"until {format_time(decided['next']['at'])}" in task["why"] and task["condition"] == "exited"
    if killed:
        wait_for(lambda: "recovery" in events(desk), "the journal says so, which is its last word about it")
        desk.kill(plane)
        desk.up()
    wait_for(lambda: len(starts.read_text().splitlines()) == 2, "it starts again")
    assert record(desk, 2, "start.json")["at"] >= decided["next"]["at"]
    assert "--resume=" in starts.read_text().splitlines()[1]  # with its own conversation
    desk.until("fix", "done")
    desk.mux("down")
    desk.up()
    desk.until("fix", "done")
    assert len(starts.read_text().splitlines()) == 2
    assert sorted(path.name for path in (desk.folder / "runs" / "fix").iterdir()) == ["1", "2"]
    said = events(desk)
    assert [said.count(word) for word in ("started", "recovery", "restarted", "done")] == [1, 1, 1, 1]
