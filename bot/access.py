"""Who may do what from a chat: the same rules for a button, a modal and a command. Pure.

Ids are compared, never names. An empty list allows nobody. mux's own user and other bots never decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from board.model import SlackSettings


class Need(Enum):
    READ = auto()  # anybody in the listed channel
    ORDER = auto()  # start and stop: approvers and operators
    DECIDE = auto()  # everything else that changes something, and what a worker printed: approvers


@dataclass(frozen=True, slots=True)
class Identity:
    """Who mux is in Slack, by `auth.test`. `app` is None before the first connection."""

    team: str
    user: str
    bot: str | None = None
    app: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, and where. `team`: the workspace that it happened in; `home`: the one the person is of."""

    user: str
    team: str
    home: str
    app: str
    channel: str
    name: str = ""
    is_bot: bool = False


def refusal(actor: Actor, need: Need, settings: SlackSettings, me: Identity) -> str | None:
    """Why it is refused, in words for the one who did it; None when it is allowed."""
    if me.app is not None and actor.app != me.app:
        return "this comes from another app: nothing was done"
    if actor.team != me.team or actor.home != me.team:
        return "you are of another workspace: only people of the one that mux is in may use it"
    if actor.is_bot or actor.user in (me.user, me.bot) or not actor.user:
        return "bots may not use mux: only people decide"
    if settings.channel is None or actor.channel != settings.channel:
        return "mux answers only in the channel that its board names"
    if need is Need.READ or actor.user in settings.approvers:
        return None
    if need is Need.ORDER:
        who = "approvers and operators"
        return None if actor.user in settings.operators else f"only {who} may do that; they are listed on the board"
    return "only approvers may do that; they are listed on the board"
