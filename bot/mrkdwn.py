"""Text on its way into a chat: nothing in it is a mention, a link, mark-up, or unseen. Pure.

What comes from a board or a worker stands in `plain_text` objects (`shown`); where only Slack's mark-up is to be had,
as in a message's `text`, it is escaped. The order is: redact, cut, escape.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from board.redact_text import normalise, truncate
from runners.words import quotable

#: Redacts a text and never raises: `functools.partial(board.redact.safe, redactor=…)`.
Redact = Callable[[str], str]

#: Slack has no way to escape a backtick in a code span.
_BACKTICK_TWIN = "\u02cb"
_FENCE = "```"
#: A long text is looked at only so many times as far as it is shown.
_SEEN_OF = 8
_GROWTH = 5  # of a line by escaping, at most: `&` becomes `&amp;`


def plain(text: str) -> str:
    """One line of what is seen: no control characters, no directions, nothing without a width."""
    line = normalise(text)
    return quotable(line, len(line))


def shown(text: str, limit: int, redact: Redact) -> str:
    """Somebody's words on one line of at most `limit` characters, for a `plain_text` object."""
    return truncate(plain(truncate(redact(text), _SEEN_OF * limit)), limit)


def escape(text: str) -> str:
    """For mark-up. Slack makes links of bare addresses, too: `https[:]//…` it leaves alone."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("://", "[:]//")


def unescape(text: str) -> str:
    """What was escaped, for a `plain_text` object."""
    text = text.replace("[:]//", "://")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def code(text: str) -> str:
    """A code span that its text cannot end."""
    inner = escape(plain(text)).replace("`", _BACKTICK_TWIN)
    return f"`{inner}`" if inner else ""


def code_blocks(text: str, longest: int, blocks: int) -> list[str]:
    """The last lines of a redacted text as at most so many `blocks` of code, of at most `longest` characters each."""
    room = longest - 2 * len(_FENCE)
    made = [""]
    for line in reversed(normalise(text).rstrip("\n").split("\n")):
        kept = escape(truncate(line, room // _GROWTH)).replace("`", _BACKTICK_TWIN)
        if len(made[-1]) + len(kept) + 1 > room:
            made.append("")
        if len(made) > blocks:
            break
        made[-1] = f"{kept}\n{made[-1]}" if made[-1] else kept
    return [f"{_FENCE}{each}{_FENCE}" for each in reversed(made[:blocks]) if each.strip()]


def when(at: float) -> str:
    """A moment, shown in the time zone of whoever reads it."""
    there = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|{there}>"
