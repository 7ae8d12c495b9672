"""What stands of tasks and requests in a chat, on one line each. Pure: from the dictionaries of `mux status --json`.

Only typed values: ids, titles, statuses, reasons, counts, durations. What somebody wrote passes `redact`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from board.clock import format_duration, parse_time
from board.redact_text import truncate
from bot.mrkdwn import Redact, plain, shown
from runners.choices import ACTIONS
from runners.choices import shown as typed_values

State = Mapping[str, Any]
Entry = Mapping[str, Any]

TITLE = 80
WHY = 300
WORKERS_WORDS = 300
_VALUE = 60
_COMMIT = 7  # characters of a commit's id

#: What a worker asks in words of its own; of these mux's reason says no more than that it asks.
ITS_OWN_WORDS = frozenset({"ask", "gate"})
NEEDS_YOU = frozenset({"orphan", "failed", "blocked", "waiting", "review"})
WORKING = frozenset({"running", "claimed"})
ORPHAN = "its section is gone from the board, its worker goes on"

#: What drifted, by the rule that does not hold; what git or a shell said of it stays on the machine.
_DRIFT = {
    "committed": "its commits are not on its branch",
    "clean": "there is uncommitted work",
    "pushed": "not everything is pushed",
    "merged": "it is not merged",
    "check": "its check did not run on what is there",
    "branch": "its home is on another branch",
    "home": "its home could not be looked at",
    "delivered": "its commit is neither in its base nor on a remote",
}


def entries(state: State) -> list[Entry]:
    """The tasks, and workers whose section is gone as if they were tasks."""
    empty = {"status": "orphan", "why": ORPHAN, "title": "", "agent": "", "exit": None, "condition": "working"}
    return [*({**empty, **entry} for entry in state["orphans"]), *state["tasks"]]


def broken(state: State) -> frozenset[str]:
    """The tasks that an error on the board keeps from starting."""
    return frozenset(each["task"] for each in state["problems"] if each["task"] and each["severity"] == "error")


def needs_you(entry: Entry, stopped_by_problems: frozenset[str] = frozenset()) -> bool:
    held_up = entry["id"] in stopped_by_problems and entry["status"] not in (*WORKING, "done")
    return entry["status"] in NEEDS_YOU or held_up


def since(entry: Entry) -> float | None:
    """When its status began."""
    return parse_time(entry["since"] or "")


def age(entry: Entry, now: float) -> str:
    began = since(entry)
    return format_duration(now - began) if began is not None else ""


def task_line(entry: Entry, now: float, redact: Redact, problem: bool = False) -> str:
    """`fix-login · failed 1h 2m · try 2 · exit 3`: the reason where there is one, else the title."""
    status = f"{entry['status']} {age(entry, now)}".rstrip()
    attempt = [f"try {entry['attempt']}"] if entry["attempt"] > 1 else []
    why = "its section has an error: mux check" if problem else shown(entry["why"] or "", WHY, redact)
    return " · ".join([entry["id"], status, *attempt, why or shown(entry["title"], TITLE, redact)]).rstrip(" ·")


def drift_lines(tasks: Iterable[Entry]) -> list[str]:
    return [f"{entry['id']} says {entry['status']}, but {drift_words(entry)}" for entry in tasks if entry.get("drift")]


def drift_words(entry: Entry) -> str:
    rules = dict.fromkeys(each["rule"] for each in entry["drift"])
    return ", and ".join(_DRIFT.get(rule, f"{rule} does not hold") for rule in rules)


def whose(request: Entry) -> str:
    """Whom a request is about."""
    if request["task"]:
        return str(request["task"])
    tasks = request["tasks"]
    return f"{len(tasks)} tasks" if len(tasks) > 1 else "".join(tasks) or "the board"


def request_line(request: Entry, now: float) -> str:
    return " · ".join([whose(request), ACTIONS.get(request["action"], request["action"]), age(request, now)])


def evidence_words(evidence: Mapping[str, Any], why: str = "") -> str:
    """`3 commits not pushed · 1 file untracked · checkpoint 3f2c1ab`: what is beside what `why` says, on one line.

    Nothing of which there is none.
    """
    typed = {name: value for name, value in evidence.items() if name not in _PHRASES and name != "head"}
    phrases = [f"{name}: {truncate(plain(value), _VALUE)}" for name, value in typed_values(typed) if value not in why]
    for name, phrase in _PHRASES.items():
        if value := evidence.get(name):
            phrases.append(phrase(value))
    return " · ".join(phrase for phrase in phrases if phrase not in why)  # the empty one is in each


def counted(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


#: How facts of a request are said, in the order in which a person wants them; those that there are none of are not.
_PHRASES: Mapping[str, Callable[[Any], str]] = {
    "tasks": lambda _: "",  # the heading says it
    "dirty": lambda number: f"{number} with uncommitted work",
    "destructive": lambda number: f"{number} destructive",
    "commits": lambda number: f"{counted(number, 'commit')} on its branch",
    "unpushed": lambda number: f"{counted(number, 'commit')} not pushed",
    "modified": lambda number: f"{counted(number, 'file')} changed and not committed",
    "untracked": lambda number: f"{counted(number, 'file')} untracked",
    "checkpoint": lambda commit: f"checkpoint {plain(str(commit))[:_COMMIT]}",
    "beyond_checkpoint": lambda number: f"{counted(number, 'commit')} after it",
    "snapshot": lambda number: f"snapshot {number} keeps what is not committed",
    "left_out": lambda number: f"but for {counted(number, 'path')}",
    "same_failure": lambda number: f"the same failure {counted(number, 'time')}",
}
