"""Which options a menu has, and where its mark stands: on real screens."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners.menus import Menu, find_menu

SCREENS = Path(__file__).parent / "screens"
ROW = "\x1b[48;5;232m  \x1b[38;5;215m\x1b[48;5;233m┃\x1b[38;5;15m\x1b[48;5;234m  "
CHOSEN, OTHER = "\x1b[48;5;215m \x1b[38;5;232m{}\x1b[38;5;15m \x1b[48;5;234m", "\x1b[38;5;8m{}\x1b[38;5;15m"
HINTS = " " * 31 + "\x1b[38;5;255mctrl+f \x1b[38;5;8mfullscreen\x1b[38;5;15m  \x1b[38;5;255menter \x1b[38;5;8mconfirm"


def menu(name: str) -> Menu:
    found = find_menu((SCREENS / f"{name}.txt").read_text(encoding="utf-8"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "chosen", "count"),
    [
        ("claude.waiting-permission", 0, 3),
        ("claude.waiting-theme", 1, 7),
        ("claude.waiting-trust", 0, 2),
        ("codex.waiting-permission", 0, 3),
        ("codex.waiting-trust", 0, 2),
        ("gemini.waiting-auth", 1, 3),
        ("gemini.waiting-trust", 0, 3),
        ("more/claude.waiting-permission.60x20", 0, 3),
        ("more/gemini.waiting-permission.80", 0, 3),
    ],
)
def test_options_with_keys(name: str, chosen: int, count: int) -> None:
    found = menu(name)
    assert (found.chosen, len(found.options), found.has_keys, found.is_row) == (chosen, count, True, False)
    assert [found.index(str(number)) for number in range(1, count + 1)] == list(range(count))
    assert found.index("0") is found.index(str(count + 1)) is None


def test_options_without_keys_are_counted_from_the_first() -> None:
    found = menu("more/claude.waiting-trust.2.1.332")
    assert found == Menu(("No, exit", "Yes, I trust this folder"), 0) and not found.has_keys
    assert [found.index(key) for key in ("0", "1", "2", "3", "y")] == [None, 0, 1, None, None]
    screen = (SCREENS / "more/claude.waiting-trust.2.1.332.txt").read_text()
    moved = screen.replace(" ❯ No", "   No").replace("   Yes", " ❯ Yes")
    assert find_menu(moved) == Menu(found.options, 1)


def row(*options: str, chosen: int) -> str:
    """As OpenCode 1.18.33 draws it: side by side, the chosen one on a ground of its own."""
    cells = [(CHOSEN if number == chosen else OTHER).format(each) for number, each in enumerate(options)]
    return f"  ┃  △ Permission required\n  ┃  $ make\n{ROW}{'   '.join(cells)}{HINTS}\n"


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_options_side_by_side(chosen: int) -> None:
    options = ("Allow once", "Allow always", "Reject")
    assert find_menu(row(*options, chosen=chosen)) == Menu(options, chosen, is_row=True)


@pytest.mark.parametrize("name", ["aider.waiting-gitignore", "claude.waiting-security", "opencode.step"])
def test_without_a_mark_there_is_no_menu(name: str) -> None:
    assert find_menu((SCREENS / f"{name}.txt").read_text(encoding="utf-8")) is None
    assert find_menu(row("Allow once", "Reject", chosen=9)) is None
