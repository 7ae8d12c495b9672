from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import chat_texts, chat_views
from bot.blocks import FALLBACK
from bot.mrkdwn import code, code_blocks, escape, plain, shown, when
from runners.delivery import Changes
from runners.journal import Event
from tests.bot.chat import NASTY, NOW, accept, nothing, request, says_it_all, state, task
from tests.e2e.fake_slack_strict import links, mentions

#: All there is, surrogates included, with what steers Slack more often than by chance.
anything = st.lists(
    st.one_of(st.characters(), st.sampled_from(["<!channel>", "<@U0ANA>", "https://x.example", "```", "\u202e", "&"]))
).map("".join)


@settings(deadline=None)
@given(anything)
def test_no_text_says_more_than_it_shows(text: str) -> None:
    assert mentions(escape(text), []) == [] and links(escape(text), []) == []
    line = plain(text)
    assert "\n" not in line and plain(line) == line
    span = code(text)
    assert span == "" or (span.count("`") == 2 and span.startswith("`") and span.endswith("`"))
    for block in code_blocks(text, 300, 3):
        assert len(block) <= 300 and block.count("`") == 6 and mentions(block, []) == [] and links(block, []) == []


def test_escaping_is_slacks_own() -> None:
    assert escape("a < b && c > d") == "a &lt; b &amp;&amp; c &gt; d"
    assert escape("see https://x.example/y") == "see https[:]//x.example/y"
    assert code("a`b") == "`a\u02cbb`" and code("\x00") == ""
    assert when(NOW) == "<!date^1795420920^{date_short_pretty} {time}|2026-11-23 08:02 UTC>"


def test_what_is_redacted_is_cut_afterwards() -> None:
    """A secret at the edge must not lose the half by which it is known."""
    text = "x" * 70 + "secret-value" + "y" * 50
    assert shown(text, 76, lambda each: each.replace("secret-value", "[redacted]")) == "x" * 70 + "…"


def test_a_log_shows_its_end() -> None:
    blocks = code_blocks("\n".join(f"line {number}" for number in range(1000)), 400, 2)
    assert len(blocks) == 2 and all(len(block) <= 400 for block in blocks)
    assert blocks[-1].endswith("line 999```") and "line 0\n" not in "".join(blocks)
    lines = re.findall(r"line (\d+)", "".join(blocks))
    assert [int(each) for each in lines] == list(range(1000 - len(lines), 1000)) and len(lines) > 60


def nasty_state(tasks: int, title: str = NASTY) -> dict[str, Any]:
    words = ["done", "draft", "ready", "running", "stopped", "blocked", "waiting", "failed", "claimed", "review"]
    drift = [{"rule": "clean", "text": NASTY, "fix": "git -C /home/ana/x", "known": True}]
    every = [
        task(f"{'t' * 40}-{number}", words[number % 10], title=title, why=NASTY if number % 2 else "", drift=drift)
        for number in range(tasks)
    ]
    asked = [request("3f2c1ab09d4e", "t-1", "ask", says=NASTY, why=NASTY, choices=["<!channel>"]) for _ in range(tasks)]
    problem = {"line": 3, "task": None, "text": NASTY, "severity": "error"}
    more = {"board": NASTY, "trouble": NASTY, "requests": asked, "problems": [problem] * tasks}
    orphan = {"id": "gone", "attempt": 2, "since": None, "worktree": "/home/ana/w", "branch": "b"}
    return state(*every, **more, orphans=[orphan] * (tasks // 10))


@pytest.mark.parametrize("tasks", [0, 1, 50, 500])
def test_any_board_fits_and_pings_nobody(tasks: int) -> None:
    seen = nasty_state(tasks)
    assert "home" not in accept(chat_views.status_reply(seen, NOW, nothing))
    accept(chat_views.requests_reply(seen, NOW, nothing))


@settings(max_examples=60, deadline=None)
@given(anything, anything)
def test_any_title_and_reason_fit(title: str, why: str) -> None:
    seen = state(task("a", "failed", title=title, why=why), task("b", "running", title=title))
    accept(chat_views.status_reply(seen, NOW, nothing))
    entry = {**seen["tasks"][0], "problems": [], "requests": [request("ab12", "a", "gate", says=why)], "drift_at": None}
    accept(chat_views.task_reply(entry, NOW, nothing))
    accept(chat_texts.journal_reply([Event(NOW, "failed", why, "a", 2)], nothing))
    accept(chat_texts.logs_reply("a", 1, why, nothing))


def test_titles_of_ten_thousand_characters() -> None:
    long = "<@U0ANA>&" * 1200
    seen = nasty_state(500, long)
    read = accept(chat_views.status_reply(seen, NOW, nothing))
    assert "and " in read and " more" in read
    accept(chat_texts.logs_reply("a", 1, "&<>`" * 50_000, nothing))
    accept(chat_texts.logs_reply("a", 1, "https://x.example\n" * 50_000, nothing))


def test_needs_you_first_longest_first_then_what_runs_drifted_is_ready_and_done() -> None:
    drift = [{"rule": "pushed", "text": "x", "fix": "y", "known": True}]
    seen = state(
        task("d", "done", drift=drift),
        task("r", "running", attempt=3),
        task("young", "failed", since="2026-11-23T08:01:00Z", why="exit 3"),
        task("old", "blocked", since="2026-11-22T08:01:00Z", why="nobody knows"),
        task("y", "ready", since=None, why="after r"),
        problems=[{"line": 1, "task": "x", "text": "t", "severity": "error"}],
        requests=[request("ab12cd", None, "held", choices=["take", "keep"], deniable=False)],
    )
    reply = chat_views.status_reply(seen, NOW, nothing)
    assert reply.text == "shop: 3 need you, 1 of 4 slots work, 1 drifted, 1 ready, 1 done"
    lines = [line for line in says_it_all(reply.blocks[3:]).split("\n") if line]
    assert lines == [
        "*Needs you* (3)",
        "the board · a save that mux holds back · 5m",
        "old · blocked 1d 1m · nobody knows",
        "young · failed 1m · exit 3",
        "*Running* (1)",
        "r · running 2m · try 3 · Title of r",
        "*Drifted* (1)",
        "d says done, but not everything is pushed",
        "*Ready* (1)",
        "y · ready · after r",
        "*Done* (1)",
        "d · done 2m · Title of d",
    ]


def test_what_is_the_matter_with_mux_is_said_without_names_of_files() -> None:
    plane = {"running": False, "pid": None, "since": None}
    down = chat_views.status_reply(state(trouble="/home/ana/board.md:3: broken", control_plane=plane), NOW, nothing)
    read = accept(down)
    assert "mux is down" in read and "not in force" in read and "ana" not in read and "No task yet" in read
    assert "it last looked 3m ago" in accept(chat_views.status_reply(state(), NOW + 175, nothing))
    assert "hang" not in accept(chat_views.status_reply(state(), NOW, nothing))


def test_a_task_with_its_request() -> None:
    asked = request(
        "ab12cd34ef56", "a", "recover", choices=["resume", "checkpoint"], evidence={"exit": "exit 3", "head": "0" * 40}
    )
    entry = task("a", "blocked", why="exit 3", exit={"code": 3, "signal": None}, checkpoint="0123456789abcdef")
    read = accept(chat_views.task_reply({**entry, "problems": [], "requests": [asked]}, NOW, nothing))
    for said in ("a: Title of a", "blocked for 2m", "exit 3", "checkpoint 0123456", "it ended with: exit 3"):
        assert said in read
    assert "`/mux approve ab12cd34ef56 --choice resume`" in read and "`/mux deny ab12cd34ef56`" in read
    assert "0" * 40 not in read and "expires <!date^" in read


def test_an_orphan_has_a_view_too() -> None:
    orphan = {"id": "gone", "attempt": 2, "since": "2026-11-23T08:00:00Z", "worktree": "/w", "branch": "b"}
    entry = {**orphan, "status": "orphan", "why": "", "title": "", "agent": "", "problems": [], "requests": []}
    assert "orphan for 2m" in accept(chat_views.task_reply(entry, NOW, nothing))


def test_no_requests_and_too_many() -> None:
    assert accept(chat_views.requests_reply(state(), NOW, nothing)).startswith("Nothing is asked")
    many = [request(f"{number:012x}", "a", "recover") for number in range(60)]
    read = accept(chat_views.requests_reply(state(requests=many), NOW, nothing))
    assert "60 requests wait for a person" in read and "and 52 more" in read


def test_a_choice_that_may_not_leave_is_not_shown() -> None:
    asked = request("ab12cd34ef56", "a", "ask", says="which?", choices=["fine", "hunter2"])
    read = accept(chat_views.requests_reply(state(requests=[asked]), NOW, lambda text: text.replace("hunter2", "[x]")))
    assert "--choice fine`" in read and "hunter2" not in read


def test_a_diff_is_counts_only() -> None:
    stat = " secret-name.py | 2 +-\n other.py | 9 +++\n 2 files changed, 10 insertions(+), 1 deletion(-)\n"
    read = accept(chat_texts.diff_reply("a", Changes(stat, ("new.py",))))
    assert "a: 2 files changed, 10 lines added, 1 removed; 1 file untracked" in read and ".py" not in read
    assert "a: nothing changed" in accept(chat_texts.diff_reply("a", Changes("", ())))
    assert "1 file changed, 0 lines added, 3 removed" in accept(
        chat_texts.diff_reply("a", Changes(" x | 3 ---\n 1 file changed, 3 deletions(-)\n", ()))
    )


@pytest.mark.parametrize("event", ["trouble", "void"])
def test_what_git_or_the_system_said_of_files_stays_on_the_machine(event: str) -> None:
    text = "request 0123456789ab is void: it cannot be taken back: in no snapshot, and would be overwritten: plans.txt"
    shown = accept(chat_texts.journal_reply([Event(NOW, event, text, "a", 2)], nothing))
    assert "plans.txt" not in shown
    assert f"a try 2 {event}: mux journal in the terminal and .mux/mux.log say what" in shown


def test_the_journal_shows_its_newest_events_oldest_first() -> None:
    events = [Event(NOW + number, "started", f"event {number}", "fix", 1) for number in range(100)]
    lines = says_it_all(chat_texts.journal_reply(events, nothing).blocks).split("\n")
    assert lines[1] == "11-23 08:03 fix try 1 started: event 75" and lines[-1].endswith("event 99")
    assert "fix" not in says_it_all(chat_texts.journal_reply(events, nothing, "x").blocks)
    assert "nothing happened yet" in accept(chat_texts.journal_reply([], nothing))


def test_help_and_an_empty_log() -> None:
    assert "`/mux status`" in accept(chat_texts.help_reply())
    assert "It printed nothing" in accept(chat_texts.logs_reply("a", 1, "\n\n", nothing))
    assert len(chat_texts.logs_reply("a", 1, "x", nothing).text) <= FALLBACK
