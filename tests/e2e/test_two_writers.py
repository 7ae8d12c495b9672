"""People save from old buffers, half, twice, at once: their words are in, and nothing runs without a fresh order."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import FRONT, Desk, section, wait_for

ROOT = Path(__file__).parents[2]


def looked(desk: Desk) -> None:
    """Until the control plane has taken what is in the file: a marked save after it is in force."""
    wait_for(lambda: desk.state()["trouble"] is None and not list(desk.repository.glob(".board.md.mux.*")))


def gate(desk: Desk, name: str) -> tuple[Path, str]:
    path = desk.repository.parent / f"{name}.go"
    return path, desk.counted(name, f"while ! test -e '{path}'; do sleep 0.02; done")


def begun(desk: Desk) -> Path:
    """`a` runs, and `b` is a draft; the returned file ends `a`."""
    go, script = gate(desk, "a")
    desk.write(section("a", script, status="draft"), section("b", desk.counted("b"), status="draft"))
    desk.up()
    desk.order("a")
    return go


# an old buffer


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def stripped(text: str) -> str:
    return re.sub(r"[ \t]+(?=\n)", "", text)


@pytest.mark.parametrize("rewrite", [str, crlf, stripped])
def test_an_edit_from_before_the_run_is_in_and_nothing_runs_again(desk: Desk, rewrite: Callable[[str], str]) -> None:
    go = begun(desk)
    desk.edit(lambda text: text.replace("Prose of mine.", "Prose of mine.   \nMore.\t"))
    buffer = desk.board.read_text()
    desk.until_on_board("a", "running")
    go.touch()
    desk.until_on_board("a", "done")
    desk.save(rewrite(buffer.replace("# Shop", "# Shop of mine")))
    wait_for(lambda: "# Shop of mine" in desk.board.read_text() and desk.on_board("a") == "done", "the edit is in")
    looked(desk)
    assert (desk.runs("a"), desk.runs("b"), desk.on_board("a")) == (1, 0, "done")
    assert desk.task("a")["attempt"] == 1


def test_the_same_buffer_three_times_runs_once(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "exit 3")))
    desk.up()
    desk.until_on_board("a", "failed")
    desk.order("a")
    buffer = desk.board.read_text()
    wait_for(lambda: desk.runs("a") == 2, "the order is carried out")
    wait_for(lambda: desk.on_board("a") == "failed", "it failed again")
    for text in (buffer, buffer.replace("# Shop", "# Shop again")):
        desk.save(text)
        wait_for(lambda: desk.on_board("a") == "failed", "mux put its word back")
    wait_for(lambda: "# Shop again" in desk.board.read_text())
    looked(desk)
    assert desk.runs("a") == 2


def test_an_old_version_changes_nothing_is_said_once_and_restore_goes_back(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a")), section("b", status="draft"))
    old = desk.board.read_text()
    desk.up()
    desk.until_on_board("a", "done")
    desk.edit(lambda text: text.replace("Prose of mine.", "Prose of ours."))
    wait_for(lambda: "Prose of ours." in desk.mux("history", "show", _newest(desk)).stdout, "it is in force")
    desk.save(old)
    wait_for(lambda: "Prose of ours." in desk.board.read_text(), "the board is put back")
    said: list[str] = wait_for(lambda: [each["text"] for each in desk.journal() if "as it was" in each["text"]])
    assert len(said) == 1 and "mux history restore 1" in said[0]
    assert "Prose of mine." in desk.mux("history", "diff", "1", code=1).stdout
    assert "version 1 are back" in desk.mux("history", "restore", "1").stdout
    assert "Prose of mine." in desk.board.read_text()
    assert desk.on_board("a") == "done" and desk.runs("a") == 1
    assert any(event["event"] == "restore" for event in desk.journal())


def _newest(desk: Desk) -> str:
    return desk.mux("history", "-n", "1").stdout.splitlines()[1].split()[0]


def test_restore_works_with_the_control_plane_down_and_starts_nothing(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a")), section("b", desk.counted("b"), status="draft"))
    desk.up()
    desk.until_on_board("a", "done")
    version = _newest(desk)
    desk.edit(lambda text: text[: text.index("## b")])
    wait_for(lambda: len(desk.state()["tasks"]) == 1)
    desk.mux("down")
    desk.mux("history", "restore", version)
    assert desk.on_board("b") == "draft" and desk.on_board("a") == "done"
    desk.board.unlink()
    desk.mux("history", "restore", "1")
    assert desk.on_board("b") == "draft" and desk.on_board("a") == "done"
    desk.up()
    looked(desk)
    assert (desk.runs("a"), desk.runs("b")) == (1, 0)


# half-written


@contextmanager
def half_saved(desk: Desk, text: str, part: str) -> Iterator[None]:
    """The first bytes are in the file while an editor has it open; the rest comes at the end."""
    data = text.encode()
    cut = data.index(b"PROMPT") + 3 if part == "prompt" else len(data) * int(part) // 100
    with desk.board.open("wb", buffering=0) as file:
        file.write(data[:cut])
        yield
        file.write(data[cut:])


@pytest.mark.parametrize(("part", "seconds"), [("1", 0.2), ("50", 3.0), ("99", 1.0), ("prompt", 1.5), ("prompt", 10.0)])
def test_nothing_runs_from_a_half_written_save(desk: Desk, part: str, seconds: float) -> None:
    desk.write(section("a", status="draft"), section("b", desk.counted("b"), status="draft"))
    desk.up()
    new = section("c", desk.counted("c")).replace("Do it.", "PROMPT of c.")
    text = desk.board.read_text().replace(
        "## b: Task b\n\n```yaml\nstatus: draft", "## b: Task b\n\n```yaml\nstatus: ready"
    )
    with half_saved(desk, text + new, part):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert (desk.runs("b"), desk.runs("c")) == (0, 0)
            time.sleep(0.02)
    desk.until_on_board("b", "done")
    desk.until_on_board("c", "done")
    assert (desk.runs("b"), desk.runs("c")) == (1, 1)


# a board that is gone


def lose(desk: Desk, how: str) -> None:
    if how == "all tasks gone":
        desk.save(FRONT.format(keys=""))
    elif how == "empty":
        desk.save("")
    else:
        desk.board.unlink()
        if how == "folder":
            desk.board.mkdir()


def asked(desk: Desk) -> str:
    """The id of the one request."""
    wait_for(lambda: "a save that mux holds back" in desk.mux("requests").stdout, "it is asked")
    found = re.findall(r"mux approve ([0-9a-f]{12}) --choice keep", desk.mux("requests").stdout)
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize("end", ["keep", "take", "by itself"])
@pytest.mark.parametrize("how", ["empty", "deleted", "all tasks gone", "folder"])
def test_a_lost_board_is_held_and_decided(desk: Desk, how: str, end: str) -> None:
    go = begun(desk)
    desk.until_on_board("a", "running")
    wait_for(lambda: desk.runs("a"), "it got to its first line")
    whole = desk.board.read_text()
    lose(desk, how)
    request = asked(desk)
    wait_for(lambda: desk.state()["trouble"], "what is asked is in the state, too")
    assert desk.task("a")["status"] == "running"
    if how == "folder":
        desk.board.rmdir()
    if end == "by itself":
        desk.save(whole)
    else:
        desk.mux("answer", request, end)
    wait_for(lambda: "a save that mux holds back" not in desk.mux("requests").stdout, "it is carried out")
    wait_for(lambda: desk.state()["trouble"] is None, "the board is in force again")
    ids = [task["id"] for task in desk.state()["tasks"]]
    assert ids == ([] if end == "take" else ["a", "b"])
    assert len(desk.state()["orphans"]) == (end == "take")
    go.touch()
    if end != "take":
        desk.until_on_board("a", "done")
    assert (desk.runs("a"), desk.runs("b")) == (1, 0)


def test_what_is_held_stays_asked_over_a_new_start(desk: Desk) -> None:
    desk.write(section("a", status="draft"))
    desk.up()
    lose(desk, "empty")
    request = asked(desk)
    desk.mux("down")
    desk.mux("answer", request, "keep")
    desk.up()
    wait_for(lambda: desk.on_board("a") == "draft", "what was answered meanwhile is carried out")
    wait_for(lambda: "nothing is asked" in desk.mux("requests").stdout)


# two people


def test_two_editors_with_one_revision(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a"), status="draft"), section("b", status="draft"))
    desk.up()
    buffer = desk.board.read_text()
    desk.save(buffer.replace("Prose of mine.", "Prose of Ana."))
    wait_for(lambda: "Prose of Ana." in desk.mux("history", "show", _newest(desk)).stdout)
    desk.save(buffer.replace("Task b", "Task of Ben"))
    wait_for(
        lambda: (
            {"Prose of Ana.", "Task of Ben"} <= set(re.findall(r"Prose of Ana\.|Task of Ben", desk.board.read_text()))
        )
    )


def test_a_conflict_is_visible_blocks_its_task_and_ends_with_its_marks(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a"), status="draft"), section("b", status="draft"))
    desk.up()
    buffer = desk.board.read_text()
    desk.save(buffer.replace("Do it.", "Ana does it.\n\nIn two\n\nor three steps.", 1))
    wait_for(lambda: "Ana" in desk.mux("history", "show", _newest(desk)).stdout)
    desk.save(buffer.replace("Do it.", "Ben does it.", 1))
    wait_for(lambda: "mux conflict" in desk.board.read_text(), "the conflict stands in the file")
    text = desk.board.read_text()
    assert "Ana does it." in text and "Ben does it." in text
    line = 1 + next(number for number, each in enumerate(text.splitlines()) if "mux conflict" in each)
    assert f"board.md:{line}: two saves changed the same lines" in desk.mux("check", code=1).stdout
    wait_for(lambda: "1 needs you" in desk.mux("status").stdout)
    desk.order("a")
    wait_for(lambda: desk.task("a")["why"] == "its section has a problem", "it waits")
    assert desk.runs("a") == 0
    desk.edit(lambda text: re.sub(r"(?m)^<!-- mux conflict: .*\n", "", text))
    desk.until_on_board("a", "done")
    assert desk.runs("a") == 1


# mux's lines


@pytest.mark.parametrize(
    "change", [("mux:\n  rev: \\d+\n", ""), ("rev: \\d+", "rev: soon"), ("  attempt: 1\n", "  attempt: nine\n")]
)
def test_mux_lines_are_put_back(desk: Desk, change: tuple[str, str]) -> None:
    desk.write(section("a", desk.counted("a")))
    desk.up()
    desk.until_on_board("a", "done")
    looked(desk)
    whole = desk.board.read_text()
    desk.save(re.sub(change[0], change[1], whole, count=1))

    def back() -> bool:
        now = re.sub(r"rev: \d+", "rev: 0", desk.board.read_text())
        return now == re.sub(r"rev: \d+", "rev: 0", whole)

    wait_for(back, lambda: desk.board.read_text())
    assert desk.runs("a") == 1


# all at once


def test_every_edit_of_eight_writers_at_once_is_in(desk: Desk) -> None:
    """Seven that call commands, and one editor that saves what it loaded a moment ago over what they wrote."""
    names = ["editor", *(f"w{number}" for number in range(7))]
    count = 200
    desk.write(*(section(name, status="draft") for name in names), "\n# End\n")
    desk.up()
    begin = time.monotonic()
    writers = [_writer(desk, name, count) for name in names]
    try:
        for number in range(5):
            desk.mux("add", f"Extra {number}")
        for writer in writers:
            assert writer.wait(timeout=400) == 0
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    wait_for(lambda: not _lost(desk, names, count), lambda: f"lost: {_lost(desk, names, count)[:10]}")
    seconds = time.monotonic() - begin
    print(f"{len(names)} writers, {count} edits each: {seconds:.1f} s")
    assert all(f"## extra-{number}:" in desk.board.read_text() for number in range(5))


def _writer(desk: Desk, name: str, count: int) -> subprocess.Popen[bytes]:
    kind = "editor" if name == "editor" else "command"
    argv = [sys.executable, "-m", "tests.e2e.edits", kind, str(desk.board), name, str(count)]
    return subprocess.Popen(argv, cwd=ROOT, env=desk.environment)


def _lost(desk: Desk, names: list[str], count: int) -> list[str]:
    text = desk.board.read_text()
    wanted = (f"- {name} edit {number}.\n" for name in names for number in range(count))
    return [line for line in wanted if line not in text]
