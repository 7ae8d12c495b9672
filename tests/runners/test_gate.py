"""The done gate, as tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from board.model import Status
from runners.gate import broken_rules, describe_dirt, describe_exit, verdict
from runners.model import Attempt, CheckResult, Exit, Liveness, TreeFacts
from tests.runners.test_plan import NOW
from tests.runners.test_plan import attempt as base

CLEAN = TreeFacts(head="feed" * 10, branch="mux/shop/a", commits=2, modified=0, untracked=0)
DIRTY = TreeFacts(head="feed" * 10, branch="mux/shop/a", commits=0, modified=1, untracked=2)


def attempt(ended: Exit | None = None, **changes: Any) -> Attempt:
    return base(liveness=Liveness.ENDED, exit=ended, **changes)


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
    assert verdict(broken_rules(rules, facts, "mux/shop/a")) is (Status.BLOCKED if missing else Status.DONE)


def test_all_but_merged_is_for_a_person_to_review() -> None:
    assert verdict([("merged", "it is not merged")]) is Status.REVIEW
    assert verdict([("merged", "it is not merged"), ("clean", "1 file untracked")]) is Status.BLOCKED


HEAD = CLEAN.head
PUSHED = replace(CLEAN, unpushed=0, pushed=True, merged=True)


@pytest.mark.parametrize(
    ("rule", "facts", "check", "says"),
    [
        ("pushed", PUSHED, None, None),
        ("pushed", CLEAN, None, "its branch has no upstream on a remote"),
        ("pushed", replace(CLEAN, unpushed=1, pushed=False), None, "1 commit not pushed"),
        ("pushed", replace(CLEAN, unpushed=0, pushed=False), None, "its upstream has commits that it does not have"),
        ("merged", PUSHED, None, None),
        ("merged", replace(CLEAN, merged=False), None, "it is not merged into main"),
        ("merged", CLEAN, None, "it is unknown whether it is merged into main"),
        ("check", CLEAN, CheckResult(HEAD, None, 1.0, 0), None),
        ("check", CLEAN, CheckResult(HEAD, None, 1.0, 1), "its check failed: exit 1"),
        ("check", CLEAN, CheckResult(HEAD, None, 1.0, None, 15), "its check failed: signal 15 (SIGTERM)"),
        ("check", CLEAN, CheckResult(HEAD, None, 1800.0), "its check was ended at its time limit, after 30m"),
        ("check", CLEAN, CheckResult(HEAD, None, 1.0, 0, steady=False), "the tree keeps changing while it is checked"),
        ("check", CLEAN, CheckResult("b" * 40, None, 1.0, 0), "the tree keeps changing while it is checked"),
        ("check", CLEAN, None, "its check did not run: there is no `check:` command on the board"),
    ],
)
def test_a_rule_holds_only_if_it_is_known_to(
    rule: str, facts: TreeFacts, check: CheckResult | None, says: str | None
) -> None:
    found = broken_rules((rule,), facts, "mux/shop/a", check, "main")
    assert found == ([] if says is None else [(rule, says)])
    assert broken_rules((), facts, "mux/shop/a", check) == [], "nobody asked"


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        ([], Status.DONE),
        ([("merged", "x")], Status.REVIEW),
        ([("merged", "x"), ("check", "x")], Status.BLOCKED),
        ([("clean", "x")], Status.BLOCKED),
        ([("home", "x")], Status.BLOCKED),
    ],
)
def test_the_verdict(broken: list[tuple[str, str]], status: Status) -> None:
    assert verdict(broken) is status


def test_an_exit_that_the_system_has_no_name_for() -> None:
    assert describe_exit(attempt(Exit(NOW, None, 250))) == "signal 250"
    assert describe_exit(attempt()) == "exit unknown"
    assert describe_exit(attempt(Exit(NOW, 0))) == "exit 0"


def test_a_clean_tree_has_no_dirt() -> None:
    assert describe_dirt(CLEAN) == ""
