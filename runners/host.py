"""The one port to a host: everything the loop and the commands do to a machine goes through these functions.

A plain dataclass of functions. `runners.local` implements it for this machine; a fleet would implement it for others.
No tmux or git call is made past it. Truth stays on the host: its tmux, its worktrees, its run records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from board.model import TaskSettings
from runners.agents import Profile
from runners.delivery import BranchFacts, Changes, Delivery, Remains, Step
from runners.health import Health
from runners.kept import Restored, Snapshot, Taken
from runners.model import (
    Attempt,
    Cause,
    GateRules,
    Home,
    HostState,
    How,
    Interruption,
    Judged,
    Judgement,
    Nudge,
    OpenStep,
    Outcome,
    Sight,
    Signal,
    Stop,
    TreeFacts,
    Window,
)
from runners.terminals import Terminal


@dataclass(frozen=True, slots=True)
class StartOrder:
    """All that a host needs to start a worker. `number` is the lowest epoch it may use."""

    task: str
    number: int
    prompt: str
    settings: TaskSettings
    profile: Profile
    done_when: tuple[str, ...]
    repository: Path
    home: Path
    branch: str
    predecessors: tuple[str, ...]  # branches of the tasks it comes after
    cause: Cause = Cause.PERSON
    how: How = How.START
    why: str = ""  # of a restart
    known_good: str = ""  # the task's checkpoint, from attempts before
    conversation: int = 0  # the attempt whose conversation it goes on with; 0: a new one
    new: bool = False  # nothing of an earlier task with this id is its
    interruption: Interruption | None = None  # what an agent is told of the attempt before


@dataclass(frozen=True, slots=True)
class Host:
    """Effects raise `MuxError`; each is safe to repeat."""

    observe: Callable[[], HostState]
    #: Claim, home, record, window; returns the attempt once its wrapper recorded its start. What goes wrong on the way
    #: is the attempt's outcome, not an exception: a start is never half remembered.
    start: Callable[[StartOrder], Attempt]
    #: Spend the epoch of an attempt that never started. Does nothing if its wrapper turns out to be alive.
    abandon: Callable[[str, int], None]
    #: Write down the intent, then interrupt, TERM, KILL over 20 s; returns when nothing of the worker lives.
    stop: Callable[[Attempt, Stop], None]
    #: What git says of a home; None when the home is gone. Raises when git could not be asked.
    tree: Callable[[Home], TreeFacts | None]
    #: The done gate: the rules computed from the home, its check run in it (that may take long). An answer for the same
    #: command, HEAD and files is kept. Raises when something could not be looked at.
    judge: Callable[[Attempt, GateRules], Judgement]
    #: End the checks that `judge` runs: it raises then, and runs no more of them. For the end of the control plane.
    end_checks: Callable[[], None]
    conclude: Callable[[Attempt, Outcome], None]
    record_judged: Callable[[Attempt, Judged], None]
    record_nudge: Callable[[Attempt, Nudge], None]
    #: The end of what an attempt printed, as text.
    tail: Callable[[Attempt], str]
    #: The keys of a task's `once` steps that began, of which nothing lives, and of which nobody knows how they ended.
    once_unfinished: Callable[[str], tuple[str, ...]]
    #: The processes of a task's `once` steps that run now.
    once_running: Callable[[str], tuple[int, ...]]
    once_finished: Callable[[str], tuple[str, ...]]
    #: Those of the unfinished steps about which no person has decided.
    once_undecided: Callable[[str], tuple[OpenStep, ...]]
    #: What a person decided about a task's unfinished steps: `again` or `finished`, who, and when they were asked: what
    #: was begun since then is not decided.
    once_decide: Callable[[str, str, str, float], None]
    #: Commits on a home's HEAD that a commit does not have; None when git does not have that commit.
    beyond: Callable[[Home, str], int | None]
    #: `a rebase`, … that somebody has to go on with in a home; None: nothing is.
    under_way: Callable[[Home], str | None]
    #: Take a home back to a commit, for an attempt, at a time; all that was there is in the snapshot. Raises, with
    #: nothing changed, when something would be lost.
    reset: Callable[[Home, int, str, float], Taken]
    #: Go on with a reset that was cut short: of a home, for an attempt, its HEAD and files when it was begun, the
    #: commit, and the time. Returns what holds all that was there. Raises, with nothing changed, when somebody else was
    #: at work there.
    finish_reset: Callable[[Home, int, str, str | None, str, float], Snapshot]
    #: The snapshot of a home with that HEAD and those files; None: there is none.
    snapshot_holding: Callable[[Home, str, str | None], Snapshot | None]
    #: Keep the files of a home, touching none: the attempt they are of, why, and when. None: it is clean, or gone.
    snapshot: Callable[[Home, int, str, float], Taken | None]
    #: Of a repository and the prefix of the branches: the snapshots of each task, newest first.
    snapshots: Callable[[Path, str], Mapping[str, tuple[Snapshot, ...]]]
    #: How many lines a snapshot adds and takes: `+12 -3`.
    snapshot_lines: Callable[[Path, Snapshot], str]
    #: Make a home's files those of a snapshot, and the home if it is gone; what was uncommitted is kept first. Also:
    #: what a home made anew gets copied, and when. Raises, with no file changed, when one would be lost.
    restore: Callable[[Delivery, Snapshot, tuple[str, ...], float], Restored]
    #: Of a repository and a task's branch: forget these snapshots.
    drop_snapshots: Callable[[Path, str, Sequence[Snapshot]], None]
    #: Remember that the section of an attempt was taken off the board.
    retire: Callable[[str, int], None]
    close_window: Callable[[str], None]
    #: The arguments that put a terminal into the task's window (all windows for None).
    attach: Callable[[str | None], list[str]]
    #: Every attempt of a task, newest first.
    history: Callable[[str], list[Attempt]]
    #: End the tmux server if no worker lives in it. True when none is left.
    close: Callable[[], bool]
    #: Our windows, read only; None when tmux could not be asked.
    windows: Callable[[], tuple[Window, ...] | None]
    #: The screens of windows, as text, and when people typed; in one call. Windows that are gone are left out.
    look: Callable[[Sequence[str]], Sight]
    #: One screen with its colours, as terminals write them.
    screen: Callable[[str], str]
    #: Where the cursor of a window stands: the same text means the same place.
    cursor: Callable[[str], str]
    #: Type a text of any length and lines into a window, as a paste, after leaving what a person scrolled to.
    paste: Callable[[str, str], None]
    #: Press a key of a window, by tmux's name for it, or literally for True.
    press: Callable[[str, str, bool], None]
    #: What became of what was typed into a window; None: it cannot be told.
    terminal: Callable[[str], Terminal | None]
    #: When a person last had mux type into the window of each attempt, by task; the others are left out. Cheap.
    sent: Callable[[Sequence[tuple[str, int]]], Mapping[str, float]]
    #: What was kept of how a worker is, for the control plane that goes on at a time; None: nothing was.
    recall: Callable[[str, int, float], Health | None]
    remember: Callable[[str, int, Health], None]
    #: What the agent of an attempt last said of its turn, by its own hooks; None: nothing. Cheap.
    signal: Callable[[str, int], Signal | None]
    #: When each attempt last wrote to its output, by task; those that never did are left out. Cheap.
    printed: Callable[[Sequence[tuple[str, int]]], Mapping[str, float]]
    #: Processor seconds that the processes of each attempt spent so far, by task. Empty where it cannot be told.
    computed: Callable[[Sequence[tuple[str, int]]], Mapping[str, float]]
    #: A name of a home's commit and files: another one after each change. None: the home is gone.
    progress: Callable[[Home], str | None]
    #: What lives of a task without a record, with the command that ends it; None: nothing. Raises when tmux is silent.
    stray: Callable[[str], str | None]
    #: While it is entered no worker starts on the task. Raises LockHeld while one works, `MuxError` for a stray one.
    hold: Callable[[str], AbstractContextManager[None]]
    branch_facts: Callable[[Delivery], BranchFacts]
    #: One step of a delivery; says what was done. Raises, having removed nothing, when it cannot be done safely.
    deliver: Callable[[Delivery, Step], str]
    #: What a task changed; only the statistics for True.
    diff: Callable[[Delivery, bool], Changes]
    #: Whether a commit's work is in the base or on a remote; None when git does not have it any more.
    is_delivered: Callable[[Delivery, str], bool | None]
    #: What git ignores in a home, a wholly ignored folder as one, with its bytes; the largest first.
    ignored: Callable[[Home], tuple[tuple[str, int], ...]]
    #: Of a repository, the folder of the homes and the prefix of the branches: whose homes and branches are there.
    remains: Callable[[Path, Path, str], Remains]
    #: Bytes below a folder.
    disk_usage: Callable[[Path], int]
    #: Where an attempt's run record and output are.
    run_folder: Callable[[str, int], Path]
    remove_run: Callable[[str, int], None]
