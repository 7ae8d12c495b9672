"""Snapshots: the files of a home, kept as commits under `refs/mux/<board>/snapshots/<task>/<n>`.

One is made through a copy of the home's index, so the home, its index, HEAD and stash stay as they are, and another git
at work there (`index.lock`) is in nobody's way. What `git status` names is kept: untracked files too, ignored ones not.
What cannot be kept is named in the commit's message. The refs hold the commits for git's gc; nobody pushes them.
"""

from __future__ import annotations

import json
import os
import shutil
import stat as modes
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from board.clock import format_time
from board.storage import one_line_errors
from runners import git, homes, sh
from runners.kept import LeftOut, Snapshot, Taken
from runners.model import Home

#: A file with more bytes than this is left out.
CAP = 100 * 1024 * 1024
_LIMIT = 300.0  # seconds a call of git: filters and large files take their time, but nobody waits for ever

#: Of the person's settings, those that would run a program, write beside the index, or refuse a file.
PLAIN = tuple(
    word
    for setting in ("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.splitIndex=false", "core.safecrlf=false")
    for word in ("-c", setting)
)
_STATUS = ("--porcelain=v2", "-z", "--branch", "--no-ahead-behind", "--untracked-files=all", "--no-renames")
_FIELDS = ("refname", "objectname", "parent", "tree", "committerdate:unix", "contents")

_Git = Callable[..., sh.Completed]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A path that `git status` names."""

    path: str
    kind: str  # 1: tracked, u: unmerged, ?: untracked
    submodule: bool = False
    work: str = "?"  # how its file differs from the index; `.`: not at all, `D`: it is deleted


def take(home: Home, attempt: int, reason: str, now: float, cap: int = CAP, always: bool = False) -> Taken | None:
    """Keep the files of a home; None when it is clean, or there is no home of ours. Nothing in it is touched.

    The same files as in the newest snapshot add none. With `always` a clean home is kept, too: its commits hang on the
    snapshot then, whatever becomes of the branch. Raises MuxError when git cannot do it.
    """
    if not homes.is_whole(home.path):
        return None
    with own_index(home.path) as own:
        head, entries = _status(own)
        if not entries and not always:
            return None
        left_out = tuple(each for entry in entries if (each := _left_out(home.path, entry, cap)) is not None)
        out = {each.name.removesuffix("/") for each in left_out}
        tree = _tree(own, home.path, entries, out)
    prefix, _, task = home.branch.rpartition("/")
    newest = next(iter(_kept(home.path, f"{prefix}/").get(task, ())), None)
    if newest is not None and newest.tree == tree and (not always or newest.parent == head):
        return Taken(newest, False, left_out)
    kept = [entry.kind for entry in entries if entry.path.removesuffix("/") not in out]
    made = Snapshot(
        number=newest.number + 1 if newest else 1,
        commit="",
        tree=tree,
        parent=head,
        at=now,
        attempt=attempt,
        reason=reason,
        changed=len(kept) - kept.count("?"),
        untracked=kept.count("?"),
        left_out=left_out,
    )
    return Taken(_commit(home, made, task), True, left_out)


def progress(home: Home) -> str | None:
    """A name of a home's commit and files; None: it is gone."""
    return ":".join(map(str, seen(home.path))) if home.path.exists() else None


def seen(path: Path, cap: int = CAP) -> tuple[str | None, str | None]:
    """The commit of a home's HEAD, and the tree of its files as a snapshot would hold them; None: as HEAD."""
    head, tree, _ = looked_at(path, cap)
    return head, tree


def looked_at(path: Path, cap: int = CAP) -> tuple[str | None, str | None, tuple[LeftOut, ...]]:
    """As `seen`, and what a snapshot would leave out."""
    with own_index(path) as own:
        head, entries = _status(own)
        if not entries:
            return head, None, ()
        left_out = tuple(each for entry in entries if (each := _left_out(path, entry, cap)) is not None)
        return head, _tree(own, path, entries, {each.name.removesuffix("/") for each in left_out}), left_out


def holding(home: Home, head: str, tree: str | None) -> Snapshot | None:
    """The newest snapshot of the home's task with that HEAD and those files (None: as HEAD); None: there is none."""
    wanted = tree or git.git(home.path, "rev-parse", f"{head}^{{tree}}").out.strip()
    prefix, _, task = home.branch.rpartition("/")
    mine = _kept(home.path, f"{prefix}/").get(task, ())
    return next((each for each in mine if (each.tree, each.parent) == (wanted, head)), None)


def kept(repository: Path, prefix: str) -> dict[str, tuple[Snapshot, ...]]:
    """By task, newest first: the snapshots of a board whose branches begin with `prefix` (`mux/shop/`)."""
    return _kept(git.open_repository(repository).root, prefix)


def lines(repository: Path, snapshot: Snapshot) -> str:
    """How many lines it adds to its parent and takes from it: `+12 -3`; empty without a parent."""
    if snapshot.parent is None:
        return ""
    root = git.open_repository(repository).root
    flags = ("--numstat", "--no-renames", "--no-ext-diff", "--no-textconv", "-z")
    out = git.git(root, "diff", *flags, snapshot.parent, snapshot.commit).out
    rows = [row.split("\t") for row in out.split("\0") if row and not row.startswith("-")]  # `-`: binary
    return f"+{sum(int(row[0]) for row in rows)} -{sum(int(row[1]) for row in rows)}"


def drop(repository: Path, branch: str, snapshots: Sequence[Snapshot]) -> None:
    """Forget snapshots of the task with that branch; git's gc frees what they alone hold. Raises MuxError."""
    orders = "".join(f"delete {_refs(branch)}{each.number}\0{each.commit}\0" for each in snapshots)
    git.git(git.open_repository(repository).root, *PLAIN, "update-ref", "--stdin", "-z", input=orders)


@contextmanager
def own_index(path: Path, copied: bool = True) -> Iterator[_Git]:
    """Git in the home at `path`, with an index beside the home's own: a copy of it, or an empty one."""
    with one_line_errors("make a folder in", Path(tempfile.gettempdir())):
        scratch = Path(tempfile.mkdtemp(prefix="mux-"))
    try:
        if copied:
            _copy(homes.private_folder_of(path) / "index", scratch / "index")
        yield partial(git.git, path, *PLAIN, timeout=_LIMIT, extra={"GIT_INDEX_FILE": str(scratch / "index")})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy(index: Path, target: Path) -> None:
    """With its time: git compares a file's content only if the file is not older than the index that it reads."""
    with one_line_errors("copy", index):
        try:
            with index.open("rb") as file:
                seen = os.fstat(file.fileno())
                target.write_bytes(file.read())
        except FileNotFoundError:
            return  # then nothing is tracked, and all is untracked
        os.utime(target, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _status(own: _Git) -> tuple[str | None, list[_Entry]]:
    """The commit of HEAD, and what is not as in it."""
    records = own("status", *_STATUS, "--ignore-submodules=none").out.split("\0")
    head = next(record.split(" ")[2] for record in records if record.startswith("# branch.oid "))
    return None if head == "(initial)" else head, [_entry(each) for each in records if each[:2] in ("1 ", "u ", "? ")]


def _entry(record: str) -> _Entry:
    kind = record[0]
    if kind == "?":
        return _Entry(record[2:], kind)
    fields = record.split(" ", 8 if kind == "1" else 10)
    return _Entry(fields[-1], kind, fields[2].startswith("S"), fields[1][1] if kind == "1" else "?")


def _left_out(home: Path, entry: _Entry, cap: int) -> LeftOut | None:
    """None for what is kept as it is."""
    path = home / entry.path
    if entry.path.endswith("/"):
        return LeftOut(entry.path, "a repository of its own")
    if not os.path.lexists(path) or entry.work in ".D":
        return None
    if entry.submodule:
        return LeftOut(f"{entry.path}/", "a submodule")
    seen = path.lstat()
    if modes.S_ISLNK(seen.st_mode) or modes.S_ISDIR(seen.st_mode):
        return None
    if not modes.S_ISREG(seen.st_mode):
        return LeftOut(entry.path, "no plain file")
    if not os.access(path, os.R_OK):
        return LeftOut(entry.path, "may not be read")
    return LeftOut(entry.path, f"{seen.st_size} bytes, over {cap}") if seen.st_size > cap else None


def _tree(own: _Git, home: Path, entries: Iterable[_Entry], out: set[str]) -> str:
    """The tree of the home's files. What is left `out` stays in it as the index has it."""
    gone, put = [], []
    for entry in entries:
        left = entry.path.removesuffix("/") in out
        # What lies below a link is there for `lstat`, and git will not hear of it: status knows that it is deleted.
        if entry.work == "D" or (entry.kind == "u" and (left or not os.path.lexists(home / entry.path))):
            gone.append(entry.path)
        elif not left and entry.work != ".":
            put.append(entry.path)
    for flags, paths in ((("--force-remove",), gone), (("--add", "--remove", "--replace"), put)):
        if paths:
            own("update-index", *flags, "-z", "--stdin", input="".join(f"{path}\0" for path in paths))
    return own("write-tree").out.strip()


def _commit(home: Home, made: Snapshot, task: str) -> Snapshot:
    """The number is the first free one: two at once do not get the same."""
    who = {"NAME": "mux@localhost", "EMAIL": "mux@localhost", "DATE": f"@{int(made.at)} +0000"}
    extra = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    parent = ("-p", made.parent) if made.parent else ()
    words = ("commit-tree", *parent, made.tree)
    commit = git.git(home.path, *words, extra=extra, input=_message(made, task)).out.strip()
    number = made.number
    while not _refer(home.path, f"{_refs(home.branch)}{number}", commit):
        number += 1
    return replace(made, number=number, commit=commit)


def _refer(folder: Path, ref: str, commit: str) -> bool:
    """False when that ref was there already."""
    done = git.git(folder, *PLAIN, "update-ref", ref, commit, "", check=False)
    if done.code != 0 and git.resolve(folder, ref) is None:
        raise sh.failure(done)
    return done.code == 0


def _message(made: Snapshot, task: str) -> str:
    """ASCII whatever the files are called."""
    rows = [("Task", task), ("Attempt", made.attempt), ("Reason", made.reason), ("Time", format_time(made.at))]
    rows += [("Changed", made.changed), ("Untracked", made.untracked)]
    rows += [("Left-Out", json.dumps([each.name, each.why])) for each in made.left_out]
    return f"{task}: {made.what} ({made.reason})\n\n" + "".join(f"{key}: {value}\n" for key, value in rows)


def _kept(folder: Path, prefix: str) -> dict[str, tuple[Snapshot, ...]]:
    form = "".join(f"%({field})%00" for field in _FIELDS)
    base = f"refs/{prefix}snapshots/"
    fields = git.git(folder, "for-each-ref", f"--format={form}", base).out.split("\0")
    found: dict[str, list[Snapshot]] = {}
    for start in range(0, len(fields) - 1, len(_FIELDS)):
        name, *rest = fields[start : start + len(_FIELDS)]
        task, _, number = name.strip().removeprefix(base).partition("/")
        if number.isdecimal():
            found.setdefault(task, []).append(_read(int(number), *rest))
    return {task: tuple(sorted(each, key=lambda one: -one.number)) for task, each in found.items()}


def _read(number: int, commit: str, parent: str, tree: str, at: str, message: str) -> Snapshot:
    """What a person committed there by hand has less to say."""
    rows = [line.partition(": ") for line in message.splitlines()]
    said = {key: value for key, _, value in rows}
    counts = {key: int(value) for key, value in said.items() if value.isdecimal()}
    return Snapshot(
        number=number,
        commit=commit,
        tree=tree,
        parent=parent.split(" ")[0] or None,
        at=float(at or 0),
        attempt=counts.get("Attempt", 0),
        reason=said.get("Reason", ""),
        changed=counts.get("Changed", 0),
        untracked=counts.get("Untracked", 0),
        left_out=tuple(LeftOut(*json.loads(value)) for key, _, value in rows if key == "Left-Out"),
    )


def _refs(branch: str) -> str:
    prefix, _, task = branch.rpartition("/")
    return f"refs/{prefix}/snapshots/{task}/"
