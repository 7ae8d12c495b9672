"""What a worker left uncommitted outlives whatever a person does to its home afterwards."""

from __future__ import annotations

from tests.e2e.conftest import Desk, section
from tests.support import wait_for

WORK = "echo worked >> README; echo new > new.txt"


def test_the_nights_work_survives_a_careless_morning(desk: Desk) -> None:
    desk.write(section("fix", desk.counted("fix", f"{WORK}; exit 1")))
    desk.up()
    desk.until_on_board("fix", "failed")
    said = [(event["event"], event["text"]) for event in desk.journal() if event.get("attempt") == 1]
    assert ("snapshot", "snapshot 1 of fix: 1 file changed, 1 untracked") in said
    home = desk.home("fix")
    desk.git("reset", "--quiet", "--hard", cwd=home)
    desk.git("clean", "--quiet", "-d", "--force", cwd=home)
    assert "when it ended" in desk.mux("snapshots", "fix").stdout
    desk.mux("restore", "fix")
    assert (home / "README").read_text() == "read me\nworked\n" and (home / "new.txt").read_text() == "new\n"
    assert desk.on_board("fix") == "failed" and desk.runs("fix") == 1


def test_a_ready_that_continues_a_dirty_home_keeps_it_first(desk: Desk) -> None:
    desk.write(section("fix", desk.counted("fix", "git rm -r --quiet --force --ignore-unmatch .; sleep 1000")))
    desk.up()
    desk.until_on_board("fix", "running")
    desk.order("fix", "stopped")
    wait_for(lambda: "stopped by a person" in desk.board.read_text(), "its worker ended")
    home = desk.home("fix")
    (home / "mine.txt").write_text("a person's own\n")
    desk.order("fix")
    desk.until_on_board("fix", "running")
    desk.until_runs("fix", 2)
    refused = desk.mux("restore", "fix", code=1)
    assert "works on it" in refused.stderr
    desk.mux("stop", "fix")
    wait_for(lambda: desk.task("fix")["why"].startswith("stopped by a person"), "it is stopped")
    kept = desk.git("ls-tree", "--name-only", "refs/mux/shop/snapshots/fix/2").splitlines()
    assert "mine.txt" in kept
    assert "before it ran again" in desk.mux("snapshots", "fix").stdout


def test_a_snapshot_that_fails_holds_back_the_start_and_not_the_end(desk: Desk) -> None:
    desk.write(section("fix", desk.counted("fix", f"{WORK}; exit 1")))
    blocker = desk.repository / ".git" / "refs" / "mux"
    blocker.parent.mkdir(exist_ok=True)
    blocker.write_text("in the way")  # where git would make the folder of the refs
    desk.up()
    desk.until_on_board("fix", "failed")
    assert "no snapshot of what it left" in str(desk.journal())
    desk.order("fix")
    wait_for(lambda: "trying again" in str(desk.journal()), "the start is held back, and said")
    assert desk.runs("fix") == 1
    blocker.unlink()
    wait_for(lambda: desk.runs("fix") == 2, "it runs once its home is kept")
    desk.until_on_board("fix", "failed")
    assert desk.git("show", "refs/mux/shop/snapshots/fix/1:README") == "read me\nworked"
