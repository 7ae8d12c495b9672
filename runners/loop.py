"""The control plane: one loop. Observe, plan, apply, write back.

Level-triggered: what to do is decided from what is, not from which event came. Watcher, pool, timers and signals only
put a word on the queue; losing one costs latency, never correctness.
"""

from __future__ import annotations

import queue
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from board.errors import MuxError
from board.history import History
from board.keeper import Keeper, Note
from board.storage import write_json
from board.watch import Settler
from runners import policy, report
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
    NudgeAgent,
    Observed,
    Plan,
    Retire,
    Start,
    StopWorker,
    WriteBoard,
)
from runners.answers import Answers
from runners.approvals import Approvals
from runners.drifts import Drifts
from runners.effects import Effects
from runners.host import Host
from runners.journal import Event, Journal, Redact, redacted, unredacted
from runners.model import Cause
from runners.own_log import write_traceback, write_words
from runners.pace import Pace
from runners.plan import LOOK_AGAIN, plan
from runners.requests import Asked, Requests
from runners.troubles import Troubles
from runners.watching import Watching

DAY = 86400.0  # seconds between prunings of the history
#: With nothing to do the loop looks again after this many seconds: events can be lost.
IDLE = 5.0
#: `state.json` is written anew after this many seconds even if nothing changed: its age shows that the loop lives.
HEARTBEAT = 30.0
POOL = 4  # slow effects under way at once
CHECKS = 2  # checks of done gates under way at once: each may take half an hour
STOPS = 64  # workers being ended at once: each takes up to 20 s, and little else than waiting


class ControlPlane:
    """Runs one board until `quit` is put on `wakes`.

    `tell` gets every event once it is in the journal, redacted, from any thread; `show` the state after each pass.
    """

    def __init__(
        self,
        keeper: Keeper,
        host: Host,
        folder: Path,
        tell: Callable[[Event], None],
        show: Callable[[Mapping[str, Any]], None],
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        redact: Redact = unredacted,
    ) -> None:
        self.wakes: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._keeper = keeper
        self._host = host
        self._folder = folder
        self._journal = Journal(folder)
        self._tell_person = tell
        self._show_person = show
        self._clock = clock
        self._redact = redact
        self._since = clock()
        self._requests = Requests(folder)
        self._answers = Answers(keeper, self._requests, self._say, self._say_notes)
        self._settler = Settler()
        self._busy: set[str] = set()
        self._troubles = Troubles(self._say, clock, partial(write_words, folder))
        self._effects = Effects(keeper, host, self._say, self._troubles, clock, chance)
        self._approvals = Approvals(self._effects, self._requests)
        self._drifts = Drifts(host)
        self._watching = Watching(host, folder, self._say, partial(self.wake, "condition"), clock)
        self._pace = Pace()
        self._state: dict[str, Any] = {}
        self._state_at = 0.0
        self._prune_at = 0.0
        self._pool = ThreadPoolExecutor(POOL, thread_name_prefix="effect")
        self._checks = ThreadPoolExecutor(CHECKS, thread_name_prefix="check")
        self._stops = ThreadPoolExecutor(STOPS, thread_name_prefix="stop")  # stubborn workers must not hold up starts

    def wake(self, what: str, task: str = "") -> None:
        """Safe from any thread and signal: `board`, `inbox`, `condition`, `effect` (with its task) or `quit`."""
        self.wakes.put((what, task))

    def run(self) -> None:
        """Passes until told to quit. Slow effects under way are waited for; workers go on.

        The tmux server ends with the control plane if no worker lives in it.
        """
        pause = 0.0
        self._watching.start()
        while not self._woken(pause):
            pause = self.step()
        self._watching.end()
        self._host.end_checks()
        for pool in (self._pool, self._checks, self._stops):
            pool.shutdown(cancel_futures=True)
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
            self._troubles.say_once("", "trouble", error)
            return LOOK_AGAIN

    def _pass(self, last: bool) -> float:
        now = self._clock()
        if last or self._settler.due is None or self._settler.due <= now:
            self._settler = self._settler.cleared()
            self._look_at_board(now)
        self._answers.carry_out(now)
        observed = self._observe(now)
        planned = plan(self._keeper.board, observed)
        if now >= self._prune_at:
            self._prune_at = now + DAY  # first: what cannot be removed must not hold up all else, pass after pass
            History(self._folder / "history").prune(now, self._keeper.board.settings.retain)
            self._requests.prune(now - self._keeper.board.settings.retain)
            self._journal.prune(now, self._keeper.board.settings.retain)
        for action in planned.actions:
            if not last or isinstance(action, WriteBoard):
                self._apply_safely(action, observed)
        if not last:
            board, path = self._keeper.board, self._keeper.path
            self._drifts.look_soon(self._pool, board, path, observed.host.attempts, now, self._say)
        self._show(observed, planned)
        self._troubles.over("")
        return self._pause(planned, now)

    def _look_at_board(self, now: float) -> None:
        before = self._keeper.board
        self._say_notes(self._keeper.look(now))
        for task, text in policy.changes(before, self._keeper.board):
            self._say("policy", text, task)

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
                self._pace.over(task, self._clock())
            elif what == "board":
                self._settler = self._settler.noted(self._clock())
            quit_now = quit_now or what == "quit"

    def _observe(self, now: float) -> Observed:
        host = self._host.observe()
        for task, why in host.unreadable.items():
            self._troubles.say_once(task, "trouble", why)
        asked = tuple(self._requests.all())
        self._troubles.say_lasting("trouble", self._requests.damaged().values())
        self._watching.follow(self._keeper.board, host, asked)
        return Observed(
            now=now,
            host=host,
            busy=frozenset(self._busy | self._troubles.pending(now).keys() | host.unreadable.keys()),
            asked=asked,
            wrote_at=self._keeper.wrote_at,
            writable=self._keeper.trouble is None,
            held=self._keeper.held is not None,
            since=self._since,
            paced_at=self._pace.at(now),
            conditions=self._watching.conditions(host),
        )

    def _apply_safely(self, action: Action, observed: Observed) -> None:
        """What fails for one task holds up that task only."""
        try:
            self._apply(action, observed)
        except MuxError as error:
            task = getattr(action, "task", None)
            if task is None:
                self._troubles.say_once("", "trouble", error)
            else:
                self._troubles.try_again(task, "trouble", error)

    def _apply(self, action: Action, observed: Observed) -> None:
        attempts = observed.host.attempts
        match action:
            case WriteBoard(changes):
                for ignored, text in policy.ignored(self._keeper.board, changes):
                    self._say("ignored", text, ignored)
                self._say_notes(self._keeper.write(changes, observed.now))
            case Expire(request):
                self._requests.expire(self._requests.find(request).request)
                self.wake("request")
            case CloseRequest(request, outcome):
                self._close(self._requests.find(request), outcome, observed.now)
            case AskAll(members):
                attempts_of = tuple(attempts[task] for task, _ in members)
                self._in_pool("", self._approvals.ask_all, attempts_of, tasks=[task for task, _ in members])
            case CloseWindow(window):
                self._host.close_window(window)
            case Retire(task, number):
                self._host.retire(task, number)
            case Abandon(task, number):
                self._host.abandon(task, number)
                self._say("abandoned", "it never started; its order stands", task, number)
            case Start(task):
                if action.cause is Cause.OUTAGE:
                    self._pace.begins(task, observed.now)
                self._in_pool(task, self._effects.start, action, attempts.get(task))
            case Judge(task):
                self._in_pool(task, self._effects.judge, attempts[task], pool=self._checks)
            case Conclude(task, _, outage):
                pool = self._checks if self._effects.has_check(task) else self._pool
                self._in_pool(task, self._effects.conclude, attempts[task], outage, pool=pool)
            case NudgeAgent(task):
                self._in_pool(task, self._effects.nudge, attempts[task], pool=self._stops)
            case Ask(task, _, about):
                self._in_pool(task, self._approvals.ask, attempts[task], about)
            case CarryOut(task, _, request):
                if self._requests.find(request).request.action == "outage":
                    self._pace.begins(task, observed.now)
                self._in_pool(task, self._approvals.carry_out, action, attempts[task], pool=self._stops)
            case StopWorker(task, _, reason):
                self._in_pool(task, self._effects.stop, attempts[task], reason, pool=self._stops)

    def _close(self, asked: Asked, outcome: str, now: float) -> None:
        self._requests.close(asked.request, outcome, now)
        request = asked.request
        text = f"request {request.id} ({request.action}): {outcome}"
        by = asked.answer.by if asked.answer else None
        self._say("decided" if asked.answer else "closed", text, request.task, request.attempt, by=by)

    def _in_pool(
        self,
        task: str,
        effect: Callable[..., object],
        *arguments: Any,
        pool: ThreadPoolExecutor | None = None,
        tasks: Sequence[str] = (),
    ) -> None:
        """Run an effect of a task, or of several `tasks`; they are busy until it is over.

        Never a second one beside it: what is still wanted then is planned again.
        """
        mine = tasks or [task]
        if not self._busy.isdisjoint(mine):
            return
        self._busy.update(mine)

        def run() -> None:
            try:
                effect(*arguments)
                for each in mine:
                    self._troubles.over(each)
            except MuxError as error:
                for each in mine:
                    self._troubles.try_again(each, "trouble", error)
            except Exception:
                self._troubles.try_again(task, "bug", f"a bug in mux, see {write_traceback(self._folder)}")
            finally:
                for each in mine:
                    self.wake("effect", each)

        (pool or self._pool).submit(run)

    def _say(
        self,
        event: str,
        text: str,
        task: str | None = None,
        attempt: int | None = None,
        *,
        by: str | None = None,
        evidence: Mapping[str, str | int] | None = None,
    ) -> None:
        said = redacted(Event(self._clock(), event, text, task, attempt, by, evidence), self._redact)
        with suppress(MuxError):  # a full disk: what cannot be kept is still said
            self._journal.add(said)
        self._tell_person(said)

    def _say_notes(self, notes: Sequence[Note]) -> None:
        for note in notes:
            self._say("board", note.text, note.task)

    def _stuck(self, now: float) -> dict[str, str]:
        """Tasks whose last effect failed, each with why."""
        return {task: self._troubles.said_of(task) for task in self._troubles.pending(now)}

    def _show(self, observed: Observed, planned: Plan) -> None:
        state = report.build(
            self._keeper.board,
            self._keeper.path,
            planned.where,
            observed.host,
            {**planned.waiting, **self._stuck(observed.now)},
            self._keeper.trouble or self._troubles.of_board(),
            requests=observed.asked,
            drift=self._drifts.found(),
            drift_at=self._drifts.looked_at,
            conditions=observed.conditions,
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
