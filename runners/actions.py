"""What the plan may order, and what it is made from. Pure data; each action is safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from board.edit import Change
from runners.asked import Asked
from runners.health import Condition
from runners.model import Cause, HostState, How, StopReason
from runners.standing import Standing


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker: claim, home, record, window."""

    task: str
    number: int  # at least; spent epochs are skipped
    cause: Cause = Cause.PERSON
    how: How = How.START
    why: str = ""  # of a restart: what it follows from
    by: str | None = None  # who decided it


@dataclass(frozen=True, slots=True)
class Abandon:
    """Give up an attempt that was written down but never started; its epoch is spent, its order stands."""

    task: str
    number: int


@dataclass(frozen=True, slots=True)
class StopWorker:
    """End a worker: interrupt, TERM, KILL. Its home is kept as it is."""

    task: str
    number: int
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Judge:
    """Look whether a live worker's claim to be done holds."""

    task: str
    number: int


@dataclass(frozen=True, slots=True)
class NudgeAgent:
    """Tell an agent that is idle how to end its task: once an attempt."""

    task: str
    number: int


@dataclass(frozen=True, slots=True)
class Conclude:
    """Look at the home of an attempt that ended, decide what follows and write it down."""

    task: str
    number: int
    outage: bool = False  # it ended as one of many


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a person: see `requests.Request.action`."""

    task: str
    number: int
    action: str


@dataclass(frozen=True, slots=True)
class AskAll:
    """One question about all these tasks, which ended together."""

    members: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Do what a person chose: look again whether it is what they were shown, then step by step."""

    task: str
    number: int
    request: str
    choice: str


@dataclass(frozen=True, slots=True)
class Expire:
    """The time to decide is over: the answer is no."""

    request: str


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """Say what became of a request; it takes no answer from then on."""

    request: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Retire:
    """The section of an attempt was taken off the board: a new one with its id will be a new task."""

    task: str
    number: int


@dataclass(frozen=True, slots=True)
class CloseWindow:
    """Close the dead window of an attempt that is no longer its task's newest."""

    window: str
    task: str


@dataclass(frozen=True, slots=True)
class WriteBoard:
    """Bring the lines that mux owns up to date."""

    changes: tuple[Change, ...]


OfTask = Start | Abandon | StopWorker | Judge | NudgeAgent | Conclude | Ask | CarryOut | Retire | CloseWindow
Action = OfTask | AskAll | Expire | CloseRequest | WriteBoard


@dataclass(frozen=True, slots=True)
class Observed:
    now: float
    host: HostState
    busy: frozenset[str] = frozenset()  # tasks with a slow effect under way
    asked: tuple[Asked, ...] = ()  # all requests that are kept, oldest first
    wrote_at: float = 0.0  # when mux last wrote the board
    writable: bool = True  # False while the file on disk is not the board in force
    held: bool = False  # True while a person is asked about a save that could wipe the board
    since: float = 0.0  # when this control plane started
    paced_at: float = 0.0  # when it last started a worker after an outage
    conditions: Mapping[str, Condition] = field(default_factory=dict)  # of live workers that were looked at, by task


@dataclass(frozen=True, slots=True)
class Plan:
    actions: tuple[Action, ...] = ()
    wake_at: float | None = None  # look again no later than this
    waiting: Mapping[str, str] = field(default_factory=dict)  # tasks that are to start and do not yet, each with why
    where: Mapping[str, Standing] = field(default_factory=dict)  # where each task stands
