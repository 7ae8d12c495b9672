"""A home on its way back to a checkpoint, cut short wherever git or mux could be: it goes on, or refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from board.errors import MuxError
from runners import homes, snapshots
from runners.git import Repository
from runners.kept import Snapshot
from runners.model import Home
from runners.restore import finish_reset
from tests.runners.conftest import commit
from tests.runners.test_snapshots import call, files, make_home
from tests.support import wait_for

NOW = 1_800_000_000.0
LONG = "one line of it\n" * 1000


class Reset:
    """One that was approved for a home with two commits and a mess beyond its checkpoint."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.path = home.path
        for name in ("kept", "changed", "deleted", "staged"):
            (self.path / name).write_text(f"{name}\n")
        (self.path / "long").write_text(LONG)
        commit(self.path, "deep/er/file", "deep\n")
        self.to = call(self.path, "rev-parse", "HEAD")
        (self.path / "long").write_text("short\n")
        (self.path / "deep/er/file").unlink()
        commit(self.path, "later", "later\n")
        self.head = call(self.path, "rev-parse", "HEAD")
        (self.path / "changed").write_text("other\n")
        (self.path / "deleted").unlink()
        (self.path / "new").write_text("new\n")
        (self.path / ".env").write_text("secret\n")
        homes_exclude = homes.private_folder_of(self.path).parents[1] / "info" / "exclude"
        homes_exclude.parent.mkdir(exist_ok=True)
        homes_exclude.write_text(".env\n")
        (self.path / "staged").write_text("staged\n\n")
        call(self.path, "add", "staged")
        _, self.files = snapshots.seen(self.path)

    def take(self) -> Snapshot:
        taken = snapshots.take(self.home, 1, "before", NOW, always=True)
        assert taken is not None
        return taken.snapshot

    def finish(self) -> Snapshot:
        return finish_reset(self.home, 1, self.head, self.files, self.to, NOW)

    def is_done(self) -> bool:
        status = call(self.path, "status", "--porcelain")
        return (call(self.path, "rev-parse", "HEAD"), status) == (self.to, "") and (self.path / ".env").exists()


@pytest.fixture
def reset(repository: Repository) -> Reset:
    return Reset(make_home(repository))


def nothing(reset: Reset) -> None:
    pass


def some_removed(reset: Reset) -> None:
    (reset.path / "new").unlink()


def all_removed(reset: Reset) -> None:
    some_removed(reset)
    (reset.path / "later").unlink()


def some_written(reset: Reset) -> None:
    all_removed(reset)
    (reset.path / "changed").write_text("changed\n")
    (reset.path / "deep/er").mkdir(parents=True, exist_ok=True)
    (reset.path / "deep/er/file").write_text("deep\n")


def one_begun(reset: Reset) -> None:
    """Git makes a file anew, then writes into it."""
    some_written(reset)
    (reset.path / "long").write_text("")


def one_half_written(reset: Reset) -> None:
    some_written(reset)
    (reset.path / "long").write_text(LONG[:4096])


def all_written(reset: Reset) -> None:
    some_written(reset)
    for name, text in (("long", LONG), ("deleted", "deleted\n"), ("staged", "staged\n")):
        (reset.path / name).write_text(text)


def index_reset(reset: Reset) -> None:
    all_written(reset)
    call(reset.path, "read-tree", "--reset", "HEAD")


def index_of_the_checkpoint(reset: Reset) -> None:
    all_written(reset)
    call(reset.path, "read-tree", "--reset", reset.to)


def branch_moved(reset: Reset) -> None:
    """Git moves the branch after the index, but nobody promises that."""
    index_reset(reset)
    call(reset.path, "update-ref", "HEAD", reset.to)


def done(reset: Reset) -> None:
    all_written(reset)
    call(reset.path, "reset", "--mixed", "--quiet", reset.to)


WAYS = (
    *(nothing, some_removed, all_removed, some_written, one_begun, one_half_written, all_written),
    *(index_reset, index_of_the_checkpoint, branch_moved, done),
)


@pytest.mark.parametrize("cut", WAYS)
def test_it_goes_on_from_everything_that_its_own_steps_can_leave(reset: Reset, cut: Callable[[Reset], None]) -> None:
    before = reset.take()
    cut(reset)
    assert reset.finish() == before
    assert reset.is_done()
    assert reset.finish() == before, "safe to repeat"
    assert reset.is_done() and snapshots.take(reset.home, 1, "again", NOW) is None


def test_one_that_had_not_begun_makes_its_snapshot_first(reset: Reset) -> None:
    assert snapshots.holding(reset.home, reset.head, reset.files) is None
    made = reset.finish()
    assert (made.parent, made.tree) == (reset.head, reset.files) and reset.is_done()


def test_a_file_too_large_for_a_snapshot_stays_where_it_is(reset: Reset) -> None:
    big = reset.path / "big"
    with big.open("wb") as file:
        file.truncate(snapshots.CAP + 1)
    reset.take()
    some_written(reset)
    before = big.stat()
    reset.finish()
    assert big.stat().st_mtime_ns == before.st_mtime_ns
    assert call(reset.path, "status", "--porcelain") == "?? big"


def edit(path: Path) -> None:
    (path / "changed").write_text("by a person\n")


def edit_what_is_written(path: Path) -> None:
    (path / "long").write_text("one line of it\nand mine\n")


def add(path: Path) -> None:
    (path / "added").write_text("")


def go_on(path: Path) -> None:
    commit(path, "committed", "by a person\n")


def switch(path: Path) -> None:
    call(path, "switch", "--quiet", "--create", "other")


def nest(path: Path) -> None:
    call(path, "init", "--quiet", "nested")
    commit(path / "nested", "file", "of another repository\n")


@pytest.mark.parametrize("cut", [nothing, one_half_written, branch_moved])
@pytest.mark.parametrize("change", [edit, edit_what_is_written, add, go_on, switch, nest])
def test_where_somebody_else_was_at_work_nothing_is_touched(
    reset: Reset, cut: Callable[[Reset], None], change: Callable[[Path], None]
) -> None:
    if change is nest and cut is branch_moved:
        pytest.skip("a repository that came once all is done is in nobody's way")
    reset.take()
    cut(reset)
    change(reset.path)
    before = (files(reset.path), call(reset.path, "rev-parse", "HEAD"), call(reset.path, "ls-files", "--stage"))
    with pytest.raises(MuxError) as raised:
        reset.finish()
    assert not any(name in str(raised.value) for name in ("changed", "long", "added")), "names stay on the machine"
    after = (files(reset.path), call(reset.path, "rev-parse", "HEAD"), call(reset.path, "ls-files", "--stage"))
    assert after == before


def test_without_its_snapshot_nothing_is_touched(reset: Reset) -> None:
    some_written(reset)
    with pytest.raises(MuxError, match="before a snapshot"):
        reset.finish()


def test_a_git_of_before_the_kill_that_lives_is_waited_for(reset: Reset) -> None:
    reset.take()
    all_written(reset)
    lock = homes.private_folder_of(reset.path) / "index.lock"
    lock.touch()
    going_on = threading.Thread(target=reset.finish)
    going_on.start()
    going_on.join(0.3)
    assert going_on.is_alive() and not reset.is_done()
    lock.unlink()
    going_on.join()
    wait_for(reset.is_done)
