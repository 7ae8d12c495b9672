"""Checks in real homes: limits, logs, what is kept, and what a killed control plane leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from board.errors import MuxError
from runners import check, homes, processes
from runners.check import Checks
from runners.environment import worker_environment
from runners.git import Repository
from runners.judge import judge
from runners.model import Attempt, GateRules, Judgement, Liveness
from tests.runners.conftest import commit
from tests.runners.test_git import call
from tests.support import wait_for

ROOT = Path(__file__).resolve().parents[2]
RULES = ("committed", "clean", "check")


class Bench:
    """A task with a home, a board beside the repository, and checks as a control plane has them."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        root = repository.root
        self.board = root.parent / "board.md"
        self.folder = root.parent / ".mux"
        start = call(root, "rev-parse", "HEAD")
        self.home = homes.prepare(repository, root.parent / "ho 'me", "mux/shop/a", start, ()).home
        commit(self.home.path, "work", "1\n")
        self.checks = self.again()
        self.run = self.folder / "runs" / "a" / "1"
        self.run.mkdir(parents=True)
        self.counter = root.parent / "ran"

    def again(self) -> Checks:
        return Checks(self.board, self.folder, worker_environment({**os.environ, "SLACK_BOT_TOKEN": "xoxb-secret"}))

    def attempt(self, **more: Any) -> Attempt:
        return Attempt("a", 1, 0.0, "shell", "headless", self.home, Liveness.ENDED, **more)

    def judge(self, command: str | None, limit: float = 30.0, **more: Any) -> Judgement:
        """Each run of the command leaves a line in `ran`."""
        counted = None if command is None else f"echo >>'{self.counter}'; {command}"
        rules = GateRules(RULES, self.repository.root, "main", counted, limit, **more)
        return judge(self.checks, self.attempt(ports=(20000, 20009)), rules)

    @property
    def runs(self) -> int:
        return len(self.counter.read_text().splitlines()) if self.counter.exists() else 0

    @property
    def log(self) -> bytes:
        return (self.run / "check.log").read_bytes()


@pytest.fixture
def bench(repository: Repository) -> Iterator[Bench]:
    made = Bench(repository)
    yield made
    note = made.run.parent / "checking.json"
    if note.exists():  # a test that failed
        left = json.loads(note.read_text())
        processes.terminate_session(left["session"], left["started"], 0.1)


def broken(judged: Judgement) -> dict[str, str]:
    return dict(judged.broken)


def test_it_holds_and_is_not_run_again_for_the_same(bench: Bench) -> None:
    first = bench.judge("echo out; echo err >&2")
    assert first.broken == () and first.check is not None and first.check.holds
    assert bench.log == b"out\nerr\n"
    assert bench.judge("echo out; echo err >&2").check == first.check
    assert bench.runs == 1
    assert bench.judge("true").check is not None and bench.runs == 2, "another command"
    commit(bench.home.path, "more", "2\n")
    assert not bench.judge("true").broken and bench.runs == 3, "another HEAD"
    (bench.home.path / "work").write_text("changed\n")
    assert list(broken(bench.judge("true"))) == ["clean"] and bench.runs == 4, "other files"
    assert bench.judge("true", env={"A": "1"}).check != first.check and bench.runs == 5, "another environment"


def test_the_records_are_private_and_say_nothing_of_the_command(bench: Bench) -> None:
    bench.judge("echo hidden-word; exit 3", env={"KEY": "secret-word"})
    for name in ("check.json", "check.log"):
        assert (bench.run / name).stat().st_mode & 0o077 == 0
    record = (bench.run / "check.json").read_text()
    assert "hidden-word" not in record and "secret-word" not in record
    assert json.loads(record)["code"] == 3 and json.loads(record)["head"] == call(bench.home.path, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("exit 3", "its check failed: exit 3"),
        ("kill -9 $$", "its check failed: signal 9 (SIGKILL)"),
        ("no-such-program-here", "its check failed: exit 127 (command not found)"),
        ("if then", "its check failed: exit 2"),
        (None, "its check did not run: there is no `check:` command on the board"),
    ],
)
def test_a_check_that_fails_is_a_broken_rule(bench: Bench, command: str | None, says: str) -> None:
    assert broken(bench.judge(command)) == {"check": says}


def test_it_has_the_environment_of_a_worker(bench: Bench) -> None:
    bench.judge('env; pwd; test -t 0 && echo terminal; read -r x || echo "nothing to read"', env={"NODE_ENV": "test"})
    lines = bench.log.decode().splitlines()
    assert {"MUX_TASK=a", "MUX_ATTEMPT=1", f"MUX_BOARD={bench.board}", "NODE_ENV=test", "MUX_PORTS=10"} <= set(lines)
    assert f"PWD={bench.home.path}" in lines and lines[-2:] == [str(bench.home.path), "nothing to read"]
    assert "xoxb-secret" not in bench.log.decode()


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = bench.home.path.parent / "pids"
    stubborn = (
        f"trap '' TERM; sleep 300 & echo $! >>'{pids}'; (trap '' TERM; sleep 301) & echo $! >>'{pids}'; wait; wait"
    )

    def clock() -> float:
        """Its time is over once all of it has begun, however long that takes on a busy machine."""
        begun = pids.exists() and pids.read_text().count("\n") == 2
        return time.monotonic() + (1000 if begun else 0)

    monkeypatch.setattr(check, "GRACE", 0.2)
    monkeypatch.setattr(check, "time", SimpleNamespace(monotonic=clock, sleep=time.sleep, time=time.time))
    judged = bench.judge(f"echo begun; {stubborn}", limit=500)
    assert judged.check is not None and judged.check.code is judged.check.signal is None
    assert "ended at its time limit, after" in broken(judged)["check"]
    assert bench.log == b"begun\n"
    assert [pid for pid in pids.read_text().split() if processes.start_time(int(pid))] == []
    assert not (bench.run.parent / "checking.json").exists()


def test_what_it_leaves_running_is_ended(bench: Bench) -> None:
    judged = bench.judge("sleep 300 & echo $!; exit 0")
    assert judged.broken == ()
    assert processes.start_time(int(bench.log)) is None


def test_one_that_closed_its_output_is_waited_for(bench: Bench) -> None:
    judged = bench.judge("exec >/dev/null 2>&1; sleep 0.3; exit 4")
    assert broken(judged) == {"check": "its check failed: exit 4"}


def test_a_flood_of_output_is_cut_in_the_middle(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "LOG_PART", 1000)
    assert (
        bench.judge("echo first; i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo last").broken == ()
    )
    assert bench.log.startswith(b"first\nline 0\n") and bench.log.endswith(b"line 2999\nlast\n")
    assert b" bytes left out]\n" in bench.log and len(bench.log) < 2100


def test_files_that_it_leaves_behind_are_not_clean(bench: Bench) -> None:
    judged = bench.judge("echo x >left")
    assert broken(judged) == {"clean": "1 file untracked"}
    assert bench.runs == 2, "the second time the files were the same before and after it"
    assert judged.facts is not None and judged.facts.untracked == 1


def test_files_that_keep_changing_under_it(bench: Bench) -> None:
    judged = bench.judge(f"wc -l <'{bench.counter}' >left")
    assert broken(judged) == {"clean": "1 file untracked", "check": "the tree keeps changing while it is checked"}
    assert bench.runs == 1 + check.AGAIN
    assert not (bench.run / "check.json").exists()


def test_files_that_changed_under_it_once(bench: Bench) -> None:
    """A worker commits while its check runs: what counts is how the check of the new commit ends."""
    go, begun = bench.counter.with_name("go"), bench.counter.with_name("begun")
    command = f"test -e more && exit 5; echo >'{begun}'; until test -e '{go}'; do sleep 0.01; done; exit 0"
    with in_thread(lambda: bench.judge(command)) as answer:
        wait_for(begun.exists)
        head = commit(bench.home.path, "more", "2\n")
        go.touch()
    judged = answer()
    assert judged.check is not None and judged.check.head == head
    assert broken(judged) == {"check": "its check failed: exit 5"} and bench.runs == 2


class in_thread:
    """Runs it beside the body; its answer is there once the body is left."""

    def __init__(self, run: Callable[[], Judgement]) -> None:
        self.answers: list[Any] = []
        self.thread = threading.Thread(target=lambda: self.answers.append(self._run(run)))

    @staticmethod
    def _run(run: Callable[[], Judgement]) -> Any:
        try:
            return run()
        except MuxError as error:
            return error

    def __enter__(self) -> Callable[[], Any]:
        self.thread.start()
        return lambda: self.answers[0]

    def __exit__(self, *_: object) -> None:
        self.thread.join()


def test_the_end_of_the_control_plane_ends_it_and_keeps_no_result(bench: Bench) -> None:
    with in_thread(lambda: bench.judge("sleep 300")) as answer:
        wait_for(lambda: bench.runs)
        bench.checks.end()
    assert "its check was ended" in str(answer())
    assert not (bench.run / "check.json").exists() and not (bench.run.parent / "checking.json").exists()
    with pytest.raises(MuxError, match="was not run: mux ends"):
        bench.judge("true")
    bench.checks = bench.again()
    assert bench.judge("true").broken == ()


CHILD = """
import os, sys
from pathlib import Path
from runners.check import Checks
from runners.judge import judge
from runners.model import Attempt, GateRules, Home, Liveness
folder, home, root, start, command = sys.argv[1:]
attempt = Attempt("a", 1, 0.0, "shell", "headless", Home(Path(home), "mux/shop/a", start), Liveness.ENDED)
judge(Checks(Path(folder) / "board.md", Path(folder), dict(os.environ)), attempt,
      GateRules(("check",), Path(root), "main", command, 300.0))
"""


@pytest.fixture
def killed(bench: Bench) -> Iterator[Callable[[str], int]]:
    """Kills a control plane in the middle of that check; gives the session of the check, which lives on."""
    sessions = []

    def kill(command: str) -> int:
        argv = [str(bench.folder), str(bench.home.path), str(bench.repository.root), bench.home.start_commit, command]
        with subprocess.Popen([sys.executable, "-c", CHILD, *argv], cwd=ROOT, start_new_session=True) as plane:
            wait_for(lambda: bench.runs)
            note = json.loads((bench.run.parent / "checking.json").read_text())
            os.kill(plane.pid, signal.SIGKILL)
        sessions.append(note)
        assert processes.session_members(note["session"], note["started"])
        return int(note["session"])

    yield kill
    for note in sessions:
        processes.terminate_session(note["session"], note["started"], 0.1)


def test_a_check_of_a_killed_control_plane_is_ended_before_a_new_one(
    bench: Bench, killed: Callable[[str], int]
) -> None:
    session = killed(f"echo >>'{bench.counter}'; exec sleep 300")
    # The new check sees none of the old one: two at once would work on the same files.
    judged = bench.judge(f'case "$(ps -o stat= -p {session})" in ""|Z*) ;; *) exit 9;; esac')
    assert judged.broken == () and bench.runs == 2
    assert processes.start_time(session) is None


def test_a_number_used_again_is_not_taken_for_it(bench: Bench) -> None:
    mine = {"session": os.getsid(0), "started": "1@another-boot"}
    (bench.run.parent / "checking.json").write_text(json.dumps(mine))
    assert bench.judge("true").broken == ()
    assert not (bench.run.parent / "checking.json").exists()


def test_nothing_of_it_runs_before_its_session_is_written_down(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: object, durable: bool = True) -> None:
        with suppress(AssertionError):  # the time in which it would have run
            wait_for(lambda: bench.runs, seconds=0.3)
        raise MuxError("no space left")

    monkeypatch.setattr(check, "write_json", full)
    with pytest.raises(MuxError, match="no space"):
        bench.judge("true")
    assert bench.runs == 0


def test_only_where_the_work_belongs(bench: Bench) -> None:
    call(bench.home.path, "switch", "--quiet", "--detach")
    assert list(broken(bench.judge("true"))) == ["branch"] and bench.runs == 0


def test_a_home_that_is_gone(bench: Bench) -> None:
    call(bench.repository.root, "worktree", "remove", str(bench.home.path))
    judged = bench.judge("true")
    assert (judged.facts, judged.check, judged.broken) == (None, None, (("home", "its worktree is gone"),))
