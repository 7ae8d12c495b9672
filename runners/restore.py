"""Bringing a snapshot back: the files of a home become those of the snapshot, as changes that are not committed.

Only files that are in git are ever overwritten or removed: what was not committed is kept in a snapshot first, and what
git ignores stops the restore before it changes anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from board.errors import MuxError
from board.storage import one_line_errors
from runners import deliver, git, homes
from runners.delivery import Delivery
from runners.kept import LeftOut, Restored, Snapshot, Taken
from runners.model import Home
from runners.snapshots import PLAIN, holding, looked_at, own_index, seen, take

_GITLINK = "160000"
_SHOWN = 5
_GIT_ENDS, _POLL = 10.0, 0.05  # seconds


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


def reset(home: Home, attempt: int, commit: str, now: float) -> Taken:
    """Take a home back to a commit: branch, index and files. Everything that was there is in a snapshot first.

    What the snapshot cannot hold stays where it is. Raises MuxError, with nothing changed, when git has something under
    way there, a repository lies in it, the commit is gone, or a file would be lost.
    """
    path = home.path
    _idle_head(path)
    if git.resolve(path, commit) is None:
        raise MuxError(f"{path}: git does not have the commit {commit[:7]} any more")
    if (on := git.current_branch(path)) != home.branch:
        raise MuxError(f"{path}: is on {on or 'no branch'}, not on {home.branch}; switch to it first")
    before = take(home, attempt, f"before restart from {commit[:7]}", now, always=True)
    if before is None:
        raise MuxError(f"{path}: is no home that mux made; nothing was changed")
    _refuse_nested(path, before.left_out)
    changes = _changes(path, before.snapshot.commit, commit, before.left_out)
    _bring_back(path, commit, changes)
    git.git(path, *PLAIN, "reset", "--mixed", "--quiet", commit)
    return before


def finish_reset(home: Home, attempt: int, head: str, files: str | None, commit: str, now: float) -> Snapshot:
    """Go on with a `reset` to `commit` that was begun when the home had that HEAD and those files, and was cut short.

    Each file has to be as it was then, or as in the commit, whole or cut short amid its writing: so nothing is there
    that the snapshot of then does not hold. Returns that snapshot. Raises MuxError, with nothing changed, in any other
    case: then somebody else was at work there.
    """
    path = home.path
    _wait_for_git(path)
    before = holding(home, head, files)
    if before is None:
        if seen(path) != (head, files):
            raise MuxError(f"{path}: its files changed before a snapshot of them was made")
        return reset(home, attempt, commit, now).snapshot
    on = git.current_branch(path)
    now_at, tree, left_out = looked_at(path)
    if on != home.branch or _idle_head(path) not in (head, commit):
        raise MuxError(f"{path}: is on {on or 'no branch'} at {str(now_at)[:7]}, where nothing of mux's has taken it")
    if now_at != commit:  # there, it may be its own index that no longer is as a submodule's files
        _refuse_nested(path, left_out)
    there = tree or str(now_at)
    spared = tuple(each.name for each in left_out)
    neither = _names(path, there, before.commit) & _names(path, there, commit)
    foreign = [
        each for each in sorted(neither) if not _covered(each, spared) and not _is_begun(path, there, commit, each)
    ]
    if foreign:  # not their names: the reason is told in chats, too
        count = f"{len(foreign)} file{'s are' if len(foreign) > 1 else ' is'}"
        raise MuxError(f"{path}: {count} neither as before nor as at {commit[:7]}")
    _bring_back(path, commit, _changes(path, there, commit, left_out))
    git.git(path, *PLAIN, "reset", "--mixed", "--quiet", commit)
    return before


def _refuse_nested(path: Path, left_out: Iterable[LeftOut]) -> None:
    if nested := next((each for each in left_out if each.name.endswith("/")), None):
        why = f"is {nested.why}, which no snapshot holds; move it away first"
        raise MuxError(f"{path}: {nested.name} {why}", told=f"something in its worktree {why}")


def _wait_for_git(path: Path) -> None:
    """A git that was started before the kill may live on, and comes to its end by itself."""
    lock = homes.private_folder_of(path) / "index.lock"
    deadline = time.monotonic() + _GIT_ENDS
    while lock.exists() and time.monotonic() < deadline:
        time.sleep(_POLL)


def _names(home: Path, one: str, other: str) -> set[str]:
    """The paths that are not the same in two trees."""
    out = git.git(home, "diff-tree", "-r", "-z", "--name-only", "--no-renames", one, other).out
    return {name for name in out.split("\0") if name}


def _is_begun(home: Path, now: str, then: str, name: str) -> bool:
    """The file is the beginning of what it is in `then`: a write of ours was cut short, and it holds nothing else."""
    here, there = (git.git(home, "cat-file", "blob", f"{tree}:{name}", check=False) for tree in (now, then))
    return here.code == 0 and there.code == 0 and there.out.startswith(here.out)


def _idle_head(path: Path) -> str:
    """The commit of HEAD in a home in which git has nothing under way; raises MuxError in any other."""
    if what := deliver.under_way(path):
        raise MuxError(f"{path}: {what} is under way there; go on with it or abort it, then try again")
    if (homes.private_folder_of(path) / "index.lock").exists():
        raise MuxError(f"{path}: another git works there (index.lock); when it is through, try again")
    head = git.resolve(path, "HEAD")
    if head is None:
        raise MuxError(f"{path}: its branch has no commit yet; switch to one that has, then try again")
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
        why = "in no snapshot, and would be overwritten"
        count = f"{len(in_the_way)} file{'s' if len(in_the_way) != 1 else ''}"
        raise MuxError(f"{home}: {why}: {shown}; move that away, then restore again", told=f"{count}: {why}")
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
