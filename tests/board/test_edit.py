from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.edit import Change, append_task, apply, remove_tasks, set_status
from board.errors import BoardUnreadable, MuxError
from board.frontmatter import Block, Entry, read_block
from board.model import Status
from board.parse import Kind, parse, sections
from tests.board.boards import boards

AGENTS = frozenset({"shell"})
_KEYS = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
_TEXTS = st.one_of(
    st.integers(-9, 10**6),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        [
            "",
            " ",
            "a: b",
            "a #b",
            "#a",
            "- a",
            "yes",
            "null",
            "1e3",
            "0x1f",
            "'",
            '"',
            "{a}",
            "[",
            "x]",
            "a,b",
            "@",
            "`",
            "*a",
            "&a",
            "!a",
            "%a",
            "|",
            ">",
            "?",
            "? a",
            "-",
            "---",
            "...",
            "~",
            "a:",
            ":a",
            "\t",
            "a\nb",
            "\u2028",
            "\x85",
            "\ufeff",
            "2026-11-23T08:01:12Z",
            "3f2c1ab",
            "😀",
            "```",
            "\x7f",
            "a  ",
            "=",
            "<<",
        ]
    ),
)
_CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from(["t0", "t1", "t2", "t3", "missing"]),
        st.one_of(st.none(), st.sampled_from(list(Status))),
        st.one_of(st.none(), st.dictionaries(_KEYS, _TEXTS, max_size=4)),
    ),
    max_size=4,
    unique_by=lambda change: change.task,
)


def one(keys: str) -> str:
    return f"## a: b\n\n```yaml\n{keys}```\n\nprompt\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "status: done\n"),
        ("# only\n", "status: done\n# only\n"),
        ("status: ready\n", "status: done\n"),
        ("status:   'ready'   # mine\n", "status:   done   # mine\n"),
        ("status:\n", "status: done\n"),
        ("status: # mine\n", "status: done # mine\n"),
        ("status: |  # mine\n  ready\nport: 1\n", "status: done  # mine\nport: 1\n"),
        ("status:\n  ready # mine\n", "status:\n  done # mine\n"),
        ("status: # mine\n- x\n", "status: done # mine\n\n"),
        ("  priority: 1\n", "  status: done\n  priority: 1\n"),
        ("{}\n", "{status: done}\n"),
        ("{priority: 1}\n", "{status: done, priority: 1}\n"),
        ('{"status":"ready","priority":1}\n', '{"status": done,"priority":1}\n'),
        ("# status: no\nrun: 'status: no'\nstatus: x\n", "# status: no\nrun: 'status: no'\nstatus: done\n"),
        ("status: done # as it is\n", "status: done # as it is\n"),
        ('status: "done"\n', 'status: "done"\n'),
        ("status: [broken\n", "status: [broken\n"),
    ],
)
def test_status(before: str, after: str) -> None:
    assert apply(one(before), [Change("a", Status.DONE)]) == one(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'mux:\n  n: 1\n  why: "a: b"\n'),
        ("x: 1\n# end\n", 'x: 1\n# end\nmux:\n  n: 1\n  why: "a: b"\n'),
        (
            "mux:\n  n: 0\n  # inside\n\n# mine\nx: 1 # y\n",
            'mux:\n  n: 1\n  why: "a: b"\n  # inside\n\n# mine\nx: 1 # y\n',
        ),
        ("mux: # c\nx: 1\n", 'mux:\n  n: 1\n  why: "a: b"\nx: 1\n'),
        ("mux: {n: 0}\nx: 1\n", 'mux:\n  n: 1\n  why: "a: b"\nx: 1\n'),
        ("mux:\n- 1\nx: 1\n", 'mux:\n  n: 1\n  why: "a: b"\nx: 1\n'),
        (" x: 1\n", ' x: 1\n mux:\n   n: 1\n   why: "a: b"\n'),
        ("{x: 1, }\n", '{x: 1, mux: {n: 1, why: "a: b"}, }\n'),
        ("{mux: , x: 1}\n", '{mux: {n: 1, why: "a: b"}, x: 1}\n'),
        ("mux: {n: '1', why: 'a: b'} # as it is\n", "mux: {n: '1', why: 'a: b'} # as it is\n"),
    ],
)
def test_mux(before: str, after: str) -> None:
    assert apply(one(before), [Change("a", mux={"n": 1, "why": "a: b"})]) == one(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "---\nmux:\n  rev: 5\n---\n"),
        ("\ufeff# x\r\n", "\ufeff---\r\nmux:\r\n  rev: 5\r\n---\r\n# x\r\n"),
        ("---\n---\n", "---\nmux:\n  rev: 5\n---\n"),
        ("---\nrepo: . # r\nmux: {rev: 4}\nbase: x\n---", "---\nrepo: . # r\nmux:\n  rev: 5\nbase: x\n---"),
        ("---\nmux:\n  rev: 4\n  x: y\n---\n", "---\nmux:\n  rev: 5\n  x: y\n---\n"),
        ("---\nmux: nonsense\n---\n", "---\nmux:\n  rev: 5\n---\n"),
    ],
)
def test_rev(before: str, after: str) -> None:
    assert apply(before, [], 5) == after
    assert parse(after, AGENTS).rev == 5
    assert apply(after, [], 5) == after


@settings(max_examples=1000, deadline=None)
@given(boards(), _CHANGES, st.one_of(st.none(), st.integers(0, 10**6)))
def test_changes_say_what_they_should_and_touch_nothing_else(text: str, changes: list[Change], rev: int | None) -> None:
    board = parse(text, AGENTS)
    result = apply(text, changes, rev)
    again = parse(result, AGENTS, board)
    assert again == parse(result, AGENTS)
    assert apply(result, changes, rev) == result
    assert again.rev == (board.rev if rev is None else rev)
    assert [each.id for each in again.tasks] == [each.id for each in board.tasks]
    by_task = {change.task: change for change in changes}
    for old, new in zip(board.tasks, again.tasks, strict=True):
        change = by_task.get(old.id, Change(old.id))
        broken = _block(text, old.id).problem is not None
        expected = old.status if change.status is None or broken else change.status
        assert new.status is expected
        if change.mux is not None and not broken:
            assert dict(new.mux) == {key: str(value) for key, value in change.mux.items()}
        else:
            assert new.mux == old.mux
        assert (new.prompt, new.title, new.settings) == (old.prompt, old.title, old.settings)
        assert _comments(text, old.id) <= _comments(result, old.id)
        _same_other_lines(text, result, old.id)
    assert _without_owned(result) == _without_owned(text)


def _yaml(text: str, task: str) -> str:
    return next(part.yaml_text for part in sections(text) if part.id == task).replace("\r\n", "\n")


def _block(text: str, task: str) -> Block:
    return read_block(_yaml(text, task))


def _lines_of(yaml: str, entry: Entry | None) -> set[int]:
    if entry is None:
        return set()
    return set(range(yaml.count("\n", 0, entry.key.start), yaml.count("\n", 0, entry.value.end) + 1))


def _comments(text: str, task: str) -> set[str]:
    """The comments that are a person's: those outside the `mux:` key."""
    yaml, block = _yaml(text, task), _block(text, task)
    owned = _lines_of(yaml, block.entry("mux")) if block.root and not block.root.flow else set()
    lines = [line for number, line in enumerate(yaml.split("\n")) if number not in owned]
    return {found for line in lines for found in re.findall(r" # \w+$|^# \w+$", line)}


def _same_other_lines(before: str, after: str, task: str) -> None:
    """In a block mapping every line outside the two owned keys is there as it was, in order."""
    rest = []
    for text in (before, after):
        yaml, block = _yaml(text, task), _block(text, task)
        if block.problem or (block.root and block.root.flow):
            return
        owned = _lines_of(yaml, block.entry("status")) | _lines_of(yaml, block.entry("mux"))
        rest.append([line for number, line in enumerate(yaml.split("\n")) if number not in owned and line.strip()])
    assert rest[0] == rest[1]


def _without_owned(text: str) -> list[str]:
    """Every section's text without its yaml block; the front matter by its values."""
    rest = []
    for part in sections(text):
        if part.kind is Kind.FRONT:
            values = parse(part.text, AGENTS).settings
            rest.append(repr(values) if values != parse("", AGENTS).settings else "")
        elif part.yaml and part.kind is Kind.TASK:
            rest.append(part.text[: part.yaml[0]] + part.text[part.yaml[1] :])
        else:
            rest.append(part.text.removeprefix("\ufeff"))
    return [each for each in rest if each]


def test_an_order_through_a_command() -> None:
    text = one("status: draft\n")
    assert set_status(text, "a", Status.READY) == one("status: ready\n")
    with pytest.raises(MuxError, match=r"no task 'aa' on the board: did you mean 'a'\?"):
        set_status(text, "aa", Status.READY)
    with pytest.raises(MuxError, match=r"line 5\): a tab"):
        set_status(one("x: 1\n\ty: 1\n"), "a", Status.READY)


@pytest.mark.parametrize("text", ["", "\ufeff", "# x", "# x\r\n", one(""), one("").rstrip("\n"), "---\nrepo: .\n---\n"])
def test_append(text: str) -> None:
    result = append_task(text, "new", "A  new\none", "status: draft\n", "\nDo it.\n\n```sh\nmake\n```\n")
    assert result.startswith(text)
    task = parse(result, AGENTS).by_id["new"]
    assert (task.title, task.status, task.prompt) == ("A new one", Status.DRAFT, "Do it.\n\n```sh\nmake\n```")
    assert ("\r\n" in result) == ("\r\n" in text)


@pytest.mark.parametrize(
    ("text", "task", "prompt", "says"),
    [
        ("", "Bad Id", "x", "no task id"),
        (one(""), "a", "x", "already"),
        ("```\nopen\n", "b", "x", "line 1 of the board"),
        ("<!-- open\n", "b", "x", "read back"),
        ("", "b", "## evil: x\n```yaml\nstatus: ready\n```\n", "read back"),
        ("", "b", "# One\n", "read back"),
        ("", "b", "```\nopen", "read back"),
    ],
)
def test_append_refuses_what_would_read_differently(text: str, task: str, prompt: str, says: str) -> None:
    with pytest.raises(MuxError, match=says):
        append_task(text, task, "T", "status: draft", prompt)


def test_append_refuses_yaml_that_leaves_its_block() -> None:
    with pytest.raises(MuxError):
        append_task("", "b", "T", "status: draft\n```\n\n## evil: x\n```yaml\nstatus: ready", "")


def test_remove() -> None:
    text = "# P\n\n" + one("").replace("## a", "## x") + "# Between\n" + one("")
    left, removed = remove_tasks(text, ["x"])
    assert left == "# P\n\n# Between\n" + one("")
    assert removed == one("").replace("## a", "## x")
    assert remove_tasks(text, ["nobody"]) == (text, "")


def test_remove_refuses_to_run_texts_together() -> None:
    with pytest.raises(MuxError, match="run together"):
        remove_tasks("# P\nwords\n" + one("") + "Title\n===\n", ["a"])


@settings(max_examples=300, deadline=None)
@given(boards(), st.sets(st.sampled_from(["t0", "t1", "t2", "t3"])))
def test_remove_takes_nothing_else(text: str, ids: set[str]) -> None:
    try:
        left, removed = remove_tasks(text, ids)
    except (MuxError, BoardUnreadable):
        return
    assert sorted(left + removed) == sorted(text)
    assert not ids & parse(left, AGENTS).by_id.keys()
