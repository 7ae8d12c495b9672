"""A task that is ordered to run again: its agent goes on with its conversation, where there is one to go on with."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Desk, section
from tests.support import wait_for

#: Says how it was started, and of which conversation; ends with the exit that the attempt has a file for, the first
#: attempt later than what counts as early.
TOOL = """#!/bin/sh
echo "$1 $2" >> "{folder}/$MUX_TASK.starts"
[ "$MUX_ATTEMPT" = 1 ] && sleep {early}.2
test -e "{folder}/exit-$MUX_ATTEMPT" && exit "$(cat "{folder}/exit-$MUX_ATTEMPT")"
exec sleep 1000
"""
KEYS = """restart: {{when: never, early: {early}s}}
agents:
  stand-in:
    program: {tool}
    done_when: [clean]
    headless:
      start: ['{{program}}', start, '{{session}}', '{{prompt}}']
      resume: ['{{program}}', resume, '{{session}}', '{{prompt}}']
"""


def begin(desk: Desk, code: int | None = None, early: int = 1) -> None:
    folder = desk.repository.parent
    tool = folder / "tool"
    tool.write_text(TOOL.format(folder=folder, early=early))
    tool.chmod(0o755)
    if code is not None:
        (folder / "exit-1").write_text(str(code))
    desk.write(section("a", agent="stand-in"), keys=KEYS.format(tool=json.dumps(str(tool)), early=early))
    desk.up()
    wait_for(lambda: starts(desk))


def until_stopped(desk: Desk) -> None:
    """The worker ended, and that is written down: the word on the board is there before that."""
    wait_for((desk.folder / "runs" / "a" / "1" / "outcome.json").exists, lambda: f"it is stopped: {desk.task('a')}")


def starts(desk: Desk) -> list[list[str]]:
    path = desk.repository.parent / "a.starts"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("order", [("start", "a"), ("restart", "a")])
def test_one_that_was_stopped_resumes_and_says_so(desk: Desk, order: tuple[str, str]) -> None:
    begin(desk)
    desk.mux("stop", "a")
    until_stopped(desk)
    said = desk.mux(*order).stdout
    assert said == "a: ready: it resumes its conversation; to start it anew instead: mux restart a --how in-place\n"
    wait_for(lambda: len(starts(desk)) == 2)
    (_, first), second = starts(desk)
    assert second == ["resume", first]
    assert "it resumes its conversation" in desk.mux("journal", "a").stdout


def test_one_that_was_stopped_starts_anew_where_that_is_said(desk: Desk) -> None:
    begin(desk)
    desk.mux("stop", "a")
    until_stopped(desk)
    assert "it starts anew, in its worktree as it is" in desk.mux("restart", "a", "--how", "in-place").stdout
    wait_for(lambda: len(starts(desk)) == 2)
    assert starts(desk)[1][0] == "start"


def test_one_that_was_done_starts_anew(desk: Desk) -> None:
    begin(desk, 0)
    desk.until_on_board("a", "done")
    assert desk.mux("start", "a").stdout == "a: ready\n"
    wait_for(lambda: len(starts(desk)) == 2)
    (_, first), (how, second) = starts(desk)
    assert how == "start" and second != first


def test_one_whose_resume_failed_at_once_starts_anew(desk: Desk) -> None:
    (desk.repository.parent / "exit-2").write_text("4")
    begin(desk, 3, early=8)  # so long that a busy machine, too, is through with the second by then
    for number in (1, 2):
        desk.until_on_board("a", "failed")
        wait_for(lambda number=number: desk.task("a")["attempt"] == number and desk.task("a")["status"] == "failed")
        desk.mux("start", "a")
        wait_for(lambda number=number: len(starts(desk)) == number + 1)
    assert [how for how, _ in starts(desk)] == ["start", "resume", "start"]


def test_a_new_task_of_an_id_that_was_taken_off_begins_a_conversation_of_its_own(desk: Desk) -> None:
    begin(desk)
    desk.mux("stop", "a")
    until_stopped(desk)
    text = desk.board.read_text()
    other = section("b", status="draft")
    desk.save(text[: text.index("\n## a: ")] + other)
    wait_for((desk.folder / "runs" / "a" / "1" / "retired").exists)
    desk.append(section("a", agent="stand-in"))
    wait_for(lambda: len(starts(desk)) == 2)
    (_, first), (how, second) = starts(desk)
    assert how == "start" and second != first
