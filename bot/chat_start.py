"""The chat of `mux up`: made before anything inherits the environment, as tokens are taken out of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from board.errors import MuxError
from board.model import Board
from bot.chat import Chat
from bot.mrkdwn import Redact
from bot.place import Place
from bot.slack_client import API_URL, TOKENS_FILE, Tokens, take_tokens
from runners import processes
from runners.journal import Event, Journal

NO_TOKENS = "no tokens: set SLACK_BOT_TOKEN and SLACK_APP_TOKEN, or write them into ~/.config/mux/slack.env"

#: Names, for a control plane that is started detached, the open file with what of Slack it is given.
HANDED = "MUX_SLACK_HANDED"


def tokens_of(environment: MutableMapping[str, str]) -> tuple[Tokens | None, str]:
    """The tokens, or why there are none. A mistake in them is no reason not to start.

    Whoever was given anything of Slack, usable or not, is closed to other programs from here on.
    """
    given = _of_slack(environment)
    try:
        found = take_tokens(environment, Path.home())
        why_none = "" if found else NO_TOKENS
    except MuxError as error:
        found, why_none = None, str(error)
    if given or found is not None:
        processes.hide_memory()
    return found, why_none


@contextmanager
def handed_over(environment: Mapping[str, str]) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """The environment and the open files for a control plane that is started: what is of Slack comes through a pipe.

    What a process was started with stands in `/proc` for as long as it lives, whatever it takes out of it later.
    Whatever else is of Slack (a signing secret, for one) mux has no use for, but must know to keep it back.
    """
    of_slack = _of_slack(environment)
    kept = {name: value for name, value in environment.items() if name not in of_slack}
    if not of_slack:
        yield kept, ()
        return
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(os.fsencode("\0".join(f"{name}={value}" for name, value in of_slack.items())))
        yield kept | {HANDED: str(reading)}, (reading,)
    finally:
        os.close(reading)


def taken_over(environment: MutableMapping[str, str]) -> None:
    """Put what was `handed_over` where it is in the foreground: into the environment."""
    if (number := environment.pop(HANDED, None)) is not None:
        with os.fdopen(int(number), "rb") as pipe:
            handed = os.fsdecode(pipe.read())
        for each in handed.split("\0"):
            name, _, value = each.partition("=")
            environment[name] = value


def _of_slack(environment: Mapping[str, str]) -> dict[str, str]:
    """What may be secret: all but where things are."""
    places = (API_URL, TOKENS_FILE)
    return {name: value for name, value in environment.items() if name.startswith("SLACK_") and name not in places}


def named(tokens: Tokens | None) -> dict[str, str]:
    """For the redactor: values that must not leave."""
    if tokens is None:
        return {}
    return {**tokens.more, "SLACK_BOT_TOKEN": tokens.bot, "SLACK_APP_TOKEN": tokens.app}


def chat_of(
    place: Place,
    tokens: tuple[Tokens | None, str],
    board: Callable[[], Board],
    redact: Redact,
    tell: Callable[[Event], None],
    wake: Callable[[], None],
) -> Chat:
    """`tell`: before the person at the terminal."""

    def say(text: str) -> None:
        event = Event(time.time(), "chat", redact(text))
        Journal(place.folder).add(event)
        tell(event)

    found, why_off = tokens
    return Chat(place, found, why_off, board, redact, say, wake)
