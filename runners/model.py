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
    attached: bool = False  # some terminal shows the server's windows


@dataclass(frozen=True, slots=True)
class Sight:
    """What windows show, as text, and when somebody who sees one last pressed a key; both by the window's id."""

    screens: Mapping[str, str]
    typed: Mapping[str, float]


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
    server_gone: bool = False  # the tmux server that it ran in was gone when it ended


StopReason = Literal["stopped", "restart", "timeout", "done"]


@dataclass(frozen=True, slots=True)
class Stop:
    """Intent, on disk before any signal is sent.

    `reached`: when the first signal was sent, to a command that lived then; None: it is not known that one was.
    """

    reason: StopReason
    at: float
    reached: float | None = None


class Cause(StrEnum):
    """Why an attempt was started."""

    PERSON = "person"  # it was ordered: clears what mux counts against the task
    MUX = "mux"  # after a bad end, by the recovery table
    LIMIT = "limit"  # the time is over that the agent named when it could not work: counts against nobody's budget
    OUTAGE = "outage"  # after a bad end that was one of many: counts against nobody's budget


class Row(StrEnum):
    """The rows of the recovery table, in its order."""

    LOOK_AGAIN = "look-again"
    STOPPED = "stopped"
    ONCE = "once"
    REPORTED_BLOCKED = "reported-blocked"
    GATE = "gate"
    LIMITED = "limited"
    DOES_NOT_START = "does-not-start"
    NEVER = "never"
    DESTRUCTIVE = "destructive"
    SAME_FAILURE = "same-failure"
    BUDGET = "budget"
    RESUME = "resume"
    DIRTY = "dirty"
    RESTART = "restart"
    ELSE = "else"


class How(StrEnum):
    """In which state a worker is started."""

    START = "start"  # from the prompt, in its home as it is
    RESUME = "resume"  # goes on with the agent's own conversation


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker said on purpose. `text` is its own words: quoted as such, never taken for a fact."""

    kind: Literal["done", "blocked", "checkpoint"]
    at: float
    text: str = ""
    commit: str | None = None  # of a checkpoint


@dataclass(frozen=True, slots=True)
class Signal:
    """What an agent last said of its turn, by its own hooks."""

    kind: str  # one of `screens.SAID`
    at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Next:
    """What follows a decision by itself, or is asked about."""

    do: Literal["restart", "resume", "ask"]
    at: float  # not before, in seconds since the epoch
    choices: tuple[str, ...] = ()  # of the question
    after: str = ""  # what it follows from, for the next attempt


@dataclass(frozen=True, slots=True)
class Outcome:
    """What mux concluded about an ended attempt: written before anything follows from it.

    It is the decision of `runners.recovery`: the row of its table, the reason, the evidence and what happens next.
    """

    status: Status | None  # None: it never started; the order still stands
    reason: str  # a reason code: exit, signal, setup, timeout, interrupted, lost, gate, branch, ...
    why: str  # one line for the board; typed values only, no free text of the worker's
    at: float
    checkpoint: str | None = None  # the commit that passed the done gate
    row: str = ""  # of the recovery table; empty: it was concluded without it
    next: Next | None = None
    evidence: Mapping[str, str | int] = field(default_factory=lambda: NOTHING, hash=False)
    head: str | None = None  # of its home then
    tree: str | None = None  # of its home's files then; None: as HEAD


@dataclass(frozen=True, slots=True)
class Home:
    """Where a worker works."""

    path: Path
    branch: str
    start_commit: str  # the commit the branch started from: checkpoint 0


@dataclass(frozen=True, slots=True)
class Interruption:
    """What an agent is told of the attempt before: how it ended, and what it left."""

    attempt: int
    ended: str
    checkpoint: str | None
    head: str
    modified: int
    untracked: int
    finished: tuple[str, ...]  # keys of `once` steps
    unfinished: tuple[str, ...]
    snapshot: int | None


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A run of a `once` step that did not finish, and about which nobody has decided."""

    id: str  # of this very run
    key: str  # as a person is shown it, as is `command`
    command: str
    number: int  # how often the step was begun
    at: float  # when this run was


@dataclass(frozen=True, slots=True)
class Judged:
    """What the done gate said about a claim to be done, made at `claimed`."""

    claimed: float
    at: float
    passed: bool
    why: str  # what is missing; empty when it passed


@dataclass(frozen=True, slots=True)
class Nudge:
    """The one time that an idle agent was told how to end its task: on disk before a key is typed."""

    at: float
    refused: str = ""  # why nothing was typed, or did not arrive; typed words only


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
    cause: Cause = Cause.PERSON
    how: How = How.START
    why: str = ""  # of a restart: what it follows from
    known_good: str = ""  # the newest commit that it, or an attempt before it, is known to be good at
    conversation: int = 0  # the attempt that began the agent's conversation; 0: not known
    reports: tuple[Report, ...] = ()  # oldest first
    judged: Judged | None = None  # of its newest claim to be done, while it lives
    nudge: Nudge | None = None
    retired: bool = False  # its section was taken off the board: a new section of that id is a new task

    @property
    def checkpoint(self) -> str:
        """The newest commit that the task is known to be good at; the one that its branch started from is the first."""
        marked = [report.commit for report in self.reports if report.kind == "checkpoint" and report.commit]
        return marked[-1] if marked else self.known_good or self.home.start_commit


@dataclass(frozen=True, slots=True)
class TreeFacts:
    """What git says of one worktree. Counts, not names: names never leave the machine."""

    head: str
    branch: str | None  # None: detached
    commits: int  # on HEAD, not reachable from the start commit
    modified: int  # tracked files changed or deleted, staged or not
    untracked: int  # untracked and not ignored
    unpushed: int | None = None  # commits that its upstream does not have; None: it has no upstream
    pushed: bool | None = None  # its upstream is the same commit; None: it has no upstream
    merged: bool | None = None  # all of it is in base; None: nobody asked, or it could not be said

    @property
    def clean(self) -> bool:
        return not self.modified and not self.untracked


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How the `check` command ended in a home with this HEAD and these files.

    At most one of `code` and `signal` is set; neither: it was ended at its time limit.
    """

    head: str
    tree: str | None  # of the home's files; None: as HEAD
    seconds: float
    code: int | None = None
    signal: int | None = None
    steady: bool = True  # False: the files changed under it, each time it was tried

    @property
    def holds(self) -> bool:
        return self.steady and self.code == 0


@dataclass(frozen=True, slots=True)
class GateRules:
    """What the done gate asks of an attempt. `check_timeout` is in seconds."""

    done_when: tuple[str, ...]
    repository: Path
    base: str | None = None  # None: the branch checked out in the repository
    check: str | None = None  # the board's own text, for `sh -c`
    check_timeout: float = 1800.0
    env: Mapping[str, str] = field(default_factory=lambda: NOTHING)  # the task's


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the done gate found. `broken`: the rules that do not hold, each with what is missing."""

    facts: TreeFacts | None  # as they were after the check; None: the home is gone
    check: CheckResult | None  # None: it is no rule, or it was not run
    broken: tuple[tuple[str, str], ...]


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
