"""A local Slack: a strict server on loopback, for tests with the real client and for trying the bot out.

    with FakeSlack() as slack:
        app = App(token=slack.bot_token, client=WebClient(slack.bot_token, base_url=slack.api_url), …)
        turn = slack.slash("U0ANA", "status")
        assert turn.acked and not turn.error and "running" in turn.replies[0].text

It speaks the Web API, Socket Mode and response URLs (fake_slack_api, fake_slack_server), refuses what Slack refuses
(fake_slack_strict), plays the people (fake_slack_acts), and has the faults that it is told to have (`fail`,
`disconnect`, `cut`, `freeze`, `down`). By hand: `python -m tests.e2e.fake_slack --port 8065`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from tests.e2e import fake_slack_acts as acts
from tests.e2e.fake_slack_acts import ACK_SECONDS, Turn
from tests.e2e.fake_slack_api import close_view
from tests.e2e.fake_slack_hand import control, main
from tests.e2e.fake_slack_server import Connection, Hub, Server, disconnect_frame
from tests.e2e.fake_slack_strict import Json
from tests.e2e.fake_slack_workspace import ANA, BEN, CHANNEL, ELSEWHERE, EVE, OTHER_BOT, SECRET, Workspace
from tests.e2e.fake_slack_world import APP, BOT_USER, SCOPES, TEAM, Fault, Message, View, World

__all__ = [
    "ANA",
    "BEN",
    "BOT_USER",
    "CHANNEL",
    "ELSEWHERE",
    "EVE",
    "OTHER_BOT",
    "SCOPES",
    "SECRET",
    "TEAM",
    "FakeSlack",
]


class FakeSlack(Workspace):
    def __init__(self, port: int = 0, scopes: Iterable[str] = SCOPES, rate_limits: bool = False) -> None:
        """`rate_limits`: refuse more than about 1 message a second a channel, and 50 edits a minute."""
        self.world = World(frozenset(scopes), rate_limits)
        self.hub = Hub(self.world)
        self.port = port
        self._server: Server | None = None
        self._thread = threading.Thread()
        self._bugs: list[str] = []
        self.settle()

    # The server.

    def __enter__(self) -> FakeSlack:
        self.up()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def up(self) -> None:
        """Start, or come back, on the same port."""
        server = Server(self.port, self.world, self.hub, self._control)
        self._server, self.port = server, server.server_address[1]
        self.world.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="fake Slack")
        self._thread.start()

    def down(self) -> None:
        """Refuse connections, and end those that there are."""
        if self._server:
            self._server.stop()
            self._thread.join()
            self._bugs += self._server.bugs
            self._server = None

    def stop(self) -> None:
        """Everything ends; a mistake of this server's own is raised, lest a test passes by it."""
        self.down()
        if self._bugs:
            raise AssertionError("the local Slack itself failed:\n" + "\n".join(self._bugs))

    @property
    def url(self) -> str:
        return self.world.url

    @property
    def api_url(self) -> str:
        """The client's `base_url`."""
        return f"{self.world.url}/api/"

    @property
    def bot_token(self) -> str:
        return self.world.bot_token

    @property
    def app_token(self) -> str:
        return self.world.app_token

    # What people do. Each returns when the app has acked, or Slack has lost its patience.

    def slash(
        self,
        user: str,
        text: str = "",
        channel: str = CHANNEL,
        command: str = "/mux",
        *,
        hold: bool = False,
        wait: float = ACK_SECONDS,
        overrides: Json | None = None,
    ) -> Turn:
        """`hold`: not delivered yet (`turn.deliver()`). `overrides`: keys of the payload that are to be otherwise."""
        with self.world.lock:
            person = self.world.users[user]
            place = self.world.direct(channel) if channel in self.world.users else self.world.channels[channel]
            payload = acts.command_payload(person, place.id, place.name or "directmessage", command, text)
            made = acts.turn(self.world, self.hub, "slash_commands", payload | (overrides or {}), person, place.id)
        return made if hold else made.deliver(wait=wait)

    def click(
        self,
        where: Message | View,
        action_id: str,
        user: str = ANA,
        choice: str = "",
        *,
        hold: bool = False,
        wait: float = ACK_SECONDS,
        overrides: Json | None = None,
    ) -> Turn:
        """Click what `where` offers; an old version of a message clicks as a window does that shows an old version.

        `choice`: the value of the option of a select or an overflow menu.
        """
        with self.world.lock:
            person = self.world.users[user]
            payload = acts.interaction("block_actions", person)
            if isinstance(where, View):
                action = acts.action_of(where.view["blocks"], action_id, choice, self.world.new_ts())
                payload |= {"container": {"type": "view", "view_id": where.id}, "view": where.as_sent()}
                channel, ts = "", ""
            else:
                if where.to not in ("", user):
                    raise LookupError(f"only {where.to} sees this message")
                action = acts.action_of(where.blocks, action_id, choice, self.world.new_ts())
                payload |= acts.from_message(where, self.world.channels[where.channel].name or "directmessage")
                channel, ts = where.channel, where.ts
            payload |= {"actions": [action], **(overrides or {})}
            made = acts.turn(self.world, self.hub, "interactive", payload, person, channel, ts)
        return made if hold else made.deliver(wait=wait)

    def submit(
        self,
        view: View,
        values: Mapping[str, Any] | None = None,
        *,
        hold: bool = False,
        wait: float = ACK_SECONDS,
        overrides: Json | None = None,
    ) -> Turn:
        """Fill a modal in, by block id, and submit it: `turn.errors`, or it is closed, or replaced (`turn.views`)."""
        return self._view_turn("view_submission", view, values or {}, hold, wait, overrides or {})

    def close(self, view: View, *, wait: float = ACK_SECONDS) -> Turn | None:
        """Cancel a modal; the app hears of it only if the view says so."""
        with self.world.lock:
            close_view(self.world, view)
        if not view.view.get("notify_on_close"):
            return None
        return self._view_turn("view_closed", view, None, False, wait, {"is_cleared": False})

    def _view_turn(
        self, kind: str, view: View, values: Mapping[str, Any] | None, hold: bool, wait: float, more: Json
    ) -> Turn:
        with self.world.lock:
            person = self.world.users[view.user]
            state = {} if values is None else acts.state_of(view.view, values)
            payload = acts.interaction(kind, person) | {"view": view.as_sent(state), "response_urls": []} | more
            made = acts.turn(self.world, self.hub, "interactive", payload, person)
            made.view = view
        return made if hold else made.deliver(wait=wait)

    def event(self, event: Json, *, hold: bool = False, wait: float = ACK_SECONDS) -> Turn:
        """Any event of the Events API, as `{"type": "app_home_opened", "user": …, "tab": "home"}`."""
        with self.world.lock:
            person = self.world.users.get(event.get("user", ANA), self.world.users[ANA])
            seconds = self.world.now()
            payload = {
                "type": "event_callback",
                "token": "local",
                "team_id": TEAM,
                "api_app_id": APP,
                "event": {"event_ts": f"{seconds:.6f}", **event},
                "event_id": self.world.new_id("Ev"),
                "event_time": int(seconds),
                "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True, "enterprise_id": None}],
            }
            made = acts.turn(self.world, self.hub, "events_api", payload, person)
        return made if hold else made.deliver(wait=wait)

    # What goes wrong.

    def fail(
        self,
        method: str = "*",
        times: int = 1,
        *,
        status: int = 0,
        retry_after: int | None = None,
        error: str = "",
        cut: bool = False,
        drop: bool = False,
        hang: float = 0.0,
    ) -> Fault:
        """The next calls of a method (`response_url` for those) go wrong; see `Fault`."""
        if status == 429 and retry_after is None:
            retry_after = 1
        with self.world.lock:
            self.world.faults.append(Fault(method, times, status, retry_after, error, cut, drop, hang))
            return self.world.faults[-1]

    def heal(self) -> None:
        """No more faults that were ordered."""
        with self.world.lock:
            self.world.faults.clear()

    def hanging(self, method: str) -> bool:
        """Whether somebody waits for an answer that a fault keeps back."""
        with self.world.lock:
            return method in self.world.hanging

    def connections(self) -> list[Connection]:
        with self.world.lock:
            return list(self.hub.connections)

    def disconnect(self, reason: str = "refresh_requested", number: int = 0, close: bool = False) -> None:
        """Tell one connection (or all) to go; `link_disabled` turns Socket Mode off until `enable_socket_mode`.

        `close`: end it right after. Else the built-in client hears its new connection only when it has stopped
        listening to the old one: up to 3 s, in which every ack is late.
        """
        if reason == "link_disabled":
            self.world.socket_mode = False
        for each in self._chosen(number):
            each.retiring = reason != "warning"
            each.send(disconnect_frame(reason))
            if close or reason == "link_disabled":
                each.close()

    def enable_socket_mode(self) -> None:
        self.world.socket_mode = True

    def cut(self, number: int = 0) -> None:
        """End connections without a closing frame."""
        for each in self._chosen(number):
            each.cut()

    def freeze(self, number: int = 0) -> None:
        """Connections stay open, but nothing comes or is heard any more, no pong either."""
        for each in self._chosen(number):
            each.frozen = True

    def _chosen(self, number: int) -> list[Connection]:
        return [each for each in self.connections() if number in (0, each.number)]

    def pass_time(self, seconds: float) -> None:
        """Triggers, tickets, response URLs and rate limits grow older by that."""
        with self.world.lock:
            self.world.skipped += seconds

    def stop_clock(self) -> None:
        """From now on time passes by `pass_time` only, however slow the machine is."""
        now = self.world.now()
        with self.world.lock:
            self.world.clock, self.world.skipped = lambda: now, 0.0

    def _control(self, name: str, arguments: Json) -> tuple[str, str]:
        return control(self, name, arguments)


if __name__ == "__main__":
    main(FakeSlack)
