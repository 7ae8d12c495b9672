"""What `diff`, `finish` and `clean` know of a task's home and branch, and what they decide from it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Literal

from board.errors import MuxError
from board.model import BoardSettings, TaskSettings
from runners import names
from runners.gate import describe_dirt
from runners.model import Attempt, Home, TreeFacts

How = Literal["push", "pr", "merge"]

_NAMES_SHOWN = 10
_GITHUB = re.compile(r"(?:git@|(?:https|ssh)://(?:[^@/]*@)?)github\.com[:/](?P<name>[^/]+/[^/]+?)(?:\.git)?/?\Z")


class Step(StrEnum):
    MERGE = "merge"
    PUSH = "push"
    PULL_REQUEST = "pull request"
    REMOVE_HOME = "remove home"
    DELETE_BRANCH = "delete branch"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Whose work it is, where it is, and where it goes. `home.start_commit` is empty when no record says it."""

    task: str
    home: Home
    repository: Path
    board: Path
    base: str | None  # None: the branch checked out in the repository
    checkpoint: str | None = None  # the commit that passed the done gate


@dataclass(frozen=True, slots=True)
class BranchFacts:
    """What git says of a task's branch and home. Remotes are as last fetched."""

    base: str
    base_is_branch: bool
    head: str | None  # the branch's commit; None: there is no such branch
    own: int  # commits of the branch that are not reachable from base
    merged: bool  # all of it is in base: reachable, picked over, or squashed
    unpushed: int  # commits that are on no remote, nor in base
    remote: str | None  # where the base belongs to
    pushed: bool  # the branch of that name on the remote is the same commit
    used_in: str  # the worktree in which the branch is checked out; git goes on saying so when its folder is gone
    there: bool  # something stands where the home should be
    tree: TreeFacts | None  # None: the home is gone, or no worktree any more
    dirty: tuple[str, ...] = ()  # the paths behind the counts of `tree`
    under_way: str | None = None  # `a rebase`, … that somebody has to go on with

    def home_is_registered(self, path: Path) -> bool:
        return bool(self.used_in) and Path(self.used_in).resolve() == path.resolve()


@dataclass(frozen=True, slots=True)
class Changes:
    diff: str
    untracked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remains:
    """What of a board's tasks is in a repository: task ids with a folder for their home, and with a branch."""

    homes: tuple[str, ...]
    branches: tuple[str, ...]


def of_task(board: Path, settings: BoardSettings, task: str, own: TaskSettings, attempt: Attempt | None) -> Delivery:
    """Where the task's newest attempt worked; without one, where it would. Pure."""
    outcome = attempt.outcome if attempt else None
    recorded = attempt is not None and attempt.home.path.is_absolute() and attempt.home.branch
    home = Home(names.home_of(board, settings, task), names.branch_of(board, settings, task), "")
    return Delivery(
        task=task,
        home=attempt.home if attempt is not None and recorded else home,
        repository=names.repository_of(board, settings),
        board=board,
        base=own.base,
        checkpoint=outcome.checkpoint if outcome else None,
    )


def at_stake(delivery: Delivery, facts: BranchFacts) -> str | None:
    """What would be lost if the home went now, the branch staying, and what to do; None when nothing would. Pure."""
    path, branch = delivery.home.path, delivery.home.branch
    if facts.tree is None:
        gone = f"{path}: is no worktree any more; look at what is in it, and move it away by hand"
        return gone if facts.there else None
    if facts.dirty or not facts.tree.clean:
        shown = ", ".join(facts.dirty[:_NAMES_SHOWN])
        more = f" and {len(facts.dirty) - _NAMES_SHOWN} more" if len(facts.dirty) > _NAMES_SHOWN else ""
        return f"{describe_dirt(facts.tree)} in {path} ({shown}{more}); commit or delete that"
    if facts.under_way:
        return f"{facts.under_way} is under way in {path}; go on with it or abort it there"
    if facts.tree.branch != branch:
        return f"{path} is on {facts.tree.branch or 'no branch'}, not on {branch}: git -C {quote(str(path))} switch …"
    return None


def steps(how: How, delivery: Delivery, facts: BranchFacts) -> tuple[Step, ...]:
    """What is left to do to deliver the branch and put its home away; () when all is done. Pure.

    Raises MuxError, with what to do, when something would be lost or the branch cannot go where it should.
    """
    stake = at_stake(delivery, facts)
    if stake is not None:
        raise MuxError(f"{delivery.task}: {stake}, then finish again; nothing was removed")
    home = facts.there or facts.home_is_registered(delivery.home.path)
    removal = [Step.REMOVE_HOME] if home else []
    if facts.head is None:
        return tuple(removal)
    if facts.own == 0 or (how == "merge" and facts.merged):
        return (*removal, Step.DELETE_BRANCH)
    if how == "merge":
        _check_base(delivery, facts)
        return (Step.MERGE, *removal, Step.DELETE_BRANCH)
    if facts.remote is None:
        raise MuxError(
            f"{delivery.task}: {delivery.repository} has no remote to push to: git remote add origin URL, "
            f"or: mux finish {delivery.task} --how merge"
        )
    request = [Step.PULL_REQUEST] if how == "pr" and (facts.there or not facts.pushed) else []
    return (*([] if facts.pushed else [Step.PUSH]), *request, *removal)


def _check_base(delivery: Delivery, facts: BranchFacts) -> None:
    if not facts.base_is_branch:
        raise MuxError(
            f"{delivery.task}: {facts.base} is no branch to merge into: switch to one in {delivery.repository}, "
            f"set `base:`, or: mux finish {delivery.task} --how push"
        )


def pull_request_hint(address: str, branch: str, base: str) -> str:
    """What a person opens by hand. A remote's address may hold a password: only what is known to be none is shown."""
    found = _GITHUB.match(address)
    if found is None:
        return f"open a pull request for {branch} into {base} where the repository is hosted"
    return f"open https://github.com/{found['name']}/compare/{base}...{branch}?expand=1"
