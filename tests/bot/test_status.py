from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from board.model import Status
from board.storage import private_folder, write_json
from bot import status
from bot.place import Place
from bot.table import unpainted, width_of
from runners import daemon
from runners.journal import Event, Journal
from tests.bot.conftest import Mux, ended, working
from tests.bot.test_cli import HEAVY, ROOT
from tests.support import PATIENCE


def task(name: str, word: str, **more: Any) -> dict[str, Any]:
    known = {"id": name, "title": f"Title of {name}", "status": word, "condition": None, "agent": "shell"}
    rest = {"attempt": 0, "since": None, "why": "", "branch": None, "worktree": None, "checkpoint": None}
    return {**known, **rest, "ports": None, "exit": None, **more}


def state(tasks: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    plane = {"running": True, "pid": 7, "since": "2026-11-23T08:00:00Z"}
    base = {"board": "shop", "path": "/x/board.md", "rev": 3, "trouble": None, "max_workers": 4, "problems": []}
    return {**base, "tasks": tasks, "orphans": [], "control_plane": plane, "at": "2026-11-23T08:01:00Z", **more}


NOW = 1795420920.0  # 2026-11-23T08:02:00Z


def test_needs_you_comes_first_then_what_works_then_what_waits() -> None:
    words = ["done", "draft", "ready", "running", "stopped", "blocked", "waiting", "failed", "claimed", "review"]
    orphan = {"id": "gone", "attempt": 2, "since": None, "worktree": "w", "branch": "b"}
    lines = status.whole(state([task(word, word) for word in words], orphans=[orphan]), NOW)
    table = [unpainted(line).split()[0] for line in lines if line][3:]
    assert table[1:] == [
        *("gone", "failed", "blocked", "waiting", "review"),
        *("running", "claimed", "ready", "draft", "stopped", "done"),
    ]


def test_a_task_with_an_error_needs_you_and_its_line_is_the_reason() -> None:
    problem = {"line": 12, "task": "b", "text": "unknown key 'prioritty'", "severity": "error"}
    lines = status.whole(state([task("a", "running"), task("b", "draft")], problems=[problem]), NOW)
    plain = [unpainted(line) for line in lines]
    assert "/x/board.md:12: unknown key 'prioritty'" in plain
    assert "line 12: unknown key 'prioritty'" in next(line for line in plain if line.startswith("b "))
    assert [line.split()[0] for line in plain[-2:]] == ["b", "a"]


def test_many_done_tasks_and_problems_are_only_counted() -> None:
    done = [task(f"t{number}", "done") for number in range(30)]
    problems = [{"line": n, "task": None, "text": "x", "severity": "warning"} for n in range(1, 31)]
    seen = state([*done, task("a", "running")], problems=problems)
    text = "\n".join(status.whole(seen, NOW))
    assert "and 30 done" in text
    assert "t7 " not in text
    assert "and 20 more: mux check" in text
    assert "t7" in "\n".join(status.whole(seen, NOW, all_tasks=True))


def test_times_trouble_and_a_loop_that_hangs_are_said() -> None:
    seen = state([task("a", "running", since="2026-11-23T08:01:15Z", attempt=2)], trouble="board.md:3: broken")
    text = "\n".join(unpainted(line) for line in status.whole(seen, NOW))
    assert "a     running  45s  shell  2" in text
    assert "the file is not in force: board.md:3: broken" in text
    assert "mux is up for 2m (process 7)" in text
    assert "may hang" not in text
    assert "process 7 last looked 3m ago: it may hang" in "\n".join(status.whole(seen, NOW + 120))


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_every_line_fits_and_nothing_of_the_board_acts_on_the_terminal(width: int) -> None:
    nasty = "\x1b[2J\x1b]0;pwned\x07 漢字 " * 10
    problem = {"line": 1, "task": None, "text": nasty, "severity": "error"}
    seen = state([task("a" * 48, "failed", why=nasty), task("b", "draft", title=nasty)], problems=[problem])
    for line in status.whole({**seen, "trouble": nasty, "path": f"/{nasty}"}, NOW, width):
        assert width_of(unpainted(line)) <= width
        assert "\x1b" not in unpainted(line)


def test_an_empty_board_says_what_to_do(mux: Mux, place: Place) -> None:
    place.path.write_text("")
    assert "mux add" in mux("status").out


def test_with_mux_down_it_is_computed_and_said(mux: Mux, place: Place) -> None:
    reply = mux("status")
    assert "mux is down" in reply.out
    assert "after one" in reply.out
    ended(place, "one", Status.FAILED)
    text = place.path.read_text().replace("status: draft  # mine", "status: failed\nmux:\n  attempt: 1")
    place.path.write_text(text)
    assert "one   failed" in mux("status").out
    shown = json.loads(mux("status", "one", "--json").out)
    assert (shown["status"], shown["why"], shown["exit"]) == ("failed", "exit 1", {"code": 1, "signal": None})


def test_a_worker_that_ended_while_mux_was_down_is_not_called_running(mux: Mux, place: Place) -> None:
    with working(place, "one") as run:
        place.path.write_text(place.path.read_text().replace("draft  # mine", "running\nmux:\n  attempt: 1"))
        assert json.loads(mux("status", "--json").out)["tasks"][0]["condition"] == "working"
    write_json(run / "exit.json", {"at": 1010.0, "code": 7, "signal": None, "phase": "run"})
    assert "ended (exit 7); the next `mux up` looks" in mux("status").out


def test_a_ready_task_without_obstacles_starts_with_the_next_up(mux: Mux, place: Place) -> None:
    place.path.write_text(place.path.read_text().replace("after: [one]\n", ""))
    assert "starts with the next: mux up" in mux("status").out


def test_json_has_the_documented_names(mux: Mux, place: Place) -> None:
    shown = json.loads(mux("status", "--json").out)
    text = (ROOT / "docs" / "status-json.md").read_text()
    for name in (*shown, *shown["tasks"][0]):
        assert f"`{name}`" in text
    assert shown["control_plane"] == {"running": False, "pid": None, "since": None}
    assert [entry["id"] for entry in shown["tasks"]] == ["one", "two"]


def test_with_mux_up_the_loops_state_is_shown(mux: Mux, place: Place) -> None:
    private_folder(place.folder)
    now = time.time()
    seen = state([task("loop", "running")], path=str(place.path)) | {"at": now}
    del seen["control_plane"]
    with daemon.only_one(place.folder, now - 60):
        assert "mux is up" in mux("status").out, "before the first pass of the loop"
        write_json(place.folder / "state.json", seen)
        shown = json.loads(mux("status", "--json").out)
        assert shown["control_plane"]["running"] is True
        assert [entry["id"] for entry in shown["tasks"]] == ["loop"]
        write_json(place.folder / "state.json", seen | {"at": now - 100})
        shown = json.loads(mux("status", "--json").out)
        assert [entry["id"] for entry in shown["tasks"]] == ["one", "two"], "the state of an earlier control plane"
        (place.folder / "state.json").write_text("{")
        assert mux("status").code == 1


def test_a_broken_board_shows_the_last_good_one(mux: Mux, place: Place) -> None:
    from board.history import History

    History(place.folder / "history").append(place.path.read_bytes(), None, "person", 1000.0)
    place.path.write_text("---\nboard: [\n---\n")
    reply = mux("status")
    assert "not in force: board.md:" in reply.out
    assert "First thing" in reply.out


def test_one_task_in_detail(mux: Mux, place: Place) -> None:
    ended(place, "one", Status.FAILED)
    Journal(place.folder).add(Event(1000.0, "failed", "exit 1", "one", 1))
    out = mux("status", "one").out
    assert "one: First thing" in out
    assert "exit       code 1" in out
    assert "one #1  failed: exit 1" in out
    reply = mux("status", "tow")
    assert (reply.code, reply.err) == (1, "mux: no task 'tow' on the board: did you mean 'two'?\n")


def test_it_starts_without_anything_heavy(place: Place) -> None:
    """Scripts call it all the time: with a control plane running, reading its state is all it does."""
    private_folder(place.folder)
    now = time.time()
    write_json(place.folder / "state.json", state([task("loop", "running")]) | {"at": now})
    code = "import sys; from bot.cli import main; main(['status']); print(' '.join(sys.modules), file=sys.stderr)"
    with daemon.only_one(place.folder, now - 60):
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert "loop" in done.stdout
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & set(HEAVY)


def test_a_narrow_terminal_and_no_color_are_respected(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = mux("status").out.splitlines()
    assert max(map(width_of, lines)) <= 40
    assert "\x1b" not in "".join(lines)


def test_it_never_writes(mux: Mux, place: Place) -> None:
    before = sorted(Path().rglob("*"))
    mux("status")
    mux("status", "one")
    assert sorted(Path().rglob("*")) == before
