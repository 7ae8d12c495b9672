"""What is said in a chat, as data: made by the pure views, kept by the outbox, sent by the poster. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Block = Mapping[str, Any]
Blocks = tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Post:
    """What should stand in a channel under `key`: a newer one with the same key edits it in place.

    Keys: `request:<id>`, `alert:<task>:<attempt>:<what>[:<how often>]`, `digest:<slot>`, `storm:<…>`,
    `policy:<…>`, `moved:<…>` (in a channel that was left).
    """

    key: str
    text: str  # the fallback, escaped
    blocks: Blocks = ()
    channel: str | None = None  # None: the board's
    thread: str | None = None  # e.g. task:fix-login; the first post of a thread is its root, later ones go below it


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a command: ephemeral, to the one who asked, unless `public`."""

    text: str
    blocks: Blocks = ()
    public: bool = False
