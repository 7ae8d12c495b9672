"""What a worker says in its own tmux window reaches people, with the control plane up, killed, and up again."""

from __future__ import annotations

import getpass
import json
import os
import signal
from contextlib import suppress

from runners import once, processes, reports
from runners.command_folder import command_folder
from runners.requests import Asked, Requests
from tests.e2e.conftest import Desk, section
from tests.support import wait_for


def speaking(desk: Desk, script: str) -> str:
    """A script that finds `mux` where workers find it."""
    return f'PATH="$PATH:{command_folder(desk.folder)}"\n{script}'


def _waiting(desk: Desk) -> list[Asked]:
    return [each for each in Requests(desk.folder).all() if each.waits]


def asked(desk: Desk) -> Asked:
    found = wait_for(lambda: _waiting(desk), "a worker asks")
    assert len(found) == 1
    only: Asked = found[0]
    return only


def test_a_gate_is_approved_while_the_control_plane_is_dead(desk: Desk) -> None:
    script = 'mux ask "Which way?" > ../answer \nmux gate "deploy"\nmux once deploy -- sh -c "echo x >> ../runs"'
    desk.write(section("fix", speaking(desk, script)))
    plane = desk.up()
    question = asked(desk)
    assert (question.request.task, question.request.attempt, question.request.says) == ("fix", 1, "Which way?")
    desk.kill(plane)
    desk.mux("answer", question.request.id, "left,", "then", "right")
    approval = asked(desk)
    desk.mux("approve", approval.request.id)
    wait_for(lambda: once.finished(desk.folder, "fix") == ("deploy",))
    desk.up()
    desk.until("fix", "done")
    home = desk.home("fix").parent
    assert ((home / "answer").read_text(), (home / "runs").read_text()) == ("left, then right\n", "x\n")
    assert Requests(desk.folder).open() == []
    said = [each["event"] for each in desk.journal() if each["event"] in ("answered", "approved")]
    assert said == ["answered", "approved"]


def test_a_worker_cannot_approve_itself(desk: Desk) -> None:
    script = (
        'mux gate "deploy" --timeout 3s & waits=$!\n'
        "while ! ls ../../../shop/.mux/requests/*.json > ../ids 2> ../none; do sleep 0.05; done\n"
        "id=$(basename $(cat ../ids) .json); unset MUX_TASK MUX_ATTEMPT MUX_BOARD\n"
        'setsid --wait mux approve "$id" -b ../../../shop/board.md 2> ../said || echo $? >> ../said\n'
        "wait $waits || exit $?"
    )
    desk.write(section("fix", speaking(desk, script)))
    desk.up()
    assert desk.until("fix", "done", "failed")["why"] == "exit 2"  # what a gate says that expired
    said = (desk.home("fix").parent / "said").read_text()
    assert said == "mux: this is the worker of fix: only a person decides; answer in another terminal\n1\n"
    (gate,) = Requests(desk.folder).all()
    assert gate.answer is not None and gate.answer.choice == "expired"


def test_what_it_says_is_kept_in_its_run_folder(desk: Desk) -> None:
    script = (
        "echo text > fix.txt; git add fix.txt; git commit --quiet -m fix\n"
        'mux checkpoint -m "half" > ../checkpoint; mux blocked "on the key"; mux done'
    )
    desk.write(section("fix", speaking(desk, script)))
    desk.up()
    wait_for(lambda: len(reports.read(desk.folder / "runs" / "fix" / "1")) == 3)
    marked = (desk.home("fix").parent / "checkpoint").read_text().removeprefix("checkpoint ").strip()
    said = reports.read(desk.folder / "runs" / "fix" / "1")
    assert [(report.kind, report.text) for report in said] == [
        *(("checkpoint", "half"), ("blocked", "on the key")),
        ("done", ""),
    ]
    assert said[0].commit == marked == desk.git("rev-parse", "HEAD", cwd=desk.home("fix"))
    record = json.loads((desk.folder / "runs" / "fix" / "1" / "reports" / "0001-checkpoint.json").read_text())
    assert record["kind"] == "checkpoint"


def test_a_step_that_was_killed_runs_again_by_one_decision(desk: Desk) -> None:
    """mux asks when the worker is dead; the answer is what the next attempt's `mux once` goes by."""
    outside = desk.repository.parent
    (outside / "hold").touch()
    step = f"echo x >> {outside}/ran; while [ -e {outside}/hold ]; do sleep 0.05; done"
    wipe = f"echo wiped >> {outside}/$MUX_TASK; mux once wipe -- sh -c 'kill -9 $$' || true"
    desk.write(
        section("fix", speaking(desk, f"mux once deploy -- sh -c '{step}'")),
        section("through", speaking(desk, f"{wipe}; exit 0"), status="draft"),
        section("dies", speaking(desk, f"{wipe}; exit 1"), status="draft", destructive=True, restart="safe"),
    )
    desk.up()
    wait_for(lambda: (outside / "ran").exists() and (outside / "ran").read_text() == "x\n")
    started = desk.start_record("fix")
    for pid in processes.session_members(started["session"], started["wrapper_start"]):
        if pid != started["session"]:
            with suppress(ProcessLookupError):  # a `sleep` of its loop, which ended meanwhile
                os.kill(pid, signal.SIGKILL)
    question = asked(desk)
    assert (question.request.action, question.request.choices) == ("recover", ("again", "finished"))
    assert once.unfinished(desk.folder, "fix") == ("deploy",)
    (outside / "hold").unlink()
    desk.mux("approve", question.request.id, "--choice", "again")
    desk.until("fix", "done")
    assert (outside / "ran").read_text() == "x\nx\n"
    wait_for(lambda: Requests(desk.folder).open() == [], "no question is left")
    assert [each["by"] for each in desk.journal() if each["event"] == "approved"] == [f"terminal:{getpass.getuser()}"]
    # One that took effect starts nothing by itself: neither what exited 0, nor what is destructive.
    for task in ("through", "dies"):
        desk.mux("start", task)
    questions = wait_for(lambda: found if len(found := _waiting(desk)) == 2 else None, "both ask")
    for each in questions:
        assert each.request.says == "wipe"
        desk.mux("approve", each.request.id, "--choice", "finished")
    desk.until("through", "done")
    wait_for(lambda: [each.request.says for each in _waiting(desk)] == [None], "it is asked about as destructive")
    assert [(outside / task).read_text() for task in ("through", "dies")] == ["wiped\n"] * 2
