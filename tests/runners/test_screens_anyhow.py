"""Real screens on terminals of any size, and quoted in any shape above a live input line."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.runners.conftest import Host
from tests.runners.test_screens import EXPECTED, OTHERS, PLACE, QUOTES, by_words, other_frames, seen, text_of
from tests.runners.test_tmux import open_window
from tests.support import wait_for

ALL = {name: text_of(name) for name in EXPECTED} | {name: text_of(f"more/{name}") for name in OTHERS}


def trimmed(screen: str) -> list[str]:
    return [line.rstrip() for line in screen.strip("\n").rstrip().splitlines()]


def boxed(lines: list[str]) -> list[str]:
    width = max(map(len, lines))
    inside = [f"  │ {line.ljust(width)} │" for line in lines]
    return [f"  ╭{'─' * (width + 2)}╮", *inside, f"  ╰{'─' * (width + 2)}╯"]


SHAPES: dict[str, Callable[[list[str]], list[str]]] = {
    "indented": lambda lines: [f"  {line}" for line in lines],
    "below a tool": lambda lines: [f"     {line}" for line in lines],
    "fenced": lambda lines: ["  ```", *(f"  {line}" for line in lines), "  ```"],
    "boxed": boxed,
    "in a bar": lambda lines: [f"  │ {line}" for line in lines],
    "as a quote": lambda lines: [f"  > {line}" for line in lines],
    "as a diff": lambda lines: [f"      {number:3} + {line}" for number, line in enumerate(lines, 1)],
    "numbered": lambda lines: [f"  {number:4}→{line}" for number, line in enumerate(lines, 1)],
}


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(PLACE)),
    st.sampled_from(sorted(ALL)),
    st.sampled_from(sorted(SHAPES)),
    st.integers(3, 60),
    st.booleans(),
    st.none() | st.integers(58, 200),
)
@example("claude.working", "claude.waiting-permission", "boxed", 60, False, None)
@example("codex.idle-after-turn", "codex.working", "indented", 60, False, 60)
@example("claude.working", "claude.unreachable.80x24", "as a diff", 7, False, 58)
@example("claude.working", "claude.unreachable.200x50", "as a diff", 6, False, 58)
@example("claude.working", "aider.limited-rate", "fenced", 7, False, 58)
def test_a_quoted_screen_is_not_seen(
    name: str, other: str, shape: str, count: int, goes_on: bool, width: int | None
) -> None:
    """All of it or its last lines; as the agent's last words or with more behind them."""
    first, rest = QUOTES[name.partition(".")[0]]
    before, mark, after = text_of(name).rpartition(f"\n{PLACE[name]}")
    words = [f"{first}The screen:", "", *SHAPES[shape](trimmed(ALL[other])[-count:])]
    words += ["", f"{rest}That is what it shows."] if goes_on else []
    screen = "\n".join([before, *words, ""]) + mark + after
    assert seen(name, by_words(screen, width) if width else screen)[0] == EXPECTED[name][0]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(EXPECTED)), st.integers(58, 220), st.lists(st.integers(0, 40), max_size=8), st.booleans())
def test_any_width_blank_lines_and_another_frame(name: str, width: int, blank: list[int], other_frame: bool) -> None:
    lines = by_words(text_of(name), width).splitlines()
    for number in blank:
        lines.insert(number, " " * (number % 3))
    screen = "\n".join(lines)
    assert seen(name, other_frames(screen) if other_frame else screen) == EXPECTED[name]


#: The sizes of a terminal that a person drags smaller and larger.
SIZES = [(120, 40), (80, 24), (60, 20), (200, 50), (97, 17), (58, 33), (143, 28), (220, 60)]


def test_a_real_terminal_of_any_size(host: Host) -> None:
    """tmux breaks the lines anew, and what does not fit any more is above the screen."""
    windows = {}
    for number, name in enumerate(EXPECTED):
        file = host.folder / f"{number}.txt"
        file.write_text("\n".join(trimmed(text_of(name))))
        windows[name] = open_window(host, ["sh", "-c", 'cat "$0"; exec sleep 600', str(file)], f"w-{number}")[0].id

    def wrong() -> dict[str, tuple[str, str]]:
        screens = host.tmux.look(list(windows.values())).screens
        found = {name: seen(name, screens[window]) for name, window in windows.items()}
        return {name: each for name, each in found.items() if each != EXPECTED[name]}

    def sizes() -> set[str]:
        ask = ("list-panes", "-a", "-f", "#{@mux_task}", "-F", "#{pane_width}x#{pane_height}")
        return set(host.tmux._call(*ask).out.split())

    for width, height in SIZES:
        for window in windows.values():
            host.tmux._call("resize-window", "-t", window, "-x", str(width), "-y", str(height))
        wait_for(lambda size=f"{width}x{height}": sizes() == {size})
        wait_for(lambda: not wrong(), lambda size=f"{width}x{height}": f"{size}: {wrong()}")
