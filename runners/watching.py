"""How each live worker is, looked at beside the loop, in a thread of its own: the loop never waits for a screen.

A worker is looked at when it printed since the last look, about once a second, all screens in one call of tmux, which
also tells what people typed; while somebody is attached that is asked once a second, printed or not. One that prints
nothing costs a `stat` of its output. What its processes compute is read every 10 s, for all in one go and only while
one of them is silent; its files seldom, and one home at a time. It says what it sees, and does nothing to anybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from board.errors import MuxError
from board.model import NOTHING, Board
from runners import nudging, questions, reading
from runners.agents import load
from runners.asked import Asked
from runners.conditions import concern
from runners.health import Condition, Look, Name, Thresholds, advance, begin, called, tell_late, withhold
from runners.host import Host
from runners.journal import Say
from runners.loops import repeats
from runners.model import Attempt, HostState, Liveness, Sight
from runners.own_log import write_traceback
from runners.profiles import Profile
from runners.standing import is_live
from runners.watched import Round, Watched, Worker, is_due, is_over, is_quiet, news_in, to_keep

PAUSE = 0.5  # seconds between two rounds
HOLD = 1.0  # until a change counts: with the pause, a condition is shown within 2 s of the screen
_TYPED = 1.0  # between two questions who types, while somebody is attached
_COMPUTING = 10.0  # between two reads of what all processes compute
_STALE = 25.0  # what was read so long ago says nothing of now
_PROGRESS = 60.0  # between two looks at the files of a home, at least
_REPEATS = 2.0  # the same, while a worker fails as it did before: what it changed meanwhile makes that no loop


class Watching:
    """`follow` says who lives, `conditions` how they are: both instant. `look` is one round, as the thread makes them.

    `say` gets an event when a worker begins to call for a person; `wake` is called when a condition changed.
    """

    def __init__(
        self,
        host: Host,
        folder: Path,
        say: Say,
        wake: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._host = host
        self._folder = folder
        self._say = say
        self._wake = wake
        self._clock = clock
        self._followed: tuple[Watched, ...] = ()  # replaced as a whole: read in another thread
        self._conditions: Mapping[str, tuple[int, Condition]] = NOTHING  # the same
        self._workers: dict[str, Worker] = {}
        self._profiles: tuple[Mapping[str, Any], Mapping[str, Profile]] | None = None
        self._computed_at = 0.0
        self._typed_at = 0.0
        self._fresh = True  # nobody was followed yet
        self._stir = threading.Event()
        self._ends = threading.Event()
        self._files = ThreadPoolExecutor(1, thread_name_prefix="files")
        self._files_of: str | None = None  # the task whose home is being looked at
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """No further round; one under way is waited for, as long as a call of tmux may take."""
        self._ends.set()
        self._stir.set()
        self._files.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join()

    def follow(self, board: Board, host: HostState, asked: Sequence[Asked]) -> None:
        """Whom to watch from now on, as the loop sees them."""
        windows = {(each.task, each.attempt): each for each in host.windows or () if not each.dead}
        profiles = self._profiles_of(board)
        live = [each for each in host.attempts.values() if is_live(each) and each.liveness is Liveness.RUNNING]
        about = questions.by_task(asked, host.attempts)
        sent = self._host.sent([(each.task, each.number) for each in live])
        followed = []
        for attempt in live:
            window = windows.get((attempt.task, attempt.number))
            found = board.by_id.get(attempt.task)
            settings = found.settings if found else board.settings.defaults
            followed.append(
                Watched(
                    attempt,
                    window.id if window else None,
                    window.activity if window else 0.0,
                    window is not None and window.attached,
                    profiles.get(attempt.agent),
                    Thresholds(stuck_after=settings.stuck_after, hold=HOLD),
                    reading.person_at(asked, attempt, sent.get(attempt.task)),
                    found,
                    about.get(attempt.task, ()),
                )
            )
        if self._fresh:
            self._fresh = False
            self._show_recalled(followed)
        self._followed = tuple(followed)
        if followed:
            self._stir.set()
        else:
            self._stir.clear()  # nobody to look at: the thread sleeps

    def conditions(self, host: HostState) -> dict[str, Condition]:
        """By task, of the attempts that live and were looked at."""
        return {
            task: condition
            for task, (number, condition) in self._conditions.items()
            if (attempt := host.attempts.get(task)) is not None
            and (attempt.number, attempt.liveness) == (number, Liveness.RUNNING)
            and is_live(attempt)
        }

    def look(self, now: float) -> None:
        """One round: who printed is captured, and everybody about whom something is new is judged anew."""
        followed = self._followed
        workers = self._remembered(followed, now)
        self._read_computing(followed, workers, now)
        seen = self._captured(followed, workers, now)
        is_news = self._conditions.keys() != workers.keys()
        for each in followed:
            worker = workers[each.attempt.task]
            look = self._look_of(each, worker, seen)
            if look is not None:
                worker.health = advance(worker.health, look, now, each.thresholds)
            elif nudging.is_idle(worker.health.condition):  # that may be told late, when a nudge did not help
                worker.health = replace(worker.health, alerted=False)
            else:
                continue
            self._tell(each, worker, now)
            is_news = True
        self._look_at_files(followed, workers, seen, now)
        if is_news:
            self._publish(workers)

    def _run(self) -> None:
        while self._stir.wait() and not self._ends.wait(PAUSE):
            try:
                self.look(self._clock())
            except MuxError:
                continue  # the next round looks again
            except Exception:
                self._say("bug", f"a bug in mux, see {write_traceback(self._folder)}")

    def _profiles_of(self, board: Board) -> Mapping[str, Profile]:
        written = board.settings.agents
        if self._profiles is None or self._profiles[0] is not written:
            self._profiles = (written, load(written))
        return self._profiles[1]

    def _remembered(self, followed: Sequence[Watched], now: float) -> dict[str, Worker]:
        workers = {}
        for each in followed:
            task, number = each.attempt.task, each.attempt.number
            known = self._workers.get(task)
            workers[task] = known if known and known.number == number else self._recalled(task, number, now)
        self._workers = workers
        return workers

    def _show_recalled(self, followed: Sequence[Watched]) -> None:
        """How they were when an earlier control plane ended: that holds until the first look."""
        workers = self._remembered(followed, self._clock())
        shown = {task: (worker.number, called(worker.health)) for task, worker in workers.items()}
        self._conditions = {task: each for task, each in shown.items() if each[1].name is not Name.UNKNOWN}

    def _recalled(self, task: str, number: int, now: float) -> Worker:
        """As an earlier control plane left it."""
        health = self._host.recall(task, number, now)
        kept = to_keep(health) if health is not None else ()
        return Worker(number, health or begin(now), files=health.progress if health else None, files_at=now, kept=kept)

    def _keep(self, task: str, worker: Worker) -> None:
        """What must outlive this control plane; after it was told, since rather twice than never."""
        wanted = to_keep(worker.health)
        if wanted != worker.kept:
            with suppress(MuxError):  # a full disk: then it may be told once more after a restart
                self._host.remember(task, worker.number, worker.health)
                worker.kept = wanted

    def _captured(self, followed: Sequence[Watched], workers: Mapping[str, Worker], now: float) -> Round:
        printed = dict(self._host.printed([(each.attempt.task, each.attempt.number) for each in followed]))
        for each in followed:
            printed[each.attempt.task] = max(printed.get(each.attempt.task, 0.0), each.activity)
        wanted = {
            each.attempt.task: each.window
            for each in followed
            if each.window is not None and is_due(each, workers[each.attempt.task], printed[each.attempt.task], now)
        }
        failed = False
        sight = Sight({}, {})
        attached = any(each.attached for each in followed) and now - self._typed_at >= _TYPED
        if wanted or attached:
            self._typed_at = now
            try:
                sight = self._host.look(list(wanted.values()))
            except MuxError:
                failed = True
        for each in followed:
            workers[each.attempt.task].typed_at = sight.typed.get(
                each.window or "", workers[each.attempt.task].typed_at
            )
        shown = {task: sight.screens[window] for task, window in wanted.items() if window in sight.screens}
        for task in shown:
            workers[task].captured_at = now
        return Round(now, printed, shown, frozenset(wanted), failed, self._computed_at == now)

    def _look_of(self, each: Watched, worker: Worker, seen: Round) -> Look | None:
        """None when nothing about it is new."""
        task = each.attempt.task
        text = seen.screens.get(task)
        person_at = max(filter(None, (each.person_at, worker.typed_at)), default=None)
        person = person_at != worker.person_at
        signal = self._host.signal(task, worker.number) if each.attempt.mode == "interactive" else None
        spoke = signal != worker.signal
        files = (worker.files, worker.checked) != (worker.told_files, worker.told_checked)
        waits = worker.health.candidate is not None or worker.health.condition.name is Name.UNKNOWN
        unseen = seen.failed and task in seen.looked
        if not (text is not None or person or files or spoke or waits or unseen or seen.computed):
            return None
        worker.person_at, worker.signal = person_at, signal
        worker.told_files, worker.told_checked = worker.files, worker.checked
        shown = reading.shown(each.attempt, each.profile, text, seen.now) if text is not None else None
        screen = shown or worker.health.seen
        if signal is not None and reading.is_overtaken(signal, screen, worker.captured_at):
            worker.health = replace(worker.health, overtaken_at=signal.at)
        holds = signal if signal is not None and signal.at > worker.health.overtaken_at else None
        return Look(
            unseen=unseen,
            seen=shown,
            said=reading.said(each.attempt, holds, screen, seen.now),
            text=text if each.attempt.agent != "shell" else None,  # it repeats itself because it was written so
            output_at=seen.printed[task] or None,
            checked=worker.checked,
            computing=worker.computing if seen.now - self._computed_at <= _STALE else None,
            progress=worker.files,
            person_at=person_at,
        )

    def _read_computing(self, followed: Sequence[Watched], workers: Mapping[str, Worker], now: float) -> None:
        """Processor seconds a second of each worker since the last read; only while it decides about one of them."""
        if now - self._computed_at < _COMPUTING or not any(is_quiet(each, workers, now) for each in followed):
            return
        spent = self._host.computed([(each.attempt.task, each.attempt.number) for each in followed])
        for task, worker in workers.items():
            before, seconds = worker.spent, spent.get(task)
            worker.spent = None if seconds is None else (now, seconds)
            worker.computing = None
            if before is not None and seconds is not None and seconds >= before[1] and now - before[0] <= _STALE:
                worker.computing = (seconds - before[1]) / max(now - before[0], 0.001)
        self._computed_at = now

    def _look_at_files(
        self, followed: Sequence[Watched], workers: Mapping[str, Worker], seen: Round, now: float
    ) -> None:
        """Of one worker: that fails as before, or that is to commit and printed since its home was looked at."""
        if self._files_of is not None or self._ends.is_set():
            return
        for each in followed:
            worker, after = workers[each.attempt.task], each.thresholds.stuck_after
            since = now - worker.files_at
            failures = worker.health.failures
            fails = failures != worker.checked and repeats(failures) and since >= _REPEATS
            due = after is not None and "committed" in each.attempt.done_when and since >= max(_PROGRESS, after / 6)
            if fails or (due and seen.printed[each.attempt.task] > worker.files_at):
                self._files_of, worker.files_at = each.attempt.task, now
                with suppress(RuntimeError):  # `end` came meanwhile
                    self._files.submit(self._name_files, each.attempt, worker, failures)
                return

    def _name_files(self, attempt: Attempt, worker: Worker, failures: tuple[str, ...]) -> None:
        try:
            named = self._host.progress(attempt.home)
            worker.files = f"{named}, {len(attempt.reports)} reports" if named is not None else worker.files
        except MuxError:
            pass  # looked at again later; what is unknown is no news
        finally:
            worker.checked = failures
            self._files_of = None

    def _tell(self, each: Watched, worker: Worker, now: float) -> None:
        """Call a person when a condition begins that needs one; one that is nudged first, when that did not help."""
        attempt, health = each.attempt, worker.health
        if nudging.is_unanswered(attempt, health.condition, now):
            health = replace(health, condition=replace(health.condition, since=now))
        withheld = nudging.is_withheld(each.task, attempt, each.asked, health.condition)
        worker.health = withhold(health) if withheld else tell_late(health, now)
        condition = worker.health.condition
        if worker.health.alerted and not is_over(attempt, condition):
            self._call(each, called(worker.health))
        self._keep(attempt.task, worker)

    def _call(self, each: Watched, condition: Condition) -> None:
        attempt = each.attempt
        text = nudging.needed(each.task, attempt, each.asked, condition) or concern(condition, attempt.task)
        evidence = {"condition": str(condition.name)} | ({"reason": condition.reason} if condition.reason else {})
        self._say("condition", text, attempt.task, attempt.number, evidence=evidence)

    def _publish(self, workers: Mapping[str, Worker]) -> None:
        now = {task: (worker.number, called(worker.health)) for task, worker in workers.items()}
        before = {task: news_in(number, condition) for task, (number, condition) in self._conditions.items()}
        self._conditions = now
        if before != {task: news_in(number, condition) for task, (number, condition) in now.items()}:
            self._wake()
