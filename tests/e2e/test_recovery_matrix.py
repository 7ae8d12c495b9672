"""Every kind of end, in every state of the home, under every policy: the decision is the table's, and nothing is lost.

240 cases: eight kinds of end, each with a desk of its own and thirty tasks in it. What is expected of each case comes
from the design's table, written down here once more (`expected`), not from the code that decides.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from runners import reports
from runners.boards import read_board
from runners.model import Report
from tests.e2e import ends
from tests.e2e.conftest import Desk, section
from tests.support import wait_for

ENDS = ("exit-0", "exit-1", "exit-137", "agent", "wrapper", "server", "plane", "all")
STATES = ("checkpoint", "dirty", "untracked", "unpushed", "none")
RESTARTS = ("safe", "never", "destructive")
AGENTS = ("shell", "stand-in")

#: How an end reads in a reason.
WORDS = {
    "exit-0": "exit 0",
    "exit-1": "exit 1",
    "exit-137": "exit 137",
    "agent": "signal 9 (SIGKILL)",
    "wrapper": "its wrapper was killed, so its exit is unknown",
    "server": "its window or the tmux server was closed",
    "all": "the machine went down while it ran",
}
DIRT = {"dirty": "2 files changed and not committed", "untracked": "1 file untracked"}

#: Makes the state that its task is named after, then waits at a fifo to be let go or killed. A second attempt leaves
#: all as it is and stays. Each start says how it was started, with which session, and where.
TOOL = """#!/bin/sh
echo "$1 $2 $(pwd)" >> "{folder}/$MUX_TASK.starts"
[ "$MUX_ATTEMPT" = 1 ] || exec sleep 1000
case $STATE in
  checkpoint) echo good > good; git add good; git commit -qm good ;;
  dirty) echo changed >> README; echo new > staged; git add staged ;;
  untracked) mkdir deep; printf 'zero\\0byte, no end of line' > deep/untracked ;;
  unpushed) git push -q -u origin HEAD; echo mine > mine; git add mine; git commit -qm mine ;;
esac
touch "{folder}/$MUX_TASK.ready"
read -r line < "{folder}/$MUX_TASK.go"
exit {code}
"""
KEYS = """max_workers: 99
restart: {{backoff: 1s, early: 1s}}
outage: {{workers: 999, within: 30s, pace: 1s}}
agents:
  stand-in:
    program: {tool}
    headless:
      start: ['{{program}}', start, '{{session}}', '{{prompt}}']
      resume: ['{{program}}', resume, '{{session}}', '{{prompt}}']
"""


@dataclass(frozen=True, slots=True)
class Case:
    end: str
    state: str
    restart: str
    agent: str

    @property
    def task(self) -> str:
        return f"{self.state}-{self.restart}-{self.agent}"

    @property
    def dirt(self) -> str:
        return DIRT.get(self.state, "")

    @property
    def outage(self) -> bool:
        """The tmux server, or the machine, went down."""
        return self.end in ("server", "all")


@dataclass(frozen=True, slots=True)
class Expected:
    """`row` None: it goes on, so nothing is decided. `says`: what its reason must say. `starts`: in all, at most."""

    row: str | None
    concluded: str | None  # the status that the decision gives
    status: str  # that it has in the end
    follows: str | None = None
    choices: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    starts: int = 1


def expected(case: Case) -> Expected:
    """The rows of the table that a single end can reach, in its order."""
    end, dirt = WORDS.get(case.end, ""), ((case.dirt,) if case.dirt else ())
    resumes = case.agent == "stand-in"
    if case.end == "plane":
        return Expected(None, None, "running")
    if case.end == "exit-0":
        if resumes and case.state not in ("checkpoint", "unpushed"):  # its rules are committed and clean
            return Expected("gate", "blocked", "blocked", says=("claimed done, but", "no commit on its branch", *dirt))
        if case.dirt:
            return Expected("gate", "blocked", "blocked", says=("claimed done, but", *dirt))
        return Expected(
            "gate",
            "done",
            "done",
            says=(end, "1 commit" if case.state in ("checkpoint", "unpushed") else "0 commits", "tree clean"),
        )
    if case.restart == "never":
        return Expected("never", "failed", "failed", says=(end, *dirt))
    ways = (*(("resume",) if resumes else ()), "in-place", "checkpoint")
    if case.restart == "destructive":
        return Expected("destructive", "blocked", "blocked", "ask", ways, (end, "it is destructive", *dirt))
    if resumes:
        at = case.dirt or "tree clean at "
        return Expected("resume", "claimed", "running", "resume", says=(end, at), starts=2)
    if case.dirt:
        return Expected("dirty", "blocked", "blocked", "ask", ways, (end, "it cannot resume", *dirt))
    return Expected("restart", "claimed", "running", "restart", says=(end, "tree clean at "), starts=2)


def prepared(desk: Desk, cases: list[Case]) -> None:
    """All tasks of the desk, each in its state and waiting."""
    folder = desk.repository.parent
    desk.git("init", "--quiet", "--bare", str(folder / "origin"))
    desk.git("remote", "add", "origin", str(folder / "origin"))
    tool = folder / "tool"
    code = cases[0].end.partition("-")[2] or "0"
    tool.write_text(TOOL.format(folder=folder, code=code))
    tool.chmod(0o755)
    sections = []
    for case in cases:
        ends.fifo(folder / f"{case.task}.go")
        keys: dict[str, Any] = {"env": {"STATE": case.state}, "agent": case.agent}
        keys |= {"safe": {}, "never": {"restart": "never"}, "destructive": {"destructive": True}}[case.restart]
        sections.append(section(case.task, f"exec '{tool}' start -", **keys))
    desk.write(*sections, keys=KEYS.format(tool=json.dumps(str(tool))))
    desk.up()
    for case in cases:
        wait_for((folder / f"{case.task}.ready").exists, lambda case=case: f"{case}: {desk.task(case.task)}")
        if case.state == "checkpoint":
            # What `mux checkpoint` keeps in a worker.
            head = desk.git("rev-parse", "HEAD", cwd=desk.home(case.task))
            run = desk.folder / "runs" / case.task / "1"
            reports.add(run, Report("checkpoint", time.time(), "", head))


def end_all(desk: Desk, cases: list[Case]) -> None:
    tasks = [case.task for case in cases]
    plane = desk.planes[-1]
    match cases[0].end:
        case "agent":
            ends.kill(*(desk.start_record(task)["pid"] for task in tasks))
        case "wrapper":
            ends.kill(*(desk.start_record(task)["wrapper_pid"] for task in tasks))
        case "server":
            ends.kill(ends.server(desk))
        case "plane":
            desk.kill(plane)
            desk.up()
        case "all":
            ends.power_cut(desk, plane, tasks)
            desk.up()
        case _:
            for task in tasks:
                ends.let_go(desk.repository.parent / f"{task}.go")


def starts(desk: Desk, task: str) -> list[list[str]]:
    return [line.split() for line in (desk.repository.parent / f"{task}.starts").read_text().splitlines()]


def differences(desk: Desk, cases: list[Case]) -> list[str]:
    """What is not yet, or not at all, as the table says."""
    shown = {task["id"]: task for task in desk.state()["tasks"]}
    return [each for case in cases for each in _differences(desk, case, shown.get(case.task, {}))]


def _differences(desk: Desk, case: Case, shown: dict[str, Any]) -> list[str]:
    want = expected(case)
    path = desk.folder / "runs" / case.task / "1" / "outcome.json"
    found = json.loads(path.read_text()) if path.exists() else {"row": None, "status": None, "next": None, "why": ""}
    follows = found["next"] or {"do": None, "choices": []}
    facts = {
        "row": (found["row"], want.row),
        "concluded": (found["status"], want.concluded),
        "follows": (follows["do"], want.follows),
        "choices": (tuple(follows["choices"]), want.choices),
        "status": (shown.get("status"), want.status),
        "starts": (len(starts(desk, case.task)), want.starts),
        "attempt": (shown.get("attempt"), want.starts),
        "asked": (ends.request_in(shown.get("why") or "") != "", want.follows == "ask"),
        "an outage": ("outage" in found.get("evidence", {}), case.outage and want.row is not None),
    }
    wrong = [
        f"{case.task}: {name} is {is_now}, not {should}" for name, (is_now, should) in facts.items() if is_now != should
    ]
    said = [found["why"], shown.get("why") or ""]
    missing = [f"{case.task}: '{word}' is not in: {text}" for text in said for word in want.says if word not in text]
    return wrong + missing


@pytest.mark.parametrize("end", ENDS)
def test_the_decision_is_the_tables_and_no_work_is_lost(desk: Desk, end: str) -> None:
    cases = [Case(end, *each) for each in product(STATES, RESTARTS, AGENTS)]
    prepared(desk, cases)
    before = {case.task: ends.picture(desk, case.task) for case in cases}
    end_all(desk, cases)
    wait_for(lambda: not differences(desk, cases), lambda: "\n".join(differences(desk, cases)), 120)
    _the_file_says_it(desk)
    after = {case.task: ends.picture(desk, case.task) for case in cases}
    assert [task for task in before if before[task] != after[task]] == []
    for case in cases:
        _is_kept_and_was_started_as(desk, case, before[case.task])
    _asked_as_expected(desk, cases)
    assert differences(desk, cases) == []


def _the_file_says_it(desk: Desk) -> None:
    """Status, attempt and reason, as `mux status --json` says them, once mux wrote: it does so every few seconds."""

    def missing() -> list[str]:
        tasks = read_board(desk.board.read_text(), None).tasks
        found = [(task.id, str(task.status), task.attempt, task.mux.get("why", "")) for task in tasks]
        said = [(each["id"], each["status"], each["attempt"], each["why"]) for each in desk.status()["tasks"]]
        return [f"the file says {mine}, not {so}" for mine, so in zip(found, said, strict=True) if mine != so]

    wait_for(lambda: not missing(), lambda: "\n".join(missing()))


def _is_kept_and_was_started_as(desk: Desk, case: Case, before: ends.Picture) -> None:
    want = expected(case)
    line = starts(desk, case.task)
    how, session, home = line[0]
    assert (how, Path(home)) == ("start", desk.home(case.task))
    assert all(each == ["resume" if want.follows == "resume" else "start", session, home] for each in line[1:]), line
    kept = ends.snapshots(desk, case.task)
    assert len(kept) == (1 if case.dirt and want.row is not None else 0), f"{case.task}: {kept}"
    if kept:
        assert ends.blobs(desk, kept[0]) == ends.hashed(before[0])


def _asked_as_expected(desk: Desk, cases: list[Case]) -> None:
    """Alone each in a request of its own; after an outage all in one. No other question is open."""
    asked = [case for case in cases if expected(case).follows == "ask"]
    ids = {case.task: ends.request_in(desk.task(case.task)["why"]) for case in asked}
    assert ends.open_requests(desk) == sorted(set(ids.values()))
    if asked and asked[0].outage:
        (one,) = set(ids.values())
        request = ends.request(desk, one)
        assert sorted(task for task, _ in request["members"]) == sorted(ids)
        assert (request["evidence"]["tasks"], request["evidence"]["dirty"]) == (
            len(asked),
            sum(bool(each.dirt) for each in asked),
        )
        return
    for case in asked:
        evidence = ends.request(desk, ids[case.task])["evidence"]
        counts = (evidence["modified"], evidence["untracked"], evidence["commits"], evidence.get("unpushed"))
        commits = 1 if case.state in ("checkpoint", "unpushed") else 0
        dirt = {"dirty": (2, 0), "untracked": (0, 1)}.get(case.state, (0, 0))
        assert counts == (*dirt, commits, 1 if case.state == "unpushed" else None), f"{case.task}: {evidence}"
        beyond = 1 if case.state == "unpushed" else 0  # the checkpoint that was marked is HEAD
        assert evidence["beyond_checkpoint"] == beyond, f"{case.task}: {evidence}"
