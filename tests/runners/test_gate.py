"""What mux concludes about an ended attempt, as tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from board.model import Status
from runners.gate import broken_rules, conclude, describe_dirt, describe_exit
from runners.model import Attempt, Exit, Liveness, Stop, TreeFacts
from tests.runners.test_plan import NOW
from tests.runners.test_plan import attempt as base

CLEAN = TreeFacts(head="feed" * 10, branch="mux/shop/a", commits=2, modified=0, untracked=0)
DIRTY = TreeFacts(head="feed" * 10, branch="mux/shop/a", commits=0, modified=1, untracked=2)
DIRT = "; 1 file changed and not committed, 2 files untracked"


def attempt(ended: Exit | None = None, **changes: Any) -> Attempt:
    return base(liveness=Liveness.ENDED, exit=ended, **changes)


@pytest.mark.parametrize(
    ("seen", "status", "reason", "why"),
    [
        (attempt(Exit(NOW, 0)), "done", "done", "exit 0; 2 commits, tree clean"),
        (attempt(Exit(NOW, 3)), "failed", "exit", "exit 3"),
        (attempt(Exit(NOW, 127)), "failed", "exit", "exit 127 (command not found)"),
        (attempt(Exit(NOW, None, 9)), "failed", "exit", "signal 9 (SIGKILL)"),
        (attempt(Exit(NOW, None, 1, hangup=True)), "failed", "interrupted", "tmux server was closed"),
        (attempt(Exit(NOW, None, 1, "setup", hangup=True)), "failed", "interrupted", "tmux server was closed"),
        (attempt(Exit(NOW, 0, hangup=True)), "failed", "interrupted", "tmux server was closed"),
        (attempt(Exit(NOW, 2, phase="setup")), "failed", "setup", "setup: exit 2; read it with: mux logs a"),
        (attempt(), "failed", "lost", "its wrapper was killed"),
        (attempt(rebooted=True), "failed", "interrupted", "the machine went down"),
        (attempt(Exit(NOW, 1), rebooted=True), "failed", "exit", "exit 1"),
        (attempt(stop=Stop("stopped", NOW)), "stopped", "stopped", "stopped by a person"),
        (attempt(Exit(NOW, 0), stop=Stop("stopped", NOW)), "stopped", "stopped", "stopped by a person"),
        (attempt(Exit(NOW, 2, phase="setup"), stop=Stop("stopped", NOW)), "stopped", "stopped", "by a person"),
        (attempt(stop=Stop("restart", NOW)), "stopped", "restart", "restart that a person ordered"),
        (attempt(stop=Stop("timeout", NOW), timeout=5400.0), "failed", "timeout", "ended after 1h 30m"),
    ],
)
def test_how_it_ended_decides(seen: Attempt, status: str, reason: str, why: str) -> None:
    outcome = conclude(seen, CLEAN, NOW)
    assert (outcome.status, outcome.reason, outcome.at) == (Status(status), reason, NOW)
    assert why in outcome.why and "\n" not in outcome.why
    assert (outcome.checkpoint == CLEAN.head) is (status == "done")


@pytest.mark.parametrize("facts", [CLEAN, DIRTY, None])
@pytest.mark.parametrize("seen", [attempt(Exit(NOW, 1)), attempt(stop=Stop("stopped", NOW)), attempt()])
def test_work_that_is_not_committed_is_said(seen: Attempt, facts: TreeFacts | None) -> None:
    assert conclude(seen, facts, NOW).why.endswith(DIRT) is (facts is DIRTY)


@pytest.mark.parametrize(
    ("rules", "facts", "missing"),
    [
        ((), DIRTY, []),
        (("clean",), CLEAN, []),
        (("committed", "clean"), CLEAN, []),
        (("clean",), DIRTY, ["clean"]),
        (("committed",), DIRTY, ["committed"]),
        (("clean", "committed"), DIRTY, ["committed", "clean"]),
        ((), None, ["home"]),
        (("committed",), replace(CLEAN, branch="feature"), ["branch"]),
        ((), replace(CLEAN, branch=None), ["branch"]),
    ],
)
def test_the_done_gate(rules: tuple[str, ...], facts: TreeFacts | None, missing: list[str]) -> None:
    assert [name for name, _ in broken_rules(rules, facts, "mux/shop/a")] == missing
    outcome = conclude(attempt(Exit(NOW, 0), done_when=rules), facts, NOW)
    assert outcome.status is (Status.BLOCKED if missing else Status.DONE)
    assert outcome.why.startswith("claimed done, but ") is bool(missing)
    assert (outcome.checkpoint is None) is bool(missing)


def test_an_exit_that_the_system_has_no_name_for() -> None:
    assert describe_exit(attempt(Exit(NOW, None, 250))) == "signal 250"
    assert describe_exit(attempt()) == "exit unknown"
    assert describe_exit(attempt(Exit(NOW, 0))) == "exit 0"


def test_a_clean_tree_has_no_dirt() -> None:
    assert describe_dirt(CLEAN) == ""
