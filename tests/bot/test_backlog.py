"""Old alerts as one summary: somebody's words in it are words, and it fits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from bot import backlog
from bot.mrkdwn import escape, unescape
from bot.posts import Post
from tests.bot.chat import NASTY, NOW, accept, says_it_all
from tests.bot.test_chat_views import anything


@settings(deadline=None)
@given(anything)
def test_what_was_escaped_comes_back(text: str) -> None:
    assert unescape(escape(text)) == text or "[:]//" in text


@pytest.mark.parametrize("count", [4, 500])
def test_somebodys_words_are_no_mark_up(count: int) -> None:
    title = f"*bold* _slanted_ ~gone~ `code` {NASTY}"
    posts = [Post(f"alert:t{each}:1:failed", escape(f"t{each} failed: {title}"[:300])) for each in range(count)]
    summary = backlog.summary(posts, NOW)
    assert "t1 failed" in accept(summary) and "*bold* _slanted_ ~gone~ `code`" in says_it_all(summary.blocks)
    markup = [block["text"]["text"] for block in summary.blocks if block["text"]["type"] == "mrkdwn"]
    assert markup == [f"*Alerts* ({count})"]
