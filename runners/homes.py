"""Homes: one git worktree a task, on a branch of its own, made so that a crash at any point can be gone on from.

Two `git worktree add` at once on one repository fail and leave branches behind, so adding and removing take one lock a
repository. The checkout itself, the slow part, runs outside it and on all cores.

A marker in the worktree's private git directory says that the home is ours, where it started, and whether it is whole.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from board.errors import LockHeld, MuxError
from board.storage import one_line_errors, read_json, write_json
from runners.git import LONG, Repository, branch_exists, current_branch, git, is_ignored, resolve, tree_facts
from runners.model import Home

_MARKER = "mux-home.json"
_LOCK_WAIT = 120.0  # seconds
_counting = threading.Lock()
_checkouts: list[int] = []  # one item for each checkout under way in this process


@dataclass(frozen=True, slots=True)
class Prepared:
    home: Home
    fresh: bool  # made or completed now: setup has not run in it


@dataclass(frozen=True, slots=True)
class _Marker:
    branch: str
    start: str
    ready: bool


def prepare(repository: Repository, path: Path, branch: str, start_commit: str, copy: tuple[str, ...]) -> Prepared:
    """The home at `path`, on `branch`: the one that is there, as it is, or a new one from `start_commit`.

    A home that was left half made is completed; one whose folder was deleted comes back on its branch. `copy` names
    untracked files or folders of the repository that a fresh home gets. Safe to repeat.
    Raises MuxError when the folder or the branch is somebody else's, or a copy is missing, outside or not ignored.
    """
    with _lock(repository):
        marker = _read(path)
        if marker is None:
            marker = _add(repository, path, branch, start_commit)
    if marker.branch != branch:
        raise MuxError(f"{path}: is a home on branch {marker.branch}, not {branch}; move it away, or remove it")
    home = Home(path, branch, marker.start)
    if marker.ready:
        return Prepared(home, fresh=False)
    with _checkout_workers() as workers:
        git(path, "-c", f"checkout.workers={workers}", "reset", "--hard", "--quiet", timeout=LONG)
    for name in copy:
        _copy(repository.root, path, name)
    _write(path, _Marker(branch, marker.start, ready=True))
    return Prepared(home, fresh=True)


def remove(repository: Repository, home: Home, discard: bool = False) -> None:
    """Remove the home's folder, its ignored files too, and its registration; the branch stays.

    Raises MuxError while it holds uncommitted or untracked work, unless `discard` says that this is known.
    """
    with _lock(repository):
        if not (home.path / ".git").exists() and any(_entries(home.path)):
            raise MuxError(f"{home.path}: is no worktree any more; look at what is in it and remove it by hand")
        if home.path.exists() and not discard:
            facts = tree_facts(home)
            if not facts.clean:
                counts = f"{facts.modified} changed, {facts.untracked} untracked"
                raise MuxError(f"{home.path}: has work that would be lost ({counts}): commit it first")
        # Without --force git looks once more by itself.
        flags = ["--force", "--force"] if discard or not home.path.exists() else []
        git(repository.root, "worktree", "remove", *flags, str(home.path), timeout=LONG)


def private_folder_of(path: Path) -> Path:
    """The private git directory of the worktree at `path`. Raises MuxError when there is none."""
    found = _private_folder(path)
    if found is None:
        raise MuxError(f"{path}: is no git worktree; was it moved or deleted?")
    return found


def is_whole(path: Path) -> bool:
    """Whether a home that mux made, all of it, is there."""
    marker = _read(path)
    return marker is not None and marker.ready


def setup_marker(home: Home) -> Path:
    """The file that says setup succeeded in this home; the wrapper makes it."""
    return private_folder_of(home.path) / "mux-setup"


@contextmanager
def _checkout_workers() -> Iterator[int]:
    """How many processes may check out at once: all cores for one home, a share of them while several are made."""
    cores = max(2, os.cpu_count() or 2)
    with _counting:
        _checkouts.append(cores)
        share = max(1, cores // len(_checkouts))
    try:
        yield share
    finally:
        with _counting:
            _checkouts.pop()


@contextmanager
def _lock(repository: Repository) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path = repository.common_dir / "mux-worktrees.lock"
    lock = FileLock(path, timeout=_LOCK_WAIT, poll_interval=0.005)
    with one_line_errors("lock", path):
        try:
            lock.acquire()
        except Timeout:
            raise LockHeld(f"{path}: held for {_LOCK_WAIT:g} s; is git stuck in {repository.root}?") from None
    try:
        yield
    finally:
        lock.release()


def _add(repository: Repository, path: Path, branch: str, start: str) -> _Marker:
    """Register a worktree with no files yet, and mark it as ours. Runs under the lock."""
    if any(_entries(path)):
        return _adopt(repository, path, branch, start)
    lost = _registration(repository, path)
    left = _read_in(lost) if lost else None
    exists = branch_exists(repository.root, branch)
    comes_back = exists and left is not None and left.branch == branch
    if exists and not comes_back:
        _check_no_other_work(repository, branch, start)
    with one_line_errors("make the folder", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if lost and path.exists():
            path.rmdir()
    if lost:
        git(repository.root, "worktree", "remove", "--force", "--force", str(path))
    target = [str(path), branch] if exists else ["-b", branch, str(path), start]
    git(repository.root, "worktree", "add", "--quiet", "--no-checkout", *target)
    if comes_back and left is not None:
        return _write(path, _Marker(branch, left.start, ready=False))
    return _begin(path, branch, start)


def _adopt(repository: Repository, path: Path, branch: str, start: str) -> _Marker:
    """A folder with `.git` alone is ours, as mux leaves it between registering and marking; no other one is."""
    private = _private_folder(path)
    ours = private is not None and private.parent.resolve() == (repository.common_dir / "worktrees").resolve()
    if not ours or [entry.name for entry in _entries(path)] != [".git"] or current_branch(path) != branch:
        raise MuxError(f"{path}: exists and is not a home that mux made; move it away, or remove it")
    _check_no_other_work(repository, branch, start)
    return _begin(path, branch, start)


def _begin(path: Path, branch: str, start: str) -> _Marker:
    """The branch may lie behind the start: it was left by an earlier run, with nothing of its own on it."""
    git(path, "update-ref", "HEAD", start)
    return _write(path, _Marker(branch, start, ready=False))


def _check_no_other_work(repository: Repository, branch: str, start: str) -> None:
    """A branch at the start, or behind it, is one that mux left; one with commits beyond it is somebody's."""
    commit = resolve(repository.root, f"refs/heads/{branch}")
    if commit is None:
        return
    beyond = git(repository.root, "rev-list", "--count", commit, f"^{start}").out.strip()
    if beyond != "0":
        raise MuxError(
            f"branch {branch} already exists with other work ({beyond} commits, at {commit[:10]}): "
            f"keep it with `git branch -m {branch} NEW-NAME`, or drop it with `git branch -D {branch}`"
        )


def _registration(repository: Repository, path: Path) -> Path | None:
    """The private git directory of a worktree registered at `path` whose folder is gone."""
    for private in _entries(repository.common_dir / "worktrees"):
        try:
            link = (private / "gitdir").read_text(errors="surrogateescape").removesuffix("\n")
        except (FileNotFoundError, NotADirectoryError):
            continue
        if Path(os.path.normpath(private / link)) == path.resolve() / ".git":
            return private
    return None


def _private_folder(path: Path) -> Path | None:
    try:
        text = (path / ".git").read_text(errors="surrogateescape")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    prefix = "gitdir: "
    if not text.startswith(prefix):
        return None
    found = Path(os.path.normpath(path / text.removeprefix(prefix).removesuffix("\n")))
    return found if found.is_dir() else None


def _read(path: Path) -> _Marker | None:
    private = _private_folder(path)
    return _read_in(private) if private else None


def _read_in(private: Path) -> _Marker | None:
    record = read_json(private / _MARKER)
    return _Marker(record["branch"], record["start"], record["ready"]) if record else None


def _write(path: Path, marker: _Marker) -> _Marker:
    record = {"branch": marker.branch, "start": marker.start, "ready": marker.ready}
    write_json(private_folder_of(path) / _MARKER, record)
    return marker


def _entries(folder: Path) -> list[Path]:
    """What is in a folder; nothing when there is none. Raises MuxError for a file in its place."""
    with one_line_errors("look into", folder):
        return sorted(folder.iterdir()) if folder.exists() or folder.is_symlink() else []


def _copy(root: Path, home: Path, name: str) -> None:
    source, target = root / name, home / name
    _check_inside(root, source, name)
    _check_inside(home, target.parent, name)
    if not source.exists():
        raise MuxError(
            f"copy: {name}: there is no such file in {root}; make it, or take it out of `copy:`",
            told="a file of `copy:` is not there; make it, or take it out of `copy:`",
        )
    with one_line_errors("make the folder", target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    if not is_ignored(target, folder=source.is_dir()):
        why = ", so a worker could commit it; add it to .gitignore"
        raise MuxError(f"copy: {name}: git does not ignore it{why}", told=f"git does not ignore a file of `copy:`{why}")
    with one_line_errors("copy", target):
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)


def _check_inside(folder: Path, path: Path, name: str) -> None:
    """Links are followed, so none on the way leads out."""
    outside = not path.resolve().is_relative_to(folder.resolve())
    if outside or not name or Path(name).is_absolute() or ".." in Path(name).parts or ".git" in Path(name).parts:
        raise MuxError(
            f"copy: {name}: is not inside the repository {folder}; copy files of the repository only",
            told="a file of `copy:` is not inside the repository; copy files of the repository only",
        )
