"""`/mux …`: the commands that may be given in a chat. The same parsers and functions as in the terminal, other replies.

Nothing here reads another board than the one it is told, or a file that a person names.
"""

from __future__ import annotations

import argparse
import re
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from board.errors import MuxError, UsageError
from board.redact_text import truncate
from bot import chat_orders, chat_texts, chat_views, decisions, orders
from bot.access import Need
from bot.commands import COMMANDS as TERMINAL
from bot.commands import command_named, parser_of
from bot.journalling import say_in
from bot.mrkdwn import Redact, escape
from bot.place import Place
from bot.posts import Reply
from runners.journal import Journal
from runners.requests import DENY

_LONGEST_REPLY = 2500


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a command is given: on which board, by whom (`slack:U012ABCDEF`), and how text is made fit to leave.

    `decides`: they are an approver.
    """

    place: Place
    by: str
    redact: Redact
    decides: bool = False


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """`split` makes the words for the terminal's parser from what was typed after the command."""

    need: Need
    run: Callable[[Scene, argparse.Namespace], Reply]
    split: Callable[[str], list[str]]


def _status(scene: Scene, words: argparse.Namespace) -> Reply:
    from bot import status

    now = time.time()
    state = status.look(scene.place, now)
    if words.task is None:
        return chat_views.status_reply(state, now, scene.redact)
    return chat_views.task_reply(status.one_task(state, words.task), now, scene.redact)


def _requests(scene: Scene, words: argparse.Namespace) -> Reply:
    from bot import status

    now = time.time()
    state = status.look(scene.place, now)
    if words.id is not None:
        found = [each for each in state["requests"] if each["id"].startswith(words.id)]
        if not found:
            raise MuxError(f"there is no open request {words.id}")
        state = {**state, "requests": found}
    return chat_views.requests_reply(state, now, scene.redact)


def _journal(scene: Scene, words: argparse.Namespace) -> Reply:
    from bot.history import newest

    return chat_texts.journal_reply(newest(scene.place, words.task, words.lines), scene.redact, words.task)


def _diff(scene: Scene, words: argparse.Namespace) -> Reply:
    from bot.diff import changes_of

    return chat_texts.diff_reply(words.task, changes_of(scene.place, words.task, stat=True))


def _digest(scene: Scene, words: argparse.Namespace) -> Reply:
    from bot import digests, status

    if words.post:
        raise UsageError("--post is for the terminal: here the digest is for you alone")
    now = time.time()
    since = now - digests.DAY
    events = list(Journal(scene.place.folder).events(after=since - digests.LOOK_BACK))
    content = digests.digest(status.look(scene.place, now), events, since, now, scene.redact)
    shown = digests.post(content, "digest:now")
    return Reply(shown.text, shown.blocks)


def _logs(scene: Scene, words: argparse.Namespace) -> Reply:
    from bot.logs import tail

    if words.follow or words.raw:
        raise UsageError("--follow and --raw are for the terminal")
    lines = min(words.lines or chat_texts.LOG_LINES, chat_texts.LOG_LINES)
    attempt, text = tail(scene.place, words.task, words.attempt, lines)
    _journalled(scene, "logs", words.task)
    return chat_texts.logs_reply(words.task, attempt, text, scene.redact, lines)


def _start(scene: Scene, words: argparse.Namespace) -> Reply:
    said = chat_orders.started(scene.place, words.task, scene.by, scene.decides)
    _journalled(scene, "start", words.task)
    return _told([said], scene.redact)


def _stop(scene: Scene, words: argparse.Namespace) -> Reply:
    said = chat_orders.stopped(scene.place, words.task, scene.by, scene.decides)
    _journalled(scene, "stop", words.task)
    return _told([said], scene.redact)


def _restart(scene: Scene, words: argparse.Namespace) -> Reply:
    from bot.restart import restarted

    said = restarted(scene.place, words.task, words.how, scene.by)
    _journalled(scene, "restart", words.task)
    return _told(said, scene.redact)


def _add(scene: Scene, words: argparse.Namespace) -> Reply:
    if words.ready:
        raise UsageError("from a chat only drafts are added; then: mux start TASK")
    if words.prompt == "-":
        raise UsageError("--prompt takes the text itself here")
    said = orders.added_to(scene.place, words, words.prompt or "")
    _journalled(scene, "add", said[0].partition(":")[0])
    return _told(said, scene.redact)


def _approve(scene: Scene, words: argparse.Namespace) -> Reply:
    request, choice = decisions.approve(scene.place, words.id, words.choice, scene.by, time.time())
    return _told([f"{request.id}: {choice}"], scene.redact)


def _deny(scene: Scene, words: argparse.Namespace) -> Reply:
    request, choice = decisions.approve(scene.place, words.id, DENY, scene.by, time.time())
    return _told([f"{request.id}: {choice}"], scene.redact)


def _answer(scene: Scene, words: argparse.Namespace) -> Reply:
    request, choice = decisions.answer(scene.place, words.id, " ".join(words.text), scene.by, time.time())
    return _told([f"{request.id}: {choice}"], scene.redact)


def _send(scene: Scene, words: argparse.Namespace) -> Reply:
    from bot.send import send

    text = " ".join(words.text)
    if (words.choice is None) == (not text) or text == "-":
        raise UsageError("give a text, or --choice N to answer a menu, as in: send fix-login use the staging key")
    return _told([send(scene.place, words.task, text, words.choice, scene.by)], scene.redact)


def _words(text: str) -> list[str]:
    """As a shell splits them, where that can be done."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _title(text: str) -> list[str]:
    """A title needs no quotation marks, and an apostrophe in it is none: it ends where options begin."""
    if text.startswith(('"', "'")):
        return _words(text)
    title, dashes, options = text.partition(" --")
    return [title, *_words(f"--{options}" if dashes else "")] if title else []


def _task_and_text(text: str) -> list[str]:
    """The text is taken as it is, unless a choice of a menu is meant."""
    words = text.split(None, 1)
    return _words(text) if len(words) == 2 and words[1].startswith("--choice") else _id_and_text(text)


def _id_and_text(text: str) -> list[str]:
    """The text is taken as it is."""
    words = text.split(None, 1)
    return [words[0], "--", words[1]] if len(words) == 2 else words


COMMANDS: Mapping[str, ChatCommand] = {
    "status": ChatCommand(Need.READ, _status, _words),
    "requests": ChatCommand(Need.READ, _requests, _words),
    "journal": ChatCommand(Need.READ, _journal, _words),
    "diff": ChatCommand(Need.READ, _diff, _words),
    "digest": ChatCommand(Need.READ, _digest, _words),
    "logs": ChatCommand(Need.DECIDE, _logs, _words),
    "start": ChatCommand(Need.ORDER, _start, _words),
    "stop": ChatCommand(Need.ORDER, _stop, _words),
    "restart": ChatCommand(Need.DECIDE, _restart, _words),
    "send": ChatCommand(Need.DECIDE, _send, _task_and_text),
    "add": ChatCommand(Need.DECIDE, _add, _title),
    "approve": ChatCommand(Need.DECIDE, _approve, _words),
    "deny": ChatCommand(Need.DECIDE, _deny, _words),
    "answer": ChatCommand(Need.DECIDE, _answer, _id_and_text),
}


_OF_CHAT = re.compile(rf"(?<![/\w])mux ({'|'.join(COMMANDS)})\b(?!-)")
_OF_TERMINAL = re.compile(rf": mux ({'|'.join({command.name for command in TERMINAL} - COMMANDS.keys())})\b")


def need_of(text: str) -> Need:
    """What a person must be allowed for this command; what is no command, only reads the help."""
    command = COMMANDS.get(_first(text))
    return command.need if command is not None else Need.READ


def run(scene: Scene, text: str) -> Reply:
    """The reply to a command, or to what is none. Raises MuxError for what a person can mend."""
    name = _first(text)
    if name in ("", "help"):
        return chat_texts.help_reply()
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean '/mux {near[0]}'?" if near else "see: /mux help"
        raise UsageError(f"'{name}' is no command for a chat: {hint}")
    return COMMANDS[name].run(scene, parsed(text))


def parsed(text: str) -> argparse.Namespace:
    """The words of a command that there is. Raises UsageError."""
    name = _first(text)
    words = COMMANDS[name].split(text.strip()[len(name) :].strip())
    if {"-h", "--help"} & {*words[: words.index("--") if "--" in words else None]}:
        raise UsageError("see: /mux help")
    parser = parser_of(command_named(name))
    try:
        arguments = parser.parse_args(words)
    except UsageError as error:
        raise UsageError(str(error).replace(f"{parser.prog} --help", "/mux help")) from None
    except SystemExit:  # one more way to ask for help
        raise UsageError("see: /mux help") from None
    if arguments.board is not None:
        raise UsageError("another board cannot be named in a chat: --board is for the terminal")
    return arguments


def sorry(error: MuxError, redact: Redact) -> Reply:
    return _told([error.told], redact)


def _first(text: str) -> str:
    return (text.split() or [""])[0].lower()


def _told(lines: Iterable[str], redact: Redact) -> Reply:
    """What the terminal says, in the words of a chat: a command that it does not have is for the terminal."""
    text = _OF_CHAT.sub(r"/mux \1", redact("\n".join(lines)))
    text = _OF_TERMINAL.sub(r", in the terminal: mux \1", text)
    return Reply(escape(truncate(text, _LONGEST_REPLY)))


def _journalled(scene: Scene, what: str, task: str) -> None:
    say_in(scene.place)("chat", f"{what}, by {scene.by}", task, by=scene.by)
