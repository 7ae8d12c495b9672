"""What Slack refuses, and what it makes of text: blocks, views, lengths, mentions, links."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

Json = dict[str, Any]

BLOCKS_IN_MESSAGE = 50
BLOCKS_IN_VIEW = 100
POST_TEXT = 40_000
UPDATE_TEXT = 4_000
ALL_TEXT = 13_000
METADATA_BYTES = 16_000

#: Where only `plain_text` is allowed, by the kind of the object that holds it.
PLAIN_ONLY = {
    "header": ("text",),
    "button": ("text",),
    "input": ("label", "hint"),
    "confirm": ("title", "confirm", "deny"),
    "modal": ("title", "submit", "close"),
}
MENTION = re.compile(r"<(!(?:channel|here|everyone)|@[UW][A-Z0-9]+|!subteam\^S[A-Z0-9]+)(?:\|[^>]*)?>")
BARE_MENTION = re.compile(r"(?<![\w<!])@(channel|here|everyone)\b")
LINK = re.compile(r"<((?:https?://|mailto:)[^|>\s]+)(?:\|[^>]*)?>|(?<![<\w|/])(https?://[^\s<>|]+)")


class Refused(Exception):
    """An answer with `ok: false`; `more` goes into it beside `error`."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.more = more


@dataclass(frozen=True, slots=True)
class Mention:
    """Something that pings people, and the text in which it stood."""

    what: str
    text: str


def check_message(arguments: Json, longest: int = POST_TEXT) -> None:
    """Refuse what Slack refuses in a message, and a message without `text`: notifications would be empty."""
    text = arguments.get("text")
    if not isinstance(text, str) or not text.strip():
        raise Refused("no_text")
    if len(text) > longest:
        raise Refused("msg_too_long")
    check_blocks(arguments.get("blocks"), BLOCKS_IN_MESSAGE)
    check_metadata(arguments.get("metadata"))


def check_metadata(metadata: Any) -> None:
    if metadata is None or metadata == {}:
        return
    known = isinstance(metadata, dict) and isinstance(metadata.get("event_type"), str) and metadata["event_type"]
    if not known or not isinstance(metadata.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")
    if len(repr(metadata).encode()) > METADATA_BYTES:
        raise Refused("metadata_too_large")


def check_blocks(blocks: Any, most: int) -> None:
    if blocks is None:
        return
    if not isinstance(blocks, list):
        raise Refused("invalid_blocks_format")
    complaints = list(_complaints(blocks, most))
    if complaints:
        raise Refused("invalid_blocks", errors=complaints, response_metadata={"messages": complaints})
    if sum(len(text) for _, text in texts(blocks)) > ALL_TEXT:
        raise Refused("msg_blocks_too_long")


def check_view(view: Any) -> None:
    """A modal or a Home tab."""
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        raise Refused("invalid_arguments", response_metadata={"messages": ["[ERROR] view: type must be modal or home"]})
    complaints = []
    known = {"type", "title", "blocks", "close", "submit", "private_metadata", "callback_id", "clear_on_close"}
    known |= {"notify_on_close", "external_id", "submit_disabled"}
    complaints += [f"[ERROR] unknown key [json-pointer:/view/{key}]" for key in view if key not in known]
    if view["type"] == "modal" and not view.get("title"):
        complaints.append("[ERROR] missing required field: title [json-pointer:/view]")
    for part in ("title", "submit", "close"):
        if view.get(part) is not None and not 1 <= len(_text_of(view[part])) <= 24:
            complaints.append(f"[ERROR] must be 1 to 24 characters [json-pointer:/view/{part}]")
    for part, longest in (("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)):
        if len(view.get(part) or "") > longest:
            complaints.append(f"[ERROR] must be less than {longest + 1} characters [json-pointer:/view/{part}]")
    complaints += _mrkdwn_in_plain_places(view, "modal", "/view")
    inputs = any(isinstance(block, dict) and block.get("type") == "input" for block in view.get("blocks") or [])
    if view["type"] == "modal" and inputs and not view.get("submit"):
        complaints.append("[ERROR] a modal with inputs needs submit [json-pointer:/view]")
    if not isinstance(view.get("blocks"), list):
        complaints.append("[ERROR] missing required field: blocks [json-pointer:/view]")
    if complaints:
        raise Refused("invalid_arguments", response_metadata={"messages": complaints})
    check_blocks(view["blocks"], BLOCKS_IN_VIEW)


def _complaints(blocks: list[Any], most: int) -> Iterator[str]:
    if len(blocks) > most:
        yield f"[ERROR] no more than {most} items allowed [json-pointer:/blocks]"
    names: set[str] = set()
    for number, block in enumerate(blocks):
        where = f"/blocks/{number}"
        yield from _block_complaints(block, where)
        name = block.get("block_id") if isinstance(block, dict) else None
        if name is not None and name in names:
            yield f"[ERROR] `block_id` {name} already exists [json-pointer:{where}/block_id]"
        names.add(name or where)


def _block_complaints(block: Any, where: str) -> Iterator[str]:
    if not isinstance(block, dict):
        yield f"[ERROR] must be an object [json-pointer:{where}]"
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ResourceWarning)  # of what is collected meanwhile, and is no block
            parsed = Block.parse(block)
            known = parsed.to_dict() if parsed else None
    except (SlackObjectFormationError, TypeError, AttributeError, KeyError, Warning) as error:
        yield f"[ERROR] {error} [json-pointer:{where}]"
        return
    if known is None:
        yield f"[ERROR] unsupported type: {block.get('type')} [json-pointer:{where}/type]"
        return
    # Slack's own models drop what they do not know: whatever is missing from what they made of it is a mistake.
    yield from (f"[ERROR] unknown or empty [json-pointer:{at}]" for at in _lost(block, known, where))
    yield from _deep_complaints(block, where)
    actions = [each["action_id"] for _, each in walk(block, "") if isinstance(each.get("action_id"), str)]
    if len(actions) != len(set(actions)):
        yield f"[ERROR] `action_id` must be unique in a block [json-pointer:{where}]"


def _lost(given: Any, known: Any, where: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if value is None or key not in known:
                yield f"{where}/{key}"
            else:
                yield from _lost(value, known[key], f"{where}/{key}")
    elif isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        for number, pair in enumerate(zip(given, known, strict=True)):
            yield from _lost(*pair, f"{where}/{number}")
    elif given != known:
        yield where


def _deep_complaints(block: Json, where: str) -> Iterator[str]:
    """Limits that the models leave out."""
    for at, each in walk(block, where):
        kind = "confirm" if at.endswith("/confirm") and "deny" in each else str(each.get("type"))
        yield from _mrkdwn_in_plain_places(each, kind, at)
        for key in ("action_id", "block_id"):
            if len(str(each.get(key) or "")) > 255:
                yield f"[ERROR] must be less than 256 characters [json-pointer:{at}/{key}]"
        if "options" in each:
            for number, option in enumerate(each["options"]):
                label = option.get("text") if isinstance(option, dict) else None
                if not 1 <= len(_text_of(label)) <= 75:
                    yield f"[ERROR] must be 1 to 75 characters [json-pointer:{at}/options/{number}/text]"
                elif not 1 <= len(str(option.get("value") or "")) <= 150:
                    yield f"[ERROR] must be 1 to 150 characters [json-pointer:{at}/options/{number}/value]"
        for number, part in enumerate(each.get("fields") or ()):
            if len(_text_of(part)) > 2000:
                yield f"[ERROR] must be less than 2001 characters [json-pointer:{at}/fields/{number}]"


def _text_of(part: Any) -> str:
    return str(part.get("text") or "") if isinstance(part, dict) else ""


def _mrkdwn_in_plain_places(each: Json, kind: str, at: str) -> Iterator[str]:
    for key in PLAIN_ONLY.get(kind, ()):
        if isinstance(each.get(key), dict) and each[key].get("type") != "plain_text":
            yield f"[ERROR] must be plain_text [json-pointer:{at}/{key}]"


def walk(node: Any, where: str = "") -> Iterator[tuple[str, Json]]:
    """Every object of a JSON tree, with its pointer."""
    if isinstance(node, dict):
        yield where, node
        for key, value in node.items():
            yield from walk(value, f"{where}/{key}")
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from walk(value, f"{where}/{number}")


def texts(blocks: Any) -> Iterator[tuple[str, str]]:
    """The type and the text of every text object of blocks, in reading order."""
    for _, each in walk(blocks):
        if isinstance(each.get("text"), str):
            yield str(each.get("type")), each["text"]


def mentions(text: str | None, blocks: Any, parsed: bool = False) -> list[Mention]:
    """What pings somebody. `parsed`: Slack was asked to look for plain names too (`parse`, `link_names`)."""
    readable = [text or "", *(each for kind, each in texts(blocks) if kind in ("mrkdwn", "markdown"))]
    found = [Mention(match[1], each) for each in readable for match in MENTION.finditer(each)]
    if parsed:
        found += [Mention(match[0], each) for each in readable for match in BARE_MENTION.finditer(each)]
    for _, each in walk(blocks):
        if each.get("type") in ("user", "broadcast", "usergroup") and "elements" not in each:
            who = each.get("user_id") or each.get("range") or each.get("usergroup_id")
            found.append(Mention(f"rich text {each['type']}", str(who)))
    return found


def links(text: str | None, blocks: Any) -> list[str]:
    readable = [text or "", *(each for kind, each in texts(blocks) if kind in ("mrkdwn", "markdown"))]
    found = [match[1] or match[2] for each in readable for match in LINK.finditer(each)]
    found += [each["url"] for _, each in walk(blocks) if isinstance(each.get("url"), str)]
    return list(dict.fromkeys(found))
