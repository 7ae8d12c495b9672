"""How a case reads in a reason: typed words only. Pure."""

from __future__ import annotations

from runners import gate
from runners.case import Case
from runners.model import Attempt


def end_text(case: Case) -> str:
    """How it ended, in typed words."""
    return end_of(case.attempt)


def end_of(attempt: Attempt) -> str:
    if attempt.exit is None and attempt.rebooted:
        return "interrupted: the machine went down while it ran"
    if attempt.exit is None:
        return "interrupted: its wrapper was killed, so its exit is unknown"
    if attempt.exit.hangup:
        return "interrupted: its window or the tmux server was closed"
    return gate.describe_exit(attempt)


def reason(case: Case) -> str:
    attempt = case.attempt
    if attempt.exit is None:
        return "interrupted" if attempt.rebooted else "lost"
    return "interrupted" if attempt.exit.hangup else "exit"


def at_head(case: Case) -> str:
    if case.tree is None:
        return ""
    return f"; tree clean at {case.tree.head[:7]}" if case.tree.clean else f"; {gate.describe_dirt(case.tree)}"


def dirt(case: Case) -> str:
    return f"; {gate.describe_dirt(case.tree)}" if case.tree is not None and not case.tree.clean else ""


def times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"
