"""Three-way merge of an order: of the sections of a board, of the keys of a block."""

from __future__ import annotations

from collections.abc import Container, Hashable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item", bound=Hashable)


def merge_order(
    base: Sequence[_Item], theirs: Sequence[_Item], ours: Sequence[_Item], kept: Container[_Item]
) -> list[_Item]:
    """The `kept` items of both sides. The order is ours, or theirs if they moved something; what only the other side
    has comes after the item that it followed there."""
    lead, other = (theirs, ours) if moved(base, theirs) else (ours, theirs)
    placed = set(lead)
    merged = list(lead)
    before: _Item | None = None
    for item in other:
        if item not in placed:
            merged.insert(0 if before is None else merged.index(before) + 1, item)
            placed.add(item)
        before = item
    return [item for item in merged if item in kept]


def moved(base: Sequence[_Item], side: Sequence[_Item]) -> bool:
    """Do the items that both have stand in another order?"""
    in_base, in_side = set(base), set(side)
    return [item for item in base if item in in_side] != [item for item in side if item in in_base]
