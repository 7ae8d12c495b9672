"""One measured figure with its limit, and the table of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


class BenchmarkFailed(Exception):
    """What was to be measured did not happen; the text says what."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` and `limit` are in `unit`; `how` says what the value was made from."""

    what: str
    value: float
    limit: float
    unit: str
    how: str

    @property
    def held(self) -> bool:
        return self.value <= self.limit


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """By nearest rank: with fewer than 20 values it is the largest."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def spread(values: Sequence[float], scale: float = 1000.0, unit: str = "ms") -> str:
    """`p50 41 ms, p95 60 ms`, of seconds unless told."""
    return f"p50 {number(median(values) * scale)} {unit}, p95 {number(p95(values) * scale)} {unit}"


def number(value: float) -> str:
    """Three digits that count, and no exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(figures: Sequence[Figure]) -> str:
    """In Markdown, so that it can go into the documents as it is."""
    rows = [("what", "measured", "limit", "", "how"), *map(_row, figures)]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(4)]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([lines[0], _line(["---"] * 5, widths), *lines[1:]])


def _row(figure: Figure) -> tuple[str, ...]:
    verdict = "ok" if figure.held else "MISSED"
    value, limit = (f"{number(each)} {figure.unit}" for each in (figure.value, figure.limit))
    return figure.what, value, limit, verdict, figure.how


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return "| " + " | ".join([*cells, *row[len(widths) :]]) + " |"
