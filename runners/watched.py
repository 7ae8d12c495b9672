"""What is remembered of a worker that is watched, and what follows from it for the next look. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from board.model import Task
from runners import reading
from runners.asked import Asked
from runners.case import claim
from runners.health import Condition, Health, Thresholds, flickers
from runners.model import Attempt, Signal
from runners.nudging import is_idle
from runners.profiles import Profile

_INTERACTIVE, _HEADLESS = 1.0, 2.0  # between two screens of a worker
_FLICKERS = 0.4  # the same, where a screen may show in a moment again what a person was told of
_SILENT = 20.0  # without output: from then on it counts whether a worker computes
_LATE = 0.05  # by which the time of a file may be behind the clock


@dataclass(frozen=True, slots=True)
class Watched:
    """A live worker, and what to know for a look at it. `window`: None when it has none."""

    attempt: Attempt
    window: str | None
    activity: float  # of the window, in whole seconds
    attached: bool  # somebody sees the windows
    profile: Profile | None
    thresholds: Thresholds
    person_at: float | None  # when a person last answered it
    task: Task | None  # its section; None: it is gone
    asked: tuple[Asked, ...]  # the requests about it


@dataclass(slots=True)
class Worker:
    """What is remembered of one attempt between two rounds."""

    number: int
    health: Health
    captured_at: float = 0.0
    person_at: float | None = None
    typed_at: float | None = None  # when a person who is attached last pressed a key
    spent: tuple[float, float] | None = None  # when its processes were read, and their processor seconds
    computing: float | None = None
    files_at: float = 0.0  # when its home was looked at
    files: str | None = None
    told_files: str | None = None  # what the last look at it knew of them
    checked: tuple[str, ...] = ()  # its failures when its home was last looked at
    told_checked: tuple[str, ...] = ()
    signal: Signal | None = None  # what its agent said of its turn
    kept: tuple[object, ...] = ()  # of its health, on disk


@dataclass(frozen=True, slots=True)
class Round:
    """What one round saw of all of them."""

    now: float
    printed: Mapping[str, float]
    screens: Mapping[str, str]
    looked: frozenset[str]  # tasks whose screens were asked for
    failed: bool  # tmux gave none
    computed: bool


def news_in(number: int, condition: Condition) -> tuple[object, ...]:
    """What of a condition is news to the loop."""
    return number, condition.name, condition.reason, condition.until, condition.told


def to_keep(health: Health) -> tuple[object, ...]:
    """What of it has changed when it is to be written down again."""
    condition = health.condition
    told = tuple((each.name, each.reason, each.at) for each in health.told)
    now = (condition.name, condition.reason, condition.since, condition.until)
    return *now, told, health.person_at, health.overtaken_at


def is_due(each: Watched, worker: Worker, printed: float, now: float) -> bool:
    """Whether its screen is to be looked at: it printed since, and it was not looked at just now."""
    interactive = each.attempt.mode == "interactive"
    pause = _FLICKERS if flickers(worker.health) else _INTERACTIVE
    if now - worker.captured_at < (pause if interactive else _HEADLESS):
        return False
    return printed >= worker.captured_at - _LATE or (interactive and reading.settles(each.attempt, worker.captured_at))


def is_quiet(each: Watched, workers: Mapping[str, Worker], now: float) -> bool:
    """Whether it computes decides how it is: it prints nothing, or nothing came of it for long."""
    health, after = workers[each.attempt.task].health, each.thresholds.stuck_after
    return now - health.active_at >= _SILENT or (after is not None and now - health.progress_at >= after / 2)


def is_over(attempt: Attempt, condition: Condition) -> bool:
    """It said that it is done or blocked: that its prompt is idle then is no news."""
    return is_idle(condition) and claim(attempt) is not None
