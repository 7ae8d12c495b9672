"""Whether a task that is ordered to run again resumes its agent's conversation, or starts from its prompt. Pure."""

from __future__ import annotations

from board.model import Status, Task
from runners.case import ended_early, was_stopped
from runners.model import Attempt, How, Row
from runners.profiles import Profile


def is_new(task: Task, before: Attempt) -> bool:
    """The section of the attempt was taken off the board, and this one is another task with its id."""
    return before.retired and task.attempt != before.number


def resumes(task: Task, before: Attempt | None, profile: Profile | None, now: float) -> bool:
    """An agent that was not done is taken up where it was, as long as there is a conversation to go on with.

    `before`: the task's newest attempt; `profile`: of the agent that it was started with. One that ended by itself as
    soon as it began has no conversation to go on with, or could not go on with it.
    """
    if before is None or before.outcome is None or is_new(task, before) or profile is None:
        return False
    mode = profile.headless if before.mode == "headless" else profile.interactive
    same = (task.settings.agent, task.settings.mode) == (before.agent, before.mode)
    if not same or not (mode and mode.resume):
        return False
    over = before.outcome.status in (Status.DONE, Status.REVIEW, None)
    ran = before.started is not None and before.outcome.row != Row.DOES_NOT_START
    early = ended_early(before, task.settings.restart, now) and not was_stopped(before)
    # One that was taken up and came upon a limit at once has done nothing to the conversation that it had.
    limited = before.how is How.RESUME and before.outcome.row == Row.LIMITED
    failed = early and not limited
    return ran and not over and not failed
