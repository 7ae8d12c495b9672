"""The one place that talks to tmux: a server of its own for each board, a window for each worker.

libtmux speaks to it, except that no call may wait for ever: a stuck server hangs its clients, and libtmux has no time
limits. What `mux status` and `mux watch` call goes past libtmux: its import alone takes 120 ms, and fails where a
dashboard has taken the place of the standard output.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from board.errors import CommandFailed, MuxError
from board.model import TASK_ID
from runners import processes, sh
from runners.environment import worker_environment
from runners.model import Sight, Window
from runners.tmux_words import for_shell, literally, quoted

if TYPE_CHECKING:
    from libtmux.common import tmux_cmd

MINIMUM = (3, 2)
SESSION = "mux"
_TIME_LIMIT = 10.0  # seconds a call; a server that needs longer is stuck
_FILES = 65536  # open files to allow the server, or the hard limit: two for each worker (1024 would be 500 workers)
_LOG = re.compile(r"([a-z0-9][a-z0-9-]*/)*[a-z0-9][a-z0-9.-]*\Z")

#: Ids and numbers only: a worker's title or folder may hold anything, a line break too.
_FIELDS = "#{window_id}|#{@mux_task}|#{@mux_attempt}|#{pane_pid}|#{pane_dead}|#{window_activity}|#{session_attached}"
_LINE = re.compile(r"(@\d+)\|([a-z0-9-]+)\|(\d+)\|(\d+)\|([01]?)\|(\d+)\|(\d+)\Z")

#: Of an attached terminal. Its activity is its last key, and at first the moment at which it was attached.
_CLIENT = "#{client_readonly}|#{client_created}|#{client_activity}|#{window_id}"

#: Before the first window: what a session takes from whoever attaches (nothing) and how much a window remembers.
_OPTIONS = (
    ("-g", "update-environment", ""),
    ("-g", "remain-on-exit", "on"),
    ("-g", "history-limit", "2000"),
    ("-g", "default-size", "160x48"),
    ("-g", "default-terminal", "screen-256color"),
    ("-g", "automatic-rename", "off"),
    ("-g", "status-left", "[mux] "),
    ("-s", "escape-time", "20"),
    ("-s", "set-clipboard", "off"),  # what a worker prints must not reach the clipboard of whoever attaches
)

#: Appends to a log and starts a second one at 10 MiB (`ulimit -f` counts 512-byte blocks); the one before is replaced.
#: `cat` writes at once and costs next to nothing; at the limit a signal ends it. Other failures (a full disk) are
#: waited out; when the folder is gone, so is the writer. Only checked names are put in. The server may stand in a
#: `.mux` that was removed since: the folder is named from the root.
_WRITER = (
    "cd {folder} || exit; umask 077; ulimit -f 20480; while :; do cat >>{name}; s=$?; [ $s -eq 0 ] && exit; "
    "if [ $s -gt 128 ]; then mv -f {name} {name}.1 || exit; else [ -f {name} ] || exit; sleep 1; fi; done"
)


def version() -> str:
    """The version of the installed tmux, `3.3a`. Raises MuxError when it is missing or too old."""
    text = sh.run(["tmux", "-V"], timeout=_TIME_LIMIT).out.strip().removeprefix("tmux ")
    found = re.search(r"(\d+)\.(\d+)", text)
    # No number: a development build. OpenBSD counts by its own releases.
    if found and "openbsd" not in text and (int(found[1]), int(found[2])) < MINIMUM:
        raise MuxError(f"tmux {text} is too old: mux needs {MINIMUM[0]}.{MINIMUM[1]} or newer; update the package tmux")
    return text


def socket_name(board: Path) -> str:
    """The name of the board's own tmux server, for `tmux -L`."""
    return "mux-" + hashlib.sha256(os.fsencode(board.resolve())).hexdigest()[:12]


def closing(board: Path, window: str) -> str:
    """The command that closes a window of the board's server; what runs in it gets HUP."""
    return f"tmux -L {socket_name(board)} kill-window -t {window}"


class Tmux:
    """The tmux server of one board. `folder` is its `.mux`; `environment` is what workers are to inherit.

    Every method raises CommandFailed when tmux says no or does not answer.
    """

    def __init__(self, board: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = worker_environment(environment)
        self._socket = socket_name(board)
        self._starting = threading.Lock()

    def ensure(self) -> None:
        """A running server with our session, whose next window gets today's environment. Cheap when all is so."""
        wanted = _digest(self.environment)
        with self._starting:
            ask = ("show-options", "-gqv", "@mux_environment", ";", "has-session", "-t", f"={SESSION}")
            seen = self._call(*ask, check=False)
            if seen.code != 0:
                self._start(wanted)
            if not _no_server(seen.err) and seen.out.strip() != wanted:
                self._refresh(wanted)

    def open(self, task: str, attempt: int, argv: Sequence[str], log: str) -> Window:
        """A new window that runs `argv`, its raw output appended to `log` (relative to `.mux`, at most 2 x 10 MiB).

        One call makes the window, marks it and attaches the log, so that no death in between leaves one unmarked.
        """
        if not TASK_ID.match(task) or not _LOG.match(log):
            raise MuxError(f"{task!r}, {log!r}: not a task id and a log below .mux; no window was opened")
        self._check_room()
        unique = f"{task}_{attempt}"  # no id holds `_`: it names this window only, until it has its short name
        pane = f"={SESSION}:={unique}"
        path = self.folder / log
        answer = self._ask(
            *("new-window", "-d", "-P", "-F", "#{window_id}|#{pane_pid}", "-t", f"={SESSION}:", "-n", unique),
            *("--", *(literally(word) for word in argv), ";"),
            *("set-option", "-p", "-t", pane, "@mux_task", task, ";"),
            *("set-option", "-p", "-t", pane, "@mux_attempt", str(attempt), ";"),
            *("pipe-pane", "-t", pane, _WRITER.format(folder=for_shell(path.parent), name=path.name), ";"),
            *("rename-window", "-t", pane, task),
        )
        window, _, pid = answer.strip().partition("|")
        return Window(window, task, attempt, int(pid), dead=False, activity=time.time())

    def windows(self) -> tuple[Window, ...] | None:
        """Our windows; () when there is no server; None when it could not be asked, which says nothing about them.

        `dead` needs no reaped child, so a server that lost a SIGCHLD (tmux before 3.5) still tells it right.
        """
        try:
            done = self._call("list-panes", "-a", "-F", _FIELDS, check=False)
        except CommandFailed:
            return None
        if done.code != 0:
            return () if _no_server(done.err) else None
        found = (_LINE.match(line) for line in done.out.splitlines())
        return tuple(
            Window(m[1], m[2], int(m[3]), int(m[4]), m[5] == "1", float(m[6]), attached=m[7] != "0") for m in found if m
        )

    def close(self, window: str) -> None:
        """Close the window; what still runs in it gets HUP. Nothing happens when it is gone already."""
        done = self._command("kill-window", target=window)
        if done.returncode != 0 and not _is_gone("\n".join(done.stderr)):
            raise _refused(done)

    def capture(self, window: str) -> str:
        """The text on the window's screen, wrapped lines joined. The worker's own pane, when somebody split it."""
        # And the line above it: a full screen moves up by one when tmux writes below it that the pane is dead.
        return self._ask("capture-pane", "-p", "-J", "-S", "-1", "-t", f"{window}.0")

    def look(self, windows: Sequence[str]) -> Sight:
        """What `capture` gives of windows, and who types where, in one call. Windows that are gone are left out."""
        screens: dict[str, str] = {}
        typed: dict[str, float] = {}
        waiting = list(windows)
        while True:
            border = f"mux-{secrets.token_hex(16)}"  # no screen holds it
            words = [f"capture-pane -p -J -S -1 -t {window}.0 ; display-message -p {border} ;" for window in waiting]
            ask = f"list-clients -F {_CLIENT} ; display-message -p {border} ; {' '.join(words)}"
            done = self._call(*ask.split()[:-1], check=False)
            if done.code != 0 and not _is_gone(done.err):
                raise sh.failure(done)
            clients, *shown = done.out.split(f"{border}\n")[:-1] or [""]
            typed |= _typed(clients)
            screens.update(zip(waiting, (screen.removesuffix("\n") for screen in shown), strict=False))
            waiting = waiting[len(shown) + 1 :]  # tmux stops at the first that is gone
            if not waiting:
                return Sight(screens, typed)

    def capture_styled(self, window: str) -> str:
        """The window's screen with the sequences that colour it."""
        return self._call("capture-pane", "-e", "-p", "-J", "-S", "-1", "-t", f"{window}.0").out

    def cursor(self, window: str) -> str:
        """Where the window's cursor stands: row and column."""
        return self._call("display-message", "-p", "-t", f"{window}.0", "#{cursor_y} #{cursor_x}").out.strip()

    def paste(self, window: str, text: str) -> None:
        """Type a text: out of copy mode first, then bracketed where the program asks for that. No Enter follows."""
        pane, buffer = f"{window}.0", f"mux-{secrets.token_hex(8)}"
        self._call(
            *("if-shell", "-F", "-t", pane, "#{pane_in_mode}", f"send-keys -X -t {pane} cancel", ";"),
            *("load-buffer", "-b", buffer, "-", ";", "paste-buffer", "-p", "-d", "-b", buffer, "-t", pane),
            input=text,
        )

    def terminal(self, window: str) -> Path:
        """The device that the window's program reads what is typed from."""
        return Path(self._call("display-message", "-p", "-t", f"{window}.0", "#{pane_tty}").out.strip())

    def press(self, window: str, key: str, literal: bool) -> None:
        """Press a key, by tmux's name for it or as it is; out of copy mode first."""
        pane = f"{window}.0"
        self._call(
            *("if-shell", "-F", "-t", pane, "#{pane_in_mode}", f"send-keys -X -t {pane} cancel", ";"),
            *("send-keys", "-t", pane, *(["-l"] if literal else []), "--", literally(key)),
        )

    def attach_argv(self, window: str | None) -> list[str]:
        """What a terminal runs to see the window, or all of them. Works inside a person's own tmux, too."""
        target = window or f"={SESSION}"
        return ["env", "-u", "TMUX", "tmux", f"-L{self._socket}", "-f/dev/null", "attach-session", "-t", target]

    def shutdown(self) -> None:
        """End the server and all in it, and wait until it is gone: `kill-server` returns before that."""
        seen = self._call("display-message", "-p", "#{pid}", check=False)
        if seen.code != 0 and _no_server(seen.err):
            return
        pid = int(seen.out) if seen.code == 0 else 0
        started = processes.start_time(pid) if pid else None
        self._call("kill-server", check=False)
        deadline = time.monotonic() + _TIME_LIMIT
        while started is not None and processes.alive(pid, started):
            if time.monotonic() > deadline:
                raise CommandFailed(f"tmux kill-server: process {pid} does not end; end it with `kill -9 {pid}`")
            time.sleep(0.01)

    def _start(self, digest: str) -> None:
        """Server, options and session in one call. The environment goes by inheritance, never as an argument."""
        options = [word for option in _OPTIONS for word in ("set-option", *option, ";")]
        # A window that ended and stays: it keeps the session without a process.
        notice = ["echo", "Each worker of the board has a window of its own here."]
        command = ["new-session", "-d", "-s", SESSION, "-n", "mux", "-c", "/", "--", *notice]
        argv = self._argv(*options, *command, ";", "set-option", "-g", "@mux_environment", digest)
        # Out of open files a server hangs for ever and says nothing, so it gets more than the usual 1024.
        raised = ["sh", "-c", 'ulimit -Sn "$0" 2>/dev/null; exec "$@"', str(self._files_wanted()), *argv]
        done = sh.run(raised, cwd=self.folder, env=self.environment, timeout=_TIME_LIMIT, check=False)
        if done.code != 0 and "duplicate session" not in done.err:
            raise sh.failure(sh.Completed(tuple(argv), done.code, done.out, done.err))

    @staticmethod
    def _files_wanted() -> int:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return max(soft, _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES))

    def _refresh(self, digest: str) -> None:
        """Give new windows today's variables, and take away what is gone. By stdin: others can read arguments."""
        present = self._call("show-environment", "-g").out
        gone = {line.partition("=")[0] for line in present.splitlines() if "=" in line} - set(self.environment)
        lines = [f"set-environment -gu {quoted(name)}" for name in sorted(gone)]
        lines += [f"set-environment -g {quoted(name)} {quoted(value)}" for name, value in self.environment.items()]
        lines.append(f"set-option -g @mux_environment {digest}")
        self._call("source-file", "-", input="\n".join(lines) + "\n")

    def _check_room(self) -> None:
        import psutil

        pid = int(self._call("display-message", "-p", "#{pid}").out)
        used, limit = psutil.Process(pid).num_fds(), _files_allowed(pid)
        if used > 0.8 * limit:
            raise MuxError(
                f"tmux has {used} of {limit} files open: close windows of ended workers, or raise `ulimit -n`"
            )

    def _ask(self, *words: str) -> str:
        done = self._command(*words)
        if done.returncode != 0:
            raise _refused(done)
        return "\n".join(done.stdout)

    def _command(self, *words: str, target: str | None = None) -> tmux_cmd:
        server = _timed_server()(socket_name=self._socket, config_file="/dev/null")
        server.run = self._run
        done: tmux_cmd = server.cmd(*words, target=target)
        return done

    def _call(self, *words: str, input: str | None = None, check: bool = True) -> sh.Completed:
        return self._run(self._argv(*words), input, check)

    def _run(self, argv: list[str], input: str | None = None, check: bool = False) -> sh.Completed:
        return sh.run(argv, env=self.environment, timeout=_TIME_LIMIT, input=input, check=check)

    def _argv(self, *words: str) -> list[str]:
        return ["tmux", "-u", f"-L{self._socket}", "-f/dev/null", *words]


@functools.cache
def _timed_server() -> Any:
    """libtmux's server, whose every call has our time limit and environment."""
    import libtmux
    from libtmux.common import tmux_cmd

    class TimedServer(libtmux.Server):
        run: Callable[[list[str]], sh.Completed]

        def cmd(self, cmd: str, *args: Any, target: str | int | None = None) -> tmux_cmd:
            aimed = () if target is None else ("-t", str(target))
            where = (f"-L{self.socket_name}", f"-f{self.config_file}")
            done = self.run(["tmux", "-u", *where, cmd, *aimed, *map(str, args)])
            result = tmux_cmd.__new__(tmux_cmd)  # its constructor would start tmux, and wait for ever
            result.cmd = list(done.argv)
            result.returncode = done.code
            result.stdout = done.out.splitlines()
            result.stderr = done.err.splitlines()
            return result

    return TimedServer


def _refused(done: tmux_cmd) -> CommandFailed:
    return sh.failure(sh.Completed(tuple(done.cmd), done.returncode or 0, "", "\n".join(done.stderr)))


def _no_server(error: str) -> bool:
    return "no server running" in error or ("error connecting" in error and "No such file or directory" in error)


def _is_gone(error: str) -> bool:
    return any(f"can't find {what}" in error for what in ("window", "pane")) or _no_server(error)


def _typed(clients: str) -> dict[str, float]:
    """By window: when somebody who sees it last pressed a key. To attach is no key, nor is what a reader presses."""
    typed: dict[str, float] = {}
    for line in clients.splitlines():
        readonly, created, active, window = line.split("|")
        if readonly != "1" and int(active) > int(created):
            typed[window] = max(float(active), typed.get(window, 0.0))
    return typed


def _digest(environment: Mapping[str, str]) -> str:
    pairs = (f"{name}={value}".encode("utf-8", "surrogateescape") for name, value in sorted(environment.items()))
    return hashlib.sha256(b"\0".join(pairs)).hexdigest()


def _files_allowed(pid: int) -> int:
    """The server's limit of open files; where it cannot be asked (macOS), our own, which is not above it."""
    import resource

    if hasattr(resource, "prlimit"):
        return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
