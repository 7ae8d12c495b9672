from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings

from board.clock import format_time, parse_time
from board.model import QuietHours
from bot.alerts import MOST, SETTLE, SETTLE_WAITING, WINDOW, Memory, from_json, step, to_json
from bot.posts import Post
from tests.bot.chat import NASTY, NOW, accept, nothing, request, state, task
from tests.bot.test_chat_views import anything

NIGHT = QuietHours(22 * 60, 7 * 60, "UTC")


class Chat:
    """What was said so far; the memory goes through JSON each time, as over a restart."""

    def __init__(self, *tasks: dict[str, Any], now: float = NOW, quiet: QuietHours | None = None) -> None:
        self.now, self.quiet = now, quiet
        self.memory: Memory | None = None
        self.posts: list[Post] = []
        self.wake_at: float | None = None
        self.see(*tasks)

    def see(self, *tasks: dict[str, Any], after: float = 1.0, requests: Iterable[Any] = ()) -> list[Post]:
        """The posts that this look brings."""
        self.now += after
        if self.memory is not None:
            self.memory = from_json(json.loads(json.dumps(to_json(self.memory))))
        done = step(self.memory, state(*tasks, requests=list(requests)), self.now, self.quiet, nothing, UTC)
        self.memory, self.wake_at = done.memory, done.wake_at
        self.posts += done.posts
        for post in done.posts:
            accept(post)
        return list(done.posts)

    def settle(self, *tasks: dict[str, Any], requests: Iterable[Any] = ()) -> list[Post]:
        """A look at this, and one at the same when it has settled."""
        return [*self.see(*tasks, requests=requests), *self.see(*tasks, after=SETTLE, requests=requests)]


def keys(posts: Iterable[Post]) -> list[str]:
    return [post.key for post in posts]


def test_what_is_there_at_the_first_look_ever_is_known() -> None:
    chat = Chat(task("a", "failed"), task("b", "done"))
    assert chat.settle(task("a", "failed"), task("b", "done")) == [] and chat.wake_at is None


@pytest.mark.parametrize(
    ("status", "condition", "what", "said"),
    [
        ("failed", "exited", "failed", "a failed: because"),
        ("blocked", "exited", "blocked", "a is blocked: because"),
        ("waiting", "working", "waiting", "a waits for a person: because"),
        ("waiting", "exited", "limited", "a is limited: because"),
        *(("running", word, word, "a needs a look: because") for word in ("stuck", "looping", "silent", "unreachable")),
        ("review", "exited", "review", "a is to be reviewed: because"),
        ("done", "exited", "done", "a is done: because"),
    ],
)
def test_each_is_said_once_in_the_tasks_thread(status: str, condition: str, what: str, said: str) -> None:
    chat = Chat(task("a", "running"))
    bad = task("a", status, condition=condition, why="because")
    posts = chat.settle(bad)
    assert keys(posts) == [f"alert:a:1:{what}"] and posts[0].thread == "task:a"
    assert posts[0].text == said and "Title of a" in accept(posts[0])
    assert chat.settle(bad) == [] and chat.settle(task("a", "running")) == []
    again = [f"alert:a:1:{what}:2"] if what in ("blocked", "waiting", "limited") else []
    assert keys(chat.settle(bad)) == again and chat.settle(bad) == []


def test_what_comes_again_in_an_attempt_is_said_each_time_and_a_flicker_is_not() -> None:
    chat = Chat(task("a", "running"))
    waits, works = task("a", "waiting", condition="working"), task("a", "running", condition="working")
    said = []
    for _ in range(3):
        said += [*chat.settle(waits), *chat.see(works), *chat.settle(waits), *chat.see(works, after=60.0)]
        chat.see(works, after=60.0)
    assert keys(said) == ["alert:a:1:waiting", "alert:a:1:waiting:2", "alert:a:1:waiting:3"]
    assert chat.memory is not None and chat.settle(task("a", "running", attempt=2, why="")) == []
    assert not chat.memory.again and not chat.memory.gone


def waits(told: float | None) -> dict[str, Any]:
    health = {"reason": "permission", "told": format_time(NOW + told) if told is not None else None}
    return task("a", "waiting", condition="waiting", health=health)


def test_the_next_question_right_after_an_answer_is_said_and_a_flicker_is_not() -> None:
    chat = Chat(task("a", "running"))
    works = task("a", "running", condition="working")
    assert keys(chat.settle(waits(1))) == ["alert:a:1:waiting"]
    assert [*chat.see(works), *chat.settle(waits(1))] == []  # told of once: the screen flickered
    assert keys([*chat.see(works), *chat.settle(waits(30))]) == ["alert:a:1:waiting:2"]
    assert keys(chat.settle(waits(60))) == ["alert:a:1:waiting:3"]  # nothing else was seen in between
    assert [*chat.settle(waits(30)), *chat.settle(waits(60)), *chat.settle(waits(None))] == []  # two that take turns


def test_a_question_that_is_answered_before_it_is_said_makes_one_message_with_the_next() -> None:
    chat = Chat(task("a", "running"))
    assert [*chat.see(waits(1)), *chat.see(waits(3), after=SETTLE_WAITING / 2)] == []
    assert keys(chat.settle(waits(3))) == ["alert:a:1:waiting"]


def test_a_worry_is_said_once_an_attempt_however_often_it_comes() -> None:
    """A worker that talks now and then, and from which nothing comes, is stuck and is not, for hours."""
    chat = Chat(task("a", "running", condition="working"))
    stuck, works = task("a", "running", condition="stuck"), task("a", "running", condition="working")
    for _ in range(10):
        chat.settle(stuck)
        chat.see(works, after=240)
    assert keys(chat.posts) == ["alert:a:1:stuck"]
    chat.settle(task("a", "running", attempt=2, condition="stuck"))
    assert "alert:a:2:stuck" in keys(chat.posts)


def test_a_restart_is_said_with_its_reason_and_the_next_end_is_news() -> None:
    chat = Chat(task("a", "running"))
    again = task("a", "running", attempt=2, why="resumed after exit 137")
    posts = chat.settle(again)
    assert keys(posts) == ["alert:a:2:restarted"] and posts[0].text == "a restarted (try 2): resumed after exit 137"
    assert keys(chat.settle(task("a", "failed", attempt=2, why="exit 1"))) == ["alert:a:2:failed"]
    chat.settle(task("a", "running", attempt=3, why="in-place, by slack:U0ANA"))
    assert keys(chat.settle(task("a", "failed", attempt=3, why="exit 1"))) == ["alert:a:3:failed"]


def test_a_first_start_and_a_persons_own_order_are_no_news() -> None:
    chat = Chat(task("a", "ready", attempt=0))
    assert chat.settle(task("a", "running", why="x")) == []
    assert chat.settle(task("a", "running", attempt=2, why="")) == []
    assert chat.settle(task("b", "done", attempt=0)) == []


def test_a_question_takes_the_place_of_the_alert() -> None:
    chat = Chat(task("a", "running"), task("b", "running"))
    blocked, waits = task("a", "blocked"), task("b", "waiting", condition="working")
    asked = [request("ab12", "a", "recover"), request("cd34", None, "outage", tasks=["b"])]
    chat.see(blocked, waits)
    assert chat.settle(blocked, waits, requests=asked) == []
    assert chat.settle(blocked, waits) == [], "decided, and still there: it was said"
    decided = request("ef56", "c", "recover", decided={"choice": "deny", "by": "slack:U0ANA"})
    assert keys(chat.settle(task("c", "blocked"), requests=[decided])) == ["alert:c:1:blocked"]


def test_what_passes_before_it_is_said_is_said_when_it_comes_again() -> None:
    chat = Chat(task("a", "running"))
    chat.see(task("a", "waiting", condition="working"))
    assert chat.settle(task("a", "running", condition="working")) == []
    assert keys(chat.settle(task("a", "waiting", condition="working"))) == ["alert:a:1:waiting"]


def test_a_task_that_ends_is_said_even_if_it_goes_on_at_once() -> None:
    chat = Chat(task("a", "running"))
    chat.see(task("a", "failed", why="exit 1"))
    assert keys(chat.settle(task("a", "running", attempt=2, why="because"))) == [
        "alert:a:1:failed",
        "alert:a:2:restarted",
    ]


def test_it_asks_to_look_again_when_something_is_held() -> None:
    chat = Chat(task("a", "running"))
    chat.see(task("a", "failed"))
    assert chat.wake_at == chat.now + SETTLE
    chat.see(task("a", "failed"), after=SETTLE)
    assert chat.wake_at is None and keys(chat.posts) == ["alert:a:1:failed"]


def test_who_waits_for_a_person_is_told_before_what_may_still_become_a_question() -> None:
    chat = Chat(task("a", "running"), task("b", "running"))
    now = [task("a", "waiting", condition="waiting"), task("b", "failed")]
    assert chat.see(*now) == [] and chat.wake_at == chat.now + SETTLE_WAITING
    assert keys(chat.see(*now, after=SETTLE_WAITING)) == ["alert:a:1:waiting"]
    assert chat.wake_at == chat.now - SETTLE_WAITING + SETTLE
    assert keys(chat.see(*now, after=SETTLE)) == ["alert:b:1:failed"]
    assert chat.see(*now, after=SETTLE) == [] and chat.wake_at is None


def test_a_storm_is_one_message() -> None:
    every = [task(f"t{number}", "running") for number in range(200)]
    chat = Chat(*every)
    half = [task(f"t{number}", "failed" if number < 100 else "running", why="exit 1") for number in range(200)]
    whole = [task(f"t{number}", "failed", why=NASTY) for number in range(200)]
    chat.see(*half)
    chat.see(*whole)
    posts = chat.see(*whole, after=SETTLE)
    assert len(posts) == 1 and posts[0].text == "Much at once: 200 failed" and posts[0].thread is None
    assert chat.settle(*whole) == []
    late = [*whole, task("late", "blocked")]
    goes_on = chat.settle(*late)
    assert keys(goes_on) == keys(posts), "the same message, edited"
    assert goes_on[0].text == "Much at once: 200 failed, 1 blocked"
    chat.see(*late, after=WINDOW + 1)
    assert keys(chat.settle(*late, task("alone", "failed"))) == ["alert:alone:1:failed"]


def test_many_one_after_another_become_one_message() -> None:
    chat = Chat()
    tasks: list[dict[str, Any]] = []
    for number in range(MOST + 4):
        tasks.append(task(f"t{number}", "failed"))
        chat.settle(*tasks)
    assert len({post.key for post in chat.posts}) == MOST + 1
    assert chat.posts[-1].text == "Much at once: 4 failed"


def test_a_few_at_once_are_said_one_by_one() -> None:
    chat = Chat()
    assert len(chat.settle(*(task(f"t{number}", "done") for number in range(MOST)))) == MOST


def test_quiet_hours_end_with_one_summary() -> None:
    evening = parse_time("2026-11-23T21:59:00Z") or 0.0
    chat = Chat(task("a", "running"), task("b", "running"), now=evening, quiet=NIGHT)
    failed, done = task("a", "failed", why="exit 3"), task("b", "done")
    chat.see(failed, done, after=120)
    assert chat.see(failed, done, after=SETTLE) == []
    assert chat.wake_at == parse_time("2026-11-24T07:00:00Z")
    again = task("a", "running", attempt=2, why="in-place, by slack:U0ANA")
    assert chat.settle(again, done) == [] and chat.see(again, done, after=3600) == []
    chat.now = (chat.wake_at or 0.0) - 1
    posts = chat.see(again, done)
    assert len(posts) == 1 and posts[0].text == "While it was quiet: 1 failed, 1 restarted, 1 done"
    assert "a failed: exit 3" in accept(posts[0]) and chat.settle(again, done) == []
    assert keys(chat.settle(task("a", "failed", attempt=2), done)) == ["alert:a:2:failed"]


def test_a_quiet_night_ends_without_a_word() -> None:
    chat = Chat(task("a", "running"), now=parse_time("2026-11-24T06:59:00Z") or 0.0, quiet=NIGHT)
    assert chat.see(task("a", "running"), after=30) == [] and chat.wake_at is None
    assert chat.see(task("a", "running"), after=60) == []


def test_a_question_in_quiet_hours_is_in_no_summary() -> None:
    chat = Chat(task("a", "running"), now=parse_time("2026-11-24T06:58:00Z") or 0.0, quiet=NIGHT)
    chat.see(task("a", "blocked"))
    asked = [request("ab12", "a", "recover")]
    assert chat.settle(task("a", "blocked"), requests=asked) == []
    assert chat.see(task("a", "blocked"), after=180, requests=asked) == []


def test_after_a_crash_before_the_memory_was_kept_the_keys_are_the_same() -> None:
    """The outbox then edits, and does not post twice."""
    chat = Chat()
    tasks = [task(f"t{number}", "failed") for number in range(50)]
    chat.see(*tasks)
    before = chat.memory
    first = chat.see(*tasks, after=SETTLE)
    chat.memory = before
    assert keys(chat.see(*tasks, after=SETTLE)) == keys(first)


def test_a_clock_that_is_set_back_holds_up_no_alert() -> None:
    chat = Chat(task("a", "running"))
    chat.see(task("a", "failed"))
    assert keys(chat.see(task("a", "failed"), after=-3600)) == ["alert:a:1:failed"]


def test_a_clock_that_is_set_back_ends_a_storm_and_makes_none() -> None:
    before = [task(f"t{number}", "running") for number in range(2 * MOST + 2)]
    after = [task(f"t{number}", "failed") for number in range(2 * MOST + 2)]
    chat = Chat(*before)
    assert len(chat.settle(*after[: MOST + 1], *before[MOST + 1 :])) == 1
    chat.now -= 3600
    posts = chat.settle(*after[: MOST + 2], *before[MOST + 2 :])
    assert keys(posts) == [f"alert:t{MOST + 1}:1:failed"]


def test_what_was_said_of_older_attempts_is_forgotten() -> None:
    chat = Chat(task("a", "running"))
    for attempt in range(1, 50):
        chat.settle(task("a", "failed", attempt=attempt))
    assert chat.memory is not None and chat.memory.said == {"alert:a:49:failed"}
    chat.see()
    assert chat.settle(task("a", "failed", attempt=49)) == [], "a section that came back is no news"


def test_only_what_is_new_is_redacted() -> None:
    """The loop shows its state all the time."""
    seen: list[str] = []

    def redact(text: str) -> str:
        seen.append(text)
        return text

    known = state(*(task(f"t{number}", "failed", why="x") for number in range(50)))
    memory = step(None, known, NOW, None, nothing, UTC).memory
    news = state(*known["tasks"], task("new", "failed", why="news"))
    step(memory, news, NOW, None, redact, UTC)
    assert sorted(seen) == ["Title of new", "news"]


def test_a_section_that_came_back_with_a_new_attempt_was_restarted() -> None:
    chat = Chat(task("a", "running"))
    chat.see()
    assert keys(chat.settle(task("a", "running", attempt=2, why="exit 1"))) == ["alert:a:2:restarted"]


@settings(max_examples=50, deadline=None)
@given(anything, anything)
def test_any_words_fit(title: str, why: str) -> None:
    chat = Chat(task("a", "running"))
    chat.settle(*(task(name, "failed", title=title, why=why) for name in ("a", "b")))
    chat.settle(*(task(f"t{number}", "failed", title=title, why=why) for number in range(20)))
    assert len(chat.posts) == 3
