"""What a worker can say, typed by a worker, with no control plane anywhere."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.place import place_of
from runners.requests import Requests
from tests.bot.conftest import Mux
from tests.bot.speaking import Speaker, ended, speaker_at
from tests.bot.workplace import commit, make_home, root
from tests.support import wait_for

__all__ = ["root"]


@pytest.fixture
def worker(root: Path) -> Iterator[Speaker]:
    made = speaker_at(place_of(root / "board.md"), make_home(root, "fix"))
    yield made
    made.close()


@pytest.mark.parametrize(
    "words",
    [["done"], ["blocked", "on you"], ["checkpoint"], ["ask", "what?"], ["gate", "this"], ["once", "k", "--", "true"]],
)
def test_only_a_worker_says_such_words(mux: Mux, root: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    for environment in (
        {},
        {"MUX_BOARD": str(root / "board.md"), "MUX_TASK": "fix", "MUX_ATTEMPT": "one"},
        {"MUX_BOARD": str(root / "board.md"), "MUX_TASK": "fix", "MUX_ATTEMPT": "7"},
    ):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        reply = mux(*words)
        assert (reply.code, reply.out, reply.err.count("\n")) == (2, "", 1)
        assert "a word for a worker" in reply.err


@pytest.mark.parametrize(
    "words",
    [["done"], ["blocked", "on you"], ["checkpoint"], ["ask", "what?"], ["gate", "this"], ["once", "k", "--", "true"]],
)
def test_an_older_attempt_is_refused_and_that_is_written_down(worker: Speaker, words: list[str]) -> None:
    worker.become(2)
    worker.environment["MUX_ATTEMPT"] = "1"
    code, out, err = worker.mux(*words)
    assert (code, out) == (1, "")
    assert err == f"mux: fix: attempt 1 is over, attempt 2 is the newest: 'mux {words[0]}' refused\n"
    assert worker.said == () and worker.requests.open() == []
    assert not (worker.place.folder / "once").exists()
    event = json.loads(worker.journal)
    assert (event["event"], event["task"], event["attempt"]) == ("refused", "fix", 1)
    assert "on you" not in worker.journal


def test_done_that_holds(worker: Speaker) -> None:
    commit(worker.home.path, "fix.txt")
    assert worker.mux("done", "-m", "all\x1b[2J of it")[:2] == (0, "mux checks it now; if that is all, end\n")
    assert [(report.kind, report.text) for report in worker.said] == [("done", "all of it")]
    assert list((worker.place.folder / "inbox").iterdir()) != []


def test_done_that_does_not_hold_is_told_once_and_recorded_each_time(worker: Speaker) -> None:
    (worker.home.path / "fix.txt").write_text("text")
    code, out, err = worker.mux("done")
    assert (code, out) == (1, "")
    assert err == "mux: not done: no commit on its branch; 1 file untracked. Mend that, then say `mux done` again\n"
    code, _, err = worker.mux("done")
    assert code == 0 and "still not done: no commit on its branch; 1 file untracked" in err
    assert [report.kind for report in worker.said] == ["done", "done"]


def test_done_in_a_home_that_git_cannot_read_is_recorded(worker: Speaker) -> None:
    (worker.home.path / ".git").write_text("gitdir: /nowhere\n")
    code, _, err = worker.mux("done")
    assert code == 1 and err.count("\n") == 1
    assert [report.kind for report in worker.said] == ["done"]


def test_blocked_keeps_what_it_waits_for(worker: Speaker) -> None:
    assert worker.mux("blocked", "on \u202ethe key\n" + "x" * 400)[0] == 0
    (report,) = worker.said
    assert report.kind == "blocked" and report.text.startswith("on the key xxx") and len(report.text) == 300
    assert worker.mux("blocked", " ")[0] == 2


def test_a_checkpoint_is_the_commit_at_head(worker: Speaker) -> None:
    head = commit(worker.home.path, "fix.txt")
    code, out, err = worker.mux("checkpoint", "-m", "tests pass")
    assert (code, out, err) == (0, f"checkpoint {head}\n", "")
    (worker.home.path / "fix.txt").write_text("changed")
    (worker.home.path / "more.txt").write_text("new")
    code, out, err = worker.mux("checkpoint")
    assert (code, out) == (0, f"checkpoint {head}\n")
    assert "1 file changed and not committed, 1 file untracked: not part of the checkpoint" in err
    assert [(report.text, report.commit) for report in worker.said] == [("tests pass", head), ("", head)]


def test_no_checkpoint_beside_its_branch(worker: Speaker) -> None:
    from runners import sh

    sh.run(["git", "checkout", "--quiet", "--detach"], cwd=worker.home.path)
    code, _, err = worker.mux("checkpoint")
    assert code == 1 and "a checkpoint is a commit of mux/shop/fix" in err
    assert worker.said == ()


def test_a_question_with_choices(worker: Speaker) -> None:
    asks = worker.start("ask", "Which \x1b[31mway?", "--choice", "left", "--choice", "to the right")
    asked = worker.asked().request
    assert (asked.action, asked.task, asked.attempt, asked.says) == ("ask", "fix", 1, "Which way?")
    assert (asked.choices, asked.free, asked.expires) == (("left", "to the right"), False, asked.at + 86400.0)
    code, _, err = worker.mux("answer", asked.id, "up", person=True)
    assert code == 1 and "takes left or to the right or deny, not 'up'" in err
    code, _, err = worker.mux("approve", asked.id, person=True)
    assert code == 1 and "several ways to go on, name one: --choice left, --choice to the right" in err
    assert worker.mux("answer", asked.id[:4], "to", "the", "right", person=True)[0] == 0
    code, out, _ = ended(asks)
    assert (code, out) == (0, "to the right\n")
    assert worker.requests.open() == []


def test_a_question_that_takes_any_text(worker: Speaker) -> None:
    asks = worker.start("ask", "What name?")
    asked = worker.asked().request
    code, _, err = worker.mux("approve", asked.id, person=True)
    assert code == 1 and f"mux answer {asked.id} TEXT" in err
    assert worker.mux("answer", asked.id, "deny nothing, Ä", person=True)[0] == 0
    assert ended(asks)[:2] == (0, "deny nothing, Ä\n")


@pytest.mark.parametrize(
    ("words", "way", "code"),
    [("gate", "approve", 0), ("gate", "deny", 1), ("ask", "deny", 1)],
)
def test_an_approval_or_a_no(worker: Speaker, words: str, way: str, code: int) -> None:
    waits = worker.start(words, "deploy to production")
    asked = worker.asked().request
    assert worker.mux(way, asked.id, person=True)[0] == 0
    got, _, err = ended(waits)
    assert got == code
    assert code == 0 or "denied by terminal:" in err
    closed = worker.requests.find(asked.id).closed
    assert closed is not None and closed.outcome.startswith(f"{way}, by terminal:")
    events = [json.loads(line) for line in worker.journal.splitlines()]
    assert [event["event"] for event in events] == ["request", {"deny": "denied"}.get(way, "approved"), "decided"]
    assert "production" not in worker.journal


def test_nobody_decides_until_it_expires(worker: Speaker) -> None:
    begun = time.monotonic()
    code, out, err = worker.mux("gate", "deploy", "--timeout", "1s")
    assert (code, out) == (2, "") and "expired: nobody decided it" in err
    assert time.monotonic() - begun >= 1
    assert worker.mux("ask", "what?", "--timeout", "1s")[0] == 2
    assert worker.requests.open() == []
    assert worker.mux("gate", "deploy", "--timeout", "soon")[0] == 2


def test_the_board_says_how_long_a_gate_waits(worker: Speaker) -> None:
    text = worker.place.path.read_text()
    worker.place.path.write_text(text.replace("board: shop\n", "board: shop\nexpiry: {gate: 2h}\n"))
    worker.start("gate", "deploy")
    asked = worker.asked().request
    assert asked.expires == asked.at + 7200.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_told_to_end_withdraws_what_it_asked(worker: Speaker, number: signal.Signals) -> None:
    waits = worker.start("gate", "deploy")
    asked = worker.asked().request
    waits.send_signal(number)
    assert ended(waits)[0] == 128 + number
    code, _, err = worker.mux("approve", asked.id, person=True)
    assert code == 1 and "is closed: withdrawn" in err


def test_the_same_question_is_asked_once_also_after_a_kill(worker: Speaker) -> None:
    waits = worker.start("gate", "deploy")
    asked = worker.asked().request
    waits.kill()
    waits.wait()
    again = worker.start("gate", "deploy")
    other = worker.start("gate", "deploy the other")
    wait_for(lambda: len(worker.requests.open()) == 2)
    assert worker.mux("approve", asked.id, person=True)[0] == 0
    assert ended(again)[0] == 0 and other.poll() is None


def test_one_approval_lets_one_through(worker: Speaker) -> None:
    both = [worker.start("gate", "deploy", "--timeout", "1h") for _ in range(2)]
    first = worker.asked().request
    for waits in both:
        assert waits.stderr is not None and first.id in waits.stderr.readline()
    assert worker.mux("approve", first.id, person=True)[0] == 0
    wait_for(lambda: any(waits.poll() is not None for waits in both))
    second = wait_for(lambda: [each for each in worker.requests.open() if each.id != first.id])[0]
    assert [waits.poll() for waits in both].count(None) == 1
    assert worker.mux("deny", second.id, person=True)[0] == 0
    assert sorted(ended(waits)[0] for waits in both) == [0, 1]


def test_a_question_of_an_older_attempt_is_over(worker: Speaker) -> None:
    waits = worker.start("ask", "what?")
    asked = worker.asked().request
    waits.kill()
    waits.wait()
    worker.become(2)
    code, _, err = worker.mux("answer", asked.id, "this", person=True)
    assert code == 1 and "attempt 1 of fix, which asked, is over; nothing is done" in err
    assert worker.requests.open() == []
    assert '"refused"' in worker.journal


def test_a_new_attempt_closes_what_an_older_one_asked(worker: Speaker) -> None:
    waits = worker.start("ask", "what?")
    old = worker.asked().request
    worker.become(2)
    assert ended(waits)[0] == 1  # it finds out by itself
    worker.start("ask", "what?")
    wait_for(lambda: [request.attempt for request in worker.requests.open()] == [2])
    assert worker.requests.find(old.id).closed is not None


def test_a_question_that_mux_closes_ends_the_wait(worker: Speaker) -> None:
    waits = worker.start("ask", "what?")
    asked = worker.asked().request
    Requests(worker.place.folder).close(asked, "its task was stopped", time.time())
    code, _, err = ended(waits)
    assert code == 1 and err.endswith(f"mux: request {asked.id} is closed: its task was stopped\n")


@pytest.mark.parametrize("choices", [["deny"], [""], ["a", "a"], ["two\nlines"], ["\u202eab"], ["x" * 61]])
def test_what_is_no_choice(worker: Speaker, choices: list[str]) -> None:
    words = [word for choice in choices for word in ("--choice", choice)]
    assert worker.mux("ask", "what?", *words)[0] == 2
    assert worker.requests.open() == []


def test_a_long_question_is_cut_and_that_is_said(worker: Speaker) -> None:
    waits = worker.start("ask", "w" * 301)
    asked = worker.asked().request
    assert asked.says == "w" * 299 + "…"
    waits.terminate()
    assert "shown the first 300 characters" in ended(waits)[2]
    assert worker.mux("ask", "\u200b ")[0] == 2
