"""Typing into a worker's window for a person: only where it takes a message now, and looking that it arrived.

Where a profile says how the input line looks, that is looked at. What reads its terminal plainly, such as a script, is
sent what its program has read: a screen tells nothing of that.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from board.errors import LockHeld, MuxError
from board.storage import one_line_errors
from runners.draft import find_draft, text_of_styled
from runners.host import Host
from runners.menus import find_menu, find_question
from runners.profiles import Profile
from runners.screens import MENUS, ScreenRule, Seen, classify, input_lines
from runners.terminals import LONGEST_LINE, Terminal
from runners.words import quotable


class InTheWay(MuxError):
    """Nothing was typed. `what` says why in words that may be kept: nothing of the screen is in them."""

    def __init__(self, what: str, text: str = "") -> None:
        super().__init__(text or what)
        self.what = what


LONGEST = 100_000  # bytes of one message
_SHOWS = 5.0  # seconds until what was typed must be seen
_ARRIVES = 0.5  # in which what was typed has come to the terminal
_TAKES = 2.0  # until an Enter must have done something, before it is pressed a second time
_POLL = 0.05
_OTHERS = 30.0  # seconds in which somebody else who types must be through
_UNREAD = "typed, but nothing has read it: it stays in its terminal until something does, so do not send it again"


@contextmanager
def alone(task: str, run_folder: Path) -> Iterator[None]:
    """Nobody else has mux type into the attempt's window meanwhile: two messages would be one. Raises `MuxError`."""
    from filelock import FileLock, Timeout

    lock = FileLock(run_folder / "typing.lock", timeout=_OTHERS, mode=0o600)
    with one_line_errors("lock", run_folder):
        try:
            lock.acquire()
        except Timeout:
            raise LockHeld(f"{task}: another message is being typed into its window; try again in a moment") from None
    try:
        yield
    finally:
        lock.release()


def check_text(text: str) -> str:
    """The text as it is to be typed. Raises `MuxError` for what no message holds."""
    text = text.replace("\r\n", "\n")
    if not text.strip():
        raise MuxError("there is nothing to send: say what, as in: mux send fix-login 'use the staging key'")
    if len(text.encode(errors="replace")) > LONGEST:
        raise MuxError(f"a message may have {LONGEST} bytes: put the rest in a file of its worktree and name that")
    if any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t" for letter in text):
        raise MuxError("the message holds a control character: take it out; for keys there is: mux attach")
    return text.rstrip("\n")


def send(host: Host, task: str, profile: Profile | None, window: str, text: str) -> None:
    """Type a text, into the agent's empty input line where it has one, and send it off.

    Raises `MuxError`, with what is in the way, or what has become of it.
    """
    text = check_text(text)
    type_in(host, task, profile, window, text, check_takes(task, profile, host.screen(window)))


def check_takes(task: str, profile: Profile | None, styled: str) -> str:
    """The screen, captured with its colours, on which the agent takes a message. Raises `InTheWay`."""
    rules = profile.screens if profile else ()
    _refuse_menu(task, classify(text_of_styled(styled), rules))
    draft = find_draft(styled, rules)
    if draft:
        text = (
            f'{task}: its input line holds a draft: "{quotable(draft, 80)}"; send or clear it first: mux attach {task}'
        )
        raise InTheWay("its input line holds a draft", text)
    if draft is None and knows_input(profile):
        text = f"{task}: its input line is not on its screen, so nothing was typed; {_look(task)}"
        raise InTheWay("its input line is not on its screen", text)
    return styled


def type_in(host: Host, task: str, profile: Profile | None, window: str, text: str, before: str) -> None:
    """Type a text into a window whose screen is `before`, and send it off. Raises `MuxError` when it does not go."""
    has_line = knows_input(profile)
    terminal = None if has_line else host.terminal(window)
    if terminal is not None:
        _send_plainly(host, task, window, text, terminal)
        return
    host.paste(window, text)
    if not _until(_SHOWS, lambda: _arrived(host.screen(window), before, profile, has_line)):
        raise MuxError(f"{task}: the text was typed, but does not show on its screen; {_look(task)}")
    pasted, cursor = host.screen(window), host.cursor(window)
    _refuse_enter(task, profile, pasted)
    if not has_line or _is_lowest(before, profile.screens if profile else ()):
        # Who reads lines takes the first Enter, and may show nothing for long: a second would answer what it asks next.
        host.press(window, "Enter", False)
        if _until(_SHOWS, lambda: host.cursor(window) != cursor or host.screen(window) != pasted):
            return
    else:
        for _ in range(2):  # an agent that is still busy with the text may swallow the first
            host.press(window, "Enter", False)
            if _until(_TAKES, lambda: _left(host.screen(window), pasted, profile)):
                return
    raise MuxError(f"{task}: the text is in its input line, but Enter does not send it; {_look(task)}")


def _send_plainly(host: Host, task: str, window: str, text: str, terminal: Terminal) -> None:
    """To a program of which only the terminal is known."""
    if terminal.unread:
        raise MuxError(
            f"{task}: nothing reads its terminal now, and what was typed before is still there; {_look(task)}"
        )
    if terminal.by_lines and any(len(line.encode()) > LONGEST_LINE for line in text.split("\n")):
        raise MuxError(f"{task}: its terminal takes at most {LONGEST_LINE} bytes a line: break the longer ones")

    host.paste(window, text)
    if not terminal.by_lines and not _until(_SHOWS, lambda: _is_read(host, window)):
        raise MuxError(f"{task}: {_UNREAD}")
    host.press(window, "Enter", False)
    if not _until(_SHOWS, lambda: _is_read(host, window)):
        raise MuxError(f"{task}: {_UNREAD}")


def _is_read(host: Host, window: str) -> bool:
    """Nothing is left in its terminal, and nothing comes: tmux and the system hand on what was typed in their own time.

    A program may end as soon as it has read, and its terminal with it.
    """
    looks_until = time.monotonic() + _ARRIVES
    while (now := host.terminal(window)) is not None and now.unread == 0:
        if time.monotonic() > looks_until:
            return True
        time.sleep(_POLL)
    return now is None


def choose(host: Host, task: str, profile: Profile | None, window: str, key: str) -> None:
    """Answer the menu that is open: by the key of an option, or its number where the options show none.

    Enter is pressed only when the mark is seen at that option, or the key at a prompt. Raises `MuxError`.
    """
    if len(key) != 1 or not key.isalnum():
        raise MuxError(f"'{key}' is no choice: give the number or letter of one, as in: mux send {task} --choice 1")
    rules = profile.screens if profile else ()
    before = host.screen(window)
    seen = classify(text_of_styled(before), rules)
    if seen.reason not in MENUS:
        raise MuxError(f"{task}: no question with choices is on its screen, so nothing was typed; look: mux status")

    draws_menus = any(rule.region == "menu" for rule in rules)  # else one on its screen is quoted
    menu, question, asked = find_menu(before) if draws_menus else None, find_question(before), _last_line(before)
    wanted = menu.index(key) if menu else None

    def is_answered() -> bool:
        shown = host.screen(window)
        now = classify(text_of_styled(shown), rules)
        return now.reason not in MENUS or find_question(shown) != question or (not menu and _ask(now) != _ask(seen))

    def is_marked() -> bool:
        """The key moved the mark to its option, where Enter takes it."""
        now = find_menu(host.screen(window))
        return menu is not None and now is not None and now.chosen == wanted != menu.chosen and not is_answered()

    def is_typed() -> bool:
        """Behind a question that reads a line the key shows, and waits for Enter."""
        return menu is None and _last_line(host.screen(window)) in (asked + key, f"{asked} {key}")

    # Where the mark is at it Enter is all: of two keys the second might answer what is asked next.
    if menu is None or (menu.has_keys and menu.chosen != wanted):
        host.press(window, key, True)
        # A busy agent takes it late, and may ask the next thing at once: no Enter may be on its way then.
        takes = _SHOWS if wanted is not None else _TAKES / 2
        _until(takes, lambda: is_typed() or is_marked() or is_answered())
        if is_answered() and not is_typed():
            return
    if menu is not None:
        _move_mark(host, task, window, key)
    elif not is_typed():
        raise MuxError(
            f"{task}: {key} does not answer what is on its screen, and nothing else was typed; {_look(task)}"
        )
    if menu is not None and is_answered():
        return
    cursor = host.cursor(window)
    host.press(window, "Enter", False)
    if not _until(_SHOWS, lambda: is_answered() and not (is_typed() and host.cursor(window) == cursor)):
        raise MuxError(f"{task}: the question is still there after {key} and Enter; {_look(task)}")


def knows_input(profile: Profile | None) -> bool:
    """Whether a draft of a person's can be seen on the agent's screen."""
    return any(rule.region == "input" for rule in profile.screens) if profile else False


def _move_mark(host: Host, task: str, window: str, key: str) -> None:
    """Until the mark of the menu is seen at the wanted option. Raises `MuxError`: nothing was answered then."""
    menu = find_menu(host.screen(window))
    wanted = menu.index(key) if menu else None
    if menu is None or wanted is None:
        offers = f"; it has {len(menu.options)}" if menu else ""
        raise MuxError(
            f"{task}: there is no choice {key} on its screen{offers}, and nothing was answered; {_look(task)}"
        )
    back, on = ("Left", "Right") if menu.is_row else ("Up", "Down")
    for _ in range(abs(wanted - menu.chosen)):
        _press_arrow(host, window, on if wanted > menu.chosen else back)
    now = find_menu(host.screen(window))
    if now is None or now.options != menu.options or now.chosen != wanted:
        raise MuxError(f"{task}: its menu does not go to choice {key}, and nothing was answered; {_look(task)}")


def _press_arrow(host: Host, window: str, arrow: str) -> None:
    shown = find_menu(host.screen(window))
    host.press(window, arrow, False)
    _until(_TAKES, lambda: find_menu(host.screen(window)) != shown)


def _last_line(styled: str) -> str:
    return text_of_styled(styled).rstrip().rpartition("\n")[2].rstrip()


def _look(task: str) -> str:
    return f"look: mux attach {task}"


def _ask(seen: Seen) -> tuple[str, str]:
    """What is asked where no menu is to be seen."""
    return seen.reason, "".join(letter for letter in seen.evidence if letter.isalnum())


def _refuse_menu(task: str, seen: Seen) -> None:
    if seen.reason in MENUS:
        what, key = ("asks for a permission", "1") if seen.reason == "permission" else ("waits for a choice", "N")
        text = f"{task}: it {what}, where a text would be taken for keys; answer: mux send {task} --choice {key}"
        raise InTheWay(f"it {what}", text)


def _refuse_enter(task: str, profile: Profile | None, pasted: str) -> None:
    """A question that came up while a text was typed is not answered by the Enter behind it. Raises `InTheWay`.

    A list in the text itself is none: it stands in the input line. That the text holds an option of a menu tells
    nothing: it may be an answer that was written before the question.
    """
    try:
        _refuse_menu(task, classify(text_of_styled(pasted), profile.screens if profile else ()))
    except InTheWay as found:
        raise InTheWay(
            found.what, f"{found}; your text was typed as that came up, and not sent: {_look(task)}"
        ) from None


def _arrived(styled: str, before: str, profile: Profile | None, has_line: bool) -> bool:
    draft = find_draft(styled, profile.screens) if has_line and profile is not None else None
    return styled != before if draft is None else bool(draft)


def _is_lowest(styled: str, rules: Sequence[ScreenRule]) -> bool:
    """The input line is the last thing on the screen: nothing is drawn around it."""
    text = text_of_styled(styled)
    found = input_lines(text, rules)
    return found is not None and not any(line.strip() for line in text.splitlines()[found[1] + 1 :])


def _left(styled: str, pasted: str, profile: Profile | None) -> bool:
    if profile is not None and find_draft(pasted, profile.screens):
        return not find_draft(styled, profile.screens)
    return styled != pasted  # so long a text that the shape of the input line is not to be seen


def _until(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
