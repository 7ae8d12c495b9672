"""Private memory that a worker costs beside its agent: its wrapper, its log writer, and its share of tmux."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from benchmarks.crowd import crowd, join
from benchmarks.desk import Desk, wait_for
from benchmarks.figures import Figure, median

_LINES = 3000  # more than a pane remembers
_PRINT = (
    f'yes "a line of output of a worker, about as long as lines of text usually are: ninety letters" | head -n {_LINES}'
)


def memory(quick: bool) -> Iterator[Figure]:
    workers = 3 if quick else 10
    with crowd(workers + 1) as desk:
        desk.up()
        join(desk, 0, 1, _PRINT)  # not counted: what the first one costs the server is there once for all
        _wait_for_output(desk, 1)
        first = {record["wrapper_pid"] for record in desk.starts()}
        server = psutil.Process(psutil.Process(first.copy().pop()).ppid())
        before = _private(server)
        join(desk, 1, workers + 1, _PRINT)
        _wait_for_output(desk, workers + 1)
        pane = (_private(server) - before) / workers
        wrappers = {record["wrapper_pid"] for record in desk.starts()}
        wrapper = median([_private(psutil.Process(pid)) for pid in wrappers - first])
        writers = [child for child in server.children() if child.pid not in wrappers]
        writer = median([_private(*[child, *child.children(recursive=True)]) for child in writers])
    parts = f"wrapper {wrapper:.1f}, log writer {writer:.1f}, pane with 2,000 lines {pane:.1f} MiB; {workers} workers"
    yield Figure("a worker beside its agent, private memory", wrapper + writer + pane, 6, "MiB", parts)


def _wait_for_output(desk: Desk, workers: int) -> None:
    """Until tmux has taken all that they print: it is in their logs."""
    logs = list(desk.folder.glob("runs/*/*/output.log"))
    wait_for(
        lambda: len(logs) == workers and all(log.read_bytes().count(b"\n") >= _LINES for log in logs), "all printed"
    )


def _private(*processes: psutil.Process) -> float:
    """In MiB, summed."""
    return float(sum(process.memory_full_info().uss for process in processes)) / 2**20
