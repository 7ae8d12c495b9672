"""The small process between tmux and a worker: `python -IS wrapper.py RUN_DIR`, in the worker's window.

It takes the claim, records the start, runs setup and the command, and records how that ended; the control plane may
come and go meanwhile. The order is what counts:

    claim held, its epoch is ours   or nothing is touched
    start.json durable              before anything of the worker runs
    output.log complete             before how it ended can be read
    exit.json durable               before the claim is let go
    a wake file in the inbox        last: losing it costs latency only

It lives as long as its worker, once for each: so it imports little, and stands alone (it cannot import `runners`).
Its window runs `command(RUN_DIR)`: the same, but by import, from the byte-code cache; compiling costs 0.7 MiB a worker.
"""

# pathlib would cost each worker more private memory than all of this file:
# ruff: noqa: PTH100, PTH116, PTH103, PTH105, PTH110, PTH111, PTH117, PTH118, PTH120, PTH123

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time

# The C halves of json, signal and socket alone: what the Python halves pull in (enum, re, selectors) would cost 1.4 MiB
# of private memory a worker, and 15 ms of each start.
from _json import encode_basestring_ascii, make_scanner
from _socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET
from _socket import socket as Socket

TYPE_CHECKING = False  # as in `typing`, without its import
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping
    from typing import Any
else:
    import _signal as signal

WAIT = 2.0  # seconds, for the log to be attached, and for a claim that somebody is just looking at
SERVER_GOES = 1.0  # seconds, from its hangup to its end
POLL = 0.005
LAST_BYTES = b"\x1b\\\x1b[m"  # behind all that was printed; ends what a killed program left open: a title, a colour
PORTS = range(20000, 32000)  # below what Linux and macOS hand out to clients (32768 and 49152)
PORT_STEP = 10  # blocks start at multiples of this; one lock file a step, so blocks of any size exclude each other
HANDLED = frozenset({signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD})
#: Here, by Python, or by tmux. A command is to find them as in a terminal.
IGNORED = (*(signal.SIGINT, signal.SIGQUIT), *(signal.SIGPIPE, signal.SIGXFSZ), *(signal.SIGTTIN, signal.SIGTTOU))


_BY_IMPORT = "import sys; sys.path.append(sys.argv[1]); import wrapper; sys.exit(wrapper.main(sys.argv[2]))"


class CannotStart(Exception):
    """Something before the command failed; its text is for the screen."""


def command(run: str) -> list[str]:
    """The arguments that run an attempt's wrapper."""
    return [sys.executable, "-IS", "-c", _BY_IMPORT, os.path.dirname(os.path.abspath(__file__)), run]


def main(run: str) -> int:
    # Taken one at a time with sigwait: no handler runs in the middle of anything, and none is lost before a fork.
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # macOS drops a blocked signal that would be ignored
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C and Ctrl-\ in the window are for the command;
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)  # Ctrl-Z stops nothing: no shell waits above this process group
    server = os.getppid()
    try:
        attempt = read_attempt(run)
        wait_until(lambda: os.path.exists(os.path.join(run, "output.log")))
        claim = take_claim(folder_of(run), attempt)
        if os.path.exists(os.path.join(run, "start.json")):
            raise CannotStart("this attempt was started before")
    except (OSError, ValueError, CannotStart) as error:
        say(f"nothing was started: {error}")
        wait_for_log(run)
        return 1
    ended = work(run, attempt)
    wait_for_log(run)
    if ended is None:
        return 1
    # A server that goes down hangs up on its windows a moment before it is gone itself.
    gone = wait_until(lambda: os.getppid() != server, SERVER_GOES if ended["hangup"] else 0)
    record_exit(run, ended | {"server_gone": gone})
    wake(run, attempt, "exit")
    os.close(claim)
    return int(ended["code"] if ended["signal"] is None else 128 + ended["signal"])


def work(run: str, attempt: Mapping[str, Any]) -> dict[str, Any] | None:
    """The attempt from its start record to how it ended; None when the start could not be recorded."""
    ended: dict[str, Any] = {"at": 0.0, "code": None, "signal": None, "phase": "setup", "hangup": False}
    record: dict[str, Any] = {
        "wrapper_pid": os.getpid(),
        "wrapper_start": start_time(os.getpid()),
        "session": os.getsid(0),
        "boot_id": boot_id(),
        "ports": None,
    }
    try:
        first, leases = lease_ports(attempt.get("ports", 0))
        record["ports"] = [first, first + attempt["ports"] - 1] if leases else None
        problem = None
    except (OSError, CannotStart) as error:
        problem = str(error)
    try:
        write_record(run, "start.json", {**record, "at": time.time()})
    except OSError as error:
        say(f"nothing was started: the start could not be recorded: {error}")
        return None
    if problem is None:
        problem = run_phases(run, attempt, record, ended)
    if problem is not None:
        say(problem)
        if ended["code"] is None and ended["signal"] is None:
            ended["code"] = 1
    ended["at"] = time.time()
    return ended


def run_phases(run: str, attempt: Mapping[str, Any], record: Mapping[str, Any], ended: dict[str, Any]) -> str | None:
    """Setup, then the command. Fills in `ended`; returns what to say when the command never ran."""
    environment = worker_environment(attempt, record["ports"])
    try:
        os.chdir(attempt["cwd"])
    except OSError as error:
        return f"cannot enter the home: {error}"
    marker = attempt.get("setup_marker")
    if attempt.get("setup") and not (marker and os.path.exists(marker)):
        for line in attempt["setup"]:
            if stop_asked(run, ended):
                return "stopped in setup"
            say(f"setup: {line}")
            wait_for(spawn(["sh", "-c", line], environment, os.devnull), ended)
            if ended["code"] != 0:
                return f"setup failed: {line}"
        if marker:
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT, 0o600))
    if stop_asked(run, ended):
        return "stopped before the command ran"
    ended["phase"] = "run"
    at = time.time()  # first: whoever is held up after the fork would make a long run a short one
    child = spawn(attempt["argv"], environment, attempt.get("stdin"))
    try:
        started = {"pid": child, "pid_start": start_time(child), "at": at}
        write_record(run, "start.json", {**record, **started}, durable=False)  # that it started is on disk already
        wake(run, attempt, "start")
    except OSError as error:
        say(f"the command's number could not be recorded: {error}")
    wait_for(child, ended)
    return None


def wait_for(child: int, ended: dict[str, Any]) -> None:
    """Wait for the child, forward HUP and TERM to it. In setup they count as its end, whatever it makes of them."""
    ended["code"] = ended["signal"] = None
    stopped = None
    while True:
        number = signal.sigwait(HANDLED)
        if number != signal.SIGCHLD:
            ended["hangup"] = ended["hangup"] or number == signal.SIGHUP
            stopped = int(number)
            os.kill(child, number)  # not reaped yet, so the number is still the child's
            continue
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
    if os.WIFSIGNALED(status):
        ended["signal"] = os.WTERMSIG(status)
    elif stopped is not None and ended["phase"] == "setup":
        ended["signal"] = stopped
    else:
        ended["code"] = os.WEXITSTATUS(status)


def stop_asked(run: str, ended: dict[str, Any]) -> bool:
    """Whether a stop is written down (setup may have made nothing of its signals), or HUP or TERM came meanwhile."""
    if os.path.exists(os.path.join(run, "stop.json")):
        ended["code"], ended["signal"] = None, int(signal.SIGTERM)
        return True
    for number in (signal.SIGHUP, signal.SIGTERM):
        if number in signal.sigpending():
            ended["code"], ended["signal"], ended["hangup"] = None, int(number), number == signal.SIGHUP
            return True
    ended["code"] = None
    return False


def spawn(argv: list[str], environment: Mapping[str, str], stdin: str | None) -> int:
    """Start a child in this session and process group, so that the window's keys reach it."""
    child = os.fork()
    if child:
        return child
    try:
        if stdin is not None:
            os.dup2(os.open(stdin, os.O_RDONLY), 0)
        for number in IGNORED:
            signal.signal(number, signal.SIG_DFL)  # what is ignored stays ignored across exec
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        say(f"cannot run {argv[0]}: {error.strerror}")
        os._exit(127 if error.errno == errno.ENOENT else 126)
    finally:
        os._exit(126)


def worker_environment(attempt: Mapping[str, Any], ports: list[int] | None) -> dict[str, str]:
    environment: dict[str, str] = dict(os.environ) | attempt["env"] | {"PWD": attempt["cwd"]}
    for name in ("TMUX", "TMUX_PANE"):  # a worker's own use of tmux must not reach the server that holds all workers
        environment.pop(name, None)
    if ports:
        environment["MUX_PORT"] = str(ports[0])
        environment["MUX_PORTS"] = str(ports[1] - ports[0] + 1)
    return environment


def take_claim(folder: str, attempt: Mapping[str, Any]) -> int:
    """The claim's descriptor, with its flock held. Raises CannotStart when it is another's, or of another epoch."""
    path = os.path.join(folder, "locks", attempt["task"] + ".lock")
    claim = os.open(path, os.O_RDWR)
    # Whoever looks whether the claim is free takes it for a moment: one refusal does not mean that it is held.
    if not wait_until(lambda: try_lock(claim)):
        raise CannotStart(f"another worker holds the claim on {attempt['task']}")
    if f"attempt: {attempt['attempt']}" not in os.pread(claim, 65536, 0).decode("utf-8", "replace").splitlines():
        raise CannotStart(f"attempt {attempt['attempt']} of {attempt['task']} is not the current one")
    return claim


def lease_ports(size: int) -> tuple[int, list[int]]:
    """The first port of a free block, and the locks that keep it ours for as long as they are open."""
    if size <= 0:
        return 0, []
    folder = os.path.join(state_folder(), "ports")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for first in range(PORTS.start, PORTS.stop - size + 1, PORT_STEP):
        leases = lock_all([os.path.join(folder, str(start)) for start in range(first, first + size, PORT_STEP)])
        if leases and all(is_free(port) for port in range(first, first + size)):
            return first, leases
        for lease in leases:
            os.close(lease)
    raise CannotStart(f"no {size} free ports in a row between {PORTS.start} and {PORTS.stop - 1}")


def lock_all(paths: list[str]) -> list[int]:
    """The locked files, or none of them."""
    taken = []
    for path in paths:
        taken.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if not try_lock(taken[-1]):
            for descriptor in taken:
                os.close(descriptor)
            return []
    return taken


def is_free(port: int) -> bool:
    """Nothing listens on the port, neither on all addresses nor on loopback alone."""
    for address in ("", "127.0.0.1"):
        probe = Socket(AF_INET, SOCK_STREAM)
        try:
            probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            probe.bind((address, port))
        except OSError:
            return False
        finally:
            probe.close()
    return True


def state_folder() -> str:
    base = os.environ.get("XDG_STATE_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.local/state"), "mux")


def wait_for_log(run: str) -> None:
    """Wait until the log holds all that was printed.

    Who reads the exit reads the log too; and tmux drops what it did not yet read when a window's last process ends.
    """
    log = os.path.join(run, "output.log")
    try:
        before = os.stat(log).st_size
        # Opened anew: a terminal that somebody stopped (Ctrl-S) must not block us, nor become non-blocking for others.
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return  # the window is gone, or was never one
    try:
        if wait_until(lambda: try_write(terminal, LAST_BYTES)):
            wait_until(lambda: LAST_BYTES in read_from(log, before))
    except OSError:
        return
    finally:
        os.close(terminal)


def try_write(descriptor: int, data: bytes) -> bool:
    try:
        return os.write(descriptor, data) == len(data)
    except BlockingIOError:
        return False


def read_from(path: str, start: int) -> bytes:
    """What a log holds from there on; all of it when a new one was begun meanwhile."""
    with open(path, "rb") as file:
        file.seek(start if os.fstat(file.fileno()).st_size >= start else 0)
        return file.read()


def record_exit(run: str, ended: dict[str, Any]) -> None:
    """Keep trying on a full disk: until the record is there the worker counts as running, which loses nothing."""
    told = False
    while True:
        try:
            return write_record(run, "exit.json", ended)
        except FileNotFoundError:
            return say("its run folder is gone: the exit is not recorded")
        except OSError as error:
            if not told:
                say(f"the exit cannot be recorded yet: {error}")
            told = True
            time.sleep(1.0)


def read_attempt(run: str) -> dict[str, Any]:
    """The intent that the control plane wrote. Raises ValueError when it is damaged."""

    class Plain:  # what `json.JSONDecoder` is to the scanner
        strict = True
        object_hook = object_pairs_hook = parse_constant = None
        parse_float, parse_int = float, int
        memo: dict[str, str] = {}  # noqa: RUF012

    with open(os.path.join(run, "attempt.json"), encoding="utf-8") as file:
        text = file.read()
    try:
        context: Any = Plain
        found: dict[str, Any] = make_scanner(context)(text, 0)[0]
    except StopIteration:
        raise ValueError("attempt.json is damaged") from None
    return found


def to_json(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_json(key)}: {to_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_json, value)) + "]"
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    return {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))


def write_record(run: str, name: str, record: Mapping[str, Any], durable: bool = True) -> None:
    """Whole or not there; with `durable`, on disk when this returns."""
    temporary = os.path.join(run, f".{name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        data = to_json(record).encode("ascii")
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, os.path.join(run, name))
    if not durable:
        return
    folder = os.open(run, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def wake(run: str, attempt: Mapping[str, Any], what: str) -> None:
    name = f"{attempt['task']}.{attempt['attempt']}.{what}"
    try:
        os.close(os.open(os.path.join(folder_of(run), "inbox", name), os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        say(f"the control plane was not told, it will see for itself: {error}")


def start_time(pid: int) -> str | None:
    """The same text as `runners.processes.start_time`."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return f"{file.read().rpartition(')')[2].split()[19]}@{boot_id()}"
    except FileNotFoundError:
        return output_of(["ps", "-o", "lstart=", "-p", str(pid)])


def boot_id() -> str | None:
    """The same text as `runners.processes.boot_id`."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return output_of(["sysctl", "-n", "kern.boottime"])


def output_of(argv: list[str]) -> str | None:
    """What a system tool prints, where there is no /proc; None when it fails. (`subprocess` would cost 1 MiB.)"""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(writer, 1)
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as file:
        text = file.read().strip()
    return text if os.waitpid(child, 0)[1] == 0 else None


def wait_until(condition: Callable[[], bool], seconds: float = WAIT) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def folder_of(run: str) -> str:
    """`.mux`, for `.mux/runs/<task>/<n>`."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(run))))


def say(text: str) -> None:
    try:
        os.write(2, f"mux: {text}\n".encode("utf-8", "surrogateescape"))
    except OSError as error:
        if error.errno != errno.EIO:  # the window is gone: there is nobody to tell
            raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
