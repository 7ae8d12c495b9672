"""What a digest says: what happened since the last one, and what is now. Pure: from the state and the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from board.clock import format_duration, format_time
from board.redact_text import truncate
from bot import needs
from bot.blocks import Group, header, listing, markup, small, words
from bot.chat_views import counts_line
from bot.chat_words import (
    TITLE,
    WHY,
    WORKING,
    Entry,
    State,
    broken,
    drift_lines,
    entries,
    needs_you,
    request_line,
    since,
    task_line,
)
from bot.mrkdwn import Redact, escape, plain, shown, when
from bot.posts import Block, Post

if TYPE_CHECKING:  # it reads and writes files
    from runners.journal import Event

#: What changes something that a digest tells; the rest of the journal is how it came about.
_CHANGES = frozenset(
    {"started", "restarted", "recovery", "stopped", "waiting", "decided", "closed", "request", "finish"}
    | {"done", "review", "blocked", "failed"}
)
_NOTES = 5
#: What a digest tells about that is asked for, not one of a schedule, in seconds.
DAY = 86400.0
#: By so many seconds events are wanted from before the time that a digest tells of: an attempt that ended in it began
#: then, and how long it took is told.
LOOK_BACK = 7 * 86400.0
_STARTS = frozenset({"started", "restarted"})


@dataclass(frozen=True, slots=True)
class Digest:
    """`groups` are empty when nothing changed. `notes` are mux's own: digests that were skipped or got lost."""

    board: str
    counts: str
    since: float | None
    until: float
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()


def digest(
    state: State,
    events: Sequence[Event],
    since_then: float | None,
    now: float,
    redact: Redact,
    notes: Sequence[str] = (),
) -> Digest:
    """`events`: the journal's, oldest first; those up to `since_then` are passed over, None: none are."""
    period = [event for event in events if since_then is None or event.at > since_then]
    every = entries(state)
    stopped = broken(state)
    needing = sorted((each for each in every if needs_you(each, stopped)), key=lambda each: since(each) or 0.0)
    asked = [each for each in state.get("requests", ()) if each["decided"] is None]
    names = {each["id"] for each in needing}
    counts = counts_line(state, len(needing) + needs.beside(state, names))
    titles = {each["id"]: shown(each["title"], TITLE, redact) for each in every}
    groups = (
        Group("Done", list(_ended(period, events, titles))),
        Group("Needs you", [task_line(each, now, redact, each["id"] in stopped) for each in needing]),
        Group("Asked", [request_line(each, now) for each in asked]),
        Group("Restarted", list(_restarts(period, redact))),
        Group("Drifted", drift_lines(every)),
        Group("Running", [_running_line(each, now, titles) for each in every if each["status"] in WORKING]),
    )
    changed = any(event.event in _CHANGES for event in period)
    name = shown(state["board"], TITLE, redact)
    return Digest(
        name,
        counts,
        since_then,
        now,
        groups if changed else (),
        tuple(truncate(plain(note), WHY) for note in notes[:_NOTES]),
    )


def post(content: Digest, key: str, channel: str | None = None) -> Post:
    """`key`: `digest:<slot>`."""
    text = f"{content.board}: {_nothing(content) if not content.groups else content.counts}"
    notes: list[Block] = [small(escape(note)) for note in content.notes]
    if not content.groups:
        moment = f" since {when(content.since)}" if content.since is not None else ""
        line = markup(f"*{escape(content.board)}*: nothing changed{moment}; {escape(content.counts)}")
        return Post(key, escape(text), (line, *notes), channel)
    began = f"{when(content.since)} – " if content.since is not None else "until "
    above = (header(f"{content.board}: digest"), small(f"{began}{when(content.until)}"), words(content.counts))
    return Post(key, escape(text), (*above, *notes, *listing(content.groups)), channel)


def lines(content: Digest) -> list[str]:
    """The same for a terminal."""
    if not content.groups:
        return [f"{content.board}: {_nothing(content)}; {content.counts}", *content.notes]
    began = f" since {format_time(content.since)}" if content.since is not None else ""
    out = [f"{content.board}{began}: {content.counts}", *content.notes]
    for group in content.groups:
        if group.lines:
            out += ["", f"{group.heading} ({len(group.lines)})", *(f"  {line}" for line in group.lines)]
    return out


def _nothing(content: Digest) -> str:
    return "nothing changed" + (f" since {format_time(content.since)}" if content.since is not None else "")


def _ended(period: Sequence[Event], events: Sequence[Event], titles: dict[str, str]) -> Iterator[str]:
    """Tasks that became done, or are to be reviewed, with how long their last attempt took."""
    began = {(event.task, event.attempt): event.at for event in events if event.event in _STARTS}
    newest = {event.task: event for event in period if event.event in ("done", "review") and event.task}
    for task, event in newest.items():
        start = began.get((task, event.attempt))
        took = f" in {format_duration(event.at - start)}" if start is not None else ""
        yield " · ".join(filter(None, [str(task), f"{event.event}{took}", titles.get(str(task), "")]))


def _restarts(period: Sequence[Event], redact: Redact) -> Iterator[str]:
    for event in period:
        if event.event == "restarted":
            why = event.text.partition("; ")[2] or event.text  # before it stands the branch
            yield f"{event.task} · try {event.attempt} · {shown(why, WHY, redact)}"


def _running_line(entry: Entry, now: float, titles: dict[str, str]) -> str:
    began = since(entry)
    passed = f" for {format_duration(now - began)}" if began is not None else ""
    return " · ".join(filter(None, [entry["id"], f"{entry['status']}{passed}", titles[entry["id"]]]))
