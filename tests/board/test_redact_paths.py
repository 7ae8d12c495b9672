from __future__ import annotations

import pytest

from board.redact import Redactor

ROOT = "/home/ana/shop.worktrees/shop/fix-login"
OURS = Redactor({}, ["/home/ana"], [ROOT, "/srv/shop"], "ana", "build-07.corp.example")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{ROOT}/src/cart.py:12", "src/cart.py:12"),
        (f"cd {ROOT} && ls", "cd fix-login && ls"),
        (f"cd {ROOT}; ls", "cd fix-login; ls"),
        (f"{ROOT}-2/x", "~/shop.worktrees/shop/fix-login-2/x"),
        ("/home/ana", "~"),
        ("/home/ana/notes.md", "~/notes.md"),
        ("/home/anabel/notes.md", "[path]"),
        ("file:///home/ana/notes.md", "file://~/notes.md"),
        ("%2Fhome%2Fana%2Fnotes", "~%2Fnotes"),
        ("%2fhome%2fana%2fnotes", "~%2fnotes"),
        ("in -home-ana-shop of the agent", "in ~-shop of the agent"),
        ("/srv/shop/app.log", "app.log"),
        ("backup/srv/shop/app.log", "backup/srv/shop/app.log"),
        ("ana wrote, Ana read, anabel did not", "[user] wrote, [user] read, anabel did not"),
        ("on build-07.corp.example and BUILD-07, not build-071", "on [host] and [host], not build-071"),
    ],
)
def test_what_is_known_is_shown_as_what_it_is_here(text: str, shown: str) -> None:
    assert OURS.redact(text) == shown


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/home/bob/x",
            "/Users/bob/Library/x",
            "/root/.ssh/config",
            "/export/home/bob/x",
            "/srv/ci/out.log",
            "/tmp/x-1/y",
        ),
        *(
            "/mnt/c/Users/bob/x",
            "/run/media/bob/disk/x",
            "/run/user/1000/x",
            "/cygdrive/c/Users/bob/x",
            "/private/var/folders/ab/x",
            "/Volumes/Work/x",
            "/opt/corp/bin/tool",
            "/var/lib/jenkins/x",
        ),
        *(
            r"C:\Users\bob\x.txt",
            "C:/Users/bob/x",
            r"C:\\Users\\bob\\x",
            r"\\files\home$\bob\x",
            "~bob/x",
            "$HOME/.config/x",
        ),
        *(
            "${HOME}/x",
            r"%USERPROFILE%\x",
            "%2Fhome%2Fbob%2Fx",
            r"\/home\/bob\/x",
            "-home-bob-src-shop",
            "bob@host.lan:/srv/x",
        ),
        *("../shop.worktrees/shop/fix", "../../bob-worktrees/fix", "/home/bob%20smith/x", "¥Users¥bob"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "at {} now", '"{}"', "cwd={}", "({})"])
def test_other_local_paths_are_cut(path: str, around: str) -> None:
    out = Redactor().redact(around.format(path))
    assert out == around.format("[path]")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "/usr/bin/env",
            "/etc/hosts",
            "/dev/null",
            "/var/log/syslog",
            "src/home/page.tsx",
            "https://example.com/home/start",
        ),
        *(
            "GET /cart/items 200",
            "a/b/c",
            "../src/x.py",
            "~/notes.md",
            "and/or",
            "x@y.org",
            "git@host:ana/shop.git",
            "1~2",
            "\\d+",
        ),
    ],
)
def test_what_is_no_place_of_a_person_stays(text: str) -> None:
    assert Redactor().redact(text) == text


@pytest.mark.parametrize("name", ["root", "ci", "runner", "ubuntu", "al", "1000", ""])
def test_names_that_everybody_has_are_no_names(name: str) -> None:
    text = f"x {name} y localhost"
    assert Redactor({}, [], [], name, "localhost").redact(text) == text


@pytest.mark.parametrize("root", ["/", "", "relative/path", "/tmp"])
def test_a_root_above_everything_is_no_root(root: str) -> None:
    assert Redactor({}, [root], [root]).redact("/usr/bin/x relative/path") == "/usr/bin/x relative/path"
