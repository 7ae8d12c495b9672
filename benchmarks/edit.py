"""One change of a large board by mux, and loading large boards. In this process: nothing but the work itself."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.boards import keeper_of, large_board
from benchmarks.figures import Figure, median, spread
from board.edit import Change
from board.model import Status
from runners.boards import read_board


def edit(quick: bool) -> Iterator[Figure]:
    """A status, with the keys mux writes beside it, through edit, parse, history and the write of the file."""
    tasks, rounds = (100, 5) if quick else (1000, 50)
    seconds = []
    with keeper_of(tasks) as keeper:
        for number in range(rounds):
            keys = {
                "attempt": "1",
                "worker": f"task-{number}",
                "since": "2026-11-23T08:01:12Z",
                "checkpoint": "3f2c1ab",
            }
            change = Change(f"task-{number}", Status.RUNNING, keys)
            begin = time.perf_counter()
            keeper.write([change], begin)
            seconds.append(time.perf_counter() - begin)
    how = f"{rounds} changes, {spread(seconds)}"
    yield Figure(f"one status change, board of {tasks} tasks, fsync left out", median(seconds) * 1000, 15, "ms", how)


def load(quick: bool) -> Iterator[Figure]:
    few, many, rounds = (100, 1000, 2) if quick else (1000, 10_000, 3)
    short, long = [], []
    for number in range(rounds):
        short.append(_load(few, f"short-{number}"))
        long.append(_load(many, f"long-{number}"))
    yield Figure(f"load a board of {many} tasks", median(long), 2, "s", f"{rounds} boards, {spread(long, 1, 's')}")
    growth = median(long) / median(short) / (many / few)
    how = f"{many} tasks against {few}, by task: 1 is linear; {few} tasks {spread(short)}"
    yield Figure("growth of that", growth, 1.3, "x", how)


def _load(tasks: int, mark: str) -> float:
    text = large_board(tasks, mark)
    begin = time.perf_counter()
    read_board(text)
    return time.perf_counter() - begin
