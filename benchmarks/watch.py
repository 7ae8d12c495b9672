"""What `mux watch` costs in a terminal while nobody presses a key: of a core, with the screen of a worker open."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

from benchmarks.crowd import crowd, join
from benchmarks.desk import Desk, wait_for
from benchmarks.figures import Figure
from benchmarks.idle import cpu_seconds

_LONG, _SHORT = 31.0, 5.0  # seconds to look
#: Prints about once a second in the background, so that there is something to see.
_TICKING = "(while sleep 1; do date; done) & ticking=$!\ntrap 'kill $ticking' EXIT"


def watch(quick: bool) -> Iterator[Figure]:
    workers = 10 if quick else 50
    with crowd(workers) as desk:
        desk.up()
        join(desk, 0, workers, _TICKING)
        dashboard = _open(desk)
        yield _cost(dashboard, f"mux watch, {workers} workers", quick)
        _hand(desk, "send-keys", "-t", "hand", "2")
        wait_for(lambda: "UTC" in _screen(desk), "the screen of a worker shows")
        yield _cost(dashboard, f"mux watch, {workers} workers, one's screen open that changes", quick)
        _hand(desk, "kill-server")


def _open(desk: Desk) -> psutil.Process:
    """In a terminal of 80 columns and 24 lines, once it shows the board."""
    argv = [sys.executable, "-m", "bot.cli", "watch"]
    _hand(desk, "new-session", "-d", "-x", "80", "-y", "24", "-s", "hand", "--", *argv)
    wait_for(lambda: "? help" in _screen(desk), "the dashboard shows the board")
    return psutil.Process(int(_hand(desk, "display-message", "-p", "-t", "hand", "#{pane_pid}")))


def _cost(dashboard: psutil.Process, what: str, quick: bool) -> Figure:
    time.sleep(3.0)  # until it has settled
    before, begin = cpu_seconds(dashboard), time.monotonic()
    time.sleep(_SHORT if quick else _LONG)
    passed = time.monotonic() - begin
    share = (cpu_seconds(dashboard) - before) / passed
    return Figure(what, share * 100, 3, "% of a core", f"over {passed:.0f} s, the programs it calls included")


def _screen(desk: Desk) -> str:
    return _hand(desk, "capture-pane", "-p", "-t", "hand")


def _hand(desk: Desk, *words: str) -> str:
    argv = ["tmux", "-Lhand", "-f/dev/null", *words]
    done = subprocess.run(argv, cwd=desk.repository, env=desk.environment, capture_output=True, text=True, check=False)
    return done.stdout
