"""Slots of digests: none is lost, none is posted twice, whatever happens to mux, the laptop or the board."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tzlocal

from board.errors import MuxError
from board.model import DigestSettings
from bot.outbox import Outbox
from bot.posts import Post
from bot.schedule import Alarm, Digester, local_zone
from bot.slots import GRACE, Slot
from tests.support import wait_for

BERLIN = ZoneInfo("Europe/Berlin")
DAILY = DigestSettings("0 8 * * *", "Europe/Berlin")
HOUR = 3600.0


def berlin(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


EIGHT = berlin("2026-11-23T08:00")


class Crash(Exception):
    pass


class Machine:
    """A control plane with a real outbox; `crash_at` names the step in which it is killed."""

    def __init__(self, folder: Path, crash_at: str = "") -> None:
        self.folder = folder
        self.outbox = Outbox(folder)
        self.made: list[tuple[str, float | None, tuple[str, ...]]] = []
        self.crash_at = crash_at
        self.restart()

    def restart(self) -> None:
        self.digester = Digester(self.folder, self._put, self._stands, self._make, UTC)

    def look(self, now: float, *digests: DigestSettings) -> None:
        try:
            self.digester.look(digests or (DAILY,), now)
        except Crash:
            self.crash_at = ""
            self.restart()

    def post(self, now: float, but: str = "-") -> None:
        """The poster has its turn, and Slack takes everything, but what begins so."""
        for entry in self.outbox.waiting():
            if entry.post.key.startswith(but):
                continue
            claimed = self.outbox.claim(entry, "C0MUX", now)
            self.outbox.stands(claimed, f"{now}", entry.content, now)

    @property
    def slots(self) -> list[str]:
        """What is in the outbox, one for each message that people see."""
        return [entry.post.key.removeprefix("digest:") for entry in self.outbox.entries()]

    def _put(self, post: Post, now: float) -> None:
        if self.crash_at == "before the outbox":
            raise Crash
        self.outbox.put(post, now)
        if self.crash_at == "after the outbox":
            raise Crash

    def _stands(self, key: str) -> bool:
        entry = self.outbox.get(key)
        return entry is not None and entry.sent.ts is not None

    def _make(self, slot: Slot, since: float | None, notes: Sequence[str]) -> Post:
        if self.crash_at == "after the claim":
            raise Crash
        self.made.append((slot.local, since, tuple(notes)))
        return Post(f"digest:{slot.key}", f"{slot.local} {notes}", channel=slot.digest.channel)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path)
    found.look(EIGHT - HOUR)
    return found


def test_a_slot_is_posted_when_it_comes_and_only_then(machine: Machine) -> None:
    machine.look(EIGHT - 1)
    assert machine.slots == []
    for seconds in range(0, 300, 7):
        machine.look(EIGHT + seconds)
    assert machine.slots == ["2026-11-23T08:00 Europe/Berlin board"] and len(machine.made) == 1


def test_it_says_when_the_next_one_comes(machine: Machine) -> None:
    assert machine.digester.look([DAILY], EIGHT - 60) == EIGHT
    assert machine.digester.look([DAILY], EIGHT) == EIGHT + 24 * HOUR
    assert machine.digester.look([], EIGHT) is None


@pytest.mark.parametrize("restart_at", [EIGHT - 1, EIGHT, EIGHT + 1])
def test_a_restart_before_at_and_after_the_slot(machine: Machine, restart_at: float) -> None:
    for now in (EIGHT - 2, EIGHT - 1, EIGHT, EIGHT + 1, EIGHT + 2, EIGHT + 70):
        if now == restart_at:
            machine.restart()
        machine.look(now)
    assert len(machine.slots) == len(machine.made) == 1


@pytest.mark.parametrize("crash_at", ["after the claim", "before the outbox", "after the outbox"])
@pytest.mark.parametrize("down", [1.0, 5 * HOUR])
def test_a_kill_anywhere_in_the_slot(machine: Machine, crash_at: str, down: float) -> None:
    machine.crash_at = crash_at
    machine.look(EIGHT)
    if crash_at == "after the outbox":
        machine.post(EIGHT)
    for seconds in (0, 1, 70, 140):
        machine.look(EIGHT + down + seconds)
        machine.post(EIGHT + down + seconds)
    assert machine.slots == ["2026-11-23T08:00 Europe/Berlin board"]
    assert machine.digester.confirm() == []


@pytest.mark.parametrize("away", [60.0, 3 * HOUR, GRACE])
def test_a_laptop_that_slept_across_the_slot_posts_on_waking_once(machine: Machine, away: float) -> None:
    for seconds in (0, 1, 70):
        machine.look(EIGHT + away + seconds)
    assert machine.slots == ["2026-11-23T08:00 Europe/Berlin board"]


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_too_old_is_skipped_and_the_next_digest_says_so(machine: Machine, restarted: bool) -> None:
    machine.look(EIGHT + GRACE + 1)
    if restarted:
        machine.restart()
    assert machine.slots == []
    machine.look(EIGHT + 24 * HOUR)
    machine.look(EIGHT + 48 * HOUR)
    assert [(local, notes) for local, _, notes in machine.made] == [
        ("2026-11-24T08:00", ("Skipped, as nobody was there to post: 2026-11-23 08:00.",)),
        ("2026-11-25T08:00", ("The digest of 2026-11-24 08:00 is not known to have arrived.",)),
    ]


def test_of_many_that_were_missed_the_newest_is_posted_and_the_others_are_said(machine: Machine) -> None:
    hourly = DigestSettings("0 * * * *", "Europe/Berlin")
    machine.look(EIGHT - 60, hourly)
    machine.look(EIGHT + 5 * HOUR + 60, hourly)
    machine.look(EIGHT + 5 * HOUR + 120, hourly)
    ((local, _, (note,)),) = machine.made
    assert local == "2026-11-23T13:00" and note.endswith("10:00, 2026-11-23 11:00, 2026-11-23 12:00, and 2 before.")


def test_what_never_arrived_is_said_once(machine: Machine) -> None:
    for day in range(4):
        machine.look(EIGHT + day * 24 * HOUR)
        machine.post(EIGHT + day * 24 * HOUR + 2, but="digest:2026-11-23")
    assert [len(notes) for _, _, notes in machine.made] == [0, 1, 0, 0]


def test_a_kill_before_it_was_kept_how_far_it_was_looked(machine: Machine) -> None:
    schedule = machine.folder / "outbox" / "slots" / "schedule.json"
    hourly = DigestSettings("0 * * * *", "Europe/Berlin")
    machine.look(EIGHT - 60, hourly)
    before = schedule.read_bytes()
    machine.look(EIGHT, hourly)
    machine.post(EIGHT)
    schedule.write_bytes(before)
    machine.restart()
    machine.look(EIGHT + 60, hourly)
    assert len(machine.made) == 1
    schedule.write_bytes(before)
    machine.look(EIGHT + HOUR, hourly)
    assert [(local, notes) for local, _, notes in machine.made[1:]] == [("2026-11-23T09:00", ())], "none was skipped"


def test_a_clock_that_was_a_year_ahead_silences_nothing(machine: Machine) -> None:
    machine.look(EIGHT + 365 * 24 * HOUR)
    machine.look(EIGHT + HOUR)
    machine.look(EIGHT + 24 * HOUR)
    assert machine.slots[-1].startswith("2026-11-24")


def test_what_arrived_is_not_doubted(machine: Machine) -> None:
    machine.look(EIGHT)
    machine.post(EIGHT + 1)
    machine.look(EIGHT + 24 * HOUR)
    assert [notes for _, _, notes in machine.made] == [(), ()]


def test_each_digest_tells_what_came_after_the_last_one(machine: Machine) -> None:
    machine.look(EIGHT + 5)
    machine.restart()
    machine.look(EIGHT + 24 * HOUR)
    assert [since for _, since, _ in machine.made] == [None, EIGHT + 5]


def test_a_digest_after_the_clock_was_set_back_tells_what_happened_until_now(machine: Machine) -> None:
    machine.look(EIGHT + 5)
    machine.post(EIGHT + 6)
    machine.look(EIGHT + 24 * HOUR + 5)
    machine.post(EIGHT + 24 * HOUR + 6)
    for hours in (-1, 0.5):  # from tomorrow into today
        machine.look(EIGHT + hours * HOUR, DigestSettings("15 8 * * *", "Europe/Berlin"))
    assert machine.made[-1][:2] == ("2026-11-23T08:15", EIGHT + 5)


def test_two_digests_at_one_time(machine: Machine) -> None:
    other = DigestSettings("0 8 * * *", "Europe/Berlin", "C0OTHER")
    same = DigestSettings("0 8 * * mon", "Europe/Berlin")
    machine.look(EIGHT - 60, DAILY, other, same)
    machine.look(EIGHT, DAILY, other, same)
    machine.look(EIGHT + 1, same, other, DAILY)
    assert machine.slots == ["2026-11-23T08:00 Europe/Berlin board", "2026-11-23T08:00 Europe/Berlin C0OTHER"]


@pytest.mark.parametrize("asleep", [False, True])
def test_the_night_with_two_half_past_two(tmp_path: Path, asleep: bool) -> None:
    machine = Machine(tmp_path)
    early = DigestSettings("30 2 * * *", "Europe/Berlin")
    machine.look(berlin("2026-10-25T01:00"), early)
    now, morning = berlin("2026-10-25T01:00"), berlin("2026-10-25T08:00")
    while now < morning:
        now = morning if asleep else now + 300
        machine.look(now, early)
    assert machine.slots == ["2026-10-25T02:30 Europe/Berlin board"] and len(machine.made) == 1


@pytest.mark.parametrize("asleep", [False, True])
def test_the_night_without_half_past_two(tmp_path: Path, asleep: bool) -> None:
    machine = Machine(tmp_path)
    early = DigestSettings("30 2 * * *", "Europe/Berlin")
    now, morning = berlin("2026-03-29T01:00"), berlin("2026-03-29T08:00")
    machine.look(now, early)
    while now < morning:
        now = morning if asleep else now + 300
        machine.look(now, early)
    assert machine.slots == ["2026-03-29T02:30 Europe/Berlin board"] and len(machine.made) == 1


def test_a_changed_schedule_takes_effect_at_once_and_makes_no_slot_twice(machine: Machine) -> None:
    machine.look(EIGHT)
    on_weekdays, later, past = (
        DigestSettings(at, "Europe/Berlin") for at in ("0 8 * * 1-5", "30 8 * * *", "5 8 * * *")
    )
    machine.look(EIGHT + 10, on_weekdays)
    machine.look(EIGHT + 20, DAILY)
    machine.look(EIGHT + 600, past)  # 08:05 is over: it was not on the board then
    machine.look(EIGHT + 610, later)
    assert machine.slots == ["2026-11-23T08:00 Europe/Berlin board"]
    machine.look(EIGHT + 1800, later)
    machine.look(EIGHT + 24 * HOUR, later)
    assert machine.slots[1:] == ["2026-11-23T08:30 Europe/Berlin board"]


def test_a_schedule_changed_while_mux_was_down_begins_with_the_start(machine: Machine) -> None:
    machine.restart()
    machine.look(EIGHT + HOUR, DigestSettings("30 8 * * *", "Europe/Berlin"))
    assert machine.slots == []


def test_the_first_start_ever_makes_up_for_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.look(EIGHT + 60)
    assert machine.slots == []


def test_a_clock_that_is_set_back_makes_no_slot_twice(machine: Machine) -> None:
    machine.look(EIGHT + 60)
    machine.look(EIGHT - 600)
    machine.restart()
    machine.look(EIGHT)
    machine.look(EIGHT + 90)
    assert len(machine.made) == 1


def test_a_full_disk_is_tried_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = machine.outbox.put

    def full(post: Post, now: float) -> bool:
        raise MuxError("no space left")

    monkeypatch.setattr(machine.outbox, "put", full)
    with pytest.raises(MuxError):
        machine.look(EIGHT)
    monkeypatch.setattr(machine.outbox, "put", real)
    machine.look(EIGHT + 30)
    assert len(machine.slots) == 1


def test_damaged_files_lose_no_later_slot(machine: Machine) -> None:
    machine.look(EIGHT)
    for path in (machine.folder / "outbox" / "slots").iterdir():
        path.write_bytes(b"{")
    machine.look(EIGHT + 60)
    machine.look(EIGHT + 24 * HOUR)
    assert [slot[:10] for slot in machine.slots] == ["2026-11-23", "2026-11-24"]


def test_old_slots_are_forgotten(machine: Machine) -> None:
    for day in range(40):
        machine.look(EIGHT + day * 24 * HOUR)
    assert 30 <= len(list((machine.folder / "outbox" / "slots").iterdir())) <= 33


class Bell:
    def __init__(self) -> None:
        self.rung = threading.Event()

    def __call__(self) -> None:
        self.rung.set()


def test_the_alarm_rings_at_each_slot_and_follows_the_board() -> None:
    bell = Bell()
    alarm = Alarm(bell, UTC)
    alarm.start()
    try:
        alarm.set([DAILY, DigestSettings("0 9 13 * fri", "UTC")])
        jobs = {job.id: job for job in alarm.scheduler.get_jobs()}
        assert len(jobs) == 4  # a day of the month, a weekday, and the look now and then
        first = jobs[f"{DAILY.at} Europe/Berlin board 0"]
        assert first.next_run_time.astimezone(BERLIN).strftime("%H:%M") == "08:00"
        assert not bell.rung.is_set()
        first.modify(next_run_time=datetime.now(UTC))
        wait_for(bell.rung.is_set, "the alarm did not ring")
        same = alarm.scheduler.get_jobs()
        alarm.set([DAILY, DigestSettings("0 9 13 * fri", "UTC")])
        assert [id(job) for job in alarm.scheduler.get_jobs()] == [id(job) for job in same]
        alarm.set([])
        assert alarm.scheduler.get_jobs() == []
    finally:
        alarm.stop()


def test_an_alarm_that_rings_late_still_rings() -> None:
    bell = Bell()
    alarm = Alarm(bell, UTC)
    alarm.set([DAILY])
    job = alarm.scheduler.get_job(f"{DAILY.at} Europe/Berlin board 0")
    assert job is not None
    alarm.start()
    try:
        assert job.misfire_grace_time is None
        job.modify(next_run_time=datetime.fromtimestamp(EIGHT, UTC))
        wait_for(bell.rung.is_set, "the alarm did not ring")
    finally:
        alarm.stop()


def test_the_time_zone_of_this_machine_knows_summer(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Europe/Berlin")
        tzlocal.reload_localzone()
        days = (berlin("2026-01-01T12:00"), berlin("2026-07-01T12:00"))
        hours = {datetime.fromtimestamp(day, local_zone()).utcoffset() for day in days}
    tzlocal.reload_localzone()
    assert len(hours) == 2


def test_a_time_zone_that_there_is_not_turns_nothing_off() -> None:
    code = "from bot.schedule import local_zone; print(local_zone())"
    environment = {**os.environ, "TZ": "Bogus/Zone"}  # of a process of its own: it is looked up once
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "UTC\n"
