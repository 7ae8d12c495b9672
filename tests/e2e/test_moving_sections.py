"""Deleting, renaming or moving a task's section never kills its worker, and never discards its work."""

from __future__ import annotations

import re
import time

import pytest

from runners import processes
from tests.e2e import ends
from tests.e2e.conftest import Desk, section
from tests.support import wait_for

KEYS = (
    "max_workers: 99\nrestart: {backoff: 5s, early: 1s}\noutage: {workers: 999, within: 30s, pace: 1s}\n"
    "check_timeout: 30s\n"
)
#: A worker that goes on; one whose restart waits; one that is asked about; one whose end is being looked at (its check
#: runs); one that was stopped with work in its home.
TASKS = ("runs", "backs-off", "asked", "concludes", "stopped")


def prepared(desk: Desk) -> None:
    folder = desk.repository.parent
    work = 'echo half > work; touch "../$MUX_TASK.ready"'
    fresh = '[ "$MUX_ATTEMPT" = 1 ] || exec sleep 1000\n'
    scripts = {
        "runs": f"{work}\nexec sleep 1000",
        "backs-off": f'{fresh}touch "../$MUX_TASK.ready"\nexec sleep 1000',
        "asked": f"{fresh}{work}\nexec sleep 1000",
        "concludes": f"{fresh}{work}\nrm work; exit 0",
        "stopped": f"{fresh}{work}\nexec sleep 1000",
    }
    check = f"touch '{folder}/checking'; while ! test -e '{folder}/go'; do sleep 0.1; done"
    more = {"concludes": {"check": check, "done_when": ["clean", "check"]}}
    sections = (section(task, desk.counted(task, scripts[task]), **more.get(task, {})) for task in TASKS)
    desk.write(*sections, section("stays", status="draft"), "\n## Notes\n\nProse of mine, too.\n", keys=KEYS)
    desk.up()
    for task in TASKS:
        wait_for((desk.home(task).parent / f"{task}.ready").exists, lambda task=task: f"{task}: {desk.task(task)}")
    desk.order("stopped", "stopped")
    wait_for(lambda: "stopped by a person" in desk.task("stopped")["why"])
    ends.kill(desk.start_record("asked")["pid"])
    ends.request_of(desk, "asked")
    wait_for((folder / "checking").exists, "the end of `concludes` is looked at")


def part(text: str, task: str) -> str:
    found = re.search(rf"\n## {task}: .*?(?=\n## )", text, re.DOTALL)
    assert found
    return found[0]


def delete(text: str) -> str:
    for task in TASKS:
        text = text.replace(part(text, task), "")
    return text


def rename(text: str) -> str:
    for task in TASKS:
        text = text.replace(f"## {task}: ", f"## {task}-renamed: ")
    return text


def move(text: str) -> str:
    """Each section to the end, below the prose, in the opposite order."""
    for task in reversed(TASKS):
        moved = part(text, task)
        text = text.replace(moved, "") + moved + ("\n" if not moved.endswith("\n") else "")
        text = f"{text}\n## Prose {task}\n\nBetween.\n"
    return text


def journal_says(desk: Desk, event: str, task: str) -> bool:
    return any((each["event"], each.get("task")) == (event, task) for each in desk.journal())


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("change", [delete, rename, move])
def test_nothing_is_killed_or_discarded(desk: Desk, change: object, down: bool) -> None:
    prepared(desk)
    pid = desk.start_record("runs")["pid"]
    started = processes.start_time(pid)
    before = {task: ends.picture(desk, task) for task in TASKS}
    ends.kill(desk.start_record("backs-off")["pid"])
    ends.outcome(desk, "backs-off")
    if down:
        desk.kill(desk.planes[-1])
    desk.edit(change)  # type: ignore[arg-type]
    if down:
        desk.up()
    (desk.repository.parent / "go").touch()
    if change is move:
        wait_for(lambda: desk.runs("backs-off") == 2, lambda: f"it comes back: {desk.task('backs-off')}")
        desk.until("concludes", "done")
        assert ends.request_of(desk, "asked") in ends.open_requests(desk)
        assert desk.until("stopped", "stopped")["attempt"] == 1
        desk.until("runs", "running")
        assert desk.state()["orphans"] == []
    else:
        wait_for(lambda: [each["id"] for each in desk.state()["orphans"]] == ["runs"], "it is shown as an orphan")
        wait_for(lambda: len(ends.open_requests(desk)) == 1, lambda: f"one question: {ends.open_requests(desk)}")
        (one,) = ends.open_requests(desk)
        request = ends.request(desk, one)
        assert (request["action"], request["task"], request["choices"]) == ("orphan", "runs", ["stop"])
        wait_for(lambda: (desk.folder / "runs" / "concludes" / "1" / "outcome.json").exists())
        # The time of the restart comes, and nothing starts for a section that is gone.
        at = ends.outcome(desk, "backs-off")["next"]["at"]
        wait_for(lambda: time.time() > at + 1)
        assert desk.runs("backs-off") == 1
    assert processes.start_time(pid) == started, "its worker lives"
    assert {task: ends.picture(desk, task) for task in TASKS} == before
    assert desk.runs("runs") == desk.runs("asked") == desk.runs("concludes") == desk.runs("stopped") == 1


def test_a_section_that_is_cut_and_saved_and_then_pasted_elsewhere_is_the_same_task(desk: Desk) -> None:
    """Two saves of one buffer, which shows neither what mux wrote meanwhile nor that the cut one was an orphan."""
    go = desk.repository.parent / "go"
    script = desk.counted("a", f"while ! test -e '{go}'; do sleep 0.05; done")
    desk.write(section("a", script), section("b", status="draft"), "\n## Notes\n\nProse of mine.\n")
    desk.up()
    desk.until_on_board("a", "running")
    buffer = desk.board.read_text()
    cut = buffer.replace(part(buffer, "a"), "")
    desk.save(cut)
    wait_for(lambda: [orphan["id"] for orphan in desk.state()["orphans"]] == ["a"])
    desk.save(cut + part(buffer, "a") + "\n")
    desk.until("a", "running")
    desk.until_on_board("a", "running")
    assert "it is back" in desk.mux("journal", "a").stdout
    assert desk.state()["orphans"] == []
    go.touch()
    desk.until_on_board("a", "done")
    assert desk.runs("a") == 1
