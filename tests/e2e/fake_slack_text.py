"""A message, a modal or a Home tab as a person sees it, for a terminal."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.e2e.fake_slack_strict import Json, texts
from tests.e2e.fake_slack_world import BOT_USER, Message, View

MARK = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")


def as_text(message: Message, names: Mapping[str, str] | None = None) -> str:
    """`names`: what people are called, by id. The blocks where there are any, else the text, as Slack does."""
    names = {BOT_USER: "mux", **(names or {})}
    when = datetime.fromtimestamp(float(message.ts)).strftime("%H:%M")
    notes = [f"only visible to {names.get(message.to, message.to)}"] if message.to else []
    notes += ["edited"] if message.edits else []
    head = f"{names.get(message.user, message.user)}  {when}" + (f"  ({', '.join(notes)})" if notes else "")
    lines = list(block_lines(message.blocks, names)) or readable(message.text, names).splitlines()
    margin = "    " if message.thread else ""
    return "\n".join(f"{margin}{line}".rstrip() for line in (head, *(f"  {line}" for line in lines)))


def view_as_text(view: View, names: Mapping[str, str] | None = None) -> str:
    title = view.view.get("title", {}).get("text", "Home")
    buttons = [f"[ {view.view[each]['text']} ]" for each in ("submit", "close") if view.view.get(each)]
    lines = [f"== {title} ==", *block_lines(view.view["blocks"], names or {}), "  ".join(buttons)]
    return "\n".join(lines).rstrip()


def readable(text: str, names: Mapping[str, str]) -> str:
    """mrkdwn without its brackets and escapes."""

    def shown(match: re.Match[str]) -> str:
        target, label = match[1], match[2]
        if target.startswith(("@", "#")):
            return target[0] + (label or names.get(target[1:], target[1:]))
        if target.startswith("!"):
            return label or f"@{target[1:].partition('^')[0]}"
        return f"{label} ({target})" if label and label != target else target

    return html.unescape(MARK.sub(shown, text))


def block_lines(blocks: Sequence[Json], names: Mapping[str, str]) -> Iterator[str]:
    for block in blocks:
        kind = block["type"]
        if kind == "divider":
            yield "-" * 40
        elif kind == "header":
            yield from ("", block["text"]["text"].upper())
        elif kind == "section":
            parts = [block["text"]] if block.get("text") else []
            for part in (*parts, *block.get("fields", ())):
                yield from _part(part, names).splitlines()
            if block.get("accessory"):
                yield f"  {_element(block['accessory'])}"
        elif kind == "actions":
            yield "  ".join(_element(each) for each in block["elements"])
        elif kind == "context":
            yield "  ".join(_part(each, names) for each in block["elements"])
        elif kind == "input":
            yield f"{block['label']['text']}: {_element(block['element'])}"
        else:
            yield from (text for _, text in texts(block))


def _part(part: Json, names: Mapping[str, str]) -> str:
    text = str(part.get("text") or part.get("alt_text") or "")
    return readable(text, names) if part.get("type") == "mrkdwn" else text


def _element(element: Json) -> str:
    kind = element["type"]
    if kind == "button":
        return f"[ {element['text']['text']} ]"
    options: list[Any] = element.get("options", [])
    if options:
        return f"< {' | '.join(option['text']['text'] for option in options)} >"
    return f"[{element.get('placeholder', {}).get('text', '') or '.' * 12}]"
