"""What is said when the board names another channel: who is in the old one must not wait there. Pure."""

from __future__ import annotations

from dataclasses import replace

from bot.blocks import FALLBACK, small
from bot.outbox import Entry
from bot.posts import Post

#: Before the keys of what is said in a channel that was left: nobody waits for it, and it is not tried for long.
LEFT = "moved:"


def asks(post: Post) -> bool:
    """Whether a person can answer it."""
    return any(block.get("type") == "actions" for block in post.blocks)


def is_stranded(entry: Entry, channel: str | None) -> bool:
    """Whether it asks something where nobody can answer any more. `channel`: the board's."""
    elsewhere = entry.sent.ts is not None and channel is not None and entry.sent.channel != channel
    return elsewhere and entry.post.channel is None and asks(entry.post)


def left_behind(entry: Entry, channel: str) -> Post:
    """What becomes of the old message of a question that is asked in `channel` from now on."""
    kept = (block for block in entry.post.blocks if block.get("type") != "actions")
    note = small(f"Moved to {link(channel)}: it is asked there, and takes no answer here.")
    text = f"{entry.post.text} – moved to another channel"
    return Post(f"{LEFT}{entry.sent.channel}:{entry.sent.ts}", text[:FALLBACK], (*kept, note))


def farewell(old: str, new: str, since: float) -> Post:
    """Said in the old channel. `since`: when it had become the board's, so that each time is one message."""
    line = f"The board names {link(new)} now: what mux asks and says is there from now on, and it answers there only."
    return Post(f"{LEFT}{old}:{since:.6f}", "mux moved to another channel, as its board says", (small(line),), old)


def left_too(post: Post, old: str) -> Post:
    """The same, for who is in the old channel still."""
    return replace(post, key=f"{LEFT}{post.key}", channel=old)


def link(channel: str) -> str:
    """An id of the board's, as mark-up that shows its name to whoever may see it."""
    return f"<#{channel}>"
