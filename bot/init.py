"""`mux init`: a starter board here, kept out of git, and trusted."""

from __future__ import annotations

import argparse
from pathlib import Path

from board.errors import MuxError
from board.storage import create_exclusive, one_line_errors
from bot.place import NAME, place_of, short
from runners import trust

STARTER = """\
---
repo: .              # the git repository to work in, relative to this file
agent: shell         # or claude, codex, gemini, opencode, aider
max_workers: 4       # at most so many workers at once
---

# Board

A task is a heading `## id: Title`, a yaml block, and a prompt for its worker. Save the file with `status: ready`
and `mux up` starts it, on a branch and in a worktree of its own. Text like this is yours; mux leaves it alone.

## hello: Look around

```yaml
status: draft        # change this to ready, and save
# agent: claude      # this task only; the prompt below is then what the agent is told
# after: [other-id]  # wait until those tasks are done
```

The shell agent runs this block, in the task's worktree:

```sh
echo "This is $MUX_TASK, attempt $MUX_ATTEMPT, in $PWD"
git log --oneline -5
```
"""


def run(arguments: argparse.Namespace) -> int:
    named = Path(arguments.board) if arguments.board else Path(NAME)
    place = place_of(named / NAME if named.is_dir() else named)
    made = create_exclusive(place.path, STARTER.encode(), mode=0o644)
    repository = _repository(place.path.parent)
    ignored = repository is not None and ignore(place.path)
    name = short(place.path)
    kept_out = f"; {short(place.path.parent / '.gitignore')} keeps it out of git now" if ignored else ""
    if not made:
        raise MuxError(f"{name} is there already, and was not touched{kept_out}; next: mux check, then mux up")
    trust.trust(place.path)
    print(f"wrote {name}{kept_out}")
    if repository is None:
        print(f"{place.path.parent} is in no git repository: `git init`, commit, and `mux init` once more to keep")
        print(f"{name} out of git; or set `repo:` in {name}")
    print(f"next: in {name}, write `status: ready` at the task hello, and save")
    print("then: mux up")
    return 0


def ignore(board: Path) -> bool:
    """Keep the board and what mux puts beside it out of git. False when the `.gitignore` there says so already."""
    name = board.name
    wanted = [f"/{name}", f"/{name}.lock", f"/.{name}.mux.*", f"/{board.stem}.archive.md", "/.mux/"]
    path = board.parent / ".gitignore"
    with one_line_errors("write", path):
        text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
        present = {line.strip() for line in text.splitlines()}
        missing = [line for line in wanted if line not in present and line.removeprefix("/") not in present]
        if missing:
            gap = "\n" if text and not text.endswith("\n") else ""
            with path.open("a", encoding="utf-8") as file:
                file.write(gap + "".join(f"{line}\n" for line in missing))
    return bool(missing)


def _repository(folder: Path) -> Path | None:
    """The top of the checkout that the folder lies in; a worktree has a `.git` that is a file."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
