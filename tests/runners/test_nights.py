"""Eight hours in which everything goes wrong, with nobody awake: how often it is tried, and when a person is asked.

The real plan and recovery table run in the simulated world; time jumps to whatever comes next, so that a wake-up that
the plan forgets is a task that is forgotten. Each night prints its report.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from board.model import RestartPolicy, Status, Task, TaskSettings
from runners.model import Cause
from runners.standing import Standing
from tests.runners.simulated import Run, World, board_of

HOUR = 3600.0
NIGHT = 8 * HOUR
#: More passes than any bounded night needs.
PASSES = 20_000

#: What a worker does: after so many seconds, this. The number says which of its task's runs it is, from 1.
Worker = Callable[[World, Run, int], tuple[float, Callable[[], None]]]
Person = Callable[[World], bool]


@dataclass
class Night:
    """`starts`: by task; `by_mux`: those of them that nobody ordered; `asks`: questions about it."""

    world: World
    where: dict[str, Standing] = field(default_factory=dict)
    starts: Counter[str] = field(default_factory=Counter)
    by_mux: Counter[str] = field(default_factory=Counter)
    asks: Counter[str] = field(default_factory=Counter)
    passes: int = 0

    def report(self, scenario: str, most: int = 5) -> None:
        print(f"\n{scenario}: {sum(self.starts.values())} starts, {sum(self.by_mux.values())} of them by mux")
        for task, now_at in list(self.where.items())[:most]:
            counts = f"{self.starts[task]} starts, {self.by_mux[task]} by mux, {self.asks[task]} asks"
            print(f"  {task}: {counts}; {now_at.status}: {now_at.why}")


def task(name: str = "a", **settings: object) -> Task:
    return Task(name, name.title(), Status.READY, "", 1, TaskSettings(**settings))  # type: ignore[arg-type]


def play(world: World, worker: Worker, person: Person = lambda world: False, seconds: float = NIGHT) -> Night:
    """Workers do what they do, and time jumps to what comes next, until the night is over."""
    night = Night(world)
    end = world.now + seconds
    serial = itertools.count()
    due: list[tuple[float, int, Run, Callable[[], None]]] = []
    planned = world.settle()
    while world.now < end:
        night.passes += 1
        assert night.passes < PASSES, "the night never comes to rest"
        for begun in world.begun[sum(night.starts.values()) :]:
            night.starts[begun.task] += 1
            night.by_mux[begun.task] += begun.cause is not Cause.PERSON
            run = world.run_of(begun.task, begun.number)
            after, act = worker(world, run, night.starts[begun.task])
            heapq.heappush(due, (world.now + after, next(serial), run, act))
        if not person(world):
            times = [*world.stuck.values(), *([due[0][0]] if due else [])]
            times += [planned.wake_at] if planned.wake_at is not None else []
            world.now = max(world.now, min([*times, end]))
        while due and due[0][0] <= world.now:
            _, _, run, act = heapq.heappop(due)
            if run.wrapper:
                act()
        planned = world.settle()
    night.where = dict(planned.where)
    for asked in world.requests.all():
        night.asks.update([asked.request.task] if asked.request.task else [name for name, _ in asked.request.members])
    return night


# --- workers


def crashes(after: float = 60.0, code: int | None = 7, progress: str = "", signal: int | None = None) -> Worker:
    """The same end each time, or for no `code` another one; `progress`: a `commit`, an `edit` or nothing before it."""

    def work(world: World, run: Run, number: int) -> tuple[float, Callable[[], None]]:
        def act() -> None:
            if progress:
                getattr(world, progress)(run.attempt.task)
            world.end(run, number if code is None else code, signal)

        return after, act

    return work


def refused(says: Callable[[World], str], after: float = 5.0, progress: str = "") -> Worker:
    """It prints that it cannot work, and fails."""

    def work(world: World, run: Run, number: int) -> tuple[float, Callable[[], None]]:
        def act() -> None:
            if progress:
                getattr(world, progress)(run.attempt.task)
            run.tail = says(world)
            world.end(run, 1)

        return after, act

    return work


def flaps(progress: str = "") -> Worker:
    """The network goes away every 1 to 20 minutes, and takes the worker with it."""

    def work(world: World, run: Run, number: int) -> tuple[float, Callable[[], None]]:
        after = world.chance.uniform(60, 1200)

        def act() -> None:
            if progress:
                getattr(world, progress)(run.attempt.task)
            world.end(run, 1)

        return after, act

    return work


def in_turn(*workers: Worker) -> Worker:
    return lambda world, run, number: workers[(number - 1) % len(workers)](world, run, number)


# --- people


def approves_all(world: World) -> bool:
    """Awake all night, and says yes to the first way of everything, at once."""
    open_ones = [asked.request for asked in world.requests.all() if asked.waits]
    for request in open_ones:
        world.requests.answer(request.id, request.choices[0], "person", world.now)
    return bool(open_ones)


RESETS_IN_2H = refused(lambda world: f"Claude AI usage limit reached|{int(world.now + 2 * HOUR)}")
IN_A_SECOND = refused(lambda world: "ERROR: Rate limit reached for gpt-5. Please try again in 1s.")
NO_TIME = refused(lambda world: "Invalid API key · Please run /login")

#: scenario, task, worker, the most starts in the night, how it stands in the morning, what its reason says
ALONE: list[tuple[str, Task, Worker, int, str, str]] = [
    ("crash loop, the same failure", task(), crashes(), 2, "blocked", "same failure twice, no progress: exit 7"),
    ("crash loop, killed each time", task(), crashes(signal=9), 2, "blocked", "same failure twice"),
    ("crash loop, an agent", task(agent="claude"), crashes(), 2, "blocked", "same failure twice"),
    ("crash loop, at once", task(), crashes(after=1), 2, "failed", "does not start: exit 7, twice"),
    ("crash loop, another exit each time", task(), crashes(code=None), 4, "blocked", "3 restarts in 1h, the limit"),
    ("crash loop, a commit each time", task(), crashes(progress="commit"), 4, "blocked", "3 restarts in 1h"),
    ("crash loop, uncommitted work", task(), crashes(progress="edit"), 1, "blocked", "work that is not committed"),
    (
        "crash loop, an agent's uncommitted work",
        task(agent="claude"),
        crashes(progress="edit"),
        *(4, "blocked", "3 restarts in 1h"),
    ),
    ("crash loop, slow, a commit each time", task(), crashes(2000, progress="commit"), 15, "running", "restarted"),
    ("crash loop, slow, no progress", task(), crashes(2000), 2, "blocked", "same failure twice"),
    ("crash loop, just slow enough", task(), crashes(1300, None), 13, "blocked", "12 restarts in 12h, the limit"),
    (
        "crash loop, slow, varying, an agent's edits",
        task(agent="claude"),
        crashes(1300, None, "edit"),
        13,
        "blocked",
        "",
    ),
    ("resume fails at once", task(agent="claude"), crashes(after=1), 2, "failed", "does not start"),
    ("quota, it names a time", task(agent="claude"), RESETS_IN_2H, 5, "waiting", "usage limit until"),
    ("quota, always in a second", task(agent="codex"), IN_A_SECOND, 17, "waiting", "rate limit until"),
    ("quota, no time", task(agent="claude"), NO_TIME, 1, "waiting", "cannot work; mend that"),
    (
        "quota and crash in turn",
        task(agent="codex"),
        in_turn(IN_A_SECOND, crashes()),
        *(8, "blocked", "3 restarts in 1h"),
    ),
    ("network flaps, no progress", task(agent="claude"), flaps(), 2, "blocked", "same failure twice"),
    ("network flaps, commits", task(agent="claude"), flaps("commit"), 4, "blocked", "3 restarts in 1h"),
    ("network flaps, edits", task(agent="claude"), flaps("edit"), 4, "blocked", "3 restarts in 1h"),
    ("destructive", task(destructive=True), crashes(), 1, "blocked", "destructive: it does not run twice by itself"),
    ("never", task(restart=RestartPolicy("never")), crashes(), 1, "failed", "exit 7"),
    ("a job that works", task(), crashes(code=0), 1, "done", "exit 0"),
]


@pytest.mark.parametrize(
    ("scenario", "wanted", "worker", "most", "status", "why"), ALONE, ids=[row[0] for row in ALONE]
)
def test_a_night_alone(scenario: str, wanted: Task, worker: Worker, most: int, status: str, why: str) -> None:
    night = play(World(board_of(wanted)), worker)
    night.report(scenario)
    morning = night.where["a"]
    assert night.starts["a"] <= most
    assert night.asks["a"] <= 1, "one question, and nobody answers it"
    assert morning.status == (status or morning.status) and why in morning.why
    assert night.passes < 50 * most


@pytest.mark.parametrize("count", [3, 4, 8])
@pytest.mark.parametrize("after", [1.0, 45.0, 600.0])
def test_many_that_fail_the_same_way_are_tried_twice_too(count: int, after: float) -> None:
    """All together: one broken command on the board is no outage that goes on for ever."""
    tasks = [task(f"t-{number}") for number in range(count)]
    night = play(World(board_of(*tasks, max_workers=count)), crashes(after=after))
    night.report(f"{count} tasks with one broken command, after {after:g} s")
    assert max(night.starts.values()) == 2
    assert {now_at.status for now_at in night.where.values()} <= {Status.BLOCKED, Status.FAILED}
    assert len(night.world.requests.all()) <= count


@pytest.mark.parametrize(("progress", "code", "most"), [("", 1, 2), ("", None, 5), ("commit", 1, 30)])
def test_a_network_that_takes_all_away_every_minute(progress: str, code: int | None, most: int) -> None:
    def worker(world: World, run: Run, number: int) -> tuple[float, Callable[[], None]]:
        return 60 - world.now % 60, crashes(code=code, progress=progress)(world, run, number)[1]

    tasks = [task(f"t-{number}", agent="claude") for number in range(6)]
    night = play(World(board_of(*tasks, max_workers=6)), worker)
    night.report(f"six agents, all gone every minute, {progress or 'nothing'} done, exit {code or 'varies'}")
    assert max(night.starts.values()) <= most


def test_a_tmux_server_that_dies_every_five_minutes() -> None:
    world = World(board_of(*(task(f"t-{number}", agent="claude") for number in range(4)), max_workers=4))

    def worker(world: World, run: Run, number: int) -> tuple[float, Callable[[], None]]:
        return 300 - world.now % 300, lambda: world.tmux_dies(orphans=False)

    night = play(world, worker)
    night.report("the tmux server dies every five minutes, nothing done")
    assert max(night.starts.values()) <= 5
    assert {now_at.status for now_at in night.where.values()} == {Status.BLOCKED}


def test_an_outage_at_three_with_two_hundred_workers() -> None:
    """Restarts keep a pace of one in 10 s, nobody's budget is touched, and what asks is one question."""
    tasks = [task(f"t-{number}", agent="claude" if number % 2 else "shell") for number in range(200)]
    world = World(board_of(*tasks, max_workers=200))

    def worker(world: World, run: Run, number: int) -> tuple[float, Callable[[], None]]:
        if number > 1:
            return 3 * HOUR, lambda: (world.commit(run.attempt.task), world.end(run, 0))[0]

        def goes_down() -> None:
            for each in world.working():
                if int(each.attempt.task.removeprefix("t-")) % 5 == 0:
                    world.edit(each.attempt.task)
            world.tmux_dies(orphans=False)

        return 3 * HOUR, goes_down

    night = play(world, worker)
    night.report("an outage at three, with two hundred workers")
    assert max(night.starts.values()) == 2
    dirty_shells = [each.id for each in tasks if each.settings.agent == "shell" and int(each.id[2:]) % 5 == 0]
    assert [now_at.status for now_at in night.where.values()].count(Status.BLOCKED) == len(dirty_shells) == 20
    assert len(world.requests.all()) == 1, "one question for all"
    again = sorted(begun.at for begun in world.begun if begun.number == 2)
    assert len(again) == 180
    assert min(late - soon for soon, late in itertools.pairwise(again)) >= 10
    assert sum(now_at.status is Status.DONE for now_at in night.where.values()) == 180


def test_a_person_who_approves_everything_at_once() -> None:
    """They order each of these starts; mux adds no more than it may between two answers."""
    night = play(World(board_of(task())), crashes(), approves_all)
    night.report("crash loop, a person approves everything at once")
    answers = sum(asked.answer is not None for asked in night.world.requests.all())
    assert night.starts["a"] - night.by_mux["a"] == 1 + answers
    assert night.by_mux["a"] <= 1 + answers


def test_a_person_who_approves_a_destructive_one_gets_one_start_for_each_yes() -> None:
    night = play(World(board_of(task(destructive=True))), crashes(), approves_all)
    night.report("destructive, a person approves everything at once")
    answers = sum(asked.answer is not None for asked in night.world.requests.all())
    assert night.starts["a"] <= 1 + answers
    assert night.by_mux["a"] == 0


def test_nobody_decides_for_four_days() -> None:
    night = play(World(board_of(task())), crashes(), seconds=96 * HOUR)
    night.report("crash loop, nobody decides for four days")
    assert night.starts["a"] == 2 and night.asks["a"] == 1
    assert night.where["a"].why.startswith("not decided: nobody decided by")
    assert not [asked for asked in night.world.requests.all() if asked.open]


def test_the_pace_after_an_outage_outlives_the_control_plane() -> None:
    """What was approved for all starts one by one, also when a new control plane comes up between two of them."""
    tasks = [task(f"t-{number}", destructive=True) for number in range(4)]
    world = World(board_of(*tasks, max_workers=4))
    world.settle()
    world.tmux_dies(orphans=False)
    world.settle()
    world.now += 5
    world.settle()
    (asked,) = world.requests.all()
    world.requests.answer(asked.request.id, "in-place", "person", world.now)
    world.settle()
    for _ in range(40):
        world.boot()
        world.settle()
        world.now += 1
    again = [begun.at for begun in world.begun if begun.number == 2]
    assert len(again) == 4
    assert min(late - soon for soon, late in itertools.pairwise(again)) >= 10
