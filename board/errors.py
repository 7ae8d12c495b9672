"""Errors a person can cause, and what the process exits with.

    MuxError                  exit 1; the base: one line that says what, where and what to do
    ├── UsageError            exit 2; the command's words are off
    ├── BoardMissing          there is no readable board file at the path (missing, a folder, not allowed)
    ├── BoardUnreadable       the file is there but cannot be a board (too large, binary, front matter broken)
    ├── BoardBusy             a writer has the file open; read again in a moment
    ├── BoardChanged          the file is not the version the caller read; nothing was written
    ├── Damaged               a record of mux's own holds what mux never writes
    ├── LockHeld              somebody else holds the lock; says who
    └── CommandFailed         an external program failed or took too long (raised by `runners.sh`)

Anything else that reaches the top is a bug: exit 3, with where its log is.
"""


class MuxError(Exception):
    """One line for a person: what, where, and what to do.

    `told`: the same for whoever is not at this machine, without other programs' words and without names of files.
    """

    exit_code = 1

    def __init__(self, text: str = "", told: str | None = None) -> None:
        super().__init__(text)
        self.told = text if told is None else told


class UsageError(MuxError):
    exit_code = 2


class BoardMissing(MuxError):
    pass


class BoardUnreadable(MuxError):
    pass


class BoardBusy(MuxError):
    pass


class BoardChanged(MuxError):
    pass


class Damaged(MuxError):
    pass


class LockHeld(MuxError):
    pass


class CommandFailed(MuxError):
    pass
