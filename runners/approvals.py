"""Asking a person, and doing what they chose, step by step.

A question is on disk before anyone is told. It is bound to what the person is shown; before anything is done that is
looked at again, and changed by anyone but the steps recorded here it is void, and asked anew. Each step is recorded
before it is done, so that a kill in the middle is gone on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from board.errors import MuxError
from runners import evidence, gate, questions
from runners.actions import CarryOut, Start
from runners.asked import AGAIN, FINISHED
from runners.effects import Effects
from runners.kept import Taken
from runners.model import Attempt, Cause, How, Liveness, OpenStep, Row, TreeFacts
from runners.requests import Asked, Request, Requests
from runners.standing import is_live
from runners.words import quotable


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a question is about, as it is now."""

    tree: TreeFacts | None
    taken: Taken | None  # the snapshot of what is uncommitted
    kept: bool = True  # False when there is something uncommitted, and no snapshot can be made of it

    @property
    def files(self) -> str | None:
        if self.tree is not None and not self.kept:
            return f"no snapshot, {gate.describe_dirt(self.tree)}"
        return self.taken.snapshot.tree if self.taken else None


class _Void(Exception):
    """Private: it cannot be carried out as it was asked; says why. `cut`: a reset was cut short and cannot go on."""

    def __init__(self, why: str, cut: bool = False) -> None:
        super().__init__(why)
        self.cut = cut


class Approvals:
    def __init__(self, effects: Effects, requests: Requests) -> None:
        self._effects = effects
        self._requests = requests

    def ask(self, attempt: Attempt, action: str) -> Request:
        """Ask about one attempt. Asking twice asks once."""
        live = is_live(attempt)
        scene, steps = self._look(attempt, live), self._steps(attempt, action)
        request = self._requests.ask(
            action,
            _why(attempt, action) + (self._cut_short(attempt) or self._void(attempt)),
            evidence.about(attempt.task, attempt, action, scene.tree, scene.files, live, steps),
            self._choices(attempt, action, scene),
            self._effects.clock(),
            expires=self._expires(attempt.task),
            task=attempt.task,
            attempt=attempt.number,
            evidence={**self._evidence(attempt, action, scene, live), **_of_steps(attempt, steps)},
            says=quotable("; ".join(step.key for step in steps)) if steps else None,
        )
        self._say_asked(request, attempt)
        return request

    def _cut_short(self, attempt: Attempt) -> str:
        """What to say of a way to the checkpoint that was approved, begun and given up: nothing of it is lost."""
        reset, void = f"reset-{attempt.task}", f"void-{attempt.task}"
        steps = (each.steps for each in self._requests.all() if each.request.attempt == attempt.number)
        begun = [each[reset] for each in steps if reset in each and each.get(void, {}).get("cut")]
        if not begun:
            return ""
        try:
            kept = self._effects.host.snapshot_holding(attempt.home, str(begun[-1]["head"]), begun[-1]["files"])
        except MuxError:  # its home is gone, for one
            kept = None
        held = f"; all that was there before is snapshot {kept.number}" if kept else "; it had not begun"
        return f"; a restart from its checkpoint was cut short, and its worktree changed since{held}"

    def _void(self, attempt: Attempt) -> str:
        """Why what a person chose last was not done, if it was not."""
        about = ((attempt.task, attempt.number),)
        of_mux = (each for each in self._requests.all() if each.request.action in questions.OF_MUX)
        mine = [each for each in of_mux if questions.subjects(each) == about]
        why = mine[-1].steps.get(f"void-{attempt.task}", {}).get("why", "") if mine else ""
        return f"; {why}" if why else ""

    def ask_all(self, attempts: tuple[Attempt, ...]) -> None:
        """One question about several attempts that ended together: each goes on in its mildest way, or none does."""
        seen: dict[Attempt, _Scene] = {}
        for attempt in attempts:
            with suppress(MuxError):  # who cannot be looked at is asked about alone, and says why
                seen[attempt] = self._look(attempt, False)
        if not seen:
            raise MuxError(f"{attempts[0].task}: none of {len(attempts)} tasks that ended together can be looked at")
        bound = {
            attempt.task: evidence.about(attempt.task, attempt, "outage", scene.tree, scene.files, False)
            for attempt, scene in seen.items()
        }
        found = {
            "tasks": len(seen),
            "dirty": sum(scene.tree is not None and not scene.tree.clean for scene in seen.values()),
            "destructive": sum(self._effects.settings(attempt.task).destructive for attempt in seen),
        }
        request = self._requests.ask(
            "outage",
            f"{len(seen)} tasks ended in one outage, and do not go on by themselves",
            "|".join(sorted(bound.values())),
            ("in-place",),
            self._effects.clock(),
            expires=min(self._expires(attempt.task) for attempt in seen),
            members=tuple((attempt.task, attempt.number) for attempt in seen),
            evidence={**found, "bound": bound},
        )
        self._say_asked(request, None)

    def carry_out(self, wanted: CarryOut, attempt: Attempt) -> None:
        """The next step of what a person chose; the loop comes again until the next attempt has started."""
        asked = self._requests.find(wanted.request)
        if not asked.approved or asked.answer is None:
            return
        if is_live(attempt):
            self._requests.begin_step(asked.request, "stop", self._effects.clock())
            self._effects.stop(attempt, "restart")
            return
        try:
            how = self._prepare(asked, wanted.choice, attempt)
        except _Void as void:
            self._requests.begin_step(
                asked.request, f"void-{attempt.task}", self._effects.clock(), why=str(void), cut=void.cut
            )
            text = f"request {asked.request.id} is void: {void}; it is asked anew"
            self._effects.say("void", text, attempt.task, attempt.number)
            return
        if how is None:
            return
        ended = attempt.outcome.next.after if attempt.outcome and attempt.outcome.next else ""
        why = f"{wanted.choice}, by {asked.answer.by}{f', after {ended}' if ended else ''}"
        self._requests.begin_step(asked.request, f"start-{attempt.task}", self._effects.clock(), after=attempt.number)
        by = asked.answer.by
        self._effects.start(Start(attempt.task, attempt.number + 1, Cause.PERSON, how, why, by), attempt)

    def _prepare(self, asked: Asked, choice: str, attempt: Attempt) -> How | None:
        """Make the home as the choice wants it, and say how to start in it; None: nothing does. Raises _Void."""
        request, task = asked.request, attempt.task
        reset = asked.steps.get(f"reset-{task}")
        if reset is not None:  # before any look, which would make a snapshot of what is half done
            self._go_on_with_reset(reset, attempt)
            return How.START
        scene = self._look(attempt, False)
        begun = asked.steps.keys() & {f"start-{task}", f"once-{task}"}
        if not evidence.is_live(request.evidence) and not begun:
            bound, steps = _bound(request, task), self._steps(attempt, request.action)
            if evidence.about(task, attempt, request.action, scene.tree, scene.files, False, steps) != bound:
                raise _Void("its worktree changed since it was asked")
        if choice == "checkpoint":
            self._reset(request, attempt, scene)
            return How.START
        if request.action == "recover" and choice in (AGAIN, FINISHED):
            return self._answer_steps(asked, choice, attempt)
        if choice == "resume" or (request.action == "outage" and self._effects.can_resume(attempt)):
            return How.RESUME
        return How.START

    def _answer_steps(self, asked: Asked, choice: str, attempt: Attempt) -> How | None:
        """What took effect does not have to run again, so nothing starts by it: its end is decided anew."""
        request, now = asked.request, self._effects.clock()
        self._requests.begin_step(request, f"once-{attempt.task}", now)
        self._effects.host.once_decide(attempt.task, choice, asked.answer.by if asked.answer else "", request.at)
        if choice == AGAIN:
            return How.RESUME if self._effects.can_resume(attempt) else How.START
        outage = attempt.outcome is not None and "outage" in attempt.outcome.evidence
        if self._effects.conclude(attempt, outage).row == Row.ONCE:
            raise _Void("another step of it began since it was asked")
        return None

    def _reset(self, request: Request, attempt: Attempt, scene: _Scene) -> None:
        commit = str(request.evidence.get("checkpoint", ""))
        facts = {"head": scene.tree.head if scene.tree else None, "files": scene.files, "to": commit}
        if not commit or scene.tree is None:
            raise _Void("there is no checkpoint to go back to")
        self._requests.begin_step(request, f"reset-{attempt.task}", self._effects.clock(), **facts)
        self._back_to(commit, attempt)

    def _go_on_with_reset(self, step: Mapping[str, object], attempt: Attempt) -> None:
        """After a kill: it is not begun yet, half done, done, or something else changed the home meanwhile."""
        host, now = self._effects.host, self._effects.clock()
        head, files, commit = str(step["head"]), step["files"], str(step["to"])
        try:
            kept = host.finish_reset(attempt.home, attempt.number, head, str(files) if files else None, commit, now)
        except MuxError as error:
            why = self._effects.withheld(attempt, error)
            raise _Void(f"it was cut short on the way to its checkpoint, and cannot go on: {why}", cut=True) from error
        self._say_reset(attempt, commit, kept.number)

    def _back_to(self, commit: str, attempt: Attempt) -> None:
        try:
            taken = self._effects.host.reset(attempt.home, attempt.number, commit, self._effects.clock())
        except MuxError as error:
            raise _Void(f"it cannot be taken back: {self._effects.withheld(attempt, error)}") from error
        self._say_reset(attempt, commit, taken.snapshot.number)

    def _say_reset(self, attempt: Attempt, commit: str, snapshot: int) -> None:
        text = f"its home is at checkpoint {commit[:7]} again; what was there is snapshot {snapshot}"
        self._effects.say("reset", text, attempt.task, attempt.number)

    def _look(self, attempt: Attempt, live: bool) -> _Scene:
        """The home as it is; what is uncommitted in it is in a snapshot, too, when a person is asked."""
        tree = self._effects.host.tree(attempt.home)
        if tree is None or tree.clean or live:
            return _Scene(tree, None)
        try:
            taken = self._effects.snapshot(attempt.home, attempt.task, attempt.number, "when a person was asked")
        except MuxError as error:
            self._effects.say_no_snapshot(attempt, error)
            return _Scene(tree, None, kept=False)
        return _Scene(tree, taken)

    def choices(self, attempt: Attempt, action: str) -> tuple[str, ...]:
        """The ways to go on, the mildest first."""
        return self._choices(attempt, action, self._look(attempt, is_live(attempt)))

    def _choices(self, attempt: Attempt, action: str, scene: _Scene) -> tuple[str, ...]:
        """Without a snapshot nothing is taken back."""
        if action == "orphan":
            return ("stop",)
        there = scene.tree is not None
        resume = ("resume",) if self._effects.can_resume(attempt) and there else ()
        found = (*resume, "in-place", *(("checkpoint",) if there else ()))
        if action == "recover" and attempt.outcome and attempt.outcome.next and attempt.outcome.next.choices:
            found = attempt.outcome.next.choices
        can = scene.kept and self._goes_back(attempt, scene)
        return found if can else tuple(each for each in found if each != "checkpoint")

    def _goes_back(self, attempt: Attempt, scene: _Scene) -> bool:
        """Whether its home can be taken back, as far as a look tells; not of a home in which a worker lives."""
        if is_live(attempt) or scene.tree is None:
            return True
        nested = scene.taken is not None and any(each.name.endswith("/") for each in scene.taken.left_out)
        on_branch = scene.tree.branch == attempt.home.branch
        return on_branch and not nested and self._effects.host.under_way(attempt.home) is None

    def _evidence(self, attempt: Attempt, action: str, scene: _Scene, live: bool) -> Mapping[str, str | int]:
        beyond = None
        task = self._effects.keeper.board.by_id.get(attempt.task)
        word = {"word": str(task.status)} if task and action == "restart" else {}
        if scene.tree is not None and attempt.checkpoint:
            beyond = self._effects.host.beyond(attempt.home, attempt.checkpoint)
        kept: evidence.Evidence = {} if scene.kept else {"no_snapshot": 1}
        return evidence.of_attempt(attempt, scene.tree, scene.taken, beyond, live) | word | kept

    def _steps(self, attempt: Attempt, action: str) -> tuple[OpenStep, ...]:
        """The steps that a question about it is about."""
        about_steps = action == "recover" and attempt.outcome is not None and attempt.outcome.row == Row.ONCE
        return self._effects.host.once_undecided(attempt.task) if about_steps else ()

    def _expires(self, task: str) -> float:
        return self._effects.clock() + self._effects.settings(task).expiry.recovery

    def _say_asked(self, request: Request, attempt: Attempt | None) -> None:
        text = f"{request.why}; decide with: mux requests {request.id}"
        task, number = (attempt.task, attempt.number) if attempt else (None, None)
        shown = {key: value for key, value in request.evidence.items() if isinstance(value, str | int)}
        shown |= {key: str(shown[key])[:7] for key in ("head", "checkpoint") if key in shown}
        self._effects.say("request", text, task, number, evidence=shown)


def _why(attempt: Attempt, action: str) -> str:
    if action == "restart" and attempt.liveness is Liveness.LOST:
        return "its wrapper is gone, but a process of it still lives: end that and start it anew?"
    if action == "restart":
        return "its worker runs: end it and start it anew?" if is_live(attempt) else "start it anew?"
    if action == "rerun":
        return "it is destructive and ran before: run it again?"
    if action == "orphan":
        return "its section is gone from the board, and its worker goes on: end it?"
    return attempt.outcome.why if attempt.outcome else ""


def _of_steps(attempt: Attempt, steps: tuple[OpenStep, ...]) -> Mapping[str, Any]:
    """Of each step what a person needs to find out what became of it, and what follows if all of them took effect."""
    if not steps or attempt.outcome is None:
        return {}
    then = attempt.outcome.evidence.get("then")  # an earlier version did not write it down
    return ({"then": then} if then else {}) | {"steps": [asdict(step) for step in steps]}


def _bound(request: Request, task: str) -> str:
    bound = request.evidence.get("bound")
    return str(bound.get(task)) if isinstance(bound, Mapping) else request.about
