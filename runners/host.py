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
from runners.model import Attempt, Home, HostState, Outcome, Restored, Snapshot, Stop, Taken, TreeFacts, Window


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
    conclude: Callable[[Attempt, Outcome], None]
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
    #: While it is entered no worker starts on the task. Raises LockHeld while one works.
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
