"""The nudge: when it is due, whom it is not for, what is said meanwhile; and that it is written down before any key."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from board.errors import CommandFailed, MuxError
from board.model import Problem, Status, Task
from runners import preamble
from runners.actions import NudgeAgent
from runners.asked import Answer, Asked, Request
from runners.effects import HANDS_OFF, Effects
from runners.health import Condition, Name
from runners.host import Host
from runners.model import Attempt, Liveness, Nudge, Report, Sight, Stop, Window
from runners.nudging import ANSWERS, is_unanswered, is_withheld, needed, nudge_at, told
from runners.plan import plan
from runners.standing import standing
from runners.watching import Watching
from tests.runners.test_plan import NOW, attempt, board, does, ended, restart, see, task, writes
from tests.runners.test_watching import IDLE, PERMISSION, WORKING, Machine
from tests.runners.test_watching import agent as watched

TURN = Condition(Name.WAITING, "idle", "", NOW - 20)
TASK = task(status="running", mux={"attempt": "1"}, agent="claude", mode="interactive", nudge=60.0)


def agent(**changes: Any) -> Attempt:
    return attempt(agent="claude", mode="interactive", **changes)


def question(action: str, **changes: Any) -> Asked:
    return Asked(Request("cafe", action, "why", "about", (), NOW - 5, task="a", attempt=1), **changes)


def test_it_is_due_so_long_after_the_turn_ended() -> None:
    assert nudge_at(TASK, agent(), (), TURN) == TURN.since + 60
    early = plan(board(TASK), see(agent(), conditions={"a": TURN}))
    assert not any(isinstance(each, NudgeAgent) for each in early.actions) and early.wake_at == TURN.since + 60
    due = {"a": replace(TURN, since=NOW - 60)}
    assert does(board(TASK), see(agent(), conditions=due)) == [NudgeAgent("a", 1)]
    assert does(board(TASK), see(agent(), conditions=due, busy=frozenset({"a"}))) == []


NOT_FOR: dict[str, tuple[Task | None, Attempt, tuple[Asked, ...], Condition | None]] = {
    "nobody asked for it": (task(nudge=None), agent(), (), TURN),
    "its section is gone": (None, agent(), (), TURN),
    "its section has a problem": (replace(TASK, problems=(Problem(1, "x", "a"),)), agent(), (), TURN),
    "headless": (TASK, replace(agent(), mode="headless"), (), TURN),
    "a script": (TASK, replace(agent(), agent="shell"), (), TURN),
    "of an earlier section": (TASK, agent(retired=True), (), TURN),
    "nudged before": (TASK, agent(nudge=Nudge(NOW - 500)), (), TURN),
    "refused before": (TASK, agent(nudge=Nudge(NOW - 500, "a draft")), (), TURN),
    "in setup": (TASK, agent(started=None), (), TURN),
    "lost": (TASK, agent(liveness=Liveness.LOST), (), TURN),
    "ended": (TASK, agent(**ended("failed")), (), TURN),
    "being ended": (TASK, agent(stop=Stop("stopped", NOW)), (), TURN),
    "to be stopped": (replace(TASK, status=Status.STOPPED), agent(), (), TURN),
    "a person's done": (replace(TASK, status=Status.DONE), agent(), (), TURN),
    "it said done": (TASK, agent(reports=(Report("done", NOW - 30),)), (), TURN),
    "it said blocked": (TASK, agent(reports=(Report("blocked", NOW - 30, "on x"),)), (), TURN),
    "it asks": (TASK, agent(), (question("ask"),), TURN),
    "it waits at a gate": (TASK, agent(), (question("gate"),), TURN),
    "its restart is asked about": (TASK, agent(), (restart(),), TURN),
    "its restart is approved": (TASK, agent(), (restart("in-place"),), TURN),
    "nobody looked": (TASK, agent(), (), None),
    "it works": (TASK, agent(), (), replace(TURN, name=Name.WORKING, reason="")),
    "its last words ask": (TASK, agent(), (), replace(TURN, reason="question")),
    "it has a menu": (TASK, agent(), (), replace(TURN, reason="permission")),
    "it is limited": (TASK, agent(), (), replace(TURN, name=Name.LIMITED, reason="usage")),
}


@pytest.mark.parametrize("case", NOT_FOR.values(), ids=NOT_FOR)
def test_whom_it_is_not_for(case: tuple[Task | None, Attempt, tuple[Asked, ...], Condition | None]) -> None:
    assert nudge_at(*case) is None and not is_withheld(*case)
    wanted, worker, asked, condition = case
    if wanted is not None:
        seen = see(worker, asked=asked, conditions={"a": replace(condition, since=0.0)} if condition else {})
        assert not any(isinstance(action, NudgeAgent) for action in does(board(wanted), seen))


def test_a_checkpoint_and_an_answered_question_do_not_keep_it_away() -> None:
    answered = question("ask", answer=Answer("yes", "ana", NOW - 4))
    assert nudge_at(TASK, agent(reports=(Report("checkpoint", NOW - 30),)), (answered,), TURN) is not None


def test_until_then_it_is_no_call_for_a_person_and_the_board_is_left_alone() -> None:
    before = standing(TASK, agent(), condition=TURN)
    assert (before.status, before.why) == (Status.RUNNING, "finished its turn; it is nudged at 2027-01-15T08:00:40Z")
    assert before.keys == standing(TASK, agent()).keys
    assert standing(replace(TASK, settings=replace(TASK.settings, nudge=None)), agent(), condition=TURN).status is (
        Status.WAITING
    )


def test_while_it_may_still_answer_it_is_not_told_and_then_it_is() -> None:
    nudged = agent(nudge=Nudge(NOW - 5))
    assert is_withheld(TASK, nudged, (), TURN)
    assert not is_unanswered(nudged, TURN, NOW - 5 + ANSWERS - 1) and is_unanswered(nudged, TURN, NOW - 5 + ANSWERS)
    at = standing(TASK, nudged, condition=TURN)
    assert (at.status, at.why) == (Status.RUNNING, "nudged at 2027-01-15T07:59:55Z")
    again = standing(TASK, nudged, condition=replace(TURN, since=NOW))
    assert again.status is Status.WAITING and again.why.endswith("; nudged at 2027-01-15T07:59:55Z")
    wanted = writes(board(TASK), see(nudged, conditions={"a": replace(TURN, since=NOW)}))
    assert wanted == {} or wanted["a"].status is None  # like any waiting, after a while


def test_what_it_was_told_is_shown_while_it_works_and_over_no_other_reason() -> None:
    nudged = agent(nudge=Nudge(NOW - 5), why="resumed after exit 1")
    working = replace(TURN, name=Name.WORKING, reason="")
    assert standing(TASK, nudged, condition=working).why == "nudged at 2027-01-15T07:59:55Z"
    assert standing(TASK, nudged, (restart(),), condition=working).why.startswith("restart it?")
    assert standing(TASK, nudged, condition=replace(TURN, reason="permission")).why.startswith("asks for a permission")


def test_one_that_was_refused_waits_for_a_person_at_once_and_says_why() -> None:
    refused = agent(nudge=Nudge(NOW - 5, "its input line holds a draft"))
    assert not is_withheld(TASK, refused, (), TURN)
    assert needed(TASK, refused, (), TURN).endswith("; not nudged: its input line holds a draft")
    assert standing(TASK, refused, condition=TURN).status is Status.WAITING
    assert told(TASK, agent()) == ""


# What is told, look by look.


@dataclass
class Clocked:
    """A watched agent on a board that asks for a nudge after 10 s."""

    machine: Machine
    watching: Watching
    now: float = NOW

    def looks(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.now += 0.5
            self.machine.printed_at = self.now
            self.watching.look(self.now)

    def follow(self, **changes: Any) -> None:
        self.machine.attempts = (replace(watched(), **changes),)
        self.watching.follow(board(task("a", nudge=10.0)), self.machine.state(), ())

    def idles(self) -> int:
        assert all(evidence == {"condition": "waiting", "reason": "idle"} for _, evidence in self.machine.told)
        return len(self.machine.told)


def clocked() -> Clocked:
    machine = Machine((watched(),), screen=IDLE)
    made = Clocked(machine, machine.watching())
    made.follow()
    return made


def test_an_idle_prompt_is_told_when_the_nudge_did_not_help() -> None:
    it = clocked()
    it.looks(12)
    assert it.idles() == 0
    it.follow(nudge=Nudge(it.now))
    it.looks(ANSWERS - 2)
    assert it.idles() == 0
    it.looks(4)
    assert it.idles() == 1
    (condition,) = it.watching.conditions(it.machine.state()).values()
    assert condition.since > NOW + 12 + ANSWERS - 2
    it.looks(60)
    assert it.idles() == 1


def test_one_that_worked_and_is_idle_again_is_told_at_once() -> None:
    it = clocked()
    it.looks(12)
    it.follow(nudge=Nudge(it.now))
    it.machine.screen = WORKING
    it.looks(5)
    it.machine.screen = IDLE
    it.looks(3)
    assert it.idles() == 1


def test_one_that_was_refused_is_told_at_once() -> None:
    it = clocked()
    it.looks(12)
    it.follow(nudge=Nudge(it.now, "its input line holds a draft"))
    it.looks(1)
    assert it.idles() == 1


def test_what_was_not_told_yet_is_told_by_the_next_control_plane_and_never_twice() -> None:
    it = clocked()
    it.looks(12)
    nudge = Nudge(it.now)
    it.watching = it.machine.watching()
    it.follow(nudge=nudge)
    it.looks(ANSWERS - 2)
    assert it.idles() == 0
    it.looks(4)
    assert it.idles() == 1
    it.watching = it.machine.watching()
    it.follow(nudge=nudge)
    it.looks(ANSWERS + 5)
    assert it.idles() == 1


def test_one_that_said_done_after_it_is_not_told() -> None:
    it = clocked()
    it.looks(12)
    it.follow(nudge=Nudge(it.now), reports=(Report("done", it.now),))
    it.looks(ANSWERS + 5)
    assert it.idles() == 0


def test_a_nudge_that_was_taken_off_the_board_leaves_an_idle_agent_to_a_person() -> None:
    it = clocked()
    it.looks(5)
    it.watching.follow(board(task("a")), it.machine.state(), ())
    it.looks(1)
    assert it.idles() == 1


def test_a_permission_is_told_whatever_is_to_be_nudged() -> None:
    it = clocked()
    it.looks(5)
    it.machine.screen = PERMISSION
    it.looks(1)
    assert it.machine.told == [("a", {"condition": "waiting", "reason": "permission"})]


# What is done.


def drafted(text: str) -> str:
    """The screen of an idle agent with that in its input line."""
    above, _, below = IDLE.rpartition("\n❯")
    return f"{above}\n❯ {text}\n{below.partition(chr(10))[2]}"


@dataclass
class Desk:
    """A window with an idle agent; what is done to it, in order."""

    screen: str = IDLE
    typed_at: float | None = None
    windows: tuple[Window, ...] | None = (Window("@1", "a", 1, 7, False, NOW),)
    arrives: bool = True
    full: bool = False
    agents: Mapping[str, Any] = field(default_factory=dict)
    done: list[Any] = field(default_factory=list)

    def paste(self, window: str, text: str) -> None:
        self.done.append(text)
        if not self.arrives:
            raise CommandFailed("tmux does not answer")
        self.screen = drafted(text)

    def press(self, *_: object) -> None:
        self.screen = IDLE

    def record(self, _: Attempt, nudge: Nudge) -> None:
        if self.full:
            raise MuxError("the disk is full")
        self.done.append(nudge)

    def host(self) -> Host:
        def refuse(*_: object) -> Any:
            raise AssertionError("a nudge does nothing else")

        ours: dict[str, Callable[..., Any]] = {
            "windows": lambda: self.windows,
            "look": lambda windows: Sight({}, {} if self.typed_at is None else {"@1": self.typed_at}),
            "screen": lambda window: self.screen,
            "cursor": lambda window: "0 0",
            "paste": self.paste,
            "press": self.press,
            "record_nudge": self.record,
        }
        return Host(**{each.name: ours.get(each.name, refuse) for each in fields(Host)})

    def nudge(self) -> list[Any]:
        def say(event: str, text: str, name: str, number: int, *, by: str) -> None:
            assert (event, name, number, by) == ("nudged", "a", 1, "mux")
            self.done.append(text)

        keeper: Any = SimpleNamespace(board=board(TASK, agents=self.agents), path=Path("/none/board.md"))
        with tempfile.TemporaryDirectory() as folder:
            host = replace(self.host(), run_folder=lambda *_: Path(folder))
            effects = Effects(keeper, host, say, SimpleNamespace(), lambda: NOW, lambda: 0.5)  # type: ignore[arg-type]
            effects.nudge(agent())
        return self.done


def test_it_is_written_down_before_a_key_is_typed() -> None:
    record, text, said = Desk().nudge()
    assert record == Nudge(NOW) and text == preamble.nudge("a") and said.startswith("idle, and said nothing")


REFUSALS = [
    (Desk(screen=drafted("half a thought")), "its input line holds a draft"),
    (Desk(screen=PERMISSION), "it asks for a permission"),
    (Desk(screen=WORKING), "it does something again"),
    (Desk(screen="$ "), "its input line is not on its screen"),
    (Desk(windows=()), "it has no window"),
    (Desk(windows=(Window("@1", "a", 1, 7, True, NOW),)), "it has no window"),
    (Desk(typed_at=NOW - HANDS_OFF + 1), "somebody is typing in its window"),
]


@pytest.mark.parametrize(("desk", "why"), REFUSALS, ids=[why for _, why in REFUSALS])
def test_what_is_in_the_way_is_written_down_and_said_once_and_nothing_is_typed(desk: Desk, why: str) -> None:
    assert desk.nudge() == [Nudge(NOW, why), f"not nudged, and not again: {why}"]


def test_where_no_draft_could_be_seen_nothing_is_typed() -> None:
    """An agent of the board's own, idle by its hooks: nobody knows where its input line is."""
    why = "its profile has no rule for its input line"
    assert Desk(screen="> half a thought", agents={"claude": {"screens": []}}).nudge()[0] == Nudge(NOW, why)


def test_who_only_looks_on_is_not_in_the_way() -> None:
    assert Desk(typed_at=NOW - HANDS_OFF - 1).nudge()[0] == Nudge(NOW)


def test_what_did_not_arrive_is_not_typed_again() -> None:
    why = "what was typed did not arrive"
    assert Desk(arrives=False).nudge() == [
        Nudge(NOW), preamble.nudge("a"), Nudge(NOW, why), f"not nudged, and not again: {why}"
    ]  # fmt: skip


@pytest.mark.parametrize("desk", [Desk(windows=None), Desk(full=True)], ids=["tmux does not answer", "a full disk"])
def test_what_cannot_be_done_now_is_tried_again_with_nothing_typed(desk: Desk) -> None:
    with pytest.raises(MuxError):
        desk.nudge()
    assert desk.done == []


def test_it_says_what_the_contract_says_in_one_line() -> None:
    text = preamble.nudge("fix-login")
    assert "\n" not in text and len(text) < 400
    for words in ("fix-login", "commit", "`mux done`", "`mux blocked ", "`mux ask "):
        assert words in text
