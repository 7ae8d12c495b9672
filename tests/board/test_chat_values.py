from __future__ import annotations

import pytest

from board.model import DigestSettings, QuietHours, SlackSettings
from board.parse import parse


def settings(front: str) -> tuple[SlackSettings | None, tuple[DigestSettings, ...], list[str]]:
    board = parse(f"---\n{front}\n---\n", frozenset({"shell"}))
    return board.settings.slack, board.settings.digests, [problem.text for problem in board.problems]


def test_what_a_person_writes() -> None:
    slack, digests, problems = settings(
        "slack: {channel: C0123ABCD, approvers: [U012ABCDEF], operators: U0ZZ, quiet: '22:00-07:30'}\n"
        'digests: [{at: "0 8 * * mon-fri", timezone: Europe/Berlin}, {at: "*/30 9-17 1,15 jan 7", channel: C0DAILY}]'
    )
    assert problems == []
    assert slack == SlackSettings(
        "C0123ABCD", approvers=("U012ABCDEF",), operators=("U0ZZ",), quiet=QuietHours(22 * 60, 7 * 60 + 30)
    )
    assert digests == (
        DigestSettings("0 8 * * mon-fri", "Europe/Berlin"),
        DigestSettings("*/30 9-17 1,15 jan 7", channel="C0DAILY"),
    )


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("slack: {channel: '#general'}", "'#general' is no id of a channel: ids look like C0123ABCD"),
        ("slack: {approvers: [ana]}", "'ana' in `approvers` is no id of a user"),
        ("slack: {chanel: C0123ABCD}", "unknown key 'chanel' in `slack`: did you mean 'channel'?"),
        ("slack: {api_url: 'http://slack.example.org/api/'}", "`api_url` must be https, or http to 127.0.0.1"),
        ("slack: {api_url: 'ftp://127.0.0.1'}", "`api_url` must be https"),
        ("slack: {quiet: '25:00-07:00'}", "`quiet` must be hours such as 22:00-07:00"),
        ("slack: yes", "`slack` must be a mapping"),
        ("digests: [{timezone: Europe/Berlin}]", "a digest needs `at`"),
        ('digests: [{at: "0 8 * *"}]', "has 4 fields, and a cron line five"),
        ('digests: [{at: "0 24 * * *"}]', "'24' in '0 24 * * *' is no hour: numbers from 0 to 23"),
        ('digests: [{at: "0 8 * * fri-mon"}]', "'fri-mon' in '0 8 * * fri-mon' is no day of the week"),
        ('digests: [{at: "*/0 8 * * *"}]', "'*/0'"),
        ('digests: [{at: "0 8 * * *", timezone: Mars/Olympus}]', "'Mars/Olympus' is no time zone"),
    ],
)
def test_what_cannot_be_meant_says_what_to_write(front: str, said: str) -> None:
    _, _, problems = settings(front)
    assert len(problems) == 1 and said in problems[0]
