"""One folder holds one board; a renamed board takes its records along."""

from __future__ import annotations

from tests.e2e.conftest import Desk, section


def test_a_second_board_in_the_folder_is_refused(desk: Desk) -> None:
    desk.write(section("a"))
    desk.up()
    desk.until("a", "done")
    desk.mux("down")
    other = desk.repository / "other.md"
    other.write_text(desk.board.read_text())
    for words in (("up", "--trust", "other.md"), ("status", "--board", "other.md"), ("start", "a", "-b", "other.md")):
        said = desk.mux(*words, code=1).stderr
        assert "belongs to board.md" in said
        assert len(said.splitlines()) == 1


def test_a_renamed_board_goes_on_with_its_records(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a")))
    desk.up()
    desk.until_on_board("a", "done")
    desk.mux("down")
    desk.board.rename(desk.repository / "todo.md")
    desk.mux("up", "--detach", "--trust", "todo.md")
    desk.mux("down", "-b", "todo.md")
    assert "status: done" in (desk.repository / "todo.md").read_text()
    assert desk.runs("a") == 1
