"""From a worker's exit to the board on disk that says so."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.desk import open_desk, section
from benchmarks.figures import Figure, median, p95
from benchmarks.stamps import at_gate, make_gate, open_gate, stamp, written


def end(quick: bool) -> Iterator[Figure]:
    """Workers end one after another while the others go on."""
    count = 5 if quick else 30
    names = [f"end-{number}" for number in range(count)]
    seconds = []
    with open_desk(100, max_workers=count) as desk:
        gates = {name: make_gate(desk.scratch / f"{name}.gate") for name in names}
        ends = {name: desk.scratch / f"{name}.end" for name in names}
        desk.append(*(section(name, f"{at_gate(gates[name])}\n{stamp(ends[name])}") for name in names))
        desk.up()
        desk.until(names, "running")
        for name in names:
            open_gate(gates[name])
            seen = desk.until([name], "done")
            seconds.append(seen - written(ends[name]))
    how = f"{count} workers of 100 files, one after another; seen in the file"
    yield Figure("worker exits -> the board on disk says so, p50", median(seconds) * 1000, 150, "ms", how)
    yield Figure("worker exits -> the board on disk says so, p95", p95(seconds) * 1000, 400, "ms", "the same")
