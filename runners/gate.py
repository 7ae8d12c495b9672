"""The done gate, and what mux concludes about an attempt that ended. Pure: facts in, an outcome out."""

from __future__ import annotations

import signal as signals

from board.clock import format_duration
from board.model import Status
from runners.model import Attempt, Outcome, TreeFacts

_EXIT_MEANINGS = {126: "not executable", 127: "command not found"}


def conclude(attempt: Attempt, facts: TreeFacts | None, now: float) -> Outcome:
    """The outcome of an ended attempt. `facts` is what git says of its home now; None when the home is gone."""
    if attempt.stop is not None:
        return _stopped(attempt, facts, now)
    if attempt.exit is None:
        if attempt.rebooted:
            return _failed("interrupted", "interrupted: the machine went down while it ran", facts, now)
        return _failed("lost", "interrupted: its wrapper was killed, so its exit is unknown", facts, now)
    if attempt.exit.hangup:  # in setup too
        return _failed("interrupted", "interrupted: its window or the tmux server was closed", facts, now)
    if attempt.exit.phase == "setup":
        return _failed("setup", f"setup: {describe_exit(attempt)}; read it with: mux logs {attempt.task}", facts, now)
    if attempt.exit.code != 0:
        return _failed("exit", describe_exit(attempt), facts, now)
    return _judge(attempt, facts, now)


def unreadable(attempt: Attempt, error: str, now: float) -> Outcome:
    """The outcome of an ended attempt whose home git cannot read: a person has to look."""
    return Outcome(Status.BLOCKED, "home", f"{describe_exit(attempt)}, but its home cannot be read: {error}", now)


def broken_rules(done_when: tuple[str, ...], facts: TreeFacts | None, branch: str) -> list[tuple[str, str]]:
    """The rules of the done gate that do not hold, each with what is missing. `branch` is where the work belongs."""
    if facts is None:
        return [("home", "its worktree is gone")]
    broken = []
    if facts.branch != branch:
        broken.append(("branch", f"its home is on {facts.branch or 'no branch'}, not on {branch}"))
    if "committed" in done_when and facts.commits == 0:
        broken.append(("committed", "no commit on its branch"))
    if "clean" in done_when and not facts.clean:
        broken.append(("clean", describe_dirt(facts)))
    return broken


def describe_exit(attempt: Attempt) -> str:
    """`exit 1`, `exit 127 (command not found)`, `signal 9 (SIGKILL)`."""
    if attempt.exit is None:
        return "exit unknown"
    if attempt.exit.signal is not None:
        try:
            name = signals.Signals(attempt.exit.signal).name
        except ValueError:
            return f"signal {attempt.exit.signal}"
        return f"signal {attempt.exit.signal} ({name})"
    meaning = _EXIT_MEANINGS.get(attempt.exit.code or 0)
    return f"exit {attempt.exit.code}" + (f" ({meaning})" if meaning else "")


def describe_dirt(facts: TreeFacts) -> str:
    """`2 files changed and not committed, 1 file untracked`; empty when the tree is clean."""
    parts = []
    if facts.modified:
        parts.append(f"{_files(facts.modified)} changed and not committed")
    if facts.untracked:
        parts.append(f"{_files(facts.untracked)} untracked")
    return ", ".join(parts)


def _judge(attempt: Attempt, facts: TreeFacts | None, now: float) -> Outcome:
    broken = broken_rules(attempt.done_when, facts, attempt.home.branch)
    if broken:
        missing = "; ".join(text for _, text in broken)
        return Outcome(Status.BLOCKED, "gate", f"claimed done, but {missing}", now)
    assert facts is not None
    commits = f"{facts.commits} commit{'s' if facts.commits != 1 else ''}"
    why = f"exit 0; {commits}, tree {'clean' if facts.clean else 'not clean'}"
    return Outcome(Status.DONE, "done", why, now, facts.head)


def _stopped(attempt: Attempt, facts: TreeFacts | None, now: float) -> Outcome:
    assert attempt.stop is not None
    if attempt.stop.reason == "timeout":
        limit = format_duration(attempt.timeout or 0)
        return _failed("timeout", f"timeout: ended after {limit}", facts, now)
    if attempt.stop.reason == "restart":
        return Outcome(Status.STOPPED, "restart", "ended for the restart that a person ordered", now)
    return Outcome(Status.STOPPED, "stopped", "stopped by a person" + _dirt(facts), now)


def _failed(reason: str, why: str, facts: TreeFacts | None, now: float) -> Outcome:
    return Outcome(Status.FAILED, reason, why + _dirt(facts), now)


def _dirt(facts: TreeFacts | None) -> str:
    return f"; {describe_dirt(facts)}" if facts is not None and not facts.clean else ""


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"
