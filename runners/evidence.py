"""What a person needs to decide a request: counts and typed values, never names or a worker's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runners import gate
from runners.asked import binding
from runners.kept import Taken
from runners.model import Attempt, OpenStep, TreeFacts

#: That the worker lives; then the request is not bound to HEAD and files, which it goes on changing.
LIVE = "live"

Evidence = dict[str, str | int]


def of_attempt(
    attempt: Attempt, tree: TreeFacts | None, taken: Taken | None, beyond_checkpoint: int | None, live: bool
) -> Evidence:
    """`taken`: the snapshot of what is uncommitted; `beyond_checkpoint`: the commits that are not in the checkpoint."""
    found: Evidence = {"attempt": attempt.number}
    if live:
        found[LIVE] = 1
    else:
        found["exit"] = gate.describe_exit(attempt)
    if attempt.checkpoint:
        found["checkpoint"] = attempt.checkpoint
    if tree is None:
        return found | {"home": "gone"}
    found |= {"head": tree.head, "commits": tree.commits, "modified": tree.modified, "untracked": tree.untracked}
    if tree.unpushed is not None:
        found["unpushed"] = tree.unpushed
    if beyond_checkpoint is not None:
        found["beyond_checkpoint"] = beyond_checkpoint
    if taken is not None:
        found |= {"snapshot": taken.snapshot.number, "left_out": len(taken.left_out)}
    return found


def about(
    task: str,
    attempt: Attempt,
    action: str,
    tree: TreeFacts | None,
    files: str | None,
    live: bool,
    steps: Sequence[OpenStep] = (),
) -> str:
    """What the question is bound to: a living worker's attempt, else also HEAD and files of its home, and its steps."""
    if live:
        return binding(task, attempt.number, action)
    home = (tree.head if tree else "", tree.branch if tree else "", files or "")
    return binding(task, attempt.number, action, *home, *(part for step in steps for part in (step.id, step.at)))


def is_live(evidence: Mapping[str, object]) -> bool:
    return LIVE in evidence


def lost_by(choice: str, evidence: Mapping[str, object]) -> str:
    """What a way to go on takes away, in words; empty when nothing. The snapshot keeps what it can."""
    if choice != "checkpoint":
        return ""
    counts = (("beyond_checkpoint", "commit"), ("modified", "changed file"), ("untracked", "untracked file"))
    parts = [f"{evidence[key]} {what}{'s' if evidence[key] != 1 else ''}" for key, what in counts if evidence.get(key)]
    stay = evidence.get("left_out")  # no snapshot holds them
    spared = f", but for {stay} path{'s that stay' if stay != 1 else ' that stays'}" if stay else ""
    return f"takes away {', '.join(parts)}{spared}" if parts else ""
