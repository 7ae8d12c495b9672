"""Whatever is killed, whenever: nothing runs twice, nothing is forgotten, and the board says what happened."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess

import pytest

from runners import processes
from runners.tmux import Tmux
from tests.e2e.conftest import Desk, section
from tests.support import wait_for


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_nothing_starts_twice_and_nothing_is_forgotten(desk: Desk, seed: int) -> None:
    """The control plane dies again and again while it takes orders, prepares homes, starts, concludes and writes."""
    moments = random.Random(seed)
    tasks = [f"t{number}" for number in range(8)]
    scripts = ["true", "exit 3", "sleep 0.3", "echo x > untracked; sleep 0.1"]
    desk.write(
        *(section(task, desk.counted(task, scripts[index % 4])) for index, task in enumerate(tasks)),
        keys="max_workers: 3\n",
    )
    for _ in range(10):
        plane = desk.up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            plane.wait(timeout=moments.uniform(0.0, 0.35))
        desk.kill(plane)
    desk.up()
    expected = ["done", "failed", "done", "blocked"]
    for index, task in enumerate(tasks):
        desk.until(task, "done", "failed", "blocked")
        desk.until_on_board(task, expected[index % 4])
    assert [desk.runs(task) for task in tasks] == [1] * len(tasks)


def test_workers_outlive_the_control_plane_and_are_adopted(desk: Desk) -> None:
    go = desk.repository.parent / "go"
    script = f"while ! test -e '{go}'; do sleep 0.05; done"
    desk.write(
        section("late", desk.counted("late", script)), section("early", desk.counted("early", f"{script}; exit 5"))
    )
    plane = desk.up()
    desk.until_on_board("late", "running")
    pid = desk.start_record("late")["pid"]
    desk.kill(plane)
    assert desk.status()["control_plane"]["running"] is False
    desk.up()
    assert desk.until("late", "running")["attempt"] == 1
    assert processes.start_time(pid) is not None
    go.touch()
    desk.until_on_board("late", "done")
    desk.until_on_board("early", "failed")
    assert desk.task("early")["exit"] == {"code": 5, "signal": None}
    assert (desk.runs("late"), desk.runs("early")) == (1, 1)


def test_what_ended_while_mux_was_down_is_recorded_with_its_exit(desk: Desk) -> None:
    go = desk.repository.parent / "go"
    desk.write(section("a", desk.counted("a", f"while ! test -e '{go}'; do sleep 0.05; done; exit 4")))
    desk.up()
    desk.until_on_board("a", "running")
    desk.mux("down")
    go.touch()
    wait_for(lambda: (desk.folder / "runs" / "a" / "1" / "exit.json").exists())
    shown = desk.status()["tasks"][0]
    assert "exit 4" in shown["why"]
    desk.up()
    desk.until_on_board("a", "failed")
    assert desk.task("a")["exit"]["code"] == 4
    assert desk.runs("a") == 1


def test_a_killed_tmux_server_is_said_and_nothing_is_run_again(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "sleep 1000")), section("b", desk.counted("b", "sleep 1000")))
    desk.up()
    desk.until_on_board("a", "running")
    desk.until_on_board("b", "running")
    desk.until_runs("a")
    desk.until_runs("b")
    os.kill(_server(desk), signal.SIGKILL)
    for task in ("a", "b"):
        assert "interrupted" in desk.until(task, "failed")["why"]
        desk.until_on_board(task, "failed")
    assert (desk.runs("a"), desk.runs("b")) == (1, 1)
    desk.order("a")
    wait_for(lambda: desk.runs("a") == 2, "ready runs it again, in a new tmux server")
    desk.until("a", "running")


def _server(desk: Desk) -> int:
    pid = int(Tmux(desk.board, desk.folder, desk.environment)._call("display-message", "-p", "#{pid}").out)
    assert pid > 1
    return pid


def test_a_killed_wrapper_whose_worker_lives_is_shown_and_nothing_starts_beside_it(desk: Desk) -> None:
    desk.write(section("a", f"trap '' HUP\n{desk.counted('a', 'sleep 1000 & wait')}"))
    desk.up()
    desk.until_on_board("a", "running")
    desk.until_runs("a")
    os.kill(desk.start_record("a")["wrapper_pid"], signal.SIGKILL)
    assert "wrapper is gone" in desk.until("a", "blocked")["why"]
    desk.until_on_board("a", "blocked")
    desk.order("a")
    desk.until_on_board("a", "blocked")
    assert desk.runs("a") == 1
    desk.mux("stop", "a")
    wait_for(lambda: "stopped by a person" in desk.task("a")["why"], "it is stopped")
    desk.order("a")
    wait_for(lambda: desk.runs("a") == 2, "now it may run again")


def test_a_killed_wrapper_and_worker_are_lost_and_said(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "sleep 1000")))
    desk.up()
    desk.until_on_board("a", "running")
    desk.until_runs("a")
    os.kill(desk.start_record("a")["wrapper_pid"], signal.SIGKILL)
    assert "its wrapper was killed" in desk.until("a", "failed")["why"]
    assert desk.runs("a") == 1


def test_all_at_once_as_in_a_power_cut(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "echo work > work.txt; sleep 1000")), section("b", status="draft"))
    plane = desk.up()
    desk.until_on_board("a", "running")
    work = desk.home("a") / "work.txt"
    wait_for(lambda: work.exists() and work.read_text() == "work\n")
    record = desk.start_record("a")
    desk.kill(plane)
    for pid in (record["wrapper_pid"], record["pid"], _server(desk)):
        os.kill(pid, signal.SIGKILL)
    desk.up()
    assert "interrupted" in desk.until("a", "failed")["why"]
    assert desk.runs("a") == 1
    assert (desk.home("a") / "work.txt").read_text() == "work\n"


def test_a_second_mux_up_says_who_has_the_board(desk: Desk) -> None:
    desk.write(section("a", status="draft"))
    plane = desk.up()
    second = desk.mux("up", "--trust", code=1)
    assert f"process {plane.pid} already runs this board" in second.stderr
    assert len(second.stderr.splitlines()) == 1


def test_a_lost_mux_folder_restarts_nothing(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "sleep 1000")))
    plane = desk.up()
    desk.until_on_board("a", "running")
    desk.until_runs("a")
    record = desk.start_record("a")
    desk.kill(plane)
    desk.folder.rename(desk.folder.with_name("mux-before"))
    try:
        desk.up()
        assert "no record of attempt 1" in desk.until("a", "failed")["why"]
        assert desk.runs("a") == 1
        desk.order("a")
        wait_for(lambda: "still lives" in desk.task("a")["why"], "its window still lives, so nothing starts")
        assert desk.runs("a") == 1
    finally:
        processes.end_session(record["session"], record["wrapper_start"], grace=0.5)


def test_down_and_detach(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a", "sleep 1000")))
    said = desk.mux("up", "--trust", "--detach").stdout
    assert "mux status" in said and "mux down" in said
    desk.until_on_board("a", "running")
    assert desk.status()["control_plane"]["running"] is True
    desk.mux("down")
    assert desk.status()["control_plane"]["running"] is False
    assert processes.start_time(desk.start_record("a")["pid"]) is not None
    desk.mux("stop", "a")
    desk.mux("up", "--detach")
    wait_for(lambda: "stopped by a person" in desk.task("a")["why"])
    desk.mux("down")
