"""What should stand in a chat, and what was posted of it: `.mux/outbox/`, durable, one message a key.

    <digest of the key>.want.json   the newest post of the key: what should stand
    <digest of the key>.sent.json   where it stands, what of it, and the claim that was made before it was posted

Anybody may `put`; only the poster writes what was sent. A claim is on disk before a message is posted: one that is
found without its message after a crash is looked for in the channel first, so that it is not posted twice.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from board.errors import MuxError
from board.storage import Stamp, digest, one_line_errors, private_folder, read_json, stamp_of, write_json
from bot.posts import Post

MOST = 1000  #: keys that are kept; beyond it the oldest that need nothing any more go
_WANT, _SENT = ".want.json", ".sent.json"


@dataclass(frozen=True, slots=True)
class Sent:
    """`content`: digest of what stands at `ts`. `claim` without `ts`: it may have been posted, nobody noted it.

    `refused`: digest of what Slack will not take; `folded`: it went into a summary, and is not posted any more.
    `root`: the message that this one hangs below.
    """

    channel: str | None = None
    ts: str | None = None
    root: str | None = None
    content: str | None = None
    at: float = 0.0
    claim: str | None = None
    claimed_at: float = 0.0
    refused: str | None = None
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """`order`: the smallest is sent first. `at`: seconds since the epoch at which it was wanted.

    `last`: nothing more will be said under its key.
    """

    post: Post
    content: str
    order: int
    at: float
    last: bool = False
    sent: Sent = Sent()

    @property
    def waits(self) -> bool:
        return not self.sent.folded and self.content not in (self.sent.content, self.sent.refused)


class Outbox:
    """Safe in several threads; `put` also in several processes."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self._folder = folder / "outbox"
        self._lock = threading.RLock()
        self._known: dict[str, tuple[Stamp, dict[str, Any]]] = {}  # by file name: its stamp and content
        self._order = 0  # the newest that was given

    def put(self, post: Post, now: float, last: bool = False) -> bool:
        """This should stand from now on, for good if it is the `last`. False when it did already.

        Raises MuxError (disk full).
        """
        with self._lock:
            old = self.get(post.key)
            content = content_of(post)
            if old is not None and ((old.content, old.last) == (content, last) or old.sent.folded):
                return False
            # What was not posted yet keeps its turn, whatever became of it meanwhile.
            order = old.order if old is not None and old.waits and old.sent.ts is None else self._next()
            record = {**asdict(post), "content": content, "order": order, "at": now, "last": last}
            write_json(private_folder(self._folder) / (_name(post.key) + _WANT), record)
            return True

    def get(self, key: str) -> Entry | None:
        with self._lock:
            return self._entry(_name(key))

    def entries(self) -> list[Entry]:
        """All that are kept, in the order in which they are to be sent."""
        with self._lock:
            found = (self._entry(name.removesuffix(_WANT)) for name in self._names() if name.endswith(_WANT))
            return sorted((entry for entry in found if entry is not None), key=lambda entry: entry.order)

    def waiting(self) -> list[Entry]:
        """What should stand and does not yet."""
        return [entry for entry in self.entries() if entry.waits]

    def root(self, thread: str, channel: str) -> str | None:
        """The message that the posts of a thread hang below; None before its first one."""
        mine = (entry.sent for entry in self.entries() if entry.post.thread == thread)
        there = [sent for sent in mine if sent.ts is not None and sent.channel == channel and sent.root is None]
        return max((sent.ts for sent in there if sent.ts), key=float, default=None)

    def end_thread(self, thread: str, channel: str) -> None:
        """Its first message is gone: the next post of the thread begins it anew."""
        while (root := self.root(thread, channel)) is not None:
            for entry in self.entries():
                if entry.sent.ts == root and entry.sent.channel == channel:
                    self._note(entry, replace(entry.sent, root=root))

    def claim(self, entry: Entry, channel: str, now: float) -> Entry | None:
        """On disk before the message is posted; the claim is the same until the message is noted or forgotten.

        None when the post was dropped meanwhile, or is over before anybody can have seen it: it came and went, and is
        dropped.
        """
        with self._lock:
            current = self.get(entry.post.key)
            if current is None:
                return None
            if current.last and current.sent.claim is None:
                self.drop(current)
                return None
            if entry.sent.claim is not None and entry.sent.channel == channel:
                return entry
            claimed = Sent(channel=channel, claim=str(uuid.uuid4()), claimed_at=now, refused=entry.sent.refused)
            return self._note(entry, claimed)

    def stands(self, entry: Entry, ts: str, content: str, now: float, root: str | None = None) -> Entry:
        """The message is there, and holds `content`."""
        return self._note(entry, replace(entry.sent, ts=ts, content=content, root=root, at=now))

    def refuse(self, entry: Entry, now: float) -> Entry:
        """Slack will not take this; the key's next content is tried again."""
        return self._note(entry, replace(entry.sent, refused=entry.content, at=now))

    def forget(self, entry: Entry) -> Entry:
        """Its message is gone: the next one is posted anew."""
        return self._note(entry, Sent())

    def move(self, entry: Entry, left: Post, now: float) -> None:
        """Its message stays where it is, and becomes `left`; the post itself is to be posted anew, elsewhere.

        A crash in between leaves both as they were, or repeats it.
        """
        with self._lock:
            self._keep(left.key, replace(entry.sent, content=None, claim=None, at=now))
            self.put(left, now, last=True)
            self.forget(entry)

    def fold(self, entries: Iterable[Entry], into: Post, now: float) -> None:
        """One summary instead of several posts that were never sent; a crash in between repeats, and loses none."""
        self.put(into, now)
        for entry in entries:
            self._note(entry, replace(entry.sent, folded=True, at=now))

    def withdraw(self, key: str) -> bool:
        """It need not be said any more, if nobody has seen it; True when it is gone."""
        with self._lock:
            entry = self.get(key)
            if entry is None or entry.sent.claim is not None:
                return entry is None
            self.drop(entry)
            return True

    def drop(self, entry: Entry) -> None:
        """Neither post it nor remember it."""
        with self._lock:
            for suffix in (_WANT, _SENT):
                path = self._folder / (_name(entry.post.key) + suffix)
                with one_line_errors("remove", path):
                    path.unlink(missing_ok=True)

    def prune(self, before: float) -> int:
        """Forget what was wanted before that time, and the oldest settled beyond MOST. Returns how many never went."""
        with self._lock:
            every = sorted(self.entries(), key=lambda entry: entry.at)
            surplus = max(0, len(every) - MOST)
            going = [entry for entry in every if entry.at < before]
            settled = [entry for entry in every if entry.at >= before and not entry.waits]
            going += settled[: max(0, surplus - len(going))]
            for entry in going:
                self.drop(entry)
            return sum(entry.waits for entry in going)

    def _next(self) -> int:
        """By the clock, and behind all that is there, though the clock was set back."""
        newest = self._order or max((entry.order for entry in self.entries()), default=0)
        self._order = max(time.time_ns(), newest + 1)
        return self._order

    def _note(self, entry: Entry, sent: Sent) -> Entry:
        with self._lock:
            if self.get(entry.post.key) is not None:  # of what was dropped meanwhile nothing is kept
                self._keep(entry.post.key, sent)
            return replace(entry, sent=sent)

    def _keep(self, key: str, sent: Sent) -> None:
        write_json(private_folder(self._folder) / (_name(key) + _SENT), asdict(sent))

    def _names(self) -> list[str]:
        with one_line_errors("list", self._folder):
            try:
                with os.scandir(self._folder) as files:
                    return [file.name for file in files if not file.name.startswith(".")]
            except FileNotFoundError:
                return []

    def _entry(self, name: str) -> Entry | None:
        want = self._read(name + _WANT)
        if want is None:
            return None
        sent = self._read(name + _SENT) or {}
        known = {field: sent[field] for field in Sent.__slots__ if field in sent}
        try:
            post = Post(want["key"], want["text"], tuple(want["blocks"]), want["channel"], want["thread"])
            return Entry(post, want["content"], want["order"], want["at"], want["last"], Sent(**known))
        except (KeyError, TypeError):
            return None  # of another version: what should stand is put again

    def _read(self, name: str) -> dict[str, Any] | None:
        """Read anew only when another file stands there: each is written whole, under a new inode.

        Raises MuxError for one that cannot be read now: taken for none, it would be posted twice.
        """
        path = self._folder / name
        with one_line_errors("read", path):
            try:
                stamp = stamp_of(path.stat())
            except FileNotFoundError:
                self._known.pop(name, None)
                return None
        known = self._known.get(name)
        if known is not None and known[0] == stamp:
            return known[1]
        record: dict[str, Any] | None = None
        try:
            record = read_json(path)
        except MuxError as error:
            if isinstance(error.__cause__, OSError):
                raise
            # Damaged: as if it were not there.
        if record is not None:
            self._known[name] = (stamp, record)
        return record


def content_of(post: Post) -> str:
    """A digest of what people see of it."""
    shown: Mapping[str, Any] = {"text": post.text, "blocks": list(post.blocks)}
    return digest(json.dumps(shown, sort_keys=True).encode())[:24]


def _name(key: str) -> str:
    return digest(key.encode())[:24]
