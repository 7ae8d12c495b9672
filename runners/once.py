"""Steps that run once a task, ever: the records behind `mux once`, under `.mux/once/<task>/<digest of the key>/`.

    begin-<n>.json   run n was begun: what, by whom, and whose answer allowed it; made before anything of it runs
    out-<n>, err-<n> what it printed
    end-<n>.json     how it ended; durable before the caller hears of it
    said-<n>.json    a person says that it took effect, although nobody saw it end

Each is made by an atomic create and never changed. Run 1 needs nobody; each later one needs a person's answer, and only
one of two who have the same answer makes its begin record. So whoever is killed at whatever moment, no run is repeated
without a person, and no end is forgotten.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Any

from board.errors import Damaged, MuxError, UsageError
from board.storage import create_exclusive, one_line_errors, private_folder, read_json, sync_folder
from runners import processes

LONGEST_KEY = 200  # characters
#: Any trace of a run counts as begun, also one that was set aside as damaged beside it.
_TRACE = re.compile(r"(?:(?:begin|end|said)-(\d+)\.json|(?:out|err)-(\d+)\Z)")


class State(StrEnum):
    RUNNING = "running"  # a process of it lives
    FINISHED = "finished"  # it ended by itself, or a person says that it took effect
    UNFINISHED = "unfinished"  # it was begun, nothing of it lives, and nobody knows what it did
    NEVER_RAN = "never-ran"  # its program could not be started: as if it had not been begun


class How(StrEnum):
    EXITED = "exited"
    INTERRUPTED = "interrupted"  # by a signal, its own or one to whoever ran it
    NEVER_RAN = "never-ran"


STATES = {How.EXITED: State.FINISHED, How.INTERRUPTED: State.UNFINISHED, How.NEVER_RAN: State.NEVER_RAN}


@dataclass(frozen=True, slots=True)
class End:
    how: How
    code: int  # as a shell says it: 128 and the signal's number for a signal
    at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Said:
    by: str
    at: float
    request: str  # the id of the question that was answered


@dataclass(frozen=True, slots=True)
class Step:
    """The newest run of one key, as it was looked at.

    `processes`: those of it, with their starts: who runs it, and the command. Of a run whose begin record is gone that
    is not known, nor is `argv`; then nobody knows whether it took effect.
    """

    folder: Path
    number: int
    key: str
    argv: tuple[str, ...]
    attempt: int
    at: float
    processes: tuple[tuple[int, str], ...]
    request: str | None  # the id of the question whose answer allowed it; None for a first run
    state: State
    end: End | None = None
    said: Said | None = None

    @property
    def command(self) -> str:
        """As a person would type it."""
        import shlex

        return shlex.join(self.argv)

    @property
    def printed(self) -> tuple[Path, Path]:
        """Its standard output and its standard error."""
        return printed(self.folder, self.number)


def steps(folder: Path, task: str) -> tuple[Step, ...]:
    """Every step of a task that was begun, oldest first. `folder` is `.mux`. Raises `MuxError` for a damaged record."""
    where = folder / "once" / task
    with one_line_errors("list", where):
        try:
            names = [entry.name for entry in os.scandir(where) if entry.is_dir()]
        except FileNotFoundError:
            return ()
    found = (_newest(where / name) for name in names)
    return tuple(sorted((step for step in found if step is not None), key=lambda step: step.at))


def unfinished(folder: Path, task: str) -> tuple[str, ...]:
    """The keys of steps that were begun, of which nothing lives, and of which nobody knows whether they took effect."""
    return tuple(step.key for step in steps(folder, task) if step.state is State.UNFINISHED)


def finished(folder: Path, task: str) -> tuple[str, ...]:
    return tuple(step.key for step in steps(folder, task) if step.state is State.FINISHED)


def running(folder: Path, task: str) -> tuple[int, ...]:
    """The processes of steps that run now."""
    found = (step for step in steps(folder, task) if step.state is State.RUNNING)
    return tuple(pid for step in found for pid, started in step.processes if processes.alive(pid, started))


def set_aside(folder: Path, task: str, number: int) -> None:
    """A new task takes the id over, from its attempt `number` on: the steps of the earlier one are none of its own."""
    where = folder / "once" / task
    with one_line_errors("set aside", where), suppress(FileNotFoundError):
        where.rename(where.with_name(f"{task}.before-{number}"))


def look(folder: Path, task: str, key: str) -> Step | None:
    """The newest run of that key; None when it was never begun. Raises `MuxError` for a damaged record."""
    return _newest(folder_of(folder, task, key), key)


def folder_of(folder: Path, task: str, key: str) -> Path:
    return folder / "once" / task / hashlib.sha256(os.fsencode(key)).hexdigest()[:32]


def printed(where: Path, number: int) -> tuple[Path, Path]:
    return where / f"out-{number}", where / f"err-{number}"


def check_key(key: str) -> None:
    """Raises UsageError for one that is no name for a step."""
    if not key.strip() or len(key) > LONGEST_KEY:
        raise UsageError(f"the key of a step is a text of 1 to {LONGEST_KEY} characters, such as: deploy")


def begin(
    folder: Path,
    task: str,
    key: str,
    argv: Sequence[str],
    attempt: int,
    now: float,
    running: Sequence[tuple[int, str]],
    after: Step | None,
    request: str | None,
) -> Step | None:
    """Write down, durably, that the next run begins; None when somebody else began it first.

    `running`: the processes of it. `after`: the run that it follows. Raises `MuxError`, and nothing is begun then.
    """
    where = private_folder(folder_of(folder, task, key))
    if after is None:
        with one_line_errors("keep", where):
            for parent in (where.parent, where.parent.parent, folder):  # or a power cut could take the record's folder
                sync_folder(parent)
    number = after.number + 1 if after else 1
    record = {"key": key, "argv": list(argv), "attempt": attempt, "at": now, "request": request}
    if not _create(where / f"begin-{number}.json", record | {"processes": [list(each) for each in running]}):
        return None
    return Step(where, number, key, tuple(argv), attempt, now, tuple(running), request, State.RUNNING)


def record_end(step: Step, end: End) -> None:
    """Durable when this returns. Raises `MuxError` (disk full); try again then."""
    _create(step.folder / f"end-{step.number}.json", {"how": end.how, "code": end.code, "at": end.at})


def record_said(step: Step, said: Said) -> None:
    _create(step.folder / f"said-{step.number}.json", {"by": said.by, "at": said.at, "request": said.request})


def _create(path: Path, record: Mapping[str, Any]) -> bool:
    return create_exclusive(path, json.dumps(dict(record), indent=1).encode() + b"\n")


def _newest(where: Path, key: str = "") -> Step | None:
    with one_line_errors("list", where):
        try:
            matches = (_TRACE.match(entry.name) for entry in os.scandir(where))
            numbers = [_number(match) for match in matches if match]
        except FileNotFoundError:
            return None
    return _read(where, max(numbers), key) if numbers else None


def _read(where: Path, number: int, key: str) -> Step:
    path = where / f"begin-{number}.json"
    try:
        record = read_json(path)
        if record is None:
            record = {"key": key or f"{where.name[:8]} (its name is lost)", "argv": [], "attempt": 0, "processes": []}
            record |= {"at": _touched(where, number), "request": None}
        running = tuple((int(pid), str(started)) for pid, started in record["processes"])
        # Looked at before the end: whoever runs it writes the end down, then ends itself.
        lives = any(processes.alive(pid, started) for pid, started in running)
        path = where / f"end-{number}.json"
        end = _end(read_json(path))
        path = where / f"said-{number}.json"
        said = _said(read_json(path))
        path = where / f"begin-{number}.json"
        return Step(
            folder=where,
            number=number,
            key=str(record["key"]),
            argv=tuple(record["argv"]),
            attempt=int(record["attempt"]),
            at=float(record["at"]),
            processes=running,
            request=record["request"],
            state=_state(lives, end if record["argv"] else None, said),
            end=end,
            said=said,
        )
    except (Damaged, KeyError, TypeError, ValueError) as error:
        aside = f"mv {quote(str(path))} {quote(f'{path}.damaged')}"
        raise MuxError(f"{path}: is damaged; set it aside, then a person is asked about its step: {aside}") from error


def _touched(where: Path, number: int) -> float:
    """When a run whose begin record is gone left its first trace."""
    traces = (entry for entry in os.scandir(where) if (match := _TRACE.match(entry.name)) and number == _number(match))
    return min(entry.stat().st_mtime for entry in traces)


def _number(match: re.Match[str]) -> int:
    return int(match[1] or match[2])


def _state(lives: bool, end: End | None, said: Said | None) -> State:
    if said is not None:
        return State.FINISHED
    if end is None:
        return State.RUNNING if lives else State.UNFINISHED
    return STATES[end.how]


def _end(record: Mapping[str, Any] | None) -> End | None:
    return None if record is None else End(How(record["how"]), int(record["code"]), float(record["at"]))


def _said(record: Mapping[str, Any] | None) -> Said | None:
    return None if record is None else Said(record["by"], float(record["at"]), record["request"])
