"""The keeper alone: a real folder, a clock of the test's own, and a person who saves whatever they like."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import board.history
import board.keeper
from board import by_command
from board.edit import Change
from board.errors import MuxError
from board.file import BoardFile
from board.history import History
from board.keeper import FAILED_AGAIN, VANISHED_AFTER, Keeper, Note
from board.model import Board, Status
from board.parse import parse

TEXT = """---
board: shop
---

# Shop

Prose of mine.

## one: First

```yaml
status: ready
```

Do one.

```sh
true
```

## two: Second

```yaml
status: draft
run: make two
```

Do two.
"""


def read(text: str, previous: Board | None) -> Board:
    return parse(text, {"shell"}, previous)


class Desk:
    """A keeper that can be reopened, the file, and the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ".mux"
        self.path = folder / "board.md"
        self.now = 1000.0
        self.path.write_text(TEXT)
        self.keeper = self.reopened()
        self.keeper.look(self.now)

    def reopened(self) -> Keeper:
        self.keeper = Keeper(self.path, self.folder, read, self.now)
        return self.keeper

    @property
    def history(self) -> History:
        return History(self.folder / "history")

    @property
    def text(self) -> str:
        return self.path.read_text()

    def save(self, text: str) -> None:
        new = self.path.with_name("editor.tmp")
        new.write_text(text)
        new.replace(self.path)

    def look(self, later: float = 0.1) -> list[str]:
        self.now += later
        return [note.text for note in self.keeper.look(self.now)]

    def saved(self, text: str) -> list[str]:
        self.save(text)
        return self.look()

    def mux(self, status: Status, attempt: int = 1, task: str = "one") -> list[Note]:
        self.now += 0.1
        return self.keeper.write([Change(task, status, {"attempt": attempt})], self.now)

    def held(self) -> None:
        """Until the keeper believes that the board is gone."""
        self.look()
        self.look(VANISHED_AFTER)

    def status(self, task: str = "one") -> str:
        return str(self.keeper.board.by_id[task].status)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def ordered(text: str, word: str, task: str = "one") -> str:
    return re.sub(rf"(## {task}: .*?\nstatus: )\S+", rf"\g<1>{word}", text, count=1, flags=re.DOTALL)


# saves


def test_the_first_text_is_in_force_and_in_the_history_as_it_is(desk: Desk) -> None:
    assert desk.keeper.board.text == desk.text == TEXT
    assert [(entry.rev, entry.by) for entry in desk.history.entries()] == [(None, "person")]
    assert (desk.keeper.trouble, desk.keeper.settled) == (None, True)


def test_a_save_on_the_current_revision_is_taken_byte_for_byte(desk: Desk) -> None:
    desk.mux(Status.RUNNING)
    text = desk.text.replace("Do two.", "Do two,  well.")
    assert desk.saved(text) == []
    assert desk.keeper.board.text == desk.text == text
    assert [entry.by for entry in desk.history.entries()] == ["person", "mux", "person"]


def test_a_stale_save_keeps_its_edit_and_what_mux_wrote(desk: Desk) -> None:
    stale = desk.text
    desk.mux(Status.RUNNING)
    desk.mux(Status.DONE)
    assert desk.saved(stale.replace("Do two.", "Do two well.")) == []
    assert "Do two well." in desk.text and desk.status() == "done"
    assert desk.keeper.board.rev == 3
    assert desk.text == desk.keeper.board.text
    assert [entry.by for entry in desk.history.entries()] == ["person", "mux", "mux", "save", "mux"]


def test_the_same_buffer_three_times_orders_once(desk: Desk) -> None:
    desk.mux(Status.FAILED)
    again = ordered(desk.text, "ready")
    assert desk.saved(again) == [] and desk.status() == "ready"
    desk.mux(Status.RUNNING, 2)
    desk.mux(Status.FAILED, 2)
    (said,) = desk.saved(again)
    assert said.startswith("the save is version 3 as it was") and said.endswith("mux history restore 3")
    assert desk.status() == "failed"
    desk.saved(again.replace("Do two.", "Do two well."))
    assert desk.status() == "failed" and "Do two well." in desk.text
    assert desk.keeper.board.by_id["one"].mux["attempt"] == "2"


def test_an_old_version_changes_nothing_and_is_said_once(desk: Desk) -> None:
    old = desk.text
    desk.mux(Status.DONE)
    now = desk.text
    assert "version 1 as it was" in desk.saved(old)[0]
    assert desk.text == now
    assert desk.look() == []


def test_an_undo_on_one_revision_is_put_back_and_said(desk: Desk) -> None:
    desk.mux(Status.DONE)
    before = desk.text
    after = before.replace("Do two.", "Do two well.")
    desk.saved(after)
    assert "mux history restore 2" in desk.saved(before)[0]
    assert desk.text == after


@pytest.mark.parametrize("mux", ["", "mux:\n  rev: soon\n", "mux: 7\n", "mux: [\n"])
def test_mux_lines_of_the_front_matter_are_put_back(desk: Desk, mux: str) -> None:
    desk.mux(Status.DONE)
    whole = desk.text
    notes = desk.saved(whole.replace("mux:\n  rev: 1\n", mux, 1))
    if desk.keeper.trouble:
        assert mux == "mux: [\n" and notes[0].endswith("the board in force stays")
        return
    assert desk.text.replace("rev: 2", "rev: 1") == whole


def test_a_board_that_cannot_be_read_stays_out_until_it_is_mended(desk: Desk) -> None:
    desk.mux(Status.DONE)
    whole = desk.text
    broken = whole.replace("board: shop", "board: [shop")
    (said,) = desk.saved(broken)
    assert "the board in force stays" in said and desk.look() == []
    assert (desk.keeper.trouble, desk.keeper.held, desk.text) == (said, None, broken)
    assert desk.keeper.board.text == whole
    assert desk.saved(whole.replace("Do two.", "Do two well.")) == []
    assert desk.keeper.trouble is None and "Do two well." in desk.keeper.board.text


def test_a_conflict_stands_in_the_file_and_blocks_only_its_task(desk: Desk) -> None:
    desk.mux(Status.FAILED)
    stale = desk.text
    desk.saved(stale.replace("Do one.", "Do one by hand.\n\nWith care."))
    desk.mux(Status.FAILED, 2)
    notes = desk.saved(stale.replace("Do one.", "Do one by machine."))
    assert any("both versions stand there" in note for note in notes)
    assert "Do one by hand." in desk.text and "Do one by machine." in desk.text
    board = desk.keeper.board
    assert [(task.id, task.sound) for task in board.tasks] == [("one", False), ("two", True)]
    line = board.by_id["one"].problems[0].line
    assert "mux conflict" in desk.text.splitlines()[line - 1]
    assert desk.saved(re.sub(r"(?m)^<!-- mux conflict: .*\n", "", desk.text)) == []
    assert desk.keeper.board.by_id["one"].sound


# gone, empty, emptied


def empty(desk: Desk) -> None:
    desk.save("")


def delete(desk: Desk) -> None:
    desk.path.unlink()


def put_a_folder(desk: Desk) -> None:
    desk.path.unlink()
    desk.path.mkdir()


def take_all_tasks(desk: Desk) -> None:
    desk.save(desk.text[: desk.text.index("## one")] + "More prose.\n")


def clear(desk: Desk) -> None:
    if desk.path.is_dir():
        desk.path.rmdir()


LOSSES = [empty, delete, put_a_folder, take_all_tasks]
Loss = Callable[[Desk], None]


@pytest.mark.parametrize("lose", LOSSES)
def test_a_lost_board_is_held_said_once_and_ends_by_itself(desk: Desk, lose: Loss) -> None:
    desk.mux(Status.RUNNING)
    whole = desk.text
    lose(desk)
    assert desk.look() == []
    assert desk.keeper.held is None and desk.keeper.retry_at is not None and not desk.keeper.settled
    (said,) = desk.look(VANISHED_AFTER)
    assert "held" in said and desk.keeper.held and desk.keeper.trouble == said
    assert desk.look(5) == [] and desk.look(500) == []
    assert desk.keeper.board.text == whole
    clear(desk)
    assert desk.saved(whole.replace("Do two.", "Do two well.")) == []
    assert (desk.keeper.held, desk.keeper.trouble, desk.keeper.settled) == (None, None, True)
    assert "Do two well." in desk.keeper.board.text


@pytest.mark.parametrize("lose", LOSSES)
def test_keep_writes_the_board_back_and_loses_no_words(desk: Desk, lose: Loss) -> None:
    desk.mux(Status.RUNNING)
    lose(desk)
    desk.held()
    if desk.path.is_dir():
        assert desk.keeper.decide_held(False, desk.now) == [] and desk.keeper.held
        desk.path.rmdir()
    (note,) = desk.keeper.decide_held(False, desk.now)
    assert note.text == "the board was put back as it was"
    assert desk.keeper.held is None and desk.text == desk.keeper.board.text
    assert [task.id for task in desk.keeper.board.tasks] == ["one", "two"]
    assert desk.look() == []
    kept = [data for _, data in desk.history.whole(desk.history.entries())]
    assert lose is not take_all_tasks or any(b"More prose." in data for data in kept)


@pytest.mark.parametrize("lose", LOSSES)
def test_take_makes_it_the_board_with_a_revision_of_its_own(desk: Desk, lose: Loss) -> None:
    desk.mux(Status.RUNNING)
    lose(desk)
    desk.held()
    clear(desk)
    assert next(note.text for note in desk.keeper.decide_held(True, desk.now)).startswith("the held save was taken")
    assert (desk.keeper.held, desk.keeper.board.tasks, desk.keeper.board.rev) == (None, (), 2)
    assert desk.text == desk.keeper.board.text and desk.look(5) == []
    section = TEXT[TEXT.index("## one") : TEXT.index("## two")]
    assert desk.saved(desk.text + "\n" + section) == []
    assert desk.status() == "ready", "on the new revision it is a fresh order"


def test_an_empty_board_whose_file_goes_is_said_and_not_held(desk: Desk) -> None:
    empty(desk)
    desk.held()
    desk.keeper.decide_held(True, desk.now)
    desk.path.unlink()
    assert len(desk.look()) == 1 and desk.look(5) == []
    assert desk.keeper.held is None and desk.keeper.trouble


def test_what_was_decided_about_another_content_is_not_carried_out(desk: Desk) -> None:
    whole = desk.text
    empty(desk)
    desk.held()
    desk.save("other words\n")
    for take in (True, False):
        assert desk.keeper.decide_held(take, desk.now) == []
    assert desk.text == "other words\n" and desk.keeper.board.text == whole and desk.keeper.held
    desk.look()
    assert desk.keeper.held and desk.keeper.held.digest


def test_half_typed_after_held_is_held_no_more(desk: Desk) -> None:
    empty(desk)
    desk.held()
    desk.saved("---\nboard: shop\n")
    assert desk.keeper.held is None and "never closed" in str(desk.keeper.trouble) and not desk.keeper.settled


# going back


def test_restore_brings_words_back_and_leaves_status_and_mux_lines(desk: Desk) -> None:
    desk.mux(Status.DONE)
    desk.saved(
        desk.text.replace("Do one.", "Do it all anew.").replace("Prose of mine.\n\n", "").replace("First", "1st")
    )
    desk.mux(Status.FAILED, 2)
    assert by_command.restore(desk.keeper, 1) == []
    assert "Do one." in desk.text and "anew" not in desk.text and "Prose of mine." in desk.text
    task = desk.keeper.board.by_id["one"]
    assert (task.title, task.status, task.mux["attempt"]) == ("First", "failed", "2")
    assert desk.keeper.board.rev == 3 and desk.text == desk.keeper.board.text
    assert desk.look() == []


def test_restore_of_a_version_with_the_same_revision(desk: Desk) -> None:
    """Byte for byte an older version, and yet no stale save."""
    desk.mux(Status.DONE)
    before = desk.text
    desk.saved(before.replace("Do two.", "Do two well."))
    by_command.restore(desk.keeper, 2)
    assert desk.text == before.replace("rev: 1", "rev: 2")
    assert desk.look() == []
    by_command.restore(desk.keeper, 3)
    assert "Do two well." in desk.text


def test_tasks_that_only_the_old_version_has_come_back_as_drafts_or_done(desk: Desk) -> None:
    desk.mux(Status.DONE, task="two")
    desk.saved(desk.text[: desk.text.index("## one")] + "## new: New\n\n```yaml\nstatus: draft\n```\n")
    by_command.restore(desk.keeper, 2)
    found = {task.id: (task.status, dict(task.mux)) for task in desk.keeper.board.tasks}
    assert found == {"one": (Status.DRAFT, {}), "two": (Status.DONE, {})}
    assert len(desk.history.entries()) == 4


def test_restore_keeps_tasks_that_ran_since(desk: Desk) -> None:
    desk.saved(f"{desk.text}\n## new: New\n\n```yaml\nstatus: ready\nrun: x\n```")
    desk.mux(Status.RUNNING, task="new")
    by_command.restore(desk.keeper, 1)
    assert [task.id for task in desk.keeper.board.tasks] == ["one", "two", "new"]
    assert desk.status("new") == "running" and desk.keeper.board.problems == ()


@pytest.mark.parametrize("lose", [empty, delete])
def test_restore_ends_a_hold(desk: Desk, lose: Loss) -> None:
    lose(desk)
    desk.held()
    by_command.restore(desk.keeper, 1)
    desk.look()
    assert desk.keeper.held is None and "Do one." in desk.text


def test_restore_of_a_version_that_is_not_kept(desk: Desk) -> None:
    with pytest.raises(MuxError, match="no version 99 is kept"):
        by_command.restore(desk.keeper, 99)


def test_restore_leaves_a_file_that_cannot_be_read(desk: Desk) -> None:
    desk.saved("---\nhalf: [")
    with pytest.raises(MuxError, match="nothing was changed"):
        by_command.restore(desk.keeper, 1)
    assert desk.text == "---\nhalf: ["


# killed at any step


class Killed(BaseException):
    pass


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Ends the process, as far as this test is concerned, before the nth step that leaves a trace on the disk."""
    left = [step]

    def counted(whole: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object, **named: object) -> object:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return whole(*arguments, **named)

        return run

    monkeypatch.setattr(board.history, "write_atomic", counted(board.history.write_atomic))
    monkeypatch.setattr(board.keeper, "write_atomic", counted(board.keeper.write_atomic))
    for name in ("_prepare", "_replace", "_collect", "forget"):
        monkeypatch.setattr(BoardFile, name, counted(getattr(BoardFile, name)))


def orders(desk: Desk) -> None:
    """A stale save with an edit and an order, taken while mux had written."""
    desk.saved(ordered(desk.text, "draft"))
    desk.mux(Status.FAILED, task="two")
    stale = desk.text
    desk.mux(Status.FAILED, 2, task="two")
    desk.save(ordered(stale, "ready", "two").replace("Do one.", "Do one well."))


@pytest.mark.parametrize("step", range(8))
def test_killed_while_it_takes_a_save_nothing_is_lost_and_no_order_comes_twice(
    desk: Desk, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders(desk)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with suppress(Killed):
            desk.look()
    desk.reopened()
    notes = desk.look()
    assert "as it was" not in str(notes)
    assert "Do one well." in desk.text and desk.text == desk.keeper.board.text
    assert desk.status("two") == "ready"
    desk.mux(Status.RUNNING, 3, task="two")
    desk.mux(Status.FAILED, 3, task="two")
    desk.reopened()
    desk.look()
    assert desk.status("two") == "failed", "the order was carried out; it is not given again"
    assert desk.text == desk.keeper.board.text


@pytest.mark.parametrize("step", range(1, 3))
def test_a_save_that_mux_was_killed_in_is_merged_before_a_newer_one(
    desk: Desk, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person goes on typing while mux is down: the base of the second save is the first."""
    orders(desk)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            desk.look()
    desk.save(desk.text.replace("Do two.", "Do two well."))
    desk.reopened()
    desk.look()
    assert "Do one well." in desk.text and "Do two well." in desk.text
    assert desk.status("two") == "ready"


@pytest.mark.parametrize("step", range(6))
def test_killed_while_it_writes(desk: Desk, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = desk.text
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with suppress(Killed):
            desk.mux(Status.RUNNING)
    assert desk.text in (before, desk.keeper.board.text)
    desk.reopened()
    assert desk.look() == []
    assert desk.text == desk.keeper.board.text
    desk.mux(Status.RUNNING)
    assert desk.status() == "running" and desk.look() == []


# displaced saves


def displace(desk: Desk, text: str) -> None:
    """An editor opens the board, mux writes, and only then the editor writes and closes."""
    with desk.path.open("r+") as editor:
        swap = BoardFile(desk.path)._free_swap("0" * 16, "1" * 16)
        new = desk.path.with_name("new")
        new.write_text(desk.text)
        desk.path.rename(swap)
        new.rename(desk.path)
        editor.write(text)
        editor.truncate()


def test_a_displaced_save_is_merged_like_any_other(desk: Desk) -> None:
    stale = desk.text
    desk.mux(Status.DONE)
    displace(desk, stale.replace("Do two.", "Do two well."))
    assert desk.look() == []
    assert "Do two well." in desk.text and desk.status() == "done"
    assert desk.look(10) == []


@pytest.mark.parametrize("text", ["---\nboard: [half", "all tasks gone, some words left\n"])
def test_a_displaced_save_that_cannot_be_merged_is_kept_in_a_file(desk: Desk, text: str) -> None:
    desk.mux(Status.DONE)
    now = desk.text
    displace(desk, text)
    (said,) = desk.look()
    (kept,) = desk.folder.glob("left-out-*.md")
    assert str(kept) in said and kept.read_text() == text
    assert desk.text == now and desk.look(10) == []


def test_a_displaced_save_without_a_word_is_nothing(desk: Desk) -> None:
    desk.mux(Status.DONE)
    displace(desk, "")
    assert desk.look() == [] and desk.keeper.trouble is None


# a full disk


def full(monkeypatch: pytest.MonkeyPatch, *modules: object) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise MuxError(f"{path}: cannot write: no space left on device; free some disk space and try again")

    for module in modules:
        monkeypatch.setattr(module, "write_atomic", refuse)


def test_a_full_disk_takes_nothing_and_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.mux(Status.DONE)
    before, edited = desk.keeper.board, desk.text.replace("Do two.", "Do two well.")
    with monkeypatch.context() as patch:
        full(patch, board.history)
        (said,) = desk.saved(edited)
        assert "no space left" in said and desk.keeper.trouble == said
        assert desk.keeper.retry_at == desk.now + FAILED_AGAIN
        assert desk.look(FAILED_AGAIN) == [], "the same trouble is said once"
        assert desk.keeper.board.text == before.text and desk.text == edited
    assert desk.look(FAILED_AGAIN) == []
    assert desk.keeper.trouble is None and desk.keeper.board.text == desk.text == edited


def test_a_disk_that_fills_up_in_the_middle_of_a_merge(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    orders(desk)
    real, calls = board.history.write_atomic, [0]

    def second_fails(path: Path, *arguments: bytes) -> None:
        calls[0] += 1
        if calls[0] > 1:
            raise MuxError("no space left on device")
        real(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(board.history, "write_atomic", second_fails)
        assert desk.look() == ["no space left on device"]
        assert desk.status("two") == "failed"
        assert desk.look(FAILED_AGAIN) == []
    assert "as it was" not in str(desk.look(FAILED_AGAIN))
    assert "Do one well." in desk.text and desk.status("two") == "ready"


def test_a_board_that_cannot_be_written_is_written_when_it_can(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(BoardFile, "_prepare", refuse)
        assert "no space left" in desk.mux(Status.RUNNING)[0].text
        assert desk.status() == "running" and desk.keeper.trouble
        assert desk.look(FAILED_AGAIN) == []
    assert desk.look(FAILED_AGAIN) == []
    assert desk.text == desk.keeper.board.text and desk.keeper.trouble is None


def test_keep_on_a_full_disk_stays_held_and_works_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    empty(desk)
    desk.held()
    with monkeypatch.context() as patch:
        full(patch, board.history)
        assert len(desk.keeper.decide_held(False, desk.now)) == 1
        assert desk.keeper.held and desk.keeper.decide_held(False, desk.now) == []
    assert desk.keeper.decide_held(False, desk.now)[0].text == "the board was put back as it was"
    assert desk.keeper.held is None and desk.keeper.trouble is None
