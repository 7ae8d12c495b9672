"""Who may do what from a chat: the table of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from board.model import SlackSettings
from bot.access import Actor, Identity, Need, refusal

ME = Identity("T1", "UMUX", "BMUX", "A1")
SETTINGS = SlackSettings(channel="C1", approvers=("UANA",), operators=("UOLA",))
ANA = Actor(user="UANA", team="T1", home="T1", app="A1", channel="C1", name="ana")
OLA, BEN = replace(ANA, user="UOLA"), replace(ANA, user="UBEN")

TABLE = [
    *((ANA, need, True) for need in Need),
    (OLA, Need.READ, True),
    (OLA, Need.ORDER, True),
    (OLA, Need.DECIDE, False),
    (BEN, Need.READ, True),
    (BEN, Need.ORDER, False),
    (BEN, Need.DECIDE, False),
]
#: An approver's id does not help those.
STRANGE = {
    "another app": {"app": "A2"},
    "another workspace": {"team": "T2", "home": "T2"},
    "a person of another workspace": {"home": "T2"},
    "another workspace's command about ours": {"team": "T2"},
    "another channel": {"channel": "C2"},
    "a direct message": {"channel": "D1"},
    "no channel": {"channel": ""},
    "a bot": {"is_bot": True},
    "nobody": {"user": ""},
    "mux itself": {"user": "UMUX"},
    "mux's bot": {"user": "BMUX"},
}


@pytest.mark.parametrize(("actor", "need", "allowed"), TABLE)
def test_who_may_what(actor: Actor, need: Need, allowed: bool) -> None:
    assert (refusal(actor, need, SETTINGS, ME) is None) is allowed


@pytest.mark.parametrize("need", Need)
@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE.keys())
def test_strangers_may_nothing_not_even_read(change: dict[str, object], need: Need) -> None:
    settings = replace(SETTINGS, approvers=("UANA", "UMUX", "BMUX", ""))
    assert refusal(replace(ANA, **change), need, settings, ME)  # type: ignore[arg-type]


def test_an_empty_list_approves_nobody_and_names_do_not_count() -> None:
    nobody = SlackSettings(channel="C1")
    assert refusal(ANA, Need.DECIDE, nobody, ME) and refusal(ANA, Need.ORDER, nobody, ME)
    assert refusal(replace(BEN, name="ana"), Need.DECIDE, SETTINGS, ME)


def test_without_a_channel_nobody_is_answered() -> None:
    assert refusal(ANA, Need.READ, SlackSettings(approvers=("UANA",)), ME)
    assert refusal(replace(ANA, channel=""), Need.READ, SlackSettings(approvers=("UANA",)), ME)


def test_where_the_own_app_is_not_known_the_workspace_decides() -> None:
    assert refusal(ANA, Need.DECIDE, SETTINGS, replace(ME, app=None)) is None
