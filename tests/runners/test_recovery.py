"""The recovery table: each row by its name, the order of the rows, and that every case lands on exactly one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.model import RestartPolicy, Status
from runners.case import Case, restarts, was_stopped
from runners.limits import Limit
from runners.model import Attempt, Cause, Exit, How, Liveness, Outcome, Report, Row, Stop, TreeFacts
from runners.recovery import TABLE, decide, outcome
from tests.runners.test_plan import NOW
from tests.runners.test_plan import attempt as base

HEAD, START = "feed" * 10, "0123456789abcdef"
CLEAN = TreeFacts(head=HEAD, branch="mux/shop/a", commits=2, modified=0, untracked=0)
DIRTY = TreeFacts(head=START, branch="mux/shop/a", commits=0, modified=1, untracked=2)
DIRT = "; 1 file changed and not committed, 2 files untracked"
LONG_AGO = NOW - 3600 * 5


def ended(ending: Exit | None = None, **changes: Any) -> Attempt:
    return base(liveness=Liveness.ENDED, exit=ending, **changes)


FAILED = ended(Exit(NOW, 1))
EARLY = ended(Exit(NOW, 1), created=NOW - 2, started=NOW - 1)


def case(attempt: Attempt = FAILED, **changes: Any) -> Case:
    return Case(attempt, **{"policy": RestartPolicy(), "now": NOW, "tree": CLEAN} | changes)


def before(number: int = 1, **changes: Any) -> Attempt:
    """An attempt before it, that left the home as `CLEAN` says, and ended as `FAILED` did."""
    concluded = Outcome(Status.CLAIMED, "exit", "why", NOW - 100, head=HEAD, row=Row.RESTART)
    fields = {"number": number, "outcome": concluded, "created": NOW - 200} | changes
    return ended(fields.pop("exit", Exit(NOW - 100, 1)), **fields)


def again(**changes: Any) -> Attempt:
    """The second attempt, started by mux; it ended as the first did."""
    return replace(FAILED, number=2, cause=Cause.MUX, **changes)


CUT_OFF = again(exit=Exit(NOW, None, 1, hangup=True))
STOPPED = ended(Exit(NOW, None, 2), stop=Stop("stopped", NOW))
#: It was through before the signals of a restart reached it.
THROUGH = ended(Exit(NOW, 0), stop=Stop("restart", NOW - 1))
BLOCKED = ended(Exit(NOW, 1), reports=(Report("blocked", NOW, "on the database"),))
SAID_DONE = ended(Exit(NOW, 3), reports=(Report("done", NOW),))

#: It resumed, ended at once and did nothing.
FAILED_RESUME = case(
    replace(EARLY, number=2, cause=Cause.PERSON, how=How.RESUME),
    earlier=(before(outcome=Outcome(Status.CLAIMED, "exit", "", NOW, head=START, tree="t")),),
    resumes=True,
    tree=DIRTY,
    files="t",
)


def does_nothing_twice(**changes: Any) -> Case:
    """It ended at once with a clean tree at the commit that its branch started from, as the attempt before it did."""
    nothing = Outcome(Status.CLAIMED, "exit", "why", NOW - 100, head=START, row=Row.RESTART)
    earlier = (before(**{"started": NOW - 101, "outcome": nothing} | changes),)
    return case(replace(EARLY, number=2, cause=Cause.MUX), earlier=earlier, tree=replace(CLEAN, head=START))


#: row, case, status, reason, what the why says, what follows
EXAMPLES: list[tuple[Row, Case, str | None, str, str, str | None]] = [
    (Row.LOOK_AGAIN, case(unseen="git did not answer"), None, "unknown", "git did not answer", "restart"),
    (Row.LOOK_AGAIN, case(base(liveness=Liveness.LOST)), None, "unknown", "still lives", "restart"),
    (Row.LOOK_AGAIN, case(base()), None, "unknown", "still lives", "restart"),
    (Row.STOPPED, case(STOPPED), "stopped", "stopped", "stopped by a person", None),
    (Row.STOPPED, case(STOPPED, tree=DIRTY), "stopped", "stopped", DIRT, None),
    (Row.STOPPED, case(ended(stop=Stop("restart", NOW))), "stopped", "restart", "that a person ordered", None),
    (Row.STOPPED, case(ended(stop=Stop("timeout", NOW), timeout=5400.0)), "failed", "timeout", "after 1h 30m", None),
    (Row.GATE, case(THROUGH), "done", "done", "exit 0; 2 commits, tree clean", None),
    (Row.GATE, case(replace(THROUGH, stop=Stop("timeout", NOW - 1))), "done", "done", "exit 0", None),
    (Row.RESTART, case(replace(FAILED, stop=Stop("restart", NOW + 1))), "claimed", "exit", "exit 1", "restart"),
    (Row.STOPPED, case(replace(FAILED, stop=Stop("restart", NOW - 1))), "stopped", "restart", "ordered", None),
    (Row.STOPPED, case(replace(FAILED, stop=Stop("stopped", NOW + 1))), "stopped", "stopped", "by a person", None),
    (
        Row.STOPPED,
        case(replace(THROUGH, stop=Stop("stopped", NOW - 1, reached=NOW - 1))),
        *("stopped", "stopped", "stopped by a person", None),
    ),
    (Row.ONCE, case(unfinished=("deploy",)), "blocked", "once", "a `once` step began and did not finish", "ask"),
    (Row.REPORTED_BLOCKED, case(BLOCKED), "blocked", "blocked", 'its worker says: "on the database"', None),
    (Row.GATE, case(ended(Exit(NOW, 0))), "done", "done", "exit 0; 2 commits, tree clean", None),
    (Row.GATE, case(SAID_DONE), "done", "done", "said done; 2 commits, tree clean", None),
    (Row.GATE, case(ended(stop=Stop("done", NOW), reports=SAID_DONE.reports)), "done", "done", "said done", None),
    (Row.GATE, case(ended(Exit(NOW, 0)), broken=(("clean", "dirt"),)), "blocked", "gate", "done, but dirt", None),
    (Row.GATE, case(ended(Exit(NOW, 0)), broken=(("merged", "not yet"),)), "review", "review", "not yet", None),
    (Row.GATE, case(ended(Exit(NOW, 0)), tree=None), "blocked", "gate", "its worktree is gone", None),
    (Row.LIMITED, case(limit=Limit("usage", NOW + 900)), "waiting", "usage", "usage limit until", "restart"),
    (Row.LIMITED, case(limit=Limit("usage", NOW + 900), resumes=True), "waiting", "usage", "it resumes", "resume"),
    (Row.LIMITED, case(limit=Limit("usage", NOW + 900), tree=DIRTY), "waiting", "usage", "you are asked", "ask"),
    (
        Row.LIMITED,
        case(limit=Limit("usage", NOW + 900), resumes=True, destructive=True),
        *("waiting", "usage", "then you are asked, as it is destructive", "ask"),
    ),
    (Row.LIMITED, case(limit=Limit("login", None)), "waiting", "login", "login refused: it cannot work", None),
    (Row.DOES_NOT_START, case(ended(Exit(NOW, 2, phase="setup"))), "failed", "setup", "setup: exit 2; read it", None),
    (
        Row.DOES_NOT_START,
        does_nothing_twice(),
        *("failed", "start", "does not start: exit 1, twice within 10s", None),
    ),
    (Row.NEVER, case(policy=RestartPolicy("never")), "failed", "exit", "exit 1", None),
    (Row.NEVER, case(ended(), policy=RestartPolicy("never")), "failed", "lost", "its wrapper was killed", None),
    (
        Row.NEVER,
        case(ended(rebooted=True), policy=RestartPolicy("never")),
        *("failed", "interrupted", "the machine went down", None),
    ),
    (
        Row.NEVER,
        case(ended(Exit(NOW, None, 1, hangup=True)), policy=RestartPolicy("never")),
        *("failed", "interrupted", "tmux server was closed", None),
    ),
    (Row.DESTRUCTIVE, case(destructive=True), "blocked", "destructive", "does not run twice by itself", "ask"),
    (Row.SAME_FAILURE, case(again(), earlier=(before(),)), "blocked", "same", "same failure twice, no progress", "ask"),
    (
        Row.BUDGET,
        case(again(), earlier=(before(cause=Cause.MUX, exit=Exit(NOW, 2)),), policy=RestartPolicy(limit=2)),
        *("blocked", "budget", "2 restarts in 1h, the limit", "ask"),
    ),
    (
        Row.BUDGET,
        case(
            again(created=NOW - 4000),
            earlier=(
                before(3, cause=Cause.MUX, exit=Exit(NOW - 5000, 2), created=NOW - 8000, started=NOW - 8000),
                before(2, cause=Cause.MUX, exit=Exit(NOW - 9000, 3), created=NOW - 12000, started=NOW - 12000),
            ),
            policy=RestartPolicy(long_limit=3, reset=20000.0),
        ),
        *("blocked", "budget", "3 restarts in 12h, the limit", "ask"),
    ),
    (Row.RESUME, case(resumes=True), "claimed", "exit", "exit 1; tree clean at feedfee; resumes at", "resume"),
    (Row.RESUME, case(resumes=True, tree=DIRTY, files="t"), "claimed", "exit", "untracked; resumes at", "resume"),
    (Row.DIRTY, case(tree=DIRTY, files="t"), "blocked", "dirty", "cannot resume, and has work", "ask"),
    (
        Row.DIRTY,
        case(
            replace(EARLY, number=2, cause=Cause.PERSON, how=How.RESUME), resumes=True, tree=replace(DIRTY, head=HEAD)
        ),
        *("blocked", "dirty", "cannot resume", "ask"),
    ),
    (Row.RESTART, case(), "claimed", "exit", "exit 1; tree clean at feedfee; restarts at", "restart"),
    (Row.RESTART, case(ended(Exit(NOW, None, 9))), "claimed", "exit", "signal 9 (SIGKILL); tree clean", "restart"),
    (Row.ELSE, case(tree=None), "blocked", "else", "its worktree is gone", "ask"),
    (Row.ELSE, case(tree=replace(CLEAN, branch=None)), "blocked", "else", "its home is on no branch", "ask"),
    (Row.ELSE, case(outage=True, ask_after_outage=True), "blocked", "else", "many workers ended at once", "ask"),
]


@pytest.mark.parametrize(("row", "seen", "status", "reason", "why", "then"), EXAMPLES)
def test_the_rows(row: Row, seen: Case, status: str | None, reason: str, why: str, then: str | None) -> None:
    if row is Row.DIRTY and seen.attempt.how is How.RESUME:
        seen = replace(
            seen, earlier=(before(outcome=Outcome(Status.CLAIMED, "exit", "", NOW, head=HEAD, tree="t")),), files="t"
        )
    decision = decide(seen)
    assert decision.row is row
    assert decision.status == (Status(status) if status else None)
    assert decision.reason == reason
    assert why in decision.why and "\n" not in decision.why
    assert (decision.next.do if decision.next else None) == then


def test_one_that_left_something_did_get_going() -> None:
    """The first one commits, in a moment; the second finds that done and ends at once."""
    tree = replace(CLEAN, head=HEAD)
    seen = replace(does_nothing_twice(outcome=before().outcome, exit=Exit(NOW - 100, 3)), tree=tree)
    assert decide(seen).row is Row.RESTART


def test_both_ends_are_said_of_one_that_does_not_start() -> None:
    seen = does_nothing_twice(exit=Exit(NOW - 100, 128))
    assert "does not start: exit 128, then exit 1, each within 10s; read it with" in decide(seen).why


def test_every_row_has_an_example_and_a_place_in_the_table() -> None:
    assert [row for row, _, _ in TABLE] == list(Row)
    assert {example[0] for example in EXAMPLES} == set(Row)


def test_the_evidence_is_written_down() -> None:
    seen = case(again(), earlier=(before(),), tree=DIRTY, files="t", outage=True)
    written = outcome(seen, decide(seen))
    assert (written.head, written.tree, written.row) == (START, "t", Row.DIRTY)
    assert written.evidence["exit"] == "exit 1"
    assert (written.evidence["modified"], written.evidence["untracked"], written.evidence["outage"]) == (1, 2, 1)


def test_a_question_names_the_mildest_way_first() -> None:
    def choices(seen: Case) -> tuple[str, ...]:
        decision = decide(seen)
        assert decision.next is not None
        return decision.next.choices

    assert choices(case(tree=DIRTY)) == ("in-place", "checkpoint")
    assert choices(case(destructive=True, resumes=True)) == ("resume", "in-place", "checkpoint")
    assert choices(case(tree=None)) == ("in-place",)
    assert choices(case(unfinished=("deploy",))) == ("again", "finished")
    assert choices(case(unfinished=("deploy", "push"))) == ("again", "finished", "in-place")
    assert choices(case(unfinished=("deploy", "push"), resumes=True)) == ("again", "finished", "resume")


@pytest.mark.parametrize(
    ("changes", "then"),
    [
        ({}, "then its worker starts again"),
        ({"attempt": ended(Exit(NOW, 0))}, "then it is done"),
        ({"policy": RestartPolicy("never")}, "then it is failed"),
        ({"destructive": True}, "then you are asked how it goes on"),
    ],
)
def test_a_question_about_steps_says_what_follows_if_they_took_effect(changes: dict[str, Any], then: str) -> None:
    seen = case(unfinished=("deploy",), **changes)
    assert outcome(seen, decide(seen)).evidence["then"] == then
    assert ("it is destructive" in decide(seen).why) == seen.destructive


def pause(seen: Case) -> float:
    decision = decide(seen)
    assert decision.next is not None
    return decision.next.at - NOW


def test_pauses_double_up_to_a_limit_and_differ_by_chance() -> None:
    policy = RestartPolicy(limit=99, same=99)
    earlier = tuple(before(number, cause=Cause.MUX, exit=Exit(NOW, number)) for number in range(9, 0, -1))
    assert [pause(case(again(), earlier=earlier[:count], policy=policy)) for count in (0, 1, 3, 9)] == [
        20,
        40,
        160,
        300,
    ]
    assert pause(case()) == 10
    assert pause(case(chance=1.0)) == 12.5


def test_a_limit_is_waited_for_however_soon_it_says_it_is_over() -> None:
    """Else an agent that says `try again in a second` would burn its quota all night."""
    limited = Outcome(Status.WAITING, "usage", "", NOW, head=HEAD, row=Row.LIMITED)
    soon = Limit("rate", NOW + 1)
    earlier = tuple(before(number, outcome=limited) for number in range(12))
    pauses = [pause(case(limit=soon, earlier=earlier[:count])) for count in (0, 1, 2, 12)]
    assert pauses == [10, 20, 40, 3600]
    assert pause(case(limit=Limit("usage", NOW + 7200), earlier=earlier)) == 7200


def test_what_counts_against_the_budget() -> None:
    def line(*causes: Cause, **changes: Any) -> Case:
        first, *rest = causes
        earlier = tuple(before(9 - index, cause=cause, **changes) for index, cause in enumerate(rest))
        return case(replace(FAILED, number=10, cause=first), earlier=earlier)

    mux, person, limit, outage = Cause.MUX, Cause.PERSON, Cause.LIMIT, Cause.OUTAGE
    assert restarts(line(mux, mux, person)) == 2
    assert restarts(line(person, mux, mux, mux)) == 0, "what a person ordered clears what was before"
    assert restarts(line(mux, person, mux, mux)) == 1
    assert restarts(line(outage, mux, limit, mux, person)) == 2, "an outage and a limit are nobody's fault"
    assert restarts(line(mux, mux, created=LONG_AGO)) == 1, "out of the window"
    long_run = replace(before(2, cause=mux), exit=Exit(NOW - 100, 1), started=NOW - 2000, created=NOW - 2001)
    seen = case(replace(FAILED, number=3, cause=mux), earlier=(long_run, before(1, cause=mux)))
    assert restarts(seen) == 3, "long, but without progress"
    moved = replace(long_run, outcome=Outcome(Status.CLAIMED, "exit", "", NOW, head="other"))
    assert restarts(replace(seen, earlier=(moved, before(1, cause=mux)))) == 1


def test_a_person_clears_what_was_the_same() -> None:
    ordered = case(replace(FAILED, number=2, cause=Cause.PERSON), earlier=(before(),))
    assert decide(ordered).row is Row.RESTART
    after = case(replace(FAILED, number=3, cause=Cause.MUX), earlier=(before(2, cause=Cause.PERSON), before()))
    assert decide(after).row is Row.SAME_FAILURE


@pytest.mark.parametrize(
    "change",
    [
        {"tree": replace(CLEAN, head="another")},
        {"tree": DIRTY, "files": "t", "resumes": True},
        {"attempt": replace(again(), exit=Exit(NOW, 2))},
        {"attempt": replace(again(), exit=Exit(NOW, None, 9))},
        {"attempt": replace(again(), cause=Cause.LIMIT)},
        {"attempt": CUT_OFF, "earlier": (before(exit=CUT_OFF.exit),), "outage": True},
        {"attempt": replace(CUT_OFF, cause=Cause.OUTAGE), "earlier": (before(exit=CUT_OFF.exit),)},
    ],
)
def test_another_end_or_progress_is_not_the_same_failure(change: dict[str, Any]) -> None:
    seen = case(**{"attempt": again(), "earlier": (before(),)} | change)
    assert decide(seen).row in (Row.RESTART, Row.RESUME)


def test_an_outage_counts_against_nobody() -> None:
    many = tuple(before(number, cause=Cause.MUX, exit=CUT_OFF.exit) for number in range(5, 0, -1))
    early = replace(EARLY, number=2, cause=Cause.MUX, exit=CUT_OFF.exit)
    assert decide(case(replace(CUT_OFF, number=6), earlier=many)).row is Row.SAME_FAILURE
    assert decide(case(replace(CUT_OFF, number=6), earlier=many, outage=True)).row is Row.RESTART
    assert decide(case(early, earlier=(before(),), outage=True)).row is Row.RESTART
    assert decide(case(destructive=True, outage=True)).row is Row.DESTRUCTIVE
    assert decide(case(policy=RestartPolicy("never"), outage=True)).row is Row.NEVER


@pytest.mark.parametrize("cause", [Cause.MUX, Cause.OUTAGE])
@pytest.mark.parametrize("outage", [True, False])
def test_a_command_that_fails_the_same_way_is_not_excused_by_an_outage(cause: Cause, outage: bool) -> None:
    """Three tasks with one broken command end together, each time."""
    seen = case(replace(again(), cause=cause), earlier=(before(),), outage=outage)
    assert decide(seen).row is Row.SAME_FAILURE


def test_outages_in_which_nothing_is_done_ask_in_the_end_and_others_go_on_more_slowly() -> None:
    cut_off = replace(CUT_OFF, number=9, cause=Cause.OUTAGE)
    vain = tuple(before(number, cause=Cause.OUTAGE, exit=CUT_OFF.exit) for number in range(8, 4, -1))
    assert decide(case(cut_off, earlier=vain[:1], outage=True)).row is Row.RESTART
    decision = decide(case(cut_off, earlier=vain, outage=True))
    assert decision.row is Row.BUDGET and "4 restarts after outages in a row, and nothing done" in decision.why
    moved = tuple(
        replace(each, outcome=Outcome(Status.CLAIMED, "exit", "", NOW, head=f"{number}"))
        for number, each in enumerate(vain)
    )
    assert pause(case(cut_off, earlier=moved, outage=True)) == 300
    ordered = replace(moved[0], cause=Cause.PERSON)
    assert pause(case(cut_off, earlier=(ordered, *moved[1:]), outage=True)) == 20


# --- every input lands on exactly one row

times = st.floats(NOW - 10_000, NOW)
texts = st.sampled_from(["", "a", "b"])
exits = st.none() | st.builds(
    Exit,
    times,
    code=st.none() | st.integers(0, 3),
    signal=st.none() | st.sampled_from([1, 9, 15]),
    phase=st.sampled_from(["setup", "run"]),
    hangup=st.booleans(),
)
trees = st.none() | st.builds(
    TreeFacts,
    head=st.sampled_from([HEAD, START]),
    branch=st.sampled_from([None, "mux/shop/a", "main"]),
    commits=st.integers(0, 2),
    modified=st.integers(0, 1),
    untracked=st.integers(0, 1),
)
reports = st.lists(st.builds(Report, st.sampled_from(["done", "blocked", "checkpoint"]), times, texts), max_size=2)
stops = st.none() | st.builds(Stop, st.sampled_from(["stopped", "restart", "timeout", "done"]), times)
attempts = st.builds(
    base,
    number=st.integers(1, 4),
    liveness=st.sampled_from(Liveness) | st.just(Liveness.ENDED),
    exit=exits,
    created=times,
    started=st.none() | times,
    stop=stops,
    rebooted=st.booleans(),
    reports=reports.map(tuple),
    cause=st.sampled_from(Cause),
    how=st.sampled_from(How),
)
outcomes = st.builds(
    Outcome,
    st.sampled_from([Status.CLAIMED, Status.FAILED, Status.BLOCKED, Status.WAITING]),
    st.just("exit"),
    st.just("why"),
    times,
    row=st.sampled_from(Row),
    head=st.sampled_from([None, HEAD, START]),
    tree=st.sampled_from([None, "t", "u"]),
)
concluded = st.builds(lambda attempt, end: replace(attempt, outcome=end, liveness=Liveness.ENDED), attempts, outcomes)
cases = st.builds(
    Case,
    attempt=attempts,
    policy=st.builds(RestartPolicy, st.sampled_from(["safe", "never"]), limit=st.integers(1, 3)),
    now=st.just(NOW),
    earlier=st.lists(concluded, max_size=3).map(tuple),
    tree=trees,
    files=st.none() | st.sampled_from(["t", "u"]),
    unseen=st.none() | st.just("git did not answer"),
    broken=st.lists(st.sampled_from([("clean", "dirt"), ("merged", "not yet")]), max_size=2, unique=True).map(tuple),
    unfinished=st.sampled_from([(), ("deploy",)]),
    limit=st.none() | st.builds(Limit, st.sampled_from(["usage", "rate", "login", "model"]), st.none() | times),
    resumes=st.booleans(),
    destructive=st.booleans(),
    outage=st.booleans(),
    ask_after_outage=st.booleans(),
    chance=st.floats(0, 1),
)


@given(cases)
def test_every_case_lands_on_exactly_one_row(seen: Case) -> None:
    holding = [row for row, when, _ in TABLE if when(seen)]
    decision = decide(seen)
    assert decision.row is holding[0]
    assert decide(seen) == decision, "the same case, the same decision"
    assert decision.why and "\n" not in decision.why
    assert (decision.status is None) == (decision.row is Row.LOOK_AGAIN)


@given(cases)
def test_nothing_that_could_discard_or_repeat_goes_on_by_itself(seen: Case) -> None:
    decision = decide(seen)
    if decision.next is None or decision.next.do == "ask" or decision.row is Row.LOOK_AGAIN:
        return
    assert not seen.unfinished
    assert seen.attempt.liveness is Liveness.ENDED and seen.unseen is None
    assert not was_stopped(seen.attempt) or (seen.attempt.stop and seen.attempt.stop.reason == "done")
    assert seen.attempt.stop is None or seen.attempt.stop.reason != "stopped"
    assert decision.next.at >= NOW + 10 or decision.row is Row.LIMITED
    assert not seen.destructive
    assert seen.policy.when == "safe" or decision.row is Row.LIMITED
    if decision.next.do == "restart":
        assert seen.tree is not None and seen.tree.clean
    else:
        assert seen.resumes


@given(cases)
def test_blocked_failed_and_waiting_say_what_is_needed(seen: Case) -> None:
    decision = decide(seen)
    if decision.status in (Status.BLOCKED, Status.FAILED, Status.WAITING):
        assert decision.why
    if decision.status is Status.CLAIMED:
        assert decision.next is not None and decision.next.do in ("restart", "resume")
