"""Where on a machine something is, and whose machine it is: paths, users, hosts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from board.redact_text import HOST, PATH, USER, Span, words_of
from board.redact_triggers import Rule

#: Names that say nothing about a person or a machine.
_COMMON = frozenset(
    words_of("""
    root admin user users guest ubuntu debian fedora node runner git build builder dev developer app www test ci
    jenkins docker vagrant worker agent main home shell mux localhost localhost.localdomain local host server desktop
    laptop linux mac
""")
)
_LEAST_NAME = 3

_REST = r"[^\s\"'`<>|;,:()\[\]{}*?&]{0,1024}+"
#: Where a path may begin: not within another one, a URL or a word. In `-I/home/…` and `file:///home/…` it does, too.
_BEGIN = r"(?:(?<![\w.~/\\%})\]-])|(?<=[\s]-[A-Za-z])|(?<=file://))"
_REST_OF_PATH = re.compile(_REST)
#: First components under which machines keep what is somebody's. `/usr`, `/etc`, `/dev` and the routes of a web service
#: stay readable.
_FOLDERS = (
    *(
        "home",
        "users",
        "export",
        "srv",
        "mnt",
        "media",
        "tmp",
        "opt",
        "private",
        "volumes",
        "scratch",
        "nfs",
        "net",
        "afs",
    ),
    *(
        "workspace",
        "workspaces",
        "builds",
        "jenkins",
        "data",
        "work",
        "storage",
        "var",
        "usr/home",
        "usr/local/home",
        "root",
    ),
    *("run/media", "run/user", "cygdrive"),
)
_PUBLIC = re.compile(r"/(?:var/(?:log|run|cache)(?:/[\w.-]+)?/?(?![\w./-])|opt/homebrew/bin/)")
_PERSONAL = ("home", "users", "root", "export", "srv", "mnt", "media", "private", "volumes", "workspace")

_ABSOLUTE = re.compile(rf"{_BEGIN}/[^\s/\"'`]+/(?=[^\s/\"'`|<>;,)]){_REST}")
_ROOT_ALONE = re.compile(rf"{_BEGIN}/root(?![\w/-])")
_ENCODED = re.compile(r"(?:%2[Ff]|\\/)[\w.%\\/~+@-]{1,1024}+")
_DASHED = re.compile(r"(?<![\w-])-\w[\w.-]{2,256}+")
_DRIVE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]:(?:\\\\?|/)(?:[\w .~$()@+-]{1,64}+(?:\\\\?|/)){0,32}+[\w.~$@+-]{0,128}+")
_SHARE = re.compile(r"(?<![\w\\])\\{2,4}[\w.$-]{2,64}+\\{1,2}[\w.$-]{1,64}+(?:\\{1,2}[\w.$-]{1,64}+){0,32}+")
_FOREIGN = re.compile(rf"[¥₩\\](?:users|home)[¥₩\\]{_REST}", re.IGNORECASE)
_VARIABLE = re.compile(
    rf"(?:\$\{{?(?:env:)?(?:HOME|USERPROFILE|TMPDIR)\}}?|%(?:USERPROFILE|HOMEPATH|APPDATA|LOCALAPPDATA)%)[\\/]{_REST}",
    re.IGNORECASE,
)
_TILDE = re.compile(rf"(?<![\w.~/])~[a-z_][\w-]{{0,31}}+/{_REST}")
_UPWARDS = re.compile(r"\.\./(?:[\w.-]{1,64}/){0,8}[\w.-]{0,64}\Z")
_REMOTE_USER = re.compile(r"(?<![\w.@/:+-])(?!git\Z)[\w.+-]{1,64}\Z")
_REMOTE = re.compile(rf"@[\w.-]{{1,128}}+:(?!//)(?=[~/.]|\w{{1,64}}/){_REST}")


def _matching(pattern: re.Pattern[str], back: int = 0) -> Rule:
    """The pattern, from `back` characters before the literal."""

    def rule(text: str, start: int, end: int) -> Span | None:
        del end
        match = pattern.match(text, start - back) if start >= back else None
        return Span(match.start(), match.end(), PATH) if match and not _PUBLIC.match(match[0]) else None

    return rule


def _remote(text: str, start: int, end: int) -> Span | None:
    """`ana@host:/srv/x`, as for scp."""
    del end
    user, rest = _REMOTE_USER.search(text, max(start - 65, 0), start), _REMOTE.match(text, start)
    return Span(user.start(), rest.end(), PATH) if user and rest else None


def _beside(text: str, start: int, end: int) -> Span | None:
    """`../shop.worktrees/…`: the folders beside a repository tell whose it is."""
    before, rest = _UPWARDS.search(text, max(start - 256, 0), start), _REST_OF_PATH.match(text, end)
    return Span(before.start(), rest.end(), PATH) if before and rest else None


def _rules() -> dict[str, list[Rule]]:
    table: dict[str, list[Rule]] = {f"/{folder}/": [_matching(_ABSOLUTE)] for folder in _FOLDERS}
    table["/root"] = [_matching(_ROOT_ALONE)]
    for folder in _PERSONAL:
        table[f"%2f{folder}%2f"] = [_matching(_ENCODED)]
        table[f"\\/{folder}\\/"] = [_matching(_ENCODED)]
        table[f"-{folder}-"] = [_matching(_DASHED)]
    for sign in "¥₩\\":
        table |= {f"{sign}users{sign}": [_matching(_FOREIGN)], f"{sign}home{sign}": [_matching(_FOREIGN)]}
    for name in (
        "$home",
        "${home",
        "$userprofile",
        "$env:",
        "${env:",
        "$tmpdir",
        "%userprofile%",
        "%homepath%",
        "%appdata%",
    ):
        table[name] = [_matching(_VARIABLE)]
    table |= {":\\": [_matching(_DRIVE, back=1)], ":/users/": [_matching(_DRIVE, back=1)], "\\\\": [_matching(_SHARE)]}
    return table | {
        "%localappdata%": [_matching(_VARIABLE)],
        "~": [_matching(_TILDE)],
        "@": [_remote],
        "worktree": [_beside],
    }


RULES = _rules()


class OwnSpan(Span):
    """A path that is known here: what a general rule says about it does not count."""


class Places:
    """Rules for the paths, the user and the host that are known. Roots and homes are absolute paths."""

    def __init__(self, homes: Iterable[str], roots: Iterable[str], user: str, host: str) -> None:
        # A worktree or repository is known by its folder's name, what lies in it by its way from there.
        own = [(root, root.rpartition("/")[2], "") for root in sorted(_absolute(roots), key=len, reverse=True)]
        own += [(home, "~", "~/") for home in sorted(_absolute(homes), key=len, reverse=True)]
        self.rules: dict[str, list[Rule]] = {}
        for path, shown, before in own:
            for form in _forms(path):
                self.rules.setdefault(form.lower(), []).append(_own_path(form, shown, before))
        for name, marker in ((user, USER), (host, HOST), (host.partition(".")[0], HOST)):
            if len(name) >= _LEAST_NAME and name.lower() not in _COMMON and not name.isdecimal():
                self.rules.setdefault(name.lower(), []).append(_own_name(marker))


def _absolute(paths: Iterable[str]) -> set[str]:
    """Without those under which everything lies."""
    bare = {path.rstrip("/") for path in paths}
    return {path for path in bare if (path.startswith("/") and path.count("/") > 1) or path == "/root"}


def _forms(path: str) -> set[str]:
    """The path as it is written, in a URL, in JSON, and as agents make a folder's name of it."""
    return {path, quote(path), quote(path, safe=""), path.replace("/", "\\/"), re.sub(r"[^A-Za-z0-9]", "-", path)}


_BELOW = re.compile(r"/|%2[Ff]|\\/")
_BELOW_DASHED = re.compile("-")
_GOES_ON = re.compile(r"[\w.-]*\w")
_PART_OF_MORE = re.compile(r"[\w.~-]\Z")


def _own_path(form: str, shown: str, before: str) -> Rule:
    def rule(text: str, start: int, end: int) -> Span | None:
        if text[start:end].replace("%2f", "%2F") != form or _PART_OF_MORE.match(text, start - 1 if start else 0, start):
            return None
        below = (_BELOW_DASHED if form[0] == "-" else _BELOW).match(text, end)
        if not below:
            return None if _GOES_ON.match(text, end) else OwnSpan(start, end, shown)
        return OwnSpan(start, below.end(), before and shown + below[0])

    return rule


def _own_name(marker: str) -> Rule:
    def rule(text: str, start: int, end: int) -> Span | None:
        inside = text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()
        return None if inside else Span(start, end, marker)

    return rule
