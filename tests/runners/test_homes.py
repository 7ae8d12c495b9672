from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from board.errors import MuxError
from runners import git, homes, sh
from runners.git import Repository
from runners.homes import Prepared
from tests.runners.conftest import NASTY, commit, make_repository

BRANCH = "mux/shop/fix"


def call(folder: Path, *words: str) -> str:
    return sh.run(["git", *words], cwd=folder).out.strip()


def prepare(repository: Repository, copy: tuple[str, ...] = (), task: str = "fix", start: str = "") -> Prepared:
    path = repository.root.with_name("homes") / "shop" / task
    start = start or call(repository.root, "rev-parse", "main")
    return homes.prepare(repository, path, f"mux/shop/{task}", start, copy)


def marker_of(made: Prepared) -> Path:
    return homes.private_folder_of(made.home.path) / "mux-home.json"


def test_a_new_home_is_clean_on_its_branch_at_the_start(repository: Repository) -> None:
    made = prepare(repository)
    facts = git.tree_facts(made.home)
    assert made.fresh and facts.clean and facts.commits == 0
    assert (facts.branch, facts.head) == (BRANCH, made.home.start_commit)
    assert (made.home.path / "README").read_text() == "read me\n"


def test_a_home_that_is_there_is_used_as_it_is(repository: Repository) -> None:
    first = prepare(repository)
    commit(first.home.path, "done", "x")
    (first.home.path / "README").write_text("half done")
    moved_on = commit(repository.root, "base", "goes on")
    again = prepare(repository, start=moved_on)
    assert (again.home, again.fresh) == (first.home, False)
    assert (first.home.path / "README").read_text() == "half done"


def test_twenty_at_once_all_work(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "repository")
    for number in range(100):
        (made.root / f"file{number}").write_text(str(number))
    commit(made.root, "last", "x")
    with ThreadPoolExecutor(20) as pool:
        all_of_them = list(pool.map(lambda number: prepare(made, task=f"t{number}"), range(20)))
    assert all(one.fresh and git.tree_facts(one.home).clean for one in all_of_them)
    assert len(list(all_of_them[7].home.path.iterdir())) == 104


@pytest.mark.parametrize("name", [NASTY, "line\nbreak", "-dash"])
def test_any_folder_name(tmp_path: Path, name: str) -> None:
    made = make_repository(tmp_path / name)
    (made.root / ".env").write_text("secret")
    path = tmp_path / f"{name}.homes" / "fix"
    start = call(made.root, "rev-parse", "HEAD")
    assert homes.prepare(made, path, BRANCH, start, (".env",)).fresh
    assert not homes.prepare(made, path, BRANCH, start, (".env",)).fresh
    assert not (tmp_path / "pwned").exists()


class TestHalfMade:
    """Each state that a crash can leave behind, made by hand."""

    def complete(self, repository: Repository) -> None:
        made = prepare(repository)
        assert made.fresh and git.tree_facts(made.home).clean
        assert git.tree_facts(made.home).head == call(repository.root, "rev-parse", "main")
        assert not prepare(repository).fresh

    def test_the_branch_alone(self, repository: Repository) -> None:
        call(repository.root, "branch", BRANCH)
        self.complete(repository)

    def test_registered_but_not_marked(self, repository: Repository) -> None:
        path = repository.root.with_name("homes") / "shop" / "fix"
        call(repository.root, "worktree", "add", "--no-checkout", "-b", BRANCH, str(path))
        self.complete(repository)

    def test_registered_with_the_branch_behind(self, repository: Repository) -> None:
        path = repository.root.with_name("homes") / "shop" / "fix"
        call(repository.root, "worktree", "add", "--no-checkout", "-b", BRANCH, str(path))
        commit(repository.root, "base", "goes on")
        self.complete(repository)

    def test_marked_but_not_checked_out(self, repository: Repository) -> None:
        made = prepare(repository)
        record = json.loads(marker_of(made).read_text())
        marker_of(made).write_text(json.dumps(record | {"ready": False}))
        (made.home.path / "README").unlink()
        (homes.private_folder_of(made.home.path) / "index").unlink()
        self.complete(repository)

    def test_git_itself_died_before_the_folder_was_there(self, repository: Repository) -> None:
        path = repository.root.with_name("homes") / "shop" / "fix"
        call(repository.root, "worktree", "add", "--no-checkout", "-b", BRANCH, str(path))
        (repository.common_dir / "worktrees" / "fix" / "locked").write_text("initializing\n")
        (path / ".git").unlink()
        self.complete(repository)
        path.rename(path.with_name("away"))
        self.complete(repository)


def test_a_deleted_folder_comes_back_with_what_was_committed(repository: Repository) -> None:
    made = prepare(repository)
    done = commit(made.home.path, "done", "x")
    sh.run(["rm", "-r", str(made.home.path)])
    again = prepare(repository, start=commit(repository.root, "base", "goes on"))
    assert (again.fresh, again.home) == (True, made.home)
    assert git.tree_facts(again.home).head == done and (again.home.path / "done").exists()


def test_another_worktree_whose_folder_is_away_stays_registered(repository: Repository) -> None:
    mine = repository.root.with_name("on a stick")
    call(repository.root, "worktree", "add", "-b", "mine", str(mine))
    mine.rename(mine.with_name("unplugged"))
    made = prepare(repository)
    sh.run(["rm", "-r", str(made.home.path)])
    prepare(repository)
    mine.with_name("unplugged").rename(mine)
    assert call(mine, "status", "--porcelain") == ""


def test_a_branch_with_other_work_is_refused(repository: Repository) -> None:
    call(repository.root, "switch", "--quiet", "-c", BRANCH)
    head = commit(repository.root, "mine", "x")
    call(repository.root, "switch", "--quiet", "main")
    with pytest.raises(MuxError, match=f"{BRANCH} already exists with other work .1 commits.*git branch -m"):
        prepare(repository)
    assert git.resolve(repository.root, BRANCH) == head


def test_a_branch_left_behind_by_finished_work_is_used_again(repository: Repository) -> None:
    first = prepare(repository)
    commit(first.home.path, "done", "x")
    git.merge(repository, BRANCH, "main", repository.root / "board.md")
    homes.remove(repository, first.home)
    commit(repository.root, "base", "goes on")
    made = prepare(repository)
    assert made.fresh and git.tree_facts(made.home).head == call(repository.root, "rev-parse", "main")


def test_a_folder_that_is_not_ours_is_refused(repository: Repository) -> None:
    path = repository.root.with_name("homes") / "shop" / "fix"
    path.mkdir(parents=True)
    (path / "mine").write_text("x")
    with pytest.raises(MuxError, match="exists and is not a home"):
        prepare(repository)
    assert (path / "mine").read_text() == "x"
    (path / "mine").unlink()
    assert prepare(repository).fresh


def test_a_persons_own_worktree_or_a_file_in_the_place_is_refused(repository: Repository) -> None:
    path = repository.root.with_name("homes") / "shop" / "fix"
    call(repository.root, "worktree", "add", "-b", "mine", str(path))
    with pytest.raises(MuxError, match="exists and is not a home"):
        prepare(repository)
    call(repository.root, "worktree", "remove", str(path))
    path.write_text("x")
    with pytest.raises(MuxError, match=f"{path}"):
        prepare(repository)


def test_a_home_of_another_branch_is_refused(repository: Repository) -> None:
    made = prepare(repository)
    with pytest.raises(MuxError, match="is a home on branch mux/shop/fix, not mux/shop/other"):
        homes.prepare(repository, made.home.path, "mux/shop/other", "main", ())


class TestCopy:
    def test_files_and_folders_with_their_modes(self, repository: Repository) -> None:
        (repository.root / ".env").write_text("secret")
        (repository.root / ".env").chmod(0o600)
        (repository.root / "build" / "deep").mkdir(parents=True)
        (repository.root / "build" / "deep" / "x").write_text("x")
        made = prepare(repository, (".env", "build"))
        assert (made.home.path / ".env").read_text() == "secret"
        assert (made.home.path / ".env").stat().st_mode & 0o777 == 0o600
        assert (made.home.path / "build" / "deep" / "x").exists()
        assert git.tree_facts(made.home).clean

    def test_a_missing_one_is_said_and_mended_later(self, repository: Repository) -> None:
        with pytest.raises(MuxError, match=r"copy: \.env: there is no such file"):
            prepare(repository, (".env",))
        (repository.root / ".env").write_text("secret")
        assert prepare(repository, (".env",)).fresh

    def test_what_git_does_not_ignore_is_refused(self, repository: Repository) -> None:
        (repository.root / "notes").write_text("x")
        with pytest.raises(MuxError, match="git does not ignore it"):
            prepare(repository, ("notes",))
        assert not (repository.root.with_name("homes") / "shop" / "fix" / "notes").exists()

    @pytest.mark.parametrize("name", ["../secret.log", "/etc/passwd", "out.log", "out/secret.log", ".git/config", ""])
    def test_nothing_from_outside(self, repository: Repository, name: str) -> None:
        repository.root.with_name("secret.log").write_text("x")
        (repository.root / "out.log").symlink_to("../secret.log")
        (repository.root / "out").symlink_to("..")
        with pytest.raises(MuxError, match="is not inside the repository"):
            prepare(repository, (name,))

    def test_nothing_to_outside(self, repository: Repository) -> None:
        start = call(repository.root, "rev-parse", "main")
        (repository.root / "out").symlink_to("../..")
        call(repository.root, "add", "out")
        call(repository.root, "commit", "--quiet", "-m", "a link")
        linked = call(repository.root, "rev-parse", "main")
        call(repository.root, "reset", "--quiet", "--hard", start)
        (repository.root / "out").mkdir()
        (repository.root / "out" / "x.log").write_text("x")
        with pytest.raises(MuxError, match="is not inside the repository"):
            prepare(repository, ("out/x.log",), start=linked)


class TestRemove:
    def test_the_home_goes_and_the_branch_stays(self, repository: Repository) -> None:
        made = prepare(repository)
        head = commit(made.home.path, "done", "x")
        homes.remove(repository, made.home)
        assert not made.home.path.exists() and git.resolve(repository.root, BRANCH) == head

    def test_not_with_work_that_would_be_lost(self, repository: Repository) -> None:
        made = prepare(repository)
        (made.home.path / "work").write_text("x")
        with pytest.raises(MuxError, match=r"work that would be lost \(0 changed, 1 untracked\)"):
            homes.remove(repository, made.home)
        assert (made.home.path / "work").exists()
        homes.remove(repository, made.home, discard=True)
        assert not made.home.path.exists()

    def test_a_folder_that_is_gone_is_forgotten(self, repository: Repository) -> None:
        made = prepare(repository)
        sh.run(["rm", "-r", str(made.home.path)])
        homes.remove(repository, made.home)
        assert "shop" not in call(repository.root, "worktree", "list")

    def test_a_folder_that_lost_its_git_is_left_alone(self, repository: Repository) -> None:
        made = prepare(repository)
        (made.home.path / ".git").unlink()
        with pytest.raises(MuxError, match="no worktree any more"):
            homes.remove(repository, made.home, discard=True)
        assert (made.home.path / "README").exists()


def test_the_setup_marker_goes_with_the_home_and_is_not_in_it(repository: Repository) -> None:
    made = prepare(repository)
    marker = homes.setup_marker(made.home)
    marker.touch()
    assert git.tree_facts(made.home).clean and repository.common_dir in marker.parents
    sh.run(["rm", "-r", str(made.home.path)])
    assert not homes.setup_marker(prepare(repository).home).exists()
