"""What people call themselves in a chat, by id: as they were called when they last decided something."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from board.errors import MuxError
from board.redact_text import truncate
from board.storage import read_json, write_json
from bot.mrkdwn import plain

_MOST = 500
_LONGEST = 40
#: Who did something, as it stands in journal and reasons; the name at the terminal may be redacted.
_WHO = re.compile(r"\b(?:slack:([UW][A-Z0-9]+)|terminal:(?:\[user\]|[\w.@-]+))")


class Names:
    """Kept in `.mux/names.json`, so that what was said of a decision stays the same. Only for showing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "names.json"
        self._known: dict[str, str] = {}
        with suppress(MuxError):  # damaged: ids are shown instead
            found = read_json(self._path) or {}
            self._known = {user: name for user, name in found.items() if isinstance(name, str)}

    def all(self) -> dict[str, str]:
        return self._known

    def named(self, text: str) -> str:
        """With names for ids, where they are known. Who sits at the terminal has this machine's, and gets none."""

        def name(found: re.Match[str]) -> str:
            if found[1] is None:
                return "somebody at the terminal"
            known = self._known.get(found[1])
            return truncate(plain(known), _LONGEST) if known else found[0]

        return _WHO.sub(name, text)

    def learn(self, user: str, name: str) -> None:
        if not name or self._known.get(user) == name or len(self._known) >= _MOST:
            return
        self._known = {**self._known, user: name}
        with suppress(MuxError):  # a full disk: it is learnt again
            write_json(self._path, self._known, durable=False)
