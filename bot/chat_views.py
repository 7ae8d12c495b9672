"""The answers to `/mux status`, `/mux status TASK` and `/mux requests`: what a person wants on a phone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from board.clock import format_duration, parse_time
from bot import needs
from bot.blocks import FALLBACK, Group, header, listing, markup, small, words
from bot.chat_words import (
    ITS_OWN_WORDS,
    ORPHAN,
    TITLE,
    WHY,
    WORKERS_WORDS,
    WORKING,
    Entry,
    State,
    age,
    broken,
    counted,
    drift_lines,
    drift_words,
    entries,
    evidence_words,
    needs_you,
    request_line,
    since,
    task_line,
)
from bot.mrkdwn import Redact, code, escape, shown, when
from bot.posts import Block, Reply

#: The loop looks at least every 30 s; one that did not for so long may hang.
STALE = 90.0
REQUESTS_SHOWN = 8
_COMMANDS_SHOWN = 12


def status_reply(state: State, now: float, redact: Redact) -> Reply:
    """Who needs a person first, longest first; then what runs, what drifted, what is ready, what is done."""
    stopped = broken(state)
    every = entries(state)
    needing = sorted((each for each in every if needs_you(each, stopped)), key=lambda each: since(each) or 0.0)
    names = {each["id"] for each in needing}
    asked = [each for each in state.get("requests", ()) if each["decided"] is None]
    beside = [each for each in asked if not names & {each["task"], *each["tasks"]}]

    def lines(*statuses: str) -> list[str]:
        chosen = [each for each in every if each["status"] in statuses and each["id"] not in names]
        return [task_line(each, now, redact) for each in chosen]

    groups = (
        Group(
            "Needs you",
            [
                *(request_line(each, now) for each in beside),
                *(task_line(each, now, redact, each["id"] in stopped) for each in needing),
            ],
        ),
        Group("Running", lines(*WORKING)),
        Group("Drifted", drift_lines(every)),
        Group("Ready", lines("ready")),
        Group("Done", lines("done")),
    )
    counts = counts_line(state, len(needing) + needs.beside(state, names))
    name = shown(state["board"], TITLE, redact)
    notes = _notes(state, now)
    blocks = (header(name), small(escape(counts)), *(markup(note) for note in notes), *listing(groups))
    if not every:
        blocks = (*blocks, markup("No task yet: write one on the board, or " + code("/mux add What is to be done")))
    return Reply(escape(f"{name}: {counts}"), blocks)


def counts_line(state: State, needing: int) -> str:
    """`2 need you, 2 of 4 slots work, 1 ready`."""
    every = entries(state)
    statuses = [entry["status"] for entry in every]
    working = sum(status in WORKING for status in statuses)
    others = [(sum(bool(entry.get("drift")) for entry in every), "drifted")]
    others += [(statuses.count(status), status) for status in ("ready", "draft", "stopped", "done")]
    parts = [f"{counted(needing, 'needs', 'need')} you"] if needing else []
    parts.append(f"{working} of {state['max_workers']} slots work")
    return ", ".join([*parts, *(f"{number} {word}" for number, word in others if number)])


def task_reply(entry: Entry, now: float, redact: Redact) -> Reply:
    """`entry`: what `mux status TASK --json` gives, `bot.status.one_task`."""
    title = shown(entry.get("title", ""), TITLE, redact)
    status = entry.get("status", "orphan")
    said = f"{status} for {passed}" if (passed := age(entry, now)) else status
    facts = [
        said,
        shown(entry.get("why") or (ORPHAN if status == "orphan" else ""), WHY, redact),
        f"attempt {entry['attempt']}" if entry["attempt"] else "",
        ended if (ended := _exit(entry)) not in (entry.get("why") or "") else "",
        f"checkpoint {entry['checkpoint'][:7]}" if entry.get("checkpoint") else "",
        f"drift: says {status}, but {drift_words(entry)}" if entry.get("drift") else "",
        f"{counted(len(entry['problems']), 'problem')} on the board: mux check" if entry["problems"] else "",
    ]
    blocks = [header(f"{entry['id']}: {title}" if title else entry["id"]), words("\n".join(filter(None, facts)))]
    asked = list(entry["requests"])[:REQUESTS_SHOWN]
    blocks += [block for request in asked for block in _request_blocks(request, now, redact)]
    return Reply(escape(f"{entry['id']}: {said}"[:FALLBACK]), tuple(blocks))


def requests_reply(state: State, now: float, redact: Redact) -> Reply:
    """The open requests, oldest first, each with what to type."""
    asked: Sequence[Entry] = state.get("requests", ())
    if not asked:
        return Reply("Nothing is asked.", (markup("Nothing is asked."),))
    waiting = sum(request["decided"] is None for request in asked)
    title = f"{counted(waiting, 'request waits', 'requests wait')} for a person"
    blocks = [header(title)]
    for request in asked[:REQUESTS_SHOWN]:
        blocks += _request_blocks(request, now, redact)
    if len(asked) > REQUESTS_SHOWN:
        blocks.append(markup(f"and {len(asked) - REQUESTS_SHOWN} more; decided ones make room"))
    return Reply(title, tuple(blocks))


def _request_blocks(request: Entry, now: float, redact: Redact) -> list[Block]:
    why = shown(request["why"], WHY, redact)
    lines = [request_line(request, now)]
    if not request["says"] or request["action"] not in ITS_OWN_WORDS:
        lines.append(why)
    if request["says"]:
        lines.append(f"its worker says: “{shown(request['says'], WORKERS_WORDS, redact)}”")
    if request["decided"] is not None:
        lines.append("decided, not carried out yet")
        return [words("\n".join(lines))]
    if evidence := evidence_words(request["evidence"], why):
        lines.append(evidence)
    commands = [code(command) for command in _commands(request, redact)]
    expires = parse_time(request["expires"] or "")
    until = [f"without an answer nothing is done; it expires {when(expires)}"] if expires is not None else []
    return [words("\n".join(lines)), small("\n".join([*commands, *until]))]


def _commands(request: Entry, redact: Redact) -> list[str]:
    """What to type; not for an answer that would not leave this machine as it is."""
    commands = [f"/{command}" for command in needs.how_to_decide(request)]
    return [command for command in commands if redact(command) == command][-_COMMANDS_SHOWN:]


def _notes(state: State, now: float) -> list[str]:
    """What is the matter with mux or its board. Details may name files: they stay in the terminal."""
    notes = []
    seen = parse_time(state["at"] or "") if isinstance(state["at"], str) else state["at"]
    if not state["control_plane"]["running"]:
        notes.append(f"*mux is down*: nothing starts until {code('mux up')}; workers go on.")
    elif seen is not None and now - seen > STALE:
        notes.append(f"*mux may hang*: it last looked {format_duration(now - seen)} ago.")
    if state["trouble"]:
        notes.append(f"*The board's file is not in force*: {code('mux status')} in the terminal says why.")
    if state["problems"]:
        count = counted(len(state["problems"]), "problem")
        notes.append(f"{count} on the board: {code('mux check')} in the terminal lists them.")
    return notes


def _exit(entry: Entry) -> str:
    ended = entry.get("exit")
    if ended is None:
        return ""
    return f"signal {ended['signal']}" if ended["signal"] is not None else f"exit {ended['code']}"
