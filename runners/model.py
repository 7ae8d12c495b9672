"""What was wanted, what is seen and what was decided about workers, as types. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from board.model import NOTHING, Status


@dataclass(frozen=True, slots=True)
class Window:
    """One tmux window of ours, known by its user options, never by its name."""

    id: str  # tmux's window id, `@3`
    task: str
    attempt: int
    pid: int  # of the pane's process: the wrapper
    dead: bool
    activity: float  # last output, seconds since the epoch


class Liveness(StrEnum):
    PLANNED = "planned"  # the record is on disk, no wrapper ever recorded a start
    RUNNING = "running"  # the wrapper holds the claim
    LOST = "lost"  # the wrapper is gone without an exit record, but a process of its session lives
    ENDED = "ended"  # nothing of it lives


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended, as its wrapper recorded it. Exactly one of `code` and `signal` is set."""

    at: float
    code: int | None = None
    signal: int | None = None
    phase: Literal["setup", "run"] = "run"
    hangup: bool = False  # the wrapper itself got HUP: its window or tmux server was closed


@dataclass(frozen=True, slots=True)
class Stop:
    """Intent, on disk before any signal is sent."""

    reason: Literal["stopped", "restart", "timeout"]
    at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What mux concluded about an ended attempt: written once, before the board says it."""

    status: Status | None  # None: it never started; the order still stands
    reason: str  # a reason code: exit, signal, setup, timeout, interrupted, lost, gate, branch, ...
    why: str  # one line for the board; typed values only, no free text of the worker's
    at: float
    checkpoint: str | None = None  # the commit that passed the done gate


@dataclass(frozen=True, slots=True)
class Home:
    """Where a worker works."""

    path: Path
    branch: str
    start_commit: str  # the commit the branch started from: checkpoint 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a worker: its record on disk and what is seen of it now. `number` is also its epoch."""

    task: str
    number: int
    created: float
    agent: str
    mode: str
    home: Home
    liveness: Liveness
    timeout: float | None = None
    done_when: tuple[str, ...] = ()
    started: float | None = None  # when the command ran; None while in setup or never
    pid: int | None = None  # of the worker's command
    ports: tuple[int, int] | None = None  # first and last of its block
    exit: Exit | None = None
    rebooted: bool = False  # it started before the machine's last boot
    stop: Stop | None = None
    outcome: Outcome | None = None
    retired: bool = False  # its section was taken off the board: a new section of that id is a new task


@dataclass(frozen=True, slots=True)
class TreeFacts:
    """What git says of one worktree. Counts, not names: names never leave the machine."""

    head: str
    branch: str | None  # None: detached
    commits: int  # on HEAD, not reachable from the start commit
    modified: int  # tracked files changed or deleted, staged or not
    untracked: int  # untracked and not ignored

    @property
    def clean(self) -> bool:
        return not self.modified and not self.untracked


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path of a home, from its top, that a snapshot does not hold as it is there. A folder's ends with a slash."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A commit that holds a home's files, untracked ones included and ignored ones not, under a ref of its task."""

    number: int  # a serial of the task
    commit: str
    tree: str
    parent: str | None  # HEAD of the home then; None: it had no commit
    at: float
    attempt: int  # whose work it holds; 0: unknown
    reason: str
    changed: int  # tracked files changed or deleted
    untracked: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def what(self) -> str:
        """`2 files changed, 1 untracked, 1 left out`"""
        parts = [f"{self.changed} file{'s' if self.changed != 1 else ''} changed", f"{self.untracked} untracked"]
        return ", ".join([*parts, *([f"{len(self.left_out)} left out"] if self.left_out else [])])


@dataclass(frozen=True, slots=True)
class Taken:
    """`new` is False when the newest snapshot held the same files already: then that one is meant."""

    snapshot: Snapshot
    new: bool
    left_out: tuple[LeftOut, ...]  # of the home as it is now


@dataclass(frozen=True, slots=True)
class Restored:
    """What bringing a snapshot back did to a home."""

    home: Home
    made: bool  # the home was gone and was made anew
    before: Taken | None  # holds what was uncommitted in it; None when nothing was
    written: int  # files
    removed: int
    untouched: tuple[LeftOut, ...]
    moved_to: str | None  # HEAD, when it is not the snapshot's parent


@dataclass(frozen=True, slots=True)
class HostState:
    """One look at the host. `windows` is None when tmux could not be asked: unknown, not gone."""

    #: By task: the newest that was not abandoned before it started.
    attempts: Mapping[str, Attempt] = field(default_factory=lambda: NOTHING)
    windows: tuple[Window, ...] | None = None
    #: By task: the number of the newest attempt that was abandoned.
    abandoned: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    #: By task: why its records cannot be read. Nothing is decided about such a task.
    unreadable: Mapping[str, str] = field(default_factory=lambda: NOTHING)
