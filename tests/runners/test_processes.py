from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runners import processes, wrapper
from tests.support import wait_for

Start = Callable[[str], int]

IDLE = "import time; print(flush=True); time.sleep(60)"
STUBBORN = f"import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n{IDLE}"
#: A leader that, as the wrapper does, outlives signals and ends after its child; at once, since Python takes the
#: handlers away before it is gone.
LEADER = """
import os, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: None)
child = subprocess.Popen([sys.executable, "-c", {child!r}], restore_signals=True)
os._exit(child.wait() % 256)
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python code as the leader of a session of its own; waits until it printed something."""
    running: list[subprocess.Popen[bytes]] = []

    def starter(code: str) -> int:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
        running.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    yield starter
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def started(pid: int) -> str:
    found = processes.start_time(pid)
    assert found is not None
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
def test_hidden_memory_is_nobody_elses_and_what_it_starts_is_open() -> None:
    asks = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)"  # PR_GET_DUMPABLE
    hides = f"from runners import processes; processes.hide_memory(); {asks}"
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {asks!r}])"
    said = subprocess.run([sys.executable, "-c", f"{hides}; {starts}"], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["0", "1"]


def test_a_python_without_ctypes_hides_nothing_and_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    processes.hide_memory()


def test_a_process_is_known_by_number_and_start() -> None:
    own = started(os.getpid())
    assert processes.alive(os.getpid(), own)
    assert not processes.alive(os.getpid(), own + "0")
    assert not processes.alive(1, own)


def test_the_wrapper_writes_the_same_text() -> None:
    assert wrapper.start_time(os.getpid()) == started(os.getpid())
    assert wrapper.boot_id() == processes.boot_id()


def test_without_proc_the_two_agree_as_well() -> None:
    ask = ["ps", "-o", "lstart=", "-p", str(os.getpid())]
    assert wrapper.output_of(ask) == processes._start_time_by_ps(os.getpid()) is not None
    assert wrapper.output_of(["ps", "-o", "lstart=", "-p", "4194305"]) is None
    assert processes._start_time_by_ps(4194305) is None
    assert wrapper.output_of(["no-such-program"]) is None


def test_a_zombie_does_not_live(start: Start) -> None:
    pid = start("print(flush=True)")
    wait_for(lambda: processes.start_time(pid) is None)
    os.kill(pid, 0)  # still there, for its parent to reap


def test_members_are_those_of_the_very_session(start: Start) -> None:
    leader = start(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {IDLE!r}])")
    since = started(leader)
    assert len(processes.session_members(leader, since)) == 2
    assert processes.session_members(leader, "1@" + processes.boot_id()) == ()
    assert processes.session_members(leader, since.partition("@")[0] + "@another-boot") == ()


def test_members_are_found_without_their_leader(start: Start) -> None:
    leader = start(LEADER.format(child=STUBBORN))
    since = started(leader)
    os.kill(leader, signal.SIGKILL)
    wait_for(lambda: processes.start_time(leader) is None)
    assert len(processes.session_members(leader, since)) == 1
    assert processes.end_session(leader, since, grace=2.0)
    assert processes.session_members(leader, since) == ()


@pytest.mark.parametrize(
    ("ignored", "ended_by"), [((), "SIGINT"), ((2,), "SIGTERM"), ((2, 15), "SIGKILL")], ids=["INT", "TERM", "KILL"]
)
def test_each_step_goes_as_far_as_it_must(start: Start, ignored: tuple[int, ...], ended_by: str) -> None:
    body = f"signal.signal(2, 0)\nfor n in {ignored}: signal.signal(n, 1)\nprint(flush=True)\ntime.sleep(60)"
    leader = start(LEADER.format(child=f"import signal, time\n{body}"))
    begin = time.monotonic()
    assert processes.end_session(leader, started(leader), grace=4.0)
    due = {"SIGINT": 0.0, "SIGTERM": 1.0, "SIGKILL": 3.0}[ended_by]
    assert due <= time.monotonic() - begin
    _, status = os.waitpid(leader, 0)
    assert os.WEXITSTATUS(status) == -signal.Signals[ended_by] % 256  # the leader lived to tell


def test_on_a_machine_that_stands_still_no_step_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole steps go by between two looks, and it ends only by the last."""
    told: list[tuple[list[int], str]] = []
    clock = itertools.count(0, 100)
    standing = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None, time=time.time)
    monkeypatch.setattr(processes, "time", standing)
    monkeypatch.setattr(processes, "session_members", lambda *_: () if told and told[-1][0] == [7] else told_of(told))
    monkeypatch.setattr(processes, "_tell", lambda pids, number, session: told.append((list(pids), number.name)))
    assert processes.end_session(7, "1@boot", grace=20.0)
    assert told == [([8], "SIGINT"), ([8], "SIGTERM"), ([8], "SIGKILL"), ([7], "SIGKILL")]


def told_of(told: list[tuple[list[int], str]]) -> tuple[int, ...]:
    """The leader and its child, which ends by KILL."""
    return (7,) if told and told[-1][1] == "SIGKILL" else (7, 8)


def test_a_stopped_process_is_woken_to_end(start: Start) -> None:
    # With a handler: the kernel ends a stopped process by itself only where the signal's default does.
    leader = start(LEADER.format(child=f"import signal; signal.signal(2, lambda *_: exit(3)); {IDLE}"))
    since = started(leader)
    child = next(pid for pid in processes.session_members(leader, since) if pid != leader)
    os.kill(child, signal.SIGSTOP)
    assert processes.end_session(leader, since, grace=60.0)
    _, status = os.waitpid(leader, 0)
    assert os.WEXITSTATUS(status) == 3  # by its own handler: it ran before anything sterner came


def test_a_leader_alone_that_will_not_end_is_killed_last(start: Start) -> None:
    leader = start(STUBBORN)
    assert processes.end_session(leader, started(leader), grace=2.0)
    assert processes.start_time(leader) is None


def test_a_number_used_again_is_never_hit(start: Start) -> None:
    innocent = start(IDLE)
    other = "1@" + processes.boot_id()
    assert processes.end_session(innocent, other, grace=0.5)
    assert processes.end_session(innocent, started(innocent).partition("@")[0] + "@another-boot", grace=0.5)
    assert processes.start_time(innocent) is not None


def test_ending_what_ended_is_fine(start: Start) -> None:
    leader = start(IDLE)
    since = started(leader)
    assert processes.end_session(leader, since, grace=5.0)
    assert processes.end_session(leader, since, grace=5.0)


@pytest.mark.parametrize("lives", [True, False])
def test_it_is_told_whether_the_command_lived_when_the_first_signal_was_sent(start: Start, lives: bool) -> None:
    """Of a command that was through, what it left is ended all the same."""
    leader = start(LEADER.format(child=IDLE))
    since = started(leader)
    child = next(pid for pid in processes.session_members(leader, since) if pid != leader)
    command = (child, started(child)) if lives else (child, "0@" + processes.boot_id())
    told: list[float] = []
    begin = time.time()
    assert processes.end_session(leader, since, 4.0, command, told.append)
    assert [begin <= at <= time.time() for at in told] == ([True] if lives else [])


def test_a_command_that_is_told_as_signalled_cannot_have_ended_by_itself(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is through at the very moment between the look whether it lives and the signal."""
    through = tmp_path / "through"
    waits = f"while not os.path.exists({str(through)!r}): time.sleep(0.001)"
    leader = start(LEADER.format(child=f"import os, signal, time\nsignal.signal(2, 0)\nprint(flush=True)\n{waits}"))
    since = started(leader)
    child = next(pid for pid in processes.session_members(leader, since) if pid != leader)
    tell = processes._tell

    def tell_late(*arguments: Any) -> None:
        through.touch()
        time.sleep(0.2)  # what goes on has ended by now
        tell(*arguments)

    monkeypatch.setattr(processes, "_tell", tell_late)
    told: list[float] = []
    assert processes.end_session(leader, since, 4.0, (child, started(child)), told.append)
    _, status = os.waitpid(leader, 0)
    assert (len(told), os.WEXITSTATUS(status)) == (1, -signal.SIGINT % 256)


def test_one_of_another_user_keeps_nobody_from_being_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `sudo` in a script."""
    waits = f"subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).wait()"
    leader = start(LEADER.format(child=f"import signal, subprocess, sys\nsignal.signal(2, 0)\n{waits}"))
    since = started(leader)
    child, other = (pid for pid in processes.session_members(leader, since) if pid != leader)
    kill = os.kill

    def may_not(pid: int, number: int) -> None:
        if pid == other:
            raise PermissionError
        kill(pid, number)

    monkeypatch.setattr(os, "kill", may_not)
    told: list[float] = []
    assert not processes.end_session(leader, since, 1.0, (child, started(child)), told.append)
    assert len(told) == 1
    wait_for(lambda: processes.session_members(leader, since) == (other,), "of all others none is left")
