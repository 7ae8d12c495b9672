"""Many workers killed at the same instant: one outage, one question, and a calm way back."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise

import pytest

from tests.e2e import ends
from tests.e2e.conftest import Desk, section
from tests.support import wait_for

KEYS = (
    "max_workers: 99\nrestart: {backoff: 1s, early: 1s, limit: 1}\noutage: {workers: 3, within: 30s, pace: 1s}\n"
    "expiry: {recovery: 1h}\n"
)
TASKS = [f"t{number:02}" for number in range(12)]
DIRTY = TASKS[:4]
CLEAN = TASKS[4:]


def killed_together(desk: Desk, keys: str = KEYS) -> None:
    work = 'if [ "$MUX_ATTEMPT" = 1 ]; then {}; touch "../$MUX_TASK.ready"; fi\nexec sleep 1000'
    scripts = {task: work.format("echo half > work" if task in DIRTY else "true") for task in TASKS}
    desk.write(*(section(task, desk.counted(task, script)) for task, script in scripts.items()), keys=keys)
    desk.up()
    for task in TASKS:
        wait_for((desk.home(task).parent / f"{task}.ready").exists, lambda task=task: f"{task}: {desk.task(task)}")
    ends.kill(*(desk.start_record(task)["pid"] for task in TASKS))


def starts(desk: Desk, task: str, number: int = 2) -> dict[str, object]:
    path = desk.folder / "runs" / task / str(number) / "attempt.json"
    found: dict[str, object] = json.loads(path.read_text())
    return found


def one_request(desk: Desk, tasks: list[str]) -> str:
    """The only request there is; it is about all of the tasks."""
    ids = {ends.request_of(desk, task) for task in tasks}
    assert ends.open_requests(desk) == sorted(ids) and len(ids) == 1
    (one,) = ids
    assert ends.request(desk, one)["members"] == [[task, 1] for task in tasks]
    return one


def created(desk: Desk, tasks: list[str]) -> list[float]:
    return sorted(float(str(starts(desk, task)["created"])) for task in tasks)


def are_paced(times: list[float]) -> bool:
    """One a second at most, however long the start of one takes."""
    return min(later - earlier for earlier, later in pairwise(times)) >= 1.0


def test_the_safe_ones_come_back_one_by_one_and_the_others_are_one_question(desk: Desk) -> None:
    killed_together(desk)
    one = one_request(desk, DIRTY)
    for task in CLEAN:
        wait_for(lambda task=task: desk.runs(task) == 2, lambda task=task: f"{task} is back: {desk.task(task)}")
        assert "after an outage" in ends.outcome(desk, task)["why"]
        assert starts(desk, task)["cause"] == "outage"
    assert are_paced(created(desk, CLEAN))
    assert [desk.runs(task) for task in DIRTY] == [1] * len(DIRTY)
    desk.mux("answer", one, "in-place")
    for task in DIRTY:
        wait_for(lambda task=task: desk.runs(task) == 2, lambda task=task: f"{task} is back: {desk.task(task)}")
        assert (desk.home(task) / "work").read_text() == "half\n"
    assert are_paced(created(desk, DIRTY))
    assert "started" in ends.closed(desk, one)
    # The budget (`limit: 1`) is untouched: alone, and with the time of the outage over, one more restart is free.
    desk.edit(lambda text: text.replace("outage: {workers: 3", "outage: {workers: 999"))
    wait_for(lambda: "workers: 999" in desk.board.read_text())
    desk.until(CLEAN[0], "running")
    os.kill(desk.start_record(CLEAN[0], 2)["pid"], signal.SIGTERM)  # the same end once more would be the same failure
    assert "restart 1 of 1" in ends.outcome(desk, CLEAN[0], 2)["why"]
    wait_for(lambda: desk.runs(CLEAN[0]) == 3)


@pytest.mark.parametrize("choice", ["in-place", "deny"])
def test_after_outage_ask_asks_once_about_all(desk: Desk, choice: str) -> None:
    killed_together(desk, f"after_outage: ask\n{KEYS}")
    one = one_request(desk, TASKS)
    assert ends.request(desk, one)["evidence"]["dirty"] == len(DIRTY)
    assert {desk.runs(task) for task in TASKS} == {1}
    desk.mux("answer", one, choice)
    for task in TASKS:
        if choice == "deny":
            why = desk.until(task, "blocked")["why"]
            wait_for(lambda task=task: "not decided: denied by terminal:" in desk.task(task)["why"], why)
        else:
            wait_for(lambda task=task: desk.runs(task) == 2, lambda task=task: f"{task} is back: {desk.task(task)}")
            assert "in-place, by terminal:" in desk.until(task, "running")["why"]
    if choice == "in-place":
        assert are_paced(created(desk, TASKS))
    assert ends.closed(desk, one).startswith("denied" if choice == "deny" else "attempt 2 of")
    assert {desk.runs(task) for task in TASKS} == {1 if choice == "deny" else 2}
    assert all((desk.home(task) / "work").read_text() == "half\n" for task in DIRTY)
