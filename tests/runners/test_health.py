from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from board.clock import format_time
from runners import agents
from runners.conditions import needed
from runners.health import Condition, Health, Look, Name, Thresholds, advance, begin, called, flickers
from runners.screens import Seen, classify

SCREENS = Path(__file__).parent / "screens"
RULES = agents.load({})["claude"].screens
WORKING, IDLE = Seen("working"), Seen("waiting", "idle")
PERMISSION, QUESTION = Seen("waiting", "permission", "❯ 1. Yes"), Seen("waiting", "question", "Which one?")
LIMIT = Seen("limited", "usage", "You've hit your limit, try again in 2 hours")
HOUR = 3_600.0


def after(looks: list[tuple[float, Look]], thresholds: Thresholds | None = None, start: float = 0.0) -> Health:
    health = begin(start)
    for at, look in looks:
        health = advance(health, look, at, thresholds)
    return health


def screen(seen: Seen, **more: object) -> Look:
    return replace(Look(seen=seen), **more)  # type: ignore[arg-type]


def kind(health: Health) -> tuple[Name, str]:
    return health.condition.name, health.condition.reason


def test_a_change_counts_when_two_screens_show_it() -> None:
    working = after([(1, screen(WORKING))])
    assert kind(working) == (Name.WORKING, "") and working.condition.since == 1
    once = advance(working, screen(IDLE), 5)
    assert kind(once) == (Name.WORKING, "") and not once.alerted
    twice = advance(once, screen(IDLE), 5.5)
    assert kind(twice) == (Name.WAITING, "idle") and twice.alerted and twice.condition.since == 5


def test_a_change_counts_when_it_stays_and_nothing_more_is_printed() -> None:
    once = after([(1, screen(WORKING)), (5, screen(IDLE))])
    assert kind(advance(once, Look(), 6)) == (Name.WORKING, "")
    assert kind(advance(once, Look(), 6.5)) == (Name.WAITING, "idle")


def test_a_flicker_does_not_count() -> None:
    health = after([(1, screen(WORKING)), (2, screen(IDLE)), (3, screen(WORKING)), (4, screen(IDLE))])
    assert kind(health) == (Name.WORKING, "") and health.condition.since == 1


@pytest.mark.parametrize("reason", ["permission", "trust"])
def test_a_permission_is_seen_at_once(reason: str) -> None:
    health = after([(1, screen(WORKING)), (2, screen(Seen("waiting", reason)))])
    assert kind(health) == (Name.WAITING, reason) and health.alerted


def test_a_permission_that_may_be_a_quotation_must_be_seen_twice() -> None:
    quoted = replace(PERMISSION, sure=False)
    once = after([(1, screen(WORKING)), (2, screen(quoted))])
    for look in (screen(WORKING), Look()):
        assert kind(once) == kind(advance(once, look, 2.5)) == (Name.WORKING, "")
    twice = advance(once, screen(quoted), 3)
    assert kind(twice) == (Name.WAITING, "permission") and twice.alerted and twice.condition.since == 2
    assert kind(advance(once, Look(), 3.5)) == (Name.WAITING, "permission")  # nothing more was printed
    assert kind(after([(1, screen(WORKING)), (2, screen(quoted, said=PERMISSION))])) == (Name.WAITING, "permission")


def test_it_is_alerted_once() -> None:
    looks = [(1.0, screen(WORKING))] + [(2.0 + step, screen(PERMISSION)) for step in range(5)]
    alerts = [after(looks[: count + 1]).alerted for count in range(len(looks))]
    assert alerts == [False, True, False, False, False, False]
    health = after(looks)
    assert health.condition.since == 2 and health.condition.evidence == "❯ 1. Yes"
    unknown = after([*looks, (8, Look(unseen=True)), (9, Look(unseen=True)), (12, Look(unseen=True))])
    assert kind(unknown) == (Name.UNKNOWN, "")
    assert not advance(unknown, screen(PERMISSION), 13).alerted  # it could not be looked at: not news
    worked = [(8, screen(WORKING)), (9, screen(WORKING))]
    assert not after([*looks, *worked, (10, screen(PERMISSION))]).alerted  # a screen that flickers
    assert after([*looks, *worked, (20, screen(PERMISSION))]).alerted
    answered = [(8, screen(WORKING, person_at=7.5)), (9, screen(WORKING, person_at=7.5))]
    assert after([*looks, *answered, (10, screen(PERMISSION, person_at=7.5))]).alerted


def dialog(command: str, **more: object) -> Look:
    """A permission for a command, with the options that every command has."""
    text = f"● Bash({command})\n{'─' * 60}\n Bash command\n   {command}\n\n ❯ 1. Yes\n   2. No\n\n Esc to cancel"
    return screen(PERMISSION, text=text, **more)


def test_the_next_permission_is_told_although_nothing_else_was_seen_after_the_answer() -> None:
    first = [(1.0, screen(WORKING)), (2.0, dialog("make")), (3.0, dialog("make"))]
    assert alerts(first) == ["waiting permission"]
    answered = [
        *first,
        (10.0, dialog("rm -r x")),
        (10.5, Look(person_at=9.8)),
        (20.0, dialog("rm -r x", person_at=9.8)),
    ]
    assert alerts(answered) == ["waiting permission"] * 2 and after(answered).condition.since == 10.5
    looked_at = [*first, (10.0, Look(person_at=9.8)), (11.0, dialog("make", person_at=9.8))]
    assert alerts(looked_at) == ["waiting permission"]  # a key that answered nothing
    moves = [*first, (10.0, dialog("rm -r x")), (11.0, dialog("rm -r x"))]
    assert alerts(moves) == ["waiting permission"]  # nobody answered: that it reads otherwise is no edge


def test_a_menu_that_was_half_drawn_is_no_other_question_once_it_is_whole() -> None:
    first = [(1.0, screen(WORKING)), (2.0, dialog("ma")), (3.0, dialog("ma")), (3.5, dialog("make"))]
    answered = [(4.0, Look(person_at=3.9)), (4.5, dialog("make", person_at=3.9))]  # the agent is slow to take it
    assert alerts([*first, *answered]) == ["waiting permission"]


def alerts(looks: list[tuple[float, Look]]) -> list[str]:
    """What is told, look by look."""
    health, told = begin(0.0), []
    for at, look in looks:
        health = advance(health, look, at)
        if health.alerted:
            told.append(" ".join(filter(None, kind(health))))
    return told


@pytest.mark.parametrize("seen", [PERMISSION, IDLE, LIMIT, Seen("unreachable")])
@pytest.mark.parametrize("pause", [0.5, 1.0, 1.5])
def test_a_screen_that_flickers_is_told_once(seen: Seen, pause: float) -> None:
    """In turns with work, once, twice, three times: however the looks fall, and for minutes."""
    for run in (1, 2, 3):
        shown = [seen if step // run % 2 else WORKING for step in range(400)]
        told = alerts([(pause * step, screen(each)) for step, each in enumerate(shown)])
        assert told in ([], [" ".join(filter(None, (seen.name, seen.reason)))])
        assert told or run == 1  # what never held for two looks


def test_two_that_take_turns_are_each_told_once() -> None:
    shown = [PERMISSION, PERMISSION, QUESTION, QUESTION, WORKING, WORKING] * 50
    told = alerts([(0.5 * step, screen(each)) for step, each in enumerate(shown)])
    assert told == ["waiting permission", "waiting question"]


def test_one_that_talks_now_and_then_is_told_to_be_stuck_once() -> None:
    """It prints every 4 minutes, and is quiet between: stuck, quiet, stuck. A commit makes the next one news."""
    looks = [
        (60.0 * minute, screen(WORKING, output_at=240.0 * (minute // 4), computing=0.0, progress=progress))
        for minute, progress in [*((each, "a") for each in range(1, 90)), *((each, "b") for each in range(90, 200))]
    ]
    assert alerts(looks) == ["stuck", "stuck"]


def test_only_what_may_be_back_with_the_next_screen_flickers() -> None:
    waited = after([(1, screen(WORKING)), (2, screen(PERMISSION))])
    assert not flickers(waited)
    works = [advance(waited, screen(WORKING), 3)]
    for at in (4, 5, 20):
        works.append(advance(works[-1], screen(WORKING), at))
    assert [flickers(each) for each in works] == [False, True, True, False]
    loop = after([(at, Look(seen=WORKING, text=printed(6))) for at in (1.0, 2.0)])
    other = Look(seen=WORKING, text=printed(6) + "\nerror: out of reach")
    ended = advance(advance(loop, other, 3), other, 4)
    assert ended.told and kind(ended) == (Name.WORKING, "") and not flickers(ended)


def test_a_silence_that_is_broken_may_be_told_again() -> None:
    looks = [(60.0 * m, Look(output_at=1.0 if m < 30 else 1800.0, computing=0.0)) for m in range(1, 60)]
    assert alerts(looks) == ["silent", "silent"]


def test_a_loop_is_told_again_only_after_something_came_of_it() -> None:
    """One other failure ends what is shown; it is the same trouble all the same."""
    lines = ["error: no such module"] * 5 + ["error: out of reach"] + ["error: no such module"] * 5

    def looks(progress: str, person_at: float | None) -> list[tuple[float, Look]]:
        shown = ["\n".join(f"step {step}\n{line}" for step, line in enumerate(lines[:count])) for count in range(12)]
        late = [
            Look(seen=WORKING, text=text, progress=progress if count > 5 else "a", person_at=person_at)
            for count, text in enumerate(shown)
        ]
        return [(2.0 * step, each) for step, each in enumerate(each for look in late for each in (look, look))]

    assert alerts(looks("a", None)) == ["looping"]
    assert alerts(looks("b", None)) == ["looping", "looping"]


def test_a_limit_that_passes_is_not_counted_as_talk_without_progress() -> None:
    waits = [(60.0 * m, screen(LIMIT, output_at=60.0 * m, computing=0.0, progress="a")) for m in range(1, 60)]
    works = [(60.0 * m, screen(WORKING, output_at=60.0 * m, computing=0.0, progress="a")) for m in range(60, 80)]
    assert alerts([*waits, *works]) == ["limited usage"]


@pytest.mark.parametrize("kept", [0, 3, 12, 20])
def test_a_screen_that_is_seen_half_drawn_tells_nothing_new(kept: int) -> None:
    """Its last line may be torn, and it may be empty for a moment."""
    lines = [*(f"step {step}" for step in range(12)), "error: no such module", *(f"more {step}" for step in range(9))]
    full, half = "\n".join(lines), "\n".join([*lines[:kept], lines[kept][:3]] if kept else [])
    looks = [(0.5 * step, Look(seen=WORKING, text=half if step % 3 == 1 else full)) for step in range(60)]
    health = after(looks)
    assert health.failures == ("error: no such module",)


def test_a_loop_counts_only_when_its_files_were_looked_at_since() -> None:
    """An agent that runs its tests, changes a file and runs them again fails alike, and makes progress."""
    loop = Look(seen=WORKING, text=printed(6), progress="a", checked=())
    health = after([(1.0, loop), (2.0, loop)])
    assert kind(health) == (Name.WORKING, "")
    checked = replace(loop, checked=health.failures)
    assert kind(advance(advance(health, checked, 3.0), checked, 4.0)) == (Name.LOOPING, "")
    moved = replace(checked, progress="b")
    assert kind(advance(advance(health, moved, 3.0), moved, 4.0)) == (Name.WORKING, "")


def test_working_is_no_reason_to_call() -> None:
    assert not after([(1, screen(WORKING)), (2, screen(WORKING))]).alerted


def test_an_agents_own_word_goes_before_its_screen() -> None:
    health = after([(1, screen(WORKING, said=QUESTION)), (2, screen(WORKING, said=QUESTION))])
    assert kind(health) == (Name.WAITING, "question")


def test_a_limit_keeps_the_time_it_names() -> None:
    health = after([(0, screen(LIMIT)), (1, screen(LIMIT))])
    assert kind(health) == (Name.LIMITED, "usage") and health.condition.until == 2 * HOUR
    gone = advance(health, screen(Seen("limited", "usage", "You've hit your limit")), 2)
    assert gone.condition.until == 2 * HOUR and gone.condition.since == 0
    assert advance(gone, screen(LIMIT), 500).condition.until == 2 * HOUR
    told_anew = advance(gone, screen(Seen("limited", "usage", "You've hit your limit, try again in 5 hours")), 500)
    assert told_anew.condition.until == 500 + 5 * HOUR


@pytest.mark.parametrize("said", ["try again in 2 hours", "resets 3am", "resets at 2026-11-27T03:00:00Z"])
def test_a_limit_ends_when_it_was_first_said_to_and_that_is_told_once(said: str) -> None:
    """Its message stands there for days; a look each minute, each with other lines below it."""
    begun = 1_795_726_800.0  # 26 November 2026, 21:00 UTC
    health, untils, told = begin(begun), set[float](), list[tuple[float, Condition]]()
    for minute in range(3 * 24 * 60):
        now = begun + 60 * minute
        seen = Seen("limited", "usage", f"You've hit your limit · {said}\n line {minute}")
        health = advance(health, screen(seen, output_at=now), now)
        untils |= {health.condition.until} - {None}
        told += [(now, called(health))] if health.alerted else []
    (until,) = untils
    assert until <= begun + 26 * HOUR
    assert [condition.has_ended for _, condition in told] == [False, True]
    assert until + 60 <= told[1][0] < until + 180
    assert f"its limit ended at {format_time(until)}: mux send a TEXT" in needed(told[1][1], "a")
    assert f"is out of quota until {format_time(until)}" in needed(told[0][1], "a")


def test_a_retry_that_counts_down_and_begins_again_never_ends() -> None:
    shown = [8 - second % 8 for second in range(200)]
    looks = [(float(at), screen(Seen("limited", "rate", f"Retrying in {left}s"))) for at, left in enumerate(shown)]
    assert alerts(looks) == ["limited rate"]
    untils = [after(looks[: count + 1]).condition.until for count in range(2, len(looks))]
    assert len(set(untils)) <= len(looks) // 8 + 2  # one a retry, not one a look


#: Processor seconds a second, and how a worker is that prints nothing and changes nothing meanwhile.
COMPILES = [(0.95, Name.WORKING), (0.05, Name.WORKING), (0.0, Name.SILENT), (None, Name.WORKING)]


@pytest.mark.parametrize(("computing", "expected"), COMPILES)
def test_half_an_hour_of_silent_compiling_is_work(computing: float | None, expected: Name) -> None:
    """The same history each time: what it computes decides, and what could not be asked decides nothing."""
    looks = [(60.0 * minute, Look(output_at=1.0, computing=computing, progress="a")) for minute in range(1, 40)]
    health = after([(1, screen(WORKING, output_at=1.0, progress="a")), *looks])
    assert kind(health) == (expected, "")
    assert [each.name for each in health.told] == ([expected] if expected is Name.SILENT else [])


def test_a_worker_is_silent_from_its_last_computing_on() -> None:
    looks = [(60.0 * minute, Look(output_at=1.0, computing=0.9 if minute < 20 else 0.0)) for minute in range(1, 40)]
    assert kind(after(looks[:28])) == (Name.WORKING, "")
    assert kind(after(looks[:31])) == (Name.SILENT, "")
    unasked = advance(after(looks[:31]), Look(output_at=1.0), 32 * 60)
    assert kind(advance(unasked, Look(output_at=1.0), 33 * 60)) == (Name.SILENT, "")
    printed = advance(unasked, Look(output_at=32 * 60.0), 32 * 60 + 1)
    assert kind(advance(printed, Look(output_at=32 * 60.0), 32 * 60 + 3)) == (Name.WORKING, "")


def test_half_an_hour_of_a_talking_test_run_is_work() -> None:
    looks = [(60.0 * m, Look(output_at=60.0 * m, computing=0.8, progress="a")) for m in range(1, 60)]
    assert kind(after(looks)) == (Name.WORKING, "")


def test_no_output_and_no_computing_is_silent() -> None:
    looks = [(60.0 * minute, Look(output_at=1.0, computing=0.0)) for minute in range(1, 13)]
    assert kind(after(looks[:10])) == (Name.WORKING, "")
    health = after(looks)
    assert kind(health) == (Name.SILENT, "") and health.condition.evidence.startswith("no output and no computing for")
    typed = advance(health, Look(output_at=1.0, computing=0.0, person_at=721), 722)
    typed = advance(typed, Look(output_at=1.0, computing=0.0, person_at=721), 725)
    assert kind(typed) == (Name.WORKING, "")
    unknown = [(at, replace(look, computing=None)) for at, look in looks]
    assert kind(after(unknown)) == (Name.WORKING, "")  # nothing is concluded from what could not be asked


def test_talk_without_progress_is_stuck() -> None:
    def looks(minutes: int, progress: str = "a") -> list[tuple[float, Look]]:
        return [
            (60.0 * m, Look(seen=WORKING, output_at=60.0 * m, computing=0.03, progress=progress))
            for m in range(1, minutes)
        ]

    assert kind(after(looks(30))) == (Name.WORKING, "")
    health = after(looks(34))
    assert kind(health) == (Name.STUCK, "") and health.alerted is False
    assert "no new tree, commit or report for" in health.condition.evidence
    commit = replace(looks(35)[-1][1], progress="b")
    moved = advance(advance(health, commit, 35 * 60), commit, 35 * 60 + 2)
    assert kind(moved) == (Name.WORKING, "")
    person = replace(looks(35)[-1][1], person_at=35 * 60.0)
    moved = advance(advance(health, person, 35 * 60), person, 35 * 60 + 2)
    assert kind(moved) == (Name.WORKING, "")
    assert kind(after(looks(60), Thresholds(stuck_after=None))) == (Name.WORKING, "")
    untold = [(at, replace(look, progress=None)) for at, look in looks(60)]
    assert kind(after(untold)) == (Name.WORKING, "")


def test_an_agent_that_waits_is_neither_stuck_nor_silent() -> None:
    looks = [(60.0 * m, Look(seen=IDLE, output_at=1.0, computing=0.0, progress="a")) for m in range(1, 90)]
    assert kind(after(looks)) == (Name.WAITING, "idle")


def printed(times: int) -> str:
    lines = []
    for number in range(times):
        lines += [
            f"trying {number}",
            f"12:0{number}:07 error: cannot open /tmp/x{number}/a.c (0x7ff{number}) line {number}",
        ]
    return "\n".join(lines)


def test_the_same_error_for_the_fifth_time_is_a_loop() -> None:
    def shown(times: int) -> Health:
        return after([(at, Look(seen=WORKING, text=printed(times), output_at=at)) for at in (1.0, 2.0)])

    assert kind(shown(4)) == (Name.WORKING, "")
    health = shown(5)
    assert kind(health) == (Name.LOOPING, "")
    assert health.condition.evidence.startswith("the same failure 5 times: ") and "error: cannot open" in (
        health.condition.evidence
    )


def test_failures_are_counted_across_screens() -> None:
    """A screen of eight lines: no more than four of the ten are ever seen together."""
    lines = printed(10).splitlines()
    looks = [(float(at), Look(seen=WORKING, text="\n".join(lines[max(0, at - 8) : at]))) for at in range(1, 12)]
    assert kind(after(looks[:8])) == (Name.WORKING, "")
    assert kind(after([*looks, (12.0, looks[-1][1])])) == (Name.LOOPING, "")


def flood(step: int, error: str) -> list[str]:
    """A step that prints more than a screen of 24 lines, the error at a place that differs."""
    lines = [f"compiling part {number} of step {step}" for number in range(30 + step)]
    return [*lines, error.format(step), *(f"cleaning {number} after {step}" for number in range(9 - step))]


@pytest.mark.parametrize(
    "error",
    ["error: no such module", "12:00:{0} error: cannot open /tmp/x{0}", "  ⎿  Error: Exit code 2\n     no rule"],
)
def test_a_loop_whose_steps_print_a_screenful_is_one(error: str) -> None:
    """A look after each step: no line of one screen is on the next."""
    times = 3 if "Exit" in error else 5
    screens = ["\n".join("\n".join(flood(step, error)).splitlines()[-24:]) for step in range(times)]
    looks = [(float(at), Look(seen=WORKING, text=text)) for at, text in enumerate(screens, 1)]
    assert kind(after([*looks[:-1], (98.0, looks[-2][1]), (99.0, looks[-2][1])])) == (Name.WORKING, "")
    health = after([*looks, (99.0, looks[-1][1])])
    assert kind(health) == (Name.LOOPING, "") and health.condition.evidence.startswith(
        f"the same failure {times} times"
    )


def test_a_failure_on_one_of_two_screens_that_take_turns_is_one() -> None:
    """A dialog as large as the screen comes and goes; what was above the failure may be off the screen by then."""
    first = ["● Bash(make)", "  ⎿  Error: Exit code 2", "     no rule", *(f"step {number}" for number in range(20))]
    other = [f"a line of the dialog {number}" for number in range(24)]
    for hidden in (0, 1):
        shown = [first, other, first[hidden:], other] * 9
        looks = [(float(at), Look(seen=WORKING, text="\n".join(lines))) for at, lines in enumerate(shown, 1)]
        health = after(looks)
        assert len(health.failures) == 1 and kind(health) == (Name.WORKING, "")


def test_a_failure_that_a_terminal_of_another_width_draws_anew_is_one() -> None:
    """Who attaches from elsewhere changes it, again and again."""
    words = (
        "The tests run against the database of the other branch, whose port is taken by a process that is gone. " * 9
    )
    looks = []
    for at, width in enumerate((120, 80, 60, 200, 71, 97), 1):
        lines = ["● I look at that.", *textwrap.wrap(words, width - 2, initial_indent="● ", subsequent_indent="  ")]
        lines += ["● Bash(make)", "  ⎿  Error: Exit code 2", "     no rule", "─" * width, "❯", "─" * width]
        looks.append((float(at), Look(seen=WORKING, text="\n".join(lines[1:] if at % 2 else lines[2:]))))
    assert len(after(looks).failures) == 1


def test_a_screenful_that_tells_of_one_failure_many_times_counts_once() -> None:
    flooded = [[f"{part}/{number}: error: no such thing {number}" for number in range(24)] for part in "abcd"]
    looks = [
        (float(at), Look(seen=WORKING, text="\n".join(lines))) for at, lines in enumerate([["begins"], *flooded], 1)
    ]
    assert len(after(looks).failures) == 4 and kind(after(looks)) == (Name.WORKING, "")


def test_one_failure_that_stays_on_the_screen_is_one() -> None:
    """The spinner and the input line are drawn anew; what is above them is not printed again."""
    base = printed(3)
    looks = [(float(at), Look(seen=WORKING, text=f"{base}\n\n✻ Work… ({at}s)\n────\n❯\n────\n")) for at in range(40)]
    health = after(looks)
    assert kind(health) == (Name.WORKING, "") and len(health.failures) == 3


def test_a_tool_that_fails_the_same_way_three_times_is_a_loop() -> None:
    step = "● Bash(make)\n  ⎿  Error: Exit code 2\n     make: *** No rule to make target 'x'.  Stop.\n"
    looks = [Look(seen=WORKING, text=step * count) for count in range(1, 4)]
    assert kind(after([(1.0, looks[1]), (2.0, looks[1])])) == (Name.WORKING, "")
    assert kind(after([(1.0, looks[2]), (2.0, looks[2])])) == (Name.LOOPING, "")
    other = step + step.replace("No rule", "Missing separator") + step
    assert kind(after([(1.0, Look(seen=WORKING, text=other)), (2.0, Look())])) == (Name.WORKING, "")
    patient = Thresholds(same_failure=5)
    assert kind(after([(1.0, looks[2]), (2.0, looks[2])], patient)) == (Name.WORKING, "")


def test_progress_or_a_person_begins_anew() -> None:
    loop = [(at, Look(seen=WORKING, text=printed(6), progress="a")) for at in (1.0, 2.0)]
    assert kind(after(loop)) == (Name.LOOPING, "")
    for change in (Look(seen=WORKING, text=printed(6), progress="b"), Look(seen=WORKING, text=printed(6), person_at=3)):
        health = advance(advance(after(loop), change, 3), change, 4)
        assert kind(health) == (Name.WORKING, "")


def test_real_screens_reach_the_condition_within_three_seconds() -> None:
    """With a look each second, as it is while a window prints."""
    for name, expected in (
        ("waiting-permission", (Name.WAITING, "permission")),
        ("waiting-trust", (Name.WAITING, "trust")),
        ("error-ratelimit", (Name.LIMITED, "rate")),
        ("idle-question", (Name.WAITING, "question")),
    ):
        text = (SCREENS / f"claude.{name}.txt").read_text()
        looks = [(float(at), Look(seen=classify(text, RULES), text=text, output_at=1.0)) for at in (1, 2, 3)]
        assert kind(after(looks)) == expected


def test_a_condition_has_the_four_parts() -> None:
    assert Condition(Name.WORKING, "", "", 1.0) == Condition(Name.WORKING, "", "", 1.0, None)
