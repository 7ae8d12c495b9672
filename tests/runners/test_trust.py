from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from board.errors import MuxError
from board.model import Board, BoardSettings, Status, Task, TaskSettings
from runners.trust import commands_of, is_trusted, trust, visible


@pytest.fixture
def state(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path / "home")}


def board_file(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "board.md"
    path.write_text("# Board\n")
    return path


def test_a_board_is_trusted_once_by_its_path(tmp_path: Path, state: dict[str, str]) -> None:
    one, other = board_file(tmp_path / "a ü"), board_file(tmp_path / "b")
    assert not is_trusted(one, state)
    trust(one, state)
    trust(one, state)
    assert is_trusted(one, state)
    assert not is_trusted(other, state)
    trust(other, state)
    assert is_trusted(one, state) and is_trusted(other, state)


def test_a_link_and_its_target_are_one_board(tmp_path: Path, state: dict[str, str]) -> None:
    real = board_file(tmp_path / "real")
    link = tmp_path / "link.md"
    link.symlink_to(real)
    trust(link, state)
    assert is_trusted(real, state)
    link.unlink()
    link.symlink_to(board_file(tmp_path / "foreign"))
    assert not is_trusted(link, state)


def test_a_path_that_is_no_text_is_remembered(tmp_path: Path, state: dict[str, str]) -> None:
    path = board_file(Path(os.fsdecode(os.fsencode(tmp_path) + b"/x\xff")))
    trust(path, state)
    assert is_trusted(path, state)
    assert not is_trusted(board_file(tmp_path / "x%FF"), state)


def test_what_is_remembered_is_private(tmp_path: Path, state: dict[str, str]) -> None:
    trust(board_file(tmp_path), state)
    path = tmp_path / "state" / "mux" / "trusted.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("given", ["", "relative/state"])
def test_without_a_state_folder_it_is_in_the_home(tmp_path: Path, given: str) -> None:
    trust(board_file(tmp_path), {"XDG_STATE_HOME": given, "HOME": str(tmp_path / "home")})
    assert (tmp_path / "home" / ".local" / "state" / "mux" / "trusted.json").is_file()


@pytest.mark.parametrize("text", ["{", "[]", '{"boards": []}'])
def test_a_damaged_file_trusts_nothing_and_says_so(tmp_path: Path, state: dict[str, str], text: str) -> None:
    path = tmp_path / "state" / "mux" / "trusted.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(MuxError, match=r"trusted\.json"):
        is_trusted(board_file(tmp_path), state)
    with pytest.raises(MuxError, match=r"trusted\.json"):
        trust(board_file(tmp_path), state)
    assert path.read_text() == text


def test_it_cannot_be_written_where_a_file_stands(tmp_path: Path, state: dict[str, str]) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(MuxError, match="state"):
        trust(board_file(tmp_path), state)


DEFAULTS = TaskSettings(setup=("npm ci",), copy=(".env",), env={"A": "1"})


def task(number: int, prompt: str = "", **settings: object) -> Task:
    merged = {"setup": ("npm ci",), "copy": (".env",), "env": {"A": "1"}, **settings}
    return Task(f"t{number}", "T", Status.DRAFT, prompt, number * 10, TaskSettings(**merged))  # type: ignore[arg-type]


def shown(*tasks: Task, **settings: object) -> list[tuple[str, str]]:
    return commands_of(Board("", BoardSettings(defaults=DEFAULTS, **settings), tasks=tasks))  # type: ignore[arg-type]


COMMON = [("board, setup", "npm ci"), ("board, copy", ".env"), ("board, env", "A=1")]


def test_all_that_would_run_is_shown_with_its_place() -> None:
    found = shown(
        task(1, "```sh\nmake\n```"),
        task(2, run=("rm", "-rf", "a b")),
        task(3, run="one\ntwo\n", setup=("other",), check="t"),
        task(4, "Fix it", agent="claude", env={"PATH": "/evil"}, copy=("key",)),
    )
    assert found[:3] == COMMON
    assert found[3:8] == [
        ("line 10, t1, sh", "make"),
        ("line 20, t2, run", "rm -rf 'a b'"),
        ("line 30, t3, setup", "other"),
        ("line 30, t3, check", "t"),
        ("line 30, t3, sh", "one\ntwo"),
    ]
    assert found[8:10] == [("line 40, t4, copy", "key"), ("line 40, t4, env", "PATH=/evil")]
    assert found[10][0] == "line 40, t4, claude" and found[10][1].startswith("claude --print ")
    assert len(found) == 11


def test_the_board_s_own_agents_are_shown_even_when_no_task_names_them() -> None:
    mine = {"program": "./evil", "headless": {"start": ["{program}", "{options}", "{prompt}"]}, "options": ["-x"]}
    found = shown(agents={"mine": mine})
    assert found[3:] == [("board, agents.mine.headless.start", "./evil -x '{prompt}'")]


def test_what_an_agent_is_started_with_is_shown_too() -> None:
    mode = {"start": ["m", "{prompt}"], "environment": {"CONFIG": "{files}/c"}}
    found = shown(agents={"mine": {"interactive": mode, "files": {"c": "hook: ./evil\n"}}})
    assert found[3:] == [
        ("board, agents.mine.interactive.start", "m '{prompt}'"),
        ("board, agents.mine.interactive.environment", "CONFIG={files}/c"),
        ("board, agents.mine.files, c", "hook: ./evil"),
    ]
    assert not any(".files" in where for where, _ in shown(agents={"claude": {"options": ["--verbose"]}}))
    changed = shown(agents={"claude": {"files": {"settings.json": "{}"}}})
    assert ("board, agents.claude.files, settings.json", "{}") in changed


def test_a_command_cannot_hide_from_the_terminal() -> None:
    (found,) = shown(task(1, "```sh\nevil\r\x1b[2K\u202e\u200b\x9b# \u2028nice\ttab\n```"))[3:]
    assert found[1] == "evil\n\\x1b[2K\\u202e\\u200b\\x9b# \\u2028nice\ttab"
    assert visible("a\rb\x7f\ufeff\U000e0041é日") == "a\\rb\\x7f\\ufeff\\U000e0041é日"


def test_an_unknown_agent_or_mode_runs_nothing() -> None:
    board = {"mine": {"headless": {"start": ["m", "{prompt}"]}}}
    assert shown(task(1, agent="nobody")) == COMMON
    assert shown(task(1, agent="mine", mode="interactive"), agents=board)[3:] == [
        ("board, agents.mine.headless.start", "m '{prompt}'")
    ]
