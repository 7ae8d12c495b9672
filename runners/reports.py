"""What a worker said on purpose: one file a report, under `.mux/runs/<task>/<n>/reports/`, made once, never changed.

    0001-checkpoint.json
    0002-done.json

They are written by the worker's own commands and work while the control plane is down: it finds them when it looks.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from board.errors import MuxError
from board.storage import create_exclusive, one_line_errors, private_folder, read_json, sync_folder, write_atomic
from runners.model import Report

_FILE = re.compile(r"(\d+)-([a-z]+)\.json\Z")
_KINDS = ("done", "blocked", "checkpoint")


def add(run_folder: Path, report: Report) -> None:
    """Keep a report, durably, then wake the control plane. Raises `MuxError` (disk full), and nothing is kept then."""
    folder = private_folder(run_folder / "reports")
    record = {"kind": report.kind, "at": report.at, "text": report.text, "commit": report.commit}
    data = json.dumps(record, indent=1).encode() + b"\n"
    with one_line_errors("keep", folder):
        sync_folder(run_folder)
    serial = max([0, *(number for number, _ in _names(folder))]) + 1
    while not create_exclusive(folder / f"{serial:04}-{report.kind}.json", data):
        serial += 1
    wake(run_folder, report.kind)


def read(run_folder: Path) -> tuple[Report, ...]:
    """All that the worker said, oldest first. Raises `MuxError`, with its path, for a file that is damaged."""
    folder = run_folder / "reports"
    found = [(number, _report(folder / name)) for number, name in _names(folder)]
    # Two of different kinds that were made in the same instant may have the same serial.
    return tuple(report for _, report in sorted(found, key=lambda each: (each[0], each[1].at)))


def wake(run_folder: Path, what: str) -> None:
    """Have the control plane look at once. Losing it costs latency only, so no failure is said."""
    task, number = run_folder.parts[-2:]
    with suppress(MuxError):
        inbox = private_folder(run_folder.parents[2] / "inbox")
        write_atomic(inbox / f"{task}.{number}.{what}", b"", durable=False)


def _names(folder: Path) -> list[tuple[int, str]]:
    """The serial and the name of each report."""
    with one_line_errors("list", folder):
        try:
            with os.scandir(folder) as files:
                matches = [_FILE.match(file.name) for file in files]
        except FileNotFoundError:
            return []
    return [(int(match[1]), match[0]) for match in matches if match]


def _report(path: Path) -> Report:
    record: dict[str, Any] = read_json(path) or {}
    try:
        kind, at, text, commit = record["kind"], float(record["at"]), str(record["text"]), record["commit"]
    except (KeyError, TypeError, ValueError) as error:
        raise MuxError(f"{path}: is damaged ({error!r}); move it away") from error
    if kind not in _KINDS or not (commit is None or isinstance(commit, str)):
        raise MuxError(f"{path}: is damaged (no report that mux writes); move it away")
    return Report(kind, at, text, commit)
