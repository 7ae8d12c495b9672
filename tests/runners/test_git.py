from __future__ import annotations

import os
from pathlib import Path

import pytest

from board.errors import CommandFailed, MuxError
from runners import git, sh
from runners.git import Repository
from runners.model import Home
from tests.runners.conftest import NASTY, commit, make_repository


def call(folder: Path, *words: str) -> str:
    return sh.run(["git", *words], cwd=folder).out.strip()


def branch_with(repository: Repository, *files: tuple[str, str], name: str = "mux/shop/fix") -> str:
    """A branch of main with one commit a file, checked out nowhere; main is checked out again."""
    call(repository.root, "switch", "--quiet", "-c", name)
    head = [commit(repository.root, file, text, f"add {file}") for file, text in files][-1]
    call(repository.root, "switch", "--quiet", "main")
    return head


@pytest.mark.parametrize("name", [NASTY, "line\nbreak", "-dash"])
def test_a_repository_in_any_folder(tmp_path: Path, name: str) -> None:
    made = make_repository(tmp_path / name)
    (made.root / "sub").mkdir()
    found = git.open_repository(tmp_path / name / "sub")
    assert found == Repository(tmp_path / name, (tmp_path / name / ".git").resolve())
    assert git.current_branch(found.root) == "main"


def test_what_is_no_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(MuxError, match=r"not a git repository; run `git init`"):
        git.open_repository(tmp_path)
    with pytest.raises(MuxError, match="no such folder; set `repo:`"):
        git.open_repository(tmp_path / "gone")
    sh.run(["git", "init", "--quiet", "--bare", "bare"], cwd=tmp_path)
    with pytest.raises(MuxError, match="cannot be used as a repository"):
        git.open_repository(tmp_path / "bare")


def test_a_repository_without_a_commit_is_said(tmp_path: Path) -> None:
    sh.run(["git", "init", "--quiet"], cwd=tmp_path)
    with pytest.raises(MuxError, match="no commit yet"):
        git.open_repository(tmp_path)


def test_a_hooks_environment_does_not_point_us_elsewhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert git.open_repository(repository.root) == repository


def test_names_are_resolved(repository: Repository) -> None:
    root = repository.root
    assert git.resolve(root, "main") == call(root, "rev-parse", "HEAD")
    assert [git.resolve(root, name) for name in ("gone", "", "--all", "main:README")] == [None] * 4
    assert git.branch_exists(root, "main") and not git.branch_exists(root, "gone")
    call(root, "switch", "--quiet", "--detach")
    assert git.current_branch(root) is None


def test_tree_facts_count_what_git_sees(repository: Repository) -> None:
    root, start = repository.root, call(repository.root, "rev-parse", "HEAD")
    home = Home(root, "main", start)
    assert git.tree_facts(home).clean
    head = commit(root, "new", "1\n")
    (root / "README").write_text("changed\n")
    (root / "new").unlink()
    (root / "staged").write_text("x")
    call(root, "add", "staged")
    (root / "untracked\nä").write_text("x")
    (root / ".env").write_text("ignored")
    facts = git.tree_facts(home)
    assert (facts.head, facts.branch, facts.commits) == (head, "main", 1)
    assert (facts.modified, facts.untracked, facts.clean) == (3, 1, False)


class TestUpstream:
    """What `status` says of a branch and its upstream, as last fetched."""

    @pytest.fixture
    def far(self, repository: Repository, tmp_path: Path) -> Path:
        """`main` of a repository with a remote is checked out, pushed, and has its upstream."""
        sh.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", "far"], cwd=tmp_path)
        call(repository.root, "remote", "add", "origin", str(tmp_path / "far"))
        call(repository.root, "push", "--quiet", "--set-upstream", "origin", "main")
        return tmp_path / "far"

    def seen(self, repository: Repository) -> tuple[int | None, bool | None]:
        facts = git.tree_facts(Home(repository.root, "main", "HEAD"))
        return facts.unpushed, facts.pushed

    def test_none(self, repository: Repository) -> None:
        assert self.seen(repository) == (None, None)

    def test_the_same_ahead_behind_and_both(self, repository: Repository, far: Path) -> None:
        root = repository.root
        assert self.seen(repository) == (0, True)
        commit(root, "a", "1\n")
        commit(root, "b", "1\n")
        assert self.seen(repository) == (2, False)
        call(root, "push", "--quiet")
        assert self.seen(repository) == (0, True)
        call(root, "reset", "--quiet", "--hard", "HEAD~1")
        assert self.seen(repository) == (0, False)
        commit(root, "c", "1\n")
        assert self.seen(repository) == (1, False)

    def test_gone(self, repository: Repository, far: Path) -> None:
        call(repository.root, "update-ref", "-d", "refs/remotes/origin/main")
        assert self.seen(repository) == (None, None)

    def test_a_branch_of_this_very_repository_is_no_remote(self, repository: Repository) -> None:
        call(repository.root, "branch", "origin/other")
        call(repository.root, "branch", "--quiet", "--set-upstream-to=origin/other")
        assert "+0 -0" in call(repository.root, "status", "--porcelain=v2", "--branch")
        assert self.seen(repository) == (None, None)

    def test_detached(self, repository: Repository, far: Path) -> None:
        call(repository.root, "switch", "--quiet", "--detach")
        assert self.seen(repository) == (None, None)


def test_merged_is_said_when_a_base_is_given(repository: Repository) -> None:
    root, start = repository.root, call(repository.root, "rev-parse", "HEAD")
    branch_with(repository, ("a", "1\n"), ("b", "2\n"))
    call(root, "switch", "--quiet", "mux/shop/fix")
    home = Home(root, "mux/shop/fix", start)
    assert git.tree_facts(home).merged is None
    assert git.tree_facts(home, "main").merged is False
    call(root, "switch", "--quiet", "main")
    call(root, "merge", "--quiet", "--squash", "mux/shop/fix")
    call(root, "commit", "--quiet", "-m", "all in one")
    call(root, "switch", "--quiet", "mux/shop/fix")
    facts = git.tree_facts(home, "main")
    assert (facts.merged, facts.commits) == (True, 2)
    commit(root, "c", "not in it\n")
    assert git.tree_facts(home, "main").merged is False


def test_a_rebase_under_way_is_on_no_branch(repository: Repository) -> None:
    root = repository.root
    branch_with(repository, ("README", "theirs\n"))
    commit(root, "README", "ours\n")
    call(root, "switch", "--quiet", "mux/shop/fix")
    assert sh.run(["git", "rebase", "main"], cwd=root, check=False).code != 0
    facts = git.tree_facts(Home(root, "mux/shop/fix", "main"))
    assert (facts.branch, facts.clean) == (None, False)


def test_settings_cannot_hide_work(repository: Repository) -> None:
    call(repository.root, "config", "status.showUntrackedFiles", "no")
    (repository.root / "work").write_text("x")
    assert git.tree_facts(Home(repository.root, "main", "HEAD")).untracked == 1


def test_a_rename_is_not_two_records_too_many(repository: Repository) -> None:
    call(repository.root, "mv", "README", "? OTHER")
    facts = git.tree_facts(Home(repository.root, "main", "HEAD"))
    assert (facts.modified, facts.untracked) == (2, 0)


def test_a_folder_that_is_no_worktree_any_more_is_not_taken_for_the_one_around_it(repository: Repository) -> None:
    (repository.root / "inner").mkdir()
    with pytest.raises(CommandFailed, match="not a git repository"):
        git.tree_facts(Home(repository.root / "inner", "main", "HEAD"))


def test_reading_leaves_the_index_alone(repository: Repository) -> None:
    os.utime(repository.root / "README", (1, 1))  # makes git want to refresh its index
    before = (repository.root / ".git" / "index").read_bytes()
    git.tree_facts(Home(repository.root, "main", "HEAD"))
    assert (repository.root / ".git" / "index").read_bytes() == before


MERGES_TREES = pytest.mark.skipif(
    tuple(map(int, git.version().split(".")[:2])) < (2, 38), reason="this git cannot merge without a working tree"
)


class TestMerged:
    def test_not_before(self, repository: Repository) -> None:
        assert not git.is_merged(repository.root, branch_with(repository, ("a", "1\n")), "main")

    def test_by_merge(self, repository: Repository) -> None:
        head = branch_with(repository, ("a", "1\n"))
        call(repository.root, "merge", "--quiet", "--no-ff", "--no-edit", head)
        assert git.is_merged(repository.root, head, "main")

    def test_squashed_and_base_went_on(self, repository: Repository) -> None:
        head = branch_with(repository, ("a", "1\n"), ("b", "2\n"))
        commit(repository.root, "before", "x\n")
        call(repository.root, "merge", "--quiet", "--squash", head)
        call(repository.root, "commit", "--quiet", "-m", "all in one")
        commit(repository.root, "a", "after\n")
        assert git.is_merged(repository.root, head, "main")

    def test_picked_one_by_one(self, repository: Repository) -> None:
        head = branch_with(repository, ("a", "1\n"), ("b", "2\n"))
        commit(repository.root, "before", "x\n")
        call(repository.root, "cherry-pick", "main~1.." + head)
        assert git.is_merged(repository.root, head, "main")

    @MERGES_TREES
    def test_squashed_where_the_lines_around_it_are_others(self, repository: Repository) -> None:
        """Then the two changes are not the same to git: a patch id is of the lines around, too."""
        root = repository.root
        commit(root, "text", "".join(f"{number}\n" for number in range(9)))
        head = branch_with(repository, ("text", "".join(f"{number}\n" for number in range(8)) + "eight\n"))
        commit(root, "text", "".join(f"{number}\n" for number in (0, 1, 2, 3, 4, "five", 6, 7, 8)))
        assert not git.is_merged(root, head, "main")
        call(root, "merge", "--quiet", "--squash", head)
        call(root, "commit", "--quiet", "-m", "all in one")
        commit(root, "more", "x\n")
        assert git.is_merged(root, head, "main")

    @MERGES_TREES
    def test_picked_but_for_an_empty_commit(self, repository: Repository) -> None:
        branch_with(repository, ("a", "1\n"), ("b", "2\n"))
        call(repository.root, "switch", "--quiet", "mux/shop/fix")
        call(repository.root, "commit", "--quiet", "--allow-empty", "-m", "look again")
        call(repository.root, "switch", "--quiet", "main")
        commit(repository.root, "before", "x\n")
        call(repository.root, "cherry-pick", "mux/shop/fix~2", "mux/shop/fix~1")
        assert git.is_merged(repository.root, "mux/shop/fix", "main")

    def test_squashed_after_base_was_merged_into_it(self, repository: Repository) -> None:
        root = repository.root
        branch_with(repository, ("a", "1\n"))
        commit(root, "before", "x\n")
        call(root, "switch", "--quiet", "mux/shop/fix")
        call(root, "merge", "--quiet", "--no-edit", "main")
        head = commit(root, "b", "2\n")
        call(root, "switch", "--quiet", "main")
        call(root, "merge", "--quiet", "--squash", head)
        call(root, "commit", "--quiet", "-m", "all in one")
        commit(root, "a", "after\n")
        assert git.is_merged(root, head, "main")

    def test_half_of_it_is_not_it(self, repository: Repository) -> None:
        head = branch_with(repository, ("a", "1\n"), ("b", "2\n"))
        commit(repository.root, "before", "x\n")
        call(repository.root, "cherry-pick", f"{head}~1")
        assert not git.is_merged(repository.root, head, "main")

    def test_unknown_is_not_no(self, repository: Repository) -> None:
        with pytest.raises(CommandFailed):
            git.is_merged(repository.root, "f" * 40, "main")

    def test_without_an_identity(self, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        head = branch_with(repository, ("a", "1\n"), ("b", "2\n"))
        call(repository.root, "merge", "--quiet", "--squash", head)
        call(repository.root, "commit", "--quiet", "-m", "all in one")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        assert git.is_merged(repository.root, head, "main")


def test_diffs_are_of_the_tree_or_of_two_commits(repository: Repository) -> None:
    head = branch_with(repository, ("a", "one\r\n"))
    assert "+one\r\n" in git.diff(repository.root, "main", head)
    assert "1 file changed, 1 insertion(+)" in git.diffstat(repository.root, "main", head)
    (repository.root / "README").write_text("other\n")
    assert "+other\n" in git.diff(repository.root, "main")


def test_files_are_tracked_ignored_or_neither(repository: Repository, tmp_path: Path) -> None:
    root = repository.root
    (root / ".env").write_text("x")
    commit(root, "axb", "x")
    assert git.is_tracked(root / "README") and not git.is_tracked(root / ".env") and not git.is_tracked(root / "a*b")
    assert git.is_ignored(root / ".env") and not git.is_ignored(root / "README")
    assert git.is_ignored(root / "build", folder=True) and git.is_ignored(root / "a*b.log")
    assert not git.is_ignored(root / ":(top)y") and not git.is_tracked(root / ":(top)README")
    outside = tmp_path / "board.md"
    assert not git.is_tracked(outside) and not git.is_ignored(outside)


def test_ignored_files_come_with_their_sizes_largest_first(repository: Repository) -> None:
    (repository.root / "build" / "deep").mkdir(parents=True)
    (repository.root / "build" / "deep" / "big").write_bytes(b"x" * 5000)
    (repository.root / "build" / "link").symlink_to("/")
    (repository.root / "ä\n.log").write_bytes(b"x" * 10)
    found = git.ignored_files_with_sizes(repository.root)
    assert [name for name, _ in found] == ["build/", "ä\n.log"]
    assert found[0][1] in range(5000, 5100) and found[1][1] == 10


class TestMerge:
    def test_forward(self, repository: Repository, tmp_path: Path) -> None:
        head = branch_with(repository, ("a", "1\n"))
        assert git.merge(repository, "mux/shop/fix", "main", tmp_path / "board.md") == head

    def test_with_a_merge_commit(self, repository: Repository, tmp_path: Path) -> None:
        head = branch_with(repository, ("a", "1\n"))
        base = commit(repository.root, "b", "2\n")
        merged = git.merge(repository, "mux/shop/fix", "main", tmp_path / "board.md")
        assert call(repository.root, "rev-parse", f"{merged}^1", f"{merged}^2").split() == [base, head]

    def test_a_conflict_changes_nothing_and_says_what_to_do(self, repository: Repository, tmp_path: Path) -> None:
        branch_with(repository, ("README", "theirs\n"))
        base = commit(repository.root, "README", "ours\n")
        with pytest.raises(MuxError, match="merge main into mux/shop/fix in the task's home first"):
            git.merge(repository, "mux/shop/fix", "main", tmp_path / "board.md")
        assert git.tree_facts(Home(repository.root, "main", "HEAD")).clean
        assert call(repository.root, "rev-parse", "HEAD") == base

    def test_not_into_another_branch_or_a_checkout_in_use(self, repository: Repository, tmp_path: Path) -> None:
        branch_with(repository, ("a", "1\n"))
        call(repository.root, "switch", "--quiet", "-c", "mine")
        with pytest.raises(MuxError, match="is on mine, not on main"):
            git.merge(repository, "mux/shop/fix", "main", tmp_path / "board.md")
        call(repository.root, "switch", "--quiet", "main")
        (repository.root / "README").write_text("mine\n")
        with pytest.raises(MuxError, match=r"not clean \(1 changed\)"):
            git.merge(repository, "mux/shop/fix", "main", tmp_path / "board.md")

    def test_never_a_change_to_the_board(self, repository: Repository) -> None:
        board = repository.root / "plans" / "böard.md"
        commit(repository.root, "plans/böard.md", "mine\n")
        branch_with(repository, ("a", "1\n"), ("plans/böard.md", "the worker's\n"))
        with pytest.raises(MuxError, match=r"changes the board plans/böard.md"):
            git.merge(repository, "mux/shop/fix", "main", board)
        assert board.read_text() == "mine\n"

    def test_a_board_that_only_base_changed_is_no_reason(self, repository: Repository) -> None:
        branch_with(repository, ("a", "1\n"))
        commit(repository.root, "board.md", "mine\n")
        assert git.merge(repository, "mux/shop/fix", "main", repository.root / "board.md")


def test_commits_on_no_remote_are_counted_until_they_are_pushed(repository: Repository, tmp_path: Path) -> None:
    branch_with(repository, ("a", "1\n"), ("b", "2\n"))
    root = repository.root
    assert git.unpushed(root, "mux/shop/fix", "main") == 2
    assert git.remote_of(root, "main") is None
    sh.run(["git", "init", "--quiet", "--bare", "far"], cwd=tmp_path)
    call(root, "remote", "add", "upstream", str(tmp_path / "far"))
    assert git.remote_of(root, "main") == "upstream"
    git.push(root, "mux/shop/fix", "upstream")
    assert git.unpushed(root, "mux/shop/fix", "main") == 0
    assert call(root, "rev-parse", "mux/shop/fix@{upstream}") == git.resolve(root, "mux/shop/fix")


def test_a_push_is_never_forced(repository: Repository, tmp_path: Path) -> None:
    sh.run(["git", "init", "--quiet", "--bare", "far"], cwd=tmp_path)
    call(repository.root, "remote", "add", "origin", str(tmp_path / "far"))
    branch_with(repository, ("a", "1\n"))
    git.push(repository.root, "mux/shop/fix", "origin")
    call(repository.root, "branch", "--force", "mux/shop/fix", "main")
    branch_with(repository, ("b", "1\n"), name="other")
    call(repository.root, "branch", "--force", "mux/shop/fix", "other")
    with pytest.raises(CommandFailed, match="git push"):
        git.push(repository.root, "mux/shop/fix", "origin")


@pytest.mark.parametrize(("said", "fits"), [("2.29.9", False), ("2.30.0", True), ("2.39.5 (Apple Git-154)", True)])
def test_the_version_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, fits: bool) -> None:
    (tmp_path / "git").write_text(f"#!/bin/sh\necho 'git version {said}'\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if fits:
        assert git.version() == said.split(" ")[0]
    else:
        with pytest.raises(MuxError, match=r"git 2.29.9 is too old: mux needs 2.30"):
            git.version()
