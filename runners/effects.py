"""What the loop's actions do, one function each: on the host, on the run records, on the requests. Safe to repeat.

They run in the loop's pools, one at a time for a task. Whoever is killed in the middle of one leaves records from which
the next plan goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from board.errors import MuxError
from board.keeper import Keeper
from board.model import Status, Task, TaskSettings
from runners import draft, gate, names, preamble, recovery, sending
from runners.actions import Start
from runners.agents import load
from runners.case import Case, claim, claims_done, ended_badly
from runners.host import Host, StartOrder
from runners.journal import Say
from runners.kept import Taken
from runners.limits import Limit, find_limit
from runners.model import (
    Attempt,
    Cause,
    GateRules,
    Home,
    How,
    Interruption,
    Judged,
    Nudge,
    Outcome,
    Stop,
    StopReason,
    TreeFacts,
)
from runners.own_log import told
from runners.profiles import Profile
from runners.resuming import is_new, resumes
from runners.screens import UNKNOWN, classify
from runners.troubles import Troubles

#: A person who pressed a key in an agent's window so many seconds ago has it in hand.
HANDS_OFF = 60.0
#: A home that cannot be read while the pauses between tries grow to this many seconds is left to a person.
GIVE_UP_AFTER = 8.0


class Effects:
    """`chance` gives a number from 0 to 1."""

    def __init__(
        self,
        keeper: Keeper,
        host: Host,
        say: Say,
        troubles: Troubles,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self.keeper = keeper
        self.host = host
        self.clock = clock
        self.say = say
        self._troubles = troubles
        self._chance = chance

    def settings(self, task: str) -> TaskSettings:
        """Of a task on the board; the board's own for one whose section is gone."""
        found = self.keeper.board.by_id.get(task)
        return found.settings if found else self.keeper.board.settings.defaults

    def has_check(self, task: str) -> bool:
        """Its conclusion may take as long as its check: that must not hold up starts."""
        return self.settings(task).check is not None

    def profile(self, attempt: Attempt) -> Profile | None:
        """None for an agent that is no longer on the board."""
        return load(self.keeper.board.settings.agents).get(attempt.agent)

    def can_resume(self, attempt: Attempt) -> bool:
        """Its agent can go on with the conversation that it had."""
        profile = self.profile(attempt)
        mode = (profile.headless if attempt.mode == "headless" else profile.interactive) if profile else None
        return mode is not None and bool(mode.resume)

    def start(self, wanted: Start, before: Attempt | None) -> None:
        """Start a worker; `before` is the attempt that it follows."""
        board, path = self.keeper.board, self.keeper.path
        task = board.by_id.get(wanted.task)
        if task is not None and before is not None and is_new(task, before):
            before = None
        ordered = wanted.cause is not Cause.PERSON or wanted.why
        if task is None or not (ordered or task.status in (Status.READY, Status.CLAIMED)):
            return  # the order was taken back while it waited for its turn in the pool
        profile = load(board.settings.agents)[task.settings.agent]
        how = wanted.how
        if before and wanted.cause is Cause.PERSON and not wanted.why and self._is_taken_up(task, before):
            how = How.RESUME
        home = names.home_of(path, board.settings, wanted.task)
        branch = names.branch_of(path, board.settings, wanted.task)
        # What the attempt before left is kept, or this one is not started.
        taken = self.snapshot(Home(home, branch, ""), wanted.task, wanted.number - 1, "before it ran again")
        order = StartOrder(
            task=wanted.task,
            number=wanted.number,
            prompt=task.prompt,
            settings=task.settings,
            profile=profile,
            done_when=task.settings.done_when or profile.done_when,
            repository=names.repository_of(path, board.settings),
            home=home,
            branch=branch,
            predecessors=tuple(names.branch_of(path, board.settings, each) for each in task.settings.after),
            cause=wanted.cause,
            how=how,
            why=wanted.why,
            known_good=_known_good(before),
            new=before is None and task.attempt == 0,
            conversation=before.conversation if before and how is How.RESUME else 0,
            interruption=self._interruption(before, taken) if before else None,
        )
        attempt = self.host.start(order)
        outcome = attempt.outcome
        resumed = "; it resumes its conversation" if how is not wanted.how else ""
        begun = f"on branch {attempt.home.branch}{f'; {wanted.why}' if wanted.why else ''}{resumed}"
        text = outcome.why if outcome else begun
        word = str(outcome.status) if outcome else "restarted" if wanted.why else "started"
        self.say(word, text, wanted.task, attempt.number, by=wanted.by)

    def _is_taken_up(self, task: Task, before: Attempt) -> bool:
        """It was ordered to run again, and goes on with its conversation in its home."""
        return resumes(task, before, self.profile(before), self.clock()) and self.host.tree(before.home) is not None

    def _interruption(self, before: Attempt, taken: Taken | None) -> Interruption | None:
        """What the next worker is told of the one before; nothing of one that was done."""
        outcome = before.outcome
        if outcome is None or outcome.status in (Status.DONE, Status.REVIEW):
            return None
        facts = self.host.tree(before.home)
        return Interruption(
            attempt=before.number,
            ended=gate.describe_exit(before) if before.exit else str(outcome.reason),
            checkpoint=before.checkpoint or None,
            head=facts.head if facts else "",
            modified=facts.modified if facts else 0,
            untracked=facts.untracked if facts else 0,
            finished=self.host.once_finished(before.task),
            unfinished=self.host.once_unfinished(before.task),
            snapshot=taken.snapshot.number if taken else None,
        )

    def judge(self, attempt: Attempt) -> None:
        """Whether a live worker's claim to be done holds."""
        said = claim(attempt)
        if said is None:
            return
        judgement = self.host.judge(attempt, self._rules(attempt))
        missing = "; ".join(text for _, text in judgement.broken)
        passed = gate.verdict(judgement.broken) is not Status.BLOCKED
        self.host.record_judged(attempt, Judged(said.at, self.clock(), passed, missing))
        self.say("judged", "said done, and it is" if passed else f"claimed done, but {missing}", *_of(attempt))

    def conclude(self, attempt: Attempt, outage: bool) -> Outcome:
        """Look at the home of an attempt that ended, decide, and write the decision down before anything follows.

        A decision that is there gives way to it: a person has answered what that one had to ask about its steps.
        """
        try:
            case = self._case(attempt, outage)
        except MuxError as error:
            if self._troubles.pause_of(attempt.task) < GIVE_UP_AFTER:
                raise
            outcome = gate.unreadable(attempt, told(error), self.clock())
        else:
            decision = recovery.decide(case)
            if decision.status is None:
                raise MuxError(f"{attempt.task}: {decision.why}")
            outcome = recovery.outcome(case, decision)
        self.host.conclude(attempt, outcome)
        evidence = {"row": outcome.row, **outcome.evidence} if outcome.row else None
        self.say(_word(outcome), outcome.why, *_of(attempt), evidence=evidence)
        return outcome

    def _case(self, attempt: Attempt, outage: bool) -> Case:
        settings = self.settings(attempt.task)
        facts = self.host.tree(attempt.home)
        broken: tuple[tuple[str, str], ...] = ()
        if claims_done(attempt):
            judgement = self.host.judge(attempt, self._rules(attempt))
            facts, broken = judgement.facts, judgement.broken
        lives = " ".join(map(str, self.host.once_running(attempt.task)))
        earlier = (each for each in self.host.history(attempt.task) if each.number < attempt.number)
        return Case(
            attempt=attempt,
            policy=settings.restart,
            now=self.clock(),
            earlier=tuple(each for each in earlier if each.outcome is not None and each.outcome.status is not None),
            tree=facts,
            unseen=f"a `once` step of it still runs; wait for its end, or end it with: kill {lives}" if lives else None,
            files=self._files(attempt, facts, outage),
            broken=broken,
            unfinished=tuple(step.key for step in self.host.once_undecided(attempt.task)),
            limit=self._limit(attempt),
            resumes=self.can_resume(attempt),
            destructive=settings.destructive,
            outage=outage,
            ask_after_outage=self.keeper.board.settings.after_outage == "ask",
            chance=self._chance(),
        )

    def _rules(self, attempt: Attempt) -> GateRules:
        settings, board = self.settings(attempt.task), self.keeper.board
        return GateRules(
            done_when=attempt.done_when,
            repository=names.repository_of(self.keeper.path, board.settings),
            base=settings.base,
            check=settings.check,
            check_timeout=settings.check_timeout,
            env=settings.env,
        )

    def _files(self, attempt: Attempt, facts: TreeFacts | None, outage: bool) -> str | None:
        """Names the uncommitted files of the home, which a snapshot keeps; None when there are none.

        After an outage, of many homes at once, that has time until the next start or question, which make one.
        """
        if facts is None or facts.clean:
            return None
        if outage and self.settings(attempt.task).restart.when != "never":
            return f"after an outage, {gate.describe_dirt(facts)}"
        try:
            taken = self.snapshot(attempt.home, attempt.task, attempt.number, "when it ended")
        except MuxError as error:
            self.say_no_snapshot(attempt, error)
            return f"no snapshot, {gate.describe_dirt(facts)}"
        return taken.snapshot.tree if taken else None

    def say_no_snapshot(self, attempt: Attempt, error: MuxError) -> None:
        self.say("trouble", f"no snapshot of what it left: {self.withheld(attempt, error)}", *_of(attempt))

    def withheld(self, attempt: Attempt, error: MuxError) -> str:
        """What to tell of an error about it; its own words stay on this machine."""
        return self._troubles.withheld(attempt.task, error)

    def _limit(self, attempt: Attempt) -> Limit | None:
        """What the agent itself says keeps it from working, of an attempt that ended badly."""
        profile = self.profile(attempt)
        if profile is None or not profile.limits or not ended_badly(attempt):
            return None
        return find_limit(self.host.tail(attempt), profile.limits, self.clock())

    def snapshot(self, home: Home, task: str, attempt: int, reason: str) -> Taken | None:
        taken = self.host.snapshot(home, attempt, reason, self.clock())
        if taken is not None and taken.new:
            text = f"snapshot {taken.snapshot.number} of {task}: {taken.snapshot.what}"
            self.say("snapshot", text, task, attempt)
        return taken

    def nudge(self, attempt: Attempt) -> None:
        """Tell an idle agent how to end its task: once, whatever comes of it. So that is on disk before any key."""
        with sending.alone(attempt.task, self.host.run_folder(*_of(attempt))):
            self._nudge(attempt)

    def _nudge(self, attempt: Attempt) -> None:
        windows = self.host.windows()
        if windows is None:
            raise MuxError(f"{attempt.task}: tmux does not say which window is its")
        mine = (each.id for each in windows if (each.task, each.attempt) == _of(attempt) and not each.dead)
        window, profile, now = next(mine, ""), self.profile(attempt), self.clock()
        try:
            before = self._idle_screen(attempt, window, profile, now)
        except sending.InTheWay as found:
            self._not_nudged(attempt, Nudge(now, found.what))
            return
        self.host.record_nudge(attempt, Nudge(now))
        try:
            sending.type_in(self.host, attempt.task, profile, window, preamble.nudge(attempt.task), before)
        except MuxError:
            self._not_nudged(attempt, Nudge(now, "what was typed did not arrive"))
        else:
            self.say("nudged", "idle, and said nothing: told how to end its task", *_of(attempt), by="mux")

    def _idle_screen(self, attempt: Attempt, window: str, profile: Profile | None, now: float) -> str:
        """The screen with colours, where nobody types and the agent still does nothing. Raises `InTheWay`."""
        if not window:
            raise sending.InTheWay("it has no window")
        if not sending.knows_input(profile):
            raise sending.InTheWay("its profile has no rule for its input line")  # nor would a draft be seen there
        typed_at = self.host.look([window]).typed.get(window)
        if typed_at is not None and now - typed_at < HANDS_OFF:
            raise sending.InTheWay("somebody is typing in its window")
        before = sending.check_takes(attempt.task, profile, self.host.screen(window))
        seen = classify(draft.text_of_styled(before), profile.screens if profile else ())
        if seen != UNKNOWN and seen.reason != "idle":
            raise sending.InTheWay("it does something again")
        return before

    def _not_nudged(self, attempt: Attempt, nudge: Nudge) -> None:
        self.host.record_nudge(attempt, nudge)
        self.say("nudged", f"not nudged, and not again: {nudge.refused}", *_of(attempt), by="mux")

    def stop(self, attempt: Attempt, reason: StopReason) -> None:
        if attempt.stop is None:
            self.say("stop", f"ending its worker ({reason})", *_of(attempt))
        self.host.stop(attempt, attempt.stop or Stop(reason, self.clock()))


def _of(attempt: Attempt) -> tuple[str, int]:
    return attempt.task, attempt.number


def _known_good(before: Attempt | None) -> str:
    """The checkpoint that the next attempt begins with."""
    if before is None:
        return ""
    return (before.outcome.checkpoint if before.outcome else None) or before.checkpoint


def _word(outcome: Outcome) -> str:
    """What the journal calls a decision: its status, unless something follows by itself."""
    if outcome.next is not None and outcome.next.do != "ask":
        return "recovery"
    return str(outcome.status)
