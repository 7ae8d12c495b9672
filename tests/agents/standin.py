"""A stand-in for an interactive agent: a prompt box, a permission menu, a spinner, a conversation that can be resumed.

    standin.py claude [--session-id=ID | --resume=ID] [--settings=FILE] [other flags] -- PROMPT
    standin.py codex [resume --last] [-c notify=LIST] [other flags] -- PROMPT

It draws what that agent draws, and takes messages while it works. The last line of a message says what it does:

    permission  asks before it goes on
    trust       asks by options without numbers, the first of which ends it
    loop        fails in the same way again and again
    flicker     shows a question and work in turns, a third of a second each
    limit       says that its quota is used up
    slowly      works until a person interrupts
    sudden      works until something is pasted, and asks for a permission just then
    done        ends its turn with `mux done`
    deaf        does nothing that it is told, from then on

Its conversation is a file a session in the folder that `STANDIN` names, a line a message. Beside that folder `shown`
holds when it drew each menu. With `STANDIN_HOOKS` it calls the hooks that it was given.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
import tty
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

RULE = "─" * 100
PASTE, PASTED = "\x1b[200~", "\x1b[201~"


class StandIn:
    """As Claude Code looks: a box between two rules, and a menu that takes a key at once."""

    def __init__(self, conversation: Path, hooks: Mapping[str, Sequence[str]]) -> None:
        self.conversation = conversation
        self.hooks = hooks
        self.deaf = False
        self.sudden = False
        self.said: list[str] = []
        self.draft = ""
        self.footer = "? for shortcuts"
        self.menu = False
        self.trust: int | None = None  # the option at which the mark of that menu stands
        self.spinner = ""
        self.unread = ""
        self.queue: list[str] = []

    def draw(self) -> None:
        self.show(self.lines())

    def lines(self) -> list[str]:
        lines = ["╭─── Stand-in ───╮", "╰────────────────╯", *self.said[-20:]]
        if self.trust is not None:
            options = ("No, exit", "Yes, I trust this folder")
            lines += [RULE, " Quick safety check: Is this a project you created or one you trust?", ""]
            lines += [f" {'❯' if number == self.trust else ' '} {text}" for number, text in enumerate(options)]
            lines += ["", " Enter to confirm · Esc to cancel"]
        elif self.menu:
            lines += [RULE, " Bash command", "   touch asked", " Do you want to proceed?", " ❯ 1. Yes", "   2. No"]
            lines += [" Esc to cancel"]
        else:
            typed = self.draft.splitlines() or [""]
            draft = "\n  ".join(typed) if len(typed) < 10 else f"[Pasted text #1 +{len(typed)} lines]"
            shown = draft if draft.strip() else '\x1b[2mTry "fix the tests"\x1b[0m'
            lines += [*([self.spinner] if self.spinner else []), RULE, f"❯ {shown}", RULE, f"  {self.footer}"]
        return lines

    def show(self, lines: Sequence[str]) -> None:
        sys.stdout.write("\x1b[H\x1b[2J" + "\r\n".join("\r\n".join(lines).splitlines()))
        sys.stdout.flush()

    def hook(self, name: str) -> None:
        if name in self.hooks:
            subprocess.run(self.hooks[name], input=b"{}", stdout=subprocess.DEVNULL, check=True)

    def say(self, text: str) -> None:
        self.said += ["", text]
        self.draw()

    def work(self, seconds: float) -> None:
        """Its spinner turns, until that is over or a person interrupts."""
        self.footer = "esc to interrupt"
        end = time.monotonic() + seconds
        step = 0
        while time.monotonic() < end:
            self.spinner = f"{'✻✽✶'[step % 3]} Thinking… ({step // 5}s)"
            step += 1
            self.draw()
            if select.select([sys.stdin], [], [], 0.2)[0]:
                self.read()
                if self.unread == "\x1b":
                    self.unread = ""
                    break
        self.spinner, self.footer = "", "? for shortcuts"
        self.draw()

    def turn(self, message: str) -> None:
        with self.conversation.open("a") as file:
            file.write(json.dumps(message) + "\n")
        self.hook("UserPromptSubmit")
        first, *others = message.splitlines()
        self.said += ["", f"❯ {first}", *(f"  {line}" for line in others)]
        self.work(0.5)
        self.act(message.splitlines()[-1])

    def act(self, order: str) -> None:
        self.deaf = self.deaf or "deaf" in order
        if self.deaf:
            order = ""
        if "loop" in order:
            for number in range(6):
                self.said += [
                    "",
                    "● Bash(make)",
                    "  ⎿  Error: Exit code 2",
                    f"     /tmp/x{number}/a.c:{number}: no rule",
                ]
                self.work(1.2)
        if "flicker" in order:
            for step in range(60):
                self.menu, self.spinner, self.footer = step % 2 == 0, f"✻ Thinking… ({step}s)", "esc to interrupt"
                self.draw()
                time.sleep(0.35)  # so that looks half a second apart fall on both
            self.spinner, self.footer = "", "? for shortcuts"
        if "sudden" in order:
            self.sudden = True
            self.say("● Going on.")
            while self.sudden:
                self.work(0.2)
            return
        if "slowly" in order:
            self.work(3600)
        if "done" in order:
            Path("made").write_text(order)
            self.spinner, self.footer = "✻ Committing… (0s)", "esc to interrupt"
            self.draw()
            for command in (["git", "add", "--all"], ["git", "commit", "--quiet", "-m", "made"], ["mux", "done"]):
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            self.spinner, self.footer = "", "? for shortcuts"
        if "trust" in order:
            self.trust = 0
            self.draw()
        elif "permission" in order:
            self.menu = True
            self.draw()
            with (self.conversation.parent.parent / "shown").open("a") as file:
                file.write(f"{time.time()}\n")
            self.hook("PermissionRequest")
        elif "limit" in order:
            self.say("● You've hit your session limit · resets in 3 hours")
        else:
            self.end("Finished that.")

    def end(self, words: str) -> None:
        self.say(f"● {words}")
        self.hook("Stop")

    def choose(self, key: str) -> None:
        if key not in "12\r":
            return
        key = "1" if key == "\r" else key
        self.menu = False
        if key == "1":
            Path("asked").touch()
            self.work(0.3)
        self.end("Finished that." if key == "1" else "You said no.")

    def move(self, key: str) -> None:
        if key == "\r" and self.trust == 0:
            sys.exit(1)
        if key == "\r":
            self.trust = None
            self.say("● Finished that.")
        elif key in ("\x1b[A", "\x1b[B"):
            self.trust = int(key == "\x1b[B")

    def run(self, prompt: str) -> None:
        sys.stdout.write("\x1b[?2004h")
        self.draw()
        self.queue.append(prompt)
        while True:
            while self.queue and not self.menu and self.trust is None:
                self.turn(self.queue.pop(0))
            self.read()

    def read(self) -> None:
        """What was typed or pasted meanwhile; what is no whole paste yet, or a key that interrupts, stays unread."""
        self.unread += os.read(0, 65536).decode(errors="replace")
        while self.unread and self.unread != "\x1b":
            if self.unread.startswith(PASTE):
                if PASTED not in self.unread:
                    break
                pasted, _, self.unread = self.unread.removeprefix(PASTE).partition(PASTED)
                self.draft += pasted.replace("\r", "\n")
                self.menu, self.sudden = self.menu or self.sudden, False
                continue
            arrow = self.unread[:3] if self.unread[:2] == "\x1b[" else ""
            key, self.unread = self.unread[0], self.unread[max(len(arrow), 1) :]
            if self.trust is not None:
                self.move(arrow or key)
            elif self.menu:
                self.choose(key)
            elif key == "\r" and self.draft.strip():
                self.queue.append(self.draft)
                self.draft = ""
            elif key.isprintable():
                self.draft += key
        self.draw()


class Codex(StandIn):
    """As Codex looks: a line without a box, and a menu in which a key moves and Enter takes."""

    chosen = "1"

    def lines(self) -> list[str]:
        lines = ["", "  >_ OpenAI Codex (v0.0.0)", "", *(line.replace("❯ ", "› ") for line in self.said[-20:])]
        if self.menu:
            lines += ["", "  Would you like to run the following command?", "", "  $ touch asked", ""]
            lines += [
                f"{'›' if key == self.chosen else ' '} {key}. {words}"
                for key, words in (("1", "Yes, proceed (y)"), ("2", "No, and tell Codex what to do differently (esc)"))
            ]
            return [*lines, "", "  Press enter to confirm or esc to cancel"]
        lines += ["", f"• Working ({self.spinner[-3:-1]} • esc to interrupt)", ""] if self.spinner else [""]
        typed = self.draft.replace("\n", "\n  ") or "\x1b[2mAsk Codex to do anything\x1b[0m"
        return [*lines, "", f"› {typed}", "", "  gpt-0 default · ? for shortcuts"]

    def say(self, text: str) -> None:
        super().say(text.replace("●", "•"))

    def choose(self, key: str) -> None:
        if key == "\r":
            super().choose(self.chosen)
        elif key in "12":
            self.chosen = key


def claude_hooks(settings: str) -> dict[str, list[str]]:
    found = json.loads(Path(settings).read_text())["hooks"]
    return {name: ["sh", "-c", several[0]["hooks"][0]["command"]] for name, several in found.items()}


def start(agent: str, words: Sequence[str]) -> StandIn:
    """The agent that goes on with the conversation which the words name, or begins one."""
    folder = Path(os.environ["STANDIN"])
    flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    calls = "STANDIN_HOOKS" in os.environ
    if agent == "codex":
        resumes, hooks = words[:2] == ["resume", "--last"], {}
        last = max(folder.iterdir(), key=lambda path: path.stat().st_mtime, default=None)
        conversation = last if resumes else folder / str(uuid.uuid4())
        if calls:
            notify = next(word.removeprefix("notify=") for word in words if word.startswith("notify="))
            hooks["Stop"] = [*json.loads(notify), "{}"]
    else:
        resumes, hooks = "resume" in flags, claude_hooks(flags["settings"]) if calls else {}
        conversation = folder / (flags["resume"] if resumes else flags["session-id"])
    if conversation is None or (resumes and not conversation.exists()):
        sys.exit("there is no such conversation")
    return (Codex if agent == "codex" else StandIn)(conversation, hooks)


def main() -> None:
    agent, *words = sys.argv[1:]
    standin = start(agent, words)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        standin.run(words[-1])
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


if __name__ == "__main__":
    main()
