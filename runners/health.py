"""How a worker is: from what was seen of it, when, and what was seen before. Pure; it only says, and never kills.

Best source first: what the agent reports itself, its screen, then process and time. A change counts when it held for a
moment, since screens flicker while they are drawn; that an agent asks for a permission or for trust counts at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from runners.loops import find_loop, locate_failures, news_among
from runners.menus import find_question
from runners.screens import MENUS, UNKNOWN, Seen
from runners.until import find_until


class Name(StrEnum):
    WORKING = "working"
    WAITING = "waiting"  # for a person: permission, trust, question, choice, idle
    LIMITED = "limited"  # rate, usage, login, model
    UNREACHABLE = "unreachable"  # its model cannot be reached
    STUCK = "stuck"  # talks, but nothing comes of it
    SILENT = "silent"  # no output and no computing
    LOOPING = "looping"  # the same failure again and again
    EXITED = "exited"  # known of its record: nobody looks at one that ended
    UNKNOWN = "unknown"


#: What a person is told about, once, when it begins.
CALLS = frozenset({Name.WAITING, Name.LIMITED, Name.UNREACHABLE, Name.STUCK, Name.SILENT, Name.LOOPING})
_AT_ONCE = frozenset({(Name.WAITING, "permission"), (Name.WAITING, "trust")})
_WAITS = frozenset({Name.WAITING, Name.LIMITED, Name.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Seconds and counts from which a person should look.

    `same_failure` is the count at which OpenHands calls an agent stuck (a failing action, 3 times; 4 where it does not
    fail), `alternating` its count of steps that go to and fro (6), both since a person last spoke. Gemini CLI waits for
    the 5th identical call of a tool, failing or not. Calls that do not fail are not counted here: agents poll.
    """

    stuck_after: float | None = 1_800.0  # without a new tree, commit or report; None: never
    silent_after: float = 600.0  # without output and without computing
    same_failure: int = 3  # a tool that fails in the same way, one time after the other
    same_line: int = 5  # any other failure line: one run of a compiler may print several that look alike
    alternating: int = 6  # failures in turns: A B A B A B
    hold: float = 1.5  # until a change counts, if no second screen shows it before


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a live worker at one moment. None: not looked at, or it could not be told."""

    unseen: bool = False  # its screen was asked for, and could not be had
    seen: Seen | None = None  # its screen, classified; None: not captured, since nothing was printed
    said: Seen | None = None  # what the agent reports itself: goes before its screen
    text: str | None = None  # the screen's text, to find failures in
    output_at: float | None = None  # when it last printed
    checked: tuple[str, ...] | None = None  # failures after which its files were looked at; None: that is not known
    computing: float | None = None  # processor seconds a second since the last look, of all its processes
    progress: str | None = None  # differs after each new tree, commit or report
    person_at: float | None = None  # when a person last typed there or answered


@dataclass(frozen=True, slots=True)
class Condition:
    """How a worker is, why, what says so, and since when. `until`: what the limit names; None: it names no time."""

    name: Name
    reason: str
    evidence: str
    since: float
    until: float | None = None
    told: float | None = None  # when a person was last called for it, as `called` knows

    @property
    def kind(self) -> tuple[Name, str]:
        return self.name, self.reason

    @property
    def has_ended(self) -> bool:
        """The time that the limit names is over, its message still stands there, and a person was called for that."""
        return None not in (self.until, self.told) and (self.told or 0.0) >= (self.until or 0.0)


@dataclass(frozen=True, slots=True)
class Told:
    """That a person was told of a condition which may still be so, when, and when it was last seen to be so."""

    name: Name
    reason: str
    at: float
    seen: float

    @property
    def kind(self) -> tuple[Name, str]:
        return self.name, self.reason


@dataclass(frozen=True, slots=True)
class Health:
    """A condition, and what the next look needs. `alerted` is true once: when it begins to call for a person."""

    condition: Condition
    alerted: bool = False
    told: tuple[Told, ...] = ()
    asks: str = ""  # the question on its screen when it began to wait for an answer
    candidate: Condition | None = None  # seen once, does not count yet
    seen: Seen = UNKNOWN  # on the last screen
    lines: tuple[str, ...] = ()  # of the last screen
    fuller: tuple[str, ...] = ()  # of one before it that had as many: the last may be half drawn
    failures: tuple[str, ...] = ()  # stripped, the newest last
    places: tuple[str, ...] = ()  # where they stood, those of before some progress, too
    progress: str | None = None
    progress_at: float = field(default=0.0)
    person_at: float = field(default=0.0)
    active_at: float = field(default=0.0)  # last output or computing
    printed_at: float = field(default=0.0)
    waited_at: float = field(default=0.0)  # for a person, or a limit
    overtaken_at: float = field(default=0.0)  # what the agent said until then holds no more: a later screen showed so


_KEPT = 24  # failures
_REDRAWN = 16  # lines
_COMPUTES = 0.2  # processor seconds a second: a compiler or a test run; the animation of a screen is below it
_IDLES = 0.01
_RECENT = 120.0  # seconds
_DRAWN = 2.0  # until a menu is whole on the screen: what it asks is known then
_GOES_ON = 60.0  # seconds after the end of a limit in which an agent may go on by itself
_CALM = 10.0  # seconds after which a wait that is over is one that may come again: less is a screen that flickers


def begin(now: float) -> Health:
    """The health of a worker that just started."""
    return Health(Condition(Name.UNKNOWN, "", "", now), progress_at=now, active_at=now)


def advance(previous: Health, look: Look, now: float, thresholds: Thresholds | None = None) -> Health:
    """The health after one more look."""
    limits = thresholds or Thresholds()
    known = _remembered(previous, look, now)
    found = _anchored(_judge(known, look, now, limits), known)
    known = replace(known, told=_still_told(known, found, now))
    if found.name in (Name.WAITING, Name.LIMITED):
        known = replace(known, waited_at=now)
    current, waited, kind = known.condition, known.candidate, found.kind
    if kind == current.kind:
        if _asks_anew(known):
            told = tuple(each for each in known.told if each.kind != kind)
            told = (*told, Told(*kind, now, now))
            return replace(known, condition=found, candidate=None, alerted=True, told=told, asks=_question(known))
        kept = replace(found, since=current.since)
        ends = _ends(kept, known.told, now)
        told = tuple(Told(*kind, now, now) if ends and each.kind == kind else each for each in known.told)
        is_known = bool(known.asks) and (now - current.since > _DRAWN or _is_answered(known))
        asks = known.asks if is_known else _question(known) or known.asks
        return replace(known, condition=kept, candidate=None, alerted=ends, told=told, asks=asks)
    begun = replace(found, since=waited.since if waited and waited.kind == kind else now)
    if not _counts(begun, known, look, now, limits):
        return replace(known, candidate=begun, alerted=False)
    alerted = found.name in CALLS and kind not in {each.kind for each in known.told}
    told = (*known.told, Told(*kind, now, now)) if alerted else known.told
    known = replace(known, condition=begun, candidate=None, alerted=alerted, told=told)
    return replace(known, asks="" if look.said else _question(known))  # what was said is not on the screen yet


def _anchored(found: Condition, known: Health) -> Condition:
    """With the time that a limit was first seen to name, as long as its message says the same.

    "In 3 hours" is meant from when it was said, and the time of day that has gone by is not tomorrow's.
    """
    for before in (known.condition, known.candidate):
        if before is None or before.kind != found.kind or before.until is None:
            continue
        if found.until is None:
            return replace(found, until=before.until, evidence=before.evidence)
        same = find_until(found.evidence, before.since) == find_until(before.evidence, before.since)
        if same or abs(found.until - before.until) <= _DRAWN:  # or it counts the seconds
            return replace(found, until=before.until)
    return found


def _ends(limit: Condition, told: tuple[Told, ...], now: float) -> bool:
    """What a limit was told to end at is over, and the agent did not go on by itself: a person is told that, once."""
    if limit.until is None or now < limit.until + _GOES_ON:
        return False
    return any(each.kind == limit.kind and each.at < limit.until for each in told)


def _asks_anew(known: Health) -> bool:
    """A person answered, and what is asked now is another question, with nothing else seen between the two."""
    is_menu = known.condition.reason in MENUS
    return is_menu and _is_answered(known) and bool(known.asks) and _question(known) not in ("", known.asks)


def _is_answered(known: Health) -> bool:
    kind = known.condition.kind
    return any(each.kind == kind and known.person_at > each.at for each in known.told)


def _question(known: Health) -> str:
    """On the last screen, if that showed a menu: an agent's own words above its input line may look like one."""
    return find_question("\n".join(known.lines)) if known.seen.reason in MENUS else ""


def withhold(health: Health) -> Health:
    """Nobody is told yet how it is: `tell_late` does that."""
    kind = health.condition.kind
    told = tuple(each for each in health.told if each.kind != kind)
    return replace(health, alerted=False, told=told)


def tell_late(health: Health, now: float) -> Health:
    """A wait that was withheld begins to call for a person now; every other health as it is."""
    kind = health.condition.kind
    if kind[0] not in _WAITS or kind in {each.kind for each in health.told}:
        return health
    return replace(health, alerted=True, told=(*health.told, Told(*kind, now, now)))


def called(health: Health) -> Condition:
    """The condition, with when a person was last called for it: a flicker does not change that."""
    kind = health.condition.kind
    return replace(health.condition, told=next((each.at for each in health.told if each.kind == kind), None))


def flickers(health: Health) -> bool:
    """Whether a person was told of something that is not so now: it may be back with the next screen."""
    current = health.condition.kind
    return any(each.name in _WAITS and each.kind != current for each in health.told)


def _still_told(known: Health, found: Condition, now: float) -> tuple[Told, ...]:
    kept = (_still_so(each, known, found, now) for each in known.told)
    return tuple(each for each in kept if each is not None)


def _still_so(told: Told, known: Health, found: Condition, now: float) -> Told | None:
    """What is no news: it goes on, it was away for a moment only, or nothing came of what seemed to end it."""
    kind, current = told.kind, known.condition
    if told.name in _WAITS:
        if current.name is Name.UNKNOWN or kind == current.kind:
            return replace(told, seen=now)
        is_over = now - told.seen >= _CALM or known.person_at > told.at
    else:
        ended_at = known.active_at if told.name is Name.SILENT else max(known.person_at, known.progress_at)
        is_over = ended_at > told.seen
    if is_over:
        return None
    return replace(told, seen=now) if kind == found.kind else told


def _counts(found: Condition, known: Health, look: Look, now: float, limits: Thresholds) -> bool:
    """Whether a change is real: it is urgent and sure, it was seen twice, or it held for a moment."""
    current, waited = known.condition, known.candidate
    is_sure = look.said is not None or known.seen.sure
    if (found.kind in _AT_ONCE and is_sure) or (current.name is Name.UNKNOWN and found.name is Name.WORKING):
        return True
    if waited is None or waited.kind != found.kind:
        return False
    return look.seen is not None or now - found.since >= limits.hold


def _remembered(previous: Health, look: Look, now: float) -> Health:
    """What was known, and what the look adds to it."""
    moved = None not in (look.progress, previous.progress) and look.progress != previous.progress
    person = look.person_at is not None and look.person_at > previous.person_at
    active = look.output_at if look.output_at is not None else previous.active_at
    if look.computing is not None and look.computing > _IDLES:
        active = now
    lines, fuller, failures, places = previous.lines, previous.fuller, previous.failures, previous.places
    shown = tuple(line.rstrip() for line in (look.text or "").splitlines() if line.strip())
    if shown:
        begun = max(_overlap(lines, shown), _overlap(fuller, shown))
        found = locate_failures(shown, begun)
        found = found if begun or not lines else news_among(found, places)
        failures = (*failures, *(failure for failure, _ in found))[-_KEPT:]
        places = (*places, *(place for _, place in found))[-_KEPT:]
        lines, fuller = shown, shown if len(shown) >= len(fuller) else fuller
    return replace(
        previous,
        seen=look.seen or previous.seen,
        lines=lines,
        fuller=fuller,
        failures=() if moved or person else failures,
        places=places,
        progress=look.progress if look.progress is not None else previous.progress,
        progress_at=now if moved or person else previous.progress_at,
        person_at=max(previous.person_at, look.person_at or 0.0),
        active_at=max(previous.active_at, active, look.person_at or 0.0),
        printed_at=max(previous.printed_at, look.output_at or 0.0),
    )


def _judge(known: Health, look: Look, now: float, limits: Thresholds) -> Condition:
    if look.unseen:
        return Condition(Name.UNKNOWN, "", "", now)
    shown = look.said or known.seen
    if shown.name in _WAITS:
        until = find_until(shown.evidence, now) if shown.name == Name.LIMITED else None
        return Condition(Name(shown.name), shown.reason, shown.evidence, now, until)
    loop = find_loop(known.failures, limits.same_failure, limits.same_line, limits.alternating)
    if loop and look.checked in (None, known.failures):
        return Condition(Name.LOOPING, "", loop, now)
    quiet = now - known.active_at
    goes_on = known.condition.name is Name.SILENT  # what cannot be asked for a moment does not change it
    if quiet >= limits.silent_after and (look.computing is not None or goes_on):
        return Condition(Name.SILENT, "", f"no output and no computing for {quiet / 60:.0f} min", now)
    idle = now - max(known.progress_at, known.waited_at)
    computes = look.computing is not None and look.computing >= _COMPUTES
    waits = limits.stuck_after is not None and idle >= limits.stuck_after and known.progress is not None
    if waits and now - known.printed_at < _RECENT and not computes:
        return Condition(Name.STUCK, "", f"no new tree, commit or report for {idle / 60:.0f} min", now)
    return Condition(Name.WORKING, "", shown.evidence, now)


def _overlap(before: tuple[str, ...], after: tuple[str, ...]) -> int:
    """How many lines at the top of `after` were on the screen before; 0 when it holds none of them.

    What was at the bottom may have been a spinner or an input line, which is drawn anew: it needs not be there again.
    """
    longest = 0
    for start in range(len(before)):
        common = 0
        while common < len(after) and start + common < len(before) and before[start + common] == after[common]:
            common += 1
        if start + common >= len(before) - _REDRAWN:
            longest = max(longest, common)
    return longest
