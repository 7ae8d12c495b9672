"""Snapshots as types: what was kept of a home, what was left out, what was brought back. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from runners.model import Home


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
