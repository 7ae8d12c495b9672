"""The command line: dispatch, and the one place where errors end.

Starting must be cheap: a command's module is imported when that command runs, and its parser built only then.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from board.errors import MuxError
from bot.commands import COMMANDS, WORKER_WORDS, command_named, parser_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns what the process exits with; no traceback gets past here."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # a locale that cannot spell a title is no reason to fail
    try:
        code = _run(words)
        sys.stdout.flush()
    except MuxError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _give_up_output(0)  # `mux … | head` took what it wanted
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail(f"{error.filename or 'output'}: the disk is full; free some space and try again", 1)
            return _give_up_output(1)
        return _fail(f"a bug in mux, see {_write_down(words)}", 3)
    return code


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if words[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"mux {version('muxboard')}")
        return 0
    command = command_named(words[0])
    try:
        arguments = parser_of(command).parse_args(words[1:])
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    module, _, function = command.target.partition(":")
    run: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"bot.{module}"), function or "run")
    return run(arguments)


def _overview() -> str:
    width = max(len(command.name) for command in (*COMMANDS, *WORKER_WORDS))
    lines, words = (
        [f"  {command.name:{width}}  {command.help}" for command in group] for group in (COMMANDS, WORKER_WORDS)
    )
    return "\n".join(
        [
            "mux: a Markdown board in, workers in tmux windows and git worktrees out.",
            "",
            "usage: mux COMMAND [--board BOARD] …",
            "",
            *lines,
            "",
            "for workers, in their own windows (docs/contract.md):",
            *words,
            "",
            "mux COMMAND --help says more about one.",
            "example: mux init, then write `status: ready` at a task in board.md, save, and: mux up",
        ]
    )


def _fail(text: str, code: int) -> int:
    from bot.table import clean

    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        print(f"mux: {clean(text)}", file=sys.stderr)
    return code


def _give_up_output(code: int) -> int:
    """What is left in the buffer cannot be written. Python would try, and complain, once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _write_down(words: list[str]) -> str:
    """The traceback at hand, into `.mux/mux.log` where there is one, else into a file of its own."""
    import tempfile
    import traceback

    text = f"mux {' '.join(words)}\n{traceback.format_exc()}\n"
    for path in _logs_of_the_board(words):
        with contextlib.suppress(OSError), open(path, "a", opener=_private, encoding="utf-8", errors="replace") as file:
            file.write(text)
            return path
    descriptor, path = tempfile.mkstemp(prefix="mux-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    return path


def _logs_of_the_board(words: list[str]) -> list[str]:
    from bot.place import find

    with contextlib.suppress(MuxError, OSError, SystemExit):
        arguments = parser_of(command_named(words[0])).parse_args(words[1:])
        folder = find(arguments.board).folder
        return [str(folder / "mux.log")] if folder.is_dir() else []
    return []


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


if __name__ == "__main__":
    sys.exit(main())
