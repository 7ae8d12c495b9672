"""The board as the runners read it: what `board.parse` says, and whether its agent profiles can work."""

from __future__ import annotations

from dataclasses import replace

from board.model import Board
from board.parse import parse
from runners import agents


def read_board(text: str, previous: Board | None = None, name: str = "board.md") -> Board:
    """Parse a board. Raises BoardUnreadable; everything else that is wrong is among its problems."""
    board = parse(text, agents.BUILT_IN, previous, name)
    found = agents.problems(board.settings.agents, board.key_line("agents")) if board.settings.agents else ()
    if not found:
        return board
    return replace(board, problems=tuple(sorted((*board.problems, *found), key=lambda problem: problem.line)))
