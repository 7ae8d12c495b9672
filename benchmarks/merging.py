"""A save from an editor that opened a large board before mux wrote it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.boards import keeper_of
from benchmarks.figures import BenchmarkFailed, Figure, median, spread
from board.edit import Change
from board.model import Status


def merging(quick: bool) -> Iterator[Figure]:
    """All of a look at the file: read, parse, merge, keep in the history, write back."""
    tasks, rounds = (100, 3) if quick else (1000, 20)
    seconds = []
    with keeper_of(tasks) as keeper:
        for number in range(rounds):
            stale = keeper.path.read_text()
            for step, word in enumerate((Status.RUNNING, Status.DONE)):
                keeper.write([Change(f"task-{number}", word, {"attempt": "1"})], number + step / 2)
            keeper.path.write_text(stale.replace(f"from page {number} land", f"from page {number} never land"))
            begin = time.perf_counter()
            keeper.look(begin)
            seconds.append(time.perf_counter() - begin)
            _check(keeper.path.read_text(), number)
    what = f"merging one stale save, board of {tasks} tasks, fsync left out"
    yield Figure(what, median(seconds) * 1000, 150, "ms", f"{rounds} saves, {spread(seconds)}")


def _check(text: str, number: int) -> None:
    mine = text.partition(f"## task-{number}:")[2].partition("\n## ")[0]
    if "never land" not in mine or "status: done" not in mine:
        raise BenchmarkFailed(f"the stale save was not merged: {mine}")
