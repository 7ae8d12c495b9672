"""What the dashboard asks before it does something, and its help. All by keys; Escape is always no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

Result = TypeVar("Result")

#: What is scrolled by the keys while the dialog's own widget has none of them.
_SCROLL: list[BindingType] = [
    Binding("pagedown", "page(1)", show=False),
    Binding("pageup", "page(-1)", show=False),
]


class Dialog(ModalScreen[Result]):
    """Lines to read, which scroll where they are too many, above what answers them."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: ansi_default; }
    Dialog > Vertical {
        width: 100%; max-width: 100; height: auto; max-height: 100%; border: solid ansi_default; padding: 0 1;
    }
    Dialog VerticalScroll { height: auto; max-height: 14; scrollbar-size-vertical: 1; }
    Dialog .text { height: auto; }
    Dialog OptionList { height: auto; max-height: 8; margin-top: 1; }
    Dialog Input { margin-top: 1; }
    Dialog .keys { height: 1; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*_SCROLL, Binding("escape", "leave", show=False, priority=True)]
    AUTO_FOCUS = "*"
    KEYS = ""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical():
            with VerticalScroll(can_focus=False):
                yield Static(Text("\n".join(self._lines)), classes="text", markup=False)
            yield from self.answers()
            yield Static(Text(self.KEYS, style="bold"), classes="keys", markup=False)

    def answers(self) -> ComposeResult:
        """What stands below the lines."""
        yield from ()

    def action_page(self, direction: int) -> None:
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_relative(y=direction * max(1, scroll.size.height - 1), animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)


class Choose(Dialog[str | None]):
    """One of several ways, each a value and what it does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "move(1)", show=False),
        Binding("k", "move(-1)", show=False),
    ]
    KEYS = "j/k move  enter choose  esc leave it"

    def __init__(self, lines: Sequence[str], ways: Sequence[tuple[str, str]]) -> None:
        super().__init__(lines)
        self._ways = ways

    def answers(self) -> ComposeResult:
        width = max(len(value) for value, _ in self._ways)
        yield List(*(Option(Text(f"{value:{width}}  {does}".rstrip()), id=value) for value, does in self._ways))

    def action_move(self, direction: int) -> None:
        ways = self.query_one(List)
        (ways.action_cursor_down if direction > 0 else ways.action_cursor_up)()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._ways[event.option_index][0])


class Confirm(Dialog[bool]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "do_it", show=False),
        Binding("n", "leave", show=False),
    ]
    KEYS = "y do it  n or esc leave it"

    def action_do_it(self) -> None:
        self.dismiss(True)


class Line(Dialog[str | None]):
    """A line of text; an empty one is none."""

    KEYS = "enter send it  esc leave it"

    def answers(self) -> ComposeResult:
        yield Entry()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)


class Help(Dialog[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,q,enter", "leave", show=False)]
    KEYS = "esc back"


class List(OptionList):
    """The chosen option stands out by reversed video, so it does without colours, too."""

    DEFAULT_CSS = """
    List { border: none; padding: 0; background: ansi_default; scrollbar-size-vertical: 1; }
    List:focus { border: none; background: ansi_default; background-tint: ansi_default 0%; }
    List > .option-list--option { padding: 0; }
    List > .option-list--option-highlighted { color: ansi_default; background: ansi_default; text-style: none; }
    List:focus > .option-list--option-highlighted { color: ansi_default; background: ansi_default; text-style: none; }
    List > .option-list--option-hover { background: ansi_default; }
    """

    def get_visual_style(self, *component_classes: str, partial: bool = False) -> Style:
        """Textual leaves reversed video out of the styles of a widget's parts."""
        style = super().get_visual_style(*component_classes, partial=partial)
        return style + Style(reverse=True) if "option-list--option-highlighted" in component_classes else style


class Entry(Input):
    DEFAULT_CSS = """
    Entry { border: none; height: 1; padding: 0; background: ansi_default; }
    Entry:focus { border: none; background: ansi_default; background-tint: ansi_default 0%; }
    Entry > .input--cursor { text-style: reverse; color: ansi_default; background: ansi_default; }
    """

    def on_mount(self) -> None:
        self.cursor_blink = False  # each blink is a write to the terminal
