"""`mux slack`: the manifest is one that Slack takes, and the check finds what a person has to mend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ruamel.yaml import YAML

from tests.e2e.conftest import Desk, section
from tests.e2e.fake_slack import ANA, BEN, CHANNEL, ELSEWHERE, EVE, OTHER_BOT, FakeSlack
from tests.support import wait_for

EVERYTHING = (
    *("commands", "chat:write", "channels:history", "groups:history"),
    *("channels:read", "groups:read", "users:read", "im:write"),
)


@pytest.fixture
def full() -> Iterator[FakeSlack]:
    """A Slack in which the app was made from the manifest."""
    with FakeSlack(scopes=EVERYTHING) as slack:
        yield slack


def told(desk: Desk, slack: FakeSlack, code: int, keys: str = f"channel: {CHANNEL}, approvers: [{ANA}]") -> str:
    names = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token, "SLACK_API_URL": slack.api_url}
    desk.environment = names | desk.environment
    desk.write(section("a", status="draft"), keys=f"slack: {{{keys}}}\n")
    said = desk.mux("slack", "check", code=code).stdout
    assert slack.bot_token not in said and slack.app_token not in said
    return said


def test_the_manifest_is_yaml_with_the_scopes_that_the_bot_uses(desk: Desk) -> None:
    made = YAML(typ="safe").load(desk.mux("slack", "manifest").stdout)
    assert set(made["oauth_config"]["scopes"]["bot"]) == set(EVERYTHING)
    assert made["features"]["slash_commands"][0]["command"] == "/mux"
    assert made["settings"]["socket_mode_enabled"] is made["settings"]["interactivity"]["is_enabled"] is True
    assert len(made["display_information"]["description"]) <= 140


def test_all_is_well(desk: Desk, full: FakeSlack) -> None:
    said = told(desk, full, 0, f"channel: {CHANNEL}, team: T0MUX, approvers: [{ANA}], operators: [{BEN}]")
    assert said.splitlines()[-1] == "no problems, no warnings"
    for words in ("the bot token is of mux (T0MUX)", "Socket Mode connects", f"mux is in channel {CHANNEL}", ANA, BEN):
        assert words in said
    assert full.messages() == []
    wait_for(lambda: full.connections() == [], "its connection has ended")


def test_while_mux_runs_its_connections_are_left_alone(desk: Desk, full: FakeSlack) -> None:
    told(desk, full, 0)
    desk.up()
    assert "it is left alone" in desk.mux("slack", "check").stdout


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (f"channel: {ELSEWHERE}, approvers: [{ANA}]", "type there: /invite @mux"),
        ("channel: C0NOWHERE", "channel C0NOWHERE is not there"),
        (f"channel: {CHANNEL}, team: T0OTHER", "the board says team T0OTHER, the token is of T0MUX"),
        (f"channel: {CHANNEL}, approvers: [U0NOBODY]", "there is no user U0NOBODY"),
        (f"channel: {CHANNEL}, approvers: [{OTHER_BOT}]", "bots never decide"),
        (f"channel: {CHANNEL}, operators: [{EVE}]", "of another workspace"),
    ],
)
def test_what_is_wrong_on_the_board_is_said_with_its_fix(desk: Desk, full: FakeSlack, keys: str, words: str) -> None:
    said = told(desk, full, 1, keys)
    assert words in said and "fix: " in said


def test_an_archived_channel_and_nobody_to_decide(desk: Desk, full: FakeSlack) -> None:
    full.archive(CHANNEL)
    said = told(desk, full, 1, f"channel: {CHANNEL}")
    assert "is archived" in said and "lists no approvers" in said and "1 problem, 1 warning" in said


def test_scopes_that_are_missing_are_named_with_what_they_are_for(desk: Desk, slack: FakeSlack) -> None:
    said = told(desk, slack, 0)
    assert "lacks the scope channels:history: after a crash" in said and "cannot be seen" in said
    assert said.splitlines()[-1].startswith("no problems, ")


def test_tokens_that_are_wrong_swapped_or_not_there(desk: Desk, full: FakeSlack) -> None:
    told(desk, full, 0)
    good = dict(desk.environment)
    desk.environment = good | {"SLACK_BOT_TOKEN": "xoxb-revoked"}
    assert "the bot token is refused (invalid_auth)" in desk.mux("slack", "check", code=1).stdout
    desk.environment = good | {"SLACK_APP_TOKEN": "xapp-revoked"}
    assert "Socket Mode is refused (invalid_auth)" in desk.mux("slack", "check", code=1).stdout
    desk.environment = good | {"SLACK_BOT_TOKEN": full.app_token, "SLACK_APP_TOKEN": full.bot_token}
    assert "it begins with xoxb-" in desk.mux("slack", "check", code=1).stdout
    desk.environment = {name: value for name, value in good.items() if not name.endswith("_TOKEN")}
    assert "no tokens" in desk.mux("slack", "check", code=1).stdout


def test_slack_cannot_be_reached(desk: Desk, full: FakeSlack) -> None:
    told(desk, full, 0)
    full.down()
    assert "Slack cannot be reached" in desk.mux("slack", "check", code=1).stdout


def test_tokens_go_nowhere_without_encryption(desk: Desk, full: FakeSlack) -> None:
    said = told(desk, full, 0)
    desk.environment |= {"SLACK_API_URL": "http://slack.example.com/api/"}
    said = desk.mux("slack", "check", code=1).stdout
    assert "must be https" in said
