from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.overlap import overlap


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/b.py", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/deep/a.py", False),
        ("src/**", "src/deep/a.py", True),
        ("src/", "src/deep/a.py", True),
        ("src", "src/a.py", True),
        ("**/a.py", "src/deep/a.py", True),
        ("**/a.py", "src/deep/b*", False),
        (".github", ".github/workflows/x.yml", True),
        ("src/v1.2", "src/v1.2/a", True),
        ("src/../src", "src/a", True),
        ("a.py", "a.py", True),
        ("a*", "*b", True),
        ("a*c", "ab*d", False),
        ("file?.txt", "file[0-9].txt", True),
        ("docs/*.md", "src/**", False),
        ("./src/a.py", "src/a.py", True),
        ("**", "anything/at/all", True),
    ],
)
def test_two_globs(first: str, second: str, meet: bool) -> None:
    assert overlap([first], [second]) is meet
    assert overlap([second], [first]) is meet


def test_no_globs_touch_nothing() -> None:
    assert not overlap([], ["**"])


@given(st.text("ab*?", min_size=1, max_size=5), st.text("ab*?", min_size=1, max_size=5), st.text("ab", max_size=6))
def test_a_name_matched_by_both_is_an_overlap(first: str, second: str, name: str) -> None:
    if name and fnmatch.fnmatchcase(name, first) and fnmatch.fnmatchcase(name, second) and "**" not in first + second:
        assert overlap([first], [second])
