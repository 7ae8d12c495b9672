"""Who and what there is in the local Slack, and what can be seen of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.e2e.fake_slack_text import as_text
from tests.e2e.fake_slack_world import BOT_USER, TEAM, Ack, Call, Channel, Link, Message, Ping, User, View, World

#: The people and places that are there from the start: two of ours, a stranger, somebody else's bot.
ANA, BEN, EVE, OTHER_BOT = "U0ANA", "U0BEN", "U0EVE", "U0OTHERBOT"
CHANNEL, ELSEWHERE, SECRET = "C0MUX", "C0ELSEWHERE", "G0SECRET"
STRANGERS = "T0STRANGERS"


class Workspace:
    world: World

    def settle(self) -> None:
        """The first people and channels move in."""
        people = (User(ANA, "ana"), User(BEN, "ben"), User(EVE, "eve", STRANGERS))
        for user in (*people, User(BOT_USER, "mux", TEAM, True), User(OTHER_BOT, "otherbot", TEAM, True)):
            self.world.users[user.id] = user
        everybody = frozenset(self.world.users)
        for channel in (
            Channel(CHANNEL, "mux", everybody),
            Channel(ELSEWHERE, "elsewhere", everybody - {BOT_USER}),
            Channel(SECRET, "secret", frozenset({ANA}), private=True),
        ):
            self.world.channels[channel.id] = channel

    def add_user(self, id: str, name: str, team: str = TEAM, is_bot: bool = False, channel: str = CHANNEL) -> User:
        with self.world.lock:
            user = self.world.users[id] = User(id, name, team, is_bot)
            here = self.world.channels[channel]
            self.world.channels[channel] = replace(here, members=here.members | {id})
            return user

    def add_channel(self, id: str, name: str, members: Iterable[str] = (), private: bool = False) -> Channel:
        """Name the bot's user among the members for the bot to be in it."""
        with self.world.lock:
            self.world.channels[id] = Channel(id, name, frozenset(members), private)
            return self.world.channels[id]

    def archive(self, channel: str) -> None:
        with self.world.lock:
            self.world.channels[channel] = replace(self.world.channels[channel], archived=True)

    def add_group(self, id: str, users: Iterable[str]) -> None:
        with self.world.lock:
            self.world.groups[id] = tuple(users)

    def say(self, user: str, text: str, channel: str = CHANNEL, thread: str = "") -> Message:
        """A person's message; the app hears nothing of it."""
        with self.world.lock:
            return self.world.put(Message(channel, self.world.new_ts(), user, text, thread=thread))

    # What can be seen.

    def messages(self, channel: str = CHANNEL) -> list[Message]:
        """Of a channel, or of the direct messages with a person, oldest first, threads' replies included."""
        with self.world.lock:
            if channel in self.world.users:
                channel = self.world.direct(channel).id
            return sorted(self.world.messages.get(channel, {}).values(), key=lambda each: float(each.ts))

    def message(self, ts: str, channel: str = CHANNEL) -> Message:
        """As it stands now."""
        with self.world.lock:
            return self.world.messages[channel][ts]

    def thread(self, ts: str, channel: str = CHANNEL) -> list[Message]:
        return [each for each in self.messages(channel) if each.thread == ts]

    def ephemerals(self, user: str = "") -> list[Message]:
        with self.world.lock:
            return [each for each in self.world.ephemerals if user in ("", each.to)]

    def views(self) -> list[View]:
        """The open modals, oldest first."""
        with self.world.lock:
            homes = {each.id for each in self.world.homes.values()}
            return [each for each in self.world.views.values() if each.open and each.id not in homes]

    def home(self, user: str = ANA) -> View | None:
        with self.world.lock:
            return self.world.homes.get(user)

    def calls(self, method: str = "") -> list[Call]:
        with self.world.lock:
            return [each for each in self.world.calls if method in ("", each.method)]

    def acks(self) -> list[Ack]:
        with self.world.lock:
            return list(self.world.acks)

    def pings(self) -> list[Ping]:
        with self.world.lock:
            return list(self.world.pings)

    def links(self) -> list[Link]:
        with self.world.lock:
            return list(self.world.links)

    def as_text(self, channel: str = CHANNEL) -> str:
        """A channel as a person sees it who may see the ephemeral messages too."""
        with self.world.lock:
            names = {user.id: user.name for user in self.world.users.values()}
            hidden = [each for each in self.world.ephemerals if each.channel == channel]
        shown = sorted([*self.messages(channel), *hidden], key=lambda each: float(each.ts))
        return "\n\n".join(as_text(each, names) for each in shown)
