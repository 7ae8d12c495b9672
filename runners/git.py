"""The one place that talks to git: verbs, on argument lists, read from machine formats only.

Reads take no optional locks, so they never get in the way of a worker's own git. A folder given to a verb is the top of
a working tree; git is told so (`--git-dir=.git`) and does not go looking in the folders above when it is none any more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from board.errors import CommandFailed, MuxError
from runners import sh
from runners.environment import git_environment
from runners.model import Home, TreeFacts

MINIMUM = (2, 30)
LONG = 1800.0  # seconds: a checkout of a large repository, filters that fetch over the network


@dataclass(frozen=True, slots=True)
class Repository:
    """`root` is the top of the person's checkout; `common_dir` the git directory that all its worktrees share."""

    root: Path
    common_dir: Path


def version() -> str:
    """The version of the installed git, `2.39.5`. Raises MuxError when it is missing or too old."""
    text = sh.run(["git", "--version"]).out.strip().removeprefix("git version ").split(" ")[0]
    found = re.match(r"(\d+)\.(\d+)", text)
    if found and (int(found[1]), int(found[2])) < MINIMUM:
        raise MuxError(f"git {text} is too old: mux needs {MINIMUM[0]}.{MINIMUM[1]} or newer; update the package git")
    return text


def git(
    folder: Path,
    *words: str,
    check: bool = True,
    timeout: float = 60.0,
    extra: dict[str, str] | None = None,
    input: str | None = None,
    anywhere: bool = False,
) -> sh.Completed:
    """Git in the working tree whose top is `folder`, or that `folder` lies `anywhere` in.

    `extra` adds to its environment, `input` is what it reads.
    """
    argv = ["git", "--no-optional-locks", *([] if anywhere else ["--git-dir=.git"]), *words]
    environment = git_environment(os.environ) | (extra or {})
    return sh.run(argv, cwd=folder, env=environment, timeout=timeout, check=check, input=input)


def open_repository(path: Path) -> Repository:
    """The repository that `path` lies in. Raises MuxError when there is none, or one without a commit."""
    if not path.is_dir():
        raise MuxError(f"{path}: there is no such folder; set `repo:` on the board to a git repository")
    top = git(path, "rev-parse", "--show-toplevel", check=False, anywhere=True)
    if top.code != 0 and "not a git repository" in top.err:
        raise MuxError(f"{path}: not a git repository; run `git init` there, or set `repo:` on the board")
    if top.code != 0:
        error = sh.failure(top)
        raise MuxError(
            f"{path}: cannot be used as a repository: {error}", f"the repository cannot be used: {error.told}"
        )
    root = Path(_line(top))
    common = root / _line(git(root, "rev-parse", "--git-common-dir"))
    if resolve(root, "HEAD") is None:
        raise MuxError(f"{root}: the repository has no commit yet; make the first one with `git commit`")
    return Repository(root, common.resolve())


def current_branch(folder: Path) -> str | None:
    """The branch checked out in `folder`; None when HEAD is detached."""
    done = git(folder, "symbolic-ref", "-q", "--short", "HEAD", check=False)
    return _line(done) if _answer(done) else None


def resolve(folder: Path, name: str) -> str | None:
    """The commit that a branch, tag or commit name means; None when it means none."""
    if not name or name.startswith("-"):
        return None
    done = git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False)
    return _line(done) if done.code == 0 else None


def branch_exists(folder: Path, branch: str) -> bool:
    return _answer(git(folder, "show-ref", "--verify", "--quiet", f"refs/heads/{branch}", check=False))


def tree_facts(home: Home, base: str | None = None) -> TreeFacts:
    """What git says of a home; with `base`, also whether that has all of it.

    Raises CommandFailed when the home is gone or cannot be asked.
    """
    # The person's settings could hide untracked files or changed submodules, and with them work that would be lost.
    flags = ("--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--ignore-submodules=none", "--no-renames")
    records = git(home.path, "status", *flags).out.split("\0")
    headers = dict(record[2:].split(" ", 1) for record in records if record.startswith("# "))
    head, branch = headers["branch.oid"], headers["branch.head"]
    unpushed, pushed = _against_upstream(home.path, headers)
    return TreeFacts(
        head=head,
        branch=None if branch == "(detached)" else branch,
        commits=_count(home.path, "HEAD", f"^{home.start_commit}") if head != home.start_commit else 0,
        modified=sum(record[:2] in ("1 ", "2 ", "u ") for record in records),
        untracked=sum(record.startswith("? ") for record in records),
        unpushed=unpushed,
        pushed=pushed,
        merged=is_merged(home.path, head, base) if base is not None else None,
    )


def _against_upstream(folder: Path, headers: Mapping[str, str]) -> tuple[int | None, bool | None]:
    """How many commits the upstream lacks, and whether it is the same commit; None when there is none, or no more."""
    upstream, counts = headers.get("branch.upstream"), headers.get("branch.ab")
    if upstream is None or counts is None:  # no counts: it is configured, and gone
        return None, None
    ahead, behind = (abs(int(count)) for count in counts.split(" "))
    # The upstream may be a branch of this very repository: what is there has not gone anywhere.
    if not branch_is_remote(folder, upstream):
        return None, None
    return ahead, ahead == behind == 0


def branch_is_remote(folder: Path, name: str) -> bool:
    """Whether the name is that of a remote's branch, as last fetched."""
    return _answer(git(folder, "show-ref", "--verify", "--quiet", f"refs/remotes/{name}", check=False))


def is_merged(folder: Path, commit: str, base: str) -> bool:
    """Whether all of `commit` is in `base`: reachable, every commit picked over, squashed into one, or merging it would
    change nothing.

    A branch without a commit of its own is merged in this sense. Unrelated histories are not.
    """
    if _answer(git(folder, "merge-base", "--is-ancestor", commit, base, check=False)):
        return True
    fork = git(folder, "merge-base", base, commit, check=False)
    if not _answer(fork):
        return False
    if _all_in(folder, base, commit) or _all_in(folder, base, _squashed(folder, commit, _line(fork))):
        return True
    return _adds_nothing(folder, base, commit)


def _all_in(folder: Path, base: str, commit: str) -> bool:
    """`git cherry` marks a commit `-` when `base` has one with the same changes (the same patch id)."""
    return not any(line.startswith("+") for line in git(folder, "cherry", base, commit).out.splitlines())


def _squashed(folder: Path, commit: str, fork: str) -> str:
    """A loose commit with all the changes since the fork in one; nothing refers to it, git clears it away in time."""
    who = {f"GIT_{role}_{part}": "mux@localhost" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    return _line(git(folder, "commit-tree", f"{commit}^{{tree}}", "-p", fork, "-m", "squashed", extra=who))


def _adds_nothing(folder: Path, base: str, commit: str) -> bool:
    """Whether `base` would be the same after merging `commit`. A patch id is of the lines around a change, too: where
    those differ, only this knows a squashed branch again, while nobody changed its lines since. Git before 2.38 cannot
    say, and says no."""
    merged = git(folder, "merge-tree", "--write-tree", base, commit, check=False)
    return merged.code == 0 and _line(merged) == _line(git(folder, "rev-parse", "--verify", f"{base}^{{tree}}"))


def diffstat(folder: Path, start: str, end: str | None = None) -> str:
    """For people: the changed files and by how much, from `start` to `end`, or to the working tree for None."""
    return _diff(folder, "--stat", start, end)


def diff(folder: Path, start: str, end: str | None = None) -> str:
    """For people: the changes from `start` to `end`, or to the working tree for None. Untracked files are not in it."""
    return _diff(folder, "--patch", start, end)


def _diff(folder: Path, form: str, start: str, end: str | None) -> str:
    revisions = [start] if end is None else [start, end]
    return git(folder, "diff", "--no-color", "--no-ext-diff", "--no-textconv", form, *revisions, "--").out


def unpushed(folder: Path, branch: str, base: str) -> int:
    """How many commits of the branch are on no remote, as last fetched, nor in `base`."""
    return _count(folder, f"refs/heads/{branch}", f"^{base}", "--not", "--remotes")


def is_tracked(path: Path) -> bool:
    """Whether git has the file. False outside any repository."""
    return _asks_about(path.parent, "--literal-pathspecs", "ls-files", "--error-unmatch", "--", f"./{path.name}")


def is_ignored(path: Path, folder: bool = False) -> bool:
    """Whether git ignores the file, or `folder`, which need not exist yet. False outside any repository."""
    # `build/` in a .gitignore means folders only; one that is not there is known by its slash.
    return _asks_about(path.parent, "check-ignore", "--quiet", "--", f"./{path.name}{'/' if folder else ''}")


def _asks_about(folder: Path, *words: str) -> bool:
    done = git(folder, *words, check=False, anywhere=True)
    if done.code == 128 and "not a git repository" in done.err:
        return False
    return _answer(done)


def ignored_files_with_sizes(folder: Path) -> tuple[tuple[str, int], ...]:
    """What git ignores in a working tree, a wholly ignored folder as one, with its bytes; the largest first."""
    listed = git(folder, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z").out
    sized = ((name, _size(folder / name)) for name in listed.split("\0") if name)
    return tuple(sorted(sized, key=lambda entry: (-entry[1], entry[0])))


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(file.lstat().st_size for file in files)


def merge(repository: Repository, branch: str, base: str, board: Path) -> str:
    """Merge a task's branch into `base` in the person's checkout; returns the commit that `base` is at then.

    Raises MuxError, and changes nothing, unless that checkout is on `base` and clean, the branch leaves the board's
    file alone, and git can merge the two without help.
    """
    root = repository.root
    _check_mergeable(root, branch, base, board)
    try:
        git(root, "merge", "--no-edit", "--ff", "--commit", "--no-squash", f"refs/heads/{branch}", timeout=LONG)
    except CommandFailed as error:
        _abort_merge(root)
        raise MuxError(
            f"{branch} cannot be merged into {base} in {root}: {error}; "
            f"merge {base} into {branch} in the task's home first, then finish again"
        ) from error
    return _line(git(root, "rev-parse", "HEAD"))


def _check_mergeable(root: Path, branch: str, base: str, board: Path) -> None:
    current = current_branch(root)
    if current != base:
        raise MuxError(f"{root} is on {current or 'no branch'}, not on {base}: `git switch {base}` there, then finish")
    facts = tree_facts(Home(root, base, "HEAD"))
    if facts.modified:  # untracked files, the board among them, are in nobody's way: git refuses to write over one
        raise MuxError(f"{root} is not clean ({facts.modified} changed): commit or stash there, then finish again")
    name = os.path.relpath(board.resolve(), root.resolve())
    changed = git(root, "diff", "--name-only", "--no-renames", "-z", f"{base}...refs/heads/{branch}", "--").out
    if name in changed.split("\0"):
        raise MuxError(
            f"{branch} changes the board {name}: only mux and you write it; take that out of the branch first"
        )


def _abort_merge(root: Path) -> None:
    if git(root, "rev-parse", "--verify", "--quiet", "MERGE_HEAD", check=False).code == 0:
        git(root, "merge", "--abort")


def push(folder: Path, branch: str, remote: str) -> None:
    """Push the branch under its own name and remember it as upstream; never forced. Raises CommandFailed."""
    git(folder, "push", "--set-upstream", remote, f"refs/heads/{branch}:refs/heads/{branch}", timeout=LONG)


def remote_of(folder: Path, base: str) -> str | None:
    """The remote that `base` belongs to; else `origin`; else the only one; None when there is none to choose."""
    remotes = git(folder, "remote").out.splitlines()
    known = git(folder, "config", "--get", f"branch.{base}.remote", check=False)
    preferred = [_line(known), "origin"] if known.code == 0 else ["origin"]
    only = remotes if len(remotes) == 1 else []
    return next((name for name in [*preferred, *only] if name in remotes), None)


def beyond(home: Home, commit: str) -> int | None:
    """How many commits on the home's HEAD `commit` does not have; None when git does not have that commit."""
    return _count(home.path, "HEAD", f"^{commit}") if resolve(home.path, commit) else None


def _count(folder: Path, *revisions: str) -> int:
    return int(git(folder, "rev-list", "--count", *revisions).out)


def _answer(done: sh.Completed) -> bool:
    """Yes or no from a command that exits with 0 or 1; anything else means that it could not say."""
    if done.code not in (0, 1):
        raise sh.failure(done)
    return done.code == 0


def _line(done: sh.Completed) -> str:
    return done.out.removesuffix("\n")
