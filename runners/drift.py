"""Drift: a task that says `done` or `review`, and whose home or branch says something else. Pure.

Each drift has a command that works when pasted. None of them discards work: what is uncommitted is stashed, a branch
is only ever moved forward, and what removes a worktree is `mux finish`, which looks for itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from shlex import quote

from board.model import Status
from runners.delivery import BranchFacts, Delivery
from runners.gate import broken_rules
from runners.model import TreeFacts

_UNKNOWN = "it could not be looked at"
_ABORT = {"a bisect": "bisect reset"}  # of what is under way; the others: `rebase --abort`, …


@dataclass(frozen=True, slots=True)
class Drift:
    """`text` completes "fix says done, but: …". `fix` is one line for a shell."""

    task: str
    rule: str  # of the done gate; or `branch`, `home`, `delivered`
    text: str
    fix: str
    known: bool = True  # False: it could not be looked at, so that nothing is known

    @property
    def told(self) -> str:
        """For the journal: no path of this machine, with which a fix would not work there, and none of git's words."""
        text = _UNKNOWN if self.rule == "home" and not self.known else self.text
        return f"{text}; fix: {self.fix if self.fix.startswith('mux ') else 'mux doctor'}"


def needs_branch(rules: tuple[str, ...], facts: TreeFacts, branch: str) -> bool:
    """Whether `of_home` wants to know of the branch, too: that takes git a while."""
    return "merged" in rules or ("pushed" in rules and not facts.pushed) or facts.branch != branch


def rules_of(done_when: tuple[str, ...], status: Status) -> tuple[str, ...]:
    """What has to hold still. A task in review is not merged yet: that is what it waits for."""
    return tuple(rule for rule in done_when if not (rule == "merged" and status is Status.REVIEW))


def of_home(
    delivery: Delivery, rules: tuple[str, ...], facts: TreeFacts, branch: BranchFacts | None, checked: bool
) -> tuple[Drift, ...]:
    """What the rules say of a home that is there. `branch`: see `needs_branch`. `checked`: the task has a check."""
    if branch is not None:
        facts = replace(facts, merged=branch.merged)
    computed = tuple(rule for rule in rules if rule != "check")
    base = branch.base if branch else delivery.base
    found = broken_rules(computed, facts, delivery.home.branch, base=base)
    drifts = [Drift(delivery.task, rule, text, _fix(rule, delivery, facts, branch)) for rule, text in found]
    if "check" in rules and checked and facts.head != delivery.checkpoint:
        drifts.append(_unchecked(delivery))
    return tuple(drifts)


def of_delivered(
    delivery: Delivery, status: Status, delivered: bool | None, branch_is_there: bool
) -> tuple[Drift, ...]:
    """What there is to say of a home that is gone, as after `mux finish`: is the recorded commit where it belongs?"""
    if delivery.checkpoint is None or delivered or (status is Status.REVIEW and branch_is_there):
        return ()
    commit, task, repository = delivery.checkpoint[:7], delivery.task, quote(str(delivery.repository))
    if delivered is None:
        text = f"git does not have its commit {commit} any more: it is unknown where it went"
        return (Drift(task, "delivered", text, f"git -C {repository} fetch --all", known=False),)
    again = f"mux finish {task}"
    branch = f"git -C {repository} branch {quote(delivery.home.branch)} {commit}"
    text = f"its commit {commit} is neither in its base nor on a remote"
    return (Drift(task, "delivered", text, again if branch_is_there else f"{branch} && {again}"),)


def unknown(task: str, error: str) -> Drift:
    return Drift(task, "home", f"{_UNKNOWN}: {error}", "mux doctor", known=False)


def _unchecked(delivery: Delivery) -> Drift:
    """Only the done gate records how a check ended, and it comes after a worker."""
    since = f"since commit {delivery.checkpoint[:7]}" if delivery.checkpoint else "with success"
    return Drift(delivery.task, "check", f"its check did not run {since}", f"mux start {delivery.task}", known=False)


def _fix(rule: str, delivery: Delivery, facts: TreeFacts, branch: BranchFacts | None) -> str:
    git = f"git -C {quote(str(delivery.home.path))}"
    finish = f"mux finish {delivery.task} --how merge"
    match rule:
        case "branch":
            return f"{git} {_back_to_branch(delivery, branch)}"
        case "committed" if delivery.checkpoint is not None:
            return f"{git} merge --ff-only {delivery.checkpoint[:7]}"
        case "committed":
            return f"mux start {delivery.task}"
        case "clean":
            return f"{git} stash push --include-untracked --message left-by-{delivery.task}"
        case "pushed":
            return f"{git} {push}" if (push := _push(delivery, facts, branch)) else finish
        case _:
            return finish


def _back_to_branch(delivery: Delivery, branch: BranchFacts | None) -> str:
    name = quote(delivery.home.branch)
    if branch is not None and branch.under_way is not None:
        return _ABORT.get(branch.under_way, f"{branch.under_way.removeprefix('a ')} --abort")
    if branch is not None and branch.head is None:
        return f"switch --create {name} {(delivery.checkpoint or '')[:7]}".rstrip()
    return f"switch {name}"


def _push(delivery: Delivery, facts: TreeFacts, branch: BranchFacts | None) -> str | None:
    """None when there is no remote to push to."""
    if facts.pushed is None:
        remote = branch.remote if branch else None
        return f"push --set-upstream {quote(remote)} {quote(delivery.home.branch)}" if remote else None
    return "-c push.default=upstream push" if facts.unpushed else "pull --ff-only"
