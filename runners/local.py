"""This machine as a host: its tmux, its git worktrees, its run records."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from board.errors import LockHeld, MuxError
from board.model import Status
from board.storage import private_folder
from runners import (
    agents,
    claims,
    deliver,
    git,
    health_records,
    homes,
    judge,
    lingering,
    once,
    once_questions,
    output,
    processes,
    restore,
    signals,
    snapshots,
    terminals,
    wrapper,
)
from runners.check import Checks
from runners.command_folder import command_folder
from runners.host import Host, StartOrder
from runners.journal import Redact, unredacted
from runners.model import Attempt, HostState, Liveness, Outcome, Stop
from runners.own_log import told, write_words
from runners.records import Records
from runners.start_order import CannotStart, command_of, start_commit
from runners.tmux import Tmux

#: A wrapper that has not recorded its start after this many seconds never will.
_START_LIMIT = 30.0
_POLL = 0.004


def local_host(board: Path, folder: Path, environment: Mapping[str, str], redact: Redact = unredacted) -> Host:
    """The host for the board at `board`, with its run records in `folder` (`.mux`).

    `redact`: what every reason goes through before it is kept, as the board shows it.
    """
    local = _Local(board, folder, environment, redact)
    return Host(
        observe=local.observe,
        start=local.start,
        abandon=local.abandon,
        stop=local.stop,
        tree=judge.tree,
        judge=lambda attempt, rules: judge.judge(local.checks, attempt, rules),
        end_checks=local.checks.end,
        conclude=lambda attempt, outcome: local.records.conclude(attempt.task, attempt.number, outcome),
        record_judged=lambda attempt, judged: local.records.judge(attempt.task, attempt.number, judged),
        record_nudge=lambda attempt, nudge: local.records.nudge(attempt.task, attempt.number, nudge),
        tail=lambda attempt: output.tail(local.records.run_folder(attempt.task, attempt.number)),
        once_running=lambda task: once.running(folder, task),
        once_unfinished=lambda task: once.unfinished(folder, task),
        once_finished=lambda task: once.finished(folder, task),
        once_undecided=lambda task: once_questions.undecided(folder, task, redact),
        once_decide=lambda task, choice, by, before: once_questions.decide(folder, task, choice, by, before, redact),
        beyond=git.beyond,
        under_way=lambda home: deliver.under_way(home.path),
        reset=restore.reset,
        finish_reset=restore.finish_reset,
        snapshot_holding=snapshots.holding,
        snapshot=snapshots.take,
        snapshots=snapshots.kept,
        snapshot_lines=snapshots.lines,
        restore=restore.restore,
        drop_snapshots=snapshots.drop,
        retire=local.records.retire,
        close_window=local.tmux.close,
        attach=local.attach,
        history=local.records.all_of,
        close=local.close,
        windows=local.tmux.windows,
        look=local.tmux.look,
        screen=local.tmux.capture_styled,
        cursor=local.tmux.cursor,
        paste=local.tmux.paste,
        press=local.tmux.press,
        terminal=lambda window: terminals.look(local.tmux.terminal(window)),
        sent=lambda attempts: output.written_at(folder, attempts, "sent"),
        printed=lambda attempts: output.written_at(folder, attempts, "output.log"),
        computed=local.computed,
        recall=lambda task, number, now: health_records.recall(local.records.run_folder(task, number), now),
        remember=lambda task, number, health: health_records.keep(local.records.run_folder(task, number), health),
        signal=signals.Signals(folder).newest,
        progress=snapshots.progress,
        stray=lambda task: lingering.stray(local.records, local.tmux.windows(), board, task),
        hold=local.hold,
        branch_facts=deliver.branch_facts,
        deliver=deliver.carry_out,
        diff=deliver.diff,
        is_delivered=deliver.in_base_or_remote,
        ignored=deliver.ignored,
        remains=deliver.remains,
        disk_usage=deliver.disk_usage,
        run_folder=local.records.run_folder,
        remove_run=lambda task, number: deliver.remove_run(folder, task, number),
    )


class _Local:
    def __init__(self, board: Path, folder: Path, environment: Mapping[str, str], redact: Redact) -> None:
        self.board = board
        self.folder = folder
        self.records = Records(folder, redact)
        self.redact = redact
        self.tmux = Tmux(board, folder, environment)
        self.checks = Checks(board, folder, self.tmux.environment)

    def observe(self) -> HostState:
        # Wake files say only "look again": they go first, so that what comes while looking wakes the loop once more.
        for path in (self.folder / "inbox").glob("*"):
            path.unlink(missing_ok=True)
        attempts = self.records.attempts()
        return HostState(attempts, self.tmux.windows(), self.records.abandoned(), self.records.unreadable())

    def computed(self, attempts: Sequence[tuple[str, int]]) -> dict[str, float]:
        spent = processes.session_times()
        sessions = {task: self.records.session(task, number) for task, number in attempts} if spent else {}
        return {task: spent[found[0]] for task, found in sessions.items() if found and found[0] in spent}

    @contextmanager
    def hold(self, task: str) -> Iterator[None]:
        with deliver.hold(self.folder, task):
            lingering.check(self.records, task)
            if stray := lingering.stray(self.records, self.tmux.windows(), self.board, task):
                raise MuxError(f"{task}: {stray}")
            yield

    def start(self, order: StartOrder) -> Attempt:
        lingering.check(self.records, order.task)
        self.checks.end_left(order.task)
        number = self._claim(order)
        if order.new:
            once.set_aside(self.folder, order.task, number)
        intent = self._intent(order, number)
        self.records.plan(order.task, number, intent, durable=False)
        try:
            self._open(order, number, intent)
        except CannotStart as error:
            self._give_up(order.task, number, Outcome(error.status, error.reason, str(error), time.time()))
        except MuxError as error:
            write_words(self.folder, order.task, error)
            self._give_up(
                order.task, number, Outcome(Status.FAILED, "start", f"does not start: {told(error)}", time.time())
            )
        return self.records.read(order.task, number)

    def abandon(self, task: str, number: int) -> None:
        self._give_up(task, number, Outcome(None, "abandoned", "it never started", time.time()))

    def stop(self, attempt: Attempt, stop: Stop) -> None:
        """Writes down whether its command lived when it was signalled: one that did not has ended by itself."""
        task, number = attempt.task, attempt.number
        now = self.records.read(task, number)
        if now.stop is None:
            if now.liveness is Liveness.ENDED:
                return  # since it was looked at: there is nothing to end, and how it ended is its own
            self.records.stop(task, number, stop)
        session = self.records.session(task, number)
        if session is None:
            return
        meant = now.stop or stop

        def reached(at: float) -> None:
            if meant.reached is None:
                self.records.stop(task, number, replace(meant, reached=at))

        if not processes.end_session(*session, command=self.records.command(task, number), reached=reached):
            raise MuxError(f"{task}: a process of its session {session[0]} does not end, not even by KILL")

    def attach(self, task: str | None) -> list[str]:
        windows = self.tmux.windows()
        if windows is None and task is not None:
            raise MuxError(f"{task}: tmux does not say which window is its; try again in a moment")
        mine = [window for window in windows or () if window.task == task]
        if task is not None and not mine:
            raise MuxError(f"{task}: it has no window; what there is of it: mux status {task}")
        if windows == ():
            raise MuxError("no worker has a window now; what runs, and what ran: mux status")
        return self.tmux.attach_argv(max(mine, key=lambda window: window.attempt).id if mine else None)

    def close(self) -> bool:
        deadline = time.monotonic() + lingering.ENDING  # a wrapper lets go of its claim a moment before its window dies
        while True:
            state = self.observe()
            lives = any(attempt.liveness in (Liveness.RUNNING, Liveness.LOST) for attempt in state.attempts.values())
            if lives or state.windows is None:
                return False
            if all(window.dead for window in state.windows):
                self.tmux.shutdown()
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)

    def _claim(self, order: StartOrder) -> int:
        """A new epoch, granted. Raises LockHeld while somebody works in the home: nothing is remembered then."""
        number = self.records.reserve(order.task, order.number)
        try:
            claims.grant(self.folder, order.task, number, time.time())
        except LockHeld:
            self.records.run_folder(order.task, number).rmdir()
            raise
        return number

    def _give_up(self, task: str, number: int, outcome: Outcome) -> None:
        """Spend the epoch, so that a window that appears late starts nothing, and write down why."""
        try:
            claims.grant(self.folder, task, number + 1, outcome.at)
        except LockHeld:
            if claims.held_by(self.folder, task) in (number, None):
                return  # it lives after all: the next look adopts it
        if self.records.session(task, number) is None:  # else it started after all, and may even have ended
            self.records.conclude(task, number, outcome)

    def _intent(self, order: StartOrder, number: int) -> dict[str, Any]:
        settings = order.settings
        variables = {"MUX_TASK": order.task, "MUX_ATTEMPT": str(number), "MUX_BOARD": str(self.board)}
        path = settings.env.get("PATH") or self.tmux.environment["PATH"]
        variables["PATH"] = f"{path}{os.pathsep}{command_folder(self.folder)}"
        return {
            "task": order.task,
            "attempt": number,
            "created": time.time(),
            "agent": settings.agent,
            "mode": settings.mode,
            "cwd": str(order.home),
            "branch": order.branch,
            "start_commit": "",
            "timeout": settings.timeout,
            "done_when": list(order.done_when),
            "cause": order.cause,
            "how": order.how,
            "why": order.why,
            "known_good": order.known_good,
            "conversation": order.conversation or number,
            "env": {**settings.env, **variables},
            "ports": settings.ports,
            "setup": list(settings.setup),
            "setup_marker": None,
            "argv": [],
            "stdin": None,
        }

    def _open(self, order: StartOrder, number: int, intent: dict[str, Any]) -> None:
        """Home, prompt and command, then the window; returns once the wrapper recorded its start."""
        self._check_program(order.profile)
        repository = git.open_repository(order.repository)
        start = start_commit(repository, order)
        home = homes.prepare(repository, order.home, order.branch, start, order.settings.copy).home
        run = self.records.run_folder(order.task, number)
        command = command_of(self.board, order, repository, run, number)
        added = agents.environment(order.profile, order.settings.mode, run, self.tmux.environment)
        completed = intent | {
            "env": added | intent["env"],
            "start_commit": home.start_commit,
            "setup_marker": str(homes.setup_marker(home)),
            "argv": list(command.argv),
            "stdin": str(command.stdin) if command.stdin else None,
        }
        self.records.plan(order.task, number, completed)
        private_folder(self.folder / "inbox")
        self.tmux.ensure()
        window = self.tmux.open(order.task, number, wrapper.command(str(run)), f"runs/{order.task}/{number}/output.log")
        deadline = time.monotonic() + _START_LIMIT
        while not (run / "start.json").exists():
            if time.monotonic() > deadline or processes.start_time(window.pid) is None:
                raise CannotStart(Status.FAILED, "start", "does not start: its wrapper ended; see its window")
            time.sleep(_POLL)

    def _check_program(self, profile: agents.Profile) -> None:
        """Said before a home is made: `exit 127` would not name what is missing."""
        known = profile.name == "shell" or "/" in profile.program
        if not known and shutil.which(profile.program, path=self.tmux.environment["PATH"]) is None:
            how = f"; {profile.install}" if profile.install else ""
            why = f"does not start: there is no program {profile.program} on PATH{how}"
            raise CannotStart(Status.FAILED, "program", why)
