"""What the tests of the views share: states as `mux status --json` gives them, and Slack's judgement of a message."""

from __future__ import annotations

import json
from typing import Any

from board.clock import format_time
from bot.blocks import ALL_TEXT, BLOCKS_IN_MESSAGE, text_of
from bot.posts import Post, Reply
from tests.e2e.fake_slack_strict import check_message, links, mentions, texts

NOW = 1795420920.0  # 2026-11-23T08:02:00Z

#: What somebody may write into a title, a question or a reason.
NASTY = (
    "<!channel> <!here> <@U0ANA> <#C0MUX|mux> <!subteam^S0123|team> <https://evil.example|click> "
    "https://evil.example/x mailto:a@evil.example &lt;!channel&gt; *bold* `code` ``` \u202eelif\u202c "
    "\u2066x\u2069 \x1b[31mred\x1b[0m "
    "\x00\x07\r\n@channel \ufeff\u200b\u3164 \ud800"
)


def nothing(text: str) -> str:
    """A redactor that finds nothing."""
    return text


def task(name: str, status: str, **more: Any) -> dict[str, Any]:
    known = {"id": name, "title": f"Title of {name}", "status": status, "condition": None, "agent": "shell"}
    rest = {"attempt": 1, "since": format_time(NOW - 120), "why": "", "branch": None, "worktree": None}
    return {**known, **rest, "checkpoint": None, "ports": None, "exit": None, "drift": [], **more}


def request(name: str, task: str | None, action: str, **more: Any) -> dict[str, Any]:
    known = {"id": name, "task": task, "attempt": 1, "tasks": [], "action": action, "why": "why", "says": None}
    rest = {"evidence": {}, "choices": ["in-place"], "free": False, "deniable": True, "decided": None}
    return {**known, **rest, "since": format_time(NOW - 300), "expires": format_time(NOW + 3600), **more}


def state(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    plane = {"running": True, "pid": 7, "since": "2026-11-23T08:00:00Z"}
    base = {"board": "shop", "path": "/x/board.md", "rev": 3, "trouble": None, "max_workers": 4, "problems": []}
    rest = {"orphans": [], "requests": [], "control_plane": plane, "at": format_time(NOW - 5)}
    return {**base, "tasks": list(tasks), **rest, **more}


def accept(message: Post | Reply) -> str:
    """Refuse what Slack refuses, and whatever pings, links or hides; returns all that a person reads."""
    blocks = json.loads(json.dumps(message.blocks))
    check_message({"text": message.text, "blocks": blocks}, 4000)
    assert len(blocks) <= BLOCKS_IN_MESSAGE and text_of(blocks) <= ALL_TEXT
    assert mentions(message.text, blocks) == [] and links(message.text, blocks) == []
    read = "\n".join([message.text, *(text for _, text in texts(blocks))])
    for character in "\x00\x07\x1b\r\u202e\u202c\u2066\u2069\u200b\ufeff\u3164\ud800":
        assert character not in read
    return read


def says_it_all(blocks: Any) -> str:
    return "\n".join(text for _, text in texts(json.loads(json.dumps(blocks))))
