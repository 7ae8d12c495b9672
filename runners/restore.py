"""Bringing a snapshot back: the files of a home become those of the snapshot, as changes that are not committed.

Only files that are in git are ever overwritten or removed: what was not committed is kept in a snapshot first, and what
git ignores stops the restore before it changes anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from board.errors import MuxError
from board.storage import one_line_errors
from runners import deliver, git, homes
from runners.delivery import Delivery
from runners.model import LeftOut, Restored, Snapshot
from runners.snapshots import PLAIN, own_index, take

_GITLINK = "160000"
_SHOWN = 5


def restore(delivery: Delivery, snapshot: Snapshot, copy: tuple[str, ...], now: float) -> Restored:
    """Make the files of the task's home those of the snapshot, as uncommitted changes; ignored ones are not touched.

    A home that is gone is made anew on its branch; uncommitted work is kept in a snapshot of its own first. HEAD and
    branch stay, the index is reset to HEAD. Raises MuxError, with no file changed, when git has something under way
    there or a file would be lost.
    """
    repository = git.open_repository(delivery.repository)
    path, branch = delivery.home.path, delivery.home.branch
    start = git.resolve(repository.root, f"refs/heads/{branch}") or snapshot.parent or "HEAD"
    made = homes.prepare(repository, path, branch, start, copy).fresh
    head = _idle_head(path)
    before = take(delivery.home, snapshot.attempt, f"before restoring snapshot {snapshot.number}", now)
    untouched = (*snapshot.left_out, *(before.left_out if before else ()))
    changes = _changes(path, before.snapshot.commit if before else head, snapshot.commit, untouched)
    try:
        written, removed = _bring_back(path, snapshot.commit, changes)
    except MuxError as error:
        kept = f"; what was there is snapshot {before.snapshot.number}" if before else ""
        raise MuxError(f"{path}: brought back in part only: {error}; mend that and restore again{kept}") from error
    moved_to = head if head != snapshot.parent else None
    return Restored(delivery.home, made, before, written, removed, tuple(dict.fromkeys(untouched)), moved_to)


def _idle_head(path: Path) -> str:
    """The commit of HEAD in a home in which git has nothing under way; raises MuxError in any other."""
    if what := deliver.under_way(path):
        raise MuxError(f"{path}: {what} is under way there; go on with it or abort it, then restore again")
    if (homes.private_folder_of(path) / "index.lock").exists():
        raise MuxError(f"{path}: another git works there (index.lock); when it is through, restore again")
    head = git.resolve(path, "HEAD")
    if head is None:
        raise MuxError(f"{path}: its branch has no commit yet; switch to one that has, then restore again")
    return head


@dataclass(frozen=True, slots=True)
class _Changes:
    """Paths from the top of the home."""

    write: tuple[str, ...]
    remove: tuple[str, ...]


def _changes(home: Path, now: str, then: str, untouched: Iterable[LeftOut]) -> _Changes:
    """What leads from the files as they are to the snapshot's. Raises MuxError when that would lose a file."""
    spared = tuple(each.name for each in untouched)
    fields = git.git(home, "diff-tree", "-r", "-z", "--raw", "--no-renames", now, then).out.split("\0")
    letters: dict[str, str] = {}
    for row, path in zip(fields[::2], fields[1::2], strict=False):
        if _GITLINK not in row[1:].split(" ")[:2] and not _covered(path, spared):
            letters[path] = row[-1]
    there = _replaceable(home, now, spared) if letters else frozenset()
    in_the_way = sorted({each for path in letters if (each := _in_the_way(home, path, there)) is not None})
    if in_the_way:
        more = f" and {len(in_the_way) - _SHOWN} more" if len(in_the_way) > _SHOWN else ""
        shown = ", ".join(in_the_way[:_SHOWN]) + more
        raise MuxError(f"{home}: in no snapshot, and would be overwritten: {shown}; move that away, then restore again")
    return _Changes(
        write=tuple(path for path, letter in letters.items() if letter != "D"),
        remove=tuple(path for path, letter in letters.items() if letter == "D"),
    )


def _covered(path: str, names: Iterable[str]) -> bool:
    return any(f"{path}/".startswith(name) if name.endswith("/") else path == name for name in names)


def _replaceable(home: Path, now: str, spared: tuple[str, ...]) -> frozenset[str]:
    """The files that `now` holds as they are. Git does not look at those flagged `assume-unchanged` and their like."""
    held = git.git(home, "ls-tree", "-r", "-z", "--name-only", now).out.split("\0")
    flagged = git.git(home, "ls-files", "-v", "-z").out.split("\0")
    hidden = {line[2:] for line in flagged if line[:1] == "S" or line[:1].islower()}
    return frozenset(path for path in held if path not in hidden and not _covered(path, spared))


def _in_the_way(home: Path, name: str, there: frozenset[str]) -> str | None:
    """A file that is not among those `there`, ignored for one, and would go if `name` was written or removed."""
    if name in there:
        return None
    for parent in reversed(PurePosixPath(name).parents[:-1]):
        if os.path.lexists(home / parent) and ((home / parent).is_symlink() or not (home / parent).is_dir()):
            return None if str(parent) in there else str(parent)
    target = home / name
    if target.is_dir() and not target.is_symlink():
        walked = ((Path(folder), names) for folder, folders, files in os.walk(target) for names in (files + folders,))
        below = (folder / each for folder, names in walked for each in names)
        files = (path.relative_to(home) for path in below if path.is_symlink() or not path.is_dir())
        return next((str(path) for path in files if str(path) not in there), None)
    return name if os.path.lexists(target) else None


def _bring_back(home: Path, commit: str, changes: _Changes) -> tuple[int, int]:
    """How many files were written and removed. Only files come back: the index is as HEAD then."""
    for name in changes.remove:
        with one_line_errors("remove", home / name):
            (home / name).unlink(missing_ok=True)
            _remove_empty(home, (home / name).parent)
    if changes.write:
        with own_index(home, copied=False) as own:
            own("read-tree", commit)
            own("checkout-index", "--force", "-z", "--stdin", input="".join(f"{name}\0" for name in changes.write))
    if changes.write or changes.remove:
        # Not `git reset`, which would move ORIG_HEAD.
        git.git(home, *PLAIN, "read-tree", "--reset", "HEAD")
        git.git(home, *PLAIN, "update-index", "-q", "--refresh", check=False)
    return len(changes.write), len(changes.remove)


def _remove_empty(home: Path, folder: Path) -> None:
    while folder != home and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
