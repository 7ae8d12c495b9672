"""The local Slack from outside its process: by HTTP (`/control/…`), and by hand in a terminal.

curl -d '{"user": "U0ANA", "text": "status"}' http://127.0.0.1:8065/control/slash
curl 'http://127.0.0.1:8065/control/text?channel=C0MUX'
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from tests.e2e.fake_slack_acts import Turn
from tests.e2e.fake_slack_strict import Json
from tests.e2e.fake_slack_text import as_text, view_as_text
from tests.e2e.fake_slack_world import Message, View

if TYPE_CHECKING:
    from tests.e2e.fake_slack import FakeSlack

#: What may be called from outside, with its arguments by name.
OPEN = {
    *("slash", "say", "event", "add_user", "add_channel", "add_group", "archive", "pass_time"),
    *("fail", "heal", "disconnect", "enable_socket_mode", "cut", "freeze"),
    *("messages", "thread", "ephemerals", "views", "home", "calls", "acks", "pings", "links"),
}
HELP = """/mux …            a slash command          as USER            be somebody else (U0ANA, U0BEN, U0EVE)
click N ACTION    N: number of a message   submit KEY=VALUE …  the newest modal
down, up, cut, freeze, refresh             what happens to connections
fail METHOD N     the next call answers N  show, help, quit"""


def control(slack: FakeSlack, name: str, arguments: Json) -> tuple[str, str]:
    """The body and the content type of the answer; LookupError, TypeError or ValueError for what cannot be done."""
    if name == "text":
        return slack.as_text(**arguments) + "\n", "text/plain; charset=utf-8"
    if name == "click":
        where = message_at(slack, arguments.pop("ts"), arguments.pop("channel", ""))
        answer: Any = slack.click(where, **arguments)
    elif name == "submit":
        view = next(each for each in reversed(slack.views()) if arguments.get("view") in (None, each.id))
        answer = slack.submit(view, arguments.get("values"))
    elif name in OPEN:
        answer = getattr(slack, name)(**arguments)
    else:
        raise LookupError(f"{name}: there are click, submit, text, {', '.join(sorted(OPEN))}")
    return json.dumps(plain(answer), indent=1) + "\n", "application/json; charset=utf-8"


def plain(value: Any) -> Any:
    if isinstance(value, Turn):
        return value.summary()
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return json.loads(json.dumps(dataclasses.asdict(value), default=sorted))
    return value


def message_at(slack: FakeSlack, ts: str, channel: str = "") -> Message:
    """Among all, the ephemeral ones too."""
    with slack.world.lock:
        everywhere = [each for some in slack.world.messages.values() for each in some.values()]
        everywhere += slack.world.ephemerals
    for each in everywhere:
        if each.ts == ts and channel in ("", each.channel):
            return each
    raise LookupError(f"no message {ts}")


class Desk:
    """One person at a terminal, who sees everything."""

    def __init__(self, slack: FakeSlack, out: TextIO) -> None:
        self.slack = slack
        self.out = out
        self.user = "U0ANA"
        self.numbers: dict[str, int] = {}
        self.shown: dict[str, Message | View] = {}
        self.ended = threading.Event()

    def watch(self) -> None:
        """Print what is new or was edited, until the end."""
        while not self.ended.wait(0.1):
            self.show_news()

    def show_news(self) -> None:
        with self.slack.world.lock:
            names = {user.id: user.name for user in self.slack.world.users.values()}
            some = [each for channel in self.slack.world.messages.values() for each in channel.values()]
            some += self.slack.world.ephemerals
            views = [*self.slack.views(), *self.slack.world.homes.values()]
        for message in sorted(some, key=lambda each: float(each.ts)):
            if self.shown.get(message.ts) != message:
                self.shown[message.ts] = message
                number = self.numbers.setdefault(message.ts, len(self.numbers) + 1)
                self.out.write(f"#{number} in {message.channel}: {as_text(message, names)}\n\n")
        for view in views:
            if self.shown.get(view.id) != view:
                self.shown[view.id] = view
                self.out.write(f"{view.id} for {names[view.user]}:\n{view_as_text(view, names)}\n\n")
        self.out.flush()

    def obey(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        simple: dict[str, Callable[[], None]] = {"down": self.slack.down, "up": self.slack.up, "cut": self.slack.cut}
        simple |= {"freeze": self.slack.freeze, "refresh": self.slack.disconnect, "quit": self.ended.set}
        if word.startswith("/"):
            self._tell(self.slack.slash(self.user, rest, command=word))
        elif word == "as" and rest in self.slack.world.users:
            self.user = rest
        elif word == "click" and len(rest.split()) >= 2:
            number, action, *choice = rest.split()
            ts = next((ts for ts, known in self.numbers.items() if str(known) == number.lstrip("#")), "")
            self._tell(self.slack.click(message_at(self.slack, ts), action, self.user, *choice[:1]))
        elif word == "submit" and self.slack.views():
            values = dict(each.split("=", 1) for each in rest.split() if "=" in each)
            self._tell(self.slack.submit(self.slack.views()[-1], values))
        elif word == "fail" and len(rest.split()) == 2 and rest.split()[1].isdigit():
            self.slack.fail(rest.split()[0], status=int(rest.split()[1]), retry_after=1)
        elif word == "show":
            self.out.write(self.slack.as_text() + "\n")
        elif word in simple:
            simple[word]()
        elif word:
            self.out.write(HELP + "\n")

    def _tell(self, turn: Turn) -> None:
        how = f"acked in {turn.latency * 1000:.0f} ms" if turn.acked else f"not acked: {turn.error}"
        self.out.write(f"-- {how}{''.join(f'; {key}: {text}' for key, text in turn.errors.items())}\n")


def main(make: Callable[..., FakeSlack], arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.fake_slack", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--scopes", default="", help="the bot's scopes, with commas between them")
    parser.add_argument("--rate-limits", action="store_true")
    chosen = parser.parse_args(arguments)
    scopes = {"scopes": chosen.scopes.split(",")} if chosen.scopes else {}
    with make(chosen.port, rate_limits=chosen.rate_limits, **scopes) as slack:
        out = sys.stdout
        out.write(f"SLACK_BASE_URL={slack.api_url}\nSLACK_BOT_TOKEN={slack.bot_token}\n")
        out.write(f"SLACK_APP_TOKEN={slack.app_token}\nchannel C0MUX; people U0ANA, U0BEN, and U0EVE, a stranger\n")
        out.flush()
        desk = Desk(slack, out)
        watcher = threading.Thread(target=desk.watch, name="desk")
        watcher.start()
        try:
            for line in sys.stdin:
                try:
                    desk.obey(line)
                except (LookupError, ValueError) as error:
                    out.write(f"{error}\n")
                if desk.ended.is_set():
                    break
            else:
                desk.ended.wait()  # nobody types: serve until it is interrupted
        except KeyboardInterrupt:
            pass
        finally:
            desk.ended.set()
            watcher.join()
