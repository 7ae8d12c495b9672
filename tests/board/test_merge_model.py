"""Random boards, random people, and mux in between: a small keeper and what must hold of it at every step."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board import edit
from board.merge import merge
from board.merge_text import CONFLICT_LINE, merge_text
from board.merge_version import distance, version
from board.model import PERSON_STATUSES, Status
from board.parse import parse, sections
from board.sections import Kind

WORDS = ["Do it.", "", "- one", "- two", "```sh\nmake\n```", "> quote", "### Part", "    indented", "Do it.", "## no"]
MUX_WORDS = [Status.RUNNING, Status.FAILED, Status.BLOCKED, Status.DONE, Status.REVIEW]
TOKEN = re.compile(r"w\d+w")


@dataclass
class Editor:
    """A buffer that was loaded at some time, and what the person wrote into it since the last save."""

    text: str
    ordered: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)


@dataclass
class World:
    chance: random.Random
    history: list[tuple[int | None, str]]
    editors: list[Editor] = field(default_factory=list)
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    mux: dict[str, str] = field(default_factory=dict)  # the last attempt that mux wrote, by task
    gone: set[str] = field(default_factory=set)  # tasks that a save deleted at some time
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    in_force: list[str] = field(default_factory=list)

    @property
    def ours(self) -> str:
        return self.in_force[-1]

    def word(self) -> str:
        return f"w{self.chance.randrange(10**12)}w"


def new_task(world: World, name: str, status: str = "draft") -> str:
    lines = [world.chance.choice(WORDS[:-1]) for _ in range(world.chance.randint(0, 5))]
    return f"## {name}: Title\n\n```yaml\nstatus: {status}\nagent: shell\npriority: 1\n```\n\n" + "\n".join(
        [*lines, "", ""]
    )


def new_world(chance: random.Random) -> World:
    world = World(chance, [])
    tasks = "".join(new_task(world, f"t{number}") for number in range(chance.randint(1, 4)))
    top = chance.choice(["", "Hello.\n\n", "# Board\n\nHello.\n\n"])
    first = f"---\nrepo: . # here\nmux:\n  rev: 1\n---\n\n{top}{tasks}"
    world.history.append((1, first))
    world.in_force.append(first)
    return world


def shape(text: str) -> list[tuple[Kind, str]]:
    return [(part.kind, part.id or part.heading) for part in sections(f"{text}\n\n# end\n")]


# --- what people do ---------------------------------------------------------------------------------------------------


def add_line(world: World, editor: Editor) -> None:
    parts = [part.text for part in sections(editor.text)]
    index = world.chance.randrange(len(parts))
    part = sections(editor.text)[index]
    word = world.word()
    if part.kind is Kind.FRONT or (part.yaml and world.chance.random() < 0.3):
        assert part.yaml
        at = part.yaml[0]
        parts[index] = part.text[:at] + f"# {word}\n" + part.text[at:]
    else:
        start = part.prompt if part.kind is Kind.TASK else len(part.text.split("\n")[0]) + 1
        lines = part.text[start:].split("\n")
        lines.insert(world.chance.randint(0, len(lines)), word)
        parts[index] = part.text[:start] + "\n".join(lines)
        if shape("".join(parts)) != shape(editor.text):
            return  # it would make a heading or leave a fence open
    editor.text = "".join(parts)
    world.added.add(word)


def change_line(world: World, editor: Editor) -> None:
    """Replaces or removes a line of a prompt."""
    parts = sections(editor.text)
    index = world.chance.randrange(len(parts))
    part = parts[index]
    lines = part.text[part.prompt :].split("\n")
    at = world.chance.randrange(len(lines))
    if part.kind is not Kind.TASK or "mux conflict" in part.text:
        return
    old, lines[at] = lines[at], world.word()
    if world.chance.random() < 0.3:
        lines[at] = ""
    changed = part.text[: part.prompt] + "\n".join(lines)
    text = "".join([*(each.text for each in parts[:index]), changed, *(each.text for each in parts[index + 1 :])])
    if shape(text) == shape(editor.text):
        editor.text = text
        editor.removed |= set(TOKEN.findall(old))
        world.added |= set(TOKEN.findall(lines[at]))


def change_key(world: World, editor: Editor) -> None:
    editor.text = re.sub(r"priority: \d+", f"priority: {world.chance.randint(1, 9)}", editor.text, count=1)


def set_status(world: World, editor: Editor) -> None:
    names = [part.id for part in sections(editor.text) if part.id]
    if names:
        name = world.chance.choice(names)
        editor.text = edit.apply(editor.text, [edit.Change(name, world.chance.choice(sorted(PERSON_STATUSES)))])
        editor.ordered.add(name)


def add_task(world: World, editor: Editor) -> None:
    parts = [part.text for part in sections(editor.text)]
    name = f"n{next(world.numbers)}"
    task = new_task(world, name, world.chance.choice(["draft", "ready", "running"])).replace(
        "Title", word := world.word()
    )
    parts.insert(world.chance.randint(1, len(parts)), task)
    text = "".join(part if part.endswith("\n") else f"{part}\n\n" for part in parts)
    if any(part.id == name for part in sections(text)):
        editor.text = text
        editor.ordered.add(name)
        world.added.add(word)


def drop_task(world: World, editor: Editor) -> None:
    own = [part.id for part in sections(editor.text) if part.id]
    if len(own) < 2:
        return
    name = world.chance.choice(own)
    part = next(part for part in sections(editor.text) if part.id == name)
    editor.text = editor.text.replace(part.text, "", 1)
    editor.removed |= set(TOKEN.findall(part.text))
    world.gone.add(name)


def move_task(world: World, editor: Editor) -> None:
    parts = [part.text for part in sections(editor.text)]
    own = [index for index, part in enumerate(sections(editor.text)) if part.id]
    if own and parts[-1].endswith("\n"):
        moving = parts.pop(world.chance.choice(own))
        parts.insert(world.chance.randint(min(own), len(parts)), moving)
        editor.text = "".join(parts)


def touch_mux(world: World, editor: Editor) -> None:
    how = world.chance.choice(["  attempt: 99\n", "", "  attempt: [\n"])
    editor.text = re.sub(r"  attempt: \d+\n", how, editor.text, count=1)


def restyle(world: World, editor: Editor) -> None:
    plain = editor.text.replace("\r\n", "\n").removeprefix("\ufeff")
    editor.text = world.chance.choice(
        [plain, plain.replace("\n", "\r\n"), f"\ufeff{plain}", re.sub(r" +\n", "\n", plain), plain.rstrip("\n")]
    )


EDITS = [add_line, add_line, add_line, change_line, change_line, change_key, set_status, set_status]
EDITS += [add_task, drop_task, move_task, touch_mux]


# --- what the keeper does ---------------------------------------------------------------------------------------------


def load(world: World) -> None:
    old = world.chance.random() < 0.3
    world.editors.append(Editor(world.chance.choice(world.history)[1] if old else world.ours))


def mux_writes(world: World) -> None:
    board = parse(world.ours, ["shell"])
    if not board.tasks:
        return
    name = world.chance.choice(board.tasks).id
    attempt = str(int(world.mux.get(name, "0")) + 1)
    changed = edit.apply(world.ours, [edit.Change(name, world.chance.choice(MUX_WORDS), {"attempt": int(attempt)})])
    if changed != world.ours:
        world.mux[name] = attempt
        accept(world, edit.apply(changed, (), (board.rev or 0) + 1))


def taken_for_removed(bases: list[str], theirs: str, found: Callable[[str], list[str]]) -> set[str]:
    """Where several people save on one revision many times, the file does not tell whose buffer a save is: what the
    nearest version has and the save has not may be taken for removed. (Two edits never are: see the test below.)"""
    if len(bases) < 2:
        return set()
    nearest = min(reversed(bases), key=lambda text: distance(version(text), version(theirs)))
    return set(found(nearest)) - set(found(theirs))


def accept(world: World, text: str) -> None:
    world.in_force.append(text)
    world.history.append((parse(text, ["shell"]).rev, text))


def save(world: World, editor: Editor) -> None:
    before, theirs = world.ours, editor.text
    rev = parse(theirs, ["shell"]).rev
    bases = [text for number, text in world.history if number == rev]
    merged = merge(bases, theirs, before, world.in_force)
    if theirs in bases:
        assert merged.text == before
    assert set(merged.orders) <= editor.ordered
    if merged.text == theirs:
        accept(world, theirs)
    else:
        if merged.text != before:
            accept(world, edit.apply(merged.text, (), (parse(before, ["shell"]).rev or 0) + 1))
        world.history.append((rev, theirs))
    editor.ordered.clear()
    world.removed |= editor.removed | taken_for_removed(bases, theirs, TOKEN.findall)
    world.gone |= taken_for_removed(bases, theirs, lambda text: [part.id for part in sections(text)])
    again = merge([text for number, text in world.history if number == rev], theirs, world.ours, world.in_force)
    assert (again.text, again.orders) == (world.ours, ())
    check(world, before, theirs)


def check(world: World, before: str, theirs: str) -> None:
    board = parse(world.ours, ["shell"])
    ids = [part.id for part in sections(world.ours) if part.id]
    assert len(ids) == len(set(ids)), ids
    present = set(TOKEN.findall(world.ours))
    saved = {word for _, text in world.history for word in TOKEN.findall(text)}
    assert not (world.added & saved) - world.removed - present
    for task in board.tasks:
        known = {world.mux.get(task.id)} | ({None} if task.id in world.gone else set())
        readable = not any("cannot" in problem.text for problem in task.problems)
        assert task.mux.get("attempt") in known or not readable
    for task in parse(before, ["shell"]).tasks:
        if task.id not in board.by_id:
            assert task.id in world.gone
    assert board.rev is not None


def step(world: World) -> None:
    action = world.chance.random()
    if action < 0.15 or not world.editors:
        load(world)
    elif action < 0.35:
        mux_writes(world)
    else:
        editor = world.chance.choice(world.editors)
        for _ in range(world.chance.randint(0, 3)):
            world.chance.choice(EDITS)(world, editor)
        if world.chance.random() < 0.2:
            restyle(world, editor)
        if world.chance.random() < 0.6:
            save(world, editor)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_people_and_mux_do_nothing_is_lost_and_nothing_runs_by_itself(seed: int) -> None:
    world = new_world(random.Random(seed))
    for _ in range(25):
        step(world)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_two_people_with_one_revision_both_have_their_edits_in_or_in_conflict(seed: int, mux_between: bool) -> None:
    world = new_world(random.Random(seed))
    editors = [Editor(world.ours), Editor(world.ours)]
    for editor in editors:
        while editor.text == world.history[0][1]:
            world.chance.choice([add_line, change_line, add_task])(world, editor)
        bases = [text for number, text in world.history if number == 1]
        merged = merge(bases, editor.text, world.ours, world.in_force)
        if merged.text == editor.text:
            accept(world, editor.text)
        else:
            accept(world, edit.apply(merged.text, (), len(world.in_force) + 1))
            world.history.append((1, editor.text))
        if mux_between:
            mux_writes(world)
    assert not world.added - set(TOKEN.findall(world.ours))


LINES = st.lists(st.sampled_from(["a", "b", "c", "", "- d"]), max_size=8).map("\n".join)


@settings(max_examples=500, deadline=None)
@given(LINES, LINES, LINES, LINES)
def test_a_text_merged_twice_is_the_same_and_markers_never_nest(base: str, theirs: str, ours: str, third: str) -> None:
    once, _ = merge_text(base, theirs, ours)
    for text in (once, merge_text(base, third, once)[0], merge_text(None, third, once)[0]):
        marks = [found[0][len("<!-- mux conflict: ")] for found in CONFLICT_LINE.finditer(text)]
        assert re.fullmatch(r"(ka+e)*", "".join(marks))
    assert not set(theirs.split("\n")) - set(base.split("\n")) - set(once.split("\n")) - {""}
    assert merge_text(once, once, ours) == (ours, False)
    assert merge_text(once, theirs, once)[0] == theirs


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_markers_have_the_line_breaks_of_the_board(ending: str) -> None:
    merged, conflict = merge_text("a", f"b{ending}x", f"c{ending}y")
    assert conflict
    assert re.sub(ending, "", merged).count("\n") == re.sub(ending, "", merged).count("\r") == 0
