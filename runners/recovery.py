"""What follows when a worker ended: one table, first match wins, every case lands on exactly one row. Pure.

A failed command is never just tried again: each row says why it does what it does, and everything that could discard
work or repeat an effect asks a person. `docs/recovery.md` explains the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from board.clock import format_duration, format_time
from board.model import Status
from runners import gate
from runners.asked import AGAIN, FINISHED
from runners.case import (
    Case,
    claim,
    claims_done,
    home_is_fit,
    limited_in_a_row,
    never_got_going,
    outages,
    outages_in_vain,
    restarts,
    resume_failed,
    same_failures,
    was_stopped,
)
from runners.case_words import at_head, dirt, end_of, end_text, reason, times
from runners.model import Liveness, Next, Outcome, Row

#: What could not be looked at is looked at again after so many seconds.
LOOK_AGAIN = 1.0
#: The pause after a limit that names no later time doubles up to this many seconds: no restart burns quota.
LONGEST_LIMIT_PAUSE = 3600.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What mux concluded. `status` is None while there is nothing to conclude yet: look again at `next.at`."""

    row: Row
    status: Status | None
    reason: str
    why: str
    next: Next | None = None
    checkpoint: str | None = None


def decide(case: Case) -> Decision:
    """Total: the last row takes what no other one does."""
    return next(then(case) for _, when, then in TABLE if when(case))


def outcome(case: Case, decision: Decision) -> Outcome:
    """The decision as it is written down, with its evidence."""
    tree = case.tree
    evidence: dict[str, str | int] = {"exit": gate.describe_exit(case.attempt), "restarts": restarts(case)}
    if tree is not None:
        evidence |= {"head": tree.head[:7], "commits": tree.commits}
        evidence |= {"modified": tree.modified, "untracked": tree.untracked}
    if case.unfinished:
        evidence["unfinished"] = len(case.unfinished)
    if decision.row is Row.ONCE:
        evidence["then"] = _once_finished(case)
    if case.outage:
        evidence["outage"] = 1
    return Outcome(
        status=decision.status,
        reason=decision.reason,
        why=decision.why,
        at=case.now,
        checkpoint=decision.checkpoint,
        row=decision.row,
        next=decision.next,
        evidence=evidence,
        head=tree.head if tree else None,
        tree=case.files,
    )


def _unknown(case: Case) -> bool:
    return case.unseen is not None or case.attempt.liveness is not Liveness.ENDED


def _look_again(case: Case) -> Decision:
    why = case.unseen or "a process of its last attempt still lives"
    return Decision(Row.LOOK_AGAIN, None, "unknown", why, Next("restart", case.now + LOOK_AGAIN))


def _was_stopped(case: Case) -> bool:
    return was_stopped(case.attempt) and case.attempt.stop is not None and case.attempt.stop.reason != "done"


def _stopped(case: Case) -> Decision:
    """By a person's word, or by the time limit that a person wrote."""
    stop = case.attempt.stop
    assert stop is not None
    if stop.reason == "timeout":
        why = f"timeout: ended after {format_duration(case.attempt.timeout or 0)}"
        return Decision(Row.STOPPED, Status.FAILED, "timeout", why + dirt(case))
    if stop.reason == "restart":
        return Decision(Row.STOPPED, Status.STOPPED, "restart", "ended for the restart that a person ordered")
    return Decision(Row.STOPPED, Status.STOPPED, "stopped", "stopped by a person" + dirt(case))


def _once_unfinished(case: Case) -> bool:
    return bool(case.unfinished)


def _ask_once(case: Case) -> Decision:
    """Where they differ, its worker starts again, and `mux once` asks about each."""
    count = len(case.unfinished)
    steps = f"{count} `once` steps" if count > 1 else "a `once` step"
    destructive = "; it is destructive" if case.destructive else ""
    why = f"{end_text(case)}; {steps} began and did not finish: it may have taken effect{destructive}"
    return _asks(case, Row.ONCE, "once", why, (AGAIN, FINISHED, *(_ways(case)[:1] if count > 1 else ())))


def _once_finished(case: Case) -> str:
    """What follows if its steps took effect, in words: what follows from the rows below."""
    decision = decide(replace(case, unfinished=()))
    if decision.next is None:
        return f"then it is {decision.status}"
    return "then you are asked how it goes on" if decision.next.do == "ask" else "then its worker starts again"


def _reported_blocked(case: Case) -> bool:
    said = claim(case.attempt)
    return said is not None and said.kind == "blocked"


def _blocked(case: Case) -> Decision:
    said = claim(case.attempt)
    assert said is not None
    why = f'blocked, its worker says: "{said.text}"{dirt(case)}'
    return Decision(Row.REPORTED_BLOCKED, Status.BLOCKED, "blocked", why)


def _judged(case: Case) -> Decision:
    how = "said done" if claim(case.attempt) is not None else gate.describe_exit(case.attempt)
    verdict = gate.verdict(case.broken)
    missing = "; ".join(text for _, text in case.broken)
    if verdict is Status.BLOCKED or case.tree is None:
        return Decision(Row.GATE, Status.BLOCKED, "gate", f"claimed done, but {missing or 'its worktree is gone'}")
    commits = f"{case.tree.commits} commit{'s' if case.tree.commits != 1 else ''}"
    why = f"{how}; {commits}, tree {'clean' if case.tree.clean else 'not clean'}"
    if verdict is Status.REVIEW:
        why += f"; {missing}"
    return Decision(Row.GATE, verdict, str(verdict), why, checkpoint=case.tree.head)


def _is_limited(case: Case) -> bool:
    return case.limit is not None


def _limited(case: Case) -> Decision:
    limit = case.limit
    assert limit is not None
    text = f"{limit.reason} limit" if limit.reason in ("usage", "rate") else f"{limit.reason} refused"
    if limit.until is None:
        why = f"{text}: it cannot work; mend that, then: mux start {case.attempt.task}{dirt(case)}"
        return Decision(Row.LIMITED, Status.WAITING, limit.reason, why)
    pause = min(case.policy.backoff * 2 ** limited_in_a_row(case), LONGEST_LIMIT_PAUSE)
    at = max(limit.until, case.now + pause)
    if case.destructive or (not case.resumes and (case.tree is None or not case.tree.clean)):
        cannot = "is destructive" if case.destructive else "cannot resume"
        why = f"{text} until {format_time(at)}; then you are asked, as it {cannot}{dirt(case)}"
        return Decision(Row.LIMITED, Status.WAITING, limit.reason, why, Next("ask", at, _ways(case)))
    does = "resumes" if case.resumes else "restarts"
    why = f"{text} until {format_time(at)}; then it {does}"
    follows = Next("resume" if case.resumes else "restart", at, after=f"{text} until {format_time(limit.until)}")
    return Decision(Row.LIMITED, Status.WAITING, limit.reason, why, follows)


def _does_not_start(case: Case) -> bool:
    if case.attempt.exit is not None and case.attempt.exit.phase == "setup" and not case.attempt.exit.hangup:
        return True
    return not case.outage and never_got_going(case)


def _failed_to_start(case: Case) -> Decision:
    look = f"read it with: mux logs {case.attempt.task}"
    if case.attempt.exit is not None and case.attempt.exit.phase == "setup":
        why = f"setup: {gate.describe_exit(case.attempt)}; {look}{dirt(case)}"
        return Decision(Row.DOES_NOT_START, Status.FAILED, "setup", why)
    within, ends = format_duration(case.policy.early), (end_of(case.earlier[0]), end_text(case))
    how = f"{ends[1]}, twice" if ends[0] == ends[1] else f"{ends[0]}, then {ends[1]}, each"
    why = f"does not start: {how} within {within}; {look}"
    return Decision(Row.DOES_NOT_START, Status.FAILED, "start", why)


def _never_restarts(case: Case) -> bool:
    return case.policy.when == "never"


def _failed(case: Case) -> Decision:
    return Decision(Row.NEVER, Status.FAILED, reason(case), end_text(case) + dirt(case))


def _is_destructive(case: Case) -> bool:
    return case.destructive


def _ask_destructive(case: Case) -> Decision:
    return _asks(
        case, Row.DESTRUCTIVE, "destructive", f"{end_text(case)}; it is destructive: it does not run twice by itself"
    )


def _fails_the_same(case: Case) -> bool:
    return same_failures(case) >= max(2, case.policy.same)


def _ask_same(case: Case) -> Decision:
    why = f"same failure {times(same_failures(case))}, no progress: {end_text(case)}"
    return _asks(case, Row.SAME_FAILURE, "same", why)


def _budget_spent(case: Case) -> bool:
    """An outage counts against nobody's budget, but outages that never let anything be done do not go on all night."""
    if case.outage:
        return outages_in_vain(case) >= case.policy.limit
    return restarts(case) >= case.policy.limit or _long_budget_spent(case)


def _long_budget_spent(case: Case) -> bool:
    return restarts(case, case.policy.long_window) >= case.policy.long_limit


def _ask_budget(case: Case) -> Decision:
    if case.outage:
        why = f"{end_text(case)}; {outages_in_vain(case)} restarts after outages in a row, and nothing done"
        return _asks(case, Row.BUDGET, "budget", why)
    long = restarts(case) < case.policy.limit
    window = case.policy.long_window if long else case.policy.window
    count = restarts(case, window)
    spent = f"{count} restart{'s' if count != 1 else ''} in {format_duration(window)}"
    return _asks(case, Row.BUDGET, "budget", f"{end_text(case)}; {spent}, the limit")


def _can_resume(case: Case) -> bool:
    return case.resumes and case.tree is not None and not resume_failed(case) and not _must_ask(case)


def _resume(case: Case) -> Decision:
    return _goes_on(case, Row.RESUME, "resumes")


def _is_dirty(case: Case) -> bool:
    return case.tree is not None and not case.tree.clean


def _ask_dirty(case: Case) -> Decision:
    return _asks(case, Row.DIRTY, "dirty", f"{end_text(case)}; it cannot resume, and has work that is not committed")


def _is_clean(case: Case) -> bool:
    return case.tree is not None and case.tree.clean and home_is_fit(case) and not _must_ask(case)


def _restart(case: Case) -> Decision:
    return _goes_on(case, Row.RESTART, "restarts")


def _anything(case: Case) -> bool:
    return True


def _ask_else(case: Case) -> Decision:
    if case.tree is None:
        what = "its worktree is gone"
    elif case.outage and case.ask_after_outage:
        what = "many workers ended at once"
    else:
        what = f"its home is on {case.tree.branch or 'no branch'}, not on {case.attempt.home.branch}"
    return _asks(case, Row.ELSE, "else", f"{end_text(case)}; {what}")


def _must_ask(case: Case) -> bool:
    return case.outage and case.ask_after_outage


When = Callable[[Case], bool]
Then = Callable[[Case], Decision]

#: In this order; the first row whose condition holds decides.
TABLE: tuple[tuple[Row, When, Then], ...] = (
    (Row.LOOK_AGAIN, _unknown, _look_again),
    (Row.STOPPED, _was_stopped, _stopped),
    (Row.ONCE, _once_unfinished, _ask_once),
    (Row.REPORTED_BLOCKED, _reported_blocked, _blocked),
    (Row.GATE, lambda case: claims_done(case.attempt), _judged),
    (Row.LIMITED, _is_limited, _limited),
    (Row.DOES_NOT_START, _does_not_start, _failed_to_start),
    (Row.NEVER, _never_restarts, _failed),
    (Row.DESTRUCTIVE, _is_destructive, _ask_destructive),
    (Row.SAME_FAILURE, _fails_the_same, _ask_same),
    (Row.BUDGET, _budget_spent, _ask_budget),
    (Row.RESUME, _can_resume, _resume),
    (Row.DIRTY, _is_dirty, _ask_dirty),
    (Row.RESTART, _is_clean, _restart),
    (Row.ELSE, _anything, _ask_else),
)


def _goes_on(case: Case, row: Row, does: str) -> Decision:
    done = restarts(case)
    many = done + outages(case) if case.outage else done
    pause = min(case.policy.backoff * 2**many, case.policy.longest_backoff) * (1 + case.chance / 4)
    at = case.now + pause
    count = "after an outage" if case.outage else _of_budget(case, done + 1)
    after = f"{end_text(case)}{at_head(case)}"
    why = f"{after}; {does} at {format_time(at)} ({count})"
    follows = Next("resume" if row is Row.RESUME else "restart", at, after=after)
    return Decision(row, Status.CLAIMED, reason(case), why, follows)


def _of_budget(case: Case, number: int) -> str:
    return f"restart {number} of {case.policy.limit} in {format_duration(case.policy.window)}"


def _asks(case: Case, row: Row, code: str, why: str, choices: tuple[str, ...] = ()) -> Decision:
    return Decision(row, Status.BLOCKED, code, why + dirt(case), Next("ask", case.now, choices or _ways(case)))


def _ways(case: Case) -> tuple[str, ...]:
    """The ways to go on, the mildest first."""
    first = ("resume", "in-place") if case.resumes and case.tree is not None else ("in-place",)
    return (*first, "checkpoint") if case.tree is not None else first
