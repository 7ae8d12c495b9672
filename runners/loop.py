"""The control plane: one loop. Observe, plan, apply, write back.

Level-triggered: what to do is decided from what is, not from which event came. Watcher, pool, timers and signals only
put a word on the queue; losing one costs latency, never correctness.
"""

from __future__ import annotations

import queue
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from board.edit import Change
from board.errors import MuxError
from board.history import History
from board.keeper import Keeper, Note
from board.model import Status
from board.storage import write_json
from board.watch import Settler
from runners import gate, names, report
from runners.agents import load
from runners.answers import Answers
from runners.host import Host, StartOrder
from runners.journal import Event, Journal
from runners.model import Attempt, Home, Stop
from runners.plan import (
    LOOK_AGAIN,
    Abandon,
    Action,
    CloseWindow,
    Conclude,
    Observed,
    Plan,
    Restart,
    Retire,
    Start,
    StopWorker,
    WriteBoard,
    plan,
)
from runners.requests import Requests
from runners.troubles import Troubles

DAY = 86400.0  # seconds between prunings of the history
#: With nothing to do the loop looks again after this many seconds: events can be lost.
IDLE = 5.0
#: `state.json` is written anew after this many seconds even if nothing changed: its age shows that the loop lives.
HEARTBEAT = 30.0
#: A home that cannot be read while the pauses between tries grow to this many seconds is left to a person.
GIVE_UP_AFTER = 8.0
POOL = 4  # slow effects under way at once
STOPS = 64  # workers being ended at once: each takes up to 20 s, and little else than waiting


class ControlPlane:
    """Runs one board until `quit` is put on `wakes`.

    `tell` gets every event once it is in the journal, from any thread; `show` gets the state after each pass.
    """

    def __init__(
        self,
        keeper: Keeper,
        host: Host,
        folder: Path,
        tell: Callable[[Event], None],
        show: Callable[[Mapping[str, Any]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.wakes: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._keeper = keeper
        self._host = host
        self._folder = folder
        self._journal = Journal(folder)
        self._tell_person = tell
        self._show_person = show
        self._clock = clock
        self._answers = Answers(keeper, Requests(folder), self._say, self._say_notes)
        self._settler = Settler()
        self._busy: set[str] = set()
        self._troubles = Troubles(self._say, clock)
        self._refused: dict[tuple[str, int], str] = {}  # restart orders turned down, by attempt, with why
        self._put_back: set[tuple[str, int]] = set()  # those whose order is off the board: a new one is looked at anew
        self._state: dict[str, Any] = {}
        self._state_at = 0.0
        self._prune_at = 0.0
        self._pool = ThreadPoolExecutor(POOL, thread_name_prefix="effect")
        self._stops = ThreadPoolExecutor(STOPS, thread_name_prefix="stop")  # stubborn workers must not hold up starts

    def wake(self, what: str, task: str = "") -> None:
        """Safe from any thread and from signal handlers: `board`, `inbox`, `effect` (with its task) or `quit`."""
        self.wakes.put((what, task))

    def run(self) -> None:
        """Passes until told to quit. Slow effects under way are waited for; workers go on.

        The tmux server ends with the control plane if no worker lives in it.
        """
        pause = 0.0
        while not self._woken(pause):
            pause = self.step()
        self._pool.shutdown(cancel_futures=True)
        self._stops.shutdown(cancel_futures=True)
        self._busy.clear()
        self.step(last=True)
        with suppress(MuxError):  # an unanswering tmux is no reason not to end
            self._host.close()

    def step(self, last: bool = False) -> float:
        """One pass. Returns the seconds after which to look again, if nothing wakes the loop before.

        The `last` pass before the end starts no effects: it only writes down what is known. What fails (a full disk,
        a tmux that does not answer) is said once and tried again: nothing is lost by looking later.
        """
        try:
            return self._pass(last)
        except MuxError as error:
            self._troubles.say_once("", "trouble", str(error))
            return LOOK_AGAIN

    def _pass(self, last: bool) -> float:
        now = self._clock()
        if last or self._settler.due is None or self._settler.due <= now:
            self._settler = self._settler.cleared()
            self._say_notes(self._keeper.look(now))
        self._answers.carry_out(now)
        observed = self._observe(now)
        planned = plan(self._keeper.board, observed)
        if now >= self._prune_at:
            History(self._folder / "history").prune(now, self._keeper.board.settings.retain)
            self._prune_at = now + DAY
        for action in planned.actions:
            if not last or isinstance(action, WriteBoard):
                self._apply_safely(action, observed)
        self._show(observed, planned)
        self._troubles.over("")
        return self._pause(planned, now)

    def _woken(self, pause: float) -> bool:
        """Wait for a wake-up, take all that came, and say whether to quit."""
        quit_now = False
        block = True
        while True:
            try:
                what, task = self.wakes.get(block=block, timeout=max(pause, 0.0) if block else None)
            except queue.Empty:
                return quit_now
            block = False
            if what == "effect":
                self._busy.discard(task)
            elif what == "board":
                self._settler = self._settler.noted(self._clock())
            quit_now = quit_now or what == "quit"

    def _observe(self, now: float) -> Observed:
        host = self._host.observe()
        for task, why in host.unreadable.items():
            self._troubles.say_once(task, "trouble", why)
        # Changed in place: effects in the pool write to these, too.
        current = {(task, attempt.number) for task, attempt in host.attempts.items() if attempt.outcome is None}
        self._forget_refusals(current)
        return Observed(
            now=now,
            host=host,
            busy=frozenset(self._busy | self._troubles.pending(now).keys() | host.unreadable.keys()),
            refused={task: why for (task, _), why in list(self._refused.items())},
            wrote_at=self._keeper.wrote_at,
            writable=self._keeper.trouble is None,
            held=self._keeper.held is not None,
        )

    def _forget_refusals(self, current: set[tuple[str, int]]) -> None:
        """The why stays with its attempt; but once the refused word is off the board, a new `ready` is a new order."""
        for key in list(self._refused):
            task = self._keeper.board.by_id.get(key[0])
            ordered = task is not None and task.status is Status.READY
            if key not in current or (ordered and key in self._put_back):
                self._refused.pop(key, None)
                self._put_back.discard(key)
            elif not ordered:
                self._put_back.add(key)

    def _apply_safely(self, action: Action, observed: Observed) -> None:
        """What fails for one task holds up that task only."""
        try:
            self._apply(action, observed)
        except MuxError as error:
            if isinstance(action, WriteBoard):
                self._troubles.say_once("", "trouble", str(error))
            else:
                self._troubles.try_again(action.task, "trouble", str(error))

    def _apply(self, action: Action, observed: Observed) -> None:
        attempt = observed.host.attempts.get(action.task) if not isinstance(action, WriteBoard) else None
        match action:
            case WriteBoard(changes):
                self._say_ignored(changes)
                self._say_notes(self._keeper.write(changes, observed.now))
            case CloseWindow(window):
                self._host.close_window(window)
            case Retire(task, number):
                self._host.retire(task, number)
            case Abandon(task, number):
                self._host.abandon(task, number)
                self._say("abandoned", "it never started; its order stands", task, number)
            case Start(task, number):
                self._in_pool(task, self._start, task, number)
            case Conclude(task):
                assert attempt is not None
                self._in_pool(task, self._conclude, attempt)
            case StopWorker(task, _, reason):
                assert attempt is not None
                self._in_pool(task, self._stop, attempt, reason, pool=self._stops)
            case Restart(task):
                assert attempt is not None
                self._in_pool(task, self._restart, attempt, pool=self._stops)

    def _say_ignored(self, changes: Sequence[Change]) -> None:
        """A `draft` on a task whose worker runs, or a word that is no status, is put back, and nothing else happens."""
        for change in changes:
            task = self._keeper.board.by_id[change.task]
            if change.status is not None and task.written_status:
                texts = (each.text for each in task.problems if f"'{task.written_status}'" in each.text)
                wrong = next(texts, f"'{task.written_status}' is no status")
                self._say("ignored", f"mux put '{change.status}' back: {wrong}", change.task)
            if change.status is not None and task.status is Status.DRAFT and task.sound:
                text = f"'draft' is ignored while its worker runs; to end that: mux stop {change.task}"
                self._say("ignored", text, change.task)

    def _in_pool(
        self, task: str, effect: Callable[..., None], *arguments: Any, pool: ThreadPoolExecutor | None = None
    ) -> None:
        self._busy.add(task)

        def run() -> None:
            try:
                effect(*arguments)
                self._troubles.over(task)
            except MuxError as error:
                self._troubles.try_again(task, "trouble", str(error))
            except Exception:
                log = self._folder / "mux.log"
                with log.open("a") as file:
                    file.write(traceback.format_exc())
                self._troubles.try_again(task, "bug", f"a bug in mux, see {log}")
            finally:
                self.wake("effect", task)

        (pool or self._pool).submit(run)

    def _start(self, task_id: str, number: int) -> None:
        board, path = self._keeper.board, self._keeper.path
        task = board.by_id.get(task_id)
        if task is None or task.status not in (Status.READY, Status.CLAIMED):
            return  # the order was taken back while it waited for its turn in the pool
        profile = load(board.settings.agents)[task.settings.agent]
        order = StartOrder(
            task=task_id,
            number=number,
            prompt=task.prompt,
            settings=task.settings,
            profile=profile,
            done_when=task.settings.done_when or profile.done_when,
            repository=names.repository_of(path, board.settings),
            home=names.home_of(path, board.settings, task_id),
            branch=names.branch_of(path, board.settings, task_id),
            predecessors=tuple(names.branch_of(path, board.settings, each) for each in task.settings.after),
        )
        # What the attempt before left is kept, or this one is not started.
        self._snapshot(Home(order.home, order.branch, ""), task_id, number - 1, "before it ran again")
        attempt = self._host.start(order)
        outcome = attempt.outcome
        text = outcome.why if outcome else f"on branch {attempt.home.branch}"
        self._say(str(outcome.status) if outcome else "started", text, task_id, attempt.number)

    def _conclude(self, attempt: Attempt) -> None:
        try:
            facts = self._host.tree(attempt.home)
            outcome = gate.conclude(attempt, facts, self._clock())
        except MuxError as error:
            if self._troubles.pause_of(attempt.task) < GIVE_UP_AFTER:
                raise
            facts = None
            outcome = gate.unreadable(attempt, str(error), self._clock())
        if facts is not None and not facts.clean:
            try:
                self._snapshot(attempt.home, attempt.task, attempt.number, f"ended: {outcome.status}")
            except MuxError as error:
                self._say("trouble", f"no snapshot of what it left: {error}", attempt.task, attempt.number)
        self._host.conclude(attempt, outcome)
        self._say(str(outcome.status), outcome.why, attempt.task, attempt.number)

    def _snapshot(self, home: Home, task: str, attempt: int, reason: str) -> None:
        taken = self._host.snapshot(home, attempt, reason, self._clock())
        if taken is not None and taken.new:
            text = f"snapshot {taken.snapshot.number} of {task}: {taken.snapshot.what}"
            self._say("snapshot", text, task, attempt)

    def _stop(self, attempt: Attempt, reason: Any) -> None:
        if attempt.stop is None:
            self._say("stop", f"ending its worker ({reason})", attempt.task, attempt.number)
        self._host.stop(attempt, attempt.stop or Stop(reason, self._clock()))

    def _restart(self, attempt: Attempt) -> None:
        facts = self._host.tree(attempt.home)
        if attempt.stop is None and facts is not None and not facts.clean:
            why = f"restart refused: {gate.describe_dirt(facts)}; commit that, or end it with: mux stop {attempt.task}"
            self._refused[attempt.task, attempt.number] = why
            self._say("refused", why, attempt.task, attempt.number)
        else:
            self._stop(attempt, "restart")

    def _say(self, event: str, text: str, task: str | None = None, attempt: int | None = None) -> None:
        said = Event(self._clock(), event, text, task, attempt)
        with suppress(MuxError):  # a full disk: what cannot be kept is still said
            self._journal.add(said)
        self._tell_person(said)

    def _say_notes(self, notes: Sequence[Note]) -> None:
        for note in notes:
            self._say("board", note.text, note.task)

    def _stuck(self, now: float) -> dict[str, str]:
        """Tasks whose last effect failed, each with why."""
        return {task: self._troubles.said_of(task) or "" for task in self._troubles.pending(now)}

    def _show(self, observed: Observed, planned: Plan) -> None:
        state = report.build(
            self._keeper.board,
            self._keeper.path,
            planned.where,
            observed.host,
            {**planned.waiting, **self._stuck(observed.now)},
            self._keeper.trouble or self._troubles.said_of(""),
        )
        if state != self._state or observed.now - self._state_at >= HEARTBEAT:
            write_json(self._folder / "state.json", state | {"at": observed.now}, durable=False)
            self._state, self._state_at = state, observed.now
        self._show_person(state)

    def _pause(self, planned: Plan, now: float) -> float:
        times = [now + IDLE, *self._troubles.pending(now).values()]
        look_at = self._settler.due or self._keeper.retry_at
        times += [at for at in (planned.wake_at, look_at) if at is not None]
        return min(times) - self._clock()
