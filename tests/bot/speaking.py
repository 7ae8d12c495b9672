"""A worker as its own commands see it: a claim, a run folder, a home, and `mux` in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bot.place import Place
from runners import claims
from runners.model import Home, Report
from runners.records import Records
from runners.reports import read
from runners.requests import Asked, Requests
from tests.support import PATIENCE, wait_for

ROOT = Path(__file__).parents[2]


@dataclass
class Speaker:
    place: Place
    home: Home
    environment: dict[str, str]
    task: str = "fix"
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def requests(self) -> Requests:
        return Requests(self.place.folder)

    @property
    def said(self) -> tuple[Report, ...]:
        return read(Records(self.place.folder).run_folder(self.task, int(self.environment["MUX_ATTEMPT"])))

    @property
    def journal(self) -> str:
        path = self.place.folder / "journal.jsonl"
        return path.read_text() if path.exists() else ""

    def become(self, attempt: int) -> None:
        """The next attempt is started: its claim is granted, and from now on `mux` is typed by it."""
        where = {"cwd": str(self.home.path), "branch": self.home.branch, "start_commit": self.home.start_commit}
        intent = where | {"created": time.time(), "agent": "shell", "done_when": ["committed", "clean"]}
        Records(self.place.folder).plan(self.task, attempt, intent)
        claims.grant(self.place.folder, self.task, attempt, time.time())
        self.environment["MUX_ATTEMPT"] = str(attempt)

    def start(self, *words: str, person: bool = False) -> subprocess.Popen[str]:
        environment = dict(self.environment)
        if person:
            environment = {name: value for name, value in environment.items() if not name.startswith("MUX_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", *words],
            cwd=self.place.path.parent if person else self.home.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def mux(self, *words: str, person: bool = False) -> tuple[int, str, str]:
        return ended(self.start(*words, person=person))

    def waits(self) -> Asked:
        """The one request that waits for a person, once it is there; who asked may be gone, without having said so."""

        def waiting() -> list[Asked]:
            return [asked for asked in self.requests.all() if asked.waits]

        wait_for(waiting, "somebody asks")
        (only,) = waiting()
        return only

    def asked(self) -> Asked:
        """The one request that waits for a person, once who asks has said so."""
        only = self.waits()
        wait_for(lambda: only.request.id in self.journal, "who asks has said so")
        return only

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def speaker_at(place: Place, home: Home) -> Speaker:
    base = dict(os.environ) | {
        "MUX_BOARD": str(place.path),
        "MUX_TASK": "fix",
        "MUX_ATTEMPT": "1",
        "PYTHONPATH": str(ROOT),
    }
    made = Speaker(place, home, base)
    made.become(1)
    return made
