from __future__ import annotations

from typing import Any

import pytest

from bot.table import unpainted, width_of
from bot.watch_views import (
    BOARD,
    Order,
    Tab,
    foot,
    head_lines,
    orders_for,
    screen_lines,
    shows_menu,
    tab_line,
    table,
)
from tests.bot.test_status import NOW, state, task


def test_a_screen_is_text_without_its_empty_end() -> None:
    assert screen_lines("a\tb\n\n\u202ec\x1b[31md\r\n\n\n") == ["a       b", "", "\ufffdc\ufffd[31md"]
    assert screen_lines("\n\n") == ["its screen is empty"]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    seen = state([task("fix", "failed", why="w" * 300), task("b" * 48, "running")], trouble="t " * 100)
    lines = [*head_lines(seen, NOW, width, "gone"), *(row.line for row in table(seen, NOW, width).rows)]
    assert all(width_of(unpainted(line)) <= width for line in lines)
    assert [row.id for row in table(seen, NOW, width).rows] == [BOARD, "fix", "b" * 48]


def test_the_boards_row_is_there_only_while_it_needs_somebody() -> None:
    assert [row.id for row in table(state([task("a", "running")]), NOW, 80).rows] == ["a"]
    problem = {"line": 2, "task": None, "text": "unknown key 'bord'", "severity": "error"}
    first = table(state([task("a", "running")], problems=[problem]), NOW, 80).rows[0]
    assert first.id == BOARD and "unknown key 'bord'" in first.line


@pytest.mark.parametrize(
    ("status", "attempt", "orders"),
    [
        ("draft", 0, [Order.START]),
        ("ready", 0, [Order.STOP]),
        ("failed", 2, [Order.START, Order.RESTART]),
        ("running", 1, [Order.RESTART, Order.STOP]),
        ("waiting", 1, [Order.RESTART, Order.STOP]),
        ("orphan", 1, []),
    ],
)
def test_what_can_be_ordered_of_a_task(status: str, attempt: int, orders: list[Order]) -> None:
    assert orders_for(task("a", status, attempt=attempt)) == orders


@pytest.mark.parametrize(("reason", "menu"), [("permission", True), ("trust", True), ("choice", True), ("idle", False)])
def test_which_screens_take_a_choice_and_no_text(reason: str, menu: bool) -> None:
    health: dict[str, Any] = {"reason": reason, "evidence": "", "since": None, "until": None}
    assert shows_menu(task("a", "waiting", condition="waiting", health=health)) is menu
    assert not shows_menu(task("a", "running", condition="working", health=None))


def test_the_keys_fit_eighty_columns() -> None:
    assert width_of(foot(None, "")) <= 80
    assert width_of(unpainted(tab_line(Tab.SCREEN, "x" * 48, 80))) <= 80
