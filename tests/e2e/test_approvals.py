"""What could discard work or repeat an effect waits for a person, is done once, as it was asked, or not at all.

The control plane is killed at random moments all along the way.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runners.requests import Requests
from tests.e2e import ends
from tests.e2e.conftest import Desk, section
from tests.support import PATIENCE, wait_for

KEYS = "max_workers: 99\nrestart: {backoff: 1s, early: 1s}\noutage: {workers: 999, within: 30s, pace: 1s}\n"
#: One commit beyond the checkpoint, one file that is not committed, one that git ignores. Later attempts do nothing.
WORK = """if [ "$MUX_ATTEMPT" = 1 ]; then
echo mine > committed; git add committed; git commit -qm mine
echo half > work; echo secret > .env
echo changed >> README
touch "../$MUX_TASK.ready"
fi
exec sleep 1000"""


def were_killed(desk: Desk, tasks: dict[str, dict[str, Any]], script: str) -> None:
    """Workers, with work of theirs in their homes."""
    desk.write(*(section(task, desk.counted(task, script), **more) for task, more in tasks.items()), keys=KEYS)
    desk.up()
    for task in tasks:
        wait_for((desk.home(task).parent / f"{task}.ready").exists, lambda task=task: f"{task}: {desk.task(task)}")
    ends.kill(*(desk.start_record(task)["pid"] for task in tasks))


def asked_about(desk: Desk, tasks: dict[str, dict[str, Any]], script: str = WORK) -> dict[str, str]:
    """Such tasks, and the ids of the requests about them."""
    were_killed(desk, tasks, script)
    return {task: ends.request_of(desk, task) for task in tasks}


def start_commit(desk: Desk) -> str:
    return desk.git("rev-parse", "main")


def is_at_the_checkpoint(desk: Desk, task: str, before: ends.Picture) -> None:
    """HEAD and files are those of the checkpoint, and what was there is in a snapshot, commits and files."""
    files, head, _ = ends.picture(desk, task)
    assert head == start_commit(desk)
    assert files == {".env": b"secret\n", "README": b"read me\n", ".gitignore": files[".gitignore"]}
    is_kept(desk, task, before)


def is_kept(desk: Desk, task: str, before: ends.Picture) -> None:
    """A snapshot holds every file of the picture that git does not ignore, and some ref of git its HEAD."""
    wanted = ends.hashed({name: data for name, data in before[0].items() if name != ".env"})
    refs = ends.snapshots(desk, task)
    assert wanted in [ends.blobs(desk, ref) for ref in refs], f"{task}: no snapshot of {refs} is {wanted}"
    assert desk.git(
        "for-each-ref", f"--contains={before[1]}", f"refs/mux/shop/snapshots/{task}", f"refs/heads/mux/shop/{task}"
    )


def decide(desk: Desk, request: str, choice: str, code: int | None = 0) -> str:
    done = desk.mux("answer", request, choice, code=code)
    return done.stdout + done.stderr


def start_plane(desk: Desk) -> subprocess.Popen[str]:
    """The control plane, not waited for: it may be killed before its first look."""
    words = [sys.executable, "-m", "bot.cli", "up", "--trust"]
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    plane = subprocess.Popen(words, cwd=desk.repository, env=desk.environment, text=True, **silent)  # type: ignore[call-overload]
    desk.planes.append(plane)
    return plane


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_nothing_is_done_without_a_decision_and_nothing_twice(desk: Desk, seed: int) -> None:
    moments = random.Random(seed)
    more: dict[str, dict[str, Any]] = {
        "undecided": {},
        "denied": {},
        "changed": {},
        "expired": {"expiry": {"recovery": "1s"}},
        "checkpoint": {},
        "in-place": {},
        "again": {"destructive": True},
    }
    still = ("undecided", "denied", "changed", "expired")
    desk.write(*(section(task, desk.counted(task, WORK), **keys) for task, keys in more.items()), keys=KEYS)
    plane = desk.up()
    for task in more:
        wait_for((desk.home(task).parent / f"{task}.ready").exists, lambda task=task: f"{task}: {desk.task(task)}")
    desk.kill(plane)
    ends.kill(*(desk.start_record(task)["pid"] for task in more))
    before = {task: ends.picture(desk, task) for task in more}

    def live_and_die(times: int) -> None:
        """Control planes that come up and are killed, some before their first look."""
        for _ in range(times):
            plane = start_plane(desk)
            with contextlib.suppress(subprocess.TimeoutExpired):
                plane.wait(timeout=moments.uniform(0.2, 1.3))
            desk.kill(plane)
            for task in still:
                assert (desk.runs(task), ends.picture(desk, task)) == (1, before[task]), task

    live_and_die(4)
    assert [desk.runs(task) for task in more] == [1] * len(more)
    assert {task: ends.picture(desk, task) for task in more} == before
    plane = desk.up()
    asked = {task: ends.request_of(desk, task) for task in more if task != "expired"}
    wait_for(lambda: "nobody decided by" in desk.task("expired")["why"])
    desk.kill(plane)
    (desk.home("changed") / "work").write_text("changed since\n")
    before["changed"] = ends.picture(desk, "changed")
    answers = [*[(task, task) for task in ("checkpoint", "in-place")], ("again", "in-place")]
    answers += [("changed", "checkpoint"), ("denied", "deny")]
    moments.shuffle(answers)
    for task, choice in answers:
        decide(desk, asked[task], choice)
        live_and_die(moments.choice((0, 1, 1, 2)))
    live_and_die(3)
    desk.up()
    for task in ("checkpoint", "in-place", "again"):
        _goes_on_or_is_asked_anew(desk, task, asked[task])
        desk.until(task, "running")
    assert ends.request_of(desk, "changed", but=asked["changed"])
    assert "changed since it was asked" in ends.closed(desk, asked["changed"])
    assert "not decided: denied by terminal:" in desk.until("denied", "blocked")["why"]
    assert "nobody decided by" in desk.until("expired", "blocked")["why"]
    assert ends.request_of(desk, "undecided") == asked["undecided"]
    assert {task: desk.runs(task) for task in more} == {task: 1 if task in still else 2 for task in more}
    for task in more:
        if task == "checkpoint":
            is_at_the_checkpoint(desk, task, before[task])
        else:
            assert ends.picture(desk, task) == before[task]
        is_kept(desk, task, before[task])


def _goes_on_or_is_asked_anew(desk: Desk, task: str, first: str) -> None:
    """A kill amid git's own steps leaves neither what was asked about nor the checkpoint: that needs a person again."""

    def over() -> bool:
        return desk.runs(task) == 2 or ends.request_in(desk.task(task)["why"]) not in ("", first)

    wait_for(over, lambda: f"{task}: {desk.task(task)}")
    if desk.runs(task) == 1:
        assert "cut short on the way to its checkpoint" in ends.closed(desk, first)
        assert list((desk.folder / "requests").glob(f"{first}.step-reset-*.json")), "it was not killed in a reset"
        decide(desk, ends.request_of(desk, task, but=first), "checkpoint")
        wait_for(lambda: desk.runs(task) == 2, lambda: f"{task}: {desk.task(task)}")


def edit_file(desk: Desk, home: Path) -> None:
    (home / "work").write_text("more\n")


def add_file(desk: Desk, home: Path) -> None:
    (home / "more").write_text("more\n")


def remove_file(desk: Desk, home: Path) -> None:
    (home / "work").unlink()


def commit(desk: Desk, home: Path) -> None:
    desk.git("commit", "--quiet", "--all", "--message", "by a person", cwd=home)


def switch(desk: Desk, home: Path) -> None:
    desk.git("switch", "--quiet", "--create", "other", cwd=home)


CHANGES = (edit_file, add_file, remove_file, commit, switch)


def test_with_the_tree_changed_since_it_was_asked_nothing_is_done_and_it_is_asked_anew(desk: Desk) -> None:
    changes = {change.__name__.replace("_", "-"): change for change in CHANGES}
    asked = asked_about(desk, {task: {} for task in changes})
    for task, change in changes.items():
        change(desk, desk.home(task))
    before = {task: ends.picture(desk, task) for task in changes}
    for task in changes:
        decide(desk, asked[task], "checkpoint")
    anew = {task: ends.request_of(desk, task, but=asked[task]) for task in changes}
    for task in changes:
        assert "changed since it was asked" in ends.closed(desk, asked[task])
        assert "decided already: checkpoint, by terminal:" in decide(desk, asked[task], "checkpoint", code=1)
        assert (desk.runs(task), ends.picture(desk, task)) == (1, before[task])
        is_kept(desk, task, before[task])
        assert "its worktree changed since it was asked" in ends.request(desk, anew[task])["why"]
    # It is on another branch: to take it back would be refused, and is not offered.
    assert ends.request(desk, anew.pop("switch"))["choices"] == ["in-place"]
    for task, request in anew.items():
        decide(desk, request, "checkpoint")
        wait_for(lambda task=task: desk.runs(task) == 2, lambda task=task: f"{task}: {desk.task(task)}")
        is_at_the_checkpoint(desk, task, before[task])


def rebase(desk: Desk, home: Path) -> None:
    """One that stopped at a conflict."""
    desk.git("stash", "--include-untracked", "--quiet", cwd=home)
    desk.git("switch", "--quiet", "--detach", "main", cwd=home)
    (home / "committed").write_text("another\n")
    desk.git("add", "committed", cwd=home)
    desk.git("commit", "--quiet", "--message", "in the way", cwd=home)
    there = desk.git("rev-parse", "HEAD", cwd=home)
    desk.git("switch", "--quiet", "-", cwd=home)
    with contextlib.suppress(subprocess.CalledProcessError):
        desk.git("rebase", there, cwd=home)


def nest(desk: Desk, home: Path) -> None:
    (home / "nested").mkdir()
    desk.git("init", "--quiet", cwd=home / "nested")
    (home / "nested" / "inner").write_text("a repository of its own\n")


def test_where_a_snapshot_cannot_hold_all_the_checkpoint_is_not_offered(desk: Desk) -> None:
    makers = {"rebase": rebase, "nested": nest}
    go = desk.repository.parent / "made"
    script = f"{WORK.removesuffix('exec sleep 1000')}while ! test -e '{go}'; do sleep 0.1; done; exit 3"
    desk.write(*(section(task, desk.counted(task, script)) for task in makers), keys=KEYS)
    desk.up()
    for task, make in makers.items():
        wait_for((desk.home(task).parent / f"{task}.ready").exists)
        make(desk, desk.home(task))
    go.touch()
    for task in makers:
        request = ends.request_of(desk, task)
        before = ends.picture(desk, task)
        assert ends.request(desk, request)["choices"] == ["in-place"]
        assert "takes in-place or deny, not 'checkpoint'" in decide(desk, request, "checkpoint", code=1)
        decide(desk, request, "deny")
        wait_for(lambda task=task: "not decided" in desk.task(task)["why"])
        assert (desk.runs(task), ends.picture(desk, task)) == (1, before)


def test_what_a_snapshot_leaves_out_stays_where_it_is(desk: Desk) -> None:
    """A file over the cap, and one that git ignores."""
    big = 'truncate -s 105000000 "big file"\n'
    script = WORK.replace("touch", f"{big}touch")
    request = asked_about(desk, {"a": {}}, script)["a"]
    assert ends.request(desk, request)["evidence"]["left_out"] == 1
    before = (desk.home("a") / "big file").stat()
    decide(desk, request, "checkpoint")
    wait_for(lambda: desk.runs("a") == 2, lambda: f"{desk.task('a')}")
    after = (desk.home("a") / "big file").stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert (desk.home("a") / ".env").read_text() == "secret\n"
    assert not (desk.home("a") / "work").exists()
    assert desk.git("rev-parse", "HEAD", cwd=desk.home("a")) == start_commit(desk)


def test_the_second_decision_is_told_that_it_came_late(desk: Desk) -> None:
    request = asked_about(desk, {"a": {}})["a"]
    desk.kill(desk.planes[-1])
    assert "it takes effect with the next: mux up" in decide(desk, request, "in-place")
    for choice in ("in-place", "checkpoint", "deny"):
        said = decide(desk, request, choice, code=1)
        assert f"request {request} was decided already: in-place, by terminal:" in said
    desk.up()
    wait_for(lambda: desk.runs("a") == 2)
    ends.closed(desk, request)
    assert f"request {request} was decided already: in-place, by" in decide(desk, request, "checkpoint", code=1)
    assert (desk.home("a") / "work").read_text() == "half\n"


def test_of_decisions_at_the_same_instant_one_wins(desk: Desk) -> None:
    tasks = [f"t{number}" for number in range(4)]
    asked = asked_about(desk, {task: {} for task in tasks})
    choices = ("in-place", "checkpoint", "deny")
    for task in tasks:
        words = [sys.executable, "-m", "bot.cli", "answer", asked[task]]
        several = [
            subprocess.Popen(
                [*words, choice], cwd=desk.repository, env=desk.environment, stdout=-1, stderr=-1, text=True
            )
            for choice in choices * 2
        ]
        said = [each.communicate(timeout=PATIENCE) for each in several]
        codes = [each.returncode for each in several]
        assert sorted(codes) == [0, 1, 1, 1, 1, 1], said
        won = (choices * 2)[codes.index(0)]
        late = [err for code, (_, err) in zip(codes, said, strict=True) if code]
        first = f"request {asked[task]} was decided already: {won}, by terminal:"
        assert all(first in err or "is closed: " in err for err in late), late
        runs = 1 if won == "deny" else 2
        if won == "deny":
            wait_for(lambda task=task: "not decided: denied" in desk.task(task)["why"])
        else:
            wait_for(lambda task=task: desk.task(task)["attempt"] == 2 and desk.task(task)["status"] == "running")
        wait_for(lambda task=task, runs=runs: desk.runs(task) == runs, f"{task} ran {runs} times")
        assert (desk.home(task) / "work").exists() is (won != "checkpoint")


@pytest.mark.parametrize("down", [False, True])
def test_what_nobody_decided_in_time_is_denied(desk: Desk, down: bool) -> None:
    were_killed(desk, {"a": {"expiry": {"recovery": "2s"}}}, WORK)
    # Its reason names it for two seconds only.
    request = wait_for(lambda: Requests(desk.folder).all(), "it is asked about")[0].request.id
    if down:
        desk.kill(desk.planes[-1])
    before = ends.picture(desk, "a")
    expires = ends.request(desk, request)["expires"]
    wait_for(lambda: time.time() > expires)
    assert f"request {request} " in (said := decide(desk, request, "checkpoint", code=1))
    assert "expired" in said or "nobody decided in time" in said
    if down:
        desk.up()
    wait_for(lambda: "not decided: nobody decided by " in desk.task("a")["why"])
    assert desk.task("a")["status"] == "blocked"
    assert ends.closed(desk, request) == "nobody decided in time"
    assert (desk.runs("a"), ends.picture(desk, "a")) == (1, before)
    desk.mux("restart", "a", "--how", "in-place")
    wait_for(lambda: desk.runs("a") == 2, "asked anew by a person, it goes on")


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("code", [0, 3])
def test_approved_after_its_worker_ended_by_itself(desk: Desk, down: bool, code: int) -> None:
    """The question was whether to end a worker that lives, and to take its work away."""
    fifo = ends.fifo(desk.repository.parent / "go")
    script = f"echo mine > mine; git add mine; git commit -qm mine\nread -r line < '{fifo}' || true\nexit {code}"
    desk.write(section("a", desk.counted("a", script)))
    plane = desk.up()
    desk.until("a", "running")
    wait_for(lambda: desk.runs("a") == 1)
    wait_for(lambda: (desk.home("a") / "mine").exists() and desk.git("status", "-s", cwd=desk.home("a")) == "")
    desk.mux("restart", "a", "--how", "checkpoint")
    request = ends.request_of(desk, "a")
    if down:
        desk.kill(plane)
    ends.let_go(fifo)
    wait_for((desk.folder / "runs" / "a" / "1" / "exit.json").exists)
    if down:
        decide(desk, request, "checkpoint")
        desk.up()
    assert ends.closed(desk, request) == "its worker ended by itself"
    late = "decided already: checkpoint" if down else "its worker ended by itself"
    assert late in decide(desk, request, "checkpoint", code=1)
    desk.until_on_board("a", "failed" if code else "done")
    assert desk.runs("a") == 1
    assert (desk.home("a") / "mine").read_text() == "mine\n"


def test_a_worker_that_is_through_while_its_restart_is_carried_out_does_not_run_again(desk: Desk) -> None:
    """Each ends by itself, with exit 0, somewhere around the moment at which it is to be ended."""
    tasks = [f"t{number}" for number in range(8)]
    go = {task: ends.fifo(desk.repository.parent / f"go-{task}") for task in tasks}
    scripts = {task: desk.counted(task, f"read -r line < '{go[task]}' || true\nexit 0") for task in tasks}
    desk.write(*(section(task, scripts[task]) for task in tasks), keys=KEYS)
    desk.up()
    for task in tasks:
        desk.until_on_board(task, "running")
    for task in tasks:
        desk.order(task)
    asked = {task: ends.request_of(desk, task) for task in tasks}
    requests, moments = Requests(desk.folder), random.Random(1)
    for task in tasks:
        requests.answer(asked[task], "in-place", "a test", time.time())
        (desk.folder / "inbox" / "answer").touch()
        time.sleep(moments.uniform(0, 0.04))
        ends.let_go(go[task], waits=False)
    codes = []
    for task in tasks:
        wait_for((desk.folder / "runs" / task / "1" / "exit.json").exists)
        ended = json.loads((desk.folder / "runs" / task / "1" / "exit.json").read_text())
        codes.append(ended["code"])
        if ended["code"] == 0:
            desk.until_on_board(task, "done")
            assert desk.runs(task) == 1, f"{task} was through, and ran again"
            assert ends.closed(desk, asked[task]) == "its worker ended by itself"
        else:
            wait_for(lambda task=task: desk.runs(task) == 2, lambda task=task: f"{task}: {desk.task(task)}")
    print(f"{codes.count(0)} of {len(codes)} were through")


def test_a_ready_written_once_it_has_failed_is_an_order_though_another_was_a_question(desk: Desk) -> None:
    go = ends.fifo(desk.repository.parent / "go")
    script = f"test $MUX_ATTEMPT = 1 || exit 0; read -r line < '{go}' || true\nexit 3"
    desk.write(section("a", desk.counted("a", script), restart="never"))
    desk.up()
    desk.until_on_board("a", "running")
    desk.order("a")
    desk.mux("deny", ends.request_of(desk, "a"))
    desk.until_on_board("a", "running")
    ends.let_go(go)
    desk.until_on_board("a", "failed")
    desk.order("a")
    desk.until_on_board("a", "done")
    assert desk.runs("a") == 2


def test_approved_before_or_after_a_person_wrote_stopped(desk: Desk) -> None:
    """The word on the board is the newer wish, and stands; whichever of the two mux sees first."""
    asked = asked_about(desk, {"up": {}, "answer-first": {}, "stopped-first": {}})
    for task in asked:
        desk.until_on_board(task, "blocked")
    before = {task: ends.picture(desk, task) for task in asked}
    desk.order("up", "stopped")
    assert ends.closed(desk, asked["up"]) == "'stopped' was written at up"
    assert "'stopped' was written at up" in decide(desk, asked["up"], "checkpoint", code=1)
    desk.kill(desk.planes[-1])
    decide(desk, asked["answer-first"], "checkpoint")
    desk.order("answer-first", "stopped")
    desk.order("stopped-first", "stopped")
    decide(desk, asked["stopped-first"], "checkpoint")
    desk.up()
    for task in asked:
        assert ends.closed(desk, asked[task]) == f"'stopped' was written at {task}"
        assert desk.until(task, "stopped")["attempt"] == 1
        assert (desk.runs(task), ends.picture(desk, task)) == (1, before[task])


def test_an_approval_is_for_one_restart(desk: Desk) -> None:
    """A destructive task that fails again is asked about again."""
    desk.write(section("a", desk.counted("a", "sleep 1.2; exit 3"), destructive=True), keys=KEYS)
    desk.up()
    first = ends.request_of(desk, "a")
    assert desk.runs("a") == 1
    decide(desk, first, "in-place")
    second = ends.request_of(desk, "a", but=first)
    assert ends.request(desk, second)["attempt"] == 2
    assert desk.runs("a") == 2
