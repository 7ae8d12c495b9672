"""Recovery as a person sees it: workers are killed, and what follows is the table's, with a reason."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from tests.e2e.conftest import Desk, section
from tests.support import wait_for

QUICK = "restart: {backoff: 1s, early: 1s}\n"
GO = "while ! test -e '{go}'; do sleep 0.05; done"


def kill_worker(desk: Desk, task: str, number: int = 1) -> None:
    os.kill(desk.start_record(task, number)["pid"], signal.SIGKILL)


def is_written(path: Path, text: str) -> bool:
    """All of it: a shell makes the file first."""
    return path.exists() and path.read_text() == text


def request_of(desk: Desk, task: str) -> str:
    """The id of the request that the task's reason names."""
    wait_for(lambda: "mux requests" in desk.task(task)["why"], lambda: f"{task} is asked about: {desk.task(task)}")
    found = re.search(r"mux requests ([0-9a-f]{12})", desk.task(task)["why"])
    assert found
    return found[1]


def test_a_killed_worker_with_a_clean_tree_is_restarted_once_and_says_why(desk: Desk) -> None:
    go = desk.repository.parent / "go"
    desk.write(section("a", desk.counted("a", GO.format(go=go))), keys=QUICK)
    desk.up()
    desk.until_on_board("a", "running")
    desk.until_runs("a")
    kill_worker(desk, "a")
    desk.until_runs("a", 2)
    why = "restarted after signal 9 (SIGKILL); tree clean at "
    wait_for(lambda: desk.until("a", "running")["why"].startswith(why), lambda: f"it says why: {desk.task('a')}")
    desk.until_on_board("a", "running")
    go.touch()
    desk.until_on_board("a", "done")
    assert desk.runs("a") == 2
    story = desk.mux("journal", "a").stdout
    assert "restart 1 of 3" in story and "restarted" in story


def test_a_killed_worker_with_work_is_asked_about_and_goes_on_in_place(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "echo half >> work; sleep 1000")), keys=QUICK)
    desk.up()
    desk.until_on_board("a", "running")
    wait_for(lambda: is_written(desk.home("a") / "work", "half\n"))
    kill_worker(desk, "a")
    assert "cannot resume, and has work that is not committed" in desk.until("a", "blocked")["why"]
    request = request_of(desk, "a")
    desk.until_on_board("a", "blocked")
    wait_for(lambda: request in desk.board.read_text(), "the reason on the board names the request")
    desk.mux("answer", request, "in-place")
    wait_for(lambda: desk.runs("a") == 2, "it goes on")
    wait_for(lambda: is_written(desk.home("a") / "work", "half\nhalf\n"))
    assert "in-place, by terminal:" in desk.until("a", "running")["why"]


def test_from_the_checkpoint_takes_the_work_away_and_keeps_it(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "test -e ../second || echo half >> work; sleep 1000")), keys=QUICK)
    desk.up()
    desk.until_on_board("a", "running")
    wait_for(lambda: is_written(desk.home("a") / "work", "half\n"))
    kill_worker(desk, "a")
    request = request_of(desk, "a")
    (desk.home("a").parent / "second").touch()
    desk.mux("answer", request, "checkpoint")
    wait_for(lambda: desk.runs("a") == 2, "it starts anew")
    assert not (desk.home("a") / "work").exists()
    assert desk.git("status", "--porcelain", cwd=desk.home("a")) == ""
    desk.mux("stop", "a")
    desk.until("a", "stopped")
    wait_for(lambda: "stopped by a person" in desk.task("a")["why"])
    desk.mux("restore", "a")
    assert (desk.home("a") / "work").read_text() == "half\n"


def test_the_same_failure_twice_asks(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "sleep 1.5; exit 7")), keys=QUICK)
    desk.up()
    assert "same failure twice, no progress: exit 7" in desk.until("a", "blocked")["why"]
    assert desk.runs("a") == 2


def test_a_job_that_fails_at_once_is_tried_twice(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "exit 7")), keys="restart: {backoff: 1s}\n")
    desk.up()
    assert "does not start: exit 7, twice within 10s" in desk.until("a", "failed")["why"]
    assert desk.runs("a") == 2


def test_ready_on_a_running_task_asks_and_restarts_with_a_yes(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "sleep 1000")))
    desk.up()
    desk.until_on_board("a", "running")
    desk.until_runs("a")
    desk.order("a")
    request = request_of(desk, "a")
    desk.until_on_board("a", "running")
    assert desk.runs("a") == 1
    desk.mux("answer", request, "in-place")
    desk.until_runs("a", 2)
    wait_for(lambda: desk.until("a", "running")["attempt"] == 2, lambda: f"the second runs: {desk.task('a')}")


def test_a_destructive_task_runs_again_only_with_a_yes(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "exit 0"), destructive=True))
    desk.up()
    desk.until_on_board("a", "done")
    desk.order("a")
    request = request_of(desk, "a")
    desk.until_on_board("a", "blocked")
    assert desk.runs("a") == 1
    desk.mux("answer", request, "in-place")
    wait_for(lambda: desk.runs("a") == 2, "it runs again")
    desk.until_on_board("a", "done")


def test_a_worker_without_its_section_is_asked_about(desk: Desk) -> None:
    desk.write(section("gone", "sleep 1000"), section("stays", status="draft"))
    desk.up()
    desk.until_on_board("gone", "running")
    desk.edit(lambda text: text[: text.index("## gone")] + text[text.index("## stays") :])
    wait_for(lambda: "its section is gone" in desk.mux("requests").stdout)
    found = re.search(r"^([0-9a-f]{12})  gone: its section is gone", desk.mux("requests").stdout, re.MULTILINE)
    assert found and [orphan["id"] for orphan in desk.state()["orphans"]] == ["gone"]
    desk.mux("answer", found[1], "stop")
    wait_for(lambda: desk.state()["orphans"] == [], "it is ended")


def test_restart_of_a_stopped_task_from_the_command_line(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "echo half > work; sleep 1000")))
    desk.up()
    desk.until_on_board("a", "running")
    wait_for(lambda: is_written(desk.home("a") / "work", "half\n"))
    desk.mux("stop", "a")
    wait_for(lambda: "stopped by a person" in desk.task("a")["why"])
    desk.until_on_board("a", "stopped")
    said = desk.mux("restart", "a", "--how", "checkpoint").stdout
    assert "takes away 1 untracked file" in said
    desk.mux("answer", request_of(desk, "a"), "checkpoint")
    wait_for(lambda: desk.runs("a") == 2, "it starts anew")
    desk.until_on_board("a", "running")


def test_a_damaged_request_is_named_and_holds_up_nobody(desk: Desk) -> None:
    desk.write(section("a", "exit 3", destructive=True), section("b", status="draft"), keys=QUICK)
    desk.up()
    request = request_of(desk, "a")
    path = desk.folder / "requests" / f"{request}.answer.json"
    path.write_text("{")
    desk.order("b")
    desk.until_on_board("b", "done")
    said = [each["text"] for each in desk.journal() if str(path.name) in each["text"]]
    assert len(said) == 1 and "is damaged" in said[0]
    assert path.name in desk.mux("doctor", code=None).stdout
    assert path.name in desk.mux("requests", code=1).stdout
    assert request_of(desk, "a") != request, "it is asked anew"


def test_what_is_old_and_cannot_be_removed_is_named_and_holds_up_nobody(desk: Desk) -> None:
    desk.write(section("a"))
    old = desk.folder / "journal-2001-01.jsonl"
    old.mkdir(parents=True)
    desk.up()
    desk.until_on_board("a", "done")
    (told,) = [each["text"] for each in desk.journal() if each["event"] == "trouble"]
    assert "mux cannot remove" in told and told.endswith("(more: .mux/mux.log)")
    assert old.name in (desk.folder / "mux.log").read_text()


def test_an_attempt_whose_step_still_runs_is_not_concluded_before_that_ends(desk: Desk) -> None:
    """It left the step behind, in the background, in a session of its own."""
    go = desk.repository.parent / "go"
    step = f"while ! test -e '{go}'; do sleep 0.05; done"
    begun = f'ls "{desk.folder}"/once/a/*/begin-1.json >/dev/null 2>&1'
    script = f'setsid mux once deploy -- sh -c "{step}" & while ! {begun}; do sleep 0.05; done'
    desk.write(section("a", desk.counted("a", script)))
    desk.up()
    exited = desk.folder / "runs" / "a" / "1" / "exit.json"
    wait_for(exited.exists)
    wait_for(
        lambda: "a `once` step of it still runs" in desk.mux("status", "a").stdout, lambda: desk.mux("status").stdout
    )
    assert not exited.with_name("outcome.json").exists()
    go.touch()
    desk.until_on_board("a", "done")
    assert desk.runs("a") == 1


def test_a_new_task_of_an_id_that_was_taken_off_runs_its_steps(desk: Desk) -> None:
    count = f"mux once deploy -- sh -c 'echo step >> \"{desk.repository.parent}/steps\"'"
    desk.write(section("a", count), section("b", status="draft"))
    desk.up()
    desk.until_on_board("a", "done")
    text = desk.board.read_text()
    desk.save(text[: text.index("\n## a: ")] + text[text.index("\n## b: ") :])
    wait_for((desk.folder / "runs" / "a" / "1" / "retired").exists)
    desk.order("b")  # what mux writes then is a board that never had it
    desk.until_on_board("b", "done")
    desk.append(section("a", count))
    desk.until_on_board("a", "done")
    assert (desk.repository.parent / "steps").read_text().split() == ["step", "step"]
    desk.order("a")
    wait_for(lambda: desk.task("a")["attempt"] == 3 and desk.task("a")["status"] == "done")
    assert (desk.repository.parent / "steps").read_text().split() == ["step", "step"], "it is the same task still"
