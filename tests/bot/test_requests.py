"""`mux requests`, `approve`, `deny`, `answer`: what people are asked, and that only people decide."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from board.storage import write_json
from bot.place import Place
from runners import claims, daemon, processes
from runners.choices import ACTIONS, CHOICES, DENIALS
from runners.records import Records
from runners.requests import Answer, Request, Requests
from tests.bot.conftest import Mux, record
from tests.bot.speaking import ROOT
from tests.support import PATIENCE, wait_for


def ask(
    place: Place,
    action: str = "held",
    choices: tuple[str, ...] = ("take", "keep"),
    about: str = "digest",
    **more: object,
) -> str:
    now = time.time()
    return Requests(place.folder).ask(action, "every task vanished", about, choices, now - 90, **more).id  # type: ignore[arg-type]


def recover(place: Place) -> str:
    evidence = {"attempt": 2, "exit": "signal 9 (SIGKILL)", "modified": 2, "untracked": 1, "unpushed": 3}
    return ask(
        *(place, "recover", ("in-place", "checkpoint")),
        expires=time.time() + 3600,
        task="one",
        attempt=2,
        evidence=evidence | {"snapshot": 3, "same_failure": 2, "bound": {"one": "digest"}},
    )


def decided(place: Place) -> list[Answer | None]:
    return [asked.answer for asked in Requests(place.folder).all()]


def test_nothing_is_asked(mux: Mux, place: Place) -> None:
    assert mux("requests").out == "nothing is asked\n"


def test_every_action_and_every_choice_is_said_in_words() -> None:
    assert set(ACTIONS) == {"held", "recover", "outage", "restart", "rerun", "once", "ask", "gate", "orphan"}
    assert set(DENIALS) == set(ACTIONS) - {"held"}
    assert set(CHOICES) == {
        *("in-place", "resume", "checkpoint", "again", "finished", "approve", "take", "keep", "stop")
    }


def test_lists_what_is_asked_why_and_each_way_to_decide_it(mux: Mux, place: Place) -> None:
    held, bad = ask(place), recover(place)
    out = mux("requests").out
    first, second = sorted(out.split("\n\n"), key=lambda text: not text.startswith(held))
    lines = [line.split("  ", 1)[0] if not line.startswith(" ") else line for line in first.splitlines()]
    assert lines == [
        held,
        "  why: every task vanished",
        "  type:",
        f"    mux approve {held} --choice take  make what is in the file the board",
        f"    mux approve {held} --choice keep  put the board in force back into the file",
    ]
    assert second.startswith(f"{bad}  one: how to go on after a bad end, for 1m")
    assert ", until 20" in second.splitlines()[0]
    for line in (
        "  files changed and not committed: 2\n",
        "  commits not pushed: 3\n",
        "  it ended with: signal 9 (SIGKILL)\n",
        "  snapshot that keeps what is uncommitted: 3\n",
        "  same failure: 2\n",
        f"    mux approve {bad} --choice in-place    {CHOICES['in-place']}\n",
        f"{CHOICES['checkpoint']} (takes away 2 changed files, 1 untracked file)\n",
        f"    mux deny {bad}                         {DENIALS['recover']}\n",
    ):
        assert line in second
    assert "bound" not in second and "  attempt:" not in second


def test_a_question_about_steps_names_each_and_says_what_follows(mux: Mux, place: Place) -> None:
    steps = [{"id": "x", "key": key, "command": "./deploy.sh", "number": 2, "at": 0.0} for key in ("deploy", "push")]
    evidence = {"then": "then it is done", "steps": steps}
    ask(place, "recover", ("again", "finished", "in-place"), task="one", attempt=1, evidence=evidence)
    out = mux("requests").out
    for line in (
        "  step 'deploy': run 2, begun 1970-01-01T00:00:00Z: ./deploy.sh\n",
        "  step 'push': run 2, begun 1970-01-01T00:00:00Z: ./deploy.sh\n",
        "--choice again     its worker starts again, and what did not finish runs once more",
        "as finished with exit 0, and never runs again; then it is done\n",
        "--choice in-place  start it again in its home; you are asked about each step when its worker comes to it\n",
    ):
        assert line in out, out


def test_a_worker_is_quoted_and_does_not_reach_the_terminal(mux: Mux, place: Place) -> None:
    request = ask(place, "ask", (), task="one", attempt=1, says="what\x1b[2J?", free=True)
    out = mux("requests").out
    assert "\x1b" not in out and 'the worker says: "what' in out
    assert f"mux answer {request} TEXT" in out and "--choice" not in out


def test_a_way_that_only_the_worker_knows_is_not_explained(mux: Mux, place: Place) -> None:
    ask(place, "ask", ("resume", "the other's"), task="one", attempt=1)
    out = mux("requests").out
    assert "--choice resume\n" in out and "--choice 'the other'\"'\"'s'\n" in out


def test_details_of_one_also_when_it_is_over(mux: Mux, place: Place) -> None:
    request = recover(place)
    requests = Requests(place.folder)
    found = mux("requests", request[:4]).out
    assert "  attempt: 2\n" in found and "  asked: 20" in found and "bound to digest" in found
    requests.answer(request, "in-place", "ana", 1010.0)
    requests.begin_step(requests.find(request).request, "snapshot", 1011.0)
    requests.close(requests.find(request).request, "started as attempt 3", 1012.0)
    found = mux("requests", request[:4]).out
    assert "  decided: in-place, by ana, at 1970-01-01T00:16:50Z\n" in found and "type:" not in found
    assert "  step: snapshot, at 1970-01-01T00:16:51Z\n  closed: started as attempt 3, at 1970-01-01T00:16:52Z" in found
    assert mux("requests").out == "nothing is asked\n"
    assert mux("requests", "ffff").code == 1


def test_an_answer_is_kept_journalled_and_wakes_the_loop(mux: Mux, place: Place) -> None:
    request = ask(place)
    reply = mux("answer", request, "keep")
    assert (reply.code, reply.out) == (0, f"{request}: keep (mux is down; it takes effect with the next: mux up)\n")
    (answer,) = decided(place)
    assert answer is not None and answer.choice == "keep" and answer.by.startswith("terminal:")
    assert len(list((place.folder / "inbox").iterdir())) == 1
    assert "decided: keep, by terminal:" in mux("requests").out and "not carried out yet" in mux("requests").out
    event = json.loads((place.folder / "journal.jsonl").read_text())
    assert event["event"] == "approved" and event["text"].startswith(f"request {request} (held): keep, by terminal:")


def test_with_the_control_plane_up_it_says_what_happens_next(mux: Mux, place: Place) -> None:
    request = ask(place)
    with daemon.only_one(place.folder, time.time()):
        assert "mux carries it out now" in mux("approve", request, "--choice", "take").out


def test_the_second_decision_is_told_who_was_first_and_when(mux: Mux, place: Place) -> None:
    request = recover(place)
    mux("approve", request, "--choice", "in-place")
    for words in (("deny", request), ("approve", request[:6], "--choice", "checkpoint"), ("answer", request, "x")):
        reply = mux(*words)
        assert reply.code == 1 and "was decided already: in-place, by terminal:" in reply.err and ", at 20" in reply.err
    requests = Requests(place.folder)
    requests.close(requests.find(request).request, "done", time.time())
    assert "was decided already: in-place, by terminal:" in mux("deny", request[:4]).err


def test_one_way_needs_no_name_and_several_do(mux: Mux, place: Place) -> None:
    one = ask(place, "rerun", ("in-place",), task="one", attempt=1)
    several = recover(place)
    reply = mux("approve", several)
    assert reply.code == 1 and reply.err.count("\n") == 1
    assert f"--choice in-place ({CHOICES['in-place']}), --choice checkpoint (" in reply.err
    assert mux("approve", one).out.startswith(f"{one}: in-place")
    assert mux("deny", several).out.startswith(f"{several}: deny")
    assert [answer.choice if answer else None for answer in decided(place)] == ["in-place", "deny"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("answer", "nope", "take"), "no request nope"),
        (("answer", None, "maybe"), "takes take or keep, not 'maybe'"),
        (("deny", None), "takes take or keep, not 'deny'"),
        (("approve", None, "--choice", "in-place"), "takes take or keep, not 'in-place'"),
        (("approve", None), "name one: --choice take (make what is in the file the board), --choice keep (put"),
    ],
)
def test_what_cannot_be_meant(mux: Mux, place: Place, words: tuple[str | None, ...], said: str) -> None:
    request = ask(place)
    reply = mux(*[word or request for word in words])
    assert reply.code == 1 and said in reply.err and reply.err.count("\n") == 1
    assert decided(place) == [None]


def test_a_beginning_that_several_share_is_said(mux: Mux, place: Place) -> None:
    folder = place.folder / "requests"
    folder.mkdir(parents=True)
    for number in (1, 2):
        asked = Request(f"abcd0000000{number}", "rerun", "w", str(number), ("in-place",), 1.0)
        write_json(
            folder / f"{asked.id}.json",
            {name: getattr(asked, name) for name in ("id", "action", "why", "about", "choices", "at")},
        )
    assert "several requests begin with abcd" in mux("approve", "abcd").err
    assert mux("approve", "abcd00000002").code == 0


def test_what_expired_takes_no_answer(mux: Mux, place: Place) -> None:
    request = ask(place, "rerun", ("in-place",), expires=time.time() - 1)
    assert f"request {request} expired at 20" in mux("approve", request).err
    assert "nothing is done" in mux("approve", request).err


def test_a_user_id_without_a_name(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert mux("answer", ask(place), "keep").code == 0


@pytest.mark.parametrize("words", [("start", "one"), ("stop", "two"), ("restart", "one"), ("restore", "one")])
def test_nor_does_it_order_anything(
    mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    before = place.path.read_text()
    monkeypatch.setenv("MUX_TASK", "fix")
    reply = mux(*words)
    assert reply.code == 1 and "this is the worker of fix: only a person decides" in reply.err
    assert place.path.read_text() == before


@pytest.mark.parametrize("words", [("answer", "take"), ("approve", "--choice", "take"), ("deny",)])
def test_a_worker_decides_nothing(
    mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    request = ask(place)
    monkeypatch.setenv("MUX_TASK", "fix")
    reply = mux(words[0], request, *words[1:])
    assert reply.code == 1 and "only a person decides" in reply.err
    assert decided(place) == [None]


#: A worker's window: a session of its own, whose leader says who it is, then does as told, line by line.
WRAPPER = """
import os, subprocess, sys
os.setsid()
print(os.getpid(), flush=True)
for line in sys.stdin:
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    print(repr((done.returncode, done.stdout, done.stderr)), flush=True)
"""


class Window:
    """A process tree as a worker's, whose shell does not know that it is one."""

    def __init__(self, place: Place) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MUX_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRAPPER],
            cwd=place.path.parent,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.pid = int(self.process.stdout.readline())

    def type(self, line: str) -> tuple[int, str, str]:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        found: tuple[int, str, str] = eval(self.process.stdout.readline())
        return found

    def becomes_the_worker_of(self, place: Place, task: str) -> None:
        started = processes.start_time(self.pid)
        run = record(place, task)
        claims.grant(place.folder, task, 1, 1000.0)
        who = {"session": self.pid, "wrapper_pid": self.pid, "wrapper_start": started, "boot_id": processes.boot_id()}
        write_json(run / "start.json", {"at": 1001.0, "pid": self.pid, "ports": None, **who})
        assert Records(place.folder).session(task, 1) == (self.pid, started)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def window(place: Place) -> Iterator[Window]:
    made = Window(place)
    yield made
    made.close()


MUX = f"'{sys.executable}' -m bot.cli"


@pytest.mark.parametrize(
    "line",
    [
        f"{MUX} approve ID --choice take",
        f"env -u MUX_TASK {MUX} answer ID take",
        f"sh -c '(sh -c \"{MUX.replace(chr(39), '')} answer ID take\")'",
        f"setsid --wait {MUX} approve ID --choice take",  # another session, below the worker's
        f"env -u MUX_TASK {MUX} start one",
    ],
)
def test_nor_does_any_process_below_a_worker(place: Place, window: Window, line: str) -> None:
    """The variables are unset, and it does not help: who the ancestors are, and whose session it is, decides."""
    window.becomes_the_worker_of(place, "one")
    request = ask(place)
    code, out, err = window.type(line.replace("ID", request))
    assert (code, out) == (1, "") and "this is the worker of one: only a person decides" in err
    assert decided(place) == [None]


def test_nor_one_that_outlived_its_parents(place: Place, window: Window) -> None:
    """Its parent is gone, so nobody above it is the worker's; its session still is."""
    window.becomes_the_worker_of(place, "one")
    request = ask(place)
    done = place.path.with_name("done")
    window.type(f"(sleep 0.3; {MUX} answer {request} take 2> said; echo > {done}) > /dev/null 2>&1 &")
    wait_for(done.exists, seconds=PATIENCE)
    assert "only a person decides" in place.path.with_name("said").read_text()
    assert decided(place) == [None]


def test_a_person_in_a_session_that_is_no_workers_decides(place: Place, window: Window) -> None:
    """The same tree, and nothing says that it is a worker's: the refusals above come from the start records."""
    request = ask(place)
    assert window.type(f"{MUX} answer {request} take")[0] == 0
    assert decided(place) != [None]


def test_a_session_number_that_is_used_again_is_no_workers(place: Place, window: Window) -> None:
    window.becomes_the_worker_of(place, "one")
    path = Records(place.folder).run_folder("one", 1) / "start.json"
    write_json(path, json.loads(path.read_text()) | {"wrapper_start": f"1@{processes.boot_id()}"})
    request = ask(place)
    assert window.type(f"{MUX} answer {request} take")[0] == 0


@pytest.mark.parametrize("part", ["", ".answer"])
def test_one_that_is_damaged_holds_up_no_other(mux: Mux, place: Place, part: str) -> None:
    good, bad = ask(place), recover(place)
    damaged = place.folder / "requests" / f"{bad}{part}.json"
    damaged.write_text("{")
    listed = mux("requests")
    assert listed.code == 1 and good in listed.out and f"{damaged} is damaged" in listed.out
    assert mux("doctor").out.count(f"{damaged} is damaged") == 1
    assert mux("status").code == 0
    refused = mux("approve", bad, "--choice", "in-place")
    assert refused.code != 0 and f"{damaged} is damaged" in refused.err and "mv " in refused.err
    assert mux("approve", good, "--choice", "take").code == 0


@pytest.mark.parametrize(
    ("action", "said"), [("gate", "the worker is told no"), ("recover", "start nothing; its home is kept as it is")]
)
def test_a_no_says_what_it_does(mux: Mux, place: Place, action: str, said: str) -> None:
    request = ask(place, action, ("approve",))
    assert mux("deny", request).out == f"{request}: deny: {said}\n"
