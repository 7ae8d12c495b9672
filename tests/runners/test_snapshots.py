"""Snapshots and their restore, with real git: what is in them, and that taking one touches nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.errors import MuxError
from runners import git, homes, sh, snapshots
from runners.delivery import Delivery
from runners.git import Repository
from runners.kept import LeftOut, Restored, Snapshot, Taken
from runners.model import Home
from runners.restore import restore
from tests.runners.conftest import NASTY, commit, make_repository
from tests.support import wait_for

BRANCH = "mux/shop/fix"
REFS = "refs/mux/shop/snapshots/fix"


def call(folder: Path, *words: str) -> str:
    return sh.run(["git", *words], cwd=folder).out.strip()


def make_home(repository: Repository, branch: str = BRANCH) -> Home:
    start = git.resolve(repository.root, "main") or ""
    path = repository.root.with_name("homes") / branch.rpartition("/")[2]
    return homes.prepare(repository, path, branch, start, ()).home


@pytest.fixture
def home(repository: Repository) -> Home:
    """With files to change in every way, all committed."""
    made = make_home(repository)
    for name in ("kept", "changed", "staged", "deleted", "moved", "script"):
        (made.path / name).write_text(f"{name}\n")
    commit(made.path, "deep/er/file", "deep\n")
    return made


def photograph(home: Home) -> dict[str, object]:
    """Every byte, mode, time and inode of the home and of git's folder for it, and what git says of both."""
    private = homes.private_folder_of(home.path)
    seen: dict[str, object] = {}
    for top in (home.path, private):
        for path in sorted([top, *top.rglob("*")]):
            facts = path.lstat()
            held = path.read_bytes() if path.is_file() and not path.is_symlink() else None
            # Git says of a split index's shared part that it was used, by its time.
            times = () if path.name.startswith("sharedindex.") else (facts.st_mtime_ns, facts.st_ctime_ns)
            seen[str(path)] = (facts.st_mode, facts.st_ino, facts.st_size, held, *times)
    seen["stash"] = call(home.path, "stash", "list")
    seen["refs"] = [line for line in call(home.path, "for-each-ref").splitlines() if "/snapshots/" not in line]
    return seen


def take(home: Home, cap: int = snapshots.CAP, attempt: int = 2, reason: str = "ended: failed") -> Taken | None:
    """Whatever it finds, taking a snapshot touches nothing."""
    before = photograph(home)
    taken = snapshots.take(home, attempt, reason, 1_800_000_000.0, cap)
    assert photograph(home) == before
    return taken


def taken(home: Home, cap: int = snapshots.CAP) -> Snapshot:
    found = take(home, cap)
    assert found is not None and found.new
    return found.snapshot


def shown(home: Home, snapshot: Snapshot, name: str) -> str:
    return sh.run(["git", "cat-file", "blob", f"{snapshot.commit}:{name}"], cwd=home.path).out


def names(home: Home, snapshot: Snapshot) -> set[str]:
    listed = sh.run(["git", "ls-tree", "-r", "-z", "--name-only", snapshot.commit], cwd=home.path).out
    return set(listed.removesuffix("\0").split("\0"))


def files(folder: Path) -> dict[str, object]:
    """What a person sees: content, link target and executable bit of each file; the ignored ones too."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.name == ".git" or ".git" in path.relative_to(folder).parts:
            continue
        if path.is_symlink():
            found[str(path.relative_to(folder))] = str(path.readlink())
        elif path.is_file():
            found[str(path.relative_to(folder))] = (path.read_bytes(), path.stat().st_mode & 0o111)
    return found


def bring_back(repository: Repository, home: Home, snapshot: Snapshot) -> Restored:
    delivery = Delivery("fix", home, repository.root, repository.root / "board.md", None)
    return restore(delivery, snapshot, (), 1_800_000_100.0)


def mess(home: Home) -> None:
    """All that a worker may leave behind, but for what needs a merge."""
    path = home.path
    (path / "changed").write_text("worked on\n")
    (path / "staged").write_text("first\n")
    call(path, "add", "staged")
    (path / "staged").write_text("then\n")
    (path / "deleted").unlink()
    call(path, "mv", "moved", "elsewhere")
    (path / "script").chmod(0o755)
    (path / "intended").write_text("intended\n")
    call(path, "add", "--intent-to-add", "intended")
    (path / "gone again").write_text("x")
    call(path, "add", "--intent-to-add", "gone again")
    (path / "gone again").unlink()
    (path / "link").symlink_to("nowhere at all")
    (path / "new folder").mkdir()
    (path / "new folder" / "untracked").write_text("untracked\n")
    (path / ".env").write_text("secret\n")
    (path / "build").mkdir()
    (path / "build" / "out").write_text("built\n")


class TestTake:
    def test_all_that_a_worker_may_leave(self, home: Home) -> None:
        mess(home)
        head = call(home.path, "rev-parse", "HEAD")
        made = taken(home)
        assert (made.number, made.parent, made.attempt, made.reason) == (1, head, 2, "ended: failed")
        assert names(home, made) == {
            *(".gitignore", "README", "kept", "changed", "staged", "elsewhere", "script", "intended", "link"),
            *("new folder/untracked", "deep/er/file"),
        }
        assert shown(home, made, "changed") == "worked on\n" and shown(home, made, "staged") == "then\n"
        assert shown(home, made, "intended") == "intended\n" and shown(home, made, "link") == "nowhere at all"
        listed = call(home.path, "ls-tree", made.commit, "script", "link")
        assert {line.split(" ")[0] for line in listed.splitlines()} == {"100755", "120000"}
        assert call(home.path, "rev-parse", f"{REFS}/1") == made.commit
        assert call(home.path, "rev-parse", f"{REFS}/1^") == head

    def test_its_message_says_whose_why_and_when(self, home: Home) -> None:
        mess(home)
        message = call(home.path, "log", "-1", "--format=%B", taken(home).commit)
        assert message.splitlines()[0].startswith("fix: ") and "untracked" in message.splitlines()[0]
        assert {"Task: fix", "Attempt: 2", "Reason: ended: failed", "Time: 2027-01-15T08:00:00Z"} <= set(
            message.splitlines()
        )

    def test_a_clean_home_has_none_and_neither_has_what_is_no_home(self, home: Home, tmp_path: Path) -> None:
        (home.path / ".env").write_text("ignored")
        assert take(home) is None
        for path in (tmp_path / "gone", tmp_path, tmp_path / "scratch repository"):
            (tmp_path / "scratch repository" / "untracked").write_text("a person's own")
            assert snapshots.take(Home(path, BRANCH, ""), 1, "", 0.0) is None

    def test_the_same_files_add_none(self, home: Home) -> None:
        (home.path / "changed").write_text("1\n")
        first = taken(home)
        again = take(home)
        assert again is not None and not again.new and again.snapshot == first
        call(home.path, "add", "--all")  # staged or not, the files are the same
        assert take(home) == again
        assert [each.number for each in snapshots.kept(home.path, "mux/shop/")["fix"]] == [1]
        (home.path / "changed").write_text("2\n")
        assert taken(home).number == 2

    def test_a_number_is_never_used_twice(self, repository: Repository, home: Home) -> None:
        made = []
        for number in (1, 2, 3):
            (home.path / "changed").write_text(f"{number}\n")
            made.append(taken(home))
        snapshots.drop(repository.root, BRANCH, made[:2])
        (home.path / "changed").write_text("4\n")
        assert taken(home).number == 4
        assert [each.number for each in snapshots.kept(repository.root, "mux/shop/")["fix"]] == [4, 3]

    def test_two_at_once_get_different_numbers(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        (home.path / "changed").write_text("1\n")
        first = taken(home)
        (home.path / "changed").write_text("2\n")
        with monkeypatch.context() as patch:  # the other one was taken after this one looked
            patch.setattr(snapshots, "_kept", lambda folder, prefix: {})
            assert taken(home).number == 2
        assert call(home.path, "rev-parse", f"{REFS}/1") == first.commit

    def test_tasks_and_boards_do_not_see_each_others(self, repository: Repository) -> None:
        for branch in (BRANCH, "mux/shop/snapshots", "mux/shop-2/fix2"):
            made = make_home(repository, branch)
            (made.path / "new").write_text(branch)
            taken(made)
        found = snapshots.kept(repository.root, "mux/shop/")
        assert {task: [each.number for each in of] for task, of in found.items()} == {"fix": [1], "snapshots": [1]}
        assert set(snapshots.kept(repository.root, "mux/shop-2/")) == {"fix2"}

    def test_another_git_at_work_is_in_nobodys_way(self, home: Home) -> None:
        mess(home)
        (homes.private_folder_of(home.path) / "index.lock").write_bytes(b"")
        assert "intended" in names(home, taken(home))

    def test_a_conflict_is_kept_with_its_markers(self, repository: Repository, home: Home) -> None:
        for text in ("theirs", "ours"):
            call(home.path, "switch", "--quiet", "--detach", BRANCH)
            (home.path / "deleted").unlink()
            (home.path / "kept").write_text(f"{text}\n")
            if text == "ours":
                (home.path / "deleted").write_text("changed here, deleted there\n")
            call(home.path, "commit", "--quiet", "--all", "--message", text)
            call(home.path, "tag", text)
        sh.run(["git", "merge", "theirs"], cwd=home.path, check=False)
        assert call(home.path, "ls-files", "--unmerged")
        made = taken(home)
        assert "<<<<<<<" in shown(home, made, "kept") and "deleted" in names(home, made)
        (home.path / "deleted").unlink()
        again = taken(home)
        assert "deleted" not in names(home, again)
        with pytest.raises(MuxError, match="a merge is under way"):
            bring_back(repository, home, made)

    @pytest.mark.parametrize("how", ["missing", "emptied"])
    def test_an_empty_index(self, home: Home, how: str) -> None:
        mess(home)
        if how == "missing":
            (homes.private_folder_of(home.path) / "index").unlink()
        else:
            call(home.path, "read-tree", "--empty")
        assert {"changed", "new folder/untracked", "link"} <= names(home, taken(home))

    def test_a_split_index(self, home: Home) -> None:
        call(home.path, "update-index", "--split-index")
        mess(home)
        assert shown(home, taken(home), "changed") == "worked on\n"

    def test_a_branch_without_a_commit(self, home: Home) -> None:
        call(home.path, "switch", "--quiet", "--orphan", "fresh")
        (home.path / "new").write_text("x")
        made = taken(home)
        assert made.parent is None and names(home, made) == {"new"}
        assert snapshots.lines(home.path, made) == ""

    def test_a_change_in_the_second_of_its_staging(self, home: Home) -> None:
        """Git sees no change in the times then: it must know from the copy how old the index is."""
        for _ in range(20):
            wait_for(lambda: time.time() % 1 < 0.5)
            (home.path / "changed").write_text("aaaa\n")
            call(home.path, "add", "changed")
            (home.path / "changed").write_text("bbbb\n")
            index = homes.private_folder_of(home.path) / "index"
            if int(index.stat().st_mtime) == int((home.path / "changed").stat().st_mtime):
                break
        else:
            pytest.fail("never in one second")
        written = int(index.stat().st_mtime)
        wait_for(lambda: time.time() > written + 1)
        assert shown(home, taken(home), "changed") == "bbbb\n"

    def test_files_over_the_cap_are_named(self, home: Home) -> None:
        (home.path / "big").write_text("x" * 101)
        (home.path / "kept").write_text("y" * 101)
        (home.path / "small").write_text("z" * 100)
        made = taken(home, cap=100)
        assert made.left_out == (LeftOut("kept", "101 bytes, over 100"), LeftOut("big", "101 bytes, over 100"))
        assert (made.changed, made.untracked) == (0, 1) and made.what == "0 files changed, 1 untracked, 2 left out"
        assert "big" not in names(home, made) and shown(home, made, "kept") == "kept\n"
        assert snapshots.kept(home.path, "mux/shop/")["fix"] == (made,)

    def test_a_large_file_in_a_conflict(self, home: Home) -> None:
        mess(home)
        blob = call(home.path, "rev-parse", "HEAD:kept")
        lines = "".join(f"100644 {blob} {stage}\tkept\n" for stage in (1, 2, 3))
        sh.run(["git", "update-index", "--index-info"], cwd=home.path, input=f"0 {'0' * 40}\tkept\n{lines}")
        (home.path / "kept").write_text("x" * 101)
        assert taken(home, cap=100).left_out == (LeftOut("kept", "101 bytes, over 100"),)

    def test_repositories_in_it_are_named(self, repository: Repository, home: Home) -> None:
        call(home.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository.root), "sub")
        call(home.path, "commit", "--quiet", "--message", "a submodule")
        (home.path / "sub" / "README").write_text("changed\n")
        call(home.path, "init", "--quiet", "nested")
        (home.path / "nested" / "file").write_text("x")
        (home.path / "new").write_text("x")
        made = taken(home)
        assert set(made.left_out) == {
            LeftOut("sub/", "a submodule"),
            LeftOut("nested/", "a repository of its own"),
        }
        assert "new" in names(home, made) and not any(name.startswith("nested") for name in names(home, made))
        assert call(home.path, "ls-tree", made.commit, "sub") == call(home.path, "ls-tree", "HEAD", "sub")

    def test_what_is_no_file_or_may_not_be_read_is_named(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        (home.path / "kept").unlink()
        os.mkfifo(home.path / "kept")
        (home.path / "locked").write_text("x")
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked")  # root may read everything
        made = taken(home)
        assert set(made.left_out) == {LeftOut("kept", "no plain file"), LeftOut("locked", "may not be read")}

    def test_files_and_folders_in_each_others_place(self, home: Home) -> None:
        (home.path / "kept").unlink()
        (home.path / "kept").mkdir()
        (home.path / "kept" / "inside").write_text("x")
        outside = home.path.parent / "outside"
        (outside / "er").mkdir(parents=True)
        (outside / "er" / "file").write_text("not ours")
        sh.run(["rm", "-r", "deep"], cwd=home.path)
        (home.path / "deep").symlink_to(outside)
        made = taken(home)
        assert {"kept/inside", "deep"} <= names(home, made) and "deep/er/file" not in names(home, made)

    def test_any_file_name(self, home: Home) -> None:
        odd = [
            NASTY,
            "line\nbreak",
            "tab\tbed",
            '"quoted"',
            "-dash",
            " ",
            ":(top)",
            "*",
            "back\\slash",
            b"\xff\xfe".decode("utf-8", "surrogateescape"),
        ]
        for name in odd:
            (home.path / name).write_text("x" * 5)
        made = taken(home)
        assert set(odd) <= names(home, made)
        for name in odd:
            (home.path / name).write_text("x" * 50)
        again = taken(home, cap=10)
        assert {each.name for each in again.left_out} == set(odd)
        assert snapshots.kept(home.path, "mux/shop/")["fix"][0] == again

    def test_the_persons_settings_do_not_matter(self, home: Home) -> None:
        hooks = home.path.parent / "hooks"
        hooks.mkdir()
        for name in ("post-index-change", "reference-transaction"):
            (hooks / name).write_text(f"#!/bin/sh\ntouch '{home.path.parent}/hook-ran'\nexit 1\n")
            (hooks / name).chmod(0o755)
        for key, value in (
            *(("core.hooksPath", str(hooks)), ("status.showUntrackedFiles", "no"), ("diff.ignoreSubmodules", "all")),
            *(("core.safecrlf", "true"), ("core.autocrlf", "input"), ("commit.gpgSign", "true")),
            *(("user.useConfigOnly", "true"), ("i18n.commitEncoding", "latin1"), ("core.fsmonitor", "false-program")),
        ):
            call(home.path, "config", key, value)
        call(home.path, "config", "--global", "--remove-section", "user")
        (home.path / "new").write_text("windows\r\n")
        assert "new" in names(home, taken(home))
        assert not (home.path.parent / "hook-ran").exists()

    def test_gc_keeps_them_and_push_does_not_take_them(self, repository: Repository, home: Home) -> None:
        (home.path / "new").write_text("only here\n")
        made = taken(home)
        (home.path / "new").unlink()
        call(repository.root, "gc", "--quiet", "--prune=now")
        assert shown(home, made, "new") == "only here\n"
        remote = repository.root.with_name("remote.git")
        call(repository.root, "init", "--quiet", "--bare", str(remote))
        call(repository.root, "remote", "add", "origin", str(remote))
        call(repository.root, "push", "--quiet", "--all", "origin")
        assert "snapshots" not in call(remote, "for-each-ref")

    def test_no_room_for_it_is_one_line(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        (home.path / "new").write_text("x")
        monkeypatch.setattr("tempfile.tempdir", str(home.path / "README"))
        with pytest.raises(MuxError, match="cannot make a folder in"):
            snapshots.take(home, 1, "", 0.0)
        assert snapshots.kept(home.path, "mux/shop/") == {}

    def test_nothing_is_left_of_taking_one(self, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "scratch").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
        (home.path / "new").write_text("x")
        taken(home)
        assert list((tmp_path / "scratch").iterdir()) == []

    def test_what_a_person_put_among_them(self, home: Home) -> None:
        (home.path / "new").write_text("x")
        taken(home)
        call(home.path, "update-ref", f"{REFS}/7", "HEAD")
        call(home.path, "update-ref", f"{REFS}/mine", "HEAD")
        assert [(each.number, each.attempt) for each in snapshots.kept(home.path, "mux/shop/")["fix"]] == [
            (7, 0),
            (1, 2),
        ]
        (home.path / "new").write_text("y")
        assert taken(home).number == 8


def test_how_many_lines(home: Home) -> None:
    (home.path / "changed").write_text("a\nb\nc\n")
    (home.path / "deleted").unlink()
    (home.path / "binary").write_bytes(b"\0\1\2\n")
    made = taken(home)
    assert (made.changed, made.untracked) == (2, 1)
    assert snapshots.lines(home.path, made) == "+3 -2"


class TestRestore:
    @pytest.fixture
    def kept(self, home: Home) -> Iterator[tuple[Snapshot, dict[str, object]]]:
        """A snapshot of a mess, what it looked like, and the home reset after it, as a careless person does."""
        mess(home)
        made, looked = taken(home), files(home.path)
        call(home.path, "reset", "--quiet", "--hard")
        call(home.path, "clean", "--quiet", "-d", "--force")
        assert git.tree_facts(home).clean
        yield made, looked

    def test_everything_comes_back(
        self, repository: Repository, home: Home, kept: tuple[Snapshot, dict[str, object]]
    ) -> None:
        made, looked = kept
        head, stat = call(home.path, "rev-parse", "HEAD"), (home.path / "kept").stat()
        log = call(home.path, "reflog")
        done = bring_back(repository, home, made)
        assert files(home.path) == looked
        assert (done.made, done.before, done.moved_to, done.untouched) == (False, None, None, ())
        assert (done.written, done.removed) == (7, 2)
        assert call(home.path, "rev-parse", "HEAD") == head and call(home.path, "reflog") == log
        assert call(home.path, "diff", "--cached") == ""  # the index is as HEAD
        assert (home.path / "kept").stat() == stat  # what did not change is not written anew
        again = bring_back(repository, home, made)
        assert (again.written, again.removed) == (0, 0) and again.before is not None and not again.before.new

    def test_what_was_not_committed_is_kept_first(
        self, repository: Repository, home: Home, kept: tuple[Snapshot, dict[str, object]]
    ) -> None:
        made, looked = kept
        (home.path / "changed").write_text("newer work\n")
        (home.path / "another").write_text("untracked\n")
        newer = files(home.path)
        done = bring_back(repository, home, made)
        assert files(home.path) == looked
        assert done.before is not None and done.before.new and done.before.snapshot.number == 2
        assert done.before.snapshot.reason == "before restoring snapshot 1"
        bring_back(repository, home, done.before.snapshot)
        assert files(home.path) == newer

    def test_a_branch_that_moved_on(
        self, repository: Repository, home: Home, kept: tuple[Snapshot, dict[str, object]]
    ) -> None:
        made, looked = kept
        later = commit(home.path, "later", "committed after it\n")
        done = bring_back(repository, home, made)
        assert done.moved_to == later and call(home.path, "rev-parse", "HEAD") == later
        assert files(home.path) == looked
        assert call(home.path, "status", "--porcelain", "later") == "D later"

    def test_a_home_that_is_gone_is_made_anew(
        self, repository: Repository, home: Home, kept: tuple[Snapshot, dict[str, object]]
    ) -> None:
        made, looked = kept
        homes.remove(repository, home, discard=True)
        done = bring_back(repository, home, made)
        looked = {name: what for name, what in looked.items() if name not in (".env", "build/out")}
        assert done.made and files(home.path) == looked
        assert git.current_branch(home.path) == BRANCH and git.resolve(home.path, "HEAD") == made.parent

    def test_a_home_and_a_branch_that_are_gone(
        self, repository: Repository, home: Home, kept: tuple[Snapshot, dict[str, object]]
    ) -> None:
        made, _ = kept
        homes.remove(repository, home, discard=True)
        call(repository.root, "branch", "--quiet", "-D", BRANCH)
        assert bring_back(repository, home, made).made
        assert git.current_branch(home.path) == BRANCH and git.resolve(home.path, "HEAD") == made.parent
        assert (home.path / "changed").read_text() == "worked on\n"

    @pytest.mark.parametrize("name", ["new.log", "build/out", "out/new.log"])
    def test_ignored_files_are_not_touched(self, repository: Repository, home: Home, name: str) -> None:
        (home.path / name).parent.mkdir(exist_ok=True)
        (home.path / ".gitignore").write_text("")
        (home.path / name).write_text("kept by the snapshot")
        made = taken(home)
        call(home.path, "checkout", "--quiet", ".gitignore")
        (home.path / name).write_text("ignored since")
        before = photograph(home)
        with pytest.raises(MuxError, match=f"in no snapshot, and would be overwritten: {name}; move that away"):
            bring_back(repository, home, made)
        assert photograph(home) == before

    def test_ignored_things_in_the_way_of_others(self, repository: Repository, home: Home) -> None:
        (home.path / ".gitignore").write_text("")
        (home.path / "build").write_text("a file")
        (home.path / "a.log").mkdir()
        (home.path / "a.log" / "file").write_text("x")
        made = taken(home)
        call(home.path, "reset", "--quiet", "--hard")
        (home.path / "build").unlink()
        sh.run(["rm", "-r", "a.log"], cwd=home.path)
        (home.path / "build").mkdir()
        (home.path / "build" / "link").symlink_to("..")
        (home.path / "a.log").write_text("mine")
        with pytest.raises(MuxError, match=r"would be overwritten: a\.log, build/link;"):
            bring_back(repository, home, made)
        assert (home.path / "a.log").read_text() == "mine" and (home.path / "build" / "link").is_symlink()

    def test_files_that_git_was_told_not_to_look_at(self, repository: Repository, home: Home) -> None:
        (home.path / "changed").write_text("worked on\n")
        made = taken(home)
        call(home.path, "checkout", "--quiet", "changed")
        call(home.path, "update-index", "--assume-unchanged", "changed")
        (home.path / "changed").write_text("hidden work\n")
        with pytest.raises(MuxError, match="would be overwritten: changed;"):
            bring_back(repository, home, made)
        assert (home.path / "changed").read_text() == "hidden work\n"

    def test_what_was_left_out_then_or_now_stays(
        self, repository: Repository, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshots.take, "__defaults__", (100, False))
        (home.path / "changed").write_text("small\n")
        (home.path / "kept").write_text("x" * 101)
        call(home.path, "init", "--quiet", "nested")
        (home.path / "nested" / "file").write_text("x")
        made = taken(home, cap=100)
        (home.path / "changed").write_text("y" * 101)
        (home.path / "kept").write_text("now small\n")
        done = bring_back(repository, home, made)
        assert (home.path / "kept").read_text() == "now small\n" and (home.path / "changed").read_text() == "y" * 101
        assert (home.path / "nested" / "file").read_text() == "x"
        assert {each.name for each in done.untouched} == {"kept", "nested/", "changed"}

    def test_folders_go_with_their_last_file(
        self, repository: Repository, home: Home, kept: tuple[Snapshot, dict[str, object]]
    ) -> None:
        for name in ("later/deep/new", "later with ignored/new", "later with ignored/out.log"):
            (home.path / name).parent.mkdir(parents=True, exist_ok=True)
            (home.path / name).write_text("x")
        bring_back(repository, home, kept[0])
        assert not (home.path / "later").exists()
        assert [path.name for path in (home.path / "later with ignored").iterdir()] == ["out.log"]

    def test_submodules_stay(self, repository: Repository, home: Home) -> None:
        (home.path / "changed").write_text("before the submodule\n")
        made = taken(home)
        call(home.path, "checkout", "--quiet", "changed")
        call(home.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository.root), "sub")
        call(home.path, "commit", "--quiet", "--message", "a submodule")
        (home.path / "sub" / "new").write_text("x")
        bring_back(repository, home, made)
        assert (home.path / "sub" / "new").exists() and (home.path / "changed").read_text() == "before the submodule\n"

    def test_another_git_at_work_stops_it(
        self, repository: Repository, home: Home, kept: tuple[Snapshot, dict[str, object]]
    ) -> None:
        (homes.private_folder_of(home.path) / "index.lock").write_bytes(b"")
        before = photograph(home)
        with pytest.raises(MuxError, match=r"another git works there \(index.lock\)"):
            bring_back(repository, home, kept[0])
        assert photograph(home) == before

    def test_somebody_elses_folder_stops_it(
        self, repository: Repository, home: Home, kept: tuple[Snapshot, dict[str, object]]
    ) -> None:
        homes.remove(repository, home)
        home.path.mkdir()
        (home.path / "mine").write_text("x")
        with pytest.raises(MuxError, match="is not a home that mux made"):
            bring_back(repository, home, kept[0])
        assert files(home.path) == {"mine": (b"x", 0)}

    def test_a_failure_half_way_says_where_things_are(
        self,
        repository: Repository,
        home: Home,
        kept: tuple[Snapshot, dict[str, object]],
    ) -> None:
        made, looked = kept
        (home.path / "new folder").mkdir()
        (home.path / "newer").write_text("x")
        call(home.path, "config", "filter.broken.smudge", "false")
        call(home.path, "config", "filter.broken.clean", "cat")
        call(home.path, "config", "filter.broken.required", "true")
        attributes = repository.common_dir / "info" / "attributes"
        attributes.write_text("changed filter=broken\n")
        with pytest.raises(
            MuxError, match=r"in part only: git checkout-index.*restore again; what was there is snapshot 2"
        ):
            bring_back(repository, home, made)
        attributes.unlink()
        bring_back(repository, home, made)
        assert files(home.path) == looked


TREES = st.dictionaries(
    st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "e", "f.log", "build/x"]),
    st.sampled_from(["1\n", "2\n", "", "->a", "->../x"]),
    max_size=6,
)


def write_tree(folder: Path, tree: dict[str, str]) -> None:
    for name, text in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            (folder / name).symlink_to(text[2:])
        else:
            (folder / name).write_text(text)


@settings(max_examples=12, deadline=None)
@given(committed=TREES, then=TREES, now=TREES)
def test_back_and_forth(
    tmp_path_factory: pytest.TempPathFactory, committed: dict[str, str], then: dict[str, str], now: dict[str, str]
) -> None:
    """Whatever was there comes back, and going back from that gives what was there before: nothing is lost."""
    repository = make_repository(tmp_path_factory.mktemp("h") / "repository")
    home = make_home(repository)

    def become(tree: dict[str, str]) -> dict[str, object]:
        for entry in home.path.iterdir():
            if entry.name not in (".git", ".gitignore", "README"):
                sh.run(["rm", "-rf", "--", str(entry)])
        write_tree(home.path, {name: text for name, text in tree.items() if name not in ("f.log", "build/x")})
        return files(home.path)

    become(committed)
    call(home.path, "add", "--all")
    call(home.path, "commit", "--quiet", "--allow-empty", "--message", "a tree")
    looked = become(then)
    first = snapshots.take(home, 1, "", 0.0)
    if first is None:
        return
    before = become(now)
    done = bring_back(repository, home, first.snapshot)
    assert files(home.path) == looked
    if done.before is not None:
        bring_back(repository, home, done.before.snapshot)
        assert files(home.path) == before
