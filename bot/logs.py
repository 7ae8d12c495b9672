"""`mux logs`: what a worker printed. `mux attach`: into its window."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Self

from board.errors import MuxError
from bot import terminal
from bot.place import Place, find, unknown_task
from bot.table import clean
from runners import claims
from runners.model import Attempt
from runners.output import text_of
from runners.records import Records
from runners.wrapper import LAST_BYTES

_POLL = 0.2  # seconds
#: What a worker left running may print after its exit: followed until nothing came for so many looks.
_QUIET_LOOKS = 3
#: What is redacted for a chat: so many lines before those that are shown, and not more than so many bytes.
_LINES_BEFORE = 400
_LONGEST_END = 512 * 1024
_TOO_LONG = b"[withheld: its last 512 KiB hold no whole line with words in it]"


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    records = Records(place.folder)
    attempt = _attempt(place, records, arguments.task, arguments.attempt)
    show = _Raw(sys.stdout.buffer) if arguments.raw else _Plain(sys.stdout.buffer)
    with Output(records.run_folder(attempt.task, attempt.number)) as output:
        data = output.read()
        show.feed(data if arguments.lines is None else last_lines(data, arguments.lines))
        if arguments.follow:
            for data in _follow(output, lambda: _ended(place, output.folder, attempt)):
                show.feed(data)
    show.end()
    return 0


def tail(place: Place, task: str, number: int | None, count: int) -> tuple[int, str]:
    """The attempt, and the end of what its worker printed, as it printed it: `count` lines and what may belong to them.

    To be redacted as a whole before a line of it is taken: a value may be broken over lines, or by what steers a
    terminal, and a rule needs to see the name before a value. Raises MuxError.
    """
    records = Records(place.folder)
    attempt = _attempt(place, records, task, number)
    with Output(records.run_folder(attempt.task, attempt.number)) as output:
        return attempt.number, _end(output.read(), count + _LINES_BEFORE).decode(errors="replace")


def attach(arguments: argparse.Namespace) -> int:
    from shlex import join

    from runners.local import local_host

    place = find(arguments.board)
    argv = local_host(place.path, place.folder, os.environ).attach(arguments.task)
    if not terminal.has_both():
        raise MuxError(f"attach needs a terminal; in one, run: {join(argv)}")
    os.execvp(argv[0], argv)


class Output:
    """What is in `output.log.1` and `output.log` of a run folder, as one stream, whenever the writer starts anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def read(self) -> bytes:
        """All that the worker printed since the last call."""
        return self._read().removesuffix(LAST_BYTES)

    def _read(self) -> bytes:
        rest = self._file.read() if self._file else b""
        newest = self._open("output.log")
        if newest is None:
            return rest
        if self._file is not None and _same(newest, self._file):
            newest.close()
            return rest
        return rest + self._go_on_with(newest)

    def _go_on_with(self, newest: IO[bytes]) -> bytes:
        """The newest file is not the one read so far: what came between the two is in the older one."""
        data = self._file.read() if self._file else b""  # written after our read, before the writer left it
        older = self._open("output.log.1")
        if older is not None:
            with older:
                if not _same(older, newest) and not (self._file and _same(older, self._file)):
                    data += older.read()
        if self._file:
            self._file.close()
        self._file = newest
        return data + newest.read()

    def _open(self, name: str) -> IO[bytes] | None:
        try:
            return (self.folder / name).open("rb")
        except FileNotFoundError:
            return None


class _Raw:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def feed(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()

    def end(self) -> None:
        pass


class _Plain:
    """Line by line: what a program prints over a line that is not finished is not worth showing."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._unfinished = b""

    def feed(self, data: bytes) -> None:
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            self._stream.write(plain(line) + b"\n")
        self._stream.flush()

    def end(self) -> None:
        if self._unfinished:
            self._stream.write(plain(self._unfinished) + b"\n")
            self._stream.flush()


def plain(line: bytes) -> bytes:
    """A line of terminal output as text: no control sequences, and of what was printed over itself the last. Pure."""
    return "\t".join(map(clean, text_of(line).split("\t"))).encode(errors="replace")


def _end(data: bytes, count: int) -> bytes:
    """So many whole lines, of at most `_LONGEST_END` bytes: redacting takes time. Half a line may be half a value."""
    if len(data) > _LONGEST_END:
        _, _, data = data[-_LONGEST_END:].partition(b"\n")
        if not any(plain(line).strip() for line in data.split(b"\n")):
            return _TOO_LONG
    return last_lines(data, count)


def last_lines(data: bytes, count: int) -> bytes:
    end = len(data) - data.endswith(b"\n")
    start = end
    for _ in range(count):
        start = data.rfind(b"\n", 0, start)
        if start < 0:
            return data
    return data[start + 1 :]


def _attempt(place: Place, records: Records, task: str, number: int | None) -> Attempt:
    """The attempt that was asked for; else the newest that was not given up before it started."""
    attempts = records.all_of(task)
    if not attempts:
        from bot.boards import seen

        known = seen(place).board.by_id
        raise MuxError(f"{task} has not run yet") if task in known else unknown_task(task, known)
    if number is None:
        started = (each for each in attempts if each.outcome is None or each.outcome.status is not None)
        return next(started, attempts[0])
    for attempt in attempts:
        if attempt.number == number:
            return attempt
    kept = ", ".join(str(attempt.number) for attempt in reversed(attempts))
    raise MuxError(f"{task} has no attempt {number}; kept are: {kept}")


def _follow(output: Output, ended: Callable[[], bool]) -> Iterator[bytes]:
    quiet = 0
    while quiet < _QUIET_LOOKS:
        over = ended()  # before the read: what came up to the end is then in it
        data = output.read()
        if data:
            yield data
        quiet = quiet + 1 if over and not data else 0
        time.sleep(_POLL)


def _ended(place: Place, run_folder: Path, attempt: Attempt) -> bool:
    if any((run_folder / name).exists() for name in ("outcome.json", "exit.json")):
        return True
    return (run_folder / "start.json").exists() and claims.held_by(place.folder, attempt.task) != attempt.number


def _same(one: IO[bytes], other: IO[bytes]) -> bool:
    return os.path.sameopenfile(one.fileno(), other.fileno())
