"""The done gate: which rules hold, and the words for it. Pure."""

from __future__ import annotations

import signal as signals
from collections.abc import Iterable

from board.clock import format_duration
from board.model import Status
from runners.model import Attempt, CheckResult, Outcome, TreeFacts

_EXIT_MEANINGS = {126: "not executable", 127: "command not found"}


def unreadable(attempt: Attempt, told: str, now: float) -> Outcome:
    """The outcome of an ended attempt whose home git cannot read: a person has to look. `told`: no words of git's."""
    return Outcome(Status.BLOCKED, "home", f"{describe_exit(attempt)}, but its home cannot be read: {told}", now)


def broken_rules(
    done_when: tuple[str, ...],
    facts: TreeFacts | None,
    branch: str,
    check: CheckResult | None = None,
    base: str | None = None,
) -> list[tuple[str, str]]:
    """The rules of the done gate that do not hold, each with what is missing. What is unknown does not hold.

    `branch` is where the work belongs, `base` where it is to be merged, `check` how the check of these files ended.
    """
    if facts is None:
        return [("home", "its worktree is gone")]
    broken = []
    if facts.branch != branch:
        broken.append(("branch", f"its home is on {facts.branch or 'no branch'}, not on {branch}"))
    if "committed" in done_when and facts.commits == 0:
        broken.append(("committed", "no commit on its branch"))
    if "clean" in done_when and not facts.clean:
        broken.append(("clean", describe_dirt(facts)))
    if "pushed" in done_when and not facts.pushed:
        broken.append(("pushed", _describe_unpushed(facts)))
    if "merged" in done_when and not facts.merged:
        into = base or "its base"
        unknown = f"it is unknown whether it is merged into {into}"
        broken.append(("merged", f"it is not merged into {into}" if facts.merged is False else unknown))
    if "check" in done_when and facts.branch == branch and (wrong := _describe_check(check, facts)):
        broken.append(("check", wrong))
    return broken


def verdict(broken: Iterable[tuple[str, str]]) -> Status:
    """Nothing broken: done. All but `merged` hold: a person reviews and merges it. Else a person has to look."""
    rules = {rule for rule, _ in broken}
    if not rules:
        return Status.DONE
    return Status.REVIEW if rules == {"merged"} else Status.BLOCKED


def describe_exit(attempt: Attempt) -> str:
    """`exit 1`, `exit 127 (command not found)`, `signal 9 (SIGKILL)`."""
    return "exit unknown" if attempt.exit is None else _describe_end(attempt.exit.code, attempt.exit.signal)


def _describe_end(code: int | None, signal: int | None) -> str:
    if signal is not None:
        try:
            name = signals.Signals(signal).name
        except ValueError:
            return f"signal {signal}"
        return f"signal {signal} ({name})"
    meaning = _EXIT_MEANINGS.get(code or 0)
    return f"exit {code}" + (f" ({meaning})" if meaning else "")


def describe_dirt(facts: TreeFacts) -> str:
    """`2 files changed and not committed, 1 file untracked`; empty when the tree is clean."""
    parts = []
    if facts.modified:
        parts.append(f"{_files(facts.modified)} changed and not committed")
    if facts.untracked:
        parts.append(f"{_files(facts.untracked)} untracked")
    return ", ".join(parts)


def _describe_unpushed(facts: TreeFacts) -> str:
    if facts.pushed is None:
        return "its branch has no upstream on a remote"
    if facts.unpushed:
        return f"{facts.unpushed} commit{'s' if facts.unpushed != 1 else ''} not pushed"
    return "its upstream has commits that it does not have"


def _describe_check(check: CheckResult | None, facts: TreeFacts) -> str:
    """What is wrong with the check of these files; empty when it holds."""
    if check is None:
        return "its check did not run: there is no `check:` command on the board"
    if not check.steady or check.head != facts.head:
        return "the tree keeps changing while it is checked"
    if check.holds:
        return ""
    if check.code is None and check.signal is None:
        return f"its check was ended at its time limit, after {format_duration(check.seconds)}"
    return f"its check failed: {_describe_end(check.code, check.signal)}"


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"
