"""Which tasks that are ordered to run again resume their agent's conversation, as a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from board.model import Status, TaskSettings
from runners.agents import load
from runners.model import Attempt, Exit, How, Liveness, Outcome, Row, Stop
from runners.resuming import resumes
from tests.runners.test_plan import NOW, attempt, task

PROFILES = load({})


def before(status: str = "stopped", row: Row = Row.STOPPED, **changes: Any) -> Attempt:
    concluded = Outcome(Status(status), "reason", "why", NOW - 10, row=row)
    base = attempt(liveness=Liveness.ENDED, agent="claude", exit=Exit(NOW - 20, 2), outcome=concluded)
    return replace(base, **{"created": NOW - 500, "started": NOW - 499} | changes)


EARLY = {"created": NOW - 25, "started": NOW - 24}


@pytest.mark.parametrize(
    ("last", "keys", "expected"),
    [
        (before(), {}, True),
        (before("failed", Row.NEVER), {}, True),
        (before("waiting", Row.LIMITED), {}, True),
        (before("blocked", Row.REPORTED_BLOCKED), {}, True),
        (before("blocked", Row.GATE), {}, True),
        (before("done", Row.GATE), {}, False),
        (before("review", Row.GATE), {}, False),
        (before(), {"agent": "codex"}, False),
        (before(), {"mode": "interactive"}, False),
        (before(agent="opencode", mode="interactive"), {"agent": "opencode", "mode": "interactive"}, False),
        (before(agent="shell"), {"agent": "shell"}, False),
        (before("failed", Row.DOES_NOT_START), {}, False),
        (before(started=None), {}, False),
        (before("failed", Row.NEVER, **EARLY), {}, False),
        (before("failed", Row.NEVER, how=How.RESUME, **EARLY), {}, False),
        (before("waiting", Row.LIMITED, **EARLY), {}, False),
        (before("waiting", Row.LIMITED, how=How.RESUME, **EARLY), {}, True),
        (before(stop=Stop("stopped", NOW - 22, reached=NOW - 21), **EARLY), {}, True),
        (before(retired=True), {}, False),
        (replace(before(), outcome=None), {}, False),
        (None, {}, False),
    ],
)
def test_which_resume(last: Attempt | None, keys: dict[str, Any], expected: bool) -> None:
    settings = TaskSettings(**{"agent": "claude", "mode": "headless"} | keys)
    wanted = replace(task(), settings=settings)
    profile = PROFILES.get(last.agent) if last else None
    assert resumes(wanted, last, profile, NOW) is expected
