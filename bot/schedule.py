"""Digests at the times that the board names: none is lost by a restart or a sleeping laptop, none is posted twice.

    .mux/outbox/slots/schedule.json   how far each schedule was looked at; what was skipped and is not said yet
    .mux/outbox/slots/<digest>.json   one slot: claimed -> put (into the outbox) -> confirmed (it stands in the chat)

Level-triggered: `Digester.look` compares the clock with what is kept, whoever woke it. A slot is claimed before its
digest goes into the outbox, under a key of its own: doing that again after a crash edits, and does not post twice.
`Alarm` only wakes, by APScheduler.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from board.errors import MuxError
from board.model import DigestSettings
from board.storage import create_exclusive, digest, one_line_errors, private_folder, read_json, write_json
from bot.posts import Post
from bot.slots import GRACE, Slot, cron_fields, due_slots, identity, name, next_slot, zone

#: The post of a slot: since when it has to tell, and what else is to be said.
Make = Callable[[Slot, "float | None", Sequence[str]], Post]

#: A sleeping machine stops the clock that threads wait by: it is looked at least so often, in seconds.
LOOK_AGAIN = 60
_KEPT = 30 * 86400.0
_NAMED = 3  # skipped slots that are named; the others are counted


class Digester:
    """One for each control plane. `put` puts a post into the outbox; `stands`: whether the chat has it, by its key."""

    def __init__(
        self,
        folder: Path,
        put: Callable[[Post, float], object],
        stands: Callable[[str], bool],
        make: Make,
        local: tzinfo,
    ) -> None:
        self._folder = folder / "outbox" / "slots"
        self._put = put
        self._stands = stands
        self._make = make
        self._local = local

    def look(self, digests: Sequence[DigestSettings], now: float) -> float | None:
        """Put the digests that are due into the outbox; returns when the next one is. Raises MuxError (disk full)."""
        schedule = self._read("schedule") or {}
        seen: dict[str, float] = schedule.get("seen", {})
        skipped: dict[str, list[str]] = schedule.get("skipped", {})
        due: dict[str, list[Slot]] = {}
        for slot in due_slots(digests, seen, now, self._local):
            due.setdefault(identity(slot.digest), []).append(slot)
        for whose, slots in due.items():
            newest = slots[-1] if slots[-1].at >= now - GRACE else None
            missed = [slot.local for slot in slots if slot is not newest and not self._state(slot)]
            skipped[whose] = list(dict.fromkeys([*skipped.get(whose, []), *missed]))
            if newest is not None and self._state(newest) in (None, "claimed"):
                self._post(newest, skipped[whose], now)
                skipped[whose] = []
        kept = {name(each): now for each in digests}
        if due or kept.keys() != seen.keys() or any(abs(now - at) > LOOK_AGAIN for at in seen.values()):
            told = {whose: slots for whose, slots in skipped.items() if slots}
            write_json(private_folder(self._folder) / "schedule.json", {"seen": kept, "skipped": told})
        return next_slot(digests, now, self._local)

    def confirm(self) -> list[str]:
        """Note which digests stand in the chat by now; returns the keys of those that do not yet."""
        waiting = []
        for record in self._records():
            if record["state"] == "put" and self._stands(record["post"]):
                self._write(record | {"state": "confirmed"})
            elif record["state"] != "confirmed":
                waiting.append(str(record["post"]))
        return waiting

    def _post(self, slot: Slot, missed: Sequence[str], now: float) -> None:
        """Claim the slot, or go on with a claim that a crash left, and put its digest into the outbox."""
        whose = identity(slot.digest)
        record = {"key": slot.key, "whose": whose, "local": slot.local, "at": slot.at, "post": f"digest:{slot.key}"}
        path = private_folder(self._folder) / f"{_file(slot.key)}.json"
        create_exclusive(path, json.dumps(record | {"state": "claimed", "said": False}).encode())
        self.confirm()
        earlier = [each for each in self._records() if each["whose"] == whose and each["key"] != slot.key]
        doubtful = [each for each in earlier if each["state"] != "confirmed" and not each["said"]]
        # One that is still to come was before the clock was set back.
        since = max((each["put"] for each in earlier if "put" in each and each["put"] <= now), default=None)
        notes = [*_skipped_notes(missed), *(_doubt(each["local"]) for each in doubtful)]
        self._put(self._make(slot, since, notes), now)
        self._write(record | {"state": "put", "said": False, "put": now})
        for each in doubtful:
            self._write(each | {"said": True})
        self._prune(now)

    def _state(self, slot: Slot) -> str | None:
        """What is kept of a slot: `claimed`, `put`, `confirmed`, or nothing."""
        record = self._read(_file(slot.key))
        return None if record is None else str(record["state"])

    def _records(self) -> Iterator[dict[str, Any]]:
        with suppress(FileNotFoundError):
            for entry in sorted(os.scandir(self._folder), key=lambda entry: entry.name):
                stem, dot, suffix = entry.name.partition(".")
                if stem and dot and suffix == "json" and stem != "schedule":
                    record = self._read(stem)
                    if record is not None:
                        yield record

    def _read(self, stem: str) -> dict[str, Any] | None:
        with suppress(MuxError):  # damaged: as if it were not there
            return read_json(self._folder / f"{stem}.json")
        return None

    def _write(self, record: Mapping[str, Any]) -> None:
        write_json(self._folder / f"{_file(record['key'])}.json", record)

    def _prune(self, now: float) -> None:
        for record in list(self._records()):
            if record["at"] < now - _KEPT:
                path = self._folder / f"{_file(record['key'])}.json"
                with one_line_errors("remove", path):
                    path.unlink(missing_ok=True)


class Alarm:
    """Calls `wake` at every slot, and now and then, in a thread of its own. Not more: who is woken looks for itself."""

    def __init__(self, wake: Callable[[], object], local: tzinfo) -> None:
        from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]

        self._wake = wake
        self._local = local
        self._set: tuple[DigestSettings, ...] | None = None
        defaults = {"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        self.scheduler = BackgroundScheduler(timezone=local, job_defaults=defaults)

    def start(self) -> None:
        self.scheduler.start()

    def stop(self) -> None:
        self.scheduler.shutdown(wait=False)

    def set(self, digests: Iterable[DigestSettings]) -> None:
        """What the board says now; nothing happens when it says the same."""
        from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]
        from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

        wanted = tuple(dict.fromkeys(digests))
        if wanted == self._set:
            return
        self.scheduler.remove_all_jobs()
        if wanted:
            self.scheduler.add_job(self._wake, IntervalTrigger(seconds=LOOK_AGAIN), id="look again")
        for each in wanted:
            for number, fields in enumerate(cron_fields(each.at)):
                trigger = CronTrigger(**fields, timezone=zone(each, self._local))
                self.scheduler.add_job(self._wake, trigger, id=f"{name(each)} {number}")
        self._set = wanted


def local_zone() -> tzinfo:
    """The time zone of this machine, with its summer and winter time; UTC where `TZ` names none that there is."""
    from tzlocal import get_localzone

    try:
        found: tzinfo = get_localzone()
    except (LookupError, ValueError, OSError):
        return UTC
    return found


def _file(key: str) -> str:
    return digest(key.encode())[:24]


def _doubt(local: str) -> str:
    return f"The digest of {local.replace('T', ' ')} is not known to have arrived."


def _skipped_notes(missed: Sequence[str]) -> list[str]:
    if not missed:
        return []
    named = ", ".join(each.replace("T", " ") for each in missed[-_NAMED:])
    more = f", and {len(missed) - _NAMED} before" if len(missed) > _NAMED else ""
    return [f"Skipped, as nobody was there to post: {named}{more}."]
