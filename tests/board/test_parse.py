from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board import sections as splitting
from board.errors import BoardUnreadable
from board.model import Board, Status
from board.order import rings
from board.parse import Kind, decode, parse, sections
from board.sections import first_lines
from tests.board.boards import boards, markdown

AGENTS = frozenset({"shell", "claude", "codex"})


def task(keys: str = "", name: str = "a", prompt: str = "Do it.") -> str:
    return f"## {name}: Title\n\n```yaml\n{keys}\n```\n\n{prompt}\n\n"


def read(text: str) -> Board:
    return parse(text, AGENTS)


def errors(text: str) -> list[tuple[int, str | None]]:
    return [(problem.line, problem.task) for problem in read(text).problems if problem.severity == "error"]


def messages(text: str) -> str:
    return "\n".join(problem.text for problem in read(text).problems)


def test_the_board_of_the_documentation() -> None:
    text = (
        "---\nboard: shop\nagent: claude\nmax_workers: 2\nsetup: [npm ci]\n"
        "env: {A: '1'}\nmux:\n  rev: 17\n---\n\n# Shop\n\n"
        "Prose.\n\n## add-tests: Add tests\n```yaml\nstatus: done\n```\n\n## fix-login: Fix the login\n\n```yaml\n"
        "status: running\nagent: codex\nafter: [add-tests]\nenv: {B: 2}\n"
        "mux:\n  attempt: 2\n  since: 2026-11-23T08:01:12Z\n"
        "```\n\nUsers land on /cart.\n\n### Details\n```sh\n## not a heading\n```\n"
    )
    board = read(text)
    assert board.problems == ()
    assert (board.rev, board.settings.board, board.settings.max_workers) == (17, "shop", 2)
    first, second = board.tasks
    assert (first.id, first.title, first.status, first.prompt, first.line) == (
        "add-tests",
        "Add tests",
        Status.DONE,
        "",
        15,
    )
    assert (second.settings.agent, second.settings.setup, second.settings.after) == (
        "codex",
        ("npm ci",),
        ("add-tests",),
    )
    assert second.settings.env == {"A": "1", "B": "2"}
    assert (second.attempt, second.mux["since"]) == (2, "2026-11-23T08:01:12Z")
    assert second.prompt == "Users land on /cart.\n\n### Details\n```sh\n## not a heading\n```"
    assert board.by_id["fix-login"] is second


@pytest.mark.parametrize("text", ["", "\ufeff", "# Only prose\n", "---\n---\n", "\n\n", "---\nmux:\n  rev: 1\n---"])
def test_an_empty_board_is_fine(text: str) -> None:
    assert (read(text).tasks, read(text).problems) == ((), ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("---\nrepo: .\n", "board.md:1: "),
        ("---\nrepo: .\n\tbase: x\n---\n", "board.md:3: a tab"),
        ("---\na: [1\n---\n", "board.md:2: a `[` is opened"),
        ("---\r\nrepo: a\r\nrepo: b\r\n---\r\n", "board.md:3: the key 'repo' is given twice"),
        ("---\n- a\n---\n", "board.md:2: this is not a list of keys"),
        ("---\nbase: &x main\n---\n", "board.md:2: `&`"),
        ("---\nbase: 'x\n---\n", "board.md:2: a quote is opened"),
        ("---\na: b: c\n---\n", "board.md:2: a `:`"),
        ("---\nrepo: .\nword\n---\n", "board.md:3: this line has no `:`"),
        ("---\na: @x\n---\n", "board.md:2: a value cannot begin with @"),
        ("---\na: " + "[" * 200 + "\n---\n", "board.md:2: values are nested"),
        ("---\na: \u2028\n---\n", "board.md:2: an invisible character (U+2028)"),
        ("---\na: !!str x\n---\n", "board.md:2: `!` (a tag)"),
        ("---\na: 1\n...\n---\n", "has no place inside"),
        ("---\nsetup: [npm run a:b]\n---\n", "board.md:2: a value that holds `:` inside"),
        ("---\n{a}\n---\n", "board.md:2: this is no `key: value`"),
    ],
)
def test_a_front_matter_that_cannot_be_read(text: str, says: str) -> None:
    with pytest.raises(BoardUnreadable) as raised:
        read(text)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"a\nb\0", "board.md:2: "), (b"a\n\n\xff", "board.md:3: "), (b"x" * (20 * 1024 * 1024 + 1), "too many")],
)
def test_bytes_that_are_no_board(data: bytes, says: str) -> None:
    with pytest.raises(BoardUnreadable, match=says):
        decode(data)


@pytest.mark.parametrize(
    ("text", "line", "name", "says"),
    [
        (task("prioritty: 1"), 4, "a", "unknown key 'prioritty': did you mean 'priority'?"),
        (task("priority: high"), 4, "a", "`priority` must be a whole number, for example `priority: 5`"),
        (task("status: redy"), 4, "a", "unknown status 'redy': did you mean 'ready'?"),
        (task("status:"), 4, "a", "`status` must be one word"),
        (task("agent: cluade"), 4, "a", "unknown agent 'cluade': did you mean 'claude'?"),
        (task("agent: zzz"), 4, "a", "known are claude, codex, shell"),
        (task("status: ready\n\tagent: x"), 5, "a", "a tab"),
        (task("after: [b]") + task("", "bb"), 4, "a", "'b', which is no task on the board: did you mean 'bb'?"),
        (task("after: a"), 4, "a", "names the task itself"),
        (task("max_workers: 1"), 4, "a", "belongs to the whole board"),
        (task("done_when: [check]"), 4, "a", "asks for `check`, and there is none: add `check: command` here"),
        (task("status: draft\ndone_when: [clean, check]"), 5, "a", "asks for `check`"),
        ("---\ndone_when: [check]\n---\n" + task("priority: 1"), 7, "a", "`done_when` of the board asks for `check`"),
        (task("done_when: [comitted]"), 4, "a", "did you mean 'committed'?"),
        (task("copy: [../x]"), 4, "a", "leads out of the repository"),
        (task("env: {A-B: 1}"), 4, "a", "no name of an environment variable"),
        (task("status: ready\nagent: shell"), 4, "a", "nothing to run"),
        (task("timeout: 10"), 4, "a", "`timeout` must be a duration"),
        (task("base: --upload-pack=x"), 4, "a", "`base` must be"),
        ("## ../etc: x\n\n```yaml\n```\n", 1, "../etc", "write `## etc: x`"),
        ("## Fix It: x\n\n```yaml\n```\n", 1, "Fix It: x", "write `## fix-it: x`"),
        ("## Fix it\n\n```yaml\n```\n", 1, "Fix it", "no id: write `## fix-it: Fix it`"),
        (task("status: draft", prompt="```\nopen"), 7, "a", "never closed"),
        ("## a: b\n\n```yaml\nstatus: draft\n", 3, "a", "never closed"),
        ("---\nafter: [x]\n---\n", 2, None, "belongs to a task"),
        ("---\nagent: x\n---\n", 2, None, "unknown agent"),
    ],
)
def test_problems_name_line_task_and_remedy(text: str, line: int, name: str | None, says: str) -> None:
    board = read(text)
    found = [(problem.line, problem.text) for problem in board.problems if problem.severity == "error"]
    assert says in "\n".join(each for _, each in found)
    assert line in [each for each, _ in found]
    assert {problem.line for problem in board.problems if says in problem.text} == {line}
    if name is None:
        assert not board.sound
    else:
        assert board.sound
        assert not any(each.sound for each in board.tasks if each.id == name)


def test_a_word_that_is_no_status_is_kept() -> None:
    [only] = read(task("status: nonsense")).tasks
    assert (only.status, only.written_status) == (Status.DRAFT, "nonsense")


def test_a_duplicate_stops_both_and_names_both_lines() -> None:
    board = read(task() + task() + task("", "b"))
    assert [each.sound for each in board.tasks] == [False, False, True]
    assert "also on line 9" in board.tasks[0].problems[0].text
    assert "also on line 1" in board.tasks[1].problems[0].text
    assert board.by_id["a"] is board.tasks[0]


def test_a_circle_is_shown_whole_and_stops_all_in_it() -> None:
    text = task("after: [b]", "a") + task("after: [c]", "b") + task("after: [a]", "c") + task("after: [a]", "d")
    board = read(text)
    assert [each.sound for each in board.tasks] == [False, False, False, True]
    assert "a -> b -> c -> a" in board.tasks[1].problems[0].text


def test_many_circles_are_found_in_a_moment() -> None:
    after = {f"{side}{index}": [f"{'ba'[side == 'b']}{index}"] for index in range(20000) for side in "ab"}
    start = time.process_time()
    assert len(rings(after)) == 20000
    assert time.process_time() - start < 5


def test_warnings_stop_nothing() -> None:
    board = read(
        "---\nsandbox: true\nstuck_after: 1h\n---\n\n" + task("sandbox: true\nrestart: never") + "## Notes\n\nmine\n"
    )
    assert [(problem.line, problem.severity) for problem in board.problems] == [
        (2, "warning"),
        (9, "warning"),
        (15, "warning"),
    ]
    assert board.sound and board.tasks[0].sound
    assert board.tasks[0].settings.restart.when == "never"


def test_agents_of_the_board_are_known() -> None:
    board = read("---\nagents: {mine: {start: [x]}}\n---\n\n" + task("agent: mine\nstatus: ready"))
    assert board.problems == ()


@pytest.mark.parametrize("prompt", ["```sh\nmake\n```", "text\n\n```bash\nmake\n```"])
def test_a_shell_task_runs_its_block(prompt: str) -> None:
    assert read(task("status: ready", prompt=prompt)).problems == ()


def test_line_endings_do_not_change_what_is_read() -> None:
    text = (
        "---\nrepo: x\nmux:\n  rev: 3\n---\n"
        + task("status: ready\nrun: |\n  a\n  b", prompt="```sh\na\n```\n")
        + task("bad: 1", "b")
    )
    plain, windows = read(text), read(text.replace("\n", "\r\n"))
    assert (plain.settings, plain.rev, plain.tasks, plain.problems) == (
        windows.settings,
        windows.rev,
        windows.tasks,
        windows.problems,
    )


@settings(max_examples=400, deadline=None)
@given(st.one_of(markdown(), boards()))
def test_sections_are_the_whole_text(text: str) -> None:
    parts = sections(text)
    assert "".join(part.text for part in parts) == text
    for part, line in zip(parts, first_lines(parts), strict=True):
        assert part.kind is not Kind.TASK or part.id in part.text
        assert line >= 1


@settings(max_examples=600, deadline=None)
@given(st.lists(st.one_of(markdown(), boards()), min_size=1, max_size=3), st.data())
def test_a_split_is_the_same_whatever_was_split_before(pieces: list[str], data: st.DataObject) -> None:
    old = "".join(pieces)
    start = data.draw(st.integers(0, len(old)))
    end = data.draw(st.integers(start, min(len(old), start + 40)))
    new = (
        old[:start]
        + data.draw(st.one_of(st.just(""), st.sampled_from(["x", "#", "\n", "```", "-->", "<!--"]), markdown()))
        + old[end:]
    )
    splitting.sections.cache_clear()
    splitting._recent[0] = ()
    fresh = sections(new)
    splitting.sections.cache_clear()
    splitting._recent[0] = ()
    sections(old)
    assert sections(new) == fresh


@settings(max_examples=400, deadline=None)
@given(boards(), boards(), st.booleans())
def test_parsing_with_a_previous_board_changes_nothing(one: str, two: str, both: bool) -> None:
    try:
        previous = read(one)
        text = one + "\n" + two.removeprefix("\ufeff") if both else two
        expected = read(text)
    except BoardUnreadable:
        return
    assert parse(text, AGENTS, previous) == expected
    assert parse(text, {"shell"}, previous) == parse(text, {"shell"})


def test_a_task_that_did_not_change_is_used_again() -> None:
    board = read(task("", "a") + task("", "b"))
    again = parse("\n" + board.text.replace("## b: Title", "## b: New"), AGENTS, board)
    assert again.tasks[0].settings is board.tasks[0].settings
    assert [(each.title, each.line) for each in again.tasks] == [("Title", 2), ("New", 10)]
