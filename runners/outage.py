"""Many ends at once are one outage: the machine, the tmux server or the network went, not each by itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from board.model import OutagePolicy
from runners.case import ended_at, ended_badly
from runners.model import Attempt, HostState, Liveness

#: A bad end is looked at after so many seconds, if it could be one of many: who comes next is known then.
SETTLE = 1.0


def members(host: HostState, policy: OutagePolicy, now: float) -> frozenset[str]:
    """The tasks whose newest attempt ended in an outage.

    The machine or the tmux server went down, or so many workers ended badly within the policy's time.
    """
    ends = bad_ends(host.attempts, now)
    found = {task for task in ends if _went_down(host.attempts[task], host)}
    by_time = sorted(ends, key=lambda task: ends[task])
    last = 0
    for first, task in enumerate(by_time):
        while last < len(by_time) and ends[by_time[last]] <= ends[task] + policy.within:
            last += 1
        if last - first >= policy.workers:
            found.update(by_time[first:last])
    return frozenset(found)


def bad_ends(attempts: Mapping[str, Attempt], now: float) -> dict[str, float]:
    """When each ended, of the tasks whose newest attempt ended badly."""
    return {task: ended_at(attempt, now) for task, attempt in attempts.items() if ended_badly(attempt)}


def could_grow(host: HostState, policy: OutagePolicy, at: float, now: float) -> bool:
    """Whether a bad end at that time may turn out to be one of many: enough workers live, or ended badly near it."""
    ends = bad_ends(host.attempts, now)
    near = sum(abs(end - at) <= policy.within for end in ends.values())
    living = sum(attempt.liveness is Liveness.RUNNING for attempt in host.attempts.values())
    return near + living >= policy.workers


def _went_down(attempt: Attempt, host: HostState) -> bool:
    if attempt.outcome is not None:
        return "outage" in attempt.outcome.evidence
    if attempt.exit is None and attempt.rebooted:
        return True
    # The wrapper may have written its exit before the server was quite gone; the first restart brings up a new server.
    return attempt.exit is not None and attempt.exit.hangup and (attempt.exit.server_gone or host.windows == ())
