"""`make demo-slack`: a night with the chat, against the local Slack. No keys, no network, nothing left behind.

    python -m tests.e2e.demo_slack

A worker is killed with work that is not committed; mux asks; a person clicks; the work is done, and the digest tells.
Everything is real but Slack itself: the board, the control plane, tmux, git, and the client that speaks to Slack.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.e2e.conftest import FRONT, Desk, make_desk
from tests.e2e.fake_slack import ANA, BEN, CHANNEL, SCOPES, FakeSlack
from tests.e2e.fake_slack_text import as_text
from tests.e2e.fake_slack_world import Message
from tests.support import wait_for

NAMES = {ANA: "ana", BEN: "ben"}
KEYS = f"""restart: {{backoff: 1s, early: 1s}}
slack: {{channel: {CHANNEL}, approvers: [{ANA}]}}
"""
BOARD = """
## fix-login: Fix the login redirect loop

```yaml
status: ready
```

```sh
if [ -e login.txt ]; then git add login.txt; git commit -qm "Fix the loop"; exit 0; fi
echo "half of the work" > login.txt
touch ../begun
sleep 1000
```

## add-tests: Add tests for the cart

```yaml
status: ready
```

```sh
echo tests > cart.txt
git add cart.txt
git commit -qm "Tests for the cart"
```
"""


class Onlooker:
    """Sits before the channel, and reads aloud what is new in it, edits too."""

    def __init__(self, slack: FakeSlack) -> None:
        self._slack = slack
        self._read: set[tuple[str, int]] = set()

    def look(self) -> None:
        found: list[Message] = sorted([*self._slack.messages(), *self._slack.ephemerals()], key=lambda each: each.ts)
        for message in found:
            if (message.ts, message.edits) not in self._read:
                self._read.add((message.ts, message.edits))
                print(f"{_framed(as_text(message, NAMES))}\n", flush=True)

    def until(self, words: str, action: str = "") -> Message:
        """Read on until a message says this."""

        def said() -> list[Message]:
            every = [*self._slack.messages(), *self._slack.ephemerals()]
            return [
                each for each in every if words.lower() in as_text(each, NAMES).lower() and action in str(each.blocks)
            ]

        found: Message = wait_for(said, f"the channel says: {words}")[-1]
        self.look()
        return found


def main() -> int:
    before = os.environ.get("TMUX_TMPDIR")
    with tempfile.TemporaryDirectory(prefix="mux-demo-") as name, FakeSlack(scopes=_scopes()) as slack:
        scratch = Path(name).resolve()
        os.environ["TMUX_TMPDIR"] = str(scratch)
        desk = make_desk(scratch, scratch / "shop")
        try:
            night(desk, slack)
        except AssertionError as error:
            print(f"Not as it should be: {error}")
            return 1
        finally:
            desk.close()
            os.environ.pop("TMUX_TMPDIR") if before is None else os.environ.update(TMUX_TMPDIR=before)
    return 0


def night(desk: Desk, slack: FakeSlack) -> None:
    desk.environment |= {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
    }
    channel = Onlooker(slack)
    desk.save(FRONT.format(keys=KEYS) + BOARD)
    _tell("In the evening: `mux up`, with two tasks on the board. A worker is at work when its process is killed.")
    desk.up()
    wait_for(lambda: slack.connections(), "mux is connected")
    wait_for((desk.home("fix-login").parent / "begun").exists, "the worker is at work")
    os.kill(desk.start_record("fix-login")["pid"], signal.SIGKILL)
    request = channel.until("fix-login", "request:in-place")
    _tell("What it had done is not committed, so mux asks. Ben, who is no approver, clicks first, then Ana.")
    slack.click(request, "request:in-place", BEN)
    channel.until("Not allowed")
    slack.click(request, "request:in-place", ANA)
    desk.until("fix-login", "done")
    channel.until("by ana")
    channel.until("fix-login is done")
    _tell("In the morning: Ben asks how it stands, and the digest is posted.")
    turn = slack.slash(BEN, "status")
    wait_for(lambda: turn.replies, "the status")
    channel.look()
    desk.mux("digest", "--post")
    wait_for(lambda: any("digest" in str(each.metadata) for each in slack.messages()), "the digest is posted")
    channel.look()
    _tell("Nothing ran twice: fix-login was started twice, by order and by Ana's click; its work is on its branch:")
    print(desk.git("log", "--oneline", "mux/shop/fix-login"))


def _scopes() -> set[str]:
    return {*SCOPES, "users:read", "channels:history", "channels:read"}


def _tell(text: str) -> None:
    print(f"--- {text}\n", flush=True)


def _framed(text: str) -> str:
    return "\n".join(f"  | {line}".rstrip() for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
