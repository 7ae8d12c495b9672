"""The words of the board as types. Pure data; nothing here reads or writes anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

TASK_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,47}\Z")
#: What `done_when` may ask for.
RULES = ("committed", "clean", "pushed", "merged", "check")
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Status(StrEnum):
    DRAFT = "draft"
    READY = "ready"
    CLAIMED = "claimed"
    RUNNING = "running"
    WAITING = "waiting"
    REVIEW = "review"
    DONE = "done"
    BLOCKED = "blocked"
    FAILED = "failed"
    STOPPED = "stopped"


#: What a person may write; every other status is mux's word.
PERSON_STATUSES = frozenset({Status.DRAFT, Status.READY, Status.STOPPED, Status.DONE})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something on the board that a person should mend.

    `line` is 1-based in the file. `task` is the id of the one task it stops, or None when it concerns the whole board.
    An `error` on a task stops that task only; an `error` on the board stops every new start; a `warning` stops nothing.
    """

    line: int
    text: str
    task: str | None = None
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """What mux may do by itself after a worker ended badly. Durations are seconds."""

    when: Literal["safe", "never"] = "safe"
    limit: int = 3  # restarts by mux in a window, until a person is asked
    window: float = 3600.0
    long_limit: int = 12  # and in a long window: what fails now and then all night is asked about, too
    long_window: float = 12 * 3600.0
    backoff: float = 10.0  # the pause before the first restart; it doubles with each
    longest_backoff: float = 300.0
    early: float = 10.0  # who ended so soon, and did nothing, never got going
    same: int = 2  # ends of the same kind without progress, until a person is asked
    reset: float = 1800.0  # an attempt that ran so long, and made progress, clears the budget


@dataclass(frozen=True, slots=True)
class ExpiryPolicy:
    """How long a person has to decide, in seconds; then the answer is no."""

    recovery: float = 72 * 3600.0
    gate: float = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class OutagePolicy:
    """When ends count as one outage: so many bad ones `within` seconds. Then restarts keep a `pace`, in seconds."""

    workers: int = 3
    within: float = 30.0
    pace: float = 10.0


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end`, minutes of the day; over midnight where the end is the smaller one."""

    start: int
    end: int
    timezone: str | None = None  # None: this machine's


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """Where and with whom mux talks in Slack; all by id. An empty list of approvers approves nobody."""

    channel: str | None = None
    team: str | None = None  # None: the one that the token is of
    approvers: tuple[str, ...] = ()  # may decide and order everything
    operators: tuple[str, ...] = ()  # may start and stop
    api_url: str | None = None  # None: Slack itself
    quiet: QuietHours | None = None


@dataclass(frozen=True, slots=True)
class DigestSettings:
    """When a summary is posted. `at` is a cron line of five fields, with Sunday as 0 or 7."""

    at: str
    timezone: str | None = None  # None: this machine's
    channel: str | None = None  # None: the board's


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What a task runs with: its own keys over the board's over the defaults. Durations are seconds."""

    agent: str = "shell"
    mode: Literal["headless", "interactive"] = "headless"
    base: str | None = None  # None: the branch checked out in `repo`
    setup: tuple[str, ...] = ()
    copy: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    check: str | None = None
    check_timeout: float = 1800.0
    done_when: tuple[str, ...] | None = None  # None: [clean] for shell, [committed, clean] for agents
    restart: RestartPolicy = RestartPolicy()
    expiry: ExpiryPolicy = ExpiryPolicy()
    done_grace: float = 30.0  # how long a worker whose claim to be done holds may stay, until it is ended
    wait_slot: float = 600.0  # how long a worker that waits for a person holds its slot
    stuck_after: float = 1_800.0  # without a new tree, commit or report a worker that prints is shown as stuck
    nudge: float | None = None  # so long idle, an interactive agent is told once how to end; None: it never is
    finish: Literal["push", "pr", "merge"] = "merge"
    timeout: float | None = None
    ports: int = 10  # size of the worker's block of ports; 0: none
    after: tuple[str, ...] = ()
    after_review: bool = False
    priority: int = 0  # higher starts first
    touches: tuple[str, ...] = ()
    run: str | tuple[str, ...] | None = None  # shell agent only: script text, or an argument list
    destructive: bool = False


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """The front matter of the board, resolved. Paths are as written; `repo` is relative to the board's folder."""

    board: str | None = None  # None: derived from the file's name
    repo: str = "."
    worktrees: str | None = None  # None: ../<repo>.worktrees/<board>
    max_workers: int = 4
    retain: float = 14 * 86400.0  # seconds that run folders and history are kept
    agents: Mapping[str, Any] = field(
        default_factory=lambda: NOTHING
    )  # agent profiles added or changed on the board, as written
    after_outage: Literal["resume", "ask"] = "resume"
    outage: OutagePolicy = OutagePolicy()
    slack: SlackSettings | None = None  # None: no chat
    digests: tuple[DigestSettings, ...] = ()
    defaults: TaskSettings = TaskSettings()


@dataclass(frozen=True, slots=True)
class Task:
    """One section of the board.

    `mux` holds the scalars under the section's `mux:` key exactly as written (strings), so that they can be compared
    with what mux would write. `prompt` is the text after the front matter, without surrounding blank lines.
    """

    id: str
    title: str
    status: Status
    prompt: str
    line: int  # of the heading, 1-based
    settings: TaskSettings = TaskSettings()
    mux: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    problems: tuple[Problem, ...] = ()
    written_status: str = ""  # the word in the file when it is not a known status

    @property
    def attempt(self) -> int:
        """The attempt that mux last wrote on the board; 0 when it never started one."""
        text = self.mux.get("attempt", "")
        return int(text) if text.isdecimal() else 0

    @property
    def sound(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Board:
    """A parsed board. `rev` is `mux.rev` of the front matter, None when missing or not a whole number."""

    text: str
    settings: BoardSettings = BoardSettings()
    rev: int | None = None
    tasks: tuple[Task, ...] = ()
    problems: tuple[Problem, ...] = ()  # all of them, those of the tasks included, by line
    by_id: Mapping[str, Task] = field(default_factory=lambda: NOTHING)

    @property
    def sound(self) -> bool:
        """False when the front matter has an error: nothing new starts until it is mended."""
        return not any(problem.task is None and problem.severity == "error" for problem in self.problems)

    def key_line(self, key: str) -> int:
        """The line of a key of the front matter; 1 when it is not there."""
        for number, line in enumerate(self.text.splitlines(), 1):
            if number > 1 and line.rstrip() == "---":
                break
            if line.startswith(f"{key}:"):
                return number
        return 1
