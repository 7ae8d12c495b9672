"""Random histories of people, workers, crashes and time, and what must hold of each, at every step and at rest.

The real plan, recovery table, effects and approvals run in the simulated world; `MUX_HISTORIES=10000` plays so many.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from board.errors import MuxError
from board.model import Status, Task, TaskSettings
from runners import questions
from runners.actions import Plan
from runners.asked import DENY, binding
from runners.model import Cause, Liveness
from runners.plan import WRITE_PAUSE
from runners.standing import Standing
from tests.runners.simulated import Run, Step, World, board_of

HISTORIES = int(os.environ.get("MUX_HISTORIES", "0"))
SHARDS = 4 if HISTORIES else 1
#: Of the ordinary run.
FEW = 200
STEPS = 25
#: Shrinking is worth its minutes; explaining, which traces every line, is not.
PHASES = (Phase.generate, Phase.shrink)

T = TypeVar("T")
FINAL = (Status.DONE, Status.REVIEW, Status.FAILED, Status.STOPPED, Status.DRAFT)
HOUR = 3600.0
SAYS = ["", "Claude AI usage limit reached|1800007200", "Invalid API key · Please run /login", "API Error: 429 x"]
WORDS = [Status.READY, Status.READY, Status.READY, Status.STOPPED, Status.DONE, Status.DRAFT, Status.RUNNING]

numbers = st.integers(0, 5)


def pick(several: Sequence[T], number: int) -> T | None:
    return several[number % len(several)] if several else None


def task(name: str, status: Status = Status.READY, **keys: Any) -> Task:
    return Task(name, name.title(), status, "", 1, TaskSettings(**keys))


@dataclass
class Blocked:
    """A task that shows `blocked`: whether its worker lives or starts, and what people had done for it until then."""

    live: bool
    acts: int
    why: str


_PERSONS = (Status.DRAFT, Status.STOPPED, Status.DONE)


class Histories(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1 << 20), workers=st.integers(1, 5))
    def begin(self, seed: int, workers: int) -> None:
        tasks = [
            task("a", timeout=2 * HOUR),
            task("b", agent="claude"),
            task("c", agent="claude", done_when=("clean",), priority=1),
            task("d", destructive=True, agent="claude"),
            task("e", destructive=True),
            task("f", after=("a",)),
        ]
        self.world = World(board_of(*tasks, max_workers=workers), seed)
        self.world.watchers.append(self._looked)
        self.deleted: list[Task] = []
        self.acts: Counter[str] = Counter()
        self.blocked: dict[str, Blocked] = {}

    # --- people

    @rule(number=numbers, word=st.sampled_from(WORDS))
    def a_person_writes(self, number: int, word: Status) -> None:
        if (found := pick(self.world.board.tasks, number)) is not None:
            self.acts[found.id] += 1
            self.world.write(found.id, word)
        self._maybe_look()

    @rule(number=numbers, rename=st.booleans())
    def a_person_deletes_or_renames(self, number: int, rename: bool) -> None:
        if (found := pick(self.world.board.tasks, number)) is None:
            return
        self.acts[found.id] += 1
        gone = self.world.delete(found.id)
        if rename and f"{gone.id}-x" not in self.world.board.by_id:
            self.world.add(replace(gone, id=f"{gone.id}-x"), new=True)
        else:
            self.deleted.append(gone)
        self._maybe_look()

    @rule(number=numbers, word=st.sampled_from([None, Status.READY]))
    def a_person_brings_a_section_back(self, number: int, word: Status | None) -> None:
        """As it was, or as a new one; what mux did not see go is no new one."""
        found = pick(self.deleted, number)
        if found is None or found.id in self.world.board.by_id:
            return
        self.deleted.remove(found)
        self.acts[found.id] += 1
        run = self.world.newest(found.id)
        retired = run is None or run.attempt.retired
        if word is not None and retired:
            self.world.add(replace(found, status=word, mux={}), new=True)
        else:  # it went before mux had written anything into it: then it says nothing of what ran
            self.world.add(found, new=run is not None and retired and found.attempt != run.attempt.number)
        self._maybe_look()

    @rule(number=numbers, choice=numbers)
    def a_person_decides(self, number: int, choice: int) -> None:
        asked = pick([each for each in self.world.requests.all() if each.waits], number)
        if asked is None:
            return
        request = asked.request
        way = pick([*request.choices, DENY], choice)
        try:
            self.world.requests.answer(request.id, str(way), "person", self.world.now)
        except MuxError:
            return  # too late
        for name, _ in questions.subjects(asked):
            self.acts[name] += 1
            if request.action == "once" and way != DENY:
                self.world.steps[name]["deploy"].allowed = str(way)
        self._maybe_look()

    @rule(number=numbers, how=st.sampled_from([None, "resume", "in-place", "checkpoint"]))
    def a_person_restarts(self, number: int, how: str | None) -> None:
        if (found := pick(self.world.board.tasks, number)) is not None:
            self.acts[found.id] += 1
            self.world.restart(found.id, how)
        self._maybe_look()

    @rule(number=numbers, what=st.sampled_from(["edit", "edit", "commit", "clean", "switch", "back", "remove"]))
    def a_person_edits_a_home(self, number: int, what: str) -> None:
        name = pick(sorted(self.world.places), number)
        if name is None or not self.world.places[name].there:
            return
        place = self.world.places[name]
        match what:
            case "edit" | "commit":
                getattr(self.world, what)(name)
            case "clean":
                place.files = None
            case "switch":
                place.branch = "another"
            case "back":
                place.branch = f"mux/shop/{name}"
            case "remove":
                place.there = False
        self._maybe_look()

    # --- workers

    def _worker(self, number: int) -> Run | None:
        """One that works; where none does, one that can is started, or what comes next comes."""
        if not self.world.working():
            planned = self.world.settle()
            if not self.world.living() and planned.wake_at is not None and self.world.chance.random() < 0.7:
                self.world.now = max(self.world.now, planned.wake_at)
            elif not self.world.living() and (found := pick(self.world.board.tasks, number)) is not None:
                self.acts[found.id] += 1
                self.world.write(found.id, Status.READY)
            self.world.settle()
        return pick(self.world.working(), number)

    @rule(number=numbers, code=st.sampled_from([0, 1, 1, 7, -9]), says=st.sampled_from(SAYS), left=st.booleans())
    def a_worker_ends(self, number: int, code: int, says: str, left: bool) -> None:
        """By itself or by a signal; it may leave a process behind, but seldom."""
        if (run := self._worker(number)) is not None:
            run.tail = says
            self.world.end(run, code, -code if code < 0 else None)
            run.processes = left and number == 0
        self._maybe_look()

    @rule(number=numbers, what=st.sampled_from(["edit", "commit", "commit"]))
    def a_worker_works(self, number: int, what: str) -> None:
        run = pick(self.world.living(), number) or self._worker(number)
        if run is not None and self.world.places[run.attempt.task].there:
            getattr(self.world, what)(run.attempt.task)
        self._maybe_look()

    @rule(number=numbers, kind=st.sampled_from(["done", "done", "blocked", "checkpoint"]))
    def a_worker_says(self, number: int, kind: str) -> None:
        if (run := self._worker(number)) is not None:
            self.world.report(run, kind, "on X")
        self._maybe_look()

    @rule(number=numbers)
    def a_worker_takes_a_step(self, number: int) -> None:
        if (run := self._worker(number)) is not None:
            self._step(run)
        self._maybe_look()

    def _step(self, run: Run) -> None:
        """`mux once deploy`: begun, finished by who began it, or asked about."""
        name = run.attempt.task
        step = self.world.steps.setdefault(name, {}).get("deploy")
        if step is None:
            self.world.steps[name]["deploy"] = Step(run, at=self.world.now)
        elif step.run is run or step.allowed == "finished":
            step.finished = True
        elif step.allowed == "again":
            step.run, step.allowed, step.begun, step.at = run, "", step.begun + 1, self.world.now
        elif not step.finished and not step.run.processes:
            self._ask(run, "once", ("again", "finished"))

    @rule(number=numbers, action=st.sampled_from(["ask", "gate"]))
    def a_worker_asks(self, number: int, action: str) -> None:
        if (run := self._worker(number)) is not None:
            self._ask(run, action, ("yes",))
        self._maybe_look()

    def _ask(self, run: Run, action: str, choices: tuple[str, ...]) -> None:
        name, number, now = run.attempt.task, run.attempt.number, self.world.now
        bound = binding(action, name, number)
        self.world.requests.ask(
            action, "why", bound, choices, now, expires=now + 24 * HOUR, task=name, attempt=number, says="X"
        )

    # --- what goes wrong

    @rule(number=numbers, orphan=st.booleans())
    def a_wrapper_is_killed(self, number: int, orphan: bool) -> None:
        if (run := self._worker(number)) is not None:
            self.world.kill_wrapper(run, orphan)
        self._maybe_look()

    @rule(number=numbers)
    def what_was_left_behind_dies(self, number: int) -> None:
        if (run := pick([each for each in self.world.living() if not each.wrapper], number)) is not None:
            run.processes = False
        self._maybe_look()

    @rule(orphans=st.booleans(), machine=st.booleans())
    def the_tmux_server_or_the_machine_goes_down(self, orphans: bool, machine: bool) -> None:
        if machine:
            self.world.reboot()
        else:
            self.world.tmux_dies(orphans)
        self._maybe_look()

    @rule(records=st.integers(0, 6))
    def the_control_plane_will_die(self, records: int) -> None:
        self.world.die_in = records
        self._look(None)

    @rule()
    def the_control_plane_dies_now(self) -> None:
        self.world.boot()
        self._maybe_look()

    @rule(number=numbers)
    def a_window_appears_late(self, number: int) -> None:
        if (run := pick(self.world.late(), number)) is not None:
            self.world.appear(run)
        self._maybe_look()

    @rule(what=st.sampled_from(["tmux_answers", "writable", "held"]), good=st.booleans())
    def something_cannot_be_asked_or_can_again(self, what: str, good: bool) -> None:
        setattr(self.world, what, good if what != "held" else not good)
        self._maybe_look()

    # --- time and the loop

    @rule(seconds=st.sampled_from([1.0, 5.0, 12.0, 40.0, 400.0, HOUR, 25 * HOUR, 80 * HOUR]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        self._maybe_look()

    @rule(count=st.integers(0, 2))
    def the_loop_looks(self, count: int) -> None:
        self._look(count)

    @rule()
    def it_comes_to_rest(self) -> None:
        self._check_rest(self.world.settle())

    def _maybe_look(self) -> None:
        self._check_one_worker()
        if self.world.chance.random() < 0.6:
            self._look(self.world.chance.choice([0, 1, None]))

    def _look(self, count: int | None) -> None:
        self.world.look()
        self.world.finish(count)

    # --- what must hold

    def _looked(self, planned: Plan) -> None:
        """Nothing leaves `blocked` without a person, but for a worker that lives: its end, or what it says next."""
        for name, now_at in planned.where.items():
            run = self.world.newest(name)
            live = (run is not None and run.attempt.outcome is None) or name in self.world.busy
            before = self.blocked.get(name)
            if now_at.status is not Status.BLOCKED:
                over = run.attempt.outcome if run is not None else None
                is_over = over is not None and over.next is None  # a question about running it again came to nothing
                fine = before is None or before.live or self.acts[name] > before.acts or is_over
                assert fine, f"{name} left blocked without a person: {before}, {now_at}"
                self.blocked.pop(name, None)
            elif before is None:
                self.blocked[name] = Blocked(live, self.acts[name], now_at.why)
            elif not planned.actions and not self.world.under_way:
                before.live = live
        for gone in self.blocked.keys() - planned.where.keys():
            del self.blocked[gone]

    def _check_one_worker(self) -> None:
        count = Counter(run.attempt.task for run in self.world.living())
        assert all(number == 1 for number in count.values()), f"two workers: {count}"

    def _check_rest(self, planned: Plan) -> None:
        for name, now_at in planned.where.items():
            assert self._is_cared_for(name, now_at, planned), (
                f"{name} is forgotten: {now_at}, {self.world.newest(name)}"
            )
            if now_at.status in (Status.BLOCKED, Status.FAILED, Status.WAITING):
                assert now_at.why, f"{name} is {now_at.status} and does not say why"
        self._check_approved(planned)
        for name, runs in self.world.runs.items():
            newest = self.world.newest(name)
            assert all(run.attempt.outcome is not None for run in runs if run is not newest), f"{name}: left behind"

    def _check_approved(self, planned: Plan) -> None:
        """What a person approved is carried out, or says what it waits for."""
        for each in self.world.requests.all():
            if each.approved and each.request.action in questions.OF_MUX:
                for name, number in questions.subjects(each):
                    run = self.world.newest(name)
                    over = run is None or run.attempt.number != number or questions.is_void(each, name)
                    # Of several one may be gone, or a person's word stands there: the others keep the question open.
                    task = self.world.board.by_id.get(name)
                    over = over or (bool(each.request.members) and (task is None or task.status in _PERSONS))
                    waits = name in planned.waiting or name in self.world.stuck or not self.world.writable
                    soon = planned.wake_at is not None and planned.wake_at <= self.world.now + WRITE_PAUSE
                    assert over or waits or soon, f"{name}: nothing comes of {each}"

    def _is_cared_for(self, name: str, now_at: Standing, planned: Plan) -> bool:
        """A task is over, lives, waits for something that is named, is asked about, or has its time to go on."""
        run, world = self.world.newest(name), self.world
        if name in planned.waiting or name in world.stuck:
            return True
        if run is not None and run.attempt.outcome is None:
            return run.liveness in (Liveness.RUNNING, Liveness.LOST) or self._wakes(planned, world.now + 1)
        if now_at.status in FINAL:
            return True
        if planned.wake_at is not None and planned.wake_at <= world.now + WRITE_PAUSE:
            return True  # a word of a person's that is overtaken goes from the board first
        mine = [each for each in world.requests.all() if name in [subject for subject, _ in questions.subjects(each)]]
        if any(each.waits for each in mine):
            return True
        if any(each.approved for each in mine) and not world.writable:
            return True  # the status says that the board cannot be written: it is carried out after that
        follows = run.attempt.outcome.next if run is not None and run.attempt.outcome is not None else None
        if follows is not None and follows.at > world.now and self._wakes(planned, follows.at):
            return True
        if follows is not None:
            return now_at.status is Status.BLOCKED and "not decided" in now_at.why
        return now_at.status in (Status.BLOCKED, Status.WAITING)

    def _wakes(self, planned: Plan, at: float) -> bool:
        return planned.wake_at is not None and planned.wake_at <= at

    def teardown(self) -> None:
        """In the end all can be asked again, every worker ends, and each task comes to where only a person moves it."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.tmux_answers, world.writable, world.held, world.die_in = True, True, False, None
        for _ in range(100):
            planned = world.settle()
            self._check_rest(planned)
            if living := world.living():
                for run in living:
                    if run.wrapper:
                        world.end(run, 0)
                    run.processes = False
                continue
            times = [*world.stuck.values(), *([planned.wake_at] if planned.wake_at is not None else [])]
            if not times:
                break
            world.now = max(world.now, min(times))
        left = [run for runs in world.runs.values() for run in runs if run.attempt.outcome is None]
        assert not left, f"never concluded: {left}"
        self._check_counts()

    def _check_counts(self) -> None:
        """What mux starts by itself is bounded: a budget an hour, and one more where a long attempt clears it."""
        for each in self.world.begun:
            near = [
                other
                for other in self.world.begun
                if other.task == each.task and each.at - HOUR < other.at <= each.at and other.cause is Cause.MUX
            ]
            assert len(near) <= 2 * TaskSettings().restart.limit, f"{each.task} is restarted too often"


@pytest.mark.timeout(3 * HOUR if HISTORIES else 600)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_histories(shard: int) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=HISTORIES // SHARDS if HISTORIES else FEW,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=not HISTORIES,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
