"""Running a task's `check` command in its home: a session of its own, a time limit, a log, and a result that is kept.

    runs/<task>/checking.json      the session of the check that runs now; one that a killed control plane left behind
                                   is ended by it before anything else happens in the home
    runs/<task>/<n>/check.log      what the newest check of the attempt printed
    runs/<task>/<n>/check.json     how it ended, with what and in which files: it is not run again for the same

What a check leaves running in its session is ended with it. One that goes into a session of its own escapes.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from board.errors import MuxError
from board.storage import one_line_errors, private_folder, read_json, write_json
from runners import processes, sh, snapshots, wrapper
from runners.model import Attempt, CheckResult, GateRules

#: The log holds this many bytes from its beginning, and as many from its end.
LOG_PART = 2 * 1024 * 1024
#: A check whose files changed under it is run again so often.
AGAIN = 3

GRACE = 5.0  # seconds from TERM to KILL
_POLL = 0.05
_KEPT = ("head", "tree", "seconds", "code", "signal")
#: It waits for a line, so that nothing of it has run before its session is written down. Then it becomes the board's
#: own text, with nothing to read. Without a line (the control plane was killed) it ends.
_GATED = 'read -r go && exec sh -c "$1" </dev/null'


class Checks:
    """The checks of one board. `environment` is what its workers inherit. Safe in threads, one check a task."""

    def __init__(self, board: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._board = board
        self._folder = folder
        self._environment = environment
        self._over = threading.Event()

    def end(self) -> None:
        """End what runs; from then on `run` raises. What was ended so has no result: it is run again another day."""
        self._over.set()

    def end_left(self, task: str) -> None:
        """End the check of the task that a killed control plane left running. Raises MuxError when it does not end."""
        path = self._note(task)
        left = read_json(path)
        if left is None:
            return
        if not processes.terminate_session(left["session"], left["started"], GRACE):
            raise MuxError(f"{task}: a check that was left running does not end; look at: ps -s {left['session']}")
        path.unlink(missing_ok=True)

    def run(self, attempt: Attempt, rules: GateRules) -> CheckResult:
        """How the check of what is in the attempt's home now ends, from an earlier run if that was of the same.

        Raises MuxError when it cannot be run, or when `end` was called.
        """
        self.end_left(attempt.task)
        path = self._folder / "runs" / attempt.task / str(attempt.number) / "check.json"
        digest = _digest(rules)
        head, tree = snapshots.seen(attempt.home.path)
        for _ in range(1 + AGAIN):
            wanted = {"command": digest, "head": head, "tree": tree}
            kept: dict[str, Any] = read_json(path) or {}
            if wanted.items() <= kept.items():
                return CheckResult(**{name: kept[name] for name in _KEPT if name in kept})
            result = self._once(attempt, rules, CheckResult(head or "", tree, 0.0))
            before, (head, tree) = (head, tree), snapshots.seen(attempt.home.path)
            if before == (head, tree):
                write_json(path, wanted | {"at": time.time()} | {name: getattr(result, name) for name in _KEPT})
                return result
        return replace(result, steady=False)

    def _once(self, attempt: Attempt, rules: GateRules, result: CheckResult) -> CheckResult:
        """One run, whatever happens to the files meanwhile."""
        assert rules.check is not None
        if self._over.is_set():
            raise MuxError(f"{attempt.task}: its check was not run: mux ends")
        ports, leases = self._lease(attempt)
        try:
            environment = self._variables(attempt, rules, ports)
            argv = ["sh", "-c", _GATED, "sh", rules.check]
            with sh.open_session(argv, cwd=attempt.home.path, env=environment) as process:
                return self._watch(process, attempt, rules.check_timeout, result)
        finally:
            for lease in leases:
                os.close(lease)

    def _watch(self, process: sh.Process, attempt: Attempt, limit: float, result: CheckResult) -> CheckResult:
        started = processes.start_time(process.pid) or ""
        note = self._note(attempt.task)
        try:
            write_json(private_folder(note.parent) / note.name, {"session": process.pid, "started": started})
            begin = time.monotonic()
            with _Log(self._folder / "runs" / attempt.task / str(attempt.number) / "check.log") as log:
                _let_go(process)
                in_time = self._follow(process, log, begin + limit)
                ended = _end(process, started, log)
        except BaseException:
            processes.terminate_session(process.pid, started, 0.0)
            raise
        if not ended:
            raise MuxError(f"{attempt.task}: its check does not end, not even by KILL; look at: ps -s {process.pid}")
        note.unlink(missing_ok=True)
        if self._over.is_set():
            raise MuxError(f"{attempt.task}: its check was ended: mux ends")
        result = replace(result, seconds=round(time.monotonic() - begin, 3))
        code = process.wait()
        if not in_time:
            return result
        return replace(result, code=code) if code >= 0 else replace(result, signal=-code)

    def _follow(self, process: sh.Process, log: _Log, deadline: float) -> bool:
        """Copy what it prints until it ends by itself; False when its time is over, or mux's is."""
        while process.poll() is None:
            if time.monotonic() > deadline or self._over.is_set():
                return False
            if not log.copy(process, _POLL):  # it closed its output and goes on
                time.sleep(_POLL)
        return True

    def _variables(self, attempt: Attempt, rules: GateRules, ports: Mapping[str, str]) -> dict[str, str]:
        """What the worker had."""
        own = {"MUX_TASK": attempt.task, "MUX_ATTEMPT": str(attempt.number), "MUX_BOARD": str(self._board)}
        return {**self._environment, **rules.env, **own, **ports, "PWD": str(attempt.home.path)}

    def _lease(self, attempt: Attempt) -> tuple[dict[str, str], list[int]]:
        """As many ports as the worker had; not the same ones: it may use them still, or another worker does."""
        if attempt.ports is None:
            return {}, []
        count = attempt.ports[1] - attempt.ports[0] + 1
        try:
            with one_line_errors("lease ports in", Path(wrapper.state_folder())):
                first, leases = wrapper.lease_ports(count)
        except wrapper.CannotStart as error:
            raise MuxError(f"{attempt.task}: its check was not run: {error}") from None
        return {"MUX_PORT": str(first), "MUX_PORTS": str(count)}, leases

    def _note(self, task: str) -> Path:
        return self._folder / "runs" / task / "checking.json"


class _Log:
    """Keeps the beginning and the end of what is written to it. A full disk costs the log, not the check."""

    def __init__(self, path: Path) -> None:
        with one_line_errors("write", path):
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._room = LOG_PART
        self._tail = bytearray()
        self._left_out = 0

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._cut(LOG_PART)
        note = f"\n[mux: {self._left_out} bytes left out]\n".encode() if self._left_out else b""
        self._put(note + self._tail)
        os.close(self._file)

    def copy(self, process: sh.Process, wait: float) -> bool:
        """What it has printed, waited for up to `wait` seconds; False once its output is closed."""
        assert process.stdout is not None
        waiting = select.poll()  # `select.select` refuses descriptors from 1024
        waiting.register(process.stdout, select.POLLIN)
        if not waiting.poll(wait * 1000):
            return True
        data = os.read(process.stdout.fileno(), 65536)
        self._put(data[: self._room])
        self._tail += data[self._room :]
        self._room = max(0, self._room - len(data))
        if len(self._tail) > 2 * LOG_PART:
            self._cut(LOG_PART)
        return bool(data)

    def _cut(self, length: int) -> None:
        over = max(0, len(self._tail) - length)
        del self._tail[:over]
        self._left_out += over

    def _put(self, data: bytes | bytearray) -> None:
        with suppress(OSError):
            while data:
                data = data[os.write(self._file, data) :]


def _let_go(process: sh.Process) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(b"go\n")
        process.stdin.close()


def _end(process: sh.Process, started: str, log: _Log) -> bool:
    """End what is left of its session, then keep what it printed last; True once nothing of it lives."""
    ended = processes.terminate_session(process.pid, started, GRACE)
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    with suppress(BlockingIOError):  # what escaped from the session still has its output open
        while log.copy(process, 0.0):
            pass
    return ended


def _digest(rules: GateRules) -> str:
    """Of what the result depends on beside the files."""
    asked = [rules.check, rules.check_timeout, sorted(rules.env.items())]
    return hashlib.sha256(json.dumps(asked).encode(errors="surrogateescape")).hexdigest()
