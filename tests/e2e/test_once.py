"""`mux once` in real processes: killed at any moment it repeats nothing without a person, and forgets no end."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.place import place_of
from runners import once, once_questions
from runners.asked import AGAIN, FINISHED
from runners.model import Home
from runners.once import State, Step
from tests.bot.speaking import Speaker, ended, speaker_at
from tests.support import PATIENCE, wait_for

OUT, ERR = "out ä\n", "err\n"


@dataclass
class Shop:
    worker: Speaker
    folder: Path

    @property
    def script(self) -> str:
        """Leaves a line for each start, prints, and waits for leave to end, if it is told to."""
        ran, hold = shlex.quote(str(self.folder / "ran")), shlex.quote(str(self.folder / "hold"))
        wait = f"while [ -e {hold} ]; do sleep 0.01; done"
        return f"echo started >> {ran}; printf 'out ä\\n'; echo err >&2; {wait}; echo ended >> {ran}; exit 3"

    @property
    def words(self) -> tuple[str, ...]:
        return ("once", "deploy", "--", "sh", "-c", self.script)

    def lines(self, word: str) -> int:
        path = self.folder / "ran"
        return path.read_text().split().count(word) if path.exists() else 0

    @property
    def starts(self) -> int:
        return self.lines("started")

    def hold(self) -> None:
        (self.folder / "hold").touch()

    def let_go(self) -> None:
        (self.folder / "hold").unlink()

    def step(self) -> Step | None:
        return once.look(self.worker.place.folder, "fix", "deploy")

    def state(self) -> State | None:
        step = self.step()
        return step.state if step else None

    def begin(self) -> subprocess.Popen[str]:
        return self.worker.start(*self.words)

    def finished(self) -> tuple[int, str, str]:
        return ended(self.begin())

    def half_done(self) -> None:
        """The step was begun by somebody who is gone, with all of it."""
        argv = self.words[3:]
        once.begin(self.worker.place.folder, "fix", "deploy", argv, 1, 1.0, ((999_999_999, "1@gone"),), None, None)

    def alone(self) -> tuple[int, str, str] | None:
        """Call it, with no person anywhere. None: it asks one; then it is killed."""
        process = self.begin()
        waits = wait_for(lambda: process.poll() is not None or self.waiting(), "it ends or asks")
        if waits is True:
            return ended(process)
        process.kill()
        process.communicate()
        return None

    def waiting(self) -> list[str]:
        return [asked.request.id for asked in self.worker.requests.all() if asked.waits]


def make_shop(folder: Path) -> Shop:
    folder.mkdir(exist_ok=True)
    (folder / "board.md").write_text("# Shop\n\n## fix: Fix\n\n```yaml\nstatus: draft\n```\n")
    return Shop(speaker_at(place_of(folder / "board.md"), Home(folder, "mux/shop/fix", "")), folder)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = make_shop(tmp_path / "shop")
    yield made
    made.worker.close()


def test_the_second_call_gets_what_the_first_got(shop: Shop) -> None:
    assert shop.finished() == (3, OUT, ERR)
    shop.worker.become(2)
    code, out, err = shop.finished()
    assert (code, out, shop.starts) == (3, OUT, 1)
    assert re.fullmatch(r"err\nmux: recorded: the step 'deploy' ran already: exit 3, at 20\S+Z, by attempt 1\n", err)
    assert once.finished(shop.worker.place.folder, "fix") == ("deploy",)


def test_another_command_under_the_same_key_is_refused(shop: Shop) -> None:
    shop.finished()
    code, out, err = shop.worker.mux("once", "deploy", "--", "echo", "other")
    assert (code, out) == (2, "") and "is another command, begun by attempt 1 at 20" in err and "sh -c" in err
    assert shop.worker.mux("once", "other", "--", "echo", "other")[:2] == (0, "other\n")


def test_options_of_the_command_are_its_own(shop: Shop) -> None:
    assert shop.worker.mux("once", "k", "--", "echo", "--help", "-b", "x", "--")[1] == "--help -b x --\n"
    assert shop.worker.mux("once", "l", "echo", "-m", "--")[1] == "-m --\n"
    assert shop.worker.mux("once", "k" * 201, "--", "true")[0] == 2
    assert shop.worker.mux("once", "k")[0] == 2


def test_what_could_not_be_started_was_not_begun(shop: Shop) -> None:
    script = shop.folder / "script"
    script.write_text("no first line says who reads it\n")
    assert shop.worker.mux("once", "deploy", "--", str(script))[0] == 126
    code, _, err = shop.worker.mux("once", "deploy", "--", "./nowhere")
    assert (code, err) == (127, "mux: cannot run ./nowhere: no such file or directory\n")
    assert shop.finished() == (3, OUT, ERR)


def test_output_is_passed_on_while_it_runs(shop: Shop) -> None:
    shop.hold()
    process = shop.begin()
    assert process.stdout is not None and process.stdout.readline() == OUT
    assert process.poll() is None and shop.state() is State.RUNNING
    shop.let_go()
    assert ended(process)[0] == 3


def test_who_does_not_read_holds_up_no_record(shop: Shop) -> None:
    process = shop.worker.start("once", "much", "--", "head", "-c", "1000000", "/dev/zero")
    wait_for(lambda: once.finished(shop.worker.place.folder, "fix") == ("much",))
    code, out, _ = ended(process)
    assert (code, len(out)) == (0, 1_000_000)
    gone = shop.worker.start("once", "more", "--", "head", "-c", "1000000", "/dev/zero")
    assert gone.stdout is not None
    gone.stdout.close()
    assert gone.wait(PATIENCE) == 0
    assert once.finished(shop.worker.place.folder, "fix") == ("much", "more")


def test_many_at_the_same_instant(shop: Shop) -> None:
    calls = [shop.begin() for _ in range(6)]
    found = [ended(each) for each in calls]
    assert shop.starts == 1
    assert {(code, out) for code, out, _ in found} == {(3, OUT)}
    assert sum("recorded" in err for _, _, err in found) == 5


def test_the_next_waits_while_one_runs(shop: Shop) -> None:
    shop.hold()
    first = shop.begin()
    wait_for(lambda: shop.starts)
    second = shop.begin()
    assert second.stderr is not None
    assert second.stderr.readline() == "mux: waits: attempt 1 runs this step now\n"
    shop.let_go()
    assert ended(first)[:2] == ended(second)[:2] == (3, OUT)
    assert shop.starts == 1


def test_a_command_whose_caller_was_killed_ends_by_itself_before_anybody_is_asked(shop: Shop) -> None:
    shop.hold()
    first = shop.begin()
    wait_for(lambda: shop.starts)
    first.kill()
    first.wait()
    assert shop.state() is State.RUNNING
    second = shop.begin()
    assert second.stderr is not None and "waits: attempt 1 runs" in second.stderr.readline()
    assert shop.worker.requests.open() == []
    shop.let_go()
    asked = shop.worker.asked().request
    assert (asked.action, asked.choices, shop.lines("ended")) == ("once", ("again", "finished"), 1)
    assert shop.worker.mux("approve", asked.id, "--choice", "finished", person=True)[0] == 0
    code, out, err = ended(second)
    assert (code, out) == (0, OUT) and "terminal:" in err and "said at 20" in err
    assert shop.starts == 1
    assert shop.finished()[0] == 0 and shop.starts == 1


def test_again_allows_one_run(shop: Shop) -> None:
    shop.half_done()
    calls = [shop.begin() for _ in range(4)]
    asked = shop.worker.asked().request
    code, _, err = shop.worker.mux("approve", asked.id, person=True)
    assert code == 1 and "--choice again (run the step again" in err and "--choice finished (you have seen" in err
    assert shop.worker.mux("approve", asked.id, "--choice", "again", person=True)[0] == 0
    assert {ended(each)[:2] for each in calls} == {(3, OUT)}
    assert shop.starts == 1
    assert shop.worker.requests.open() == []


@pytest.mark.parametrize("how", ["deny", "expire"])
def test_without_a_yes_nothing_runs_and_the_next_call_asks_anew(shop: Shop, how: str) -> None:
    text = "---\nexpiry: {recovery: 1s}\n---\n" if how == "expire" else ""
    (shop.folder / "board.md").write_text(text + (shop.folder / "board.md").read_text())
    shop.half_done()
    call = shop.begin()
    asked = wait_for(shop.worker.requests.all, "it asks")[0].request  # who expires does not wait for long
    if how == "deny":
        assert shop.worker.mux("deny", asked.id, person=True)[0] == 0
    assert ended(call)[0] == 1
    assert (shop.starts, shop.worker.requests.open()) == (0, [])
    shop.begin()
    wait_for(lambda: len(shop.worker.requests.all()) == 2, "the next call asks anew")


def test_the_answer_reaches_the_next_attempt_if_the_one_that_asked_is_gone(shop: Shop) -> None:
    shop.half_done()
    call = shop.begin()
    asked = shop.worker.asked().request
    call.kill()
    call.wait()
    shop.worker.become(2)
    assert shop.worker.mux("approve", asked.id, "--choice", "again", person=True)[0] == 0
    assert shop.finished() == (3, OUT, ERR)
    assert shop.alone() is not None and shop.starts == 1


def test_an_answer_counts_also_when_mux_has_closed_the_question_already(shop: Shop) -> None:
    """The control plane closes what is answered, and what a worker asked that is gone."""
    shop.half_done()
    step = shop.step()
    assert step is not None
    requests = shop.worker.requests
    asked = once_questions.ask(requests, "fix", step, time.time(), time.time() + 3600)
    requests.answer(asked.id, "again", "ana", time.time())
    requests.close(asked, "answered, by ana", time.time())
    assert shop.finished() == (3, OUT, ERR)
    assert shop.finished()[0] == 3 and shop.starts == 1


def test_the_next_attempt_asks_in_its_own_name(shop: Shop) -> None:
    shop.half_done()
    call = shop.begin()
    old = shop.worker.asked().request
    call.kill()
    call.wait()
    shop.worker.become(2)
    shop.begin()
    wait_for(lambda: [request.attempt for request in shop.worker.requests.open()] == [2])
    assert shop.worker.requests.find(old.id).closed is not None


def test_a_command_that_is_ended_by_a_signal_did_not_finish(shop: Shop) -> None:
    shop.hold()
    call = shop.begin()
    wait_for(lambda: shop.starts)
    call.terminate()  # what a stop does; it is passed on to the command
    code, _, err = ended(call)
    assert code == 128 + signal.SIGTERM and "a person is asked" in err
    assert once.unfinished(shop.worker.place.folder, "fix") == ("deploy",)
    shop.let_go()
    assert shop.alone() is None and shop.starts == 1


def test_a_command_that_gets_to_its_end_in_spite_of_a_signal_did(shop: Shop) -> None:
    quiet = f"trap '' TERM; echo > {shlex.quote(str(shop.folder / 'ready'))}; sleep 0.5; echo whole"
    call = shop.worker.start("once", "k", "--", "sh", "-c", quiet)
    wait_for((shop.folder / "ready").exists)
    call.terminate()
    assert ended(call)[:2] == (0, "whole\n")
    assert once.finished(shop.worker.place.folder, "fix") == ("k",)


def kill_after(process: subprocess.Popen[str], seconds: float, commands: bool) -> bool:
    """Kill it after that time, with its command or without. False: it had ended by itself."""
    time.sleep(seconds)  # the moment is the point: there is nothing to wait for
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    also = [int(pid) for pid in children.read_text().split()] if commands and children.exists() else []
    killed = process.poll() is None
    for pid in [process.pid, *also]:
        if process.poll() is None or pid != process.pid:
            with_no_error(pid)
    process.communicate()
    return killed


def with_no_error(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.parametrize("seed", range(12))
def test_killed_at_many_moments(tmp_path: Path, seed: int) -> None:
    """First with nobody there, then with one answer: no kill makes it run more often than that."""
    moments = random.Random(seed)
    shop = make_shop(tmp_path / "shop")
    try:
        begun = time.monotonic()
        shop.worker.mux("once", "measure", "--", "true")
        whole = (time.monotonic() - begun) * 1.3
        for _ in range(3):
            ended_by_itself = not kill_after(shop.begin(), moments.uniform(0, whole), moments.random() < 0.5)
            if ended_by_itself:
                assert shop.state() is State.FINISHED
        wait_for(lambda: shop.state() is not State.RUNNING)
        answer = shop.alone()
        assert shop.starts <= 1
        assert answer is None or (answer[:2] == (3, OUT) and shop.starts == 1)
        if answer is not None:
            return
        asked = shop.worker.waits().request
        shop.worker.mux("approve", asked.id, "--choice", "again", person=True)
        before = shop.starts
        for _ in range(3):
            kill_after(shop.begin(), moments.uniform(0, whole), moments.random() < 0.5)
        wait_for(lambda: shop.state() is not State.RUNNING)
        answer = shop.alone()
        assert shop.starts <= before + 1
        assert answer is None or answer[:2] == (3, OUT)
    finally:
        shop.worker.close()


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
CALLS = ("openat", "write", "fsync", "link", "unlink", "wait4", "close", "read")


def traced(shop: Shop, *strace: str) -> int:
    """Only the caller is traced, not its command. Its exit code; -9 when it was killed."""
    trace = str(shop.folder / "trace")
    argv = ["strace", "-qq", "-o", trace, *strace, sys.executable, "-m", "bot.cli", *shop.words]
    done = subprocess.run(
        argv, cwd=shop.folder, env=shop.worker.environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def moments_of(shop: Shop, name: str) -> list[int]:
    """The numbers of the caller's calls of that name, from the one on that first touches the step's folder."""
    traced(shop, "-y", "-e", f"trace={','.join(CALLS)},mkdir")
    lines = (shop.folder / "trace").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if "/.mux/once" in line)
    names = [line.partition("(")[0] for line in lines]
    counts = [names[: index + 1].count(name) for index in range(first, len(names)) if names[index] == name]
    return counts if len(counts) <= 12 else sorted({*counts[:2], *counts[-4:], *random.Random(name).sample(counts, 6)})


@needs_strace
@pytest.mark.parametrize("name", ["link", "fsync"])
def test_a_full_disk_at_the_end_is_waited_for(shop: Shop, name: str) -> None:
    last = max(moments_of(make_shop(shop.folder.with_name("first")), name))
    assert traced(shop, "-e", f"trace={name}", "-e", f"inject={name}:error=ENOSPC:when={last}") == 3
    assert (shop.state(), shop.starts) == (State.FINISHED, 1)


@needs_strace
@pytest.mark.parametrize("answered", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("name", CALLS)
def test_killed_in_any_call(tmp_path: Path, name: str, answered: bool) -> None:
    def prepared(folder: Path) -> Shop:
        shop = make_shop(folder)
        if answered:
            shop.half_done()
            step = shop.step()
            assert step is not None
            request = once_questions.ask(shop.worker.requests, "fix", step, time.time(), time.time() + 3600)
            shop.worker.requests.answer(request.id, "again", "ana", time.time())
        return shop

    numbers = moments_of(prepared(tmp_path / "first"), name)
    assert numbers or name == "wait4"
    for number in numbers:
        shop = prepared(tmp_path / f"{name}-{number}")
        try:
            code = traced(shop, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}")
            wait_for(lambda shop=shop: shop.state() is not State.RUNNING)
            known = shop.state() is State.FINISHED
            answer = shop.alone()
            assert shop.starts <= 1, f"{name} {number}"
            assert (answer is not None and answer[:2] == (3, OUT)) or (answer is None and not known), f"{name} {number}"
            assert code != 3 or (known and shop.starts == 1), f"{name} {number}"
            if answer is not None:
                assert shop.starts == 1 and shop.alone() is not None and shop.starts == 1
                assert shop.worker.requests.open() == []
        finally:
            shop.worker.close()


def other(shop: Shop) -> tuple[str, ...]:
    return ("once", "deploy", "--", "sh", "-c", f"echo other; {shop.script}")


def test_again_is_for_the_command_that_was_asked_about(shop: Shop) -> None:
    """The next worker wants another one under the same key: that is asked about once more, and says so."""
    shop.half_done()
    once_questions.decide(shop.worker.place.folder, "fix", AGAIN, "ana", 2.0)
    call = shop.worker.start(*other(shop))
    asked = shop.worker.asked().request
    assert "its worker wants to run another command now, as the same step" in asked.why
    assert shop.starts == 0
    assert shop.worker.mux("approve", asked.id, "--choice", "again", person=True)[0] == 0
    assert ended(call)[:2] == (3, f"other\n{OUT}")
    assert shop.starts == 1


def test_finished_holds_for_whatever_command_comes_under_the_key(shop: Shop) -> None:
    shop.half_done()
    once_questions.decide(shop.worker.place.folder, "fix", FINISHED, "ana", 2.0)
    code, _, err = shop.worker.mux(*other(shop))
    assert code == 2 and "is another command" in err
    assert (shop.state(), shop.starts) == (State.FINISHED, 0)
    assert shop.finished()[0] == 0 and shop.starts == 0


def test_the_steps_of_an_earlier_task_are_none_of_a_new_one_with_its_id(shop: Shop) -> None:
    folder = shop.worker.place.folder
    shop.half_done()
    once_questions.decide(folder, "fix", FINISHED, "ana", 2.0)
    once.set_aside(folder, "fix", 2)
    once.set_aside(folder, "fix", 2)  # nothing is left to set aside
    shop.worker.become(2)
    assert once.steps(folder, "fix") == ()
    assert shop.finished() == (3, OUT, ERR)
    assert shop.starts == 1


def test_a_step_whose_record_was_set_aside_does_not_run_again_by_itself(shop: Shop) -> None:
    shop.finished()
    step = shop.step()
    assert step is not None
    (step.folder / "begin-1.json").rename(step.folder.parent / "aside")
    call = shop.begin()
    asked = shop.worker.asked().request
    assert ("its record is lost" in asked.why, shop.starts) == (True, 1)
    shop.worker.mux("approve", asked.id, "--choice", "again", person=True)
    assert ended(call)[:2] == (3, OUT)
    assert shop.finished()[0] == 3 and shop.starts == 2
