"""`mux check`: what a person should mend on the board, each with its line. Exit 1 for anything that stops work."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import asdict

from board.errors import BoardUnreadable, MuxError
from board.model import Board, Problem
from board.storage import one_line_errors
from bot import boards, terminal
from bot.place import Place, find, short
from bot.status import NO_TASK
from bot.table import clean, paint


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    problems, tasks = look(place)
    errors = sum(problem.severity == "error" for problem in problems)
    if arguments.json:
        reply = {"path": str(place.path), "ok": not errors, "problems": [asdict(problem) for problem in problems]}
        print(json.dumps(reply, ensure_ascii=False, indent=1))
        return 1 if errors else 0
    for line in lines(problems, short(place.path), terminal.colourful()):
        print(line)
    counted = f"{tasks} task{'s' if tasks != 1 else ''}, {errors or 'no'} problem{'s' if errors != 1 else ''}"
    warnings = len(problems) - errors
    print(
        f"{short(place.path)}: {counted}" + (f", {warnings} warning{'s' if warnings != 1 else ''}" if warnings else "")
    )
    if not tasks and not problems:
        print(NO_TASK)
    return 1 if errors else 0


def look(place: Place) -> tuple[list[Problem], int]:
    """All problems by line, and how many tasks there are. Raises MuxError when there is no file to look at."""
    try:
        board = boards.load(place)
    except BoardUnreadable as error:
        return [_unreadable(str(error), place)], 0
    found = [*board.problems, *_profiles(board), *_repository(board, place)]
    return sorted(found, key=lambda problem: problem.line), len(board.tasks)


def lines(problems: list[Problem], name: str, colour: bool) -> Iterator[str]:
    for problem in problems:
        warning = problem.severity == "warning"
        text = clean(f"{name}:{problem.line}: {'warning: ' if warning else ''}{problem.text}")
        yield paint(text, "33" if warning else "31") if colour else text


def _unreadable(text: str, place: Place) -> Problem:
    """The message says `board.md:3: …`, or only `board.md: …` when it is about the whole file."""
    match = re.match(rf"{re.escape(place.path.name)}:(\d+): ", text)
    return Problem(int(match[1]), text[match.end() :]) if match else Problem(1, text)


def _profiles(board: Board) -> tuple[Problem, ...]:
    from runners import agents

    return agents.problems(board.settings.agents, board.key_line("agents"))


def _repository(board: Board, place: Place) -> Iterator[Problem]:
    """What only git can say: the repository, the branches that work starts from, and whether git has the board."""
    from runners import git, names

    with one_line_errors("look at", place.path):
        folder = names.repository_of(place.path, board.settings)
        try:
            repository = git.open_repository(folder)
            tracked = git.is_tracked(place.path)
        except MuxError as error:
            yield Problem(board.key_line("repo"), str(error))
            return
    bases = {board.settings.defaults.base: board.key_line("base")}
    bases |= {task.settings.base: task.line for task in board.tasks if task.settings.base not in bases}
    for base, line in bases.items():
        if base is not None and git.resolve(repository.root, base) is None:
            yield Problem(line, f"no branch '{base}' in {repository.root}: set `base:` to one that is there")
    if tracked:
        command = f"git rm --cached {place.path.name}"
        yield Problem(1, f"git tracks the board, and should not: {command}, then mux init", None, "warning")
