"""The control plane is killed right before one act after the other of carrying out what was approved.

After it, what was approved is done once: nothing is asked again, nothing hangs, nothing is done twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from runners.requests import Requests
from tests.e2e import deaths, ends
from tests.e2e.conftest import Desk, section
from tests.e2e.test_approvals import KEYS, asked_about, is_at_the_checkpoint, is_kept
from tests.support import wait_for

#: Seconds from the start of the next control plane until it has done what was approved, on a busy machine.
SOON = 30.0
#: The first acts are those of the request's own records, then come the snapshot, the files, the branch, and the start.
NUMBERS = (1, 4, 24, 32, 36, 40, 44, 47, 60, 75)
#: First the stop: its intent, and that it reached the worker; then the conclusion, and the start.
LIVE = (1, 4, 7, 10, 14, 18, 26, 36, 50, 75)


def die(desk: Desk, task: str, request: str, choice: str, number: int, since: str = "") -> bool:
    """Approve, and have a control plane die amid carrying it out; False when it was through before that act."""
    Requests(desk.folder).answer(request, choice, "a test", time.time())
    plane = deaths.plane(desk, since or f"{request}.step", number)
    try:
        wait_for(lambda: plane.poll() is not None or desk.runs(task) > 1)
    finally:
        desk.kill(plane)
    return desk.runs(task) == 1


def goes_on(desk: Desk, task: str, request: str) -> None:
    plane = desk.up()
    wait_for(
        lambda: desk.runs(task) == 2 and desk.task(task)["status"] == "running",
        lambda: f"{task}: {desk.task(task)}, after {deaths.acts(desk)[-3:]}",
        SOON,
    )
    ends.closed(desk, request)
    desk.kill(plane)
    assert desk.runs(task) == 2
    asked = [each for each in Requests(desk.folder).all() if each.request.task == task]
    assert [each.request.id for each in asked] == [request], "it is asked about once more"


def play(desk: Desk, choice: str, numbers: Sequence[int]) -> None:
    tasks = {number: f"t{number}" for number in numbers}
    asked = asked_about(desk, {task: {} for task in tasks.values()})
    desk.kill(desk.planes[-1])
    died = 0
    for number, task in tasks.items():
        before = ends.picture(desk, task)
        died += die(desk, task, asked[task], choice, number)
        goes_on(desk, task, asked[task])
        if choice == "checkpoint":
            is_at_the_checkpoint(desk, task, before)
        else:
            assert ends.picture(desk, task) == before
            is_kept(desk, task, before)
    assert died >= len(numbers) // 2, "most of them were killed before the start"


@pytest.mark.parametrize("choice", ["in-place", "checkpoint"])
def test_killed_before_any_act_what_was_approved_is_done_once(desk: Desk, choice: str) -> None:
    play(desk, choice, NUMBERS)


def test_killed_amid_the_restart_of_a_worker_that_lives_it_is_ended_and_starts_once(desk: Desk) -> None:
    tasks = {number: f"t{number}" for number in LIVE}
    desk.write(*(section(task, desk.counted(task, "exec sleep 1000")) for task in tasks.values()), keys=KEYS)
    desk.up()
    for task in tasks.values():
        desk.until_on_board(task, "running")
    for task in tasks.values():
        desk.order(task)
    asked = {task: ends.request_of(desk, task) for task in tasks.values()}
    desk.kill(desk.planes[-1])
    died = 0
    for number, task in tasks.items():
        died += die(desk, task, asked[task], "in-place", number)
        goes_on(desk, task, asked[task])
    assert died >= len(tasks) // 2, "most of them were killed before the start"


def test_where_a_person_was_at_work_after_the_kill_it_is_asked_anew_and_says_what_happened(desk: Desk) -> None:
    """Killed once the first of its files is gone."""
    request = asked_about(desk, {"a": {}})["a"]
    desk.kill(desk.planes[-1])
    before = ends.picture(desk, "a")
    assert die(desk, "a", request, "checkpoint", 2, since=f"{desk.home('a')}/")
    assert len(ends.picture(desk, "a")[0]) == len(before[0]) - 1
    (desk.home("a") / "README").write_text("by a person\n")
    desk.up()
    again = ends.request_of(desk, "a", but=request)
    why = ends.request(desk, again)["why"]
    assert "a restart from its checkpoint was cut short" in why and "all that was there before is snapshot 1" in why
    assert "cut short on the way" in desk.mux("journal", "a").stdout
    assert desk.runs("a") == 1
    assert (desk.home("a") / "README").read_text() == "by a person\n"
    is_kept(desk, "a", before)
