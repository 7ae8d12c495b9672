from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.model import BoardSettings
from runners import names

BOARD = Path("/work/shop/board.md")


@pytest.mark.parametrize(
    ("path", "written", "name"),
    [
        ("/work/shop/board.md", None, "shop"),
        ("/work/shop/BOARD.md", None, "shop"),
        ("/work/shop/night.md", None, "night"),
        ("/work/My Shop (2)/board.md", None, "my-shop-2"),
        ("/work/shop/board.md", "Night Shift", "night-shift"),
        ("/work/日本/board.md", None, "board"),
        ("/board.md", None, "board"),
    ],
)
def test_the_name_of_a_board(path: str, written: str | None, name: str) -> None:
    assert names.board_name(Path(path), BoardSettings(board=written)) == name


@given(st.text(), st.text(min_size=1).filter(lambda text: "/" not in text and "\0" not in text))
def test_any_name_is_fit_for_a_branch_and_a_folder(written: str, file: str) -> None:
    name = names.board_name(Path("/") / "folder" / file, BoardSettings(board=written))
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


@pytest.mark.parametrize(
    ("settings", "home"),
    [
        (BoardSettings(), "/work/shop.worktrees/shop/fix"),
        (BoardSettings(repo="../other"), "/work/other.worktrees/shop/fix"),
        (BoardSettings(repo="/srv/other"), "/srv/other.worktrees/shop/fix"),
        (BoardSettings(worktrees="../homes"), "/work/homes/fix"),
        (BoardSettings(worktrees="/homes"), "/homes/fix"),
        (BoardSettings(repo="~/other"), "/home/me/other.worktrees/shop/fix"),
        (BoardSettings(worktrees="~/homes"), "/home/me/homes/fix"),
    ],
)
def test_homes_lie_outside_the_repository(monkeypatch: pytest.MonkeyPatch, settings: BoardSettings, home: str) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert names.home_of(BOARD, settings, "fix") == Path(home)
    assert not Path(home).is_relative_to(names.repository_of(BOARD, settings))


def test_an_unknown_user_is_a_folder_that_is_not_there() -> None:
    """`expanduser` of pathlib raises for it: a word on the board must not end the control plane."""
    settings = BoardSettings(repo="~nobody-of-that-name/x")
    assert names.repository_of(BOARD, settings) == Path("/work/shop/~nobody-of-that-name/x")


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    board = tmp_path / "link" / "board.md"
    assert names.repository_of(board, BoardSettings()) == (tmp_path / "real").resolve()
    assert names.home_of(board, BoardSettings(board="shop"), "fix").parts[-3:] == ("real.worktrees", "shop", "fix")


def test_two_boards_on_one_repository_have_their_own_branches() -> None:
    one, other = (names.branch_of(BOARD, BoardSettings(board=name), "fix") for name in ("day", "night"))
    assert (one, other) == ("mux/day/fix", "mux/night/fix")
