from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from board.model import Status
from board.storage import read_json
from runners import claims, processes, reports
from runners import records as records_module
from runners.model import Attempt, Exit, Home, Judged, Liveness, Next, Nudge, Outcome, Report, Stop
from runners.records import Records

INTENT: dict[str, Any] = {
    "task": "fix",
    "attempt": 1,
    "created": 100.0,
    "agent": "shell",
    "mode": "headless",
    "cwd": "/homes/fix",
    "branch": "mux/shop/fix",
    "start_commit": "feed",
    "timeout": 60.0,
    "done_when": ["clean"],
}
DONE = Outcome(Status.DONE, "done", "exit 0", 200.0, "beef")


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path)


def own_start(**changes: Any) -> dict[str, Any]:
    """As a wrapper writes it whose session is that of this very process."""
    pid = os.getsid(0)
    started = processes.start_time(pid) or f"1@{processes.boot_id()}"
    base = {"wrapper_pid": pid, "wrapper_start": started, "session": pid, "boot_id": processes.boot_id()}
    return base | {"ports": [20000, 20009], "at": 101.0, "pid": 4242, "pid_start": "1"} | changes


#: A session that is over: no process has this number.
GONE: dict[str, Any] = {"session": 2**22 + 1, "wrapper_start": f"1@{processes.boot_id()}"}


def write(records: Records, name: str, record: dict[str, Any], number: int = 1, task: str = "fix") -> None:
    folder = records.run_folder(task, number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(record))


def exit_record(**changes: Any) -> dict[str, Any]:
    return {"at": 150.0, "code": 0, "signal": None, "phase": "run", "hangup": False} | changes


@contextmanager
def working(records: Records, number: int = 1) -> Iterator[None]:
    """A wrapper holds the claim."""
    claims.grant(records.folder, "fix", number, 100.0)
    with claims.claim_path(records.folder, "fix").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def seen(records: Records) -> Attempt:
    return records.attempts()["fix"]


def test_nothing_ran_yet(records: Records) -> None:
    assert records.attempts() == {}
    assert records.numbers("fix") == [] and records.all_of("fix") == []
    assert records.session("fix", 1) is None


def test_an_intent_is_an_attempt_that_is_planned(records: Records) -> None:
    records.plan("fix", 1, INTENT)
    assert seen(records) == Attempt(
        task="fix",
        number=1,
        created=100.0,
        agent="shell",
        mode="headless",
        home=Home(Path("/homes/fix"), "mux/shop/fix", "feed"),
        liveness=Liveness.PLANNED,
        timeout=60.0,
        done_when=("clean",),
        conversation=1,
    )


def test_a_completed_intent_is_what_counts(records: Records) -> None:
    records.plan("fix", 1, INTENT | {"start_commit": ""})
    assert seen(records).home.start_commit == ""
    records.plan("fix", 1, INTENT)
    assert seen(records).home.start_commit == "feed"
    assert records.read("fix", 1).home.start_commit == "feed"


def test_a_wrapper_in_setup_and_then_at_work(records: Records) -> None:
    records.plan("fix", 1, INTENT)
    with working(records):
        assert seen(records).liveness is Liveness.RUNNING  # before its start record, too
        write(records, "start.json", own_start(pid=None))
        assert (seen(records).liveness, seen(records).started, seen(records).pid) == (Liveness.RUNNING, None, None)
        write(records, "start.json", own_start())
        assert (seen(records).started, seen(records).pid, seen(records).ports) == (101.0, 4242, (20000, 20009))
    assert records.session("fix", 1) == (own_start()["session"], own_start()["wrapper_start"])


def test_a_claim_of_another_epoch_is_not_its_own(records: Records) -> None:
    records.plan("fix", 1, INTENT)
    with working(records, number=2):
        assert seen(records).liveness is Liveness.PLANNED


@pytest.mark.parametrize(
    ("start", "ended", "liveness"),
    [
        (None, None, Liveness.PLANNED),
        (GONE, None, Liveness.ENDED),  # killed -9, and all it started is gone
        ({}, None, Liveness.LOST),  # killed -9, and something of its session lives
        ({}, exit_record(), Liveness.ENDED),
        (GONE, exit_record(), Liveness.ENDED),
        ({"boot_id": "another", "wrapper_start": "1@another"}, None, Liveness.ENDED),
    ],
)
def test_nobody_holds_the_claim(
    records: Records, start: dict[str, Any] | None, ended: dict[str, Any] | None, liveness: Liveness
) -> None:
    records.plan("fix", 1, INTENT)
    if start is not None:
        write(records, "start.json", own_start(**start))
    if ended is not None:
        write(records, "exit.json", ended)
    assert seen(records).liveness is liveness
    assert seen(records).rebooted is (start is not None and start.get("boot_id") == "another")


@pytest.mark.parametrize("start", [GONE, {}], ids=["its session is over", "a process of its session lives"])
def test_a_short_one_that_began_and_ended_while_it_was_looked_at(
    records: Records, start: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim was free before it began: that is no end without an exit record, and no wrapper that was killed."""
    records.plan("fix", 1, INTENT)
    names = records_module._names

    def begins_and_ends(folder: Path) -> frozenset[str]:
        monkeypatch.setattr(records_module, "_names", names)
        write(records, "start.json", own_start(pid=None, **start))  # as it is before the command runs
        found = names(folder)
        monkeypatch.setattr(records_module, "read_json", ends_once_its_start_is_read)
        return found

    def ends_once_its_start_is_read(path: Path) -> dict[str, Any] | None:
        monkeypatch.setattr(records_module, "read_json", read_json)
        found = read_json(path)
        write(records, "start.json", own_start(**start))
        reports.add(folder, Report("blocked", 140.0, "no password"))
        write(records, "exit.json", exit_record())
        return found

    folder = records.run_folder("fix", 1)
    monkeypatch.setattr(records_module, "_names", begins_and_ends)
    found = seen(records)
    assert (found.liveness, found.exit) == (Liveness.ENDED, Exit(150.0, 0))
    assert found.started == 101.0 and [each.text for each in found.reports] == ["no password"]


def test_one_that_takes_its_claim_while_it_is_looked_at(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    records.plan("fix", 1, INTENT)
    write(records, "start.json", own_start())
    names = records_module._names
    with ExitStack() as works:

        def takes(folder: Path) -> frozenset[str]:
            monkeypatch.setattr(records_module, "_names", names)
            works.enter_context(working(records))
            return names(folder)

        monkeypatch.setattr(records_module, "_names", takes)
        assert records.read("fix", 1).liveness is Liveness.RUNNING


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (exit_record(code=3), Exit(150.0, 3)),
        (exit_record(code=None, signal=9), Exit(150.0, None, 9)),
        (exit_record(phase="setup", hangup=True), Exit(150.0, 0, None, "setup", True)),
    ],
)
def test_how_it_ended(records: Records, written: dict[str, Any], read: Exit) -> None:
    records.plan("fix", 1, INTENT)
    write(records, "exit.json", written)
    assert seen(records).exit == read


def test_the_intent_to_stop_is_seen(records: Records) -> None:
    records.plan("fix", 1, INTENT)
    records.stop("fix", 1, Stop("timeout", 170.0))
    assert seen(records).stop == Stop("timeout", 170.0)


def test_a_nudge_is_seen_and_what_came_of_it(records: Records, tmp_path: Path) -> None:
    write(records, "attempt.json", INTENT)
    assert records.read("fix", 1).nudge is None
    for nudge in (Nudge(120.0), Nudge(120.0, "its input line holds a draft")):
        records.nudge("fix", 1, nudge)
        assert Records(tmp_path).read("fix", 1).nudge == nudge


def test_a_conclusion_is_final_and_survives(records: Records, tmp_path: Path) -> None:
    records.plan("fix", 1, INTENT)
    assert seen(records).outcome is None
    records.conclude("fix", 1, DONE)
    assert (seen(records).outcome, seen(records).liveness) == (DONE, Liveness.ENDED)
    assert Records(tmp_path).attempts() == records.attempts()
    with working(records):
        assert seen(records).liveness is Liveness.ENDED


def test_the_newest_that_was_not_abandoned_counts(records: Records, tmp_path: Path) -> None:
    for number in (1, 2, 10):
        records.plan("fix", number, INTENT | {"attempt": number})
    assert seen(records).number == 10  # by number, not by name
    records.conclude("fix", 10, Outcome(None, "abandoned", "it never started", 200.0))
    again = Records(tmp_path)
    assert seen(records).number == 2 and seen(again).number == 2
    assert records.abandoned() == again.abandoned() == {"fix": 10}
    assert [attempt.number for attempt in records.all_of("fix")] == [10, 2, 1]
    for number in (1, 2):
        records.conclude("fix", number, Outcome(None, "abandoned", "it never started", 200.0))
    assert records.attempts() == {} == Records(tmp_path).attempts()


def test_what_another_process_abandoned_is_no_attempt_any_more(records: Records, tmp_path: Path) -> None:
    records.plan("fix", 1, INTENT)
    records.plan("fix", 2, INTENT)
    assert seen(records).number == 2
    Records(tmp_path).conclude("fix", 2, Outcome(None, "abandoned", "it never started", 200.0))
    assert seen(records).number == 1


def test_a_run_folder_without_an_intent_is_nothing(records: Records) -> None:
    """The crash between making the folder and writing the intent: nothing can have started from it."""
    records.plan("fix", 1, INTENT)
    records.reserve("fix", 1)
    assert records.numbers("fix") == [2, 1]
    assert seen(records).number == 1
    assert [attempt.number for attempt in records.all_of("fix")] == [1]


def test_numbers_only_go_up(records: Records, tmp_path: Path) -> None:
    assert records.reserve("fix", 1) == 1
    assert records.reserve("fix", 1) == 2
    assert records.reserve("fix", 7) == 7
    assert Records(tmp_path).reserve("fix", 3) == 8
    assert records.run_folder("fix", 8).stat().st_mode & 0o777 == 0o700


def test_no_number_is_given_twice(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: Records(tmp_path).reserve("fix", 1), range(40)))
    assert sorted(given) == list(range(1, 41))


def test_foreign_names_among_the_run_folders_are_passed_over(records: Records, tmp_path: Path) -> None:
    records.plan("fix", 1, INTENT)
    for name in ("Not a task", ".hidden", "fix/x", "fix/1.bak", "-dash"):
        (tmp_path / "runs" / name).mkdir()
    (tmp_path / "runs" / "file").write_text("x")
    assert list(records.attempts()) == list(Records(tmp_path).attempts()) == ["fix"]
    assert records.numbers("fix") == [1]


@pytest.mark.parametrize("first_look", [True, False])
def test_a_damaged_record_makes_one_task_unreadable_until_it_is_mended(records: Records, first_look: bool) -> None:
    records.plan("fix", 1, INTENT)
    records.plan("well", 1, INTENT)
    damaged = records.run_folder("fix", 1) / "exit.json"
    if not first_look:
        records.attempts()
    damaged.write_text("{")
    assert "well" in records.attempts()
    assert list(records.unreadable()) == ["fix"]
    assert "exit.json: not a JSON object" in records.unreadable()["fix"]
    damaged.unlink()
    assert set(records.attempts()) == {"fix", "well"}
    assert records.unreadable() == {}


def test_looks_and_writes_at_once(records: Records) -> None:
    """The loop looks while starts in its pool plan and conclude."""
    over = threading.Event()
    troubles: list[BaseException] = []

    def look() -> None:
        try:
            while not over.is_set():
                for attempt in records.attempts().values():
                    assert attempt.home.branch == "mux/shop/fix"
        except BaseException as error:
            troubles.append(error)

    def work(name: str) -> None:
        records.plan(name, 1, INTENT | {"start_commit": ""})
        records.plan(name, 1, INTENT)
        assert records.read(name, 1).home.start_commit == "feed"
        records.conclude(name, 1, DONE)

    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, [f"t{number}" for number in range(60)]))
    finally:
        over.set()
        for thread in looking:
            thread.join()
    assert troubles == []
    assert {attempt.outcome for attempt in records.attempts().values()} == {DONE}


def test_records_of_the_first_version_load(records: Records) -> None:
    """Only what was there from the beginning: a record must load for ever."""
    minimal = {key: INTENT[key] for key in ("task", "attempt", "created", "agent", "mode", "cwd", "branch")}
    write(records, "attempt.json", minimal)
    start = {"wrapper_pid": 9, "session": 9, "wrapper_start": "1@boot", "boot_id": "boot", "ports": None, "at": 1.0}
    write(records, "start.json", start)
    write(records, "exit.json", {"at": 2.0, "code": 1, "phase": "run"})
    write(records, "outcome.json", {"status": "failed", "reason": "exit", "why": "exit 1", "at": 3.0})
    loaded = seen(records)
    assert (loaded.exit, loaded.outcome) == (Exit(2.0, 1), Outcome(Status.FAILED, "exit", "exit 1", 3.0))
    assert loaded.started is None and loaded.rebooted


def test_reasons_are_kept_as_they_may_be_shown(tmp_path: Path) -> None:
    records = Records(tmp_path, lambda text: text.replace("secret", "[redacted]"))
    write(records, "attempt.json", INTENT)
    records.judge("fix", 1, Judged(1.0, 2.0, False, "its home is on secret"))
    assert (judged := records.read("fix", 1).judged) is not None and judged.why == "its home is on [redacted]"
    follows = Next("restart", 9.0, after="exit 1 in secret")
    records.conclude("fix", 1, Outcome(Status.CLAIMED, "exit", "secret: exit 1", 3.0, next=follows))
    outcome = records.read("fix", 1).outcome
    assert outcome is not None and outcome.next is not None
    assert (outcome.why, outcome.next.after) == ("[redacted]: exit 1", "exit 1 in [redacted]")
