from __future__ import annotations

from dataclasses import replace

from board.model import BoardSettings, RestartPolicy, SlackSettings, TaskSettings
from runners.policy import changes
from tests.runners.test_plan import board, task


def test_what_decides_is_said_and_nothing_else() -> None:
    old = board(task("a", restart=RestartPolicy(), done_when=("clean",)), task("b"), task("gone"))
    new = board(task("a", restart=RestartPolicy("never"), done_when=()), task("b", priority=3), task("new"))
    assert list(changes(old, new)) == [
        ("a", "done_when: [clean] -> []"),
        ("a", "restart: safe, 3 in 3600s -> never, 3 in 3600s"),
    ]
    assert list(changes(old, old)) == []


def test_of_the_whole_board() -> None:
    old = board()
    settings = BoardSettings(after_outage="ask", defaults=TaskSettings(destructive=True, check="curl -H token"))
    found = list(changes(old, replace(old, settings=settings)))
    assert found == [
        (None, "check: none -> a command"),
        (None, "destructive: false -> true"),
        (None, "after_outage: resume -> ask"),
    ]


def test_who_may_decide_and_where() -> None:
    old = replace(board(), settings=BoardSettings(slack=SlackSettings(channel="C1", approvers=("U1",))))
    new = replace(board(), settings=BoardSettings(slack=SlackSettings(channel="C1", approvers=("U1", "U2"))))
    assert list(changes(old, new)) == [(None, "slack approvers: [U1] -> [U1, U2]")]
    assert list(changes(old, board())) == [
        (None, "slack approvers: [U1] -> []"),
        (None, "slack channel: C1 -> none"),
    ]
