"""Two writers, one file: a person's save, merged into the board in force. Pure: texts in, a text and decisions out.

A save carries the revision that its editor had loaded, so what the person changed is known: that is taken, and the rest
stays as the board has it. Whatever is under `mux:` is always the board's. A status is an order only if no accepted
version of that revision has it. Nobody's words are lost: where both sides changed the same lines, both stay, marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from board.merge_order import merge_order, moved
from board.merge_task import Say, Side, assumed, mended, merge_prose, merge_task, side, with_owned
from board.merge_text import newline
from board.merge_version import Key, Past, Version, distance, restyled, style, task_ids, version
from board.model import PERSON_STATUSES, Status
from board.sections import Kind, Section

_BOM = "\ufeff"
_BLANK_LINE = re.compile(r"(?:\r\n|\r|\n)[ \t]*(?:\r\n|\r(?!\n)|\n)\Z")
_MUX_WORDS = frozenset(Status) - PERSON_STATUSES

#: Versions that were in force, oldest first, or what gets them when they are needed.
Older = Iterable[str] | Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Decision:
    """One line for the journal and `mux status`. With `conflict`, marked lines in the file wait for a person."""

    text: str
    task: str | None = None
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """`orders` are the ids of tasks whose status a person has freshly written."""

    text: str
    decisions: tuple[Decision, ...]
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Save:
    """All that one merge looks at. `base` is None for a save whose revision is missing or unknown."""

    bases: tuple[Version, ...]
    base: Version | None
    theirs: Version
    ours: Version
    older: Older
    decisions: list[Decision] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    _past: list[Past] = field(default_factory=list)

    @property
    def plain(self) -> bool:
        """Nobody wrote since: what is not mux's is the save's, byte for byte."""
        return self.base is self.ours

    def say(self, key: Key, text: str, conflict: bool = False) -> None:
        self.decisions.append(Decision(text if key.task else f"{_place(key)}: {text}", key.task, conflict))

    def history(self, key: Key, like: Side | None) -> list[Side]:
        """The states of a section in the older versions, oldest first; those are read when first needed."""
        if not self._past:
            self._past.append(Past(text.removeprefix(_BOM) for text in _texts(self.older)))
        return [side(part) for part in self._past[0].states(key._replace(nth=0), like.section if like else None)]


def merge(bases: Sequence[str], theirs: str, ours: str, older: Older = ()) -> Merged:
    """Merge the save `theirs` into the board in force, `ours`.

    `bases` are the accepted versions that carry the revision found in `theirs`, oldest first; none when it is missing
    or unknown. `older` are all versions that were in force, oldest first; they are read only where `bases` do not tell.
    A save that is one of those versions holds no edit.
    """
    if theirs == ours or theirs in bases or (not bases and theirs in _texts(older)):
        return Merged(ours, (), ())
    save = _prepared(bases, theirs, ours, older)
    texts = {key: text for key in _keys(save) if (text := _section(save, key)) is not None}
    if save.plain:
        text = "".join(texts[key] for key in save.theirs.by_key if key in texts)
        return Merged(_bom(theirs) + text, tuple(save.decisions), tuple(save.orders))
    text = _joined(save, texts)
    return Merged(_bom(ours) + text, tuple(save.decisions), tuple(save.orders))


def _texts(older: Older) -> Iterable[str]:
    return older() if callable(older) else older


def _bom(text: str) -> str:
    return _BOM if text.startswith(_BOM) else ""


def _prepared(bases: Sequence[str], theirs: str, ours: str, older: Older) -> _Save:
    ids = set().union(*(task_ids(text.removeprefix(_BOM)) for text in (*bases, theirs, ours)))
    mine = version(ours.removeprefix(_BOM), None, ids)
    found = [mine if text == ours else version(text.removeprefix(_BOM), None, ids) for text in bases]
    new = version(theirs.removeprefix(_BOM), found[-1] if found else mine, ids)
    base = min(reversed(found), key=lambda each: distance(each, new), default=None)
    if base is mine:
        return _Save(tuple(found), base, new, mine, older)
    like = restyled(base, mine) if base else mine
    return _Save(tuple(found), like if base else None, restyled(new, like), mine, older)


def _keys(save: _Save) -> list[Key]:
    return list(save.theirs.by_key | save.ours.by_key)


def _section(save: _Save, key: Key) -> str | None:
    """The text of one section in the result; None where it is not in it."""
    theirs, ours = save.theirs.by_key.get(key), save.ours.by_key.get(key)
    base = save.base.by_key.get(key) if save.base else None
    if theirs and ours:
        if theirs.text == ours.text:
            return ours.text
        if base and base.text == theirs.text and not _newest_differs(save, key, theirs):
            return ours.text
        return _both(save, key, base, side(theirs), side(ours))
    if theirs:
        return _only_theirs(save, key, base, side(theirs))
    assert ours is not None
    return _only_ours(save, key, base, ours)


def _newest_differs(save: _Save, key: Key, theirs: Section) -> bool:
    newest = save.bases[-1].by_key.get(key)
    return len(save.bases) > 1 and (newest is None or newest.text != theirs.text)


def _only_ours(save: _Save, key: Key, base: Section | None, ours: Section) -> str | None:
    """Deleted in the save, unless the save never knew it."""
    if save.base is None or base is None:
        return ours.text
    if side(base).human == side(ours).human:
        return None
    save.say(key, "kept, though the save has deleted it: the board has changed it since the save was opened")
    return ours.text


def _only_theirs(save: _Save, key: Key, base: Section | None, theirs: Side) -> str | None:
    """New in the save, or deleted on the board meanwhile."""
    human, unmoved = theirs.human, False
    if save.base and base:
        if side(base).human != human:
            save.say(key, "kept, though the board has deleted it: the save has changed it")
        elif all(key in each.by_key for each in save.bases):
            return None  # it was taken off after the save was opened
        elif (unmoved := not _is_moved(save, save.base, key)) and key.kind is Kind.PROSE:
            save.say(key, "stays out, as an earlier save of this revision has cut it; write it anew to have it back")
            return None
        else:
            save.say(key, "it is back: an earlier save of this revision had cut it out, and this one has it again")
    elif save.base is None and any(each.human == human for each in save.history(key, theirs)):
        return None
    if key.kind is Kind.PROSE:
        return theirs.section.text
    last = _last_known(save, key) if base or save.base is None else None
    theirs = mended(theirs, last.mux if last else "")
    status = _status(save, key, theirs, last)
    word = theirs.status if status == theirs.written else status
    if unmoved and word == Status.READY and key.name not in save.orders:
        # Whoever cut it took the order back, and this may be an older buffer.
        save.say(key, "its `ready` is older than that cut, and no order: it is a draft; write ready again")
        status = str(Status.DRAFT)
    return with_owned(theirs, status, last.mux if last else "")


def _is_moved(save: _Save, base: Version, key: Key) -> bool:
    """It follows another section than it did: whoever saved it has pasted it there."""

    def before(of: Version) -> Key | None:
        names = [each for each in of.by_key if each == key or (each in base.by_key and each in save.theirs.by_key)]
        return names[names.index(key) - 1] if names.index(key) else None

    return before(base) != before(save.theirs)


def _last_known(save: _Save, key: Key) -> Side | None:
    """The section in the newest version that has it: mux's lines in it are the last that mux wrote."""
    if states := save.history(key, None):
        return states[-1]
    first = next((found for each in save.bases if (found := each.by_key.get(key))), None)
    return side(first) if first else None


def _both(save: _Save, key: Key, base: Section | None, theirs: Side, ours: Side) -> str:
    def say(text: str, conflict: bool) -> None:
        save.say(key, text, conflict)

    old = side(base) if base else None
    if key.kind is Kind.PROSE:
        return _prose(save, key, old, theirs, ours, say)
    theirs = _put_back(save, key, theirs, ours)
    _say_what_stays(save, key, old, theirs)
    status = _status(save, key, theirs, ours)
    if save.base is None:
        old = assumed(theirs, ours, save.history(key, ours))
    return merge_task(old, theirs, ours, status, say)


def _prose(save: _Save, key: Key, base: Side | None, theirs: Side, ours: Side, say: Say) -> str:
    _say_what_stays(save, key, base, theirs)
    if save.base is None:
        base = assumed(theirs, ours, save.history(key, ours))
    return merge_prose(base, theirs, ours, say)


def _put_back(save: _Save, key: Key, theirs: Side, ours: Side) -> Side:
    """The save's section with `mux:` readable. What a person did to mux's lines is said; that it is undone is no news
    where the save is only old."""
    known = [side(found).mux for each in save.bases if (found := each.by_key.get(key))]
    mended_theirs = mended(theirs, ours.mux)
    if known and not any(mux.split() == theirs.mux.split() for mux in known):
        save.say(key, "the lines under `mux:` are mux's alone: they were put back")
    return mended_theirs


def _say_what_stays(save: _Save, key: Key, base: Side | None, theirs: Side) -> None:
    """Someone saved twice on one revision, and the second save lacks what the first one changed."""
    newest = save.bases[-1].by_key.get(key) if save.bases else None
    if not base or not newest or base.human != theirs.human or style(newest.text) != style(theirs.section.text):
        return
    if side(newest).human != theirs.human:
        save.say(key, "what an earlier save of this revision changed stays: it is older than that save, or undid it")


def _status(save: _Save, key: Key, theirs: Side, ours: Side | None) -> str | None:
    """The status to write, as it is written there; a fresh order is noted. With no `ours` the task is new."""
    if key.kind is Kind.FRONT:
        return theirs.written
    known = _known_statuses(save, key)
    word, mine = theirs.status, (ours.status or ours.written) if ours else Status.DRAFT
    if save.bases and word is not None and word not in _MUX_WORDS and word not in known:
        if word in PERSON_STATUSES and (known or theirs.written is not None) and _is_seen(save, key):
            save.orders.append(key.name)
        return theirs.written
    if word == mine:
        return theirs.written
    if word == Status.DRAFT and mine == Status.READY and known and known[-1] == Status.READY:
        save.say(key, "its order was taken back: it is draft again")
        return theirs.written  # an undo, or a stale buffer: not to start is safe either way, and it is said
    if word is not None and (why := _why_no_order(save, key, word, known)):
        save.say(key, f"{why}: the status stays `{mine}`" if ours else f"{why}: the status is `{mine}`")
    if ours is None and word is None:
        return theirs.written  # its block cannot be read: the person's word stays for when that is mended
    if ours and ours.written is not None:
        return ours.written
    return str(mine or Status.DRAFT) if theirs.written is not None else None


def _known_statuses(save: _Save, key: Key) -> list[str]:
    """The task's status in each version of the revision. Where a save broke the block, its status was never acted on;
    the first version is mux's own, and counts also where mux could not read the block."""
    found = [(index, mended(side(part), "")) for index, each in enumerate(save.bases) if (part := each.seen(key))]
    words = [each.status or (each.written if index == 0 else None) for index, each in found]
    return [word for word in words if word is not None]


def _is_seen(save: _Save, key: Key) -> bool:
    return key.nth == 0 and key not in save.theirs.hidden


def _why_no_order(save: _Save, key: Key, word: str, known: list[str]) -> str | None:
    """What to say of a status that is not taken; None where the save is just older than the board."""
    if not save.bases:
        return (
            None
            if word in {each.status for each in save.history(key, None)}
            else f"`{word}` is no order, as the save has no known revision; write it again"
        )
    if word in _MUX_WORDS:
        return None if word in known else f"`{word}` is mux's word and no order"
    if known and known[-1] != word:
        return f"`{word}` is no order, as an earlier version of this revision has it; write it again"
    return None


def _ordered(save: _Save, kept: Collection[Key]) -> list[Key]:
    base, theirs, ours = (list(each.by_key) if each else [] for each in (save.base, save.theirs, save.ours))
    if moved(base, theirs) and moved(base, ours) and moved(theirs, ours):
        save.decisions.append(Decision("the sections stand in the order of the save; the board had moved some, too"))
    return sorted(merge_order(base, theirs, ours, kept), key=lambda key: key.rank)


def _joined(save: _Save, texts: Mapping[Key, str]) -> str:
    """The sections in their order. One that was the last of its file gets a blank line when another follows."""
    ending = newline(save.ours.text or save.theirs.text)
    names = _ordered(save, texts)
    ends = {next(reversed(each.by_key), None) for each in (save.theirs, save.ours)}
    parts = [texts[key] + (_missing_gap(texts[key], ending, key in ends)) for key in names[:-1]]
    return "".join([*parts, *(texts[key] for key in names[-1:])])


def _missing_gap(text: str, ending: str, was_last: bool) -> str:
    if not text.endswith(("\n", "\r")):
        return 2 * ending
    return ending if was_last and not _BLANK_LINE.search(text) else ""


def _place(key: Key) -> str:
    return "front matter" if key.kind is Kind.FRONT else f"'{key.name}'" if key.name else "the text at the top"
