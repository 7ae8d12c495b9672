"""`mux status`: what runs, what needs you, what waits.

With a control plane running this reads `.mux/state.json` and nothing else, and imports nothing heavy: people and
scripts call it all the time. Without one, `bot.offline` computes the same.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from board.clock import format_duration, format_time, parse_time
from board.errors import MuxError
from bot import needs, terminal
from bot.place import Place, find, short, unknown_task
from bot.table import Cell, Column, clean, paint, render, unpainted, wrap
from runners import daemon

#: The loop writes its state at least every 30 s; one that is older than this may hang.
STALE = 90.0
#: More done tasks than this are only counted, and more problems than that.
DONE_SHOWN = 5
PROBLEMS_SHOWN = 10
JOURNAL_SHOWN = 5
NO_TASK = 'no task yet: write one in the file, or: mux add "What is to be done"'

COLUMNS = (
    Column("TASK", least=12),
    Column("STATUS", least=7),
    Column("FOR", least=6, drop=3),
    Column("AGENT", least=6, drop=1),
    Column("TRY", least=3, drop=2),
    Column("WHY, OR TITLE", least=16),
)
#: Who needs a person first, then what works, then what waits.
_ORDER = ("orphan", "failed", "blocked", "waiting", "review", "running", "claimed", "ready", "draft", "stopped", "done")
_COLOURS = {
    **dict.fromkeys(("failed", "blocked", "orphan"), "31"),
    **dict.fromkeys(("waiting", "review"), "33"),
    **dict.fromkeys(("running", "claimed"), "32"),
    "ready": "36",
    **dict.fromkeys(("draft", "stopped", "done"), "2"),
}
_NEEDS_YOU = frozenset({"orphan", "failed", "blocked", "waiting", "review"})


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    now = time.time()
    state = look(place, now)
    if arguments.task is None:
        reply: Mapping[str, Any] = state
        lines = whole(state, now, terminal.width(), arguments.all)
    else:
        reply = one_task(state, arguments.task)
        lines = detail(reply, place, now)
    if arguments.json:
        print(json.dumps(reply, ensure_ascii=False, indent=1))
    else:
        colour = terminal.colourful()
        print("\n".join(line if colour else unpainted(line) for line in lines))
    return 0


def look(place: Place, now: float) -> dict[str, Any]:
    """What `--json` prints; `docs/status-json.md` says what it means. Raises MuxError without a readable board."""
    plane = daemon.running(place.folder)
    state = _from_loop(place) if plane else None
    if plane is None or state is None or state["at"] < plane.since:
        from bot import offline

        starts = "starts with the next: mux up" if plane is None else "starts in a moment"
        state = offline.state(place, now, starts)
    since = format_time(plane.since) if plane else None
    return state | {
        "chat": _chat(place, plane.pid) if plane else None,
        "control_plane": {"running": plane is not None, "pid": plane.pid if plane else None, "since": since},
        "at": format_time(state["at"]),
    }


def one_task(state: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    """The entry of one task, with its own problems. Raises MuxError, with the nearest task, when there is none."""
    for entry in entries(state):
        if entry["id"] == task:
            problems = [each for each in state["problems"] if each["task"] == task]
            return entry | {
                "problems": problems,
                "requests": needs.of_task(state, task),
                "drift_at": state.get("drift_at"),
            }
    raise unknown_task(task, [entry["id"] for entry in entries(state)])


def whole(
    state: Mapping[str, Any], now: float, width: int | None = None, all_tasks: bool = False, fitted: bool = False
) -> list[str]:
    """The lines of `mux status`, with colours in them; nothing of the board's text can act on the terminal. Pure.

    They have at most `width` columns, but for commands: one that is broken cannot be pasted. `fitted` breaks them, too.
    """
    found = in_order(state)
    done = [entry for entry in found if entry["status"] == "done"]
    folded = not all_tasks and len(done) > DONE_SHOWN
    rows = [row(entry, state, now) for entry in found if not (folded and entry["status"] == "done")]
    above = [*head(state, now), *needs.requests(state, now), *_problems(state)]
    lines = list(_painted(above, width, fitted))
    if rows:
        lines += ["", *render(COLUMNS, rows, width, colour=True)]
    tail = list(needs.drift(state, now))
    if folded:
        tail.append(Cell(f"and {len(done)} done (list them: mux status --all; put them away: mux archive)"))
    if not found:
        tail.append(Cell(NO_TASK))
    return [*lines, *([""] if tail else []), *_painted(tail, width, fitted)]


def detail(entry: Mapping[str, Any], place: Place, now: float) -> list[str]:
    """The lines of `mux status TASK`."""
    asked = needing_you(entry, now)
    return [*facts_of(entry, place, now), *([""] if asked else []), *asked, *_journal(place, entry["id"])]


def facts_of(entry: Mapping[str, Any], place: Place, now: float) -> list[str]:
    """Its title, then what is known of it; the title and the status are painted."""
    name = short(place.path)
    facts = [
        ("status", paint(entry["status"], _COLOURS.get(entry["status"], "")) + _for(entry, now)),
        ("condition", _condition(entry, now)),
        ("why", entry["why"]),
        ("nudged", entry.get("nudged")),
        ("agent", entry.get("agent")),
        ("attempt", entry["attempt"] or None),
        ("branch", entry["branch"]),
        ("worktree", entry["worktree"]),
        ("checkpoint", entry.get("checkpoint")),
        ("ports", "-".join(map(str, entry.get("ports") or ()))),
        ("exit", _exit(entry.get("exit"))),
        ("output", f"mux logs {entry['id']}" if entry["attempt"] else None),
        ("check log", _check_log(place, entry)),
        *(("problem", f"{name}:{each['line']}: {each['text']}") for each in entry["problems"]),
    ]
    title = paint(entry["id"], "1") + (f": {clean(entry['title'])}" if entry.get("title") else "")
    lines = [f"  {label:11}{text if label == 'status' else clean(str(text))}" for label, text in facts if text]
    return [title, *lines]


def needing_you(entry: Mapping[str, Any], now: float) -> list[str]:
    """What is asked about a task, and what drifted of it, each with what to type."""
    cells = [*needs.requests(entry, now, evidence=True), *needs.drift_of(entry, now)]
    return [clean(unpainted(cell.text)) for cell in cells]


def _from_loop(place: Place) -> dict[str, Any] | None:
    """None before the loop's first pass. Not `storage.read_json`: what that imports would cost 3 ms."""
    try:
        found = json.loads((place.folder / "state.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MuxError(
            f"{place.folder / 'state.json'} cannot be read: {error}; it is written anew by: mux up"
        ) from None
    return found if isinstance(found, dict) else None


def _chat(place: Place, pid: int) -> dict[str, Any] | None:
    """What the control plane's chat last said of itself; None where the board has none."""
    try:
        found = json.loads((place.folder / "chat.json").read_bytes())
    except (OSError, ValueError):
        return None
    ours = isinstance(found, dict) and found.get("pid") == pid and "state" in found
    return {"state": found["state"], "why": found["why"]} if ours else None


def entries(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tasks, and workers whose section is gone as if they were tasks."""
    gone = "its section is gone from the board, its worker goes on"
    orphans = [entry | {"status": "orphan", "why": gone, "title": "", "agent": ""} for entry in state["orphans"]]
    return [*orphans, *state["tasks"]]


def in_order(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who needs a person first, then what works, then what waits."""
    return sorted(entries(state), key=lambda entry: _rank(entry, state))


def _rank(entry: Mapping[str, Any], state: Mapping[str, Any]) -> int:
    """Board order within a rank: sorting is stable."""
    if _broken(entry, state) and entry["status"] not in ("running", "claimed", "done"):
        return 0
    return _ORDER.index(entry["status"])


def _broken(entry: Mapping[str, Any], state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first error that stops this task."""
    own = (each for each in state["problems"] if each["task"] == entry["id"] and each["severity"] == "error")
    return next(own, None)


def row(entry: Mapping[str, Any], state: Mapping[str, Any], now: float) -> list[Cell]:
    broken = _broken(entry, state)
    why = f"line {broken['line']}: {broken['text']}" if broken else entry["why"]
    return [
        Cell(entry["id"], "1"),
        Cell(entry["status"], _COLOURS.get(entry["status"], "")),
        Cell(_age(entry, now)),
        Cell(entry["agent"]),
        Cell(str(entry["attempt"] or "")),
        Cell(why or entry["title"]),
    ]


def _age(entry: Mapping[str, Any], now: float) -> str:
    since = parse_time(entry["since"] or "")
    return "" if since is None else format_duration(now - since)


def _for(entry: Mapping[str, Any], now: float) -> str:
    return f" for {age}" if (age := _age(entry, now)) else ""


def _painted(cells: Iterable[Cell], width: int | None, fitted: bool) -> Iterator[str]:
    for cell in cells:
        text = clean(cell.text)
        if width is None or (isinstance(cell, needs.Command) and not fitted):
            yield paint(text, cell.colour)
            continue
        indent = " " * (len(text) - len(text.lstrip(" ")))
        yield from (paint(indent + line, cell.colour) for line in wrap(text.strip(" "), width - len(indent)))


def head(state: Mapping[str, Any], now: float) -> Iterator[Cell]:
    rev = f", revision {state['rev']}" if state["rev"] is not None else ""
    yield Cell(f"{state['board']}: {short(Path(state['path']))}{rev}", "1")
    yield _plane(state, now)
    yield _counts(state)
    if chat := state.get("chat"):
        said = f"Slack: {chat['state']}" + (f" ({chat['why']})" if chat["why"] else "")
        yield Cell(said, "" if chat["state"] in ("on", "connecting") else "33")
    if state["trouble"]:
        yield Cell(f"the file is not in force: {state['trouble']}", "31")


def _plane(state: Mapping[str, Any], now: float) -> Cell:
    plane = state["control_plane"]
    if not plane["running"]:
        return Cell("mux is down: nothing starts until `mux up`; workers go on", "33")
    age = now - (parse_time(state["at"]) or now)
    if age > STALE:
        return Cell(f"process {plane['pid']} last looked {format_duration(age)} ago: it may hang", "31")
    up = format_duration(now - (parse_time(plane["since"]) or now))
    return Cell(f"mux is up for {up} (process {plane['pid']})")


def _counts(state: Mapping[str, Any]) -> Cell:
    every = entries(state)
    statuses = [entry["status"] for entry in every]
    working = sum(status in ("running", "claimed") for status in statuses)
    held_up = {entry["id"] for entry in every if entry["status"] in _NEEDS_YOU or _broken(entry, state)}
    needing = len(held_up) + needs.beside(state, held_up)
    drifted = sum(bool(entry.get("drift")) for entry in every)
    text = f"{working} of {state['max_workers']} slots work, {statuses.count('ready')} ready"
    waiting = statuses.count("waiting")
    text += f", {waiting} waiting" if waiting else ""
    text += f", {drifted} drifted" if drifted else ""
    return Cell(f"{text}, {needing} need{'s' if needing == 1 else ''} you", "33") if needing else Cell(text)


def _problems(state: Mapping[str, Any]) -> Iterator[Cell]:
    problems = state["problems"]
    for each in problems[:PROBLEMS_SHOWN]:
        yield Cell(problem_line(state, each), "33" if each["severity"] == "warning" else "31")
    if len(problems) > PROBLEMS_SHOWN:
        yield Cell(f"and {len(problems) - PROBLEMS_SHOWN} more: mux check")


def problem_line(state: Mapping[str, Any], problem: Mapping[str, Any]) -> str:
    """`board.md:12: unknown key …`"""
    warning = "warning: " if problem["severity"] == "warning" else ""
    return clean(f"{short(Path(state['path']))}:{problem['line']}: {warning}{problem['text']}")


def _exit(ended: Mapping[str, Any] | None) -> str:
    if ended is None:
        return ""
    return f"signal {ended['signal']}" if ended["signal"] is not None else f"code {ended['code']}"


def _condition(entry: Mapping[str, Any], now: float) -> str | None:
    """`waiting (permission) for 3m: Allow this command?`; None: nothing is known that the status does not say."""
    health = entry.get("health")
    if health is None:
        return "lost" if entry.get("condition") == "lost" else None
    since = parse_time(health["since"] or "")
    text = f"{entry['condition']}{f' ({why})' if (why := health['reason']) else ''}"
    text += f" for {format_duration(now - since)}" if since is not None else ""
    return (
        text
        + (f", until {health['until']}" if health["until"] else "")
        + (f": {health['evidence']}" if health["evidence"] else "")
    )


def _check_log(place: Place, entry: Mapping[str, Any]) -> str | None:
    path = place.folder / "runs" / entry["id"] / str(entry["attempt"]) / "check.log"
    return short(path) if path.exists() else None


def _journal(place: Place, task: str) -> list[str]:
    from bot.history import event_line
    from bot.journalling import events_of

    events = events_of(place, task)[-JOURNAL_SHOWN:]
    return ["", *(f"  {event_line(event)}" for event in events)] if events else []
