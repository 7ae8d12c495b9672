"""`mux status` as a process, against the least that any such command costs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.crowd import crowd, join
from benchmarks.figures import Figure, median, spread
from runners.tmux import socket_name


def status(quick: bool) -> Iterator[Figure]:
    workers, rounds = (10, 5) if quick else (50, 40)
    with crowd(workers) as desk:
        desk.up()
        join(desk, 0, workers)
        commands = {
            "mux status": [str(Path(sys.executable).with_name("mux")), "status"],
            "python3 -c pass": [sys.executable, "-c", "pass"],
            "tmux list-panes -a": ["tmux", f"-L{socket_name(desk.board)}", "list-panes", "-a"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(1 + rounds):  # the first one fills the byte-code cache
            for name, argv in commands.items():
                begin = time.perf_counter()
                subprocess.run(argv, cwd=desk.repository, env=desk.environment, check=True, stdout=subprocess.PIPE)
                seconds[name].append(time.perf_counter() - begin)
    ours, *others = (times[1:] for times in seconds.values())
    how = "; ".join(f"{name} {spread(times[1:])}" for name, times in seconds.items())
    what = f"mux status, {workers} workers, against python3 -c pass + tmux list-panes -a"
    yield Figure(what, median(ours) / sum(map(median, others)), 4, "x", how)
