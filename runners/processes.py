"""Processes seen from outside: which live, since when, and how a worker's whole session is ended."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from board.errors import CommandFailed
from runners import sh

_POLL = 0.05  # seconds
_HOLD = 1.0  # seconds that a process may take to stand still: one that waits for a disk is not waited for longer
_PR_SET_DUMPABLE = 4
#: What a stop sends, and for how long it then waits, as shares of the grace: 5, 10 and 5 of 20 s. The last is for the
#: leader. Each has its time from when it was sent: on a busy machine none is passed over.
_STEPS = ((signal.SIGINT, 0.25), (signal.SIGTERM, 0.5), (signal.SIGKILL, 0.25), (signal.SIGKILL, 0.25))


def hide_memory() -> None:
    """No other program of this user may read this process's memory or the environment that it was started with.

    Programs that it starts are as open as ever. Only where the system is Linux, and Python has `ctypes`; elsewhere
    nothing happens.
    Source: prctl(2), PR_SET_DUMPABLE.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(ImportError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@functools.cache
def boot_id() -> str:
    """Names the machine's current boot; another one means that no process of before lives."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return sh.run(["sysctl", "-n", "kern.boottime"], timeout=5.0).out.strip()


def start_time(pid: int) -> str | None:
    """When the process started, as a text to compare only; None when there is none, or only its remains (a zombie).

    The boot is part of it, so that a process number used again, even after a reboot, is another process.
    The wrapper writes the same text (see `wrapper.start_time`): the two must agree.
    """
    try:
        # The program's name, in brackets, may itself hold brackets and spaces: the fields start after the last one.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _start_time_by_ps(pid)
    return None if fields[0] in "ZX" else f"{fields[19]}@{boot_id()}"


def _start_time_by_ps(pid: int) -> str | None:
    try:
        state, _, started = (
            sh.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], timeout=5.0).out.strip().partition(" ")
        )
    except CommandFailed:
        return None
    return None if state.startswith("Z") else started.strip()


def alive(pid: int, started: str) -> bool:
    """Whether this very process lives: the number and its start time agree."""
    return start_time(pid) == started


def session_members(session: int, started: str) -> tuple[int, ...]:
    """The living processes of the session whose leader had the number `session` and started at `started`.

    The kernel gives the number to nobody else while one of them lives, with or without the leader; so a leader with
    another start time, or another boot, means that the session is over.
    """
    import psutil

    boot = started.partition("@")[2]
    if (boot and boot != boot_id()) or start_time(session) not in (None, started):
        return ()
    return tuple(pid for pid in psutil.pids() if _session_of(pid) == session and start_time(pid) is not None)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def session_times() -> dict[int, float]:
    """Processor seconds spent so far, by session: of all that lives in it, and of their children that ended.

    One pass over /proc for all of them. Empty where there is none.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    spent: dict[int, float] = {}
    try:
        with os.scandir("/proc") as entries:
            names = [entry.name for entry in entries if entry.name.isdigit()]
    except FileNotFoundError:
        return spent
    for name in names:
        try:
            with open(f"/proc/{name}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - of all that runs: a `Path` is dear
                fields = file.read(4096).rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        session = int(fields[3])
        spent[session] = spent.get(session, 0.0) + sum(map(int, fields[11:15])) / ticks
    return spent


def sessions_above(pid: int) -> frozenset[int]:
    """The sessions of a process and of all that it descends from."""
    import psutil

    try:
        line = [pid, *(parent.pid for parent in psutil.Process(pid).parents())]
    except psutil.NoSuchProcess:
        return frozenset()
    return frozenset(session for each in line if (session := _session_of(each)) is not None)


def end_session(
    session: int,
    started: str,
    grace: float = 20.0,
    command: tuple[int, str] | None = None,
    reached: Callable[[float], None] | None = None,
) -> bool:
    """Interrupt, TERM, KILL, over `grace` seconds in all; True once nothing of the session lives. Safe to repeat.

    The leader is the wrapper: it is left to end by itself after its child, so that the exit is recorded, and is
    signalled only when it is alone: with TERM, and with KILL at the very end. `reached` is called once, with the time,
    when the first signal was sent while the `command` lived (None: while anything did).
    """
    told: set[tuple[int, int]] = set()
    for step, (number, share) in enumerate(_STEPS, 1):
        begin = time.monotonic()
        while members := session_members(session, started):
            targets = _targets(members, session, number, step == len(_STEPS))
            first = reached is not None and not told
            at, lived = time.time(), first and (command is None or _holds(*command, session))
            _tell([pid for pid in targets if (pid, number) not in told], number, session)
            if reached is not None and lived:
                reached(at)
            told.update((pid, int(number)) for pid in targets)
            time.sleep(min(_POLL, grace / 20))
            if time.monotonic() - begin >= share * grace:
                break
        else:
            return True
    return not session_members(session, started)


def terminate_session(session: int, started: str, grace: float = 5.0) -> bool:
    """TERM to every process of the session, KILL after `grace` seconds; True once none lives. Safe to repeat."""
    begin = time.monotonic()
    told: set[int] = set()
    while members := session_members(session, started):
        spent = time.monotonic() - begin
        if spent > grace + 5.0:
            return False
        if spent > grace:
            _tell(members, signal.SIGKILL, session)
        _tell([pid for pid in members if pid not in told], signal.SIGTERM, session)
        told.update(members)
        time.sleep(_POLL if spent > 0.5 else 0.005)
    return True


def _holds(pid: int, started: str, session: int) -> bool:
    """Whether the process lives. If so it stands still, until it is signalled: it cannot end by itself before."""
    import psutil

    still = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    deadline = time.monotonic() + _HOLD
    if alive(pid, started) and _session_of(pid) == session:
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            os.kill(pid, signal.SIGSTOP)
            while alive(pid, started) and psutil.Process(pid).status() not in still and time.monotonic() < deadline:
                time.sleep(0.001)
    return alive(pid, started)


def _targets(members: tuple[int, ...], session: int, number: signal.Signals, over: bool) -> tuple[int, ...]:
    others = tuple(pid for pid in members if pid != session)
    if others or (number == signal.SIGKILL and not over):
        return others
    return members


def _tell(pids: Iterable[int], number: signal.Signals, session: int) -> None:
    for pid in pids:
        if _session_of(pid) != session:
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):  # one of another user, as of `sudo`, is let be
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)  # a stopped process would not notice the signal
