"""What `diff`, `finish` and `clean` read of, and do to, a task's home and branch on this host.

`runners.delivery` decides from what is read here. Each step looks again before it removes anything and is safe to
repeat, so a crash between two of them is gone on from by deciding anew.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from board.errors import LockHeld, MuxError
from board.storage import one_line_errors, private_folder
from runners import claims, git, homes, sh
from runners.delivery import BranchFacts, Changes, Delivery, Remains, Step, at_stake, pull_request_hint
from runners.environment import git_environment
from runners.model import Home

_HOLD_WAIT = 1.0  # seconds; who only looks whether the claim is held has it for an instant
_POLL = 0.01
#: What git leaves in a worktree's private folder while it waits for a person to go on.
_UNDER_WAY = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisect",
}


def branch_facts(delivery: Delivery) -> BranchFacts:
    """Asks git, not the network. Raises MuxError when the repository or the base is not there."""
    root = git.open_repository(delivery.repository).root
    base = _base(root, delivery)
    branch = delivery.home.branch
    head = git.resolve(root, f"refs/heads/{branch}")
    remote = git.remote_of(root, base)
    there = (delivery.home.path / ".git").exists()
    return BranchFacts(
        base=base,
        base_is_branch=git.branch_exists(root, base),
        head=head,
        own=int(git.git(root, "rev-list", "--count", head, f"^{base}", "--").out) if head else 0,
        merged=head is not None and git.is_merged(root, head, base),
        unpushed=git.unpushed(root, branch, base) if head else 0,
        remote=remote,
        pushed=head is not None and remote is not None and _remote_head(root, remote, branch) == head,
        used_in=_used_in(root, branch),
        there=there or _occupied(delivery.home.path),
        tree=git.tree_facts(_started(root, delivery)) if there else None,
        dirty=_dirty(delivery.home.path) if there else (),
        under_way=under_way(delivery.home.path) if there else None,
    )


def carry_out(delivery: Delivery, step: Step) -> str:
    """Do one step; says what was done. Raises MuxError, having removed nothing, when it cannot be done safely."""
    repository = git.open_repository(delivery.repository)
    base, branch = _base(repository.root, delivery), delivery.home.branch
    match step:
        case Step.MERGE:
            commit = git.merge(repository, branch, base, delivery.board)
            return f"merged {branch} into {base} (at {commit[:7]})"
        case Step.PUSH:
            return _push(repository.root, base, delivery)
        case Step.PULL_REQUEST:
            return _open_pull_request(repository.root, base, delivery)
        case Step.REMOVE_HOME:
            return _remove_home(repository, delivery)
        case Step.DELETE_BRANCH:
            return _delete_branch(repository.root, base, branch)


def diff(delivery: Delivery, stat: bool) -> Changes:
    """What the task changed since its branch started: up to its home's files; to its branch when the home is gone; to
    the commit that passed its done gate when that is gone, too. Raises MuxError when nothing is left of it."""
    root = git.open_repository(delivery.repository).root
    form = git.diffstat if stat else git.diff
    start = _started(root, delivery).start_commit
    home = delivery.home.path
    if (home / ".git").exists():
        listed = git.git(
            home, "ls-files", "--others", "--exclude-standard", "--directory", "--no-empty-directory", "-z"
        )
        return Changes(form(home, start), tuple(name for name in listed.out.split("\0") if name))
    ends = (f"refs/heads/{delivery.home.branch}", delivery.checkpoint or "")
    end = next((commit for name in ends if (commit := git.resolve(root, name))), None)
    if end is None:
        raise MuxError(f"{delivery.task}: it has no worktree and no branch {delivery.home.branch}: nothing to compare")
    return Changes(form(root, start, end), ())


def ignored(home: Home) -> tuple[tuple[str, int], ...]:
    """What git ignores in the home, and would go with it: names and bytes, the largest first."""
    return git.ignored_files_with_sizes(home.path) if (home.path / ".git").exists() else ()


def remains(repository: Path, homes_folder: Path, prefix: str) -> Remains:
    """`homes_folder` holds the board's homes, `prefix` (`mux/shop/`) begins its branches."""
    root = git.open_repository(repository).root
    listed = git.git(root, "for-each-ref", "--format=%(refname)", f"refs/heads/{prefix}").out.splitlines()
    with one_line_errors("look into", homes_folder):
        folders = sorted(entry.name for entry in homes_folder.iterdir()) if homes_folder.is_dir() else []
    return Remains(tuple(folders), tuple(name.removeprefix(f"refs/heads/{prefix}") for name in listed))


def in_base_or_remote(delivery: Delivery, commit: str) -> bool | None:
    """Whether a commit's work is in the base, or it is on a remote as last fetched; None when git does not have it."""
    root = git.open_repository(delivery.repository).root
    if git.resolve(root, commit) is None:
        return None
    if git.is_merged(root, commit, _base(root, delivery)):
        return True
    return git.git(root, "for-each-ref", "--count=1", f"--contains={commit}", "refs/remotes").out != ""


def disk_usage(path: Path) -> int:
    """Bytes of all files below `path`, or of the file itself; what vanishes meanwhile does not count."""
    total = 0
    for file in [path, *(Path(folder, name) for folder, _, files in os.walk(path) for name in files)]:
        with suppress(OSError):
            total += file.lstat().st_size if file.is_symlink() or not file.is_dir() else 0
    return total


def remove_run(folder: Path, task: str, number: int) -> None:
    """Remove the run folder of an attempt, and the task's folder with the last one. Raises MuxError."""
    run = folder / "runs" / task / str(number)
    with one_line_errors("remove", run):
        shutil.rmtree(run)
    with suppress(OSError):
        run.parent.rmdir()


@contextmanager
def hold(folder: Path, task: str) -> Iterator[None]:
    """Hold the task's claim, so that no worker starts in its home meanwhile. Raises LockHeld while one works.

    Its text stays as it is: an order that comes now is not lost, the control plane tries it again.
    """
    if not folder.is_dir():  # then no control plane ever ran here, and there is nothing to hold
        yield
        return
    path = claims.claim_path(folder, task)
    private_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, task)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, task: str) -> None:
    deadline = time.monotonic() + _HOLD_WAIT
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LockHeld(f"{task}: a worker, or another mux, works on it; look with: mux status {task}") from None
        time.sleep(_POLL)


def _base(root: Path, delivery: Delivery) -> str:
    """Raises MuxError for a base that is not there, and for one in which a branch would only seem to be merged."""
    base = delivery.base or git.current_branch(root)
    if base is None:
        raise MuxError(f"{root} is on no branch: switch to one there, or set `base:` on the board")
    if git.resolve(root, base) is None:
        raise MuxError(f"no branch '{base}' in {root}: set `base:` on the board to one that is there")
    if base == delivery.home.branch:
        raise MuxError(f"{delivery.task}: its branch {base} is its own base: switch to another one in {root}")
    return base


def _started(root: Path, delivery: Delivery) -> Home:
    """The home with its start: as recorded, else where its branch left the base."""
    home = delivery.home
    if git.resolve(root, home.start_commit):
        return home
    base = delivery.base or "HEAD"
    end = git.resolve(root, f"refs/heads/{home.branch}") or base
    fork = git.git(root, "merge-base", base, end).out.strip()
    return Home(home.path, home.branch, fork)


def _remote_head(root: Path, remote: str, branch: str) -> str | None:
    return git.resolve(root, f"refs/remotes/{remote}/{branch}")


def _occupied(path: Path) -> bool:
    with one_line_errors("look into", path):
        return any(path.iterdir()) if path.is_dir() else path.exists()


def _dirty(path: Path) -> tuple[str, ...]:
    """The paths that `git.tree_facts` counts."""
    flags = ("--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=none", "--no-renames")
    return tuple(record[3:] for record in git.git(path, "status", *flags).out.split("\0") if record)


def under_way(path: Path) -> str | None:
    """`a rebase`, … that somebody has to go on with in the home at `path`. Raises MuxError when that is no worktree."""
    private = homes.private_folder_of(path)
    return next((what for name, what in _UNDER_WAY.items() if (private / name).exists()), None)


def _push(root: Path, base: str, delivery: Delivery) -> str:
    branch, remote = delivery.home.branch, git.remote_of(root, base)
    assert remote is not None
    try:
        git.push(root, branch, remote)
    except MuxError as error:
        raise MuxError(f"{delivery.task}: {branch} was not pushed to {remote}: {error}; nothing was removed") from error
    return f"pushed {branch} to {remote}"


def _open_pull_request(root: Path, base: str, delivery: Delivery) -> str:
    branch, remote = delivery.home.branch, git.remote_of(root, base)
    assert remote is not None
    into = base.removeprefix(f"{remote}/")
    if shutil.which("gh") is None:
        address = git.git(root, "remote", "get-url", remote).out.strip()
        return f"gh is not installed: {pull_request_hint(address, branch, into)}"
    environment = git_environment(os.environ) | {"GH_PROMPT_DISABLED": "1"}

    def gh(*words: str) -> str:
        try:
            return sh.run(["gh", "pr", *words], cwd=root, env=environment, timeout=120.0).out.strip()
        except MuxError as error:
            raise MuxError(f"{branch} is on {remote}, but {error}; its worktree was kept, finish again") from error

    found = gh("list", "--head", branch, "--state", "open", "--json", "url", "--jq", ".[].url")
    if found:
        return f"its pull request is open already: {found.splitlines()[0]}"
    made = gh("create", "--head", branch, "--base", into, "--fill")
    return f"opened a pull request: {made.splitlines()[-1] if made else branch}"


def _remove_home(repository: git.Repository, delivery: Delivery) -> str:
    """Looks at everything again first: merge and push took their time."""
    facts = branch_facts(delivery)
    stake = at_stake(delivery, facts)
    if stake is not None:
        raise MuxError(f"{delivery.task}: {stake}; its worktree was not removed")
    path = delivery.home.path
    if not facts.there and path.is_dir():  # empty: git would not know it for its worktree
        path.rmdir()
    if facts.there or facts.home_is_registered(path):
        homes.remove(repository, _started(repository.root, delivery))
    return f"removed its worktree {path}"


def _delete_branch(root: Path, base: str, branch: str) -> str:
    """Only the very commit that was seen to be in base goes: one that came since makes git refuse."""
    head = git.resolve(root, f"refs/heads/{branch}")
    if head is None:
        return f"its branch {branch} is gone"
    if not git.is_merged(root, head, base):
        raise MuxError(f"{branch} has commits that are not in {base}: it was kept; finish again")
    if used_in := _used_in(root, branch):
        raise MuxError(f"{branch} is checked out in {used_in}: it was kept; switch to another branch there")
    git.git(root, "update-ref", "-d", f"refs/heads/{branch}", head)
    git.git(root, "config", "--remove-section", f"branch.{branch}", check=False)  # its upstream, if it had one
    return f"deleted the branch {branch} (was {head[:7]})"


def _used_in(root: Path, branch: str) -> str:
    """The worktree in which the branch is checked out, its folder there or not; "" when in none."""
    listed = git.git(root, "for-each-ref", "--format=%(worktreepath)", f"refs/heads/{branch}").out
    return listed.removesuffix("\n")
