"""The case that a recovery decision is about: what is known of an ended attempt and of those before it. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from board.model import RestartPolicy
from runners.limits import Limit
from runners.model import Attempt, Cause, How, Liveness, Report, Row, TreeFacts

#: HEAD, and the name of the uncommitted files (None: there are none). The same again means: no progress.
State = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Case:
    """All that a decision depends on.

    `earlier`: the attempts before it, newest first, each with its outcome. `tree`: what git says of the home; None: it
    is gone. `files`: names the home's uncommitted files, None when there are none. `unseen`: what could not be looked
    at. `broken`: the rules of the done gate that do not hold. `unfinished`: `once` steps that did not finish, and about
    which nobody has decided. `resumes`: the agent can go on with its conversation. `outage`: it ended as one of many.
    `chance`: from 0 to 1.
    """

    attempt: Attempt
    policy: RestartPolicy
    now: float
    earlier: tuple[Attempt, ...] = ()
    tree: TreeFacts | None = None
    files: str | None = None
    unseen: str | None = None
    broken: tuple[tuple[str, str], ...] = ()
    unfinished: tuple[str, ...] = ()
    limit: Limit | None = None
    resumes: bool = False
    destructive: bool = False
    outage: bool = False
    ask_after_outage: bool = False
    chance: float = 0.0


def claim(attempt: Attempt) -> Report | None:
    """The newest `done` or `blocked` that its worker said."""
    for report in reversed(attempt.reports):
        if report.kind != "checkpoint":
            return report
    return None


def claims_done(attempt: Attempt) -> bool:
    """It said so, or exited with 0."""
    said = claim(attempt)
    if said is not None:
        return said.kind == "done"
    ended = attempt.exit
    return ended is not None and ended.code == 0 and ended.phase == "run" and not ended.hangup


def was_stopped(attempt: Attempt) -> bool:
    """Its end is the work of a stop. One that ended before a signal reached it has ended by itself.

    With exit 0 and no signal on record (a kill came between the two, or the command was gone) that it was through
    counts: work that is done must not be taken for work that was cut off, and done again. What a person wanted stopped
    and failed by itself stays stopped.
    """
    stop, ended = attempt.stop, attempt.exit
    if stop is None:
        return False
    if ended is None:
        return True
    before = ended.at < stop.at
    through = ended.code == 0 and ended.phase == "run" and not ended.hangup
    if through and (before or stop.reached is None):
        return False
    return not before or stop.reason == "stopped"


def ended_badly(attempt: Attempt) -> bool:
    """By a signal, with an exit code but 0, or nobody knows how; and it said nothing on purpose, nor was it stopped."""
    if attempt.liveness is not Liveness.ENDED or was_stopped(attempt) or claim(attempt) is not None:
        return False
    ended = attempt.exit
    return ended is None or ended.hangup or ended.code != 0


def restarts(case: Case, window: float | None = None) -> int:
    """The restarts by mux that count: since a person's order or the last long attempt with progress.

    In the last `window` seconds; None: in the window of its policy. An attempt after an outage or a limit does not
    count.
    """
    since = case.now - (case.policy.window if window is None else window)
    return sum(each.cause is Cause.MUX and each.created > since for each in _since_cleared(case))


def _since_cleared(case: Case) -> Iterator[Attempt]:
    """The attempts that count for the budget, newest first."""
    line = (case.attempt, *case.earlier)
    states = (state(case), *(_left(each) for each in case.earlier))
    for index, attempt in enumerate(line):
        found = states[index + 1] if index + 1 < len(line) else (attempt.home.start_commit, None)
        ran = ended_at(attempt, case.now) - (attempt.started or attempt.created)
        if ran >= case.policy.reset and states[index] != found:
            return
        yield attempt
        if attempt.cause is Cause.PERSON:
            return


def _left(attempt: Attempt) -> State:
    """HEAD and files as an earlier attempt left them."""
    return (attempt.outcome.head, attempt.outcome.tree) if attempt.outcome else (None, None)


def state(case: Case) -> State:
    return (case.tree.head if case.tree else None, case.files)


def _state_before(case: Case) -> State:
    """HEAD and files as the attempt found them, as far as mux knows."""
    return _found(case.attempt, case.earlier)


def _found(attempt: Attempt, earlier: Sequence[Attempt]) -> State:
    before = _left(earlier[0]) if earlier else (None, None)
    return before if before[0] is not None else (attempt.home.start_commit, None)


def ended_at(attempt: Attempt, now: float) -> float:
    """When it ended; of one whose wrapper was killed, when that was seen."""
    if attempt.exit is not None:
        return attempt.exit.at
    return attempt.outcome.at if attempt.outcome is not None else now


def ended_early(attempt: Attempt, policy: RestartPolicy, now: float) -> bool:
    """It ended so soon after its start that it hardly got going."""
    return ended_at(attempt, now) - (attempt.started or attempt.created) <= policy.early


def never_got_going(case: Case) -> bool:
    """Twice in a row it ended soon, each time without a commit or a change."""
    if not ended_early(case.attempt, case.policy, case.now) or state(case) != _state_before(case):
        return False
    if case.attempt.cause is not Cause.MUX or not case.earlier:
        return False  # the first since a person's order, a limit or an outage
    before, *others = case.earlier
    did_nothing = _left(before) == _found(before, others)
    return did_nothing and ended_early(before, case.policy, case.now)


def same_failures(case: Case) -> int:
    """How often in a row it ended the same way: exit, HEAD and files. 1: this is the first.

    An outage excuses whoever was cut off in it, not a command that ended by itself: that may as well be what is wrong.
    """
    count = 1
    later = case.attempt
    if case.outage and _was_cut_off(later):
        return count
    for before in case.earlier:
        if later.cause in (Cause.PERSON, Cause.LIMIT) or _fingerprint(before) != _fingerprint(case.attempt):
            break  # what a person ordered or a limit came between
        if later.cause is Cause.OUTAGE and _was_cut_off(before):
            break
        if _left(before) != state(case):
            break
        count += 1
        later = before
    return count


def _was_cut_off(attempt: Attempt) -> bool:
    """It did not end by itself: the machine, the tmux server, its window or its wrapper went."""
    return attempt.exit is None or attempt.exit.hangup


def outages(case: Case) -> int:
    """The restarts after an outage in the window, since a person's order."""
    since = case.now - case.policy.window
    line = itertools.takewhile(lambda each: each.cause is not Cause.PERSON, (case.attempt, *case.earlier))
    return sum(each.cause is Cause.OUTAGE and each.created > since for each in line)


def outages_in_vain(case: Case) -> int:
    """How many attempts in a row, this one the last, followed an outage and left their home as they found it."""
    line = (case.attempt, *case.earlier)
    left = (state(case), *(_left(each) for each in case.earlier), (line[-1].home.start_commit, None))
    pairs = zip(line, itertools.pairwise(left), strict=True)
    vain = (each.cause is Cause.OUTAGE and after == before for each, (after, before) in pairs)
    return sum(1 for _ in itertools.takewhile(bool, vain))


def _fingerprint(attempt: Attempt) -> tuple[object, ...]:
    ended = attempt.exit
    return ("unknown",) if ended is None else (ended.code, ended.signal, ended.phase, ended.hangup)


def limited_in_a_row(case: Case) -> int:
    count = 0
    for before in case.earlier:
        if before.outcome is None or before.outcome.row != Row.LIMITED:
            break
        count += 1
    return count


def resume_failed(case: Case) -> bool:
    """It was a resume, and that itself failed: it ended soon and did nothing."""
    early = ended_early(case.attempt, case.policy, case.now)
    return case.attempt.how is How.RESUME and early and state(case) == _state_before(case) and not case.outage


def home_is_fit(case: Case) -> bool:
    """The home is there, and on its branch."""
    return case.tree is not None and case.tree.branch == case.attempt.home.branch
