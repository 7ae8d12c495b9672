"""Alerts: what became of tasks, said once each, in a thread for each task. Pure.

`step` compares what is (the state that the loop shows) with what was said. New alerts are held for a moment, so that
many at once become one message; in quiet hours they are kept, and told in one summary at the end. A waiting or blocked
task that mux asks about has its request as its message, and no alert beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import tzinfo
from itertools import groupby
from typing import Any

from board.model import NOTHING, QuietHours
from bot.blocks import FALLBACK, Group, header, listing, small, words
from bot.chat_words import TITLE, WHY, WORKING, Entry, State, counted
from bot.mrkdwn import Redact, code, escape, shown, when
from bot.posts import Post
from bot.quiet import quiet_until

#: Seconds that a new alert is held: what comes with it goes out with it, and a question may take its place.
SETTLE = 5.0
#: The same for an agent that waits for a person: it does nothing until then, so that is told within 3 s.
SETTLE_WAITING = 1.0
#: More alerts than this within so many seconds are one message.
MOST, WINDOW = 5, 60.0

#: In the order of their weight; the word is in the key of the post.
KINDS = (
    *("failed", "blocked", "waiting", "limited", "stuck", "looping", "silent", "unreachable"),
    *("review", "restarted", "done"),
)
#: Conditions of a worker that is left alone all the same: its status tells nothing of them. Said once an attempt.
_WORRIES = frozenset({"stuck", "looping", "silent", "unreachable"})
_PASSING = _WORRIES | {"waiting", "blocked"}  # not worth a message any more when they are over before it was said
#: What can end and come again while a worker works on: then it is news again, in a message of its own.
_COMES_AGAIN = frozenset({"waiting", "blocked", "limited"})
_WORDS = {
    "failed": "failed",
    "blocked": "is blocked",
    "waiting": "waits for a person",
    "limited": "is limited",
    **dict.fromkeys(_WORRIES, "needs a look"),
    "review": "is to be reviewed",
    "restarted": "restarted",
    "done": "is done",
}
_LOOK = {
    "failed": "/mux logs {}",
    "blocked": "/mux status {}",
    "waiting": "/mux status {}",
    "limited": "/mux status {}",
    **dict.fromkeys(_WORRIES, "/mux status {}"),
    "review": "/mux diff {}",
    "restarted": "/mux journal {}",
    "done": "/mux diff {}",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """`why` and `title` are redacted and cut already."""

    task: str
    attempt: int
    what: str
    why: str
    title: str
    at: float  # when it was seen, in seconds since the epoch
    before: int = 0  # how often it came and went in this attempt before

    @property
    def key(self) -> str:
        return _key(self.task, self.attempt, self.what)

    @property
    def post_key(self) -> str:
        return f"{self.key}:{self.before + 1}" if self.before else self.key


@dataclass(frozen=True, slots=True)
class Memory:
    """What has to be known the next time, and after a restart. `said`: keys. `attempts`: the newest of each task.

    `gone`: what was said and is over, by key: since when. `again`: how often a key came again.
    `told`: when the watch last called a person for what was said, by key: a later call is news.
    `pending`: held for a moment. `kept`: of quiet hours. `recent`: when single alerts went out. `storm`: those of the
    storm that goes on, told under `storm_key`.
    """

    said: frozenset[str] = frozenset()
    attempts: Mapping[str, int] = field(default_factory=lambda: NOTHING, hash=False)
    gone: Mapping[str, float] = field(default_factory=lambda: NOTHING, hash=False)
    again: Mapping[str, int] = field(default_factory=lambda: NOTHING, hash=False)
    told: Mapping[str, str] = field(default_factory=lambda: NOTHING, hash=False)
    pending: tuple[Alert, ...] = ()
    kept: tuple[Alert, ...] = ()
    recent: tuple[float, ...] = ()
    storm: tuple[Alert, ...] = ()
    storm_key: str = ""
    storm_at: float = 0.0  # when it was added to last


@dataclass(frozen=True, slots=True)
class Step:
    """The posts go into the outbox first, then the memory is kept: a crash in between says nothing twice."""

    memory: Memory
    posts: tuple[Post, ...] = ()
    wake_at: float | None = None  # look again then, if nothing changes before


def step(
    memory: Memory | None, state: State, now: float, quiet: QuietHours | None, redact: Redact, local: tzinfo
) -> Step:
    """`memory`: None the first time ever: what is there then is known, and not said. `local`: this machine's zone."""
    if memory is None:
        return Step(Memory(said=frozenset(_news(state, NOTHING)), attempts=_attempts(state, NOTHING)))
    found = _news(state, memory.attempts)
    asked = _asked_about(state)

    def has_a_question(task: str, what: str) -> bool:
        return what in _PASSING and task in asked

    # What is over before it was said is said when it comes again.
    over = {alert.key for alert in memory.pending if alert.what in _PASSING and alert.key not in found}
    back = {key for key in found.keys() & memory.gone.keys() if _is_over(memory.gone[key], SETTLE, now)}
    calls = {key: call for key, (entry, what) in found.items() if what == "waiting" and (call := _called(entry))}
    held_keys = {alert.key for alert in memory.pending}
    back |= {key for key, call in calls.items() if call > memory.told.get(key, call) and key not in held_keys}
    again = {**memory.again, **{key: memory.again.get(key, 0) + 1 for key in back}}
    gone = {key: memory.gone.get(key, now) for key in memory.said - over - found.keys() if _comes_again(key)}
    said = memory.said - over - back
    held = (each for each in memory.pending if each.key not in over and not has_a_question(each.task, each.what))
    new = (
        _alert(entry, what, redact, now, again.get(key, 0))  # the dear part: for what is new only
        for key, (entry, what) in found.items()
        if key not in said and not has_a_question(entry["id"], what)
    )
    attempts = _attempts(state, memory.attempts)
    kept = frozenset(key for key in said | found.keys() if not _is_outdated(key, attempts))
    gone = {key: since for key, since in gone.items() if key in kept}
    again = {key: count for key, count in again.items() if not _is_outdated(key, attempts)}
    told = {key: max(call, memory.told.get(key, "")) for key, call in {**memory.told, **calls}.items() if key in kept}
    memory = replace(memory, said=kept, attempts=attempts, gone=gone, again=again, told=told, pending=(*held, *new))
    return _flush(memory, now, quiet_until(quiet, now, local))


def to_json(memory: Memory) -> dict[str, Any]:
    plain = asdict(replace(memory, said=frozenset(), attempts={}, gone={}, again={}, told={}))
    mappings = {name: dict(getattr(memory, name)) for name in ("attempts", "gone", "again", "told")}
    return plain | mappings | {"said": sorted(memory.said)}


def from_json(record: Mapping[str, Any]) -> Memory:
    """Raises KeyError, TypeError or ValueError for a record of another shape."""
    alerts = {name: tuple(Alert(**each) for each in record[name]) for name in ("pending", "kept", "storm")}
    return Memory(
        said=frozenset(record["said"]),
        attempts=dict(record["attempts"]),
        gone=dict(record.get("gone", NOTHING)),
        again=dict(record.get("again", NOTHING)),
        told=dict(record.get("told", NOTHING)),
        recent=tuple(record["recent"]),
        storm_key=record["storm_key"],
        storm_at=record["storm_at"],
        **alerts,
    )


def _news(state: State, attempts: Mapping[str, int]) -> dict[str, tuple[Entry, str]]:
    """What there is to be said of the tasks as they are, by key: of which task, and what."""
    found = {}
    for entry in state["tasks"]:
        kinds = [_kind(entry)]
        before = attempts.get(entry["id"], entry["attempt"])
        if 0 < before < entry["attempt"] and entry["status"] in WORKING and entry["why"]:
            kinds.append("restarted")
        for what in filter(None, kinds):
            found[_key(entry["id"], entry["attempt"], what)] = (entry, what)
    return found


def _alert(entry: Entry, what: str, redact: Redact, now: float, before: int) -> Alert:
    why, title = shown(entry["why"] or "", WHY, redact), shown(entry["title"], TITLE, redact)
    return Alert(entry["id"], entry["attempt"], what, why, title, now, before)


def _key(task: str, attempt: int, what: str) -> str:
    return f"alert:{task}:{attempt}:{what}"


def _kind(entry: Entry) -> str | None:
    status = str(entry["status"])
    if status == "waiting":
        return "limited" if entry["condition"] == "exited" else "waiting"
    if status in WORKING and entry["condition"] in _WORRIES:
        return str(entry["condition"])
    if status in ("done", "review") and entry["attempt"] == 0:
        return None  # a person's word about work that mux never had
    return status if status in ("failed", "blocked", "review", "done") else None


def _called(entry: Entry) -> str | None:
    """When the watch last called a person for how its worker is."""
    return (entry.get("health") or NOTHING).get("told")


def _attempts(state: State, before: Mapping[str, int]) -> dict[str, int]:
    """Those of tasks that are gone are kept: a task may come back."""
    now = {entry["id"]: max(entry["attempt"], before.get(entry["id"], 0)) for entry in state["tasks"]}
    return {**before, **now}


def _asked_about(state: State) -> frozenset[str]:
    waiting = [each for each in state.get("requests", ()) if each["decided"] is None]
    return frozenset(task for each in waiting for task in (each["task"], *each["tasks"]) if task)


def _comes_again(key: str) -> bool:
    return key.rpartition(":")[2] in _COMES_AGAIN


def _is_outdated(key: str, attempts: Mapping[str, int]) -> bool:
    """Of an attempt that is not the newest: it cannot come again."""
    _, task, attempt, _ = key.split(":")
    return int(attempt) < attempts.get(task, 0)


def _flush(memory: Memory, now: float, quiet_end: float | None) -> Step:
    """Say what is due. A key is made of when the first of its alerts was seen: after a crash it is the same again."""
    posts: list[Post] = []
    due = _due(memory.pending, now)
    memory = replace(memory, pending=tuple(alert for alert in memory.pending if alert not in due))
    if quiet_end is not None:
        memory = replace(memory, kept=(*memory.kept, *due))
    else:
        if memory.kept:
            posts.append(_summary(memory.kept, f"storm:quiet:{int(memory.kept[0].at)}", "While it was quiet"))
            memory = replace(memory, kept=())
        if due:
            memory, more = _said(memory, due, now)
            posts += more
    if memory.pending:
        return Step(memory, tuple(posts), min(alert.at + _held(alert) for alert in memory.pending))
    return Step(memory, tuple(posts), quiet_end if memory.kept else None)


def _due(pending: Sequence[Alert], now: float) -> tuple[Alert, ...]:
    """Those that were held long enough; and with one that was held the longer time, all that came after it."""
    due = tuple(alert for alert in pending if _is_over(alert.at, _held(alert), now))
    return due if all(alert.what == "waiting" for alert in due) else tuple(pending)


def _held(alert: Alert) -> float:
    return SETTLE_WAITING if alert.what == "waiting" else SETTLE


def _is_over(since: float, seconds: float, now: float) -> bool:
    """Whether so many seconds have passed. A moment that is still to come was before the clock was set back."""
    return not since <= now < since + seconds


def _said(memory: Memory, alerts: tuple[Alert, ...], now: float) -> tuple[Memory, list[Post]]:
    recent = tuple(at for at in memory.recent if not _is_over(at, WINDOW, now))
    goes_on = bool(memory.storm) and not _is_over(memory.storm_at, WINDOW, now)
    if goes_on or len(alerts) + len(recent) > MOST:
        storm = (*memory.storm, *alerts) if goes_on else alerts
        key = memory.storm_key if goes_on else f"storm:{int(alerts[0].at)}"
        memory = replace(memory, recent=recent, storm=storm, storm_key=key, storm_at=now)
        return memory, [_summary(storm, key, "Much at once")]
    memory = replace(memory, recent=(*recent, *(now for _ in alerts)), storm=(), storm_key="")
    return memory, [_single(alert) for alert in alerts]


def _single(alert: Alert) -> Post:
    line = _line(alert)
    look = small(code(_LOOK[alert.what].format(alert.task)))
    text = words("\n".join(filter(None, [line, alert.title])))
    return Post(alert.post_key, escape(line[:FALLBACK]), (text, look), thread=f"task:{alert.task}")


def _line(alert: Alert) -> str:
    attempt = f" (try {alert.attempt})" if alert.attempt > 1 else ""
    return f"{alert.task} {_WORDS[alert.what]}{attempt}{f': {alert.why}' if alert.why else ''}"


def _summary(alerts: Sequence[Alert], key: str, heading: str) -> Post:
    """Several alerts in one message, by kind."""
    by_kind = sorted(alerts, key=lambda alert: KINDS.index(alert.what))
    groups = [(kind, list(group)) for kind, group in groupby(by_kind, key=lambda alert: alert.what)]
    counts = ", ".join(f"{len(group)} {kind}" for kind, group in groups)
    text = f"{heading}: {counts}"
    first, last = min(alert.at for alert in alerts), max(alert.at for alert in alerts)
    moments = when(first) if last - first < 60 else f"{when(first)} – {when(last)}"
    span = f"{counted(len(alerts), 'alert')}, {moments} · {code('/mux status')}"
    listed = listing(Group(kind.capitalize(), _lines(group)) for kind, group in groups)
    return Post(key, escape(text), (header(text), small(span), *listed))


def _lines(alerts: Iterable[Alert]) -> list[str]:
    return [_line(alert) for alert in alerts]
