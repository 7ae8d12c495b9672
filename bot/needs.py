"""What `mux status` says of open requests and of drift: what it is, since when, and what to type. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from board.clock import format_duration, parse_time
from bot.table import Cell


class Command(Cell):
    """A line to be typed or pasted: it stays one line however narrow the terminal is."""


def of_task(state: Mapping[str, Any], task: str) -> list[dict[str, Any]]:
    """The requests that are about a task, alone or among others."""
    return [each for each in state.get("requests", ()) if task == each["task"] or task in each["tasks"]]


def beside(state: Mapping[str, Any], counted: Set[str]) -> int:
    """How much needs a person beside the tasks that are `counted` already."""
    waiting = [each for each in state.get("requests", ()) if each["decided"] is None]
    others = [each for each in waiting if not counted & {each["task"], *each["tasks"]}]
    held = any(each["action"] == "held" for each in waiting)
    return len(others) + (1 if state["trouble"] and not held else 0)


def requests(state: Mapping[str, Any], now: float, evidence: bool = False) -> Iterator[Cell]:
    """The open requests, of the board or of one task, oldest first."""
    for each in state.get("requests", ()):
        whose = ", ".join([each["task"]] if each["task"] else each["tasks"]) or "the board"
        since = _ago(each["since"], now)
        if each["decided"] is not None:
            decided = f"{each['decided']['choice']}, by {each['decided']['by']}"
            yield Cell(f"decided, not carried out yet: {whose} ({each['action']}): {decided}")
            continue
        yield Cell(f"needs you for {since}: {whose} ({each['action']}): {each['why']}", "33")
        if each["says"]:
            yield Cell(f'  its worker says: "{each["says"]}"')
        if evidence and each["evidence"]:
            yield Cell("  " + ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in each["evidence"].items()))
        yield from (Command(f"  {command}") for command in how_to_decide(each))
        expires = parse_time(each["expires"] or "")
        if expires is not None:
            yield Cell(f"  nothing is done without an answer within {format_duration(expires - now)}")


def how_to_decide(request: Mapping[str, Any]) -> list[str]:
    """One command for each answer that it takes."""
    name, choices = request["id"], request["choices"]
    if request["free"]:
        return [*(f"mux answer {name} {choice}" for choice in choices), f'mux answer {name} "…"']
    deny = [f"mux deny {name}"] if request["deniable"] else []
    if len(choices) == 1:
        return [f"mux approve {name}", *deny]
    return [*(f"mux approve {name} --choice {choice}" for choice in choices), *deny]


def drift(state: Mapping[str, Any], now: float) -> Iterator[Cell]:
    """What drifted on the board, with the age of that knowledge."""
    drifted = [entry for entry in state["tasks"] if entry.get("drift")]
    for entry in drifted:
        yield from drift_of({**entry, "drift_at": state.get("drift_at")}, now)


def drift_of(entry: Mapping[str, Any], now: float) -> Iterator[Cell]:
    """What of one task drifted, each with the command that mends it."""
    for each in entry.get("drift", ()):
        says = f"{entry['id']} says {entry['status']}, but: {each['text']}"
        seen = f" (looked at {_ago(entry['drift_at'], now)} ago)" if entry.get("drift_at") else ""
        yield Cell(f"drift: {says}{seen}", "33" if each["known"] else "")
        yield Command(f"  {each['fix']}")


def _ago(time: str | None, now: float) -> str:
    return format_duration(now - (parse_time(time or "") or now))
