"""`python -m benchmarks [--quick] [NAME …]`: measures, and prints one table with the limits.

A missed limit is said in the table and is no failure: on a busy machine it tells about the machine. Exit 1 only when
something could not be measured. A whole run takes up to 10 minutes and 4 GB in the folder for temporary files.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from benchmarks.chat import chat
from benchmarks.edit import edit, load
from benchmarks.end import end
from benchmarks.figures import BenchmarkFailed, Figure, table
from benchmarks.health import health
from benchmarks.idle import idle
from benchmarks.machine import describe
from benchmarks.memory import memory
from benchmarks.merging import merging
from benchmarks.recovery import outage, restart, snapshot
from benchmarks.redaction import redaction
from benchmarks.start import many, one
from benchmarks.status import status
from benchmarks.storm import storm
from benchmarks.watch import watch

Benchmark = Callable[[bool], Iterable[Figure]]
ALL: dict[str, Benchmark] = {
    each.__name__: each
    for each in (
        *(one, many, end, status, watch, idle, health, memory, edit, load, merging, storm),
        *(snapshot, restart, outage, chat, redaction),
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed and cost of mux.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run; all without one: {' '.join(ALL)}")
    parser.add_argument("--quick", action="store_true", help="small and short, to try it out")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(ALL):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {' '.join(ALL)}")
    if sys.platform != "linux":
        sys.exit("the benchmarks read /proc: run them on Linux")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that was started is ended
    print(describe(), flush=True)
    figures: list[Figure] = []
    with _scratch():
        failures = [_run(name, arguments.quick, figures) for name in arguments.names or ALL]
    if arguments.quick:
        print("quick: small sizes, for which the limits are not meant")
    print(f"\n{table(figures)}")
    return 1 if any(failures) else 0


@contextmanager
def _scratch() -> Iterator[None]:
    """All temporary files of the run in one folder, removed at the end."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="mux-bench-") as name:
        tempfile.tempdir = name
        try:
            yield
        finally:
            tempfile.tempdir = before


def _run(name: str, quick: bool, figures: list[Figure]) -> bool:
    """Adds what was measured; True when it could not be."""
    begin = time.monotonic()
    try:
        figures.extend(ALL[name](quick))
    except BenchmarkFailed as error:
        print(f"{name}: not measured: {error}", file=sys.stderr)
        return True
    print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
