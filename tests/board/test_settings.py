from __future__ import annotations

from dataclasses import fields

import pytest

from board.frontmatter import read_block
from board.keys import KEYS, Place
from board.model import BoardSettings, RestartPolicy, TaskSettings
from board.settings import as_table, board_settings, read_keys, task_settings


def read(text: str, place: Place = Place.BOARD) -> dict[str, object]:
    values, found = read_keys(read_block(text).entries, place)
    assert [each for each in found if each.severity == "error"] == []
    return values


def test_every_setting_has_a_key_and_every_working_key_a_setting() -> None:
    names = {field.name for kind in (BoardSettings, TaskSettings) for field in fields(kind)} - {"defaults"}
    assert names <= {key.name for key in KEYS}
    assert {key.name for key in KEYS if key.works} - names == {"status"}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_the_example_of_each_key_is_right(key: object) -> None:
    assert key.name in read(f"{key.name}: {key.example}", Place.TASK if key.place is Place.TASK else Place.BOARD) or (  # type: ignore[attr-defined]
        key.name == "status"  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("timeout: 1h30m", "timeout", 5400.0),
        ("nudge: 5m", "nudge", 300.0),
        ("nudge: no", "nudge", None),
        ("base: 1.0", "base", "1.0"),
        ("base: yes", "base", "yes"),
        ("setup: npm ci", "setup", ("npm ci",)),
        ("done_when: clean", "done_when", ("clean",)),
        ("env: {A: 007, B: yes, C: ''}", "env", {"A": "007", "B": "yes", "C": ""}),
        ("ports: 0", "ports", 0),
        ("restart: {when: never, window: 2h}", "restart", RestartPolicy("never", 3, 7200.0)),
        ("agents: {x: {start: [a, 1]}}", "agents", {"x": {"start": ["a", 1]}}),
    ],
)
def test_values(text: str, name: str, value: object) -> None:
    assert read(text)[name] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("run: npm test", "npm test"), ("run: [npm, test, 1]", ("npm", "test", "1")), ("run: |\n  a\n  b\n", "a\nb\n")],
)
def test_run(text: str, value: object) -> None:
    assert read(text, Place.TASK)["run"] == value


@pytest.mark.parametrize(
    "text",
    [
        "max_workers: 0",
        "max_workers: true",
        "max_workers: '4'",
        "ports: 9999",
        "mode: fast",
        "after_review: yes",
        "retain: 0s",
        "setup: {a: b}",
        "env: [A]",
        "env: {A: [1]}",
        "restart: sometimes",
        "restart: {when: safe, x: 1}",
        "agents: [x]",
        "board: My Board",
        "base:",
        "base: ~",
        "copy: [/etc/passwd]",
        "copy: [~/x]",
        "digests: daily",
        "done_when: [tested]",
        "nudge: yes",
        "nudge: 0s",
    ],
)
def test_wrong_values_say_what_is_expected(text: str) -> None:
    values, found = read_keys(read_block(text).entries, Place.BOARD)
    [error] = [each for each in found if each.severity == "error"]
    assert text.partition(":")[0] not in values
    assert ": " in error.text or "for example" in error.text
    assert "\n" not in error.text


def test_a_tasks_keys_win_over_the_boards() -> None:
    board = board_settings(read("agent: claude\nbase: main\nenv: {A: 1, B: 1}\nrepo: x\nnudge: 5m"))
    own = task_settings(read("base: dev\nenv: {B: 2}\nnudge: no", Place.TASK), board.defaults)
    assert (board.repo, own.agent, own.base, own.env) == ("x", "claude", "dev", {"A": "1", "B": "2"})
    assert (board.defaults.nudge, own.nudge) == (300.0, None)


def test_the_table_has_a_row_for_each_key() -> None:
    rows = as_table().splitlines()
    assert len(rows) == len(KEYS) + 2
    assert all(row.count(" | ") == 4 for row in rows)
