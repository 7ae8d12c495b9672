"""What other programs inherit from the control plane. Pure."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

#: The control plane's own secrets and settings: no worker has a use for them.
_PRIVATE_PREFIXES = ("SLACK_", "MUX_")

#: True of the process that started mux, wrong in a worker: its terminal, its folder, its supervisor, its agent session
#: (an agent that finds the mark of another one around it refuses to start).
_LEFTOVERS = frozenset(
    {
        *("TMUX", "TMUX_PANE", "STY", "COLUMNS", "LINES", "PWD", "OLDPWD", "SHLVL", "_"),
        *("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM"),
        *("MAINPID", "WATCHDOG_PID", "WATCHDOG_USEC", "__PYVENV_LAUNCHER__", "CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT"),
    }
)

#: Who commits and how to connect. Every other `GIT_*` can point git at another repository, as those of a hook do.
_GIT_KEPT = frozenset(
    {
        *("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"),
        *("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY"),
        *("GIT_ASKPASS", "GIT_ALLOW_PROTOCOL", "GIT_HTTP_PROXY_AUTHMETHOD"),
        *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
    }
)

UTF8_LOCALE = "C.UTF-8"


def worker_environment(base: Mapping[str, str]) -> dict[str, str]:
    """What the tmux server, and so every worker, inherits: the environment mux was started in, without its secrets.

    The agents' own keys stay, and so do VIRTUAL_ENV, PYTHONPATH and the order of PATH: whoever starts mux in an
    activated environment means it. The folder of mux's own programs goes last on PATH when it is not on it, so that a
    worker can call `mux` and nothing else changes. Doing it twice changes nothing.
    """
    kept = {name: value for name, value in base.items() if not _is_ours(name)}
    kept["PATH"] = _with_folder(kept.get("PATH") or os.defpath, str(Path(sys.executable).parent))
    # tmux prints `_` for every character outside ASCII in another locale, and libtmux then cannot read it.
    if not _speaks_utf8(kept):
        kept["LC_ALL"] = UTF8_LOCALE
    return kept


def git_environment(base: Mapping[str, str]) -> dict[str, str]:
    """What our own calls of git get: a worker's environment, English messages, no questions, no optional locks."""
    kept = worker_environment(base)
    kept.pop("LANGUAGE", None)
    return kept | {"LC_ALL": UTF8_LOCALE, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def _is_ours(name: str) -> bool:
    if name.startswith("GIT_"):
        return name not in _GIT_KEPT
    return name.startswith(_PRIVATE_PREFIXES) or name in _LEFTOVERS


def _with_folder(path: str, folder: str) -> str:
    return path if folder in path.split(os.pathsep) else f"{path}{os.pathsep}{folder}"


def _speaks_utf8(environment: Mapping[str, str]) -> bool:
    """As setlocale reads it: the first of these that is not empty decides the character set."""
    chosen = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "")
    return "utf8" in chosen.lower().replace("-", "")
