"""The port to this machine, with real tmux, git and processes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from board.errors import LockHeld, MuxError
from board.model import RestartPolicy, Status, TaskSettings
from runners import agents, claims, git, lingering, processes, recovery, sh, wrapper
from runners.case import Case, claims_done
from runners.gate import broken_rules
from runners.host import Host, StartOrder
from runners.local import local_host
from runners.model import Attempt, GateRules, Liveness, Outcome, Stop, TreeFacts
from runners.tmux import Tmux
from tests.e2e import ends
from tests.runners.conftest import NASTY, commit, make_repository
from tests.support import PATIENCE, wait_for

SLEEP = "sleep 600"
#: Says that it is up, then outlives INT, TERM and HUP; in Python, as a shell's own children would not.
STUBBORN = """
import signal, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


def conclude(attempt: Attempt, facts: TreeFacts | None, now: float) -> Outcome:
    """As the loop does it, for a task that is never restarted."""
    broken = broken_rules(attempt.done_when, facts, attempt.home.branch) if claims_done(attempt) else []
    case = Case(attempt, RestartPolicy(when="never"), now, tree=facts, broken=tuple(broken))
    return recovery.outcome(case, recovery.decide(case))


@dataclass
class Machine:
    """A board's folder, its repository, and hosts on it: a second one is a second control plane."""

    board: Path
    repository: git.Repository

    @property
    def folder(self) -> Path:
        return self.board.parent / ".mux"

    def host(self) -> Host:
        return local_host(self.board, self.folder, dict(os.environ))

    def order(self, task: str = "fix", script: str = SLEEP, **changes: Any) -> StartOrder:
        fields = {name: changes.pop(name) for name in ("number", "predecessors", "profile") if name in changes}
        settings = replace(TaskSettings(ports=0), **{"run": script, **changes})
        base = StartOrder(
            task=task,
            number=1,
            prompt="Do it.",
            settings=settings,
            profile=agents.load({})["shell"],
            done_when=("clean",),
            repository=self.repository.root,
            home=self.board.parent / "homes" / task,
            branch=f"mux/shop/{task}",
            predecessors=(),
        )
        return replace(base, **fields)

    def run(self, task: str = "fix", number: int = 1) -> Path:
        return self.folder / "runs" / task / str(number)

    def record(self, name: str, task: str = "fix", number: int = 1) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run(task, number) / name).read_text())
        return found

    def output(self, task: str = "fix", number: int = 1) -> str:
        path = self.run(task, number) / "output.log"
        return path.read_text(errors="replace") if path.exists() else ""  # its end may be half a letter still

    def counted(self) -> str:
        """A script that leaves a trace of every start outside its home."""
        return f"echo started >> '{self.board.parent.parent}/starts'\n{SLEEP}"

    def starts(self) -> int:
        path = self.board.parent.parent / "starts"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    # A socket's path may be 107 bytes long at most, so not below tmp_path, which has the test's name in it.
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path_factory.mktemp("t")))
    repository = make_repository(tmp_path / "repository")
    board = tmp_path / NASTY / "board.md"
    board.parent.mkdir()
    (board.parent / ".mux").mkdir(mode=0o700)
    made = Machine(board, repository)
    yield made
    for path in made.folder.glob("runs/*/*/start.json"):
        started = json.loads(path.read_text())
        processes.end_session(started["session"], started["wrapper_start"], grace=0.5)
    Tmux(board, made.folder, os.environ).shutdown()


def at_work(machine: Machine, host: Host, script: str = SLEEP, **changes: Any) -> Attempt:
    """A worker whose command runs."""
    started = host.start(machine.order(script=script, **changes))
    assert started.outcome is None, started.outcome
    return until(host, Liveness.RUNNING, started.task, with_command=True)


def until(host: Host, liveness: Liveness, task: str = "fix", with_command: bool = False) -> Attempt:
    def look() -> Attempt | None:
        found = host.observe().attempts.get(task)
        right = found is not None and found.liveness is liveness and (found.pid is not None or not with_command)
        return found if right else None

    found: Attempt = wait_for(look)
    return found


def stubborn(machine: Machine, host: Host) -> Attempt:
    python = agents.shell_command(agents.load({})["shell"], "headless", ("python3", "-c", STUBBORN), Path("unused"))
    at_work(machine, host, run=python.argv)
    wait_for(lambda: "up" in machine.output())
    return until(host, Liveness.RUNNING, with_command=True)


def reason(attempt: Attempt) -> tuple[Status | None, str]:
    assert attempt.outcome is not None
    assert "\n" not in attempt.outcome.why and attempt.outcome.why
    return attempt.outcome.status, attempt.outcome.reason


class TestStart:
    def test_a_worker_at_work(self, machine: Machine) -> None:
        host = machine.host()
        seen = at_work(machine, host, timeout=60.0)
        assert (seen.task, seen.number, seen.agent, seen.mode, seen.timeout) == ("fix", 1, "shell", "headless", 60.0)
        assert seen.started is not None and seen.started >= seen.created
        assert (seen.home.path, seen.home.branch) == (machine.board.parent / "homes" / "fix", "mux/shop/fix")
        assert seen.home.start_commit == git.resolve(machine.repository.root, "main")
        facts = host.tree(seen.home)
        assert facts is not None and facts.clean and facts.branch == "mux/shop/fix"
        windows = host.observe().windows
        assert windows is not None
        (window,) = windows
        assert (window.task, window.attempt, window.dead) == ("fix", 1, False)
        assert window.pid == machine.record("start.json")["wrapper_pid"]
        assert host.history("fix") == [seen]
        assert "attach-session" in host.attach("fix") and window.id in host.attach("fix")
        assert "attach-session" in host.attach(None)

    def test_it_holds_its_claim_until_it_ends(self, machine: Machine) -> None:
        host = machine.host()
        seen = at_work(machine, host)
        text = claims.claim_path(machine.folder, "fix").read_text()
        assert text.startswith("attempt: 1\nwindow: fix\n")
        with claims.claim_path(machine.folder, "fix").open("r+") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert seen.pid is not None
        os.kill(seen.pid, signal.SIGTERM)
        ended = until(host, Liveness.ENDED)
        assert ended.exit is not None and ended.exit.signal == signal.SIGTERM
        assert claims.held_by(machine.folder, "fix") is None

    def test_its_environment_and_ports(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
        monkeypatch.setenv("KEPT", "yes")
        host = machine.host()
        script = f"env; pwd; echo that is all; {SLEEP}"
        at_work(machine, host, script, ports=3, env={"MINE": "a 'b' $(c)", "MUX_TASK": "not this"})
        wait_for(lambda: "\nthat is all\n" in machine.output())
        lines = machine.output().replace("\r", "").splitlines()
        assert {"KEPT=yes", "MINE=a 'b' $(c)", "MUX_TASK=fix", "MUX_ATTEMPT=1"} <= set(lines)
        assert f"MUX_BOARD={machine.board}" in lines and str(machine.board.parent / "homes" / "fix") in lines
        assert not any("xoxb" in line or line.startswith(("TMUX=", "TMUX_PANE=")) for line in lines)
        first, last = until(host, Liveness.RUNNING).ports or (0, 0)
        assert last - first == 2 and f"MUX_PORT={first}" in lines and "MUX_PORTS=3" in lines

    def test_two_workers_have_different_ports(self, machine: Machine) -> None:
        host = machine.host()
        for task in ("one", "two"):
            assert host.start(machine.order(task, ports=5)).outcome is None
        one, two = (until(host, Liveness.RUNNING, task).ports for task in ("one", "two"))
        assert one is not None and two is not None and one != two

    def test_it_exits(self, machine: Machine) -> None:
        host = machine.host()
        host.start(machine.order(script="echo new > new; exit 3"))
        ended = until(host, Liveness.ENDED)
        assert ended.exit is not None and ended.exit.code == 3
        outcome = conclude(ended, host.tree(ended.home), time.time())
        assert (outcome.status, outcome.why) == (Status.FAILED, "exit 3; 1 file untracked")
        host.conclude(ended, outcome)
        assert host.observe().attempts["fix"].outcome == outcome
        assert machine.host().observe().attempts["fix"].outcome == outcome

    def test_a_command_faster_than_any_look_has_started(self, machine: Machine) -> None:
        host = machine.host()
        for number in range(1, 6):
            started = host.start(machine.order(script="true", number=number))
            assert (started.number, started.outcome) == (number, None)
            ended = until(host, Liveness.ENDED)
            host.conclude(ended, conclude(ended, host.tree(ended.home), time.time()))

    def test_the_next_attempt_goes_on_in_the_same_home(self, machine: Machine) -> None:
        host = machine.host()
        host.start(machine.order(script="echo kept > kept"))
        ended = until(host, Liveness.ENDED)
        host.conclude(ended, conclude(ended, host.tree(ended.home), time.time()))
        again = at_work(machine, host, "cat kept; sleep 600")
        assert (again.number, again.home) == (2, ended.home)
        wait_for(lambda: "kept" in machine.output(number=2))
        assert [each.number for each in host.history("fix")] == [2, 1]

    def test_a_wrapper_that_is_about_to_end_is_in_nobodys_way(self, machine: Machine) -> None:
        host = machine.host()
        host.start(machine.order(script="exit 0"))
        ended = until(host, Liveness.ENDED)
        host.conclude(ended, conclude(ended, host.tree(ended.home), time.time()))
        # The moment between a wrapper's last record and its end, as long as wanted: another leads the session.
        with subprocess.Popen(["sleep", "600"], start_new_session=True) as leader:
            try:
                start = machine.folder / "runs" / "fix" / "1" / "start.json"
                about = {"session": leader.pid, "wrapper_start": processes.start_time(leader.pid)}
                start.write_text(json.dumps(json.loads(start.read_text()) | about))
                assert at_work(machine, machine.host()).number == 2
            finally:
                leader.kill()

    def test_it_starts_where_its_predecessor_is(self, machine: Machine) -> None:
        host = machine.host()
        first = at_work(machine, host, task="first")
        done = commit(first.home.path, "done", "x")
        second = host.start(machine.order("second", predecessors=("mux/shop/first", "mux/shop/never-was")))
        assert second.home.start_commit == done and (second.home.path / "done").exists()

    def test_a_prompt_is_only_text(self, machine: Machine) -> None:
        prompt = "'\"$(touch pwned) `id` #{pid} ; \\\n" * 5000
        host = machine.host()
        assert host.start(replace(machine.order(), prompt=prompt)).outcome is None
        assert (machine.run() / "prompt.md").read_text() == prompt

    def test_setup_runs_once_in_a_home(self, machine: Machine) -> None:
        host = machine.host()
        for number in (1, 2):
            host.start(machine.order(script="true", setup=(f"echo setup >> '{machine.board.parent.parent}/setups'",)))
            ended = until(host, Liveness.ENDED)
            assert (ended.number, ended.exit and ended.exit.code) == (number, 0)
            host.conclude(ended, conclude(ended, host.tree(ended.home), time.time()))
        assert (machine.board.parent.parent / "setups").read_text() == "setup\n"


class TestCannotStart:
    """An outcome with a reason, and nothing half remembered: what was wrong is mended, and the next start works."""

    def refused(self, machine: Machine, order: StartOrder, said: str) -> Attempt:
        host = machine.host()
        attempt = host.start(order)
        assert attempt.outcome is not None and said in attempt.outcome.why
        assert reason(attempt)
        state = host.observe()
        assert state.attempts["fix"] == attempt and state.attempts["fix"].liveness is Liveness.ENDED
        assert not any(window.task == "fix" for window in state.windows or ())
        assert not (machine.run() / "start.json").exists()
        assert machine.host().observe().attempts["fix"].outcome == attempt.outcome
        assert claims.held_by(machine.folder, "fix") is None
        assert machine.starts() == 0
        return attempt

    def works_now(self, machine: Machine, **changes: Any) -> None:
        host = machine.host()
        assert at_work(machine, host, machine.counted(), **changes).number == 2
        wait_for(lambda: machine.starts() == 1)

    def test_a_branch_with_other_work(self, machine: Machine) -> None:
        root = machine.repository.root
        sh.run(["git", "switch", "--quiet", "--create", "mux/shop/fix"], cwd=root)
        commit(root, "other", "work")
        sh.run(["git", "switch", "--quiet", "main"], cwd=root)
        attempt = self.refused(machine, machine.order(), "already exists with other work (1 commits")
        assert reason(attempt) == (Status.FAILED, "start")
        sh.run(["git", "branch", "--move", "mux/shop/fix", "kept"], cwd=root)
        self.works_now(machine)

    def test_a_missing_base(self, machine: Machine) -> None:
        attempt = self.refused(machine, machine.order(base="devlop"), "the base branch devlop does not exist")
        assert reason(attempt) == (Status.FAILED, "base")
        self.works_now(machine)

    def test_several_unmerged_predecessors(self, machine: Machine) -> None:
        root = machine.repository.root
        for name in ("mux/shop/one", "mux/shop/two"):
            sh.run(["git", "switch", "--quiet", "--create", name, "main"], cwd=root)
            commit(root, Path(name).name, "work")
        sh.run(["git", "switch", "--quiet", "main"], cwd=root)
        after = ("mux/shop/one", "mux/shop/two")
        attempt = self.refused(machine, machine.order(predecessors=after), "merge mux/shop/one and mux/shop/two first")
        assert reason(attempt) == (Status.BLOCKED, "after")
        git.merge(machine.repository, "mux/shop/one", "main", machine.board)
        self.works_now(machine, predecessors=after)

    def test_a_copy_that_git_does_not_ignore(self, machine: Machine) -> None:
        (machine.repository.root / "local.cfg").write_text("x")
        attempt = self.refused(machine, machine.order(copy=("local.cfg",)), "git does not ignore a file of `copy:`")
        assert reason(attempt) == (Status.FAILED, "start")
        assert attempt.outcome is not None and "local.cfg" not in attempt.outcome.why
        assert "fix: copy: local.cfg: git does not ignore it" in (machine.folder / "mux.log").read_text()
        self.works_now(machine)

    def test_a_folder_that_is_no_home(self, machine: Machine) -> None:
        home = machine.board.parent / "homes" / "fix"
        home.mkdir(parents=True)
        (home / "mine").write_text("mine")
        self.refused(machine, machine.order(), "is not a home that mux made")
        assert (home / "mine").read_text() == "mine"
        home.rename(home.with_name("away"))
        self.works_now(machine)

    def test_nothing_to_run(self, machine: Machine) -> None:
        attempt = self.refused(machine, machine.order(run=None), "it has no script to run")
        assert reason(attempt) == (Status.FAILED, "start")
        self.works_now(machine)

    def test_a_repository_that_is_gone(self, machine: Machine) -> None:
        machine.repository.root.rename(machine.repository.root.with_name("away"))
        self.refused(machine, machine.order(), "there is no such folder")

    def test_a_setup_that_fails(self, machine: Machine) -> None:
        host = machine.host()
        assert host.start(machine.order(script=machine.counted(), setup=("exit 4",))).outcome is None
        ended = until(host, Liveness.ENDED)
        assert ended.exit is not None and (ended.exit.phase, ended.exit.code) == ("setup", 4)
        outcome = conclude(ended, host.tree(ended.home), time.time())
        assert (outcome.status, outcome.reason, outcome.why) == (
            *(Status.FAILED, "setup"),
            "setup: exit 4; read it with: mux logs fix",
        )
        host.conclude(ended, outcome)
        assert machine.starts() == 0
        self.works_now(machine)

    def test_a_program_that_is_not_there(self, machine: Machine) -> None:
        host = machine.host()
        host.start(machine.order(run=("no-such-program", "x")))
        ended = until(host, Liveness.ENDED)
        assert "exit 127 (command not found)" in conclude(ended, host.tree(ended.home), time.time()).why

    def test_a_home_that_somebody_else_holds_keeps_its_order(self, machine: Machine) -> None:
        """`mux finish` holds the claim while it removes a home: nothing is remembered, the loop tries again."""
        host = machine.host()
        claims.grant(machine.folder, "fix", 9, 0.0)
        with claims.claim_path(machine.folder, "fix").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(LockHeld, match="still works on it"):
                host.start(machine.order())
            assert "fix" not in host.observe().attempts
            assert host.history("fix") == []
        assert at_work(machine, host).number == 1

    def test_a_file_where_the_run_folder_should_be(self, machine: Machine) -> None:
        (machine.folder / "runs").write_text("x")
        with pytest.raises(MuxError, match="runs"):
            machine.host().start(machine.order())


class TestAbandon:
    def planned(self, machine: Machine) -> Path:
        """The crash between writing the intent down and opening the window."""
        host = machine.host()
        host.start(machine.order(script=machine.counted(), base="missing"))
        run = machine.run()
        (run / "outcome.json").unlink()
        intent = machine.record("attempt.json")
        script = ["sh", "-c", machine.counted()]
        cwd = str(machine.board.parent)
        (run / "attempt.json").write_text(json.dumps(intent | {"argv": script, "cwd": cwd}))
        claims.grant(machine.folder, "fix", 1, 0.0)
        return run

    def open_window(self, machine: Machine, run: Path) -> int:
        tmux = Tmux(machine.board, machine.folder, os.environ)
        tmux.ensure()
        return tmux.open("fix", 1, wrapper.command(str(run)), "runs/fix/1/output.log").pid

    def test_a_start_that_never_was_is_no_attempt(self, machine: Machine) -> None:
        self.planned(machine)
        host = machine.host()
        assert host.observe().attempts["fix"].liveness is Liveness.PLANNED
        host.abandon("fix", 1)
        host.abandon("fix", 1)
        state = host.observe()
        assert "fix" not in state.attempts and state.abandoned == {"fix": 1}
        assert at_work(machine, host, machine.counted()).number == 2

    def test_its_window_that_appears_late_starts_nothing(self, machine: Machine) -> None:
        run = self.planned(machine)
        machine.host().abandon("fix", 1)
        pid = self.open_window(machine, run)
        wait_for(lambda: processes.start_time(pid) is None)
        assert machine.starts() == 0 and not (run / "start.json").exists()

    def test_nothing_happens_while_its_wrapper_lives(self, machine: Machine) -> None:
        host = machine.host()
        seen = at_work(machine, host)
        host.abandon("fix", 1)
        assert host.observe().attempts["fix"] == seen
        assert not (machine.run() / "outcome.json").exists()

    def test_one_that_ran_and_ended_meanwhile_is_not_forgotten(self, machine: Machine) -> None:
        """Between the look that saw no start and the abandoning a short command can have come and gone."""
        host = machine.host()
        host.start(machine.order(script="true"))
        until(host, Liveness.ENDED)
        host.abandon("fix", 1)
        ended = host.observe().attempts["fix"]
        assert ended.outcome is None and ended.exit is not None and ended.exit.code == 0


class TestStop:
    def test_it_ends_and_its_exit_is_on_record(self, machine: Machine) -> None:
        host = machine.host()
        seen = at_work(machine, host, f"sleep 601 & sleep 602 & {SLEEP}")
        session = machine.record("start.json")
        host.stop(seen, Stop("stopped", 5.0))
        assert processes.session_members(session["session"], session["wrapper_start"]) == ()
        ended = host.observe().attempts["fix"]
        assert ended.exit is not None and ended.stop is not None and ended.stop.reached is not None
        assert (ended.stop.reason, ended.stop.at, ended.liveness) == ("stopped", 5.0, Liveness.ENDED)
        assert seen.created < ended.stop.reached <= ended.exit.at
        assert conclude(ended, host.tree(ended.home), 6.0).status is Status.STOPPED
        host.stop(ended, Stop("stopped", 5.0))  # safe to repeat

    def test_one_that_ended_since_it_was_looked_at_has_ended_by_itself(self, machine: Machine) -> None:
        """Between the look and the stop: no stop is on record, so its own exit counts."""
        fifo = ends.fifo(machine.board.parent / "go")
        host = machine.host()
        seen = at_work(machine, host, "read -r line < ../../go || true")
        ends.let_go(fifo)
        until(host, Liveness.ENDED)
        host.stop(seen, Stop("restart", time.time()))
        ended = host.observe().attempts["fix"]
        assert ended.stop is None and ended.exit is not None and ended.exit.code == 0

    def test_the_intent_is_on_disk_before_any_signal(self, machine: Machine) -> None:
        host = machine.host()
        path = machine.run() / "stop.json"
        script = "trap 'test -e \"$1\" && echo yes; exit' INT TERM\necho up\nwhile :; do sleep 0.05; done"
        assert host.start(machine.order(run=("sh", "-c", script, "sh", str(path)))).outcome is None
        wait_for(lambda: "up" in machine.output())
        host.stop(until(host, Liveness.RUNNING), Stop("timeout", 5.0))
        wait_for(lambda: "yes" in machine.output())

    def test_a_stop_that_was_cut_short_is_seen(self, machine: Machine) -> None:
        host = machine.host()
        seen = at_work(machine, host)
        (machine.run() / "stop.json").write_text('{"reason": "timeout", "at": 5.0}')
        again = machine.host().observe().attempts["fix"]
        assert (again.stop, again.liveness) == (Stop("timeout", 5.0), Liveness.RUNNING)
        assert again.pid == seen.pid


class TestWhatIsSeen:
    def test_a_killed_wrapper_is_lost_while_its_child_lives(self, machine: Machine) -> None:
        host = machine.host()
        seen = stubborn(machine, host)
        os.kill(machine.record("start.json")["wrapper_pid"], signal.SIGKILL)
        lost = until(host, Liveness.LOST)
        assert lost.pid == seen.pid and lost.exit is None
        assert machine.host().observe().attempts["fix"].liveness is Liveness.LOST
        assert host.close() is False
        assert seen.pid is not None
        os.kill(seen.pid, signal.SIGKILL)
        ended = until(host, Liveness.ENDED)
        outcome = conclude(ended, host.tree(ended.home), time.time())
        assert (outcome.status, outcome.reason) == (Status.FAILED, "lost")

    def test_a_killed_wrapper_takes_a_usual_child_with_it(self, machine: Machine) -> None:
        host = machine.host()
        at_work(machine, host)
        os.kill(machine.record("start.json")["wrapper_pid"], signal.SIGKILL)
        assert until(host, Liveness.ENDED).exit is None

    def test_a_killed_tmux_server_is_a_hangup(self, machine: Machine) -> None:
        host = machine.host()
        at_work(machine, host)
        server = Tmux(machine.board, machine.folder, os.environ)._call("display-message", "-p", "#{pid}")
        os.kill(int(server.out), signal.SIGKILL)
        ended = until(host, Liveness.ENDED)
        assert ended.exit is not None and ended.exit.hangup
        assert conclude(ended, host.tree(ended.home), time.time()).reason == "interrupted"
        wait_for(lambda: host.observe().windows == ())
        host.conclude(ended, conclude(ended, host.tree(ended.home), time.time()))
        assert at_work(machine, host).number == 2  # on a new server

    def test_what_an_attempt_left_is_waited_for_when_it_is_about_to_end(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lingering, "ENDING", PATIENCE)
        host = machine.host()
        host.start(machine.order(script="trap '' HUP; sleep 0.7 & exit 1"))
        ended = until(host, Liveness.ENDED)
        host.conclude(ended, conclude(ended, host.tree(ended.home), time.time()))
        assert at_work(machine, host).number == 2

    def test_nothing_starts_beside_what_an_attempt_left(self, machine: Machine) -> None:
        host = machine.host()
        host.start(machine.order(script="trap '' HUP; sleep 600 & exit 1"))
        ended = until(host, Liveness.ENDED)
        host.conclude(ended, conclude(ended, host.tree(ended.home), time.time()))
        with pytest.raises(MuxError, match=r"left a process that lives.* end it with: kill ") as refused:
            host.start(machine.order())
        os.kill(int(str(refused.value).rpartition(" ")[2]), signal.SIGKILL)
        assert at_work(machine, host).number == 2

    def test_another_control_plane_sees_the_same(self, machine: Machine) -> None:
        first = machine.host()
        seen = at_work(machine, first)
        state = machine.host().observe()
        assert state.attempts == {"fix": seen} == first.observe().attempts
        assert state.windows is not None and len(state.windows) == 1

    def test_wake_files_are_taken_once(self, machine: Machine) -> None:
        host = machine.host()
        host.start(machine.order(script="true"))
        wait_for(lambda: list((machine.folder / "inbox").iterdir()))
        until(host, Liveness.ENDED)
        wait_for(lambda: not list((machine.folder / "inbox").iterdir()) or host.observe() is None)

    def test_a_home_that_is_gone_has_no_facts(self, machine: Machine) -> None:
        host = machine.host()
        seen = at_work(machine, host)
        seen.home.path.rename(seen.home.path.with_name("away"))
        assert host.tree(seen.home) is None


class TestClose:
    def test_nothing_is_closed_while_a_worker_lives(self, machine: Machine) -> None:
        host = machine.host()
        seen = at_work(machine, host)
        assert host.close() is False
        assert host.observe().attempts["fix"] == seen
        host.stop(seen, Stop("stopped", 5.0))
        assert host.close() is True
        assert host.observe().windows == () and host.close() is True

    def test_a_window_whose_worker_is_about_to_be_gone_is_waited_for(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A wrapper lets go of its claim a moment before it ends. Here it has, and its window lives half a second."""
        monkeypatch.setattr(lingering, "ENDING", PATIENCE)
        host = machine.host()
        host.start(machine.order(script="true"))
        until(host, Liveness.ENDED)
        tmux = Tmux(machine.board, machine.folder, os.environ)
        tmux.open("fix", 1, ["sleep", "0.5"], "runs/fix/1/output.log")
        assert host.close() is True
        assert tmux.windows() == ()

    def test_an_ended_window_is_closed_by_its_id(self, machine: Machine) -> None:
        host = machine.host()
        host.start(machine.order(script="true"))
        until(host, Liveness.ENDED)
        windows = host.observe().windows
        assert windows is not None
        host.close_window(windows[0].id)
        assert host.observe().windows == ()
        with pytest.raises(MuxError, match="fix: it has no window"):
            host.attach("fix")
        with pytest.raises(MuxError, match="no worker has a window"):
            host.attach(None)


def test_two_control_planes_by_mistake_never_start_two_workers(machine: Machine) -> None:
    """Each has its own memory; what is on disk decides. They may get in each other's way, so that neither starts."""
    hosts = [machine.host() for _ in range(2)]

    def start(host: Host) -> str:
        try:
            outcome = host.start(machine.order(script=machine.counted())).outcome
        except LockHeld:
            return "held"
        return "started" if outcome is None else "refused"

    def at_work_now() -> int:
        return sum(processes.start_time(window.pid) is not None for window in machine.host().observe().windows or ())

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(start, hosts))
    started = said.count("started")
    assert started <= 1
    wait_for(lambda: at_work_now() == machine.starts() == started)
    if not started:  # nothing is in the way of the next one
        assert start(hosts[0]) == "started"
        wait_for(lambda: at_work_now() == machine.starts() == 1)
    assert start(hosts[1]) == "held"
    assert at_work_now() == machine.starts() == 1


def test_a_check_that_a_killed_control_plane_left_running_ends_before_a_worker_starts(machine: Machine) -> None:
    machine.run().parent.mkdir(parents=True)
    with sh.open_session(["sleep", "600"], cwd=machine.folder, env=dict(os.environ)) as left:
        started = processes.start_time(left.pid)
        (machine.run().parent / "checking.json").write_text(json.dumps({"session": left.pid, "started": started}))
        machine.host().start(machine.order(script="true"))
        assert left.wait() == -signal.SIGTERM


def test_the_gate_is_asked_through_the_port(machine: Machine) -> None:
    host = machine.host()
    attempt = host.start(machine.order(script="true"))
    wait_for(lambda: host.observe().attempts["fix"].liveness is Liveness.ENDED)
    rules = GateRules(("clean", "merged", "check"), machine.repository.root, check='test "$MUX_TASK" = fix')
    assert host.judge(attempt, rules).broken == ()
    judged = host.judge(attempt, replace(rules, done_when=("committed", "check"), check="exit 3"))
    assert judged.broken == (("committed", "no commit on its branch"), ("check", "its check failed: exit 3"))
    host.end_checks()
    with pytest.raises(MuxError, match="its check was not run: mux ends"):
        host.judge(attempt, replace(rules, check="true"))
