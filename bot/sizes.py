"""Sizes of files as people read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 5


def human(size: int) -> str:
    """`0 B`, `812 B`, `4.2 kB`, `37 MB`: powers of 1000, two digits at least."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" and value < 9.95 else f"{value:.0f} {unit}"


def largest(files: Sequence[tuple[str, int]]) -> str:
    """`node_modules/ (210 MB), .env (34 B) and 3 more`; the largest are first in `files` already."""
    shown = ", ".join(f"{name} ({human(size)})" for name, size in files[:_SHOWN])
    return shown + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")
