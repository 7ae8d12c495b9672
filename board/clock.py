"""Times and durations as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float | None:
    """Seconds for `90s`, `10m`, `1h30m`, `14d`; None when it is not one. A bare number is refused: it has no unit."""
    if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", text):
        return None
    return sum(float(number) * _UNITS[unit] for number, _, unit in re.findall(r"(\d+(\.\d+)?)([smhd])", text))


def format_duration(seconds: float) -> str:
    """The two largest units: `45s`, `12m`, `3h 5m`, `2d 4h`."""
    whole = max(0, int(seconds))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    if len(parts) > 1 and parts[0][-1] == "m":
        parts = parts[:1]
    return " ".join(parts[:2]) or "0s"


@lru_cache(maxsize=4096)  # a status says the same times again each time
def format_time(epoch: float) -> str:
    """UTC to the second, as it stands on the board: `2026-11-23T08:01:12Z`."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> float | None:
    """Seconds since the epoch for what `format_time` writes; None when it is not one."""
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()  # `strptime` would import another 3 ms into `mux status`
    except ValueError:
        return None
