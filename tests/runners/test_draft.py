"""What somebody typed into an input line, told from what the agent shows there itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners import agents
from runners.draft import find_draft

SCREENS = Path(__file__).parent / "screens"
RULES = {name: profile.screens for name, profile in agents.load({}).items()}
FAINT, REVERSED, OFF = "\x1b[2m", "\x1b[7m", "\x1b[0m"


def with_input(name: str, marker: str, text: str) -> str:
    """A real screen with another text behind the lowest marker of its input line."""
    lines = (SCREENS / name).read_text().splitlines()
    number = max(number for number, line in enumerate(lines) if line.lstrip().startswith(marker))
    before = lines[number][: lines[number].index(marker) + len(marker)]
    lines[number] = f"{before} {text}"
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "marker"),
    [("claude.idle-after-turn.txt", "❯"), ("claude.working.txt", "❯"), ("codex.idle-after-turn.txt", "›")],
)
def test_a_draft_is_seen_and_a_hint_is_none(name: str, marker: str) -> None:
    rules = RULES[name.partition(".")[0]]
    assert find_draft(with_input(name, marker, "half a thought"), rules) == "half a thought"
    assert find_draft(with_input(name, marker, f"{FAINT}Try something{OFF}"), rules) == ""
    assert find_draft(with_input(name, marker, f"{REVERSED}T{OFF}{FAINT}ry something{OFF}"), rules) == ""
    assert find_draft(with_input(name, marker, ""), rules) == ""
    assert find_draft(with_input(name, marker, f"{REVERSED} {OFF}"), rules) == ""
    assert find_draft(with_input(name, marker, f"{REVERSED}y{OFF}"), rules) == "y"  # the cursor is at its beginning
    assert find_draft(with_input(name, marker, f"{REVERSED}y{OFF}es"), rules) == "yes"


@pytest.mark.parametrize("grey", ["38;5;248", "38;2;175;175;175", "38;5;8", "90"])
def test_a_hint_in_grey_is_none(grey: str) -> None:
    hint = f"{REVERSED} {OFF}\x1b[{grey}m Type your message or @path/to/file\x1b[39m"
    assert find_draft(with_input("gemini.idle-fresh.txt", ">", hint), RULES["gemini"]) == ""


@pytest.mark.parametrize(
    "colour", ["38;5;231", "38;2;255;255;255", "38;5;232", "38;2;0;0;0", "38;5;75", "38;2;175;90;90"]
)
def test_what_is_not_grey_is_typed(colour: str) -> None:
    typed = with_input("gemini.idle-fresh.txt", ">", f"\x1b[{colour}mmy draft\x1b[39m")
    assert find_draft(typed, RULES["gemini"]) == "my draft"


def opencode_box(*typed: str) -> str:
    """The input box as OpenCode 1.18.33 draws it: below what is typed stands the model, at its right the folder."""
    frame, side = "  \x1b[38;5;75m┃\x1b[38;5;15m", " " * 60 + "\x1b[38;5;8m/home/dev/shop/\x1b[38;5;15m"
    lines = ["     ▣  Build · m · 11.9s", "", frame, *(f"{frame}  {text}" for text in typed), f"{frame}{side}"]
    lines += [f"{frame}  \x1b[38;5;75mBuild\x1b[38;5;15m · m\x1b[38;5;8m local", "  ╹" + "▀" * 80, "   ctrl+p commands"]
    return "\n".join(lines)


def test_the_name_of_the_model_is_no_draft() -> None:
    assert find_draft(opencode_box(), RULES["opencode"]) == ""
    assert find_draft(opencode_box("\x1b[38;5;8mAsk anything…"), RULES["opencode"]) == ""
    assert find_draft(opencode_box("half a thought"), RULES["opencode"]) == "half a thought"
    assert find_draft(opencode_box("two", "lines"), RULES["opencode"]) == "two\nlines"


def test_colours_of_a_draft_do_not_hide_it() -> None:
    coloured = with_input("claude.idle-after-turn.txt", "❯", "\x1b[38;5;231mhalf\x1b[39m a \x1b[1mthought\x1b[0m")
    assert find_draft(coloured, RULES["claude"]) == "half a thought"


@pytest.mark.parametrize("name", ["claude.waiting-permission.txt", "codex.waiting-permission.txt"])
def test_where_a_menu_takes_the_keys_there_is_no_input_line(name: str) -> None:
    assert find_draft((SCREENS / name).read_text(), RULES[name.partition(".")[0]]) is None
