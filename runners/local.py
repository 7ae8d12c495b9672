"""This machine as a host: its tmux, its git worktrees, its run records."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from board.errors import LockHeld, MuxError
from board.model import Status
from board.storage import private_folder, write_atomic
from runners import agents, claims, deliver, git, homes, processes, restore, snapshots, wrapper
from runners.host import Host, StartOrder
from runners.model import Attempt, Home, HostState, Liveness, Outcome, Stop, TreeFacts
from runners.records import Records
from runners.tmux import Tmux

#: A wrapper that has not recorded its start after this many seconds never will.
_START_LIMIT = 30.0
_POLL = 0.004


def local_host(board: Path, folder: Path, environment: Mapping[str, str]) -> Host:
    """The host for the board at `board`, with its run records in `folder` (`.mux`)."""
    local = _Local(board, folder, environment)
    return Host(
        observe=local.observe,
        start=local.start,
        abandon=local.abandon,
        stop=local.stop,
        tree=tree,
        conclude=lambda attempt, outcome: local.records.conclude(attempt.task, attempt.number, outcome),
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


def tree(home: Home) -> TreeFacts | None:
    """What git says of the home; None when its folder is gone."""
    return git.tree_facts(home) if (home.path / ".git").exists() else None


class _CannotStart(Exception):
    """Private: carries the outcome of an attempt that cannot start."""

    def __init__(self, status: Status, reason: str, why: str) -> None:
        super().__init__(why)
        self.status, self.reason = status, reason


class _Local:
    def __init__(self, board: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.board = board
        self.folder = folder
        self.records = Records(folder)
        self.tmux = Tmux(board, folder, environment)

    def observe(self) -> HostState:
        # Wake files say only "look again": they go first, so that what comes while looking wakes the loop once more.
        for path in (self.folder / "inbox").glob("*"):
            path.unlink(missing_ok=True)
        attempts = self.records.attempts()
        return HostState(attempts, self.tmux.windows(), self.records.abandoned(), self.records.unreadable())

    @contextmanager
    def hold(self, task: str) -> Iterator[None]:
        with deliver.hold(self.folder, task):
            self._check_nothing_lingers(task)
            yield

    def _check_nothing_lingers(self, task: str) -> None:
        """What a worker left running in the background works in its home still. Raises `MuxError`."""
        attempt = self.records.attempts().get(task)
        over = attempt is not None and attempt.liveness is Liveness.ENDED
        session = self.records.session(task, attempt.number) if attempt and over else None
        left = processes.session_members(*session) if session else ()
        if attempt and left:
            pids = " ".join(map(str, left))
            raise MuxError(f"{task}: attempt {attempt.number} left a process that lives; end it with: kill {pids}")

    def start(self, order: StartOrder) -> Attempt:
        self._check_nothing_lingers(order.task)
        number = self._claim(order)
        intent = self._intent(order, number)
        self.records.plan(order.task, number, intent, durable=False)
        try:
            self._open(order, number, intent)
        except _CannotStart as error:
            self._give_up(order.task, number, Outcome(error.status, error.reason, str(error), time.time()))
        except MuxError as error:
            self._give_up(order.task, number, Outcome(Status.FAILED, "start", f"does not start: {error}", time.time()))
        return self.records.read(order.task, number)

    def abandon(self, task: str, number: int) -> None:
        self._give_up(task, number, Outcome(None, "abandoned", "it never started", time.time()))

    def stop(self, attempt: Attempt, stop: Stop) -> None:
        self.records.stop(attempt.task, attempt.number, stop)
        session = self.records.session(attempt.task, attempt.number)
        if session is not None and not processes.end_session(*session):
            raise MuxError(f"{attempt.task}: a process of its session {session[0]} does not end, not even by KILL")

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
        state = self.observe()
        lives = any(attempt.liveness in (Liveness.RUNNING, Liveness.LOST) for attempt in state.attempts.values())
        if lives or state.windows is None or any(not window.dead for window in state.windows):
            return False
        self.tmux.shutdown()
        return True

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
        start = _start_commit(repository, order)
        home = homes.prepare(repository, order.home, order.branch, start, order.settings.copy).home
        run = self.records.run_folder(order.task, number)
        command = self._command(order, repository, run, number)
        completed = intent | {
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
                raise _CannotStart(Status.FAILED, "start", "does not start: its wrapper ended; see its window")
            time.sleep(_POLL)

    def _check_program(self, profile: agents.Profile) -> None:
        """Said before a home is made: `exit 127` would not name what is missing."""
        known = profile.name == "shell" or "/" in profile.program
        if not known and shutil.which(profile.program, path=self.tmux.environment["PATH"]) is None:
            how = f"; {profile.install}" if profile.install else ""
            why = f"does not start: there is no program {profile.program} on PATH{how}"
            raise _CannotStart(Status.FAILED, "program", why)

    def _command(self, order: StartOrder, repository: git.Repository, run: Path, number: int) -> agents.Command:
        """What the wrapper runs. Prompt and script are files of the run folder, never part of a command line's text."""
        prompt = run / "prompt.md"
        write_atomic(prompt, order.prompt.encode(), durable=False)
        settings = order.settings
        if order.profile.name != "shell":
            return agents.command(
                order.profile,
                settings.mode,
                False,
                order.prompt,
                prompt,
                agents.session_id(self.board, order.task, number),
                git_dir=homes.private_folder_of(order.home),
                common_dir=repository.common_dir,
            )
        script = agents.script(order.prompt, settings.run)
        if script is not None:
            write_atomic(run / "script", script.text.encode(), durable=False)
            return agents.shell_command(order.profile, settings.mode, script, run / "script")
        if not isinstance(settings.run, tuple):
            raise _CannotStart(Status.FAILED, "start", "does not start: it has no script to run")
        return agents.shell_command(order.profile, settings.mode, settings.run, run / "script")


def _start_commit(repository: git.Repository, order: StartOrder) -> str:
    """Where a new branch starts: `base`, or the one predecessor that is not in base yet."""
    base = order.settings.base or git.current_branch(repository.root) or "HEAD"
    commit = git.resolve(repository.root, base)
    if commit is None:
        where = f"does not exist in {repository.root}: set `base:` to one that is there"
        raise _CannotStart(Status.FAILED, "base", f"the base branch {base} {where}")
    unmerged = {
        branch: head
        for branch in order.predecessors
        if (head := git.resolve(repository.root, f"refs/heads/{branch}")) is not None
        and not git.is_merged(repository.root, head, commit)
    }
    if len(unmerged) > 1 and not (order.home / ".git").exists():
        names = " and ".join(sorted(unmerged))
        raise _CannotStart(Status.BLOCKED, "after", f"starts from several unmerged branches: merge {names} first")
    return next(iter(unmerged.values()), commit)
