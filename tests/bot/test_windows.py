"""`finish` and `doctor` with a worker that ran in a real tmux."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from board.model import Status
from board.parse import parse
from bot.place import place_of
from runners import git, names, processes
from runners.agents import BUILT_IN, load
from runners.host import Host, StartOrder
from runners.local import local_host
from runners.model import Liveness, Outcome
from runners.tmux import Tmux, socket_name
from tests.bot.conftest import Mux
from tests.bot.workplace import Work, make_home, root
from tests.support import wait_for

__all__ = ["root"]


@pytest.fixture
def host(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path_factory.mktemp("t")))
    place = place_of(root / "board.md")
    place.folder.mkdir()
    made = local_host(place.path, place.folder, os.environ)
    yield made
    assert made.close()


def test_finish_closes_the_dead_window(mux: Mux, host: Host, root: Path) -> None:
    place = place_of(root / "board.md")
    board = parse(place.path.read_text(), BUILT_IN)
    order = StartOrder(
        task="fix",
        number=1,
        prompt="```sh\necho fixed > fix.txt; git add fix.txt; git commit --quiet -m fixed\n```\n",
        settings=board.settings.defaults,
        profile=load({})["shell"],
        done_when=("committed", "clean"),
        repository=root,
        home=names.home_of(place.path, board.settings, "fix"),
        branch="mux/shop/fix",
        predecessors=(),
    )
    attempt = host.start(order)
    wait_for(lambda: host.history("fix")[0].liveness is Liveness.ENDED, "it ended")
    wait_for(lambda: all(window.dead for window in host.windows() or ()), "and so did its wrapper")
    head = git.resolve(attempt.home.path, "HEAD")
    host.conclude(attempt, Outcome(Status.DONE, "done", "exit 0", time.time(), head))
    assert [window.task for window in host.windows() or ()] == ["fix"]
    assert "agrees with trees" in mux("doctor").out
    work = Work(place, root, attempt.home.path)
    assert mux("finish", "fix").code == 0
    assert host.windows() == () and not work.home.exists() and (root / "fix.txt").read_text() == "fixed\n"


def test_a_worker_whose_record_is_gone_is_a_living_one(
    mux: Mux, host: Host, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.mux` was removed under it: nothing of its work is, and the command that ends it works when pasted."""
    place = place_of(root / "board.md")
    tmux = Tmux(place.path, place.folder, os.environ)
    tmux.ensure()
    (place.folder / "runs" / "fix" / "1").mkdir(parents=True)
    window = tmux.open("fix", 1, ["sleep", "600"], "runs/fix/1/output.log")
    shutil.rmtree(place.folder)
    home = make_home(root, "fix")
    close = f"tmux -L {socket_name(place.path)} kill-window"
    lives = f"its worker (attempt 1) lives without a record; end it with: {close}"
    said = f"fix: {lives}"
    # Nothing starts beside it; once it is ended as told, a `ready` would.
    place.path.write_text(place.path.read_text().replace("status: done", "status: ready"))
    assert f"stopped before it started; {lives}" in mux("stop", "fix").out
    assert "status: stopped" in place.path.read_text()
    place.path.write_text(place.path.read_text().replace("status: stopped", "status: done"))
    for words in (("stop", "fix"), ("finish", "fix"), ("clean",)):
        reply = mux(*words)
        assert said in reply.err + reply.out and reply.code == 1, words
    assert home.path.exists() and processes.start_time(window.pid)
    assert f"fix: {close}" in mux("doctor").out
    line = mux("stop", "fix").err.rpartition("end it with: ")[2]
    subprocess.run(["sh", "-c", line], check=True)
    wait_for(lambda: processes.start_time(window.pid) is None)
    assert host.stray("fix") is None and "without a record" not in mux("finish", "fix").err
