"""The chat against a local Slack on this machine: the real client, the real socket, the real control plane."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.desk import open_desk, section, wait_for
from benchmarks.figures import BenchmarkFailed, Figure, median, p95, spread
from tests.e2e.fake_slack import ANA, CHANNEL, FakeSlack

_TOKENS = {"SLACK_BOT_TOKEN": "xoxb-local-bot", "SLACK_APP_TOKEN": "xapp-local-app"}
_SLACK = {"channel": CHANNEL, "approvers": [ANA]}


def chat(quick: bool) -> Iterator[Figure]:
    tasks, a_second, seconds, rounds = (20, 20, 1, 3) if quick else (200, 50, 6, 20)
    with FakeSlack() as slack, open_desk(10, slack=_SLACK) as desk:
        desk.append(*(section(f"task-{number}", status="draft") for number in range(tasks)))
        desk.environment |= _TOKENS | {"SLACK_API_URL": slack.api_url}
        desk.up()
        wait_for(slack.connections, "Slack is connected")
        status = [_answered(slack) for _ in range(rounds)]
        acks = _acks(slack, a_second, seconds)
    worst = sorted(acks)[max(0, round(0.99 * len(acks)) - 1)]
    how = f"{len(acks)} commands in {seconds} s, p99; {spread(acks)}"
    yield Figure(f"a command acknowledged, {a_second} a second", worst * 1000, 200, "ms", how)
    how = f"{rounds} times, {spread(status)}; from the command to its reply in the channel"
    yield Figure(f"/mux status, {tasks} tasks", p95(status) * 1000, 300, "ms", how)
    yield _start(3 if quick else 15)


def _answered(slack: FakeSlack) -> float:
    begin = time.perf_counter()
    turn = slack.slash(ANA, "status")
    wait_for(lambda: turn.replies or turn.error, "the reply")
    if turn.error:
        raise BenchmarkFailed(f"/mux status: {turn.error}")
    return time.perf_counter() - begin


def _acks(slack: FakeSlack, a_second: int, seconds: int) -> list[float]:
    """Commands at an even pace, whether the ones before are answered or not."""
    turns = []
    begin = time.monotonic()
    for number in range(a_second * seconds):
        time.sleep(max(0.0, begin + number / a_second - time.monotonic()))
        turns.append(slack.slash(ANA, "help", wait=0))
    wait_for(lambda: all(turn.acked for turn in turns), "every command is acknowledged", 30)
    return [turn.latency for turn in turns]


def _start(rounds: int) -> Figure:
    """From `mux up` to the state that it shows first: with a Slack that is not there."""
    without = [_up(None) for _ in range(rounds)]
    with _down() as url:
        beside = [_up(url) for _ in range(rounds)]
    how = f"{rounds} starts; without a chat {spread(without)}; Slack down {spread(beside)}"
    return Figure("mux up, Slack down, against without a chat", median(beside) / median(without), 1.2, "x", how)


def _up(url: str | None) -> float:
    with open_desk(10, **({"slack": _SLACK} if url else {})) as desk:
        if url:
            desk.environment |= _TOKENS | {"SLACK_API_URL": url}
        begin = time.perf_counter()
        desk.up()
        return time.perf_counter() - begin


@contextmanager
def _down() -> Iterator[str]:
    """An address that nobody listens at, and nobody else can take meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/api/"
