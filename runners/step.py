"""Runs the command of a step that runs once: nothing of it happens before its begin record is on disk.

The command is a process of its own from the start, held back at a pipe: so the record names it, and whoever dies before
the record is made takes it along. It writes to files, and what is in them is passed on from there: so it ends as it
would have ended, even if whoever started it is killed meanwhile.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from board.errors import MuxError
from runners import once, processes
from runners.noted import ENDS, noted
from runners.once import End, How, Step

_CHUNK = 4096  # bytes: what is ready for that much blocks nobody
_PAUSES = (0.005, 0.1)  # seconds between looks, while something happens and while nothing does
_RETRY = 1.0  # seconds between tries to write down the end on a full disk
_NO_SUCH_PROGRAM, _CANNOT_RUN = 127, 126


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    go: int  # one byte lets it run; closed without one, it goes
    trouble: int  # why it could not run; closed by the start of its program


def run(
    folder: Path, task: str, key: str, argv: Sequence[str], attempt: int, after: Step | None, request: str | None
) -> Step | None:
    """Run the command as the run that follows `after`; returns it once its end is on disk and all it printed is passed.

    None when somebody else began that run first: nothing of the command happened here then. Raises `MuxError`.
    """
    number = after.number + 1 if after else 1
    printed = once.printed(once.folder_of(folder, task, key), number)
    with noted() as told:
        child = _hold(argv, printed)
        try:
            running = [(pid, started) for pid in (os.getpid(), child.pid) if (started := processes.start_time(pid))]
            step = once.begin(folder, task, key, argv, attempt, time.time(), running, after, request)
            if step is None:
                return None
            if told:
                return _ended(step, End(How.NEVER_RAN, 128 + told[0], time.time()), told)
            return _see_through(step, child, told)
        finally:
            os.close(child.go)
            os.close(child.trouble)
            with suppress(ChildProcessError):  # it was waited for
                os.waitpid(child.pid, 0)


def replay(step: Step) -> None:
    """Pass on what a run printed, as far as it is kept."""
    for path, target in zip(step.printed, (1, 2), strict=True):
        if path.exists():
            _Passage(path, target).all()


def _see_through(step: Step, child: _Child, told: list[int]) -> Step:
    with suppress(BrokenPipeError):  # it was killed: how it ended says so
        os.write(child.go, b"g")
    if trouble := os.read(child.trouble, 32):
        number = int(trouble)
        print(f"mux: cannot run {step.argv[0]}: {os.strerror(number).lower()}", file=sys.stderr)
        code = _NO_SUCH_PROGRAM if isinstance(OSError(number, ""), FileNotFoundError) else _CANNOT_RUN
        return _ended(step, End(How.NEVER_RAN, code, time.time()), told)
    passages = [_Passage(path, target) for path, target in zip(step.printed, (1, 2), strict=True) if path.exists()]
    status = _wait(child.pid, passages, told)
    for passage in passages:
        passage.make_durable()
    seen = _ended(step, _end_of(status, told), told)
    for passage in passages:
        passage.all()
    return seen


def _wait(child: int, passages: Sequence[_Passage], told: list[int]) -> int:
    """Its status, once it ended. What it prints is passed on, and so is what would end us, but for Ctrl-C: it has that
    from the terminal."""
    pause, passed_on = _PAUSES[0], 0
    while True:
        for number in told[passed_on:]:
            if number != signal.SIGINT:
                os.kill(child, number)
        passed_on = len(told)
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        moved = [passage.some() for passage in passages]
        pause = _PAUSES[0] if any(moved) else min(pause * 1.5, _PAUSES[1])
        time.sleep(pause)


def _end_of(status: int, told: list[int]) -> End:
    """What ended by a signal, or failed after one, did not get to its end by itself."""
    if os.WIFSIGNALED(status):
        return End(How.INTERRUPTED, 128 + os.WTERMSIG(status), time.time())
    code = os.WEXITSTATUS(status)
    return End(How.INTERRUPTED if told and code else How.EXITED, code, time.time())


def _ended(step: Step, end: End, told: list[int]) -> Step:
    """Keep trying on a full disk: as long as the end is not written down, it is not known to anybody else."""
    said, before = False, len(told)
    while True:
        try:
            once.record_end(step, end)
        except MuxError as error:
            if len(told) > before or not step.folder.is_dir():
                raise
            if not said:
                print(f"mux: the end of the step cannot be recorded yet: {error}", file=sys.stderr, flush=True)
            said = True
            time.sleep(_RETRY)
        else:
            return replace(step, end=end, state=once.STATES[end.how])


def _hold(argv: Sequence[str], printed: tuple[Path, Path]) -> _Child:
    """The command's process, which waits until it is let go."""
    gate, go = os.pipe()
    trouble, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_the_command(argv, printed, gate, told, (go, trouble))
    os.close(gate)
    os.close(told)
    return _Child(pid, go, trouble)


def _be_the_command(
    argv: Sequence[str], printed: tuple[Path, Path], gate: int, told: int, others: tuple[int, int]
) -> NoReturn:
    """In the child, which must never return into the program that it is a copy of."""
    try:
        for number in (*ENDS, signal.SIGPIPE, signal.SIGXFSZ):
            if number not in ENDS or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)  # what is ignored stays ignored across exec
        for descriptor in others:
            os.close(descriptor)
        if os.read(gate, 1):
            for path, target in zip(printed, (1, 2), strict=True):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600), target)
            os.execvp(argv[0], list(argv))
    except OSError as error:
        os.write(told, str(error.errno).encode())
    finally:
        os._exit(_CANNOT_RUN)


class _Passage:
    """From a file that grows to a descriptor of ours, which may be gone: then the rest is kept in the file only."""

    def __init__(self, source: Path, target: int) -> None:
        self._source = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        self._target: int | None = target
        self._at = 0

    def some(self) -> bool:
        """Pass on what the target takes without blocking: nobody who does not read holds up the record of the end."""
        moved = False
        while self._target is not None and select.select([], [self._target], [], 0)[1] and self._move():
            moved = True
        return moved

    def all(self) -> None:
        """Pass on the rest."""
        while self._move():
            pass
        os.close(self._source)

    def make_durable(self) -> None:
        with suppress(OSError):  # a full disk: what was written is there all the same
            os.fsync(self._source)

    def _move(self) -> bool:
        if self._target is None or not (data := os.pread(self._source, _CHUNK, self._at)):
            return False
        try:
            self._at += os.write(self._target, data)
        except OSError:
            self._target = None
        return True
