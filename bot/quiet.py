"""Hours in which a chat stays quiet. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from board.model import QuietHours


def quiet_until(quiet: QuietHours | None, now: float, local: tzinfo) -> float | None:
    """When the quiet hours that it is in end; None when it is in none. `local`: the time zone of this machine.

    By what a clock on the wall shows there: a night in which it is set forward or back is shorter or longer.
    """
    if quiet is None or quiet.start == quiet.end:
        return None
    wall = datetime.fromtimestamp(now, ZoneInfo(quiet.timezone) if quiet.timezone else local)
    minute = wall.hour * 60 + wall.minute
    over_midnight = quiet.start > quiet.end
    started, ended = minute >= quiet.start, minute >= quiet.end
    if not ((started or not ended) if over_midnight else (started and not ended)):
        return None
    day = wall + timedelta(days=1) if over_midnight and started else wall
    end = day.replace(hour=quiet.end // 60, minute=quiet.end % 60, second=0, microsecond=0, fold=0)
    # An hour that comes twice ends the night with its second time when the first is over.
    return end.timestamp() if end.timestamp() > now else end.replace(fold=1).timestamp()
