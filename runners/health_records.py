"""How a worker is, kept in its run folder: a control plane that starts anew goes on from it, and tells nobody twice."""

from __future__ import annotations

from pathlib import Path

from board.errors import MuxError
from board.storage import read_json, write_json
from runners.health import Condition, Health, Name, Told
from runners.screens import SHOWN, UNKNOWN, Seen

_FILE = "health.json"


def keep(run_folder: Path, health: Health) -> None:
    """Raises `MuxError` (disk full)."""
    condition = health.condition
    record = {
        "condition": [condition.name, condition.reason, condition.evidence, condition.since, condition.until],
        "told": [[each.name, each.reason, each.at, each.seen] for each in health.told],
        "progress": health.progress,
        "progress_at": health.progress_at,
        "active_at": health.active_at,
        "person_at": health.person_at,
        "overtaken_at": health.overtaken_at,
    }
    write_json(run_folder / _FILE, record, durable=False)


def recall(run_folder: Path, now: float) -> Health | None:
    """What was kept, as it is to be judged from `now` on; None: nothing was, or nothing that can be read.

    Nobody saw what was computed meanwhile: only of a worker that was silent it still counts since when.
    """
    try:
        record = read_json(run_folder / _FILE) or {}
        name, reason, evidence, since, until = record["condition"]
        condition = Condition(Name(name), str(reason), str(evidence), float(since), until and float(until))
        told = tuple(Told(Name(each[0]), str(each[1]), float(each[2]), float(each[3])) for each in record["told"])
        progress, progress_at, active_at = record["progress"], float(record["progress_at"]), float(record["active_at"])
        person_at, overtaken_at = (float(record.get(name, 0.0)) for name in ("person_at", "overtaken_at"))  # newer keys
    except (MuxError, KeyError, IndexError, TypeError, ValueError):
        return None
    shown = condition.name in SHOWN
    return Health(
        condition,
        told=told,
        seen=Seen(str(condition.name), condition.reason, condition.evidence) if shown else UNKNOWN,
        progress=progress if isinstance(progress, str) else None,
        progress_at=progress_at,
        person_at=person_at,
        overtaken_at=overtaken_at,
        active_at=active_at if condition.name is Name.SILENT else now,
        waited_at=now if shown and condition.name is not Name.WORKING else 0.0,
    )
