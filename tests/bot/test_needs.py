"""What `mux status` says of requests and drift, and that what a person must type is never broken."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from board.storage import private_folder, write_json
from bot import status
from bot.needs import how_to_decide
from bot.place import Place
from bot.table import unpainted, width_of
from runners import daemon
from runners.requests import Requests
from tests.bot.conftest import Mux
from tests.bot.test_status import NOW, state, task

ID = "3f2c1ab09d4e"


def asked(**more: Any) -> dict[str, Any]:
    base = {"id": ID, "task": "a", "attempt": 2, "tasks": [], "action": "recover", "why": "same failure twice"}
    rest = {"says": None, "evidence": {}, "choices": ["in-place", "from-checkpoint"], "free": False, "deniable": True}
    return {**base, **rest, "since": "2026-11-23T05:57:00Z", "expires": None, "decided": None, **more}


def shown(seen: dict[str, Any], width: int | None = 80, **more: Any) -> list[str]:
    return [unpainted(line) for line in status.whole(seen, NOW, width, **more)]


def test_open_requests_come_first_with_how_long_what_and_how() -> None:
    problem = {"line": 1, "task": None, "text": "x", "severity": "warning"}
    lines = shown(state([task("a", "blocked")], requests=[asked()], problems=[problem]))
    at = lines.index("needs you for 2h 5m: a (recover): same failure twice")
    assert lines[at + 1 : at + 4] == [
        f"  mux approve {ID} --choice in-place",
        f"  mux approve {ID} --choice from-checkpoint",
        f"  mux deny {ID}",
    ]
    assert at < lines.index("/x/board.md:1: warning: x")
    assert at < next(index for index, line in enumerate(lines) if line.startswith("TASK"))


@pytest.mark.parametrize(
    ("more", "commands"),
    [
        ({"choices": ["resume"]}, [f"mux approve {ID}", f"mux deny {ID}"]),
        (
            {"action": "held", "choices": ["take", "keep"], "deniable": False},
            [f"mux approve {ID} --choice take", f"mux approve {ID} --choice keep"],
        ),
        ({"free": True, "choices": ["A"]}, [f"mux answer {ID} A", f'mux answer {ID} "…"']),
        ({"free": True, "choices": []}, [f'mux answer {ID} "…"']),
    ],
)
def test_there_is_a_command_for_each_answer(more: dict[str, Any], commands: list[str]) -> None:
    assert how_to_decide(asked(**more)) == commands


def test_expiry_workers_words_and_answers_are_said() -> None:
    seen = [asked(expires="2026-11-23T09:02:00Z", says="may I\x1b[2J?"), asked(decided={"choice": "deny", "by": "ana"})]
    lines = shown(state([task("a", "blocked")], requests=seen))
    assert "  nothing is done without an answer within 1h" in lines
    assert '  its worker says: "may I\ufffd[2J?"' in lines
    assert "decided, not carried out yet: a (recover): deny, by ana" in lines
    assert len([line for line in lines if "mux deny" in line]) == 1


@pytest.mark.parametrize(
    ("more", "needing"),
    [
        ({"requests": [asked()]}, 1),  # the task that it is about is counted already
        ({"requests": [asked(task="b")]}, 2),
        ({"requests": [asked(task=None, tasks=["a", "b"])]}, 1),
        ({"requests": [asked(task=None, action="held")], "trouble": "it is held"}, 2),
        ({"trouble": "it is held"}, 2),
        ({"requests": [asked(task="b", decided={"choice": "deny", "by": "ana"})]}, 1),
    ],
)
def test_what_needs_you_is_counted_once(more: dict[str, Any], needing: int) -> None:
    lines = shown(state([task("a", "blocked"), task("b", "running")], **more))
    assert f"1 of 4 slots work, 0 ready, {needing} need{'s' if needing == 1 else ''} you" in lines


def test_who_waits_for_a_person_is_counted_beside_who_works() -> None:
    lines = shown(state([task("a", "waiting", condition="working"), task("b", "running"), task("c", "ready")]))
    assert "1 of 4 slots work, 1 ready, 1 waiting, 1 needs you" in lines


DRIFT = [
    {"rule": "clean", "text": "1 file untracked", "fix": f"git -C /home/{'x' * 90} stash push", "known": True},
    {"rule": "check", "text": "its check did not run since commit 1234567", "fix": "make", "known": False},
]


def test_drift_has_its_age_and_its_fix_even_when_done_tasks_are_folded() -> None:
    done = [task(f"t{number}", "done") for number in range(9)]
    seen = state([*done, task("a", "done", drift=DRIFT)], drift_at="2026-11-23T07:55:00Z")
    lines = shown(seen)
    at = lines.index("drift: a says done, but: 1 file untracked (looked at 7m ago)")
    assert lines[at + 1] == f"  {DRIFT[0]['fix']}"
    assert "0 of 4 slots work, 0 ready, 1 drifted" in lines


def test_commands_are_whole_at_any_width_but_on_the_live_screen() -> None:
    seen = state([task("a", "done", drift=DRIFT)], requests=[asked()], drift_at="2026-11-23T07:55:00Z")
    for width in (20, 40, 80):
        lines = shown(seen, width)
        assert {f"  mux approve {ID} --choice from-checkpoint", f"  {DRIFT[0]['fix']}"} <= set(lines)
        others = [line for line in lines if not line.startswith(("  mux ", "  git "))]
        assert max(map(width_of, others)) <= width
        assert max(map(width_of, shown(seen, width, fitted=True))) <= width


def test_a_state_of_an_earlier_mux_has_neither() -> None:
    assert shown(state([task("a", "done")]))


def test_one_task_shows_its_own(mux: Mux, place: Place) -> None:
    private_folder(place.folder)
    now = time.time()
    tasks = [task("a", "done", drift=DRIFT, attempt=2), task("b", "running")]
    mine = [asked(evidence={"dirty_files": 2}), asked(task=None, tasks=["a", "b"]), asked(task="b")]
    seen = state(tasks, requests=mine, drift_at="2026-11-23T07:55:00Z") | {"at": now, "path": str(place.path)}
    log = private_folder(place.folder / "runs" / "a" / "2") / "check.log"
    log.touch()
    with daemon.only_one(place.folder, now - 60):
        write_json(place.folder / "state.json", seen)
        out = mux("status", "a").out
        assert out.count("needs you for") == 2 and "  dirty files: 2" in out
        assert "drift: a says done, but: 1 file untracked (looked at" in out and f"  {DRIFT[0]['fix']}\n" in out
        assert "check log  .mux/runs/a/2/check.log" in out
        reply = json.loads(mux("status", "a", "--json").out)
        assert len(reply["requests"]) == 2 and reply["drift"] == DRIFT and reply["drift_at"]
        assert mux("status", "b").out.count("needs you for") == 2


def test_with_mux_down_requests_are_read_from_the_disk(mux: Mux, place: Place) -> None:
    requests = Requests(place.folder)
    request = requests.ask("recover", "same failure twice", "x", ("resume",), time.time() - 60, task="one", attempt=1)
    out = mux("status").out
    assert "needs you for 1m: one (recover): same failure twice" in out and f"  mux approve {request.id}\n" in out
    assert json.loads(mux("status", "--json").out)["requests"][0]["id"] == request.id
    requests.close(request, "void", time.time())
    assert "needs you for" not in mux("status").out


def test_the_json_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "status-json.md").read_text()
    for name in (*asked(), *DRIFT[0]):
        assert f"`{name}`" in text
