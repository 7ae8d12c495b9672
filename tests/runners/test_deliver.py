from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from board.errors import LockHeld, MuxError
from runners import claims, deliver, git, homes, sh
from runners.delivery import BranchFacts, Delivery, How, Step, at_stake, steps
from runners.git import Repository
from runners.model import Home, TreeFacts
from tests.runners.conftest import NASTY, commit, make_repository

BRANCH = "mux/shop/fix"
HOME = Home(Path("/homes/fix"), BRANCH, "1" * 40)
DELIVERY = Delivery("fix", HOME, Path("/shop"), Path("/shop/board.md"), None)
CLEAN = TreeFacts("2" * 40, BRANCH, 1, 0, 0)
FACTS = BranchFacts(
    base="main",
    base_is_branch=True,
    head="2" * 40,
    own=1,
    merged=False,
    unpushed=1,
    remote="origin",
    pushed=False,
    used_in="/homes/fix",
    there=True,
    tree=CLEAN,
)
AWAY = {"there": False, "tree": None, "used_in": ""}
MERGE, PUSH, OPEN, HOME_GOES, BRANCH_GOES = Step


@pytest.mark.parametrize(
    ("how", "change", "left"),
    [
        ("merge", {}, (MERGE, HOME_GOES, BRANCH_GOES)),
        ("merge", {"merged": True}, (HOME_GOES, BRANCH_GOES)),
        ("merge", {"merged": True, **AWAY}, (BRANCH_GOES,)),
        ("merge", {"there": False, "tree": None}, (MERGE, HOME_GOES, BRANCH_GOES)),  # git still has it registered
        ("merge", {"head": None, **AWAY}, ()),
        ("push", {}, (PUSH, HOME_GOES)),
        ("push", {"pushed": True}, (HOME_GOES,)),
        ("push", {"pushed": True, **AWAY}, ()),
        ("push", {"own": 0, "merged": True}, (HOME_GOES, BRANCH_GOES)),
        ("pr", {}, (PUSH, OPEN, HOME_GOES)),
        ("pr", {"pushed": True}, (OPEN, HOME_GOES)),
        ("pr", {"pushed": True, **AWAY}, ()),
        ("pr", AWAY, (PUSH, OPEN)),
    ],
)
def test_what_is_left_to_do(how: How, change: dict[str, object], left: tuple[Step, ...]) -> None:
    assert steps(how, DELIVERY, replace(FACTS, **change)) == left  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tree": None}, "is no worktree any more"),
        ({"tree": replace(CLEAN, modified=1), "dirty": ("a",)}, "1 file changed and not committed"),
        ({"tree": replace(CLEAN, untracked=2), "dirty": ("a", "b")}, "2 files untracked in /homes/fix (a, b)"),
        ({"under_way": "a rebase"}, "a rebase is under way"),
        ({"tree": replace(CLEAN, branch=None)}, "is on no branch"),
        ({"tree": replace(CLEAN, branch="mine")}, "is on mine, not on mux/shop/fix"),
    ],
)
@pytest.mark.parametrize("how", ["merge", "push", "pr"])
def test_nothing_is_done_while_something_is_at_stake(how: How, change: dict[str, object], said: str) -> None:
    facts = replace(FACTS, **change)  # type: ignore[arg-type]
    assert said in (at_stake(DELIVERY, facts) or "")
    with pytest.raises(MuxError, match="finish again; nothing was removed"):
        steps(how, DELIVERY, facts)


def made(repository: Repository) -> Delivery:
    """A home with one commit."""
    path = repository.root.with_name("homes") / "fix"
    start = git.resolve(repository.root, "main") or ""
    home = homes.prepare(repository, path, BRANCH, start, ()).home
    commit(home.path, "fix.txt", "fixed\n")
    return Delivery("fix", home, repository.root, repository.root / "board.md", None)


def test_the_home_is_looked_at_again_before_it_goes(repository: Repository) -> None:
    delivery = made(repository)
    deliver.carry_out(delivery, Step.MERGE)
    (delivery.home.path / "late").write_text("x")
    with pytest.raises(MuxError, match=r"untracked.*was not removed"):
        deliver.carry_out(delivery, Step.REMOVE_HOME)
    assert (delivery.home.path / "late").exists()


def test_a_commit_that_came_after_the_merge_keeps_the_branch(repository: Repository) -> None:
    delivery = made(repository)
    deliver.carry_out(delivery, Step.MERGE)
    late = commit(delivery.home.path, "late", "x")
    deliver.carry_out(delivery, Step.REMOVE_HOME)
    with pytest.raises(MuxError, match="not in main: it was kept"):
        deliver.carry_out(delivery, Step.DELETE_BRANCH)
    assert git.resolve(repository.root, BRANCH) == late


def test_a_branch_that_somebody_has_checked_out_stays(repository: Repository) -> None:
    delivery = made(repository)
    deliver.carry_out(delivery, Step.MERGE)
    with pytest.raises(MuxError, match="is checked out in"):
        deliver.carry_out(delivery, Step.DELETE_BRANCH)
    assert git.resolve(repository.root, BRANCH)


def test_each_step_can_be_done_twice(repository: Repository) -> None:
    delivery = made(repository)
    for step in (Step.MERGE, Step.REMOVE_HOME, Step.DELETE_BRANCH):
        deliver.carry_out(delivery, step)
        if step is not Step.MERGE:
            deliver.carry_out(delivery, step)
    assert deliver.branch_facts(delivery).head is None


def test_an_empty_folder_in_the_homes_place(repository: Repository) -> None:
    delivery = made(repository)
    sh.run(["rm", "-r", str(delivery.home.path)])
    delivery.home.path.mkdir()
    facts = deliver.branch_facts(delivery)
    assert not facts.there and steps("merge", delivery, facts) == (MERGE, HOME_GOES, BRANCH_GOES)
    deliver.carry_out(delivery, Step.REMOVE_HOME)
    assert not delivery.home.path.exists()


def test_any_folder_name(tmp_path: Path) -> None:
    delivery = made(make_repository(tmp_path / NASTY))
    (delivery.home.path / "naïve\nname").write_text("x")
    facts = deliver.branch_facts(delivery)
    assert facts.dirty == ("naïve\nname",)
    assert facts.home_is_registered(delivery.home.path)
    assert deliver.diff(delivery, False).untracked == ("naïve\nname",)
    (delivery.home.path / "naïve\nname").unlink()
    for step in (Step.MERGE, Step.REMOVE_HOME, Step.DELETE_BRANCH):
        deliver.carry_out(delivery, step)


def test_whether_a_commit_is_delivered(repository: Repository) -> None:
    delivery = made(repository)
    head = git.resolve(repository.root, BRANCH) or ""
    assert deliver.in_base_or_remote(delivery, head) is False
    assert deliver.in_base_or_remote(delivery, "0" * 40) is None
    deliver.carry_out(delivery, Step.MERGE)
    assert deliver.in_base_or_remote(delivery, head) is True


def test_nobody_can_be_granted_a_task_that_is_held(tmp_path: Path) -> None:
    claims.grant(tmp_path, "fix", 3, 0.0)
    with deliver.hold(tmp_path, "fix"), pytest.raises(LockHeld):
        claims.grant(tmp_path, "fix", 4, 0.0)
    claims.grant(tmp_path, "fix", 4, 0.0)


def test_holding_makes_no_folder_where_mux_never_ran(tmp_path: Path) -> None:
    with deliver.hold(tmp_path / ".mux", "fix"):
        pass
    assert not (tmp_path / ".mux").exists()


def test_disk_usage(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 1000)
    (tmp_path / "loop").symlink_to(tmp_path)
    size = deliver.disk_usage(tmp_path)
    assert 1000 <= size < 1500 and deliver.disk_usage(tmp_path / "deep" / "file") == 1000
    assert deliver.disk_usage(tmp_path / "gone") == 0
