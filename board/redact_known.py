"""Values that are known to be secret: which ones, and where they are in a text, however encoded or broken. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from board.redact_opaque import is_opaque
from board.redact_text import REDACTED, Span, normalise

#: From this length on a value is found anywhere and in every encoding.
LEAST = 8
#: From this length on a value is found as a whole word, as it is written. What is shorter is never registered: it would
#: blacken half of every text and hide nothing that could not be guessed.
LEAST_WORD = 4

_LEAST_DIFFERENT = 4  # characters in a value: `00000000` is a default, and everywhere

_SECRET_NAME = re.compile(
    r"(?<!COM)(?<!BY)PASS(?!ENV|IVE|ED(?![A-Z])|THR|ES)|PWD|PW(?![A-Z])|SECRET|TOKEN|CREDENTIAL|(?<![A-Z])(?:CREDS?(?![A-Z])|LOGIN(?![A-Z_]))|API_?KEY|ACCESS_?KEY|PRIVATE|SIGNING|ENCRYPT|SALT|COOKIE|SESSION|BEARER"
    r"|(?<![A-Z])(?:AUTH|KEY|KEYS|PAT|JWT|DSN|SID|OTP|PIN|CERT)(?![A-Z])|WEBHOOK|CONN(?:ECTION)?_?STR|DATABASE_URL|REDIS_URL"
    r"|(?:CLIENT|ACCOUNT|TENANT|APP|PROJECT)_?ID(?![A-Z])"
)
#: Names whose value everybody may see, whatever else is in the name.
_PUBLIC_NAME = re.compile(
    r"(?:PATH|HOME|LANG|LANGUAGE|PWD|OLDPWD|TERM|TERMINFO|SHELL|SHLVL|USER|LOGNAME|HOSTNAME|EDITOR|VISUAL|PAGER|DISPLAY|TZ|TMPDIR)"
    r"|LC_\w+|XDG_\w+|TMUX\w*|TERM_\w+|COLORTERM|SSH_AUTH_SOCK|SSH_AGENT_PID|GPG_AGENT_INFO|DBUS_SESSION_BUS_ADDRESS"
    r"|(?:DESKTOP|GDM)_?SESSION|SESSION_MANAGER|GIT_ASKPASS|SSH_ASKPASS|\w*_(?:FILE|PATH|DIR|SOCK|TTL|TIMEOUT|EXPIRY|LENGTH|ALGORITHM)"
)
_ORDINARY_VALUE = re.compile(
    r"[\W\d_]{0,7}"  # 1, 8080, 10.5, --
    r"|(?:true|false|yes|no|on|off|none|null|nil|undefined|auto|default|enabled|disabled|always|never|required|optional)"
    r"|(?:main|master|head|dev|develop|development|test|testing|tests|stage|staging|prod|production|local|localhost|ci|demo)"
    r"|(?:debug|info|warn|warning|error|critical|trace|verbose|quiet|utf-?8|c\.utf-?8|en_us(?:\.utf-?8)?|posix)"
    r"|(?:root|admin|user|users|guest|public|private|postgres|mysql|redis|example|sample|string|secret|token|key|password|changeme)"
    r"|(?:bearer|basic|oauth2?|jwt|hs256|rs256|sha256|sha512|gnome|plasma|ubuntu|x11|wayland|xterm(?:-256color)?)"
    r"|(?:/|\./|\.\./|~/)[\w./@+-]*"  # where a file is
    r"|https?://[\w.-]+(?::\d+)?/?"  # where a server is
    r"|[\w.-]+:\d{1,5}|\d{1,3}(?:\.\d{1,3}){3}"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?",
    re.IGNORECASE,
)
#: Of those values what is a secret all the same under a name that tells: a path of one word, a host without a dot.
_ORDINARY_ELSEWHERE = re.compile(r"/[\w@+-]{8,}|(?!localhost:)(?=[^:]*[A-Za-z])[\w-]+:\d{1,5}")
_ADDRESS_NAME = re.compile(r"UR[IL](?![A-Z])|HOST|ADDR|DSN|CONN|SERVER|ENDPOINT|WEBHOOK")
_CREDENTIALS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s:@/]*:([^\s/]+)@", re.IGNORECASE)
_PREFIXED = re.compile(
    r"(?:sk-|[sr]k_(?:live|test)_|gh[opsur]_|github_pat_|gl[a-z]{2,5}-|xox[a-z]-|xapp-|AKIA|ASIA|AIza|hf_|npm_|pypi-|SG\.|eyJ|dop_v1_)\S{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*"
)

#: A terminal or a program that shows text in a frame breaks a value with these, and with white space.
_FRAMES = "\x08│┃║╎╏┆┇┊┋▏▕"
_SOLID = re.compile(r"\S+")


def known_values(environment: Mapping[str, str], env_files: Mapping[str, str]) -> dict[str, str]:
    """What counts as secret, by name: of an environment, and of `.env` files given as name of the file to its text.

    A variable counts by its name (`…TOKEN`, `…PASSWORD`, `…_KEY`), or by the shape of its value (a vendor's key, a URL
    with a password in it, of which the password counts). In a file that was written to hold secrets, a value that looks
    like one counts under any name. Values that are everyday words, numbers, addresses or paths never count.
    """
    found: dict[str, str] = {}
    for name, value in environment.items():
        found |= _secrets_of(name, value, in_file=False)
    for file, text in env_files.items():
        for name, value in read_env(text).items():
            for secret, part in _secrets_of(name, value, in_file=True).items():
                found[f"{file}: {secret}"] = part
    return found


def read_env(text: str) -> dict[str, str]:
    """The variables of a `.env` file: `export`, quotes, values of several lines in quotes, comments."""
    found: dict[str, str] = {}
    for match in _ENV_LINE.finditer(text.removeprefix("\ufeff").replace("\r\n", "\n")):
        single, double, bare = match["single"], match["double"], match["bare"]
        if double is not None:
            found[match["name"]] = _ESCAPED.sub(lambda each: "\n" if each[1] == "n" else each[1], double)
        else:
            found[match["name"]] = single if single is not None else bare.strip()
    return found


_ENV_LINE = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*[=:][ \t]*"
    r"(?:'(?P<single>[^']*)'|\"(?P<double>(?:[^\"\\]|\\.)*+)\"|(?P<bare>(?:(?![ \t]#)[^\n])*))",
    re.MULTILINE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _secrets_of(name: str, value: str, in_file: bool) -> dict[str, str]:
    plain = value.strip()
    if _PUBLIC_NAME.fullmatch(name.upper()) or len(set(plain)) < _LEAST_DIFFERENT:
        return {}
    told = _underscored(name)
    tells = _SECRET_NAME.search(told)
    hidden = tells and not _ADDRESS_NAME.search(told) and _ORDINARY_ELSEWHERE.fullmatch(plain)
    if _ORDINARY_VALUE.fullmatch(plain) and not hidden and not is_opaque(plain):  # a key may begin with `/`
        return {}
    found = {
        f"{name} (password)": match[1] for match in [_CREDENTIALS.match(plain)] if match and len(match[1]) >= LEAST_WORD
    }
    if tells or _PREFIXED.match(plain):
        return found | {name: plain}
    if in_file and _looks_made(plain):
        return found | {name: plain}
    return found


def _underscored(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _looks_made(value: str) -> bool:
    return is_opaque(value) or (
        len(value) >= 12 and " " not in value and bool(re.search(r"\d.*[A-Za-z]|[A-Za-z].*\d", value))
    )


class Known:
    """Finds the registered values in a text. Takes names to values; only the names can be asked back."""

    def __init__(self, values: Mapping[str, str]) -> None:
        patterns: set[str] = set()
        words: set[str] = set()
        names: set[str] = set()
        for name, value in values.items():
            whole = normalise(value).strip()
            if len(set(whole)) < _LEAST_DIFFERENT:
                continue
            for part in {whole, *_lines_of(whole)}:
                if len(_squeezed(part)) >= LEAST:
                    patterns |= {_squeezed(form) for form in encodings(part)}
                    names.add(name)
                elif len(part) >= LEAST_WORD and part == whole and not _ORDINARY_VALUE.fullmatch(part):
                    words.add(part)
                    names.add(name)
        self.names = tuple(sorted(names))
        self._automaton = _automaton({pattern for pattern in patterns if len(pattern) >= LEAST})
        short = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
        self._words = re.compile(rf"(?<![A-Za-z0-9]){'(?:' + short + ')'}(?![A-Za-z0-9])") if words else None

    def spans(self, text: str) -> Iterator[Span]:
        if self._words:
            yield from (Span(match.start(), match.end(), REDACTED) for match in self._words.finditer(text))
        if self._automaton is None:
            return
        yield from self._broken(_unframed(text))
        if "\\\n" in text:  # a shell's way to go on on the next line, or a line break within an encoded value
            yield from self._broken(_unframed(text.replace("\\\n", "  ")))

    def _broken(self, text: str) -> Iterator[Span]:
        """Where values are, whatever white space is in them."""
        found = [(end - len(pattern) + 1, end) for end, pattern in self._automaton.iter("".join(text.split()))]
        if found:
            where = _Unsqueezed(text)
            for first, last in _merged(found):
                yield from where.pieces(first, last)


def encodings(value: str) -> set[str]:
    """The value as it is, and URL-, base64-, hex-, JSON- and HTML-encoded."""
    data = value.encode("utf-8", "surrogatepass")
    forms = {value, data.hex(), data.hex().upper(), html.escape(value), html.escape(value, quote=False)}
    for text in (
        quote(value, safe="", errors="replace"),
        quote(value, errors="replace"),
        quote_plus(value, errors="replace"),
    ):
        forms |= {text, _LOWER_HEX.sub(lambda match: match[0].lower(), text)}
    for alignment in range(3):
        plain = _inner_base64(data, alignment)
        forms |= {plain, plain.replace("+", "-").replace("/", "_")}
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        forms |= {once, once.replace("/", "\\/"), json.dumps(once, ensure_ascii=ascii_only)[1:-1]}
    return forms


_LOWER_HEX = re.compile(r"%[0-9A-F]{2}")


def _inner_base64(data: bytes, alignment: int) -> str:
    """What base64 makes of the bytes at that place in a longer text: without the characters that neighbours share."""
    text = base64.b64encode(b"\0" * alignment + data).decode("ascii")
    first = (alignment * 8 + 5) // 6
    return text[first : (alignment + len(data)) * 8 // 6]


def _lines_of(value: str) -> Iterator[str]:
    """The lines of a value that say enough by themselves: not `{`, not the frame of a key file."""
    if "\n" in value:
        for line in value.split("\n"):
            bare = line.strip().strip(",")
            if len(bare) >= LEAST and len(set(bare)) > 4 and not _TRIVIAL_LINE.fullmatch(bare):
                yield bare


_TRIVIAL_LINE = re.compile(
    r"-----(?:BEGIN|END) [A-Z0-9 ]+-----|[\W\d_]+|[A-Za-z_\" ]+\W*|\"(?:type|auth_uri|token_uri|universe_domain)\".*"
)


def _automaton(patterns: Iterable[str]) -> Any:
    import ahocorasick  # type: ignore[import-not-found]

    automaton = ahocorasick.Automaton()
    for pattern in patterns:
        automaton.add_word(pattern, pattern)
    if not len(automaton):
        return None
    automaton.make_automaton()
    return automaton


def _squeezed(text: str) -> str:
    return "".join(_unframed(text).split())


def _unframed(text: str) -> str:
    """As long as before, with white space for the frame that a line break may bring along."""
    if not text.isascii() or "\x08" in text:
        for frame in _FRAMES:
            text = text.replace(frame, " ")
    return text


def _merged(found: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    first, last = -1, -2
    for start, end in sorted(found):
        if start > last:
            if first >= 0:
                yield first, last
            first = start
        last = max(last, end)
    yield first, last


class _Unsqueezed:
    """Where in the text the characters of its squeezed form are."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] = []  # of each solid piece, in the squeezed form
        self._pieces: list[tuple[int, int]] = []  # the same, in the text
        at = 0
        for match in _SOLID.finditer(text):
            self._starts.append(at)
            self._pieces.append(match.span())
            at += match.end() - match.start()

    def pieces(self, first: int, last: int) -> Iterator[Span]:
        """The characters `first` to `last`, both included, as a span for each line that they are on."""
        index = bisect_right(self._starts, first) - 1
        here = 0, 0
        while index < len(self._starts) and self._starts[index] <= last:
            (begin, end), offset = self._pieces[index], self._starts[index]
            piece = begin + max(first - offset, 0), min(begin + last - offset + 1, end)
            if here[1] and "\n" not in self._text[here[1] : piece[0]]:
                piece = here[0], piece[1]
            elif here[1]:
                yield Span(*here, REDACTED)
            here = piece
            index += 1
        yield Span(*here, REDACTED)
