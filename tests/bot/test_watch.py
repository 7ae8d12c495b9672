"""The dashboard, driven by its keys through Textual's own pilot: what is on its screen, and what its keys do."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import OptionList

from board.clock import format_time
from bot import terminal
from bot.place import Place
from bot.status import look
from bot.table import width_of
from bot.watch_app import Dashboard
from bot.watch_look import Seen
from runners import claims, daemon
from runners.journal import Event, Journal
from runners.local import local_host
from runners.requests import DENY, Request, Requests
from tests.bot.conftest import Mux, working
from tests.support import PATIENCE

Body = Callable[[Pilot[None]], Awaitable[None]]


class Scene:
    """A board whose control plane is the test: what it writes is what `mux watch` sees."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.state: dict[str, Any] = {
            "board": "shop",
            "path": str(place.path),
            "rev": 7,
            "trouble": None,
            "max_workers": 4,
            "problems": [],
            "tasks": [],
            "drift_at": None,
            "requests": [],
            "orphans": [],
        }
        self.requests = Requests(place.folder)

    def task(self, name: str, status: str = "running", why: str = "", title: str = "A task", **more: Any) -> None:
        entry = {"id": name, "title": title, "status": status, "condition": None, "agent": "claude", "attempt": 1}
        entry |= {"since": format_time(time.time() - 60), "why": why, "branch": f"mux/shop/{name}", "worktree": "/w"}
        entry |= {"checkpoint": None, "ports": None, "exit": None, "drift": [], **more}
        self.state["tasks"] = [each for each in self.state["tasks"] if each["id"] != name] + [entry]

    def ask(self, action: str, choices: tuple[str, ...], task: str | None = "works", **more: Any) -> Request:
        """A request, on disk and in the state as the control plane writes it."""
        request = self.requests.ask(action, f"{action} it", "bound", choices, time.time(), task=task, **more)
        shown = {"id": request.id, "task": task, "attempt": request.attempt, "tasks": [], "action": action}
        shown |= {"why": request.why, "says": request.says, "evidence": dict(request.evidence), "decided": None}
        shown |= {"choices": list(choices), "free": request.free, "deniable": request.deniable, "expires": None}
        self.state["requests"].append(shown | {"since": format_time(request.at)})
        return request

    def choice(self, request: Request) -> str | None:
        answer = self.requests.answer_to(request)
        return answer.choice if answer else None

    def save(self) -> None:
        self.place.folder.mkdir(exist_ok=True)
        temporary = self.place.folder / "state.tmp"
        temporary.write_text(json.dumps(self.state | {"at": time.time()}))
        temporary.replace(self.place.folder / "state.json")

    def run(self, body: Body, size: tuple[int, int] = (80, 24)) -> None:
        self.save()
        first = Seen(look(self.place, time.time()))
        app = Dashboard(self.place, local_host(self.place.path, self.place.folder, os.environ), "terminal:ana", first)

        async def drive() -> None:
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda: app.table is not None, "drawn")
                await body(pilot)

        asyncio.run(drive())


@pytest.fixture
def scene(place: Place) -> Iterator[Scene]:
    with ExitStack() as stack:
        place.folder.mkdir()
        stack.enter_context(daemon.only_one(place.folder, time.time() - 3600))
        yield Scene(place)


def lines(pilot: Pilot[None]) -> list[str]:
    """What is on the terminal."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def shown(pilot: Pilot[None]) -> str:
    return "\n".join(lines(pilot))


async def until(pilot: Pilot[None], condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what}\n{shown(pilot)}"
        await pilot.pause(0.01)


async def sees(pilot: Pilot[None], *texts: str) -> None:
    await until(pilot, lambda: all(text in shown(pilot) for text in texts), f"shows {texts}")


def test_tasks_stand_as_in_status_with_status_and_reason(scene: Scene) -> None:
    scene.task("works", "running", "", "Fix the login")
    scene.task("broke", "failed", "exit 3")
    scene.task("later", "ready", "after works")

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "broke", "exit 3", "Fix the login", "after works", "1 needs you", "worktree")
        text = lines(pilot)
        order = [next(line for line in text if line.startswith(name)) for name in ("broke", "works", "later")]
        assert order == sorted(order, key=text.index)
        assert "mux is up for 1h" in text[0] and "shop: " in text[0]

    scene.run(body)


def test_what_the_control_plane_writes_shows_without_a_key(scene: Scene) -> None:
    scene.task("works", "running")

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "works", "running")
        scene.task("works", "blocked", "on the staging key")
        scene.task("other", "running")
        scene.save()
        await sees(pilot, "blocked", "on the staging key", "other")
        assert "[about]  2 screen  3 diff  4 journal  works" in shown(pilot)  # the choice stays where it was

    scene.run(body)


def test_the_chosen_task_stays_chosen_when_the_order_changes(scene: Scene) -> None:
    scene.task("aa", "running")
    scene.task("bb", "running")

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("j")
        await sees(pilot, "journal  bb")
        scene.task("bb", "failed", "exit 1")
        scene.save()
        await sees(pilot, "exit 1", "journal  bb")
        scene.state["tasks"] = scene.state["tasks"][:1]
        scene.save()
        await sees(pilot, "journal  aa")

    scene.run(body)


def test_an_empty_board_says_what_to_do(scene: Scene) -> None:
    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "no task yet", "0 of 4 slots work")
        for key in ("a", "d", "t", "r", "2", "enter", "escape", "j", "k"):
            await pilot.press(key)
        await sees(pilot, "there is no task to do that with")

    scene.run(body)


def test_a_filter_leaves_what_has_its_words_and_escape_shows_all(scene: Scene) -> None:
    for name, title in (("login", "Fix the login"), ("search", "Add search"), ("docs", "Tidy the docs")):
        scene.task(name, "running", "", title)

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"the")
        await until(pilot, lambda: "Add search" not in shown(pilot), "search is filtered away")
        await pilot.press("space", *"docs", "enter")
        await sees(pilot, "filter: the docs (1 of 3)", "journal  docs")
        await pilot.press("escape")
        await sees(pilot, "Add search", "Fix the login", "? help  a approve")

    scene.run(body)


def test_words_typed_in_one_go_behind_the_key_of_the_filter_are_no_orders(scene: Scene) -> None:
    """As over a slow line, or on a busy machine: all of them are there before the first one is dealt with."""
    for name, title in (("login", "Fix the login"), ("docs", "Tidy the docs"), ("a/b", "Sort it")):
        scene.task(name, "running", "", title)

    async def body(pilot: Pilot[None]) -> None:
        assert pilot.app._driver is not None
        for key in ("slash", *"the docs"):
            pilot.app._driver.send_message(Key("space" if key == " " else key, key if len(key) == 1 else "/"))
        await until(pilot, lambda: "Fix the login" not in shown(pilot), "the words are in the filter")
        await pilot.press("enter")
        await sees(pilot, "filter: the docs (1 of 3)", "Tidy the docs")
        assert "window" not in shown(pilot)  # `t` attached nobody
        await pilot.press("escape", "slash", *"a", "slash", "b", "enter")
        await sees(pilot, "filter: a/b (1 of 3)", "Sort it")

    scene.run(body)


def test_a_filter_that_nothing_matches_has_nothing_chosen(scene: Scene) -> None:
    scene.task("login", "running")

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"zzz", "enter", "a")
        await sees(pilot, "filter: zzz (0 of 1)", "there is no task to do that with")
        await pilot.press("escape")
        await sees(pilot, "journal  login")

    scene.run(body)


def test_approve_asks_which_way_shows_what_is_lost_and_needs_a_yes(scene: Scene) -> None:
    scene.task("works", "blocked", "asked")
    evidence = {"exit": "exit 3", "modified": 2, "untracked": 0, "beyond_checkpoint": 4}
    request = scene.ask("recover", ("in-place", "checkpoint"), evidence=evidence)

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("a")
        await sees(pilot, "it ended with: exit 3", "in-place    start it again", "takes away 4 commits, 2 changed")
        await pilot.press("j", "enter")
        await sees(pilot, "checkpoint: start it again from its checkpoint", "takes away 4 commits", "y do it")
        await pilot.press("enter")  # is no yes
        assert scene.choice(request) is None
        await pilot.press("y")
        await until(pilot, lambda: scene.choice(request) == "checkpoint", "decided")
        await sees(pilot, f"{request.id}: checkpoint: mux carries it out now")

    scene.run(body)
    answer = scene.requests.answer_to(request)
    assert answer is not None and answer.by == "terminal:ana"


@pytest.mark.parametrize("leaving", [("escape",), ("enter", "escape"), ("enter", "n")])
def test_leaving_a_question_decides_nothing(scene: Scene, leaving: tuple[str, ...]) -> None:
    scene.task("works", "blocked", "asked")
    request = scene.ask("recover", ("in-place", "checkpoint"))

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("a")
        await sees(pilot, "enter choose")
        for key in leaving:
            await pilot.press(key)
        await sees(pilot, "? help")

    scene.run(body)
    assert scene.choice(request) is None


def test_a_key_right_behind_another_is_about_the_task_that_is_chosen_then(scene: Scene) -> None:
    scene.task("aa")
    scene.task("works", "running")
    request = scene.ask("gate", ("approve",), says="deploy to production")

    async def body(pilot: Pilot[None]) -> None:
        dashboard = pilot.app
        assert isinstance(dashboard, Dashboard)
        dashboard.query_one(OptionList).action_cursor_down()
        dashboard.action_approve()  # before the list's message of its new choice has come
        await sees(pilot, "deploy to production", "y do it")
        await pilot.press("n")

    scene.run(body)
    assert scene.choice(request) is None


def test_deny_says_what_a_no_does(scene: Scene) -> None:
    scene.task("works", "waiting", "asked")
    request = scene.ask("gate", ("approve",), attempt=None, says="deploy to production")

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("d")
        await sees(pilot, '"deploy to production"', "deny: the worker is told no")
        await pilot.press("y")
        await until(pilot, lambda: scene.choice(request) == DENY, "denied")

    scene.run(body)


def test_a_held_save_is_asked_about_on_a_row_of_the_board_and_cannot_be_denied(scene: Scene) -> None:
    scene.task("works")
    request = scene.ask("held", ("take", "keep"), task=None)

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "(board)", "held it")
        await pilot.press("home", "d")
        await sees(pilot, "one of its ways has to be chosen")
        await pilot.press("a")
        await sees(pilot, "take  make what is in the file the board")
        await pilot.press("enter")
        await sees(pilot, "take: make what is in the file the board", "y do it")
        await pilot.press("y")
        await until(pilot, lambda: scene.choice(request) == "take", "taken")

    scene.run(body)


def test_a_question_takes_an_answer_in_own_words(scene: Scene) -> None:
    scene.task("works", "waiting", "asks")
    claims.grant(scene.place.folder, "works", 1, time.time())
    request = scene.ask("ask", ("left", "right"), attempt=1, says="Which way?", free=True)

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("a")
        await sees(pilot, "Which way?", "answer in your own words")
        await pilot.press("end", "enter")
        await sees(pilot, "enter send it")
        await pilot.press(*"straight", "enter")
        await until(pilot, lambda: scene.requests.answer_to(request), "answered")

    scene.run(body)
    answer = scene.requests.answer_to(request)
    assert answer is not None and answer.text == "straight"


def test_who_decides_second_hears_who_was_first(scene: Scene) -> None:
    scene.task("works", "blocked", "asked")
    request = scene.ask("recover", ("in-place",))

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("a")
        await sees(pilot, "y do it")
        scene.requests.answer(request.id, DENY, "slack:U012ABCDEF", time.time())
        await pilot.press("y")
        await sees(pilot, "was decided already: deny, by slack:U012ABCDEF")

    scene.run(body)
    assert scene.choice(request) == DENY


def test_several_questions_about_a_task_are_chosen_from(scene: Scene) -> None:
    scene.task("works", "blocked", "asked")
    scene.ask("once", ("again", "finished"))
    request = scene.ask("rerun", ("in-place",))

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("a")
        await sees(pilot, "2 questions wait for you", "once it", "rerun it")
        await pilot.press("end", "enter")
        await sees(pilot, "in-place: start it again")
        await pilot.press("y")
        await until(pilot, lambda: scene.choice(request) == "in-place", "decided")

    scene.run(body)


def test_without_a_question_approve_and_deny_say_so(scene: Scene) -> None:
    scene.task("works")

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("a")
        await sees(pilot, "nothing is asked about works")

    scene.run(body)


def test_two_hundred_tasks_scroll_and_the_last_can_be_chosen(scene: Scene) -> None:
    for number in range(200):
        scene.task(f"task-{number:03}", "running")

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "task-000", "200 of 4 slots work")
        await pilot.press("end")
        await sees(pilot, "journal  task-199")
        assert any(line.startswith("task-199") for line in lines(pilot)) and "task-000" not in shown(pilot)
        await pilot.press("slash", *"task-042", "enter")
        await sees(pilot, "(1 of 200)", "journal  task-042")

    scene.run(body)


HOSTILE = (
    "[red]x[/red] [link=file:///etc]\x1b[31mred\x1b]0;title\x07 "
    "\u202etxt.exe\u2066 a\rb\tc\nd \U0001f468\u200d\U0001f469 [/]"
)


def test_hostile_titles_reasons_and_journals_stay_text(scene: Scene) -> None:
    scene.task("works", "running", "", HOSTILE, branch=HOSTILE)
    scene.task("broke", "failed", HOSTILE, HOSTILE)
    scene.ask("gate", ("approve",), says=HOSTILE, evidence={"home": HOSTILE})
    scene.state["trouble"] = HOSTILE
    Journal(scene.place.folder).add(Event(time.time(), "said", HOSTILE, "broke"))

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "[red]x[/red] [link=file:///etc]", "[/]")
        for keys in (("home",), ("j",), ("j",), ("4",), ("slash", *"[red]", "enter"), ("a",)):
            await pilot.press(*keys)
            await pilot.pause(0.05)
            strips = pilot.app.screen._compositor.render_strips()
            for segment in (segment for strip in strips for segment in strip):
                assert not set(segment.text) & set("\x1b\x07\r\t\n\u202e\u2066"), repr(segment.text)
                assert segment.style is None or segment.style.link is None

    scene.run(body)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (20, 6), (200, 50)])
def test_every_size_shows_the_chosen_task_and_nothing_is_wider(scene: Scene, size: tuple[int, int]) -> None:
    scene.task("works", "running", "", "A title that is much too long for a terminal that is only so wide " * 3)
    scene.task("broke", "failed", "exit 3")

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "broke")
        assert len(lines(pilot)) == size[1] and all(width_of(line) <= size[0] for line in lines(pilot))
        await pilot.resize_terminal(80, 24)
        await sees(pilot, "broke", "works", "? help")
        await pilot.resize_terminal(*size)
        await pilot.press("question_mark")
        await pilot.pause()
        await pilot.press("escape", "enter", "escape", "slash", "x", "escape", "a")
        await sees(pilot, "broke")

    scene.run(body, size)


def test_a_wide_terminal_has_the_task_beside_the_list(scene: Scene) -> None:
    scene.task("works", "running")

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "TASK", "[about]")
        assert any("TASK" in line and "[about]" in line for line in lines(pilot))

    scene.run(body, (160, 40))


def test_enter_gives_all_the_room_to_read_and_back(scene: Scene) -> None:
    scene.task("works")
    for number in range(60):
        Journal(scene.place.folder).add(Event(time.time(), "said", f"event {number}", "works"))

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await sees(pilot, "event 59")
        await pilot.press("enter")
        await until(pilot, lambda: "TASK" not in shown(pilot) and "event 45" in shown(pilot), "all the room")
        assert "event 30" not in shown(pilot)
        await pilot.press("pagedown")
        await sees(pilot, "event 30")
        await pilot.press("escape")
        await sees(pilot, "TASK", "works")

    scene.run(body)


def test_the_screen_says_why_there_is_none(scene: Scene) -> None:
    scene.task("draft", "draft", attempt=0)
    scene.task("works", "failed", "exit 1")

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await sees(pilot, "[screen]", "its window is closed; what it printed: mux logs works")
        await pilot.press("j")
        await sees(pilot, "draft has not run yet")

    scene.run(body)


def test_left_and_right_scroll_what_is_wider_than_the_terminal(scene: Scene) -> None:
    scene.task("works", "failed", "exit 1")

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("2", "enter")
        await sees(pilot, "its window is closed")
        assert "mux logs works" not in shown(pilot)
        await pilot.press(*["right"] * 40)
        await sees(pilot, "mux logs works")
        await pilot.press(*["left"] * 40)
        await sees(pilot, "its window is closed")

    scene.run(body, (40, 24))


def test_orders_are_the_persons_edit_of_the_board(scene: Scene) -> None:
    scene.task("one", "draft", attempt=0)

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await sees(pilot, "start  let it run")
        assert "stop " not in shown(pilot)
        await pilot.press("enter")
        await sees(pilot, "one: ready")

    scene.run(body)
    assert "status: ready  # mine" in scene.place.path.read_text()


def test_a_worker_is_ended_only_after_a_yes(scene: Scene) -> None:
    scene.task("one", "running")
    with working(scene.place, "one"):

        async def body(pilot: Pilot[None]) -> None:
            await pilot.press("r")
            await sees(pilot, "stop     end its worker", "enter choose")
            await pilot.press("end", "enter")
            await sees(pilot, "stop: end its worker", "y do it")
            assert "status: draft" in scene.place.path.read_text()
            await pilot.press("y")
            await sees(pilot, "its worker is to end")

        scene.run(body)
    assert "status: stopped" in scene.place.path.read_text()


def test_an_order_that_is_refused_says_why(scene: Scene) -> None:
    scene.task("gone", "draft", attempt=0)

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await sees(pilot, "enter choose")
        await pilot.press("enter")
        await sees(pilot, "no task 'gone' on the board")

    scene.run(body)


def test_without_a_control_plane_it_says_so_and_shows_the_board(place: Place) -> None:
    scene = Scene(place)

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "mux is down", "First thing", "Second thing")
        place.path.write_text(place.path.read_text().replace("Second thing", "Another thing"))
        await sees(pilot, "First thing", "Another thing")

    scene.run(body)


def test_a_board_that_cannot_be_read_any_more_leaves_the_last_that_was_seen(scene: Scene) -> None:
    scene.task("works")

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "works")
        (scene.place.folder / "state.json").write_text("{")
        await sees(pilot, "shown is the last that was seen", "works")
        scene.save()
        await until(pilot, lambda: "shown is the last" not in shown(pilot), "seen again")

    scene.run(body)


def test_a_bug_in_a_look_ends_it_and_reaches_who_ran_it(scene: Scene) -> None:
    scene.task("works")

    async def body(pilot: Pilot[None]) -> None:
        scene.state["tasks"] = [{"id": "works"}]
        scene.save()
        await until(pilot, lambda: not pilot.app.is_running, "ended")

    with pytest.raises(KeyError):
        scene.run(body)


def test_watch_needs_a_terminal(mux: Mux, place: Place) -> None:
    reply = mux("watch")
    assert (reply.code, reply.err) == (1, "mux: watch needs a terminal; without one: mux status\n")
    assert mux("up", "--watch").err == reply.err
    assert daemon.running(place.folder) is None


def test_watch_draws_on_standard_error(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a file it would draw for ever, beside a blank screen."""
    monkeypatch.setattr(terminal, "has_both", lambda: True)
    for words in (("watch",), ("up", "--watch")):
        reply = mux(*words)
        assert reply.code == 1 and "watch draws on standard error, which is no terminal here" in reply.err
    assert daemon.running(place.folder) is None


def test_a_worker_may_not_watch(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUX_TASK", "one")
    reply = mux("watch")
    assert reply.code == 1 and "only a person decides" in reply.err


def test_nothing_is_typed_to_a_worker_that_does_not_run(scene: Scene) -> None:
    scene.task("one", "failed", "exit 1")

    async def body(pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await sees(pilot, "one: what to type into its window")
        await pilot.press("g", "o", "enter")
        await sees(pilot, "it never ran, so nobody reads what you type")

    scene.run(body)


def test_a_worker_with_a_menu_is_sent_the_number_of_a_choice(scene: Scene) -> None:
    health = {"reason": "permission", "evidence": "Allow this?", "since": None, "until": None}
    scene.task("one", "waiting", "asks for a permission", condition="waiting", health=health)

    async def body(pilot: Pilot[None]) -> None:
        await sees(pilot, "waiting (permission): Allow this?")
        await pilot.press("s")
        await sees(pilot, "its screen shows a menu: the number of your choice")

    scene.run(body)
