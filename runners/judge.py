"""The done gate on this host: what its rules say of a home, its check included. `runners.gate` says what that means."""

from __future__ import annotations

from runners import git
from runners.check import Checks
from runners.gate import broken_rules
from runners.model import Attempt, GateRules, Home, Judgement, TreeFacts


def judge(checks: Checks, attempt: Attempt, rules: GateRules) -> Judgement:
    """Every rule that is asked for. Raises MuxError when git could not be asked or the check could not be run."""
    home = attempt.home
    base = _base(rules, home) if "merged" in rules.done_when else None
    facts = tree(home, base)
    check = None
    if "check" in rules.done_when and rules.check and facts is not None and facts.branch == home.branch:
        check = checks.run(attempt, rules)
        facts = tree(home, base)  # anew: it took its time, and may have left files
    broken = broken_rules(rules.done_when, facts, home.branch, check, base or rules.base)
    return Judgement(facts, check, tuple(broken))


def tree(home: Home, base: str | None = None) -> TreeFacts | None:
    """What git says of the home; None when its folder is gone."""
    return git.tree_facts(home, base) if (home.path / ".git").exists() else None


def _base(rules: GateRules, home: Home) -> str | None:
    """Where the work is to be merged; None when there is no such branch, or it is the home's own."""
    root = git.open_repository(rules.repository).root
    base = rules.base or git.current_branch(root)
    return base if base is not None and base != home.branch and git.resolve(root, base) is not None else None
