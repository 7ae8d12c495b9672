"""Only people decide: what Slack does not say is not taken for granted, and who is known is not locked out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.people import People
from bot.slack_client import Failed, Trouble


class Slack:
    """Answers by what it is told to say of somebody: a user as `users.info` gives it, or a failure."""

    def __init__(self, **said: Any) -> None:
        self.said = said
        self.asked: list[str] = []

    def __call__(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        assert method == "users.info"
        self.asked.append(arguments["user"])
        found = self.said[arguments["user"]]
        if isinstance(found, Failed):
            raise found
        return {"ok": True, "user": found}


PERSON = {"id": "UANA", "is_bot": False}


def test_a_person_is_asked_about_once_and_known_for_good(tmp_path: Path) -> None:
    slack = Slack(UANA=PERSON)
    people = People(tmp_path, slack)
    assert people.why_not("UANA") is people.why_not("UANA") is None
    assert slack.asked == ["UANA"]
    slack.said["UANA"] = Failed(Trouble.AWAY, "HTTP 500")
    assert People(tmp_path, slack).why_not("UANA") is None  # by another run of mux, while Slack is ill
    assert slack.asked == ["UANA"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"id": "UX", "is_bot": True}, "only people decide"),
        ({"id": "UX"}, "does not say"),
        ({"id": "UX", "is_bot": None}, "does not say"),
        (None, "does not say"),
        ("nonsense", "does not say"),
        (Failed(Trouble.AWAY, "HTTP 500"), "try again in a minute, or decide at the terminal"),
        (Failed(Trouble.NOT_SENT, "gaierror"), "try again in a minute"),
        (Failed(Trouble.LIMITED, "ratelimited", 30.0), "try again in a minute"),
        (Failed(Trouble.FATAL, "missing_scope: users:read"), "lacks the scope users:read"),
        (Failed(Trouble.FATAL, "token_revoked"), "does not know you"),
        (Failed(Trouble.REFUSED, "user_not_found"), "does not know you"),
    ],
)
def test_who_is_not_known_to_be_a_person_is_refused_and_asked_about_again(
    tmp_path: Path, said: object, words: str
) -> None:
    slack = Slack(UX=said)
    people = People(tmp_path, slack)
    assert words in str(people.why_not("UX"))
    assert words in str(people.why_not("UX")) and slack.asked == ["UX", "UX"]
    slack.said["UX"] = {"id": "UX", "is_bot": False}
    assert people.why_not("UX") is None


def test_who_is_listed_is_met_before_it_matters(tmp_path: Path) -> None:
    slack = Slack(UANA=PERSON, UBEN=Failed(Trouble.AWAY, "HTTP 500"), UOLA={"id": "UOLA", "is_bot": False})
    people = People(tmp_path, slack)
    people.meet(("UANA", "UBEN", "UOLA"))
    slack.said |= {"UANA": Failed(Trouble.AWAY, "HTTP 500"), "UOLA": Failed(Trouble.AWAY, "HTTP 500")}
    assert people.why_not("UANA") is people.why_not("UOLA") is None
    assert people.why_not("UBEN") is not None


@pytest.mark.parametrize("text", ["", "[]", '{"people": "UX"}', '{"people": 3}', '{"people": [["UX"]]}'])
def test_a_damaged_file_makes_nobody_a_person(tmp_path: Path, text: str) -> None:
    (tmp_path / "people.json").write_text(text)
    assert People(tmp_path, Slack(UX={"id": "UX", "is_bot": True})).why_not("UX") is not None
