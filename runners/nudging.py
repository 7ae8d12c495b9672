"""Whether an agent that ended its turn without a word is told, once an attempt, how to end its task. Pure.

`nudge:` on the board says after how long. Until then, and until it had a moment to answer, its idle prompt is no call
for a person yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from board.clock import format_time
from board.model import Status, Task
from runners import conditions
from runners.asked import Asked
from runners.case import claim
from runners.health import Condition, Name
from runners.model import Attempt, Liveness
from runners.questions import OF_MUX

#: One that was nudged, and shows nothing else so many seconds later, did not answer.
ANSWERS = 15.0


def nudge_at(task: Task | None, attempt: Attempt, asked: Sequence[Asked], condition: Condition | None) -> float | None:
    """When the agent is to be nudged, if it stays as it is; None: not at all.

    `asked`: the requests about the attempt. Not one that a person decides about, nor that said what became of its task.
    """
    if task is None or not task.sound or task.settings.nudge is None or attempt.nudge is not None:
        return None
    if attempt.mode != "interactive" or attempt.agent == "shell" or attempt.retired:
        return None
    runs = attempt.liveness is Liveness.RUNNING and attempt.started is not None and attempt.outcome is None
    ends = attempt.stop is not None or task.status in (Status.STOPPED, Status.DONE)
    open_one = any(each.waits or (each.approved and each.request.action in OF_MUX) for each in asked)
    if not runs or ends or open_one or claim(attempt) is not None or condition is None or not is_idle(condition):
        return None
    return condition.since + task.settings.nudge


def is_idle(condition: Condition) -> bool:
    return (condition.name, condition.reason) == (Name.WAITING, "idle")


def is_withheld(task: Task | None, attempt: Attempt, asked: Sequence[Asked], condition: Condition | None) -> bool:
    """That it is idle is not told a person yet: it is nudged first, or has just been."""
    return nudge_at(task, attempt, asked, condition) is not None or _is_answering(attempt, condition)


def needed(task: Task | None, attempt: Attempt, asked: Sequence[Asked], condition: Condition | None) -> str:
    """What keeps it from working, and how to help, as `conditions.needed` says it; empty while it is nudged first."""
    if is_withheld(task, attempt, asked, condition):
        return ""
    text = conditions.needed(condition, attempt.task)
    idle = condition is not None and is_idle(condition)
    return f"{text}; {told(task, attempt)}" if idle and attempt.nudge is not None else text


def is_unanswered(attempt: Attempt, condition: Condition, now: float) -> bool:
    """It is idle as it was when it was nudged: from then on it is idle anew."""
    return _is_answering(attempt, condition) and attempt.nudge is not None and now >= attempt.nudge.at + ANSWERS


def _is_answering(attempt: Attempt, condition: Condition | None) -> bool:
    if condition is None or attempt.nudge is None or attempt.nudge.refused:
        return False
    return is_idle(condition) and condition.since <= attempt.nudge.at


def told(task: Task | None, attempt: Attempt, asked: Sequence[Asked] = (), condition: Condition | None = None) -> str:
    """What there is to say of its nudge, for people; empty: nothing."""
    nudge = attempt.nudge
    if nudge is not None:
        return f"nudged at {format_time(nudge.at)}" if not nudge.refused else f"not nudged: {nudge.refused}"
    at = nudge_at(task, attempt, asked, condition)
    return f"finished its turn; it is nudged at {format_time(at)}" if at is not None else ""
