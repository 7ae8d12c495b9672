"""How seldom the dashboard asks: what is not looked at costs nothing, and what did not change is not asked again."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bot import watch_look
from bot.place import Place
from bot.watch_look import Aim, Lookout, Pane, PaneLook, Seen, StateLook
from bot.watch_views import BOARD, Tab
from runners import daemon
from runners.host import Host
from runners.journal import Event, Journal
from runners.local import local_host
from runners.model import Sight, Window
from tests.bot.test_watch import Scene
from tests.bot.workplace import Work, root, work  # noqa: F401 (fixtures)
from tests.support import wait_for


@dataclass
class Asked:
    """A host whose tmux is the test, and how often it was asked."""

    windows: list[Window] = field(default_factory=list)
    captured: list[tuple[str, ...]] = field(default_factory=list)
    listed: int = 0
    printed: float = 1000.0

    def of(self, place: Place) -> Host:
        def windows() -> tuple[Window, ...]:
            self.listed += 1
            return tuple(self.windows)

        def look(names: Sequence[str]) -> Sight:
            self.captured.append(tuple(names))
            return Sight({name: f"screen {len(self.captured)} of {name}\n\n\n" for name in names}, {})

        host = local_host(place.path, place.folder, os.environ)
        return replace(
            host,
            windows=windows,
            look=look,
            printed=lambda attempts: {task: self.printed for task, _ in attempts},
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that pass only when the test says so."""
    now = [50_000.0]
    monkeypatch.setattr(watch_look.time, "monotonic", lambda: now[0])
    return now


def look_at(place: Place, asked: Asked) -> tuple[PaneLook, list[Pane]]:
    told: list[Pane] = []
    return PaneLook(place, asked.of(place), told.append), told


def one(number: int, task: str = "works") -> Window:
    return Window(f"@{number}", task, 1, 1, dead=False, activity=0.0)


def state_of(place: Place, *tasks: str) -> dict[str, Any]:
    scene = Scene(place)
    for task in tasks:
        scene.task(task)
    return scene.state


def test_only_the_chosen_workers_screen_is_captured_and_only_after_it_printed(place: Place, clock: list[float]) -> None:
    asked = Asked([one(1), one(2, "other")])
    look, told = look_at(place, asked)
    look.aim(Aim("works", Tab.SCREEN, state_of(place, "works", "other")))
    for _ in range(20):
        look()
        clock[0] += 0.5
    assert asked.captured == [("@1",)] and asked.listed == 1
    asked.printed += 1
    look()
    assert asked.captured == [("@1",)] * 2
    assert [pane.lines for pane in told] == [("screen 1 of @1",), ("screen 2 of @1",)]


def test_a_worker_that_prints_all_the_time_is_captured_once_a_second(place: Place, clock: list[float]) -> None:
    asked = Asked([one(1)])
    look, _ = look_at(place, asked)
    look.aim(Aim("works", Tab.SCREEN, state_of(place, "works")))
    for _ in range(101):
        asked.printed += 1
        look()
        clock[0] += 0.1
    assert 10 <= len(asked.captured) <= 11


def test_no_tmux_is_asked_while_no_screen_is_open(place: Place, clock: list[float]) -> None:
    asked = Asked([one(1)])
    look, told = look_at(place, asked)
    for tab in (Tab.ABOUT, Tab.JOURNAL):
        look.aim(Aim("works", tab, state_of(place, "works")))
        look()
    assert (asked.listed, asked.captured) == (0, []) and [pane.tab for pane in told] == [Tab.ABOUT, Tab.JOURNAL]


def test_a_window_that_is_not_there_is_looked_for_again_but_seldom(place: Place, clock: list[float]) -> None:
    asked = Asked()
    look, told = look_at(place, asked)
    look.aim(Aim("works", Tab.SCREEN, state_of(place, "works")))
    for _ in range(8):
        look()
        clock[0] += 0.5
    assert asked.listed == 1 and "its window is closed" in told[-1].lines[0]
    asked.windows.append(one(3))
    clock[0] += 5
    look()
    assert told[-1].lines == ("screen 1 of @3",)


def test_the_diff_is_asked_when_it_is_opened_then_every_half_minute(work: Work, clock: list[float]) -> None:  # noqa: F811
    look, told = look_at(work.place, Asked())
    look.aim(Aim("fix", Tab.DIFF, state_of(work.place, "fix")))
    look()
    assert any("fix.txt" in line for line in told[-1].lines) and told[-1].lines[-1] == "all of it: mux diff fix"
    (work.home / "more.txt").write_text("more\n")
    clock[0] += 29
    look()
    assert len(told) == 1
    clock[0] += 2
    look()
    assert len(told) == 2 and any("more.txt" in line for line in told[-1].lines)


def test_the_journal_is_read_when_it_changed(place: Place, clock: list[float]) -> None:
    journal = Journal(place.folder)
    journal.add(Event(1000.0, "said", "first", "works"))
    journal.add(Event(1001.0, "said", "of another", "other"))
    look, told = look_at(place, Asked())
    look.aim(Aim("works", Tab.JOURNAL, state_of(place, "works")))
    look()
    look()
    assert [line.split("  ", 1)[1] for line in told[-1].lines] == ["works  said: first"] and len(told) == 1
    journal.add(Event(1002.0, "said", "second", "works"))
    os.utime(journal.path, (time.time(), time.time() + 1))
    look()
    assert len(told[-1].lines) == 2 and "second" in told[-1].lines[0]


def test_a_task_that_is_gone_says_so(place: Place, clock: list[float]) -> None:
    look, told = look_at(place, Asked())
    look.aim(Aim("gone", Tab.ABOUT, state_of(place, "works")))
    look()
    assert told[-1].lines == ("no task 'gone' on the board",)


@pytest.mark.parametrize("tab", Tab)
def test_the_boards_row_has_something_to_say_in_every_part(place: Place, clock: list[float], tab: Tab) -> None:
    asked = Asked([one(1)])
    look, told = look_at(place, asked)
    look.aim(Aim(BOARD, tab, state_of(place, "works")))
    look()
    assert told[-1].lines and told[-1].lines[0] and asked.captured == []


def test_the_state_is_told_when_it_changed_and_for_the_ages(place: Place, clock: list[float]) -> None:
    place.folder.mkdir()
    with daemon.only_one(place.folder, time.time() - 60):
        scene = Scene(place)
        scene.task("works")
        scene.save()
        told: list[Seen] = []
        look = StateLook(place, told.append, Seen({}))
        for _ in range(9):
            look()
            clock[0] += 0.5
        assert len(told) == 1
        clock[0] += 1
        look()
        assert len(told) == 2 and told[0].state is told[1].state
        scene.task("works", "failed")
        scene.save()
        look()
        assert told[-1].state["tasks"][0]["status"] == "failed"


def test_two_states_of_one_tick_of_the_clock_are_told_apart(place: Place) -> None:
    place.folder.mkdir()
    state = place.folder / "state.json"
    with daemon.only_one(place.folder, time.time() - 60):
        scene = Scene(place)
        scene.task("works")
        scene.save()
        told: list[Seen] = []
        look = StateLook(place, told.append, Seen({}))
        look()
        dated = state.stat().st_mtime_ns
        scene.task("works", "failed")
        scene.save()
        os.utime(state, ns=(dated, dated))
        look()
    assert [seen.state["tasks"][0]["status"] for seen in told] == ["running", "failed"]


def test_a_lookout_looks_when_it_is_woken_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    looks: list[float] = []
    failures: list[Exception] = []
    lookout = Lookout(lambda: looks.append(time.monotonic()), failures.append)
    lookout.start()
    wait_for(lambda: looks, "it looks at once")
    before = len(looks)
    lookout.wake()
    wait_for(lambda: len(looks) > before, "it was woken")
    lookout.stop()
    ended = len(looks)
    lookout.wake()
    assert len(looks) == ended and failures == []


def test_what_goes_wrong_in_a_look_is_told(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def look() -> None:
        raise ValueError("a bug")

    lookout = Lookout(look, failures.append)
    lookout.start()
    wait_for(lambda: failures, "it is told")
    lookout.stop()
    assert isinstance(failures[0], ValueError)
