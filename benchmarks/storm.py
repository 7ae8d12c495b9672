"""A burst of saves from one stale buffer while a worker ends."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.boards import large_board
from benchmarks.desk import Desk, open_desk, section, wait_for
from benchmarks.figures import BenchmarkFailed, Figure, spread
from benchmarks.stamps import at_gate, make_gate, open_gate

_PACE = 0.02  # seconds from save to save


def storm(quick: bool) -> Iterator[Figure]:
    tasks, saves, rounds = (100, 20, 1) if quick else (1000, 100, 3)
    seconds = []
    with open_desk(100) as desk:
        desk.save(large_board(tasks))
        desk.up()
        for number in range(rounds):
            seconds.append(_storm(desk, f"storm-{number}", saves))
        versions = len(list((desk.folder / "history").iterdir()))
    what = f"{saves} saves in {saves * _PACE:g} s, board of {tasks} tasks: right after the last"
    how = f"the slowest of {rounds} storms, {spread(seconds)}; {versions} versions kept of {saves * rounds} saves"
    yield Figure(what, max(seconds) * 1000, 500, "ms", how)


def _storm(desk: Desk, task: str, saves: int) -> float:
    """Seconds from the last save until the file holds its words and what mux wrote since the buffer was opened."""
    gate = make_gate(desk.scratch / f"{task}.gate")
    desk.append(section(task, at_gate(gate), prompt=f"Edit 0 of {task}."))
    desk.until([task], "running")
    buffer = desk.board.read_text()
    last = f"Edit {saves} of {task}."
    begin = time.monotonic()
    for number in range(1, saves + 1):
        if number == saves // 2:
            open_gate(gate)
        time.sleep(max(0.0, begin + number * _PACE - time.monotonic()))
        at = desk.save(buffer.replace(f"Edit 0 of {task}.", f"Edit {number} of {task}."))
    wait_for(lambda: last in desk.board.read_text() and desk.statuses()[task] == "done", "the board is right")
    seconds = time.time() - at
    if len(list((desk.folder / "runs" / task).iterdir())) != 1:
        raise BenchmarkFailed(f"{task} ran more than once")
    return seconds
