"""A world in memory, in which the real plan, recovery table, effects and approvals run: no tmux, no git, no disk.

What is simulated is only what lies behind the port (`runners.host`), the files of the requests, and the loop's threads.
Each record that is written is a moment at which the control plane may die (`die_in`), each effect is under way until it
is finished (`finish`), and a window may appear long after its control plane is gone (`appear`).

What must hold at the very moment of an act (a start, a reset) is asserted here; what must hold of a whole history is
for the tests that play one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from board.edit import Change
from board.errors import LockHeld, MuxError
from board.model import Board, BoardSettings, Status, Task
from runners import evidence, gate, requests
from runners.actions import (
    Abandon,
    Action,
    Ask,
    AskAll,
    CarryOut,
    CloseRequest,
    CloseWindow,
    Conclude,
    Expire,
    Judge,
    Observed,
    Plan,
    Retire,
    Start,
    StopWorker,
    WriteBoard,
)
from runners.approvals import Approvals
from runners.effects import Effects
from runners.host import Host, StartOrder
from runners.kept import Snapshot, Taken
from runners.model import (
    Attempt,
    Cause,
    Exit,
    GateRules,
    Home,
    HostState,
    How,
    Judged,
    Judgement,
    Liveness,
    OpenStep,
    Outcome,
    Report,
    Row,
    Stop,
    TreeFacts,
    Window,
)
from runners.plan import plan
from runners.requests import Answer, Asked, Closed, Request, Requests
from runners.troubles import Troubles

START_TIME = 1_800_000_000.0
BOARD = Path("/nowhere/shop/board.md")
#: Effects that the loop runs in a pool: at most one at a time for a task.
POOLED = (Start, StopWorker, Judge, Conclude, Ask, CarryOut)


class PlaneDied(BaseException):
    """The control plane was killed between two records."""


@dataclass
class Run:
    """An attempt: its records, and what lives of it. `window`: not there yet, late, open, dead or closed."""

    attempt: Attempt
    order: StartOrder
    generation: int  # of its task's section
    request: str | None  # whose approval it carries out
    after: int  # the attempt before it that was not abandoned; 0: none
    window: str = "none"
    begun: bool = False  # its wrapper recorded a start
    wrapper: bool = False
    processes: bool = False  # a process of its session, other than the wrapper, lives
    tail: str = ""

    @property
    def liveness(self) -> Liveness:
        """As `records.read` concludes it from claim, start and exit."""
        if self.attempt.outcome is not None:
            return Liveness.ENDED
        if self.wrapper:
            return Liveness.RUNNING
        if self.attempt.exit is not None:
            return Liveness.ENDED
        if not self.begun:
            return Liveness.PLANNED
        return Liveness.LOST if self.processes else Liveness.ENDED

    @property
    def abandoned(self) -> bool:
        return self.attempt.outcome is not None and self.attempt.outcome.status is None


@dataclass
class Place:
    """A home. `files` names what is uncommitted; None: nothing is."""

    commits: list[str]
    branch: str
    files: str | None = None
    there: bool = True

    @property
    def head(self) -> str:
        return self.commits[-1]


@dataclass
class Step:
    """A `once` step: how often it was begun, and by whom last."""

    run: Run
    begun: int = 1
    finished: bool = False
    allowed: str = ""  # what a person decided about the run that did not finish
    at: float = 0.0


class MemoryRequests(Requests):
    """Requests without their files; everything that decides is the real code."""

    def __init__(self, record: Callable[[], None], made: Callable[[Asked, str], None]) -> None:
        super().__init__(Path("/nowhere"))
        self._kept: dict[str, Asked] = {}
        self._record = record
        self._made = made

    def all(self) -> list[Asked]:
        return list(self._kept.values())

    def answer_to(self, request: Request) -> Answer | None:
        return self._kept[request.id].answer

    def is_closed(self, request: Request) -> bool:
        return self._kept[request.id].closed is not None

    def _create(self, name: str, record: Mapping[str, Any]) -> bool:
        match = requests._FILE.match(name)
        assert match is not None, name
        known, part = self._kept.get(match[1]), match[2] or ""
        if known is None:
            new = Asked(requests._request(record))
        elif part == "answer" and known.answer is None:
            new = replace(known, answer=requests._answer(record))
        elif part == "closed" and known.closed is None:
            new = replace(known, closed=Closed(record["outcome"], record["at"]))
        elif part.startswith("step-") and part.removeprefix("step-") not in known.steps:
            new = replace(known, steps={**known.steps, part.removeprefix("step-"): dict(record)})
        else:
            return False
        self._made(new, part)
        self._kept[match[1]] = new
        self._record()
        return True


@dataclass
class _Keeper:
    """All that the effects know of the board's keeper."""

    board: Board
    path: Path = BOARD


@dataclass
class _Effect:
    tasks: tuple[str, ...]
    do: Callable[[], object]
    request: str | None = None


@dataclass
class Begun:
    """A command that ran."""

    task: str
    number: int
    at: float
    cause: Cause
    how: How
    request: str | None


def board_of(*tasks: Task, **settings: Any) -> Board:
    return Board("", BoardSettings(**settings), 1, tasks, (), MappingProxyType({each.id: each for each in tasks}))


@dataclass
class World:
    board: Board
    seed: int = 0
    now: float = START_TIME
    runs: dict[str, list[Run]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    snapshots: dict[str, list[Snapshot]] = field(default_factory=dict)
    steps: dict[str, dict[str, Step]] = field(default_factory=dict)
    tmux_answers: bool = True
    writable: bool = True
    held: bool = False
    die_in: int | None = None  # records until the control plane dies
    said: list[tuple[str, str, str | None]] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)
    orders: Counter[str] = field(default_factory=Counter)  # `ready` freshly written by a person
    sections: Counter[str] = field(default_factory=Counter)  # how often a section with that id was made
    watchers: list[Callable[[Plan], None]] = field(default_factory=list)  # called with each plan

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.requests = MemoryRequests(self._record, self._check_step)
        self._claims: dict[str, int] = {}
        self._reserved: Counter[str] = Counter()
        self._serial = 0
        self._carrying: str | None = None
        self._at_work = False
        self._host = self._port()
        for task in self.board.tasks:
            self.sections[task.id] = 1
            self.orders[task.id] += task.status is Status.READY
        self.boot()

    # --- the control plane

    def boot(self) -> None:
        """A control plane comes up; whatever another had under way is cut short."""
        self.under_way: list[_Effect] = []
        self.die_in = None
        self._since, self._paced_at, self._wrote_at = self.now, 0.0, 0.0
        self._troubles = Troubles(lambda event, text, task: self._say(event, text, task), lambda: self.now)
        self._keeper = _Keeper(self.board)
        self.effects = Effects(
            self._keeper,  # type: ignore[arg-type]
            self._host,
            self._say,
            self._troubles,
            lambda: self.now,
            self.chance.random,
        )
        self.approvals = Approvals(self.effects, self.requests)

    @property
    def busy(self) -> frozenset[str]:
        return frozenset(task for effect in self.under_way for task in effect.tasks) | self.stuck.keys()

    @property
    def stuck(self) -> dict[str, float]:
        """Tasks whose last effect failed, and when it is tried again."""
        return self._troubles.pending(self.now)

    def trouble_of(self, task: str) -> str | None:
        return self._troubles.said_of(task)

    def observed(self) -> Observed:
        return Observed(
            now=self.now,
            host=self._observe(),
            busy=self.busy,
            asked=tuple(self.requests.all()),
            wrote_at=self._wrote_at,
            writable=self.writable,
            held=self.held,
            since=self._since,
            paced_at=self._paced_at,
        )

    def look(self) -> Plan:
        """One pass of the loop; its slow effects are under way then."""
        observed = self.observed()
        planned = plan(self.board, observed)
        self._check_plan(planned, observed)
        for each in self.watchers:
            each(planned)
        with self._working():
            for action in planned.actions:
                self._apply(action, observed)
        return planned

    def finish(self, count: int | None = None) -> None:
        """Let so many effects that are under way come to their end, in any order; all of them for None."""
        with self._working():
            while self.under_way and count != 0:
                self._finish_one(self.under_way[self.chance.randrange(len(self.under_way))])
                count = count - 1 if count is not None else None

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._at_work = True
        try:
            yield
        except PlaneDied:
            self.boot()
        finally:
            self._at_work = False

    def _finish_one(self, effect: _Effect) -> None:
        """As the loop's pool runs it: what fails is tried again later."""
        about = effect.tasks[0] if len(effect.tasks) == 1 else ""
        self._carrying = effect.request
        try:
            effect.do()
            self._troubles.over(about)
        except MuxError as error:
            self._troubles.try_again(about, "trouble", str(error))
        self.under_way.remove(effect)

    def settle(self, passes: int = 25) -> Plan:
        """Look and finish until nothing is left to do now; that must come to an end."""
        for _ in range(passes):
            self.finish()
            planned = self.look()
            if not planned.actions and not self.under_way:
                return planned
        raise AssertionError(f"it does not come to rest: {planned.actions}")

    def _apply(self, action: Action, observed: Observed) -> None:
        attempts = observed.host.attempts
        match action:
            case WriteBoard(changes):
                self.set_board([_changed(task, changes) for task in self.board.tasks])
                self._wrote_at = self.now
                self._record()
            case Expire(request):
                self.requests.expire(self.requests.find(request).request)
            case CloseRequest(request, outcome):
                self.requests.close(self.requests.find(request).request, outcome, self.now)
            case AskAll(members):
                several = tuple(attempts[task] for task, _ in members)
                self._begin(tuple(task for task, _ in members), lambda: self.approvals.ask_all(several))
            case CloseWindow(window, task):
                next(run for run in self.runs[task] if _window_id(run) == window).window = "closed"
            case Retire(task, number):
                self._change(task, number, retired=True)
            case Abandon(task, number):
                self._give_up(self.run_of(task, number), Outcome(None, "abandoned", "it never started", self.now))
            case Start(task):
                if action.cause is Cause.OUTAGE:
                    self._paced_at = self.now
                self._begin((task,), lambda: self.effects.start(action, attempts.get(task)))
            case Judge(task):
                self._begin((task,), lambda: self.effects.judge(attempts[task]))
            case Conclude(task, _, outage):
                self._begin((task,), lambda: self.effects.conclude(attempts[task], outage))
            case Ask(task, _, about):
                self._begin((task,), lambda: self.approvals.ask(attempts[task], about))
            case CarryOut(task, _, request):
                self._begin((task,), lambda: self.approvals.carry_out(action, attempts[task]), request)
            case StopWorker(task, _, reason):
                self._begin((task,), lambda: self.effects.stop(attempts[task], reason))

    def _begin(self, tasks: tuple[str, ...], do: Callable[[], object], request: str | None = None) -> None:
        if self.busy.isdisjoint(tasks):
            self.under_way.append(_Effect(tasks, do, request))

    def _say(self, event: str, text: str, task: str | None = None, attempt: int | None = None, **more: Any) -> None:
        self.said.append((event, text, task))

    def _record(self) -> None:
        """A record is on disk; here the control plane may die, if it is the one that works now."""
        if self.die_in is not None and self._at_work:
            self.die_in -= 1
            if self.die_in < 0:
                raise PlaneDied

    # --- the board, as people edit it

    def set_board(self, tasks: Iterable[Task]) -> None:
        several = tuple(tasks)
        by_id = MappingProxyType({each.id: each for each in several})
        self.board = self._keeper.board = replace(self.board, tasks=several, by_id=by_id)

    def write(self, task: str, status: Status) -> None:
        """A person writes a status; it is an order only if it was another one before."""
        self.orders[task] += status is Status.READY and self.board.by_id[task].status is not status
        self.set_board(replace(each, status=status) if each.id == task else each for each in self.board.tasks)

    def delete(self, task: str) -> Task:
        gone = self.board.by_id[task]
        self.set_board(each for each in self.board.tasks if each.id != task)
        return gone

    def add(self, task: Task, new: bool) -> None:
        """A section is written: a `new` one, or one that was there before, with all that stood in it."""
        self.sections[task.id] += new
        self.orders[task.id] += task.status is Status.READY
        self.set_board([*self.board.tasks, task])

    def restart(self, task: str, how: str | None) -> None:
        """`mux restart TASK --how HOW`, with a yes at once; without `how` it is only asked about."""
        attempt = self._observe().attempts.get(task)
        if attempt is None:
            return
        request = self.approvals.ask(attempt, "restart")
        if how in request.choices and self.requests.answer_to(request) is None:
            self.requests.answer(request.id, str(how), "person", self.now)

    # --- what lives

    def run_of(self, task: str, number: int) -> Run:
        return next(run for run in self.runs[task] if run.attempt.number == number)

    def newest(self, task: str) -> Run | None:
        return next((run for run in reversed(self.runs.get(task, [])) if not run.abandoned), None)

    def living(self) -> list[Run]:
        return [run for runs in self.runs.values() for run in runs if run.wrapper or run.processes]

    def working(self) -> list[Run]:
        """Those whose command runs under its wrapper."""
        return [run for run in self.living() if run.wrapper and run.processes]

    def late(self) -> list[Run]:
        return [run for runs in self.runs.values() for run in runs if run.window == "late"]

    def appear(self, run: Run) -> None:
        """The window's wrapper comes to life: it takes the claim if its epoch is the current one, or does nothing."""
        task, number = run.attempt.task, run.attempt.number
        if self._claims.get(task) != number or self._holder(task) is not None:
            run.window = "dead"
            return
        run.window, run.begun, run.wrapper, run.processes = "open", True, True, True
        run.attempt = replace(run.attempt, started=self.now, pid=number + 100)
        self._check_begin(run)
        self.begun.append(Begun(task, number, self.now, run.attempt.cause, run.attempt.how, run.request))

    def end(self, run: Run, code: int | None = 0, signal: int | None = None, hangup: bool = False) -> None:
        """The command ends, and its wrapper writes down how."""
        code = None if signal is not None else code
        run.attempt = replace(run.attempt, exit=Exit(self.now, code, signal, hangup=hangup))
        run.wrapper = run.processes = False
        run.window = "dead"

    def kill_wrapper(self, run: Run, orphan: bool) -> None:
        run.wrapper, run.processes, run.window = False, orphan, "dead"

    def tmux_dies(self, orphans: bool) -> None:
        """Every wrapper gets HUP, or was killed with it."""
        for run in self.living():
            if run.wrapper and orphans and self.chance.random() < 0.5:
                self.kill_wrapper(run, self.chance.random() < 0.5)
            elif run.wrapper:
                self.end(run, signal=1, hangup=True)
        for runs in self.runs.values():
            for run in runs:
                run.window = "closed"

    def reboot(self) -> None:
        for runs in self.runs.values():
            for run in runs:
                run.wrapper, run.processes, run.window = False, False, "closed"
                if run.begun:
                    run.attempt = replace(run.attempt, rebooted=True)
        self.boot()

    def report(self, run: Run, kind: Any, text: str = "") -> None:
        place = self.places[run.attempt.task]
        said = Report(kind, self.now, text, place.head if kind == "checkpoint" else None)
        run.attempt = replace(run.attempt, reports=(*run.attempt.reports, said))

    def commit(self, task: str) -> None:
        place = self.places[task]
        place.commits.append(self._name())
        place.files = None

    def edit(self, task: str) -> None:
        self.places[task].files = self._name()

    def _name(self) -> str:
        self._serial += 1
        return f"{self._serial:07x}" + "0" * 33

    def _holder(self, task: str) -> Run | None:
        return next((run for run in self.runs.get(task, []) if run.wrapper), None)

    # --- the host, behind its port

    def _port(self) -> Host:
        def missing(*_: object) -> Any:
            raise AssertionError("this is not simulated")

        ours = {
            "observe": self._observe,
            "start": self._start,
            "stop": self._stop,
            "tree": self._tree,
            "judge": self._judge,
            "conclude": self._conclude,
            "record_judged": self._record_judged,
            "tail": lambda attempt: self.run_of(attempt.task, attempt.number).tail,
            "once_running": lambda task: (),
            "once_unfinished": self._unfinished,
            "once_finished": self._finished,
            "once_undecided": self._undecided,
            "once_decide": self._decide_steps,
            "beyond": self._beyond,
            "under_way": lambda home: None,
            "reset": self._reset,
            "finish_reset": self._finish_reset,
            "snapshot_holding": self._holding,
            "snapshot": self._snapshot,
            "history": lambda task: [run.attempt for run in reversed(self.runs.get(task, []))],
        }
        return Host(**{each.name: ours.get(each.name, missing) for each in fields(Host)})  # type: ignore[arg-type]

    def _observe(self) -> HostState:
        attempts: dict[str, Attempt] = {}
        abandoned: dict[str, int] = {}
        for task, runs in self.runs.items():
            for run in reversed(runs):
                if not run.abandoned:
                    attempts[task] = replace(run.attempt, liveness=run.liveness)
                    break
                abandoned[task] = max(run.attempt.number, abandoned.get(task, 0))
        shown = [run for runs in self.runs.values() for run in runs if run.window in ("open", "dead", "late")]
        windows = tuple(
            Window(_window_id(run), run.attempt.task, run.attempt.number, 1, run.window == "dead", 0) for run in shown
        )
        return HostState(attempts, windows if self.tmux_answers else None, abandoned)

    def _start(self, order: StartOrder) -> Attempt:
        task = order.task
        before = self.newest(task)
        if before is not None and before.liveness is Liveness.ENDED and before.processes:
            raise MuxError(f"{task}: attempt {before.attempt.number} left a process that lives")
        number = max(order.number - 1, self._reserved[task]) + 1
        self._reserved[task] = number
        self._record()
        if (holder := self._holder(task)) is not None:
            raise LockHeld(f"{task}: attempt {holder.attempt.number} still works on it")
        self._claims[task] = number
        self._record()
        self._check_kept(task)
        place = self.places.setdefault(task, Place([self._name()], order.branch))
        if not place.there:
            place.there, place.files, place.branch = True, None, order.branch
        run = Run(self._intent(order, number), order, self.sections[task], self._carrying, _number(before))
        self.runs.setdefault(task, []).append(run)
        self._record()
        run.window = "late"
        self._record()
        self.appear(run)
        return run.attempt

    def _intent(self, order: StartOrder, number: int) -> Attempt:
        return Attempt(
            task=order.task,
            number=number,
            created=self.now,
            agent=order.settings.agent,
            mode=order.settings.mode,
            home=Home(order.home, order.branch, self.places[order.task].commits[0]),
            liveness=Liveness.PLANNED,
            timeout=order.settings.timeout,
            done_when=order.done_when or (),
            cause=order.cause,
            how=order.how,
            why=order.why,
            known_good=order.known_good,
            conversation=order.conversation or number,
        )

    def _give_up(self, run: Run, outcome: Outcome) -> None:
        """As `local` abandons: the epoch is spent first, and nothing is concluded of what started after all."""
        task, number = run.attempt.task, run.attempt.number
        if self._holder(task) is run:
            return
        if self._holder(task) is None:
            self._claims[task] = number + 1
        self._record()
        if not run.begun:
            self._change(task, number, outcome=outcome)

    def _stop(self, attempt: Attempt, stop: Stop) -> None:
        run = self.run_of(attempt.task, attempt.number)
        if run.attempt.stop is None:
            if run.liveness is Liveness.ENDED:
                return
            self._change(attempt.task, attempt.number, stop=stop)
        if run.wrapper:
            self.end(run, signal=15)
            self._change(attempt.task, attempt.number, stop=replace(stop, reached=self.now))
        elif run.begun:
            run.processes = False

    def _conclude(self, attempt: Attempt, outcome: Outcome) -> None:
        run = self.run_of(attempt.task, attempt.number)
        before = run.attempt.outcome
        answered = before is not None and before.row == Row.ONCE and not self._undecided(attempt.task)
        assert before is None or answered, "a decision is written once, but for one about steps that are answered"
        assert run.liveness is Liveness.ENDED, "nothing is concluded of what lives"
        goes_on = outcome.next is not None and outcome.next.do != "ask"
        assert not (goes_on and self._undecided(attempt.task)), "it goes on, and a step may have taken effect"
        self._change(attempt.task, attempt.number, outcome=outcome)

    def _record_judged(self, attempt: Attempt, judged: Judged) -> None:
        self._change(attempt.task, attempt.number, judged=judged)

    def _change(self, task: str, number: int, **records: Any) -> None:
        run = self.run_of(task, number)
        run.attempt = replace(run.attempt, **records)
        self._record()

    def _tree(self, home: Home) -> TreeFacts | None:
        place = self.places.get(home.path.name)
        if place is None or not place.there:
            return None
        changed = int(place.files is not None)
        return TreeFacts(place.head, place.branch, len(place.commits) - 1, changed, 0)

    def _judge(self, attempt: Attempt, rules: GateRules) -> Judgement:
        facts = self._tree(attempt.home)
        return Judgement(facts, None, tuple(gate.broken_rules(rules.done_when, facts, attempt.home.branch)))

    def _beyond(self, home: Home, commit: str) -> int | None:
        commits = self.places[home.path.name].commits
        return len(commits) - 1 - commits.index(commit) if commit in commits else None

    def _snapshot(self, home: Home, attempt: int, reason: str, now: float, always: bool = False) -> Taken | None:
        task = home.path.name
        place = self.places.get(task)
        if place is None or not place.there or (place.files is None and not always):
            return None
        kept = self.snapshots.setdefault(task, [])
        tree = place.files or place.head
        if kept and kept[-1].tree == tree and (not always or kept[-1].parent == place.head):
            return Taken(kept[-1], False, ())
        kept.append(Snapshot(len(kept) + 1, self._name(), tree, place.head, now, attempt, reason, 1, 0))
        self._record()
        return Taken(kept[-1], True, ())

    def _reset(self, home: Home, attempt: int, commit: str, now: float) -> Taken:
        task = home.path.name
        place = self.places[task]
        if commit not in place.commits:
            raise MuxError(f"{task}: git does not have the commit {commit[:7]} any more")
        if place.branch != home.branch:
            raise MuxError(f"{task}: is on {place.branch}, not on {home.branch}; switch to it first")
        taken = self._snapshot(home, attempt, f"before restart from {commit[:7]}", now, always=True)
        assert taken is not None and taken.snapshot.tree == (place.files or place.head)
        assert taken.snapshot.parent == place.head, "what is taken away hangs on a snapshot"
        self._check_reset(task)
        if commit != place.head:
            place.files = f"files of {commit}"  # the files first, then the branch
            self._record()
        place.commits = place.commits[: place.commits.index(commit) + 1]
        place.files = None
        self._record()
        return taken

    def _finish_reset(
        self, home: Home, attempt: int, head: str, files: str | None, commit: str, now: float
    ) -> Snapshot:
        place = self.places[home.path.name]
        if (place.head, place.files) == (head, files):
            return self._reset(home, attempt, commit, now).snapshot
        before = self._holding(home, head, files)
        if before is None or (place.head, place.files) not in ((head, f"files of {commit}"), (commit, None)):
            raise MuxError(f"{home.path.name}: somebody else was at work there")
        place.commits = place.commits[: place.commits.index(commit) + 1]
        place.files = None
        self._record()
        return before

    def _holding(self, home: Home, head: str, files: str | None) -> Snapshot | None:
        mine = self.snapshots.get(home.path.name, [])
        return next((each for each in mine if (each.tree, each.parent) == (files or head, head)), None)

    def _unfinished(self, task: str) -> tuple[str, ...]:
        steps = self.steps.get(task, {}).items()
        return tuple(key for key, step in steps if not step.finished and not step.run.processes)

    def _finished(self, task: str) -> tuple[str, ...]:
        return tuple(key for key, step in self.steps.get(task, {}).items() if step.finished)

    def _undecided(self, task: str) -> tuple[OpenStep, ...]:
        steps = self.steps.get(task, {})
        found = (key for key in self._unfinished(task) if not steps[key].allowed)
        return tuple(OpenStep(f"{key}/{steps[key].begun}", key, key, steps[key].begun, steps[key].at) for key in found)

    def _decide_steps(self, task: str, choice: str, by: str, before: float) -> None:
        assert self._carrying is not None
        answer = self.requests.find(self._carrying).answer
        assert answer is not None and not answer.denies, "a person decides about a step"
        for key in self._unfinished(task):
            if (step := self.steps[task][key]).at <= before:
                step.allowed = step.allowed or choice
                step.finished = step.allowed == "finished"
                self._record()

    # --- what must hold at the moment of an act

    def _check_plan(self, planned: Plan, observed: Observed) -> None:
        """The same for the same; at most one effect a task; and nothing of an older epoch."""
        assert plan(self.board, observed) == planned
        effects = [action for action in planned.actions if isinstance(action, POOLED)]
        count = Counter(action.task for action in effects)
        count.update(task for action in planned.actions if isinstance(action, AskAll) for task, _ in action.members)
        assert all(number == 1 for number in count.values()), f"two effects at once: {planned.actions}"
        for action in effects:
            newest = observed.host.attempts.get(action.task)
            if not isinstance(action, Start):
                assert newest is not None and newest.number == action.number, f"of an older epoch: {action}"

    def _check_begin(self, run: Run) -> None:
        """Each start has one reason, and each reason gives one start."""
        task, number = run.attempt.task, run.attempt.number
        others = [each for each in self.runs[task] if each is not run and each.begun]
        assert not any(each.wrapper or each.processes for each in others), f"{task} has two workers"
        assert number == max(each.attempt.number for each in self.runs[task]), f"{task}: an older epoch starts"
        assert run.attempt.outcome is None, f"{task}: what was given up starts"
        if run.request is not None:
            asked = self.requests.find(run.request)
            assert asked.answer is not None and not asked.answer.denies, f"{task}: carried out without a yes"
            assert all(each.request != run.request for each in others), f"{task}: one yes, two starts"
        elif run.attempt.cause is Cause.PERSON:
            ordered = sum(each.request is None and each.attempt.cause is Cause.PERSON for each in others)
            assert ordered < self.orders[task], f"{task} starts more often than a person ordered it"
        else:
            self._check_follows(run, others)
        if run.order.settings.destructive and any(each.generation == run.generation for each in others):
            assert run.request is not None, f"{task} is destructive and runs again without a yes"

    def _check_follows(self, run: Run, others: list[Run]) -> None:
        task = run.attempt.task
        before = self.run_of(task, run.after).attempt.outcome
        assert before is not None and before.next is not None and before.next.do != "ask", f"{task} starts unasked"
        assert before.next.at <= run.attempt.created, f"{task} starts before its time"
        assert all(each.after != run.after for each in others if each.request is None), f"{task}: one end, two starts"
        assert run.order.settings.restart.when == "safe" or before.row == "limited"

    def _check_kept(self, task: str) -> None:
        """What an attempt left uncommitted is in a snapshot before the next one starts."""
        place = self.places.get(task)
        if place is not None and place.there and place.files is not None:
            kept = self.snapshots.get(task)
            assert kept and kept[-1].tree == place.files, f"{task} runs again in a dirty home without a snapshot"

    def _check_step(self, asked: Asked, part: str) -> None:
        """A step that takes work away is recorded only while the home is as the person was shown it."""
        if not part.startswith("step-reset-"):
            return
        task = part.removeprefix("step-reset-")
        run, place = self.newest(task), self.places[task]
        assert asked.approved and asked.answer is not None and asked.answer.choice == "checkpoint" and run is not None
        if not evidence.is_live(asked.request.evidence):
            facts = self._tree(run.attempt.home)
            now = evidence.about(task, run.attempt, asked.request.action, facts, place.files, False)
            assert now == asked.request.about, f"{task}: its home is not as the person was shown it"

    def _check_reset(self, task: str) -> None:
        assert self._carrying is not None, f"{task}: a reset that nobody asked for"
        step = self.requests.find(self._carrying).steps[f"reset-{task}"]
        place = self.places[task]
        assert (step["head"], step["files"]) == (place.head, place.files), f"{task}: something else is reset"


def _changed(task: Task, changes: Iterable[Change]) -> Task:
    for change in changes:
        if change.task == task.id:
            mux = {key: str(value) for key, value in change.mux.items()} if change.mux is not None else task.mux
            return replace(task, status=change.status or task.status, mux=mux, written_status="")
    return task


def _number(run: Run | None) -> int:
    return run.attempt.number if run is not None else 0


def _window_id(run: Run) -> str:
    return f"@{run.attempt.task}-{run.attempt.number}"
