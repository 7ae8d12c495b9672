from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from bot.place import Place
from runners import trust
from tests.bot.conftest import Mux

SCREENS = Path(__file__).parent.parent / "runners" / "screens"


@pytest.mark.parametrize(
    ("agent", "screen", "condition"),
    [
        ("claude", "claude.waiting-permission", "waiting"),
        ("codex", "codex.error-ratelimit", "limited"),
        ("opencode", "opencode.error-unreachable", "unreachable"),
        ("gemini", "gemini.working", "working"),
        ("shell", "gemini.working", "unknown"),
    ],
)
def test_one_word_says_what_a_screen_shows(mux: Mux, agent: str, screen: str, condition: str) -> None:
    """Without a board, too."""
    reply = mux("agents", "test", agent, str(SCREENS / f"{screen}.txt"))
    assert (reply.code, reply.out) == (0, f"{condition}\n")


def test_json_says_all_of_it(mux: Mux) -> None:
    reply = mux("agents", "test", "claude", str(SCREENS / "claude.idle-question.txt"), "--json")
    found = json.loads(reply.out)
    assert (found["agent"], found["condition"], found["reason"], found["until"]) == (
        "claude",
        "waiting",
        "question",
        None,
    )
    assert "should the greeting be formal or informal?" in found["evidence"]
    limited = json.loads(mux("agents", "test", "claude", str(SCREENS / "claude.error-ratelimit.txt"), "--json").out)
    assert limited["condition"] == "limited" and isinstance(limited["until"], float)


def test_its_options_may_stand_anywhere(mux: Mux) -> None:
    screen = str(SCREENS / "codex.working.txt")
    for words in (("--json", "codex", screen), ("codex", "--json", screen)):
        assert json.loads(mux("agents", "test", *words).out)["condition"] == "working"


def test_a_screen_with_colours_from_standard_input(mux: Mux, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (SCREENS / "codex.working.txt").read_text().replace("•", "\x1b[2m•\x1b[0m")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert mux("agents", "test", "codex", "-").out == "working\n"


def test_what_a_person_got_wrong_is_one_line(mux: Mux, tmp_path: Path) -> None:
    for words, code, text in (
        (("agents", "test"), 2, "name an agent and the file of a screen"),
        (("agents", "test", "claude"), 2, "name an agent and the file of a screen"),
        (("agents", "test", "cloud", "x"), 1, "no agent 'cloud': there are shell, claude"),
        (
            ("agents", "test", "claude", str(tmp_path / "none")),
            1,
            "none: cannot read: no such file or directory; name a file",
        ),
        (("agents", "test", "claude", str(tmp_path)), 1, f"{tmp_path}: cannot read: is a directory; name a file"),
        (("agents", "list"), 2, "choose from"),
        (("agents", "--board", str(tmp_path / "none.md")), 1, "there is no board"),
    ):
        reply = mux(*words)
        assert reply.code == code and text in reply.err, reply
        assert reply.err.count("\n") == 1


def test_the_board_mends_a_profile(mux: Mux, place: Place, tmp_path: Path) -> None:
    screen = tmp_path / "screen.txt"
    screen.write_text("some words\n:: type here\n")
    assert mux("agents", "test", "claude", str(screen)).out == "unknown\n"
    rule = "{condition: waiting, reason: idle, region: input, pattern: '^:: .*'}"
    head = f"agents:\n  claude:\n    screens:\n      - {rule}\n"
    place.path.write_text(place.path.read_text().replace("board: shop\n", f"board: shop\n{head}"))
    assert mux("agents", "test", "claude", str(screen)).out == "waiting\n"
    place.path.write_text(place.path.read_text().replace("'^:: .*'", "'^:: (.*'"))
    reply = mux("check")
    assert reply.code == 1
    assert "board.md:3: agents.claude.screens, item 1: '^:: (.*' is no regular expression: missing )" in reply.out


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two agents that are installed, and no other."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, line in (("claude", "echo '9.9.9 (Claude Code)'"), ("mine", "echo ran >> $0.ran; echo 1.0")):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_the_list_says_what_is_installed(mux: Mux, programs: Path) -> None:
    reply = mux("agents")
    lines = {line.split()[0]: line for line in reply.out.splitlines()}
    assert list(lines) == ["AGENT", "shell", "claude", "codex", "gemini", "opencode", "aider"]
    assert lines["claude"].split(maxsplit=3) == ["claude", "claude", "yes", "9.9.9 (Claude Code)"]
    assert lines["codex"].split(maxsplit=3) == ["codex", "codex", "no", "install it: npm install -g @openai/codex"]
    found = {agent["name"]: agent for agent in json.loads(mux("agents", "--json").out)}
    assert found["claude"]["path"] == str(programs / "claude") and found["claude"]["version"] == "9.9.9 (Claude Code)"
    assert found["aider"]["path"] is None and found["aider"]["version"] is None


def test_nothing_of_a_board_runs_before_it_is_trusted(mux: Mux, place: Place, programs: Path) -> None:
    head = "agents:\n  mine:\n    version: ['{program}', --version]\n    headless: {start: [mine, '{prompt}']}\n"
    place.path.write_text(place.path.read_text().replace("board: shop\n", f"board: shop\n{head}"))
    ran = programs / "mine.ran"
    lines = {line.split()[0]: line.split() for line in mux("agents").out.splitlines()}
    assert lines["mine"] == ["mine", "mine", "yes"] and not ran.exists()
    trust.trust(place.path)
    lines = {line.split()[0]: line.split() for line in mux("agents").out.splitlines()}
    assert lines["mine"] == ["mine", "mine", "yes", "1.0"] and ran.exists()
