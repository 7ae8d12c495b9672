"""What a worker's condition means for a person: what is needed and from whom, or what looks wrong. Pure.

Typed words only, nothing that the worker printed: they may go to the board, to the journal and to chat.
"""

from __future__ import annotations

from board.clock import format_time
from runners.health import Condition, Name

_LIMITS = {
    "rate": "is rate limited",
    "usage": "is out of quota",
    "login": "is not logged in",
    "model": "is refused its model",
}
_CONCERNS = {
    Name.UNREACHABLE: "its model cannot be reached",
    Name.STUCK: "looks stuck: it prints, but there is no new tree, commit or report",
    Name.SILENT: "is silent: no output and no computing",
    Name.LOOPING: "looks like a loop: the same failure again and again",
}


def needed(condition: Condition | None, task: str) -> str:
    """What keeps a worker from working, and how to help; empty when nothing that a person could give does."""
    if condition is None:
        return ""
    look = f"mux attach {task}"
    if condition.name is Name.LIMITED:
        limited = f"its agent {_LIMITS.get(condition.reason, 'is limited')}"
        if condition.has_ended and condition.until is not None:
            ended = f"its limit ended at {format_time(condition.until)}"
            return f"{limited}; {ended}: mux send {task} TEXT, or look: {look}"
        until = f" until {format_time(condition.until)}" if condition.until is not None else ""
        then = "it may go on by itself then" if until else f"look: {look}"
        return f"{limited}{until}; {then}"
    if condition.name is not Name.WAITING:
        return ""
    match condition.reason:
        case "idle":
            return f"idle at its prompt: finished its turn; mux send {task} or {look}, or mux done in it"
        case "question":
            return f"its last words ask something: {look}, or mux send {task} TEXT"
        case "trust":
            return f"asks whether it may trust its worktree: {look}, or mux send {task} --choice N"
        case "permission":
            return f"asks for a permission: {look}, or mux send {task} --choice 1"
    return f"wants one of its choices: {look}, or mux send {task} --choice N"


def concern(condition: Condition | None, task: str) -> str:
    """What looks wrong with a worker that is left alone all the same; empty when nothing does."""
    if condition is None or condition.name not in _CONCERNS:
        return ""
    return f"{_CONCERNS[condition.name]}; look: mux attach {task}"
