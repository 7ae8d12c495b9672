from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings

from board.clock import format_time
from bot import digest_order, digests
from bot.outbox import Outbox
from bot.place import Place
from runners import daemon
from runners.journal import Event, Journal
from tests.bot.chat import NASTY, NOW, accept, nothing, request, says_it_all, state, task
from tests.bot.conftest import Mux
from tests.bot.test_chat_views import anything

HOUR = 3600.0
KEY = "digest:2026-11-23T08:00 Europe/Berlin board"


def event(word: str, ago: float, name: str = "fix", attempt: int = 1, text: str = "text", **more: Any) -> Event:
    return Event(NOW - ago, word, text, name, attempt, **more)


def lines_of(seen: dict[str, Any], events: list[Event], since: float | None = NOW - 8 * HOUR) -> list[str]:
    content = digests.digest(seen, events, since, NOW, nothing)
    accept(digests.post(content, KEY))
    return digests.lines(content)


def test_what_happened_and_what_is() -> None:
    seen = state(
        task("a", "done"),
        task("b", "running", attempt=2, since=format_time(NOW - 41 * 60)),
        task("young", "failed", since=format_time(NOW - 60), why="exit 3"),
        task("old", "blocked", since=format_time(NOW - 9 * HOUR), why="nobody knows"),
        task("d", "review", since=format_time(NOW - 120), drift=[{"rule": "pushed", "text": NASTY, "fix": NASTY}]),
        requests=[request("ab12cd34ef56", "old", "recover")],
    )
    restarted = "on branch mux/shop/b; resumed after exit 137; tree clean at 3f2c1ab"
    events = [
        event("started", 9 * HOUR, "a"),
        event("done", 8.5 * HOUR, "gone"),
        event("restarted", 3 * HOUR, "b", 2, restarted),
        event("done", 2 * HOUR, "a", text="exit 0; 3 commits, tree clean"),
        event("review", 120, "d"),
        event("snapshot", 60, "d"),
    ]
    lines = lines_of(seen, events)
    assert lines[0] == ("shop since 2026-11-23T00:02:00Z: 3 need you, 1 of 4 slots work, 1 drifted, 1 done")
    assert lines[1:] == [
        *("", "Done (2)", "  a · done in 7h · Title of a", "  d · review · Title of d"),
        *("", "Needs you (3)", "  old · blocked 9h · nobody knows"),
        *("  d · review 2m · Title of d", "  young · failed 1m · exit 3"),
        *("", "Asked (1)", "  old · how to go on after a bad end · 5m"),
        *("", "Restarted (1)", "  b · try 2 · resumed after exit 137; tree clean at 3f2c1ab"),
        *("", "Drifted (1)", "  d says review, but not everything is pushed"),
        *("", "Running (1)", "  b · running for 41m · Title of b"),
    ]


def test_nothing_changed_is_one_line() -> None:
    seen = state(task("a", "running"), task("b", "failed"))
    events = [event("done", 9 * HOUR), event("snapshot", 60), event("board", 30)]
    assert lines_of(seen, events) == [
        "shop: nothing changed since 2026-11-23T00:02:00Z; 1 needs you, 1 of 4 slots work"
    ]
    post = digests.post(digests.digest(seen, events, NOW - 8 * HOUR, NOW, nothing), KEY, "C0OTHER")
    assert len(post.blocks) == 1 and "\n" not in says_it_all(post.blocks)
    assert (post.key, post.channel, post.thread) == (KEY, "C0OTHER", None)


def test_the_first_digest_ever_tells_everything() -> None:
    assert "Done (1)" in lines_of(state(task("fix", "done")), [event("done", 90 * HOUR)], None)


def test_what_was_told_is_not_told_again() -> None:
    events = [event("done", HOUR, "a"), event("restarted", 2 * HOUR, "b", 2, "x; exit 1"), event("done", 60, "c")]
    lines = lines_of(state(), events, NOW - HOUR)
    assert "  c · done" in lines and not any("a · done" in line or "b · try" in line for line in lines)


def test_notes_about_other_digests_are_always_said() -> None:
    for events in ([], [event("done", 60)]):
        content = digests.digest(state(), events, NOW - HOUR, NOW, nothing, ["Skipped: <!channel> 08:00."])
        assert "Skipped: &lt;!channel&gt; 08:00." in accept(digests.post(content, KEY))
        assert "Skipped: <!channel> 08:00." in digests.lines(content)


def test_titles_and_reasons_are_redacted() -> None:
    seen = state(task("a", "failed", title="hunter2", why="hunter2"), task("b", "running", title="hunter2"))
    events = [event("restarted", 60, "b", 2, "on branch x; hunter2"), event("done", 50, "a")]
    content = digests.digest(seen, events, None, NOW, lambda text: text.replace("hunter2", "[redacted]"))
    assert "hunter2" not in says_it_all(digests.post(content, KEY).blocks) + "\n".join(digests.lines(content))


@settings(max_examples=40, deadline=None)
@given(anything, anything)
def test_any_words_fit_and_ping_nobody(title: str, why: str) -> None:
    seen = state(task("a", "failed", title=title, why=why), task("b", "running", title=title), board=title)
    lines_of(seen, [event("restarted", 60, "b", 2, why), event("done", 50, "a", text=why)])


@pytest.mark.parametrize("words", [NASTY, NASTY * 60])
def test_five_hundred_tasks_fit(words: str) -> None:
    statuses = ("done", "failed", "running", "blocked", "review")
    every = [task(f"{'t' * 40}-{number}", statuses[number % 5], title=words, why=words) for number in range(500)]
    events = [event("restarted", 60, each["id"], 2, f"x; {words}") for each in every]
    events += [event("done", 50, each["id"]) for each in every]
    post = digests.post(digests.digest(state(*every), events, NOW - HOUR, NOW, nothing, [words] * 9), KEY)
    read = accept(post)
    for heading in ("Done", "Needs you", "Restarted", "Running"):
        assert re.search(rf"\*{heading}\* \(\d+\)\nt+-\d+ · (?s:.*)\nand \d+ more", read), heading


def test_on_the_terminal(mux: Mux, place: Place) -> None:
    Journal(place.folder).add(Event(time.time() - 60, "done", "exit 0", "fix", 1))
    reply = mux("digest")
    assert reply.code == 0 and "Done (1)\n  fix · done\n" in reply.out
    assert Outbox(place.folder).waiting() == []


def test_one_that_is_to_be_posted_is_only_ordered(mux: Mux, place: Place) -> None:
    """Whoever orders it need not know what must not leave: the control plane does, and makes it."""
    reply = mux("digest", "--post")
    assert (reply.code, reply.out.rpartition("posts it ")[2]) == (0, "when it is up again: mux up\n")
    assert Outbox(place.folder).entries() == [] and digest_order.at(place.folder) is not None
    with daemon.only_one(place.folder, 1000.0):
        assert mux("digest", "--post").out.endswith("posts it in a moment\n")
