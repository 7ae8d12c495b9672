"""A worker that dies: the snapshot of its work, the next start, and two hundred that die at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.desk import Desk, open_desk, section, wait_for
from benchmarks.figures import Figure, median, spread
from benchmarks.repository import make_repository
from runners import git, homes, snapshots


def snapshot(quick: bool) -> Iterator[Figure]:
    """Against `git stash create`, which leaves out untracked files."""
    files, rounds = (500, 3) if quick else (5000, 15)
    scratch = Path(tempfile.mkdtemp(prefix="snapshot-")).resolve()
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull} | {
        f"GIT_{role}_{key}": "bench@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }
    make_repository(scratch / "shop", files, environment)
    repository = git.open_repository(scratch / "shop")
    start = git.resolve(repository.root, "main") or ""
    home = homes.prepare(repository, scratch / "home", "mux/shop/a", start, ()).home
    ours, stash = [], []
    for number in range(rounds):
        _make_dirty(home.path, number)
        begin = time.perf_counter()
        subprocess.run(["git", "stash", "create"], cwd=home.path, env=environment, check=True, capture_output=True)
        stash.append(time.perf_counter() - begin)
        _make_dirty(home.path, number + rounds)  # else git's index would know the files of the round already
        begin = time.perf_counter()
        taken = snapshots.take(home, 1, "bench", time.time())
        ours.append(time.perf_counter() - begin)
        assert taken is not None and taken.new
    how = f"50 changed, 50 untracked; mux {spread(ours)}; stash {spread(stash)}; {rounds} rounds"
    yield Figure(f"snapshot of {files} files, against `git stash create`", median(ours) / median(stash), 2, "x", how)


def _make_dirty(home: Path, number: int) -> None:
    changed = sorted(home.glob("src/*/*.txt"))[:50]
    for path in changed:
        path.write_text(f"changed {number}\n" * 40)
    (home / "new").mkdir(exist_ok=True)
    for index in range(50):
        (home / "new" / f"{index}.txt").write_text(f"new {number} {index}\n" * 40)


def restart(quick: bool) -> Iterator[Figure]:
    """From the moment at which a restart is due to the running command."""
    rounds = 2 if quick else 10
    seconds = []
    with open_desk(
        100,
        max_workers=2,
        restart={"backoff": "0.5s", "longest_backoff": "0.5s", "early": "0.01s", "limit": 99, "same": 99},
    ) as desk:
        desk.append(section("again", "sleep 600"))
        desk.up()
        desk.until(["again"], "running")
        for number in range(1, rounds + 1):
            running = _record(desk, "again", number, "start.json", "pid")
            wait_for(lambda at=running["at"]: time.time() > at + 0.1, "it got going")
            os.kill(running["pid"], signal.SIGKILL)
            due = _record(desk, "again", number, "outcome.json", "next")["next"]["at"]
            started = _record(desk, "again", number + 1, "start.json", "pid")
            seconds.append(started["at"] - due)
    how = f"{rounds} kills of one worker of 100 files, {spread(seconds)}"
    yield Figure("a restart is due -> its command runs", median(seconds) * 1000, 100, "ms", how)


def outage(quick: bool) -> Iterator[Figure]:
    """All workers are killed at one instant."""
    count = 10 if quick else 200
    names = [f"worker-{number}" for number in range(count)]
    with open_desk(10, max_workers=count, outage={"workers": 3, "within": "30s", "pace": "1h"}) as desk:
        desk.append(*(section(name, "echo half > work; exec sleep 600") for name in names[: count // 2]))
        desk.append(*(section(name, "exec sleep 600") for name in names[count // 2 :]))
        desk.up()
        desk.until(names, "running")
        pids = [_record(desk, name, 1, "start.json", "pid")["pid"] for name in names]
        begin = time.time()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        decided = [_record(desk, name, 1, "outcome.json", "at") for name in names]
        seconds = max(each["at"] for each in decided) - begin
        wait_for(lambda: len(_open_requests(desk)) == 1, "one question for all that do not go on by themselves")
        together = len(_open_requests(desk)[0]["members"])
        alone = sum("outage" not in each["evidence"] for each in decided)
    how = f"half of them dirty; one question about {together}; {alone} decided outside the outage"
    yield Figure(f"{count} workers killed at once -> all decided", seconds, 3, "s", how)


def _record(desk: Desk, task: str, number: int, name: str, key: str) -> dict[str, Any]:
    path = desk.folder / "runs" / task / str(number) / name

    def read() -> dict[str, Any] | None:
        found = json.loads(path.read_text()) if path.exists() else {}
        return found if found.get(key) is not None else None

    record: dict[str, Any] = wait_for(read, f"{task}, attempt {number}: {name}")
    return record


def _open_requests(desk: Desk) -> list[dict[str, Any]]:
    folder = desk.folder / "requests"
    if not folder.is_dir():
        return []
    return [json.loads(path.read_text()) for path in folder.glob("*.json") if path.name.count(".") == 1]
