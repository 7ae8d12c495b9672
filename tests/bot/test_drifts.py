"""How the control plane looks for drift: which tasks, when, and what of it is new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from board.errors import MuxError
from board.model import Status
from bot.boards import load
from runners import drifts
from runners.drift import Drift
from runners.drifts import Drifts
from runners.local import local_host
from runners.model import Home, TreeFacts
from runners.records import Records
from tests.bot.workplace import Work, call, commit, make_home, ran, root, work

__all__ = ["root", "work"]

NOW = 1_800_000_000.0


class Watched:
    """`Drifts` on a real host, that remembers whose home was looked at."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.host = local_host(work.place.path, work.place.folder, os.environ)
        self.looked: list[str] = []
        self.error: MuxError | None = None
        self.drifts = Drifts(replace(self.host, tree=self.tree))

    def tree(self, home: Home) -> TreeFacts | None:
        self.looked.append(home.path.name)
        if self.error is not None:
            raise self.error
        return self.host.tree(home)

    def round(self, now: float) -> list[tuple[str, str]]:
        """Rules of what is new. Board and records are read anew, as the loop does."""
        self.looked.clear()
        attempts = Records(self.work.place.folder).attempts()
        found = self.drifts.refresh(load(self.work.place), self.work.place.path, attempts, now)
        return [(each.task, each.rule) for each in found]


@pytest.fixture
def watched(work: Work) -> Iterator[Watched]:
    yield Watched(work)


def test_new_drift_is_told_once_and_found_until_it_is_mended(watched: Watched) -> None:
    path = watched.work.home / "new"
    assert watched.round(NOW) == [] and watched.drifts.found() == {}
    path.write_text("x")
    assert watched.round(NOW + drifts.AGAIN) == [("fix", "clean")]
    (drift,) = watched.drifts.found()["fix"]
    assert drift == Drift("fix", "clean", "1 file untracked", drift.fix)
    (watched.work.home / "another").write_text("x")
    assert watched.round(NOW + 2 * drifts.AGAIN) == [], "more of the same"
    assert watched.drifts.found()["fix"][0].text == "2 files untracked"
    path.unlink()
    (watched.work.home / "another").unlink()
    assert watched.round(NOW + 3 * drifts.AGAIN) == [] and watched.drifts.found() == {}
    path.write_text("x")
    assert watched.round(NOW + 4 * drifts.AGAIN) == [("fix", "clean")]


def test_the_journal_tells_a_fix_only_if_it_works_without_a_path() -> None:
    """The redactor shortens paths, and what is left of a command does not run."""
    there = Drift("fix", "clean", "1 file untracked", "git -C /home/me/shop.worktrees/fix stash push")
    anywhere = Drift("fix", "merged", "it is not merged into main", "mux finish fix --how merge")
    assert there.told == "1 file untracked; fix: mux doctor"
    assert anywhere.told == "it is not merged into main; fix: mux finish fix --how merge"


def test_a_task_is_looked_at_seldom_but_at_once_when_it_changed(watched: Watched) -> None:
    assert watched.drifts.due(NOW) and watched.drifts.looked_at is None
    watched.round(NOW)
    assert watched.looked == ["fix"] and watched.drifts.looked_at == NOW
    assert not watched.drifts.due(NOW + 1) and watched.drifts.due(NOW + drifts.PAUSE)
    watched.round(NOW + drifts.PAUSE)
    assert watched.looked == [] and watched.drifts.looked_at == NOW
    home = Records(watched.work.place.folder).attempts()["fix"].home
    ran(watched.work.place, "fix", home, number=2)
    watched.round(NOW + 2 * drifts.PAUSE)
    assert watched.looked == ["fix"]
    watched.round(NOW + 2 * drifts.PAUSE + drifts.AGAIN)
    assert watched.looked == ["fix"]


def test_only_what_says_done_is_looked_at(watched: Watched) -> None:
    home = Records(watched.work.place.folder).attempts()["fix"].home
    (watched.work.home / "new").write_text("x")
    watched.round(NOW)
    ran(watched.work.place, "fix", home, Status.FAILED, number=2)
    watched.work.board("status: done", "status: failed\nmux:\n  attempt: 2")
    assert watched.round(NOW + 1) == [] and watched.looked == [] and watched.drifts.found() == {}
    watched.work.board("status: failed", "status: done")  # a person accepts it as it is: that is shown
    assert watched.round(NOW + 2) == [("fix", "clean")]


def test_what_cannot_be_looked_at_is_unknown_and_not_gone(watched: Watched) -> None:
    watched.error = MuxError("git: no answer in 60 s")
    assert watched.round(NOW) == [("fix", "home")]
    (drift,) = watched.drifts.found()["fix"]
    assert not drift.known and "git: no answer in 60 s" in drift.text
    watched.error = None
    assert watched.round(NOW + drifts.AGAIN) == [] and watched.drifts.found() == {}


def test_after_finish_one_question_is_left(watched: Watched) -> None:
    work = watched.work
    call(work.root, "merge", "--quiet", "--squash", work.branch)
    call(work.root, "commit", "--quiet", "--message", "all in one")
    commit(work.root, "another")
    call(work.root, "worktree", "remove", str(work.home))
    call(work.root, "branch", "--quiet", "-D", work.branch)
    assert watched.round(NOW) == []
    call(work.root, "reset", "--quiet", "--hard", "HEAD~2")
    assert watched.round(NOW + drifts.AGAIN) == [("fix", "delivered")]


def test_a_round_looks_at_a_few_and_the_next_goes_on(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drifts, "AT_ONCE", 2)
    work = watched.work
    for name in ("b", "c", "d"):
        home = make_home(work.root, name)
        commit(Path(home.path), f"{name}.txt")
        ran(work.place, name, home)
        text = work.place.path.read_text()
        work.place.path.write_text(f"{text}\n## {name}: Title\n\n```yaml\nstatus: done\nrun: x\n```\n")
    seen: list[str] = []
    for _ in range(2):
        assert watched.drifts.due(NOW)
        watched.round(NOW)
        seen += watched.looked
    assert sorted(seen) == ["b", "c", "d", "fix"] and len(watched.looked) == 2
    assert not watched.drifts.due(NOW)
