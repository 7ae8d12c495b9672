"""Who is looked at, when, and what is told: the port to the host is a table that the test fills."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest

from board.errors import CommandFailed
from runners import processes
from runners.conditions import concern
from runners.health import Health, Name
from runners.host import Host
from runners.model import Attempt, HostState, Liveness, Sight, Signal, Window
from runners.watching import PAUSE, Watching
from tests.runners.test_plan import NOW, attempt, board, task
from tests.support import wait_for

SCREENS = Path(__file__).parent / "screens"
IDLE = (SCREENS / "claude.idle-after-turn.txt").read_text()
WORKING = (SCREENS / "claude.working.txt").read_text()
PERMISSION = (SCREENS / "claude.waiting-permission.txt").read_text()


@dataclass
class Machine:
    """What there is to see, how often it was looked at, and what was told."""

    attempts: tuple[Attempt, ...]
    screen: str = WORKING
    printed_at: float = NOW
    spent: float = 0.0
    files: str | None = "commit:tree"
    said: Signal | None = None
    answers: bool = True
    captured: list[tuple[str, ...]] = field(default_factory=list)
    computed: int = 0
    typed: dict[str, float] = field(default_factory=dict)
    attached: bool = False
    kept: dict[str, Health] = field(default_factory=dict)
    told: list[tuple[str | None, Any]] = field(default_factory=list)
    woken: int = 0

    def host(self) -> Host:
        def refuse(*_: object) -> Any:
            raise AssertionError("watching does nothing to anybody")

        port: dict[str, Any] = {each.name: refuse for each in fields(Host)}
        return Host(
            **port
            | {
                "look": self.look,
                "printed": lambda attempts: {name: self.printed_at for name, _ in attempts},
                "computed": self.compute,
                "progress": lambda home: self.files,
                "sent": lambda attempts: {},
                "recall": lambda name, number, now: self.kept.get(name),
                "remember": lambda name, number, health: self.kept.update({name: health}),
                "signal": lambda name, number: self.said,
            }
        )

    def look(self, windows: Sequence[str]) -> Sight:
        self.captured.append(tuple(windows))
        if not self.answers:
            raise CommandFailed("tmux does not answer")
        return Sight(dict.fromkeys(windows, self.screen), self.typed)

    def compute(self, attempts: Sequence[tuple[str, int]]) -> dict[str, float]:
        self.computed += 1
        return {name: self.spent for name, _ in attempts}

    def say(self, event: str, text: str, name: str | None = None, number: int | None = None, **more: Any) -> None:
        assert event == "condition" and text and number == 1
        self.told.append((name, more["evidence"]))

    def wake(self) -> None:
        self.woken += 1

    def watching(self) -> Watching:
        made = Watching(self.host(), Path("/none"), self.say, self.wake, lambda: NOW)
        made.follow(board(*(task(each.task) for each in self.attempts)), self.state(), ())
        return made

    def state(self) -> HostState:
        windows = tuple(
            Window(f"@{each.task}", each.task, 1, 1, False, NOW - 99, self.attached) for each in self.attempts
        )
        return HostState({each.task: each for each in self.attempts}, windows)


def agent(name: str = "a", **changes: Any) -> Attempt:
    return attempt(
        name, **{"agent": "claude", "mode": "interactive", "started": NOW - 60, "done_when": ("committed",)} | changes
    )


def test_one_call_for_all_that_printed_and_none_for_those_that_did_not() -> None:
    machine = Machine((agent("a"), agent("b")))
    watching = machine.watching()
    for step in range(8):
        watching.look(NOW + 0.2 + step / 2)
    assert machine.captured == [("@a", "@b")]
    machine.printed_at = NOW + 4
    for step in range(4):
        watching.look(NOW + 4.2 + step / 2)
    assert machine.captured == [("@a", "@b"), ("@a", "@b")]


def test_at_most_once_a_second_however_much_it_prints() -> None:
    machine = Machine((agent(),), printed_at=NOW + 99)
    watching = machine.watching()
    for step in range(20):
        watching.look(NOW + step / 2)
    assert len(machine.captured) == 10


def test_a_permission_counts_at_once_and_is_told_once() -> None:
    machine = Machine((agent(),), screen=PERMISSION, printed_at=NOW + 99)
    watching = machine.watching()
    watching.look(NOW)
    found = watching.conditions(machine.state())["a"]
    assert (found.name, found.reason) == (Name.WAITING, "permission")
    for step in range(1, 9):
        watching.look(NOW + step)
    assert machine.told == [("a", {"condition": "waiting", "reason": "permission"})]
    assert machine.woken == 1


ROUND = 0.2  # seconds that a round takes on a busy machine


@pytest.mark.parametrize("prints", [True, False])
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("claude", "claude.waiting-permission"),
        ("claude", "claude.waiting-trust"),
        ("claude", "claude.idle-question"),
        ("claude", "claude.error-ratelimit"),
        ("codex", "codex.waiting-permission"),
        ("gemini", "more/gemini.waiting-permission.80"),
        ("opencode", "more/opencode.waiting-permission.80x24"),
        ("aider", "more/aider.waiting-permission"),
    ],
)
def test_what_calls_for_a_person_is_told_within_three_seconds_of_its_screen(
    name: str, shown: str, prints: bool
) -> None:
    """However the looks fall; by the clock of the looks, which a busy machine does not slow. `prints`: it goes on."""
    calls = (SCREENS / f"{shown}.txt").read_text()
    for phase in range(24):
        at = NOW + 10 + phase / 20
        machine = Machine((replace(agent(), agent=name),), screen="works\n", printed_at=NOW + 9)
        watching, now = machine.watching(), NOW
        while not machine.told:
            now += PAUSE + ROUND
            assert now <= at + 3, f"not told {now - at:.2f} s after the screen"
            if now >= at:
                machine.screen = calls
            if now >= at or prints:
                machine.printed_at = now if prints else at
            watching.look(now)
        assert now >= at


def test_an_idle_prompt_counts_after_a_moment_and_a_flicker_never() -> None:
    machine = Machine((agent(),), printed_at=NOW + 99)
    watching = machine.watching()
    for step, screen in enumerate([WORKING, IDLE, WORKING, IDLE, WORKING]):
        machine.screen = screen
        watching.look(NOW + step)
    assert machine.told == []
    machine.screen, machine.printed_at = IDLE, NOW + 5
    for step in range(4):
        watching.look(NOW + 5 + step / 2)
    assert machine.told == [("a", {"condition": "waiting", "reason": "idle"})]


def test_the_prompt_before_the_first_turn_is_not_idle() -> None:
    fresh = replace(agent(), started=NOW)
    machine = Machine((fresh,), screen=IDLE)
    watching = machine.watching()
    for step in range(14):
        watching.look(NOW + step / 2)
    assert machine.told == []
    for step in range(14, 24):
        watching.look(NOW + step / 2)
    assert machine.told == [("a", {"condition": "waiting", "reason": "idle"})]


@pytest.mark.parametrize(("rate", "expected"), [(0.9, Name.WORKING), (0.05, Name.WORKING), (0.0, Name.SILENT)])
def test_half_an_hour_of_silent_compiling_is_neither_stuck_nor_silent(rate: float, expected: Name) -> None:
    """The same history each time; only what its processes compute differs."""
    machine = Machine((agent(),), printed_at=NOW - 1)
    watching = machine.watching()
    for second in range(0, 1_860, 5):
        machine.spent += 5 * rate
        watching.look(NOW + second)
    found = watching.conditions(machine.state())["a"]
    assert found.name is expected and bool(concern(found, "a")) is (expected is Name.SILENT)
    assert machine.told == ([("a", {"condition": "silent"})] if expected is Name.SILENT else [])
    assert len(machine.captured) == 1


#: The child of a child of a worker, which prints nothing; its parent waits for it, as `make` does.
BUSY = "import sys\nwhile True: pass"
SLEEPS = "import time\ntime.sleep(600)"


@pytest.mark.parametrize(("work", "expected"), [(BUSY, Name.WORKING), (SLEEPS, Name.SILENT)])
def test_what_a_child_of_a_child_computes_counts(work: str, expected: Name) -> None:
    """Real processes; only the clock of the watching goes faster than theirs."""
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {parent!r}]); print(flush=True); input()"
    machine = Machine((agent(),), printed_at=NOW - 1)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        started = processes.start_time(leader.pid)
        assert started is not None
        try:
            wait_for(lambda: len(processes.session_members(leader.pid, started)) == 3)
            spent = processes.session_times()[leader.pid]
            watching = machine.watching()
            for step in range(70):
                if work is BUSY and step % 10 == 9:  # on a busy machine it gets little
                    spent = max(spent + 0.15, machine.spent + 0.15)
                    wait_for(lambda goal=spent: processes.session_times()[leader.pid] >= goal)
                machine.spent = processes.session_times()[leader.pid]
                watching.look(NOW + 10 * step)
            assert watching.conditions(machine.state())["a"].name is expected
        finally:
            assert processes.terminate_session(leader.pid, started, grace=5.0)


def test_without_output_and_computing_it_is_silent() -> None:
    machine = Machine((agent(),))
    watching = machine.watching()
    for second in range(0, 660, 5):
        watching.look(NOW + second)
    found = watching.conditions(machine.state())["a"]
    assert found.name is Name.SILENT and concern(found, "a")
    assert machine.told == [("a", {"condition": "silent"})]


@pytest.mark.parametrize("other", [WORKING, IDLE])
def test_a_screen_that_flickers_is_told_once(other: str) -> None:
    """Half a second each, for 10 minutes, with a clock that drifts against the looks: they see long runs of either."""
    machine = Machine((agent(),), printed_at=NOW + 9_999)
    watching = machine.watching()
    shown = []
    for step in range(1_200):
        at = step * 0.515
        machine.screen = (PERMISSION, other)[int(at / 0.502) % 2]
        watching.look(NOW + at)
        shown.append(str(watching.conditions(machine.state())["a"].name))
    assert {"waiting"} == set(shown) if other == IDLE else {"waiting", "working"} == set(shown)
    reasons = [evidence["reason"] for _, evidence in machine.told]
    assert reasons.count("permission") == 1 and reasons.count("idle") <= 1
    assert len(reasons) == len(set(reasons))


def test_a_permission_that_comes_again_is_told_again() -> None:
    machine = Machine((agent(),), printed_at=NOW + 9_999)
    watching = machine.watching()
    for second in range(60):
        machine.screen = PERMISSION if second in range(5, 10) or second in range(30, 35) else WORKING
        watching.look(NOW + second)
    assert machine.told == [("a", {"condition": "waiting", "reason": "permission"})] * 2


@pytest.mark.parametrize("screen", [PERMISSION, IDLE])
def test_a_control_plane_that_starts_anew_tells_it_to_nobody(screen: str) -> None:
    machine = Machine((agent(),), screen=screen, printed_at=NOW + 9_999)
    first = machine.watching()
    for second in range(10):
        first.look(NOW + second)
    assert len(machine.told) == 1
    before = first.conditions(machine.state())["a"]
    second = machine.watching()
    assert second.conditions(machine.state())["a"] == before  # at once, and waiting since then
    for later in range(300, 340):
        second.look(NOW + later)
    assert second.conditions(machine.state())["a"].since == before.since
    assert len(machine.told) == 1
    machine.screen = WORKING
    for later in range(340, 360):
        second.look(NOW + later)
    machine.screen = screen
    third = machine.watching()
    for later in range(360, 370):
        third.look(NOW + later)
    assert len(machine.told) == 2


def test_a_silence_goes_on_over_a_restart_and_is_told_once() -> None:
    machine = Machine((agent(),), printed_at=NOW - 1)
    first = machine.watching()
    for second in range(0, 660, 5):
        first.look(NOW + second)
    second_plane = machine.watching()
    names = set()
    for second in range(700, 2_000, 5):
        second_plane.look(NOW + second)
        names.add(second_plane.conditions(machine.state())["a"].name)
    assert names == {Name.SILENT} and machine.told == [("a", {"condition": "silent"})]


def test_a_key_of_somebody_who_is_attached_ends_a_loop() -> None:
    failing = "\n".join(f"step {step}\nerror: no such module" for step in range(6))
    machine = Machine((agent(),), screen=failing, printed_at=NOW, attached=True)
    watching = machine.watching()

    def looks(begin: int) -> Name:
        for second in range(begin, begin + 10):
            watching.look(NOW + second)
            wait_for(lambda: watching._files_of is None)
        return watching.conditions(machine.state())["a"].name

    assert looks(1) is Name.LOOPING
    assert looks(20) is Name.LOOPING
    machine.typed = {"@b": NOW + 35}
    assert looks(40) is Name.LOOPING  # in another's window
    machine.typed = {"@a": NOW + 55}
    assert looks(60) is Name.WORKING


def test_who_types_is_asked_once_a_second_and_only_while_somebody_is_attached() -> None:
    machine = Machine((agent(),), printed_at=NOW - 99)
    for attached, expected in ((False, 1), (True, 10)):
        machine.attached, machine.captured = attached, []
        watching = machine.watching()
        for step in range(20):
            watching.look(NOW + step / 2)
        assert len(machine.captured) == expected and machine.captured[1:] == [()] * (expected - 1)


def test_what_a_script_prints_again_and_again_is_no_loop() -> None:
    failing = "\n".join(f"step {step}\nerror: connection refused, retrying" for step in range(6))
    for name, expected in (("shell", Name.WORKING), ("mine", Name.LOOPING)):
        script = replace(agent(), agent=name, mode="headless")
        machine = Machine((script,), screen=failing)
        watching = machine.watching()
        for second in range(12):
            watching.look(NOW + second)
            wait_for(lambda watching=watching: watching._files_of is None)
        assert watching.conditions(machine.state())["a"].name is expected


def test_an_agent_that_changes_files_between_the_same_failures_is_in_no_loop() -> None:
    """It runs its tests, edits, and runs them again."""
    for edits, expected in ((True, []), (False, [("a", {"condition": "looping"})])):
        machine = Machine((agent(),), printed_at=NOW + 999)
        watching = machine.watching()
        screen = ""
        for second in range(60):
            if second % 10 == 0:
                screen += f"● Bash(npm test)\n  ⎿  Error: Exit code 1\n     FAIL cart.test.ts ({second} ms)\n"
            if edits and second % 10 == 5:
                machine.files = f"commit:tree {second}"
            machine.screen = f"{screen}\n{WORKING}"
            watching.look(NOW + second)
            wait_for(lambda watching=watching: watching._files_of is None)
        assert machine.told == expected


def test_nobody_reads_what_is_computed_while_all_print() -> None:
    machine = Machine((agent(),))
    watching = machine.watching()
    for second in range(0, 300, 5):
        machine.printed_at = NOW + second
        watching.look(NOW + second)
    assert machine.computed == 0


def test_a_screen_that_cannot_be_had_is_unknown_and_not_gone() -> None:
    machine = Machine((agent(),), printed_at=NOW + 99, answers=False)
    watching = machine.watching()
    for second in range(4):
        watching.look(NOW + second)
    assert watching.conditions(machine.state())["a"].name is Name.UNKNOWN
    assert machine.told == []


@pytest.mark.parametrize(("screen", "expected"), [("no rule knows this", Name.WAITING), (WORKING, Name.WORKING)])
def test_what_its_hook_says_holds_until_a_later_screen_says_something_else(screen: str, expected: Name) -> None:
    machine = Machine((agent(),), screen=screen, printed_at=NOW + 99, said=Signal("permission", NOW))
    watching = machine.watching()
    for second in range(1, 5):
        watching.look(NOW + second)
    assert watching.conditions(machine.state())["a"].name is expected


def test_what_its_hook_said_does_not_come_back_after_a_later_screen_showed_something_else() -> None:
    machine = Machine((agent(),), screen=PERMISSION, printed_at=NOW + 99, said=Signal("permission", NOW))
    watching = machine.watching()
    watching.look(NOW + 1)
    machine.screen, machine.typed = WORKING, {"@a": NOW + 1.5}
    for second in (2, 3, 4):
        watching.look(NOW + second)
    machine.screen = "no rule knows this"
    for second in (5, 6, 7):
        watching.look(NOW + second)
    assert watching.conditions(machine.state())["a"].name is Name.WORKING
    anew = machine.watching()  # of a control plane that starts again
    for second in (8, 9, 10):
        anew.look(NOW + second)
    assert anew.conditions(machine.state())["a"].name is Name.WORKING
    assert len(machine.told) == 1


def test_an_answered_permission_is_not_told_again_for_words_that_look_like_a_menu() -> None:
    """It answers so soon that its prompt does not count yet, and nobody saw it work."""
    rule = "─" * 60
    said = ["❯ A task:", "  Ask for a permission.", "", "● Finished that."]
    machine = Machine((agent(started=NOW),), screen=PERMISSION, printed_at=NOW + 99, said=Signal("permission", NOW + 1))
    watching = machine.watching()
    for second in (1, 2):
        watching.look(NOW + second)
    machine.screen = "\n".join([*said, rule, "❯ ", rule, "  ? for shortcuts"])
    machine.typed = {"@a": NOW + 2.5}
    for second in (3, 4, 5):
        watching.look(NOW + second)
    assert len(machine.told) == 1


def test_another_attempt_begins_anew_and_the_old_condition_is_nobodys() -> None:
    machine = Machine((agent(),), screen=PERMISSION)
    watching = machine.watching()
    watching.look(NOW)
    later = HostState({"a": replace(agent(), number=2)})
    gone = HostState({"a": replace(agent(), liveness=Liveness.ENDED)})
    assert watching.conditions(later) == watching.conditions(gone) == {}


def test_the_time_of_a_session_holds_that_of_children_that_ended() -> None:
    computes = "import time\nwhile time.process_time() < 0.3: pass"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {computes!r}]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        assert 0.25 <= processes.session_times()[leader.pid] < 10
        leader.communicate(b"\n")
    assert leader.pid not in processes.session_times()
