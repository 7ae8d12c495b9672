"""The dashboard: a table of tasks above what is open of the chosen one; every key does what a command does.

Nothing is read or decided here: two threads look (`bot.watch_look`), keys run what the commands run (`bot.watch_acts`).
It takes the terminal's own colours, and moves nothing by itself, so that it is light on a slow connection.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, ScrollableContainer, Vertical
from textual.events import Resize
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from board.errors import MuxError
from bot.place import Place
from bot.status import NO_TASK
from bot.table import clean, cut, wrap
from bot.watch_acts import Act, Acts
from bot.watch_dialogs import Entry, Help, List
from bot.watch_look import Aim, Lookout, Pane, PaneLook, Seen, StateLook
from bot.watch_views import Row, Tab, Table, foot, head_lines, tab_line, table
from runners.host import Host

_TABS = tuple(Tab)
_PARTS = ("head", "heading", "tasks", "tabs", "pane", "text", "foot")
_WIDE = 150  # columns from which on the chosen task stands beside the list
_ACTS = "acts"
_SAID = 15.0  # seconds that a message stays
HELP = (
    "j k up down     the next task, the one before; home and end, page keys",
    "1 2 3 4  tab    about it, its screen, its diff, its journal; the next one",
    "enter           all the room to read it; j k scroll, left right a wide one",
    "                enter or esc back",
    "/               only tasks with these words in them; esc shows all",
    "a               approve or answer what waits for you",
    "d               deny",
    "t               attach to the worker's window; Ctrl-b d comes back",
    "s               send: type into its window, or answer the menu that it shows",
    "r               start, restart or stop",
    "q               quit; mux and its workers go on",
    "",
    "Who needs you is on top. Commands do the same: mux --help.",
)


class Found(Message):
    """Something was seen, in another thread."""

    def __init__(self, what: Seen | Pane | Exception) -> None:
        super().__init__()
        self.what = what


class Dashboard(App[None]):
    CSS = """
    Screen { background: ansi_default; }
    #head, #foot, #said { height: auto; max-height: 30%; }
    #body { height: 1fr; layout: vertical; }
    #list { height: 2fr; min-height: 2; }
    #heading, #tabs { height: 1; }
    #heading { text-style: bold; }
    #details { height: 3fr; min-height: 2; }
    #tabs { border: none; }
    #tasks { height: 1fr; }
    #pane { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    #pane:focus { border: none; background-tint: ansi_default 0%; }
    #text { height: auto; width: 100%; }
    #text.unwrapped { width: auto; text-wrap: nowrap; }
    #filter { display: none; }
    #filter.open { display: block; }
    #said { display: none; }
    #said.open { display: block; }
    .reading #list { display: none; }
    #body.wide { layout: horizontal; }
    .wide #list { width: 72; height: 1fr; margin-right: 2; }
    .wide #details { width: 1fr; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"tab('{tab}')", show=False) for number, tab in enumerate(Tab, 1)),
        Binding("tab", "turn(1)", show=False, priority=True),
        Binding("shift+tab", "turn(-1)", show=False, priority=True),
        Binding("j", "down(1)", show=False),
        Binding("k", "down(-1)", show=False),
        Binding("enter", "read", show=False),
        Binding("escape", "leave", show=False),
        Binding("slash", "filter", show=False, priority=True),
        Binding("a", "approve", show=False),
        Binding("d", "deny", show=False),
        Binding("t", "attach", show=False),
        Binding("s", "send", show=False),
        Binding("r", "order", show=False),
        Binding("question_mark", "help", show=False),
        Binding("q", "quit", show=False),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = "#tasks"

    def __init__(self, place: Place, host: Host, by: str, first: Seen) -> None:
        super().__init__(ansi_color=True)  # as it is made: only so does NO_COLOR take all colours away
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self.seen = first
        self.chosen = ""  # the task's id; empty while there is none
        self.tab = Tab.ABOUT
        self.words = ""  # of the filter
        self.table: Table | None = None
        self.acts = Acts(self, place, host, by)
        self._panes = PaneLook(place, host, lambda pane: self._find(pane))
        self._states = Lookout(StateLook(place, lambda seen: self._find(seen), first), self._find)
        self._pane_looks = Lookout(self._panes, self._find)
        self._drawn: dict[str, str] = {}  # by widget
        self._hush: Timer | None = None
        self.failure: Exception | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        with Horizontal(id="body"):
            with Vertical(id="list"):
                yield Static(id="heading", markup=False)
                yield Tasks(id="tasks")
            with Vertical(id="details"):
                yield Static(id="tabs", markup=False)
                with ScrollableContainer(id="pane"):
                    yield Static(id="text", markup=False)
        yield Entry(id="filter", placeholder="words")
        yield Static(id="said", markup=False)
        yield Static(id="foot", markup=False)

    def on_mount(self) -> None:
        self._states.start()
        self._pane_looks.start()

    def on_unmount(self) -> None:
        self._states.stop()
        self._pane_looks.stop()

    def on_resize(self, event: Resize) -> None:
        self.query_one("#body").set_class(event.size.width >= _WIDE, "wide")
        self.call_after_refresh(self._draw)

    def on_found(self, message: Found) -> None:
        if isinstance(message.what, Exception):
            raise message.what
        if not self._is_whole():
            return
        if isinstance(message.what, Seen):
            self.seen = message.what
            self._draw()
        elif (message.what.task, message.what.tab) == (self.chosen, self.tab):
            self._show_pane(message.what)

    def say(self, text: str) -> None:
        """One message, for a while."""
        said = self.query_one("#said", Static)
        said.update(Text("\n".join(wrap(clean(text), max(2, self.size.width))), style="bold"))
        said.add_class("open")
        if self._hush is not None:
            self._hush.stop()
        self._hush = self.set_timer(_SAID, lambda: said.remove_class("open"))

    @on(OptionList.OptionHighlighted, "#tasks")
    def chosen_another(self) -> None:
        """As the list has it now: what is told of it may come after the next key."""
        if not self._is_whole():
            return
        option = self.query_one(Tasks).highlighted_option
        if option is not None and option.id is not None and option.id != self.chosen:
            self._choose(option.id)

    @on(OptionList.OptionSelected, "#tasks")
    def action_read(self) -> None:
        """All the room for what is open, and back."""
        reading = self.screen.toggle_class("reading").has_class("reading")
        self.query_one("#pane" if reading else "#tasks").focus()

    def action_leave(self) -> None:
        if self.screen.has_class("reading"):
            self.action_read()
        elif self.words or self.query_one("#filter").has_class("open"):
            self.query_one("#filter", Input).value = ""
            self._close_filter()

    def action_down(self, direction: int) -> None:
        if self.screen.has_class("reading"):
            self.query_one("#pane").scroll_relative(y=direction, animate=False)
        else:
            tasks = self.query_one(Tasks)
            (tasks.action_cursor_down if direction > 0 else tasks.action_cursor_up)()

    def action_tab(self, tab: str) -> None:
        self.tab = Tab(tab)
        self._open()

    def action_turn(self, direction: int) -> None:
        self.action_tab(_TABS[(_TABS.index(self.tab) + direction) % len(_TABS)])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that are taken before a dialog, or the filter, sees them."""
        free = len(self.screen_stack) == 1 and not (action == "filter" and isinstance(self.focused, Input))
        return free if action in ("turn", "filter") else True

    def action_filter(self) -> None:
        # At once, as `focus` is not: what was typed right behind the key is words, and no orders.
        self.screen.set_focus(self.query_one("#filter").add_class("open"))

    @on(Input.Changed, "#filter")
    def filter_changed(self, event: Input.Changed) -> None:
        self.words = event.value
        self._draw()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        self.query_one("#filter").remove_class("open")
        self.query_one("#tasks").focus()

    def action_help(self) -> None:
        self.push_screen(Help(HELP))

    def action_approve(self) -> None:
        self._act(self.acts.approve)

    def action_deny(self) -> None:
        self._act(self.acts.deny)

    def action_attach(self) -> None:
        self._act(self.acts.attach)

    def action_send(self) -> None:
        self._act(self.acts.send)

    def action_order(self) -> None:
        self._act(self.acts.order)

    def _act(self, act: Act) -> None:
        self.chosen_another()
        if not self.chosen:
            self.say("there is no task to do that with")
        elif any(worker.group == _ACTS and not worker.is_finished for worker in self.workers):
            self.say("what you ordered before is still being done")
        else:
            self.run_worker(self._acting(act, self.chosen), group=_ACTS)

    async def _acting(self, act: Act, task: str) -> None:
        try:
            said = await act(task, self.seen.state)
        except MuxError as error:
            said = str(error)
        if said:
            self.say(said)
        self._panes.changed()
        self._states.wake()
        self._pane_looks.wake()

    def _find(self, what: Seen | Pane | Exception) -> None:
        """From the threads that look. The dashboard may have ended meanwhile."""
        with suppress(RuntimeError):
            self.post_message(Found(what))

    def _draw(self) -> None:
        """Only what changed is written to the terminal."""
        if not self._is_whole():
            return
        now, width = time.time(), self.size.width
        self._put("head", head_lines(self.seen.state, now, width, self.seen.trouble))
        tasks, first = self.query_one(Tasks), self.table is None
        self.table = table(self.seen.state, now, tasks.scrollable_content_region.width or width, self.words)
        self._put("heading", [self.table.heading])
        chosen = tasks.show(self.table.rows, self.chosen)
        self._put("foot", [cut(foot(self.table, self.words), width)])
        if first or chosen != self.chosen:
            self._choose(chosen)
        else:
            self._aim()

    def _is_whole(self) -> bool:
        """Not while it ends: what it shows is taken away part by part, and what was seen meanwhile comes too late."""
        return len(self.query(", ".join(f"#{name}" for name in _PARTS))) == len(_PARTS)

    def _choose(self, task: str) -> None:
        self.chosen = task
        self._open()

    def _open(self) -> None:
        """What was open is not about this: it goes at once, what there is comes when it was looked up."""
        self._put("tabs", [tab_line(self.tab, self.chosen, self.query_one("#tabs").size.width or self.size.width)])
        self._put("text", [NO_TASK if not self.chosen and not self.words else ""])
        self.query_one("#text").set_class(self.tab in (Tab.SCREEN, Tab.DIFF), "unwrapped")
        self._aim()
        self._pane_looks.wake()

    def _aim(self) -> None:
        self._panes.aim(Aim(self.chosen, self.tab, self.seen.state) if self.chosen else None)

    def _show_pane(self, pane: Pane) -> None:
        scroll = self.query_one("#pane", ScrollableContainer)
        fresh = not self._drawn.get("text")
        below = scroll.scroll_offset.y >= scroll.max_scroll_y
        self._put("text", pane.lines)
        if pane.tab is Tab.SCREEN and (fresh or below):  # where a terminal's cursor is
            self.call_after_refresh(scroll.scroll_end, animate=False, x_axis=False)
        elif fresh:
            scroll.scroll_home(animate=False)

    def _put(self, name: str, lines: Sequence[str]) -> None:
        text = "\n".join(lines)
        if self._drawn.get(name) != text:
            self._drawn[name] = text
            self.query_one(f"#{name}", Static).update(Text.from_ansi(text))

    def _handle_exception(self, error: Exception) -> None:
        """Kept for who ran this: Textual would only print it."""
        self.failure = self.failure or error
        super()._handle_exception(error)

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()


class Tasks(List):
    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._lines_shown: list[str] = []

    def show(self, rows: Sequence[Row], chosen: str) -> str:
        """Show the rows, the chosen one still chosen; when it is gone, the one in its place. Returns which it is."""
        old = [option.id for option in self.options]
        if [row.id for row in rows] == old:
            for index, row in enumerate(rows):
                if self._lines_shown[index] != row.line:
                    self.replace_option_prompt_at_index(index, Text.from_ansi(row.line))
        else:
            place = self.highlighted or 0
            self.set_options([Option(Text.from_ansi(row.line), id=row.id) for row in rows])
            names = [row.id for row in rows]
            if rows:
                self.highlighted = names.index(chosen) if chosen in names else min(place, len(rows) - 1)
        self._lines_shown = [row.line for row in rows]
        return "" if self.highlighted is None else str(rows[self.highlighted].id)
