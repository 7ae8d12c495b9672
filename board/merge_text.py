"""Three-way merge of one stretch of text, by lines. What cannot be decided keeps every version, between marked lines.

    <!-- mux conflict: keep what you want of these versions and delete the `mux conflict` lines. The board has: -->
    Reproduce it in a test first.
    <!-- mux conflict: a save has: -->
    Reproduce it by hand first.
    <!-- mux conflict: end -->

The marks are HTML comments: no heading, no YAML, invisible where Markdown is shown. Markers never nest: a further
version joins the ones that are there, and a whole marked stretch counts as one line of the merge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

FIRST = (
    "<!-- mux conflict: keep what you want of these versions and delete the `mux conflict` lines. The board has: -->"
)
NEXT = "<!-- mux conflict: a save has: -->"
LAST = "<!-- mux conflict: end -->"

#: A line that marks a conflict. A person may have indented it; while one is left, its task is not resolved.
CONFLICT_LINE = re.compile(r"(?m)^[ \t]*<!-- mux conflict: [^\r\n]*-->[ \t]*(?=[\r\n]|\Z)")

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_MARK = re.compile(rf"{CONFLICT_LINE.pattern}(?:\r\n|\r|\n)?")


def lines(text: str) -> list[str]:
    """The lines with their breaks: LF, CR LF or CR, and no other (unlike `str.splitlines`)."""
    return _LINE.findall(text)


def newline(text: str) -> str:
    """The line break that the text uses first; LF where it has none."""
    found = re.search(r"\r\n|\r|\n", text)
    return found[0] if found else "\n"


def merge_text(base: str | None, theirs: str, ours: str) -> tuple[str, bool]:
    """The merged text, and whether there is a conflict in it that `ours` did not have.

    With no base, each stretch in which the two differ is a conflict. Texts are given without their last line break.
    """
    if theirs == base:
        return ours, False
    if ours == base:
        return theirs, False
    if theirs in readings(ours) and not CONFLICT_LINE.search(base or ""):
        return ours, False  # saved before: one of the versions in conflict is this one
    ending = newline(ours if re.search(r"[\r\n]", ours) else theirs)
    mine, new = _units(ours, ending), _units(theirs, ending)
    old = None if base is None else _units(base, ending)
    merged = "".join(_merged(old, new, mine, ending)).removesuffix(ending)
    return merged, merged != ours and _count(merged) > max(_count(theirs), _count(ours))


def merge_whole(theirs: str, ours: str) -> str:
    """Both texts, one after the other: for where a merge by lines would tear a code fence or a comment apart."""
    ending = newline(ours)
    return _conflict(readings(ours + ending), readings(theirs + ending), [], ending).removesuffix(ending)


def merge_remarks(base: str, theirs: str, ours: str) -> str:
    """Merge lines of which all may stand together, such as comments in YAML: where both sides changed, both stay."""
    if theirs in (base, ours):
        return ours
    if ours == base:
        return theirs
    known = set(lines(theirs))
    return theirs + "".join(line for line in lines(ours) if line not in known)


def readings(text: str) -> list[str]:
    """The text as each version of its conflicts would have it; just the text when it has none."""
    if not CONFLICT_LINE.search(text):
        return [text]
    versions = [_versions(unit) for unit in _units(text, "")]
    count = max(map(len, versions), default=1)
    return ["".join(each[min(index, len(each) - 1)] for each in versions) for index in range(count)]


def _count(text: str) -> int:
    return len(CONFLICT_LINE.findall(text))


def _units(text: str, ending: str) -> list[str]:
    """Its lines, a whole marked stretch being one. `ending` closes the last line."""
    units: list[str] = []
    opened: int | None = None
    for line in lines(text + ending if text else ""):
        if line.strip() == FIRST:
            opened = len(units)
        units.append(line)
        if opened is not None and line.strip() == LAST:
            units[opened:] = ["".join(units[opened:])]
            opened = None
    return units


def _versions(unit: str) -> list[str]:
    if unit.lstrip().startswith(FIRST) and unit.rstrip().endswith(LAST):
        return _MARK.split(unit)[1:-1]
    return [_MARK.sub("", unit)]


def _merged(base: list[str] | None, theirs: list[str], ours: list[str], ending: str) -> Iterator[str]:
    for old, new, mine in _stretches(base, theirs, ours):
        if new is None or mine is None:
            yield "".join(new or mine or ())
        else:
            yield _conflict(_readings(mine), _readings(new), _readings(old), ending)


_Stretch = tuple[Sequence[str], Sequence[str] | None, Sequence[str] | None]


def _stretches(base: list[str] | None, theirs: list[str], ours: list[str]) -> Iterator[_Stretch]:
    """Base, theirs and ours of each stretch; a side is None where the other one is to be taken."""
    if base is None:
        for tag, first, last, start, end in SequenceMatcher(None, ours, theirs, False).get_opcodes():
            yield (), None if tag == "equal" else theirs[start:end], ours[first:last]
        return
    before = (0, 0, 0)
    for (start, mine, new), size in _in_common(base, ours, theirs):
        yield _stretch(base[before[0] : start], theirs[before[2] : new], ours[before[1] : mine])
        yield (), None, ours[mine : mine + size]
        before = (start + size, mine + size, new + size)


def _in_common(base: list[str], ours: list[str], theirs: list[str]) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Where a run of lines stands in base, ours and theirs, and how long it is; the ends of all three come last."""
    mine = SequenceMatcher(None, base, ours, False).get_matching_blocks()
    new = SequenceMatcher(None, base, theirs, False).get_matching_blocks()
    first = second = 0
    while first < len(mine) and second < len(new):
        one, other = mine[first], new[second]
        start, end = max(one.a, other.a), min(one.a + one.size, other.a + other.size)
        if start < end:
            yield (start, one.b + start - one.a, other.b + start - other.a), end - start
        if one.a + one.size < other.a + other.size:
            first += 1
        else:
            second += 1
    yield (len(base), len(ours), len(theirs)), 0


def _stretch(base: list[str], theirs: list[str], ours: list[str]) -> _Stretch:
    """One stretch between runs that all three share, in which a side that is as the base gives way to the other."""
    if ours in (base, theirs):
        return (), theirs, None
    return (base, None, ours) if theirs == base else (base, theirs, ours)


def _readings(units: Sequence[str]) -> list[str]:
    return readings("".join(units))


def _conflict(ours: list[str], theirs: list[str], base: list[str], ending: str) -> str:
    """The versions between marks. One that was in conflict before, and that a side has removed, does not come back."""
    versions = dict.fromkeys(_news(ours, base) + _news(theirs, base))
    if len(versions) == 1:
        return next(iter(versions))
    marks = [FIRST, *[NEXT] * (len(versions) - 1)]
    marked = (f"{mark}{ending}{version}" for mark, version in zip(marks, versions, strict=True))
    return f"{''.join(marked)}{LAST}{ending}"


def _news(side: list[str], base: list[str]) -> list[str]:
    if len(side) == 1:
        return side
    return [version for version in side if version not in base] or side
