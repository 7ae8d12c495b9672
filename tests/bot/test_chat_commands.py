"""`/mux …`: what is understood, and what is not taken from a chat."""

from __future__ import annotations

import pytest

from board.errors import CommandFailed, MuxError, UsageError
from bot.access import Need
from bot.chat_commands import COMMANDS, need_of, parsed, run, sorry
from bot.commands import COMMANDS as TERMINAL
from tests.bot.chat import nothing

NOBODY: object = None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("status", {"task": None}),
        ("  STATUS  fix-login ", {"task": "fix-login"}),
        ("logs fix-login -n 5", {"task": "fix-login", "lines": 5}),
        ("restart a --how checkpoint", {"task": "a", "how": "checkpoint"}),
        ("approve 3f2c --choice in-place", {"id": "3f2c", "choice": "in-place"}),
        ('answer 3f2c don\'t use --force, "please"', {"id": "3f2c", "text": ['don\'t use --force, "please"']}),
        ("send a don't use --force; ls", {"task": "a", "text": ["don't use --force; ls"], "choice": None}),
        ("send a --choice 1", {"task": "a", "text": [], "choice": "1"}),
        ("add Don't forget the milk", {"title": "Don't forget the milk", "ready": False}),
        ('add "Run it" --agent claude --prompt "two words"', {"title": "Run it", "prompt": "two words"}),
        ("add Run it --after a,b", {"title": "Run it", "after": "a,b"}),
    ],
)
def test_understood(text: str, found: dict[str, object]) -> None:
    assert found.items() <= vars(parsed(text)).items()


@pytest.mark.parametrize(
    "text",
    [
        "status --board /etc/passwd",
        "status -b /etc/passwd",
        "status -b/etc/passwd",
        "status --board=/etc/passwd",
        "logs a --help",
        "logs a -fh",
        "logs",
        "answer",
        "add",
        "start a b",
        "start --all",
        "send",
    ],
)
def test_not_taken(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parsed(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["up", "down", "finish a", "attach a", "history restore 3", "clean", "--help", "; ls"])
def test_commands_for_the_terminal_are_none_here(text: str) -> None:
    with pytest.raises(UsageError, match="is no command for a chat"):
        run(NOBODY, text)  # type: ignore[arg-type]


def test_every_command_is_one_of_the_terminals_too() -> None:
    assert COMMANDS.keys() <= {command.name for command in TERMINAL}


def test_what_git_said_stays_on_the_machine() -> None:
    error = CommandFailed(
        "git diff: fatal: not a git repository: /nowhere/merger-file (exit 128)", "git diff: exit 128"
    )
    assert sorry(error, nothing).text == "git diff: exit 128"


@pytest.mark.parametrize(
    ("terminal", "chat"),
    [
        ("fix: mux asks how to go on with it", "fix: mux asks how to go on with it"),
        ("to end its worker: mux attach fix", "to end its worker, in the terminal: mux attach fix"),
        ("(mux is down; with the next: mux up)", "(mux is down; with the next, in the terminal: mux up)"),
        ("anew with: mux restart fix --how in-place", "anew with: /mux restart fix --how in-place"),
        ("do it: mux approve 3f2c, or mux deny 3f2c", "do it: /mux approve 3f2c, or /mux deny 3f2c"),
        ("request 3f2c is a question: mux answer 3f2c TEXT", "request 3f2c is a question: /mux answer 3f2c TEXT"),
        ("see: /mux help; mux status-json, smux start", "see: /mux help; mux status-json, smux start"),
    ],
)
def test_what_the_terminal_says_names_commands_that_can_be_given_here(terminal: str, chat: str) -> None:
    assert sorry(MuxError(terminal), nothing).text == chat


def test_who_needs_what() -> None:
    needs = {name: command.need for name, command in COMMANDS.items()}
    assert {name for name, need in needs.items() if need is Need.READ} == {
        *("status", "requests", "journal", "diff", "digest"),
    }
    assert {name for name, need in needs.items() if need is Need.ORDER} == {"start", "stop"}
    assert need_of("APPROVE 3f2c") is Need.DECIDE and need_of("") is Need.READ and need_of("nonsense") is Need.READ
