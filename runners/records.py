"""Run records: what is on disk about each attempt, under `.mux/runs/<task>/<n>/`.

    attempt.json   the intent, written before anything starts, completed before its window opens
    start.json     by the wrapper: its pid and session, then the pid of the command
    exit.json      by the wrapper: how it ended
    reports/       what the worker said on purpose
    judged.json    what the done gate said about its newest claim to be done
    nudge.json     that its idle agent is told how to end, written before any key
    stop.json      the intent to end it, written before any signal
    outcome.json   the decision: what mux concluded; written before anything follows from it, anew only once a person
                   has answered what it had to ask about `once` steps
    retired        its section was taken off the board

An attempt with an outcome is final: it is read once and kept in memory. Only live ones are looked at again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from board.errors import MuxError
from board.model import TASK_ID, Status
from board.storage import one_line_errors, private_folder, read_json, write_atomic, write_json
from runners import claims, processes, reports
from runners.journal import Redact, unredacted
from runners.model import Attempt, Cause, Exit, Home, How, Judged, Liveness, Next, Nudge, Outcome, Stop


class Records:
    """The run records below one `.mux` folder. Reads are cheap enough for every pass of the loop. Safe in threads.

    What is concluded and judged goes on the board as a reason: it is kept as `redact` leaves it.
    """

    def __init__(self, folder: Path, redact: Redact = unredacted) -> None:
        self.folder = folder
        self._redact = redact
        self._runs = folder / "runs"
        self._newest: dict[str, Attempt] | None = None
        self._intents: dict[tuple[str, int], dict[str, Any]] = {}
        self._starts: dict[tuple[str, int], dict[str, Any]] = {}  # of live ones: all are read in each round
        self._abandoned: dict[str, int] = {}
        self._unreadable: dict[str, str] = {}
        self._memory = threading.RLock()  # the loop looks while starts and stops write in its pool

    def run_folder(self, task: str, number: int) -> Path:
        return self._runs / task / str(number)

    def attempts(self) -> dict[str, Attempt]:
        """The newest attempt of each task that was not abandoned before it started."""
        with self._memory:
            if self._newest is None:
                self._newest = {}
                for entry in _folders(self._runs):
                    if TASK_ID.match(entry.name):
                        self._look(entry.name, None)
            else:
                for task in [*self._newest, *self._unreadable]:
                    self._look(task, self._newest.get(task))
            return dict(self._newest)

    def unreadable(self) -> dict[str, str]:
        """Tasks one of whose records is damaged, each with the file and what to do: nothing is known of them."""
        with self._memory:
            return dict(self._unreadable)

    def abandoned(self) -> dict[str, int]:
        """The newest attempt of each task that was abandoned: it spent its number and never started."""
        with self._memory:
            return dict(self._abandoned)

    def numbers(self, task: str) -> list[int]:
        """The numbers of all attempts of a task, newest first."""
        names = (entry.name for entry in _folders(self._runs / task))
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def all_of(self, task: str) -> list[Attempt]:
        """Every attempt of a task, newest first, abandoned ones included."""
        found = (self._read_if_planned(task, number) for number in self.numbers(task))
        return [attempt for attempt in found if attempt is not None]

    def reserve(self, task: str, at_least: int) -> int:
        """A number that is nobody else's, not even another control plane's: its run folder is made here."""
        folder = private_folder(self._runs / task)
        number = max([at_least - 1, *self.numbers(task)]) + 1
        while True:
            with one_line_errors("make the folder", folder / str(number)):
                try:
                    (folder / str(number)).mkdir(mode=0o700)
                    return number
                except FileExistsError:
                    number += 1

    def plan(self, task: str, number: int, intent: Mapping[str, Any], durable: bool = True) -> None:
        """Write down the intent before anything starts; completed, and durable, before its window opens.

        Not `durable`, it outlives a killed process but not a power cut, after which nothing of it can have run.
        """
        write_json(private_folder(self.run_folder(task, number)) / "attempt.json", dict(intent), durable)
        with self._memory:
            self._intents.pop((task, number), None)
            self._remember(task)

    def stop(self, task: str, number: int, stop: Stop) -> None:
        write_json(self.run_folder(task, number) / "stop.json", asdict(stop))

    def conclude(self, task: str, number: int, outcome: Outcome) -> None:
        follows = asdict(outcome.next) | {"after": self._redact(outcome.next.after)} if outcome.next else None
        outcome = replace(outcome, why=self._redact(outcome.why))
        record = {name: getattr(outcome, name) for name in Outcome.__slots__}
        record |= {"evidence": dict(outcome.evidence), "next": follows}
        write_json(self.run_folder(task, number) / "outcome.json", record)
        with self._memory:
            self._remember(task)

    def judge(self, task: str, number: int, judged: Judged) -> None:
        """What the done gate said of a live worker's claim. It can be found again, so it need not be durable."""
        record = asdict(judged) | {"why": self._redact(judged.why)}
        write_json(self.run_folder(task, number) / "judged.json", record, durable=False)

    def nudge(self, task: str, number: int, nudge: Nudge) -> None:
        write_json(self.run_folder(task, number) / "nudge.json", asdict(nudge))

    def retire(self, task: str, number: int) -> None:
        """Remember that the task's section was taken off the board."""
        write_atomic(self.run_folder(task, number) / "retired", b"")
        with self._memory:
            self._remember(task)

    def session(self, task: str, number: int) -> tuple[int, str] | None:
        """The worker's process session: its number and when its leader, the wrapper, started; None before a start."""
        start = self._start(task, number)
        return (start["session"], start["wrapper_start"]) if start else None

    def command(self, task: str, number: int) -> tuple[int, str] | None:
        """The worker's command: its process and when that started; None while it is not known, as in setup."""
        start = self._start(task, number)
        return (start["pid"], start["pid_start"]) if start and start.get("pid") else None

    def _start(self, task: str, number: int) -> dict[str, Any] | None:
        return self._starts.get((task, number)) or read_json(self.run_folder(task, number) / "start.json")

    def _look(self, task: str, attempt: Attempt | None) -> None:
        assert self._newest is not None
        try:
            found = self._find_newest(task) if attempt is None else self._again(attempt)
        except MuxError as error:
            self._unreadable[task] = str(error)
            return
        except (KeyError, TypeError, ValueError) as error:  # JSON, and yet no record of ours
            self._unreadable[task] = f"{self._runs / task}: a record in it is damaged ({error!r}); move it away"
            return
        self._unreadable.pop(task, None)
        if found is None:
            self._newest.pop(task, None)
        else:
            self._newest[task] = found

    def _remember(self, task: str) -> None:
        if self._newest is not None:
            self._look(task, None)

    def _again(self, attempt: Attempt) -> Attempt | None:
        now = attempt if attempt.outcome is not None else self.read(attempt.task, attempt.number)
        return self._find_newest(attempt.task) if _is_abandoned(now) else now

    def _find_newest(self, task: str) -> Attempt | None:
        for number in self.numbers(task):
            attempt = self._read_if_planned(task, number)
            if attempt is not None and not _is_abandoned(attempt):
                return attempt
            if attempt is not None:
                self._abandoned[task] = max(number, self._abandoned.get(task, 0))
        return None

    def _read_if_planned(self, task: str, number: int) -> Attempt | None:
        """None for a run folder whose intent was never written: nothing can have started from it."""
        return self.read(task, number) if (self.run_folder(task, number) / "attempt.json").exists() else None

    def _intent(self, task: str, number: int) -> dict[str, Any]:
        with self._memory:  # or an intent read before it was completed would be kept after it
            if (task, number) not in self._intents:
                self._intents[task, number] = read_json(self.run_folder(task, number) / "attempt.json") or {}
            return self._intents[task, number]

    def read(self, task: str, number: int) -> Attempt:
        """The attempt as it is now."""
        run = self.run_folder(task, number)
        intent = self._intent(task, number)
        # The claim is looked at before the records: the wrapper writes its exit, then lets the claim go.
        held = claims.held_by(self.folder, task) == number
        present = _names(run)

        def record(name: str) -> dict[str, Any] | None:
            return read_json(run / name) if name in present else None

        outcome = _outcome(record("outcome.json"))
        start = self._starts.get((task, number)) or record("start.json") or {}
        if start.get("pid"):
            self._starts[task, number] = start  # nothing is added to it any more
        exit_record = _exit(record("exit.json"))
        killed = start and not held and outcome is None and "exit.json" not in present  # its wrapper
        if killed and (claims.held_by(self.folder, task) == number or (run / "exit.json").exists()):
            # It was not: it took the claim between the two looks, and may have ended since. Then all is read anew: what
            # it wrote before its exit may have been looked for too early.
            return self.read(task, number)
        liveness = Liveness.ENDED if outcome is not None else _liveness(held, start, exit_record)
        if outcome is not None:
            self._intents.pop((task, number), None)
            self._starts.pop((task, number), None)
        return Attempt(
            task=task,
            number=number,
            created=float(intent.get("created", 0)),
            agent=str(intent.get("agent", "")),
            mode=str(intent.get("mode", "headless")),
            home=Home(Path(intent.get("cwd", "")), str(intent.get("branch", "")), str(intent.get("start_commit", ""))),
            liveness=liveness,
            timeout=intent.get("timeout"),
            done_when=tuple(intent.get("done_when", ())),
            started=start.get("at") if start.get("pid") else None,
            pid=start.get("pid"),
            ports=(start["ports"][0], start["ports"][1]) if start.get("ports") else None,
            exit=exit_record,
            rebooted=bool(start) and start.get("boot_id") != processes.boot_id(),
            stop=_stop(record("stop.json")),
            outcome=outcome,
            cause=Cause(intent.get("cause", Cause.PERSON)),
            how=How(intent.get("how", How.START)),
            why=str(intent.get("why", "")),
            known_good=str(intent.get("known_good", "")),
            conversation=int(intent.get("conversation") or number),
            reports=reports.read(run) if "reports" in present else (),
            judged=_judged(record("judged.json")),
            nudge=_nudge(record("nudge.json")),
            retired="retired" in present,
        )


def _names(folder: Path) -> frozenset[str]:
    """What is in a run folder: most records are not there yet, and looking for each of them costs more."""
    with one_line_errors("list", folder):
        try:
            with os.scandir(folder) as entries:
                return frozenset(entry.name for entry in entries)
        except FileNotFoundError:
            return frozenset()


def _is_abandoned(attempt: Attempt) -> bool:
    return attempt.outcome is not None and attempt.outcome.status is None


def _liveness(held: bool, start: Mapping[str, Any], exit_record: Exit | None) -> Liveness:
    if held:
        return Liveness.RUNNING
    if exit_record is not None:
        return Liveness.ENDED
    if not start:
        return Liveness.PLANNED
    if processes.session_members(start["session"], start["wrapper_start"]):
        return Liveness.LOST
    return Liveness.ENDED


def _outcome(record: Mapping[str, Any] | None) -> Outcome | None:
    if record is None:
        return None
    follows = record.get("next")
    return Outcome(
        status=Status(record["status"]) if record["status"] else None,
        reason=record["reason"],
        why=record["why"],
        at=record["at"],
        checkpoint=record.get("checkpoint"),
        row=record.get("row", ""),
        next=Next(follows["do"], follows["at"], tuple(follows["choices"]), follows["after"]) if follows else None,
        evidence=record.get("evidence", {}),
        head=record.get("head"),
        tree=record.get("tree"),
    )


def _judged(record: Mapping[str, Any] | None) -> Judged | None:
    return None if record is None else Judged(record["claimed"], record["at"], record["passed"], record["why"])


def _nudge(record: Mapping[str, Any] | None) -> Nudge | None:
    return None if record is None else Nudge(record["at"], record["refused"])


def _exit(record: Mapping[str, Any] | None) -> Exit | None:
    if record is None:
        return None
    return Exit(
        at=record["at"],
        code=record.get("code"),
        signal=record.get("signal"),
        phase=record["phase"],
        hangup=record.get("hangup", False),
        server_gone=record.get("server_gone", False),
    )


def _stop(record: Mapping[str, Any] | None) -> Stop | None:
    return None if record is None else Stop(record["reason"], record["at"], record.get("reached"))


def _folders(folder: Path) -> list[Path]:
    with one_line_errors("look into", folder):
        try:
            return [entry for entry in folder.iterdir() if entry.is_dir()]
        except FileNotFoundError:
            return []
