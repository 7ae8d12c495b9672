from __future__ import annotations

import fcntl
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners import processes, wrapper
from tests.runners.conftest import Host, record
from tests.support import wait_for

SLEEP = ["sleep", "600"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.dictionaries(TEXT, SCALARS | TEXT | st.lists(SCALARS | TEXT) | st.dictionaries(TEXT, TEXT))


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


def ended(run: Path) -> tuple[Any, ...]:
    found = record(run, "exit.json")
    return found["code"], found["signal"], found["phase"], found["hangup"]


def log_of(run: Path) -> str:
    path = run / "output.log"
    return path.read_text(errors="replace") if path.exists() else ""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_free(path: Path) -> bool:
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.parametrize("code", [0, 7])
def test_an_exit_code_is_recorded_and_told(host: Host, code: int) -> None:
    run = host.start("fix", 1, ["sh", "-c", f"echo hello; exit {code}"])
    assert ended(run) == (code, None, "run", False)
    wait_for((host.folder / "inbox" / "fix.1.exit").exists)
    wait_for(lambda: "hello" in log_of(run))
    wait_for(lambda: is_free(host.folder / "locks" / "fix.lock"))


@pytest.mark.parametrize("paused", [False, True])
def test_all_that_was_printed_is_in_the_log_before_the_exit_can_be_read(host: Host, paused: bool) -> None:
    go = host.folder / "go"
    code = "import os, sys, time, tty\nprint('ready', flush=True)\n"
    code += "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
    code += "tty.setraw(1); os.write(1, b'x' * int(sys.argv[2]) + b'last words')"
    size = 3_000 if paused else 400_000  # the first fits what the kernel holds: the worker ends before tmux reads
    run = host.start("fix", 1, python(code, str(go), str(size)))
    wait_for(lambda: "ready\n" in log_of(run))
    server = int(host.tmux._call("display-message", "-p", "#{pid}").out)
    command_pid = record(run, "start.json", "pid")["pid"]
    if paused:
        os.kill(server, signal.SIGSTOP)
    try:
        go.touch()
        wait_for(lambda: not (Path("/proc") / str(command_pid)).exists())
    finally:
        os.kill(server, signal.SIGCONT)
    assert ended(run)[0] == 0
    assert log_of(run).endswith("x" * size + "last words" + wrapper.LAST_BYTES.decode())


def test_a_terminal_that_is_held_holds_up_no_exit(host: Host) -> None:
    run = host.start("fix", 1, python("import sys, time; print('ready', flush=True); time.sleep(600)"))
    wait_for(lambda: "ready\n" in log_of(run))
    started = record(run, "start.json", "pid")
    with Path(f"/proc/{started['pid']}/fd/1").open("wb", buffering=0) as terminal:
        termios.tcflow(terminal, termios.TCOOFF)  # as Ctrl-S does
        os.kill(started["pid"], signal.SIGKILL)
        assert ended(run)[1] == signal.SIGKILL
        assert wrapper.LAST_BYTES.decode() not in log_of(run)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGSEGV])
def test_a_signal_to_the_command_is_recorded(host: Host, number: signal.Signals) -> None:
    run = host.start("fix", 1, SLEEP)
    os.kill(record(run, "start.json", "pid")["pid"], number)
    assert ended(run) == (None, number, "run", False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_wrapper_is_passed_on(host: Host, number: signal.Signals) -> None:
    run = host.start("fix", 1, SLEEP)
    os.kill(record(run, "start.json", "pid")["wrapper_pid"], number)
    assert ended(run) == (None, number, "run", number == signal.SIGHUP)


def test_ctrl_c_reaches_the_command_and_not_the_wrapper(host: Host) -> None:
    code = "import time\ntry: print('ready', flush=True), time.sleep(600)\nexcept KeyboardInterrupt: exit(5)"
    run = host.start("fix", 1, python(code))
    wait_for(lambda: "ready\n" in log_of(run))
    host.tmux._call("send-keys", "-t", "fix", "C-c")
    assert ended(run) == (5, None, "run", False)


def test_ctrl_z_stops_nothing(host: Host) -> None:
    run = host.start("fix", 1, python("import time; print('ready', flush=True); input(); print('on'); time.sleep(600)"))
    wait_for(lambda: "ready\n" in log_of(run))
    host.tmux._call("send-keys", "-t", "fix", "C-z", "Enter")
    wait_for(lambda: "\non" in log_of(run))


@pytest.mark.parametrize("command", [["kill-window", "-t", "fix"], ["kill-server"]])
def test_a_closed_window_or_server_is_a_hangup(host: Host, command: list[str]) -> None:
    run = host.start("fix", 1, SLEEP)
    record(run, "start.json", "pid")
    host.tmux._call(*command)
    assert ended(run) == (None, signal.SIGHUP, "run", True)


def test_a_killed_server_is_a_hangup(host: Host) -> None:
    run = host.start("fix", 1, SLEEP)
    record(run, "start.json", "pid")
    os.kill(int(host.tmux._call("display-message", "-p", "#{pid}").out), signal.SIGKILL)
    assert ended(run) == (None, signal.SIGHUP, "run", True)


def test_a_command_that_ignores_the_hangup_is_waited_for(host: Host) -> None:
    code = "import signal, time; signal.signal(1, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    run = host.start("fix", 1, python(code))
    started = record(run, "start.json", "pid")
    wait_for(lambda: "ready\n" in log_of(run))
    host.tmux._call("kill-window", "-t", "fix")
    wait_for(lambda: host.tmux.windows() == ())
    assert not is_free(host.folder / "locks" / "fix.lock")
    os.kill(started["pid"], signal.SIGTERM)
    assert ended(run) == (None, signal.SIGTERM, "run", True)
    assert record(run, "exit.json")["server_gone"] is False


def test_a_late_end_still_says_that_the_server_was_gone(host: Host) -> None:
    """Another server may be there by then, for workers that were started again."""
    code = "import signal, time; signal.signal(1, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    run = host.start("fix", 1, python(code))
    started = record(run, "start.json", "pid")
    wait_for(lambda: "ready\n" in log_of(run))
    os.kill(int(host.tmux._call("display-message", "-p", "#{pid}").out), signal.SIGKILL)
    wait_for(lambda: host.tmux.windows() == ())
    host.tmux.ensure()
    os.kill(started["pid"], signal.SIGTERM)
    assert record(run, "exit.json")["server_gone"] is True


SLOW_SERVER = """
import os, pty, signal, sys, time
child, terminal = pty.fork()
if child == 0:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as tmux does
    os.execv(sys.argv[2], sys.argv[2:])
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
os.close(terminal)
time.sleep(0.2)
os._exit(0)
"""


def test_a_server_that_is_slow_to_die_is_waited_for(host: Host) -> None:
    """One that is killed hangs up on all its windows before it is gone itself."""
    run = host.plan("fix", 1, ["sh", "-c", "touch ready; exec sleep 600"])
    (run / "output.log").touch()
    words = [sys.executable, "-c", SLOW_SERVER, str(host.folder.parent / "ready"), *wrapper.command(str(run))]
    with subprocess.Popen(words):
        assert ended(run) == (None, signal.SIGHUP, "run", True)
    assert record(run, "exit.json")["server_gone"] is True


def test_a_killed_wrapper_leaves_no_exit_and_its_session_can_be_found(host: Host) -> None:
    code = "import signal, time; signal.signal(1, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    run = host.start("fix", 1, python(code))
    started = record(run, "start.json", "pid")
    wait_for(lambda: "ready\n" in log_of(run))
    os.kill(started["wrapper_pid"], signal.SIGKILL)
    wait_for(lambda: is_free(host.folder / "locks" / "fix.lock"))
    assert not (run / "exit.json").exists()
    # A process that is killed lets go of its files a moment before it is gone.
    wait_for(lambda: processes.session_members(started["session"], started["wrapper_start"]) == (started["pid"],))
    assert processes.alive(started["pid"], started["pid_start"])
    assert processes.end_session(started["session"], started["wrapper_start"], grace=1.0)


def test_ending_the_session_is_recorded(host: Host) -> None:
    code = "import signal, time; signal.signal(2, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    run = host.start("fix", 1, python(code))
    started = record(run, "start.json", "pid")
    wait_for(lambda: "ready\n" in log_of(run))
    assert processes.end_session(started["session"], started["wrapper_start"], grace=2.0)
    assert ended(run) == (None, signal.SIGTERM, "run", False)


def test_the_start_is_recorded_with_all_that_tells_it_apart(host: Host) -> None:
    run = host.start("fix", 3, SLEEP)
    found = record(run, "start.json", "pid")
    assert found["boot_id"] == processes.boot_id() and found["session"] == found["wrapper_pid"]
    assert processes.alive(found["wrapper_pid"], found["wrapper_start"])
    assert processes.alive(found["pid"], found["pid_start"])
    assert os.getpgid(found["pid"]) == found["wrapper_pid"] and found["ports"] is None
    assert not is_free(host.folder / "locks" / "fix.lock")


class TestClaim:
    def nothing_started(self, host: Host, run: Path, tmp_path: Path) -> None:
        wait_for(lambda: any(w.dead for w in host.tmux.windows() or ()))
        wait_for(lambda: "mux: nothing was started" in log_of(run))
        assert not (tmp_path / "ran").exists()
        assert sorted(path.name for path in run.iterdir()) == ["attempt.json", "output.log"]

    def test_an_old_epoch_starts_nothing(self, host: Host, tmp_path: Path) -> None:
        run = host.plan("fix", 1, ["touch", str(tmp_path / "ran")], setup=[f"touch '{tmp_path}/ran'"])
        (host.folder / "locks" / "fix.lock").write_text("attempt: 11\nwindow: fix\n")
        host.open(run)
        self.nothing_started(host, run, tmp_path)

    def test_a_held_claim_starts_nothing(self, host: Host, tmp_path: Path) -> None:
        run = host.plan("fix", 1, ["touch", str(tmp_path / "ran")])
        with locked(host.folder / "locks" / "fix.lock"):
            host.open(run)
            self.nothing_started(host, run, tmp_path)

    def test_no_claim_starts_nothing(self, host: Host, tmp_path: Path) -> None:
        run = host.plan("fix", 1, ["touch", str(tmp_path / "ran")])
        (host.folder / "locks" / "fix.lock").unlink()
        host.open(run)
        self.nothing_started(host, run, tmp_path)

    def test_why_is_in_the_log_although_tmux_reads_it_late(self, host: Host, tmp_path: Path) -> None:
        run = host.plan("fix", 1, ["touch", str(tmp_path / "ran")])
        (host.folder / "locks" / "fix.lock").write_text("attempt: 11\nwindow: fix\n")
        server = int(host.tmux._call("display-message", "-p", "#{pid}").out)
        with locked(host.folder / "locks" / "fix.lock"):
            window = host.open(run)
            wait_for((run / "output.log").exists)
            os.kill(server, signal.SIGSTOP)
            begin = time.monotonic()
        try:
            while time.monotonic() < begin + wrapper.WAIT / 4:
                waits = processes.start_time(window.pid) is not None
                assert waits or time.monotonic() >= begin + wrapper.WAIT, "it left before its words were in the log"
        finally:
            os.kill(server, signal.SIGCONT)
        self.nothing_started(host, run, tmp_path)

    def test_one_who_only_looks_is_waited_for(self, host: Host) -> None:
        run = host.plan("fix", 1, ["true"])
        with locked(host.folder / "locks" / "fix.lock"):
            host.open(run)
            wait_for((run / "output.log").exists)
        assert ended(run)[0] == 0

    def test_what_the_command_leaves_behind_does_not_hold_it(self, host: Host, tmp_path: Path) -> None:
        note = tmp_path / "pid"
        run = host.start("fix", 1, ["sh", "-c", 'sleep 600 & echo $! >"$0"', str(note)])
        assert ended(run)[0] == 0
        wait_for(lambda: is_free(host.folder / "locks" / "fix.lock"))


class TestSetup:
    def test_it_runs_once_in_order_before_the_command(self, host: Host, tmp_path: Path) -> None:
        marker = tmp_path / "marker"
        setup = ["echo one >>order", "echo two >>order; cat"]
        more: dict[str, Any] = {"setup": setup, "setup_marker": str(marker), "cwd": str(tmp_path)}
        assert ended(host.start("fix", 1, ["sh", "-c", "echo run >>order"], **more))[:2] == (0, None)
        assert marker.exists()
        assert ended(host.start("fix", 2, ["sh", "-c", "echo run >>order"], **more))[:2] == (0, None)
        assert (tmp_path / "order").read_text().split() == ["one", "two", "run", "run"]

    def test_a_failure_is_the_end(self, host: Host, tmp_path: Path) -> None:
        setup, marker = ["exit 3", "touch later"], tmp_path / "marker"
        run = host.start("fix", 1, ["touch", "ran"], cwd=str(tmp_path), setup=setup, setup_marker=str(marker))
        assert ended(run) == (3, None, "setup", False)
        assert not marker.exists() and not (tmp_path / "later").exists() and not (tmp_path / "ran").exists()
        assert "pid" not in record(run, "start.json")
        wait_for(lambda: "mux: setup failed: exit 3" in log_of(run))

    def test_a_stop_in_setup_never_gets_to_the_command(self, host: Host, tmp_path: Path) -> None:
        setup = ["trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
        run = host.start("fix", 1, ["touch", "ran"], cwd=str(tmp_path), setup=setup)
        wait_for(lambda: "\nready\n" in log_of(run))
        os.kill(record(run, "start.json")["wrapper_pid"], signal.SIGTERM)
        assert ended(run) == (None, signal.SIGTERM, "setup", False)
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("program", "code", "said"), [("no-such", 127, "No such file"), ("/", 126, "denied")], ids=["missing", "folder"]
)
def test_a_program_that_cannot_run_says_so(host: Host, program: str, code: int, said: str) -> None:
    run = host.start("fix", 1, [program])
    assert ended(run) == (code, None, "run", False)
    wait_for(lambda: f"mux: cannot run {program}" in log_of(run) and said in log_of(run))


def test_a_home_that_is_gone_is_a_failed_start(host: Host, tmp_path: Path) -> None:
    run = host.start("fix", 1, ["true"], cwd=str(tmp_path / "gone"))
    assert ended(run) == (1, None, "setup", False)


def test_a_long_prompt_comes_in_whole(host: Host, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.md"
    prompt.write_text("$(touch pwned) 'ä\"\n" * 11_000)
    copy = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    run = host.start("fix", 1, python(copy, str(tmp_path / "copy")), stdin=str(prompt))
    assert ended(run)[0] == 0
    assert (tmp_path / "copy").read_bytes() == prompt.read_bytes() and prompt.stat().st_size > 200_000


def test_a_worker_finds_its_own_environment(host: Host, tmp_path: Path) -> None:
    home = tmp_path / "line\nbreak"
    home.mkdir()
    code = "import json, os, signal, sys; seen = dict(os.environ), os.getcwd(), [int(s) for s in signal.valid_signals()"
    code += " if signal.getsignal(s) == signal.SIG_IGN], [int(s) for s in signal.pthread_sigmask(0, ())];"
    code += " json.dump(seen, open(sys.argv[1], 'w'))"
    run = host.start("fix", 1, python(code, str(tmp_path / "note")), cwd=str(home), env={"MUX_TASK": "fix"}, ports=12)
    assert ended(run)[0] == 0
    seen, folder, ignored, blocked = json.loads((tmp_path / "note").read_text())
    assert folder == seen["PWD"] == str(home)
    first, last = record(run, "start.json")["ports"]
    assert (seen["MUX_TASK"], seen["MUX_PORT"], seen["MUX_PORTS"]) == ("fix", str(first), "12") and last == first + 11
    assert not {"TMUX", "TMUX_PANE", "SLACK_BOT_TOKEN"} & set(seen)
    # Python itself ignores these two; nothing else may be ignored or blocked.
    assert set(ignored) <= {signal.SIGPIPE, signal.SIGXFSZ} and blocked == []


class TestPorts:
    def test_blocks_of_any_size_do_not_overlap(self, host: Host) -> None:
        runs = [host.start(f"t{n}", 1, SLEEP, ports=size) for n, size in enumerate((10, 3, 25, 10, 1))]
        blocks = sorted(record(run, "start.json", "pid")["ports"] for run in runs)
        assert all(first > before[1] for before, (first, _) in itertools.pairwise(blocks))
        assert all(20000 <= first <= last <= 31999 for first, last in blocks)

    def test_a_port_in_use_is_passed_over_and_a_block_is_free_again(self, host: Host) -> None:
        first_run = host.start("a", 1, SLEEP, ports=10)
        first, last = record(first_run, "start.json", "pid")["ports"]
        os.kill(record(first_run, "start.json", "pid")["pid"], signal.SIGTERM)
        record(first_run, "exit.json")
        wait_for(lambda: is_free(host.folder / "locks" / "a.lock"))
        with socket.socket() as taken:
            taken.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # another test may be looking whether it is free
            taken.bind(("127.0.0.1", last))
            taken.listen()
            other = record(host.start("b", 1, SLEEP, ports=10), "start.json", "pid")["ports"]
            assert other[0] > last
        assert record(host.start("c", 1, SLEEP, ports=10), "start.json", "pid")["ports"] == [first, last]

    def test_no_room_is_a_failed_start(self, host: Host) -> None:
        run = host.start("fix", 1, ["true"], ports=20_000)
        assert ended(run) == (1, None, "setup", False)
        wait_for(lambda: "no 20000 free ports" in log_of(run))


def test_a_record_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper.write_record(str(tmp_path), "exit.json", {"code": 0})
    monkeypatch.setattr(os, "write", lambda descriptor, data: len(data) - 1)
    with pytest.raises(OSError, match="No space left"):
        wrapper.write_record(str(tmp_path), "exit.json", {"code": 1})
    assert json.loads((tmp_path / "exit.json").read_text()) == {"code": 0}


@given(JSON)
def test_json_is_read_and_written_as_the_library_does(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    run = tmp_path_factory.mktemp("run")
    (run / "attempt.json").write_text(json.dumps(value, ensure_ascii=False, indent=1))
    assert wrapper.read_attempt(str(run)) == value
    assert json.loads(wrapper.to_json(value)) == value


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"a": }'])
def test_a_damaged_attempt_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "attempt.json").write_text(text)
    with pytest.raises(ValueError):
        wrapper.read_attempt(str(tmp_path))


def test_who_is_held_up_after_the_fork_does_not_make_the_run_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long it ran decides what follows when it ended."""
    forked: list[float] = []

    def spawn(argv: list[str], environment: dict[str, str], stdin: str | None) -> int:
        forked.append(time.time())
        time.sleep(0.05)
        return os.getpid()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wrapper, "spawn", spawn)
    monkeypatch.setattr(wrapper, "wait_for", lambda child, ended: None)
    run = tmp_path / "runs" / "a" / "1"
    run.mkdir(parents=True)
    (tmp_path / "inbox").mkdir()
    attempt = {"task": "a", "attempt": 1, "cwd": str(tmp_path), "env": {}, "argv": ["true"]}
    wrapper.run_phases(str(run), attempt, {"ports": None}, {"hangup": False})
    assert record(run, "start.json")["at"] <= forked[0]


def test_a_full_disk_delays_the_exit_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    real = wrapper.write_record

    def full_twice(run: str, name: str, found: Any) -> None:
        tries.append(name)
        if len(tries) < 3:
            raise OSError(28, "No space left on device")
        real(run, name, found)

    monkeypatch.setattr(wrapper, "write_record", full_twice)
    monkeypatch.setattr(wrapper.time, "sleep", lambda seconds: None)
    wrapper.record_exit(str(tmp_path), {"code": 0})
    assert json.loads((tmp_path / "exit.json").read_text()) == {"code": 0}


def test_a_worker_beside_its_agent_is_small(host: Host) -> None:
    """Private memory of the wrapper, and of the two that write the log."""
    run = host.start("fix", 1, SLEEP, ports=10)
    found = record(run, "start.json", "pid")
    server = int(host.tmux._call("display-message", "-p", "#{pid}").out)
    import psutil

    writers = [
        child for child in psutil.Process(server).children(recursive=True) if child.name() in ("sh", "dash", "cat")
    ]
    pids = [found["wrapper_pid"], *(writer.pid for writer in writers)]
    private = sum(psutil.Process(pid).memory_full_info().uss for pid in pids)
    assert private < 4 * 2**20, f"{private / 2**20:.2f} MiB"  # leaves 2 MiB for the pane's history
