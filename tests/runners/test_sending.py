"""What comes up while a message is typed: no key of the message may answer it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest

from board.errors import MuxError
from runners.agents import load
from runners.host import Host
from runners.sending import choose, send
from runners.terminals import Terminal
from tests.runners.test_watching import IDLE, PERMISSION, SCREENS

CODEX_PERMISSION = (SCREENS / "codex.waiting-permission.txt").read_text()
CODEX = "• Said.\n\n› {draft}\n\n  gpt-0 default · ? for shortcuts\n"


@dataclass
class Screens:
    """A window: what it shows before, after a paste, and after each Enter; the last stays."""

    shown: list[str]
    done: list[str] = field(default_factory=list)
    until: float = 0.0  # when it shows the next by itself

    def host(self) -> Host:
        def refuse(*_: object) -> Any:
            raise AssertionError("to send does nothing else")

        ours: dict[str, Callable[..., Any]] = {
            "screen": lambda window: self.now(),
            "cursor": lambda window: "0 0",
            "paste": lambda window, text: self.act("paste"),
            "press": lambda window, key, literal: self.act(key),
        }
        return Host(**{each.name: ours.get(each.name, refuse) for each in fields(Host)})

    def later(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    def now(self) -> str:
        if self.until and time.monotonic() > self.until:
            self.shown, self.until = self.shown[1:], 0.0
        return self.shown[0]

    def act(self, key: str) -> None:
        self.done.append(key)
        if len(self.shown) > 1:
            del self.shown[0]


def test_a_menu_that_opens_while_a_text_is_typed_gets_no_enter() -> None:
    window = Screens([IDLE, PERMISSION])
    with pytest.raises(MuxError, match="asks for a permission"):
        send(window.host(), "a", load({})["claude"], "@1", "go on")
    assert window.done == ["paste"]


@pytest.mark.parametrize("text", ["1. Yes\n2. No, keep the old name", "Yes", "1. Yes"])
@pytest.mark.parametrize(("agent", "before"), [("claude", IDLE), ("codex", CODEX.format(draft=""))])
def test_a_text_that_holds_an_option_of_that_menu_does_not_answer_it(agent: str, before: str, text: str) -> None:
    opened = PERMISSION if agent == "claude" else CODEX_PERMISSION
    window = Screens([before, opened])
    with pytest.raises(MuxError, match="asks for a permission"):
        send(window.host(), "a", load({})[agent], "@1", text)
    assert window.done == ["paste"]


@pytest.mark.parametrize("agent", ["claude", "codex"])
def test_a_list_that_reads_like_a_menu_is_sent_all_the_same(agent: str) -> None:
    box = f"● Said.\n\n{'─' * 80}\n❯ {{draft}}\n{'─' * 80}\n  ? for shortcuts\n" if agent == "claude" else CODEX
    drafts = ["", "1. Yes, run the tests\n  2. commit", ""]
    window = Screens([box.format(draft=draft) for draft in drafts])
    send(window.host(), "a", load({})[agent], "@1", "1. Yes, run the tests\n2. commit")
    assert window.done == ["paste", "Enter"]


CLAUDE = {
    number: PERMISSION.replace("touch made-by-agent.txt && git status", f"curl x.example/{number}") for number in (1, 2)
}
CHOICE = "  Which effort?\n\n{one} 1. Low\n{two} 2. High\n\n  Press enter to confirm or esc to go back\n"
LOW, HIGH = CHOICE.format(one="›", two=" "), CHOICE.format(one=" ", two="›")


def test_the_next_question_with_the_same_options_gets_no_key() -> None:
    for key, pressed in (("1", "Enter"), ("3", "3")):  # the mark is at the first, and a key takes another at once
        window = Screens([CLAUDE[1], CLAUDE[2]])
        choose(window.host(), "a", load({})["claude"], "@1", key)
        assert window.done == [pressed]


def test_a_question_that_an_agent_takes_late_is_not_followed_by_an_enter() -> None:
    window = Screens([CLAUDE[1], CLAUDE[2]])
    choose(_late(window, 1.8), "a", load({})["claude"], "@1", "3")
    assert window.done == ["3"]


def test_the_same_question_once_more_is_not_answered_by_the_way() -> None:
    window = Screens([CLAUDE[1], CLAUDE[1]])
    with pytest.raises(MuxError, match="still there"):
        choose(window.host(), "a", load({})["claude"], "@1", "1")
    assert window.done == ["Enter"]


def test_a_mark_that_only_moved_is_no_answer_yet() -> None:
    above = [
        "what scrolled away\n",
        "and what did when it was drawn anew\n",
    ]  # of each capture, the line above the screen
    window = Screens([above[0] + LOW, above[1] + HIGH, CODEX.format(draft="")])
    choose(window.host(), "a", load({})["codex"], "@1", "2")
    assert window.done == ["2", "Enter"]


def test_a_list_above_a_question_that_reads_a_line_is_no_menu_of_its() -> None:
    """Aider draws none."""
    asks = "> 1. Allow the user to log in\n> 2. Run the redirect\n\nRun shell command? (Y)es/(N)o [Yes]: "
    window = Screens([asks, f"{asks}y", "Running make\n"])
    choose(window.host(), "a", load({})["aider"], "@1", "y")
    assert window.done == ["y", "Enter"]


def _late(window: Screens, seconds: float) -> Host:
    """It takes keys so long after they were pressed."""

    def press(_: str, key: str, literal: bool) -> None:
        window.done.append(key)
        window.later(seconds)

    return replace(window.host(), press=press)


def test_what_comes_to_the_terminal_late_and_is_not_read_is_not_sent() -> None:
    """tmux took the keys, and the system hands them on only later."""
    began: list[float] = []

    def terminal(window: str) -> Terminal:
        late = bool(began) and time.monotonic() > began[0] + 0.3
        return Terminal(10 if late else 0, by_lines=True)

    def press(window: str, key: str, literal: bool) -> None:
        began.append(time.monotonic())

    host = replace(Screens([""]).host(), terminal=terminal, press=press)
    with pytest.raises(MuxError, match="nothing has read it"):
        send(host, "a", None, "@1", "go on")
