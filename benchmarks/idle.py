"""What the control plane costs while nothing happens."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.crowd import crowd, join
from benchmarks.desk import Desk
from benchmarks.figures import Figure

_LONG, _SHORT = 31.0, 3.0  # seconds to look; the loop writes its state at least every 30 s


def idle(quick: bool) -> Iterator[Figure]:
    first, most = (5, 10) if quick else (50, 200)
    with crowd(most) as desk:
        calls = count_tmux(desk)
        plane = psutil.Process(desk.up().pid)
        join(desk, 0, first)
        yield from _watch(plane, calls, first, _SHORT if quick else _LONG)
        join(desk, first, most)
        yield from _watch(plane, calls, most, _SHORT if quick else _LONG)


def count_tmux(desk: Desk) -> Path:
    """A `tmux` before the real one on the control plane's PATH, which adds a line to the file for each call."""
    folder, calls = desk.scratch / "bin", desk.scratch / "tmux.calls"
    folder.mkdir()
    calls.touch()
    (folder / "tmux").write_text(f'#!/bin/sh\necho "$1" >> "{calls}"\nexec "{shutil.which("tmux")}" "$@"\n')
    (folder / "tmux").chmod(0o755)
    desk.environment["PATH"] = f"{folder}:{desk.environment['PATH']}"
    return calls


def _watch(plane: psutil.Process, calls: Path, workers: int, seconds: float) -> Iterator[Figure]:
    before, calls_before, begin = cpu_seconds(plane), lines_of(calls), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begin
    share = (cpu_seconds(plane) - before) / passed
    rate = (lines_of(calls) - calls_before) / passed * 2
    what = f"control plane, {workers} idle workers"
    yield Figure(f"{what}, CPU", share * 100, 1, "% of a core", f"over {passed:.0f} s, the programs it calls included")
    yield Figure(f"{what}, tmux processes", rate, 1, "in 2 s", f"over {passed:.0f} s")
    yield Figure(f"{what}, resident memory", plane.memory_info().rss / 2**20, 70, "MiB", "at the end of that")


def cpu_seconds(process: psutil.Process) -> float:
    """Seconds, with those of its children that have ended: the calls of tmux and git."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())
