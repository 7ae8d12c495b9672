"""What an agent itself says of its turn, through its own hooks: a file of its run folder, of which the last counts.

Hooks call `mux report KIND`. They are given to the agent by flags and files of the run folder: nothing is written into
its worktree, nor into the person's own settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from board.errors import MuxError
from board.storage import Stamp, private_folder, read_json, stamp_at, write_atomic, write_json
from runners import reports
from runners.model import Signal
from runners.screens import SAID

_FILE = "signal.json"


def keep(run_folder: Path, signal: Signal) -> None:
    """Keep the newest, then have the control plane look. Raises `MuxError`."""
    write_json(run_folder / _FILE, {"kind": signal.kind, "at": signal.at}, durable=False)
    reports.wake(run_folder, "signal")


class Signals:
    """Of one `.mux` folder. A file is read when it changed: that it did not costs a `stat`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[Stamp, Signal | None]] = {}

    def newest(self, task: str, number: int) -> Signal | None:
        """None when its agent said nothing, or nothing that can be read."""
        path = self._folder / "runs" / task / str(number) / _FILE
        stamp = stamp_at(path)
        if stamp is None:
            return None
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            known = self._read[path] = (stamp, _signal(path))
        return known[1]


def _signal(path: Path) -> Signal | None:
    try:
        record = read_json(path)
    except MuxError:
        return None
    if not isinstance(record, dict) or record.get("kind") not in SAID or not isinstance(record.get("at"), int | float):
        return None
    return Signal(str(record["kind"]), float(record["at"]))


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """What an agent is started with. Raises `MuxError`."""
    for name, text in files.items():
        write_atomic(private_folder(folder) / name, text.encode(), durable=False)
