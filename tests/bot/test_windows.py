"""`finish` and `doctor` with a worker that ran in a real tmux."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from board.model import Status
from board.parse import parse
from bot.place import place_of
from runners import git, names
from runners.agents import BUILT_IN, load
from runners.host import Host, StartOrder
from runners.local import local_host
from runners.model import Liveness, Outcome
from tests.bot.conftest import Mux
from tests.bot.workplace import Work, root

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
    deadline = time.monotonic() + 20
    while host.history("fix")[0].liveness is not Liveness.ENDED or not all(w.dead for w in host.windows() or ()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    head = git.resolve(attempt.home.path, "HEAD")
    host.conclude(attempt, Outcome(Status.DONE, "done", "exit 0", time.time(), head))
    assert [window.task for window in host.windows() or ()] == ["fix"]
    assert "agrees with trees" in mux("doctor").out
    work = Work(place, root, attempt.home.path)
    assert mux("finish", "fix").code == 0
    assert host.windows() == () and not work.home.exists() and (root / "fix.txt").read_text() == "fixed\n"
