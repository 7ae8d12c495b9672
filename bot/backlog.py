"""What waited for hours is not news one by one: many old alerts become one summary. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.blocks import Group, listing, words
from bot.mrkdwn import unescape
from bot.posts import Post

OLD = 600.0  #: seconds that an alert may wait and still be posted by itself
FEW = 3  #: so many old ones are posted one by one


def is_old_news(post: Post, wanted_at: float, now: float) -> bool:
    return post.key.startswith("alert:") and now - wanted_at > OLD


def summary(posts: Sequence[Post], wanted_at: float) -> Post:
    """One post for several of one channel, the oldest first; `wanted_at`: of the oldest."""
    lines = [unescape(post.text.splitlines()[0]) for post in posts if post.text]
    head = f"{len(posts)} alerts, from while Slack could not be reached"
    blocks = (words(head), *listing([Group("Alerts", lines)]))
    return Post(f"storm:backlog:{int(wanted_at)}", head, blocks, posts[0].channel)
