"""From the saved board to the running command, against the same by hand."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

from benchmarks.desk import Desk, open_desk, section
from benchmarks.figures import BenchmarkFailed, Figure, median, p95, spread
from benchmarks.hand import start_by_hand, tmux_by_hand
from benchmarks.stamps import at_gate, last_written, make_gate, open_gate, stamp, written


def one(quick: bool) -> Iterator[Figure]:
    """One task a save, in a small, a middling and a large repository."""
    rounds = (3, 2, 1) if quick else (30, 6, 2)
    sizes = (100, 1000, 4000) if quick else (100, 5000, 50_000)
    by_mux, by_hand = _race(sizes[0], rounds[0])
    how = f"{rounds[0]} saves; by hand {spread(by_hand)}"
    yield Figure(f"board saved -> command running, {sizes[0]} files, p50", median(by_mux) * 1000, 250, "ms", how)
    yield Figure(f"board saved -> command running, {sizes[0]} files, p95", p95(by_mux) * 1000, 500, "ms", "the same")
    for files, count, limit in zip(sizes[1:], rounds[1:], (0.9, 0.5), strict=True):
        by_mux, by_hand = _race(files, count)
        yield _ratio(f"the same, {files} files, against by hand", by_mux, by_hand, limit)


def many(quick: bool) -> Iterator[Figure]:
    """Many tasks ready in one save, against typing them one after another."""
    tasks, files, rounds = (5, 500, 1) if quick else (20, 5000, 2)
    by_mux, by_hand = [], []
    with open_desk(files, max_workers=tasks) as desk, tmux_by_hand(desk):
        desk.up()
        for number in range(rounds):
            names = [f"many-{number}-{each}" for each in range(tasks)]
            by_hand.append(_all_by_hand(desk, names))
            by_mux.append(_all_by_mux(desk, names))
        troubles = [event for event in desk.journal() if event["event"] in ("trouble", "bug", "failed")]
    if troubles:
        raise BenchmarkFailed(f"not every start went well: {troubles[0]['text']}")
    yield _ratio(f"{tasks} tasks in one save, {files} files, all running, against by hand", by_mux, by_hand, 0.6)


def _ratio(what: str, by_mux: Sequence[float], by_hand: Sequence[float], limit: float) -> Figure:
    times = f"mux {spread(by_mux, 1, 's')}; by hand {spread(by_hand, 1, 's')}; {len(by_mux)} rounds"
    return Figure(what, median(by_mux) / median(by_hand), limit, "x", times)


def _race(files: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds by mux and by hand, in turns. A start by mux before the first turn starts its tmux server."""
    by_mux, by_hand = [], []
    with open_desk(files) as desk, tmux_by_hand(desk):
        desk.up()
        _one_by_mux(desk, "first")
        for number in range(rounds):
            by_hand.append(_one_by_hand(desk, f"one-{number}"))
            by_mux.append(_one_by_mux(desk, f"one-{number}"))
    return by_mux, by_hand


def _one_by_hand(desk: Desk, task: str) -> float:
    os.sync()  # what the other side wrote is not this one's load
    path = desk.scratch / f"{task}.hand"
    begin = time.time()
    start_by_hand(desk, task, stamp(path))
    return written(path) - begin


def _one_by_mux(desk: Desk, task: str) -> float:
    os.sync()
    path = desk.scratch / f"{task}.mux"
    begin = desk.append(section(task, stamp(path)))
    seconds = written(path) - begin
    desk.until([task], "done")
    return seconds


def _all_by_hand(desk: Desk, names: Sequence[str]) -> float:
    os.sync()
    gate = make_gate(desk.scratch / f"{names[0]}.hand.gate")
    paths = [desk.scratch / f"{name}.hand" for name in names]
    begin = time.time()
    for name, path in zip(names, paths, strict=True):
        start_by_hand(desk, name, f"{stamp(path)}; {at_gate(gate)}")
    seconds = last_written(paths) - begin
    open_gate(gate, len(names))
    return seconds


def _all_by_mux(desk: Desk, names: Sequence[str]) -> float:
    os.sync()
    gate = make_gate(desk.scratch / f"{names[0]}.mux.gate")
    paths = [desk.scratch / f"{name}.mux" for name in names]
    scripts = [f"{stamp(path)}\n{at_gate(gate)}" for path in paths]
    begin = desk.append(*map(section, names, scripts))
    seconds = last_written(paths) - begin
    open_gate(gate, len(names))
    desk.until(names, "done")
    return seconds
