"""`mux completion`: scripts for bash, zsh and fish that ask `mux __complete` for words; it must answer at once."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from itertools import pairwise

from board.errors import MuxError
from bot.commands import COMMANDS, WORKER_WORDS, parser_of
from bot.place import Place, find

BASH = """\
_mux() {
    local IFS=$'\\n'
    local found="$(mux __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)"
    COMPREPLY=($(compgen -W "$found" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _mux mux
"""

ZSH = """\
#compdef mux
_mux() {
    local -a found
    found=("${(@f)$(mux __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    if (( $#found )); then compadd -a found; else _files; fi
}
if [[ $funcstack[1] == _mux ]]; then _mux "$@"; else compdef _mux mux; fi
"""

FISH = """\
complete -c mux -f -a '(mux __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
complete -c mux -F -n '__fish_seen_subcommand_from up check'
complete -c mux -s b -l board -r -F
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
_HEADING = re.compile(r"^## ([a-z0-9][a-z0-9-]{0,47}):", re.MULTILINE)


def run(arguments: argparse.Namespace) -> int:
    print(SCRIPTS[arguments.shell], end="")
    return 0


def complete(arguments: argparse.Namespace) -> int:
    """Words for the place where the cursor is; the last of `words` is what is typed of it so far."""
    *before, typed = arguments.words or [""]
    for word in candidates(before, typed):
        print(word)
    return 0


def candidates(before: list[str], typed: str) -> Iterable[str]:
    if not before:
        return [command.name for command in (*COMMANDS, *WORKER_WORDS)]
    command = next((command for command in (*COMMANDS, *WORKER_WORDS) if command.name == before[0]), None)
    if command is None or before[-1] in ("-b", "--board"):
        return []  # the shell offers files
    actions = parser_of(command)._actions
    if typed.startswith("-"):
        return [option for action in actions for option in action.option_strings if option.startswith("--")]
    words = [str(choice) for action in actions if not action.option_strings for choice in action.choices or ()]
    takes = {action.dest for action in actions if not action.option_strings}
    return [*words, *(_tasks(before) if "task" in takes else []), *(_requests(before) if "id" in takes else [])]


def _tasks(before: list[str]) -> list[str]:
    """Ids as a quick look finds them: the headings, without asking whether each is one."""
    try:
        return _HEADING.findall(_place(before).path.read_text(encoding="utf-8", errors="replace"))
    except (MuxError, OSError):
        return []


def _requests(before: list[str]) -> list[str]:
    """The ids of those that wait for a person."""
    from runners.requests import Requests

    try:
        return [asked.request.id for asked in Requests(_place(before).folder).all() if asked.waits]
    except MuxError:
        return []


def _place(before: list[str]) -> Place:
    return find(next((value for flag, value in pairwise(before) if flag in ("-b", "--board")), None))
