from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat_requests import answer_modal, person, request_post
from bot.chat_views import requests_reply
from bot.posts import Post
from runners.asked import EXPIRED, ORDERED, Answer, Asked, Closed, Request
from tests.bot.chat import NASTY, NOW, accept, nothing
from tests.bot.test_chat_views import anything
from tests.e2e.fake_slack_strict import check_view, walk

CHOICES = {
    "recover": ("resume", "in-place", "checkpoint"),
    "outage": ("in-place",),
    "restart": ("resume", "in-place", "checkpoint"),
    "rerun": ("in-place", "checkpoint"),
    "orphan": ("stop",),
    "once": ("again", "finished"),
    "ask": ("A", "B"),
    "gate": ("approve",),
    "held": ("take", "keep"),
}
EVIDENCE = {"attempt": 2, "exit": "exit 137", "checkpoint": "0123456789abcdef", "head": "f" * 40, "commits": 3}
EVIDENCE |= {"modified": 4, "untracked": 1, "unpushed": 2, "beyond_checkpoint": 2, "snapshot": 7, "left_out": 1}


def request(action: str, **more: Any) -> Request:
    alone = action not in ("held", "outage")
    known: dict[str, Any] = {"why": "why it asks", "about": "x", "choices": CHOICES[action], "at": NOW - 60}
    known |= {"task": "fix", "attempt": 2} if alone else {}
    known |= {"members": (("a", 1), ("b", 2))} if action == "outage" else {}
    return Request("3f2c1ab09d4e", action, **{**known, "expires": NOW + 3600, "evidence": EVIDENCE, **more})


def post(asked: Asked | Request, title: str = "Fix it", now: float = NOW, **more: Any) -> Post:
    return request_post(Asked(asked) if isinstance(asked, Request) else asked, title, now, nothing, **more)


def buttons(message: Post) -> dict[str, Any]:
    found = [each for _, each in walk(json.loads(json.dumps(message.blocks))) if each.get("type") == "button"]
    assert all(each["value"] == "3f2c1ab09d4e" for each in found)
    return {each["action_id"]: each for each in found}


@pytest.mark.parametrize(("action", "seen"), [("ask", False), ("gate", False), ("once", True), ("recover", True)])
def test_why_mux_asks_is_shown_beside_what_a_worker_says_unless_that_is_all(action: str, seen: bool) -> None:
    """That a worker wants to run another command as a step that may have taken effect, for one."""
    shown = accept(post(request(action, says="deploy")))
    assert ("why it asks" in shown, "deploy" in shown) == (seen, True)
    listed = {"id": "3f2c1ab09d4e", "task": "fix", "tasks": ["fix"], "action": action, "why": "why it asks"}
    listed |= {
        "says": "deploy",
        "choices": [],
        "free": True,
        "decided": None,
        "evidence": {},
        "expires": None,
        "since": None,
    }
    seen_there = accept(requests_reply({"requests": [listed]}, NOW, nothing))
    assert ("why it asks" in seen_there, "deploy" in seen_there) == (seen, True)


@pytest.mark.parametrize("action", CHOICES)
def test_every_action_has_a_button_for_each_answer(action: str) -> None:
    message = post(request(action))
    accept(message)
    no = [] if action == "held" else ["request:deny"]
    assert list(buttons(message)) == [*(f"request:{choice}" for choice in CHOICES[action]), *no]
    assert message.key == "request:3f2c1ab09d4e" and message.thread is None


@pytest.mark.parametrize(
    ("action", "destructive", "confirmed"),
    [
        ("recover", False, {"checkpoint"}),
        ("recover", True, {"resume", "in-place", "checkpoint"}),
        ("restart", False, {"resume", "in-place", "checkpoint"}),
        ("rerun", True, {"in-place", "checkpoint"}),
        ("outage", False, set()),
        ("orphan", False, {"stop"}),
        ("once", False, {"again"}),
        ("ask", True, set()),
        ("gate", False, {"approve"}),
        ("held", False, {"take"}),
    ],
)
def test_what_cannot_be_taken_back_is_asked_once_more(action: str, destructive: bool, confirmed: set[str]) -> None:
    found = buttons(post(request(action), destructive=destructive))
    assert {name.removeprefix("request:") for name, each in found.items() if "confirm" in each} == confirmed


def test_an_outage_with_a_destructive_task_is_asked_once_more() -> None:
    assert "confirm" in buttons(post(request("outage", evidence={"destructive": 1})))["request:in-place"]


def test_evidence_and_what_would_be_lost_in_words() -> None:
    read = accept(post(request("recover")))
    for said in (
        "it ended with: exit 137 · 3 commits on its branch · 2 commits not pushed · 4 files changed and not committed",
        "1 file untracked · checkpoint 0123456 · 2 commits after it",
        "takes away 2 commits, 4 changed files, 1 untracked file, but for 1 path that stays",
        "snapshot 7 keeps what is not committed",
        "1 path is in no snapshot",
        "Leave it stopped: start nothing",
        "expires <!date^1795424520^",
    ):
        assert said in read
    assert "f" * 40 not in read and "0123456789" not in read


def test_what_its_reason_says_is_said_once_and_what_there_is_none_of_not_at_all() -> None:
    none = {"commits": 0, "unpushed": 0, "beyond_checkpoint": 0, "left_out": 0}
    ended = {"exit": "signal 9 (SIGKILL)", "modified": 0, "untracked": 1, "snapshot": 1}
    why = "signal 9 (SIGKILL); it cannot resume; 1 file untracked"
    read = accept(post(request("recover", why=why, attempt=1, evidence=none | ended)))
    assert read.count("SIGKILL") == 1 and read.count("1 file untracked") == 1
    assert ": 0" not in read and "0 " not in read.partition("expires")[0] and "attempt 1" not in read


def test_without_evidence_nothing_is_said_to_be_lost() -> None:
    nothing_lost = accept(post(request("recover", evidence={"exit": "exit 1"})))
    assert "nothing is lost" in nothing_lost


def test_it_stands_the_same_until_something_happens() -> None:
    assert post(request("recover"), now=NOW) == post(request("recover"), now=NOW + 3599)


def test_a_worker_that_asks_is_quoted_and_takes_any_text() -> None:
    free = request("ask", says="Which one?", choices=(), free=True)
    message = post(free)
    assert "its worker says: “Which one?”" in accept(message)
    assert list(buttons(message)) == ["request:answer", "request:deny"]
    view = answer_modal(Asked(free), nothing)
    check_view(json.loads(json.dumps(view)))
    assert view["private_metadata"] == free.id and view["blocks"][1]["block_id"] == "answer"
    assert view["blocks"][1]["element"]["action_id"] == "text"


def test_a_workers_choices_are_its_own_words_and_mean_nothing_else() -> None:
    asked = request("ask", choices=("take", "answer", "deny", "hunter2", "<!channel>"), says="?")
    message = request_post(Asked(asked), "", NOW, lambda text: text.replace("hunter2", "[redacted]"))
    read = accept(message)
    assert list(buttons(message)) == ["request:take", "request:<!channel>", "request:deny"]
    assert buttons(message)["request:take"]["text"]["text"] == "take"
    assert "3 answers are not shown here" in read and "hunter2" not in json.dumps(message.blocks)


def test_many_and_long_choices_fit() -> None:
    choices = tuple(f"{number} {'x' * 57}" for number in range(40))
    message = post(request("ask", choices=choices, says="?"))
    assert "17 answers are not shown here" in accept(message) and len(buttons(message)) == 24


def test_members_are_named_and_counted() -> None:
    members = tuple((f"task-{number}", 1) for number in range(200))
    read = accept(post(request("outage", members=members)))
    assert "200 tasks: " in read and "task-19 and 180 more" in read


ANSWERED = Answer("checkpoint", "slack:U0ANA", NOW)
STOPPED = Closed("'stopped' was written at fix", NOW)
#: Eve's start came to nothing.
ORDER = {
    f"{ORDERED}-0": {"at": NOW - 9, "what": "Started", "by": "slack:U0EVE"},
    f"{ORDERED}-1": {"at": NOW, "what": "Stopped", "by": "slack:U0ANA"},
}
ENDS = [
    (Asked(request("recover"), ANSWERED), "*Restart from the checkpoint* by `U0ANA`, <!date^", "carried out"),
    (Asked(request("recover"), ANSWERED, None, {"void-fix": {}}), "by `U0ANA`", "asked about anew"),
    (Asked(request("recover"), ANSWERED, Closed("x", NOW)), "*Restart from the checkpoint* by `U0ANA`", ""),
    (Asked(request("restart"), Answer("deny", "terminal:ana", NOW)), "*Let it go on* by somebody at the terminal", ""),
    (Asked(request("gate"), Answer("approve", "slack:U0ANA", NOW), Closed("x", NOW)), "*Approve* by `U0ANA`", ""),
    (Asked(request("gate"), Answer(EXPIRED, "nobody", NOW)), "Expired <!date^", "nothing is done"),
    (Asked(request("gate", expires=NOW - 1)), "Expired <!date^", "nothing is done"),
    (Asked(request("ask"), None, Closed("its worker ended", NOW)), "Closed <!date^", "nobody has to decide"),
    (Asked(request("recover"), None, STOPPED, ORDER), "*Stopped* by `U0ANA`, <!date^", "nothing is left"),
    (Asked(request("recover"), None, Closed("the section of fix is gone", NOW), ORDER), "Closed <!date^", "nobody"),
    (Asked(request("ask"), Answer("A", "slack:U0ANA", NOW)), "*Answered “A”* by `U0ANA`", ""),
    (Asked(request("ask"), Answer("A", "slack:U0ANA", NOW, "my secret plan")), "*Answered* by `U0ANA`", ""),
]


@pytest.mark.parametrize(("asked", "said", "too"), ENDS)
def test_what_waits_no_more_has_no_buttons_and_says_who_and_when(asked: Asked, said: str, too: str) -> None:
    message = post(asked)
    read = accept(message)
    assert buttons(message) == {} and said in read and too in read
    assert "secret plan" not in read and "ana" not in read.replace("U0ANA", "")


def test_who_is_named_where_it_is_known() -> None:
    assert person("slack:U0ANA", {"U0ANA": "Ana <!here>"}) == "Ana &lt;!here&gt; (`U0ANA`)"
    assert person("slack:<!here>") == "`&lt;!here&gt;`" and person("slack:") == "somebody"
    assert person("nobody") == "mux"


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(CHOICES)), anything, anything, st.booleans())
def test_any_words_fit_and_ping_nobody(action: str, title: str, words: str, free: bool) -> None:
    asked = request(action, why=words, says=words, free=free, evidence={**EVIDENCE, "exit": words})
    accept(post(asked, title))
    answered = Answer("A", f"slack:{words}", NOW)
    accept(post(Asked(asked, answered), title, names={words: words}))
    check_view(json.loads(json.dumps(answer_modal(Asked(asked), nothing))))


@pytest.mark.parametrize("action", CHOICES)
def test_ten_thousand_characters_fit(action: str) -> None:
    long = NASTY * 60
    accept(post(request(action, why=long, says=long, evidence={"exit": long, "home": long}), long))
