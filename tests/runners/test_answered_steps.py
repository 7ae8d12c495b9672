"""What follows from an answer about `mux once` steps of a worker that ended: the real code in the simulated world."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from board.model import RestartPolicy, Status, Task, TaskSettings
from runners.asked import Asked
from runners.model import Attempt, Cause, Outcome
from tests.runners.simulated import Step, World, board_of


def ended(code: int | None, **settings: Any) -> World:
    """A world in which a worker ended with that exit code in the middle of its step, and a person is asked."""
    world = World(board_of(Task("a", "A", Status.READY, "", 1, TaskSettings(**settings))))
    world.settle()
    run = world.newest("a")
    assert run is not None
    world.steps["a"] = {"deploy": Step(run, at=world.now)}
    world.now += 60
    world.end(run, code, 9 if code is None else None)
    world.now += 60
    world.settle()
    return world


def asked(world: World) -> Asked:
    (found,) = [each for each in world.requests.all() if each.waits]
    return found


def answer(world: World, choice: str) -> None:
    world.requests.answer(asked(world).request.id, choice, "ana", world.now)
    world.settle()


def status(world: World) -> str:
    return str(world.settle().where["a"].status)


NEVER = {"restart": RestartPolicy("never")}


@pytest.mark.parametrize(
    ("code", "settings", "becomes"),
    [
        (0, {}, "done"),
        (0, NEVER, "done"),
        (3, NEVER, "failed"),
        (None, NEVER, "failed"),
        (0, {"destructive": True}, "done"),
    ],
)
def test_what_took_effect_starts_nothing_by_itself(code: int | None, settings: dict[str, Any], becomes: str) -> None:
    world = ended(code, **settings)
    answer(world, "finished")
    assert (status(world), len(world.begun)) == (becomes, 1)
    assert [each for each in world.requests.all() if each.open] == []


def test_an_end_that_an_earlier_version_decided_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    conclude = World._conclude

    def as_before(world: World, attempt: Attempt, outcome: Outcome) -> None:
        evidence = {name: value for name, value in outcome.evidence.items() if name != "then"}
        conclude(world, attempt, replace(outcome, evidence=evidence))

    monkeypatch.setattr(World, "_conclude", as_before)
    world = ended(0)
    answer(world, "finished")
    assert status(world) == "done"


def test_a_destructive_task_is_asked_about_once_more() -> None:
    world = ended(3, destructive=True)
    assert "it is destructive" in asked(world).request.why
    answer(world, "finished")
    question = asked(world).request
    assert (question.choices, len(world.begun)) == (("in-place", "checkpoint"), 1)
    assert "it does not run twice by itself" in question.why and status(world) == "blocked"
    answer(world, "in-place")
    assert len(world.begun) == 2


def test_what_goes_on_by_itself_does_after_its_pause() -> None:
    world = ended(3)
    answer(world, "finished")
    assert (status(world), len(world.begun)) == ("claimed", 1)
    world.now += 60
    world.settle()
    assert [each.cause for each in world.begun] == [Cause.PERSON, Cause.MUX]


@pytest.mark.parametrize("settings", [{}, NEVER, {"destructive": True}])
def test_again_starts_the_worker_which_alone_can_run_it(settings: dict[str, Any]) -> None:
    world = ended(0, **settings)
    answer(world, "again")
    assert [each.cause for each in world.begun] == [Cause.PERSON] * 2
    assert world.steps["a"]["deploy"].allowed == "again"


@pytest.mark.parametrize("choice", ["again", "finished"])
def test_an_answer_is_carried_out_once_wherever_the_control_plane_dies(choice: str) -> None:
    for records in range(12):
        world = ended(3, destructive=True)
        world.requests.answer(asked(world).request.id, choice, "ana", world.now)
        world.die_in = records
        world.settle()
        world.boot()
        world.settle()
        for run in world.late():
            world.appear(run)
        world.now += 60
        world.settle()
        assert len(world.begun) == (2 if choice == "again" else 1), records
        assert world.steps["a"]["deploy"].allowed == choice
        assert len([each for each in world.requests.all() if each.waits]) == (choice == "finished"), records


def test_a_step_that_began_since_it_was_asked_is_asked_about_anew() -> None:
    world = ended(0)
    first = asked(world)
    world.steps["a"]["push"] = Step(world.steps["a"]["deploy"].run, at=world.now + 1)
    world.now += 2
    answer(world, "finished")
    assert world.requests.find(first.request.id).closed is not None
    assert (asked(world).request.says, len(world.begun)) == ("deploy; push", 1)
    assert not world.steps["a"]["deploy"].finished


def test_the_question_names_each_step() -> None:
    world = ended(3)
    world.steps["a"]["push"] = Step(world.steps["a"]["deploy"].run, begun=2, at=world.now)
    world.requests.answer(asked(world).request.id, "deny", "ana", world.now)
    world.settle()
    attempt = world._observe().attempts["a"]
    request = world.approvals.ask(attempt, "recover")
    assert request.says == "deploy; push"
    assert [(each["key"], each["number"]) for each in request.evidence["steps"]] == [("deploy", 1), ("push", 2)]
    assert request.about != world.requests.all()[0].request.about
