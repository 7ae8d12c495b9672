"""The value that follows a name, and whether it is a secret or code, a placeholder or a plain word. Pure."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple

from board.redact_opaque import score
from board.redact_text import MARKER

LONGEST = 512  # characters of one value


class Sureness(IntEnum):
    """How much a name says about its value."""

    MAYBE = 1  # `key`: of a map, a cache, a door
    LIKELY = 2  # `token`: a value that could be one is one
    SURE = 3  # `password`: every value is one, be it a plain word


class Value(NamedTuple):
    """Where it is, without its quotes."""

    start: int
    end: int
    quoted: bool
    spoken: bool  # only a space or a word between name and value, as in `password is …`
    listed: bool  # a comma or a bracket between them: of a call, or of a list of names
    in_words: bool  # bare, and more words follow
    several: bool = False  # a list of values


_SEPARATOR = re.compile(
    r"(?:[\"'`\])]|\[\]){0,3}(?:"
    r"\s{0,16}:\s{0,4}[&\w\[\]|.?<> ]{1,32}?\s{0,16}=(?![=>])\s{0,16}"  # name: str = value
    r"|\s{1,4}(?:string|str|&str|char\*)\s{0,16}=\s{0,16}"  # var name string = value
    r"|[ \t]{0,24}(?::=|\?=|=>|={1,3}|!==?|->)[ \t]{0,16}"
    r"|[ \t]{0,24}:[ \t]{0,24}(?:\s{1,24}(?=[\"']))?"
    r"|(?<=[\"'])\s{0,4},\s{0,8}(?=[\"'])"  # set("name", "value")
    r"|(?<=[\"'])\s{1,8}(?:value|content)\s{0,4}=\s{0,4}"  # key="name" value="value"
    r"|(?<=[\"'])\s{0,8},\s{0,8}[\"']?value[\"']?\s{0,4}[:=]\s{0,4}"  # {"name": "name", "value": "value"}
    r"|\n\s{0,24}[\"']?value[\"']?\s{0,4}[:=]\s{0,8}"  # - name: NAME, next line value: value
    r"|\(\s{0,4}(?=@?[\"'])"  # set_name("value")
    r"|>(?=[^<\n]{1,256}</)"  # <name>value</name>
    r")",
    re.IGNORECASE,
)
_SPOKEN = re.compile(r"[ \t]{1,8}(?:(?:is|was|are|of|as|to|set to|now)[ \t]{1,4})?", re.IGNORECASE)
_PREFIXES = re.compile(r"(?:[rbuf]{1,2}(?=[\"'])|@(?=\"))", re.IGNORECASE)
_QUOTED = re.compile(r"(?P<quote>\\?[\"'`]|&quot;)(?P<value>(?:(?!(?P=quote))(?:\\[^\n]|[^\n])){0,512}+)")
_BARE = re.compile(r"(?:[^\s\"'`,;&|<>]|\|(?=\w)){1,512}+")
_BARE_TO_SPACE = re.compile(r"[^\s\"'`]{1,512}+")
_MORE_WORDS = re.compile(r"[ \t][a-z]+[ \t.,]")
_LINE = re.compile(r"(?:(?![ \t]#)[^\n\"'`]){1,512}+")
#: Several values: [a, b], or a line of YAML each.
_LIST = re.compile(r"\[(?=\s{0,8}[\"'])[^\]\n]{1,512}+\]|(?:\n[ \t]{0,24}-[ \t]+[^\n]{1,256}+){1,32}+")

_CODE = re.compile(
    r"[A-Za-z_$][\w$]*(?:(?:\.|::|->|\?\.)[A-Za-z_$][\w$]*)*[(\[{][\w\s.,()\[\]{}=*:+/-]*"  # call(…), table[…]
    r"|(?:[a-z_$][\w$]*(?:\.|::|->|\?\.))+[A-Za-z_$][\w$]*"  # settings.value
    r"|(?:await|new|not|lambda|return|function|async|typeof|void|const|let|var|if|or|and)\b.*",
)
_TEMPLATE = re.compile(
    r"\$[({].{0,512}|(?:\$[A-Za-z_][\w.>-]*+[:@/]?|\$\d[:@/]?){1,4}"  # of a shell, of most template languages
    r"|%\w{1,64}+%?|%\(.{0,64}|\{\{.{0,512}|\{[\w.:!]*\}?|[<\[(].{0,512}|@\w+@"
    r"|\\?[*x.#_-]{2,}\.?|X{3,}|\S{0,16}\.\.\.|…",
    re.IGNORECASE,
)
_TELLING = 160  # characters of a value, by which it is judged
#: Whose value in quotes is a secret even where it is a phrase.
_AS_A_WHOLE = ("secret", "apikey", "api_key", "api-key")
_ODD = re.compile(r"[^\w\s.,:/\\-]")
_PLACEHOLDER = re.compile(
    r"(?:none|null|nil|undefined|true|false|required|optional|empty|unset|missing|invalid|incorrect|expired|wrong|not|and|or|the|a|an|is|for"
    r"|in|to|of|was|from|with|must|should|your|string|str|bytes|int|bool|boolean|number|float|object|any|text|varchar|secretstr|self|this"
    r"|password|passwd|token|secret|key|example|test|value|prompt|input|here)[.,;:!?)]*|(?:env|var|self|this|vars|secrets|process|os)[.:\[(].{0,64}",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:https?://|/|\./|\.\./|~/)[\w./:@%+~#-]*|\d{4}-\d\d-\d\d.*|v?\d+(?:\.\d+){1,3}[\w.+-]{0,16}")
_NUMBERS = re.compile(r"[\d-]{12,}|\d{12,}")


def value_at(text: str, at: int, is_option: bool, starts_line: bool) -> Value | None:
    """What is assigned to the name that ends at `at`. `is_option`: the name is that of an option, as in `--token …`."""
    separator = _SEPARATOR.match(text, at)
    spoken = separator is None
    if separator is None:
        separator = _SPOKEN.match(text, at)
        if separator is None or separator.end() == at:
            return None
    start = separator.end()
    if prefix := _PREFIXES.match(text, start):
        start = prefix.end()
    if quoted := _QUOTED.match(text, start):
        return Value(*quoted.span("value"), True, spoken and not is_option, bool(set(",(") & set(separator[0])), False)
    if not spoken and (several := _LIST.match(text, start)):
        return Value(*several.span(), True, False, False, False, several=True)
    if starts_line and not spoken and ":" in separator[0]:
        line = _LINE.match(text, start)
        bare = _BARE.match(text, start)
        if line and bare and not is_placeholder(bare[0]):
            return Value(start, start + len(line[0].rstrip()), False, False, False, False)
    if separator[0].startswith("=") or separator[0].strip() == "=":
        bare = _BARE_TO_SPACE.match(text, start) if starts_line else _BARE.match(text, start)
    else:
        bare = _BARE.match(text, start)
    if not bare:
        return None
    return Value(start, bare.end(), False, spoken and not is_option, False, bool(_MORE_WORDS.match(text, bare.end())))


def is_template(value: str) -> bool:
    """A variable, a template, stars, or what was cut already."""
    return not value.strip() or bool(MARKER.search(value) or _TEMPLATE.fullmatch(value))


def is_placeholder(value: str) -> bool:
    """A template, or a word that stands for a value."""
    return is_template(value) or bool(_PLACEHOLDER.fullmatch(value))


def is_secret(value: str, sureness: Sureness, found: Value | None, keyword: str) -> bool:
    """`found` says how it was written (None: after `Bearer`); `keyword` is the telling part of its name."""
    bare = value[:_TELLING].strip()
    quoted, spoken = (found.quoted, found.spoken) if found else (False, False)
    if found and found.several:
        return sureness is Sureness.SURE and not MARKER.search(value)
    if len(bare) < 3 or (is_template(bare) if quoted and sureness is Sureness.SURE else is_placeholder(bare)):
        return False
    if not quoted and _CODE.fullmatch(bare) and not _mixed(bare.partition("(")[0]):
        return False
    if quoted and sureness is Sureness.LIKELY and found and not found.listed and keyword.lower() in _AS_A_WHOLE:
        return True
    if sureness is Sureness.SURE and (quoted or not spoken):
        if found and found.in_words and bare.isalpha() and bare.islower():
            return False
        return quoted or keyword.lower() not in bare.lower() or _mixed(bare)
    if _ADDRESS.fullmatch(bare):
        return False
    if sureness is Sureness.MAYBE or (spoken and not quoted):
        return len(bare) >= 8 and " " not in bare and _mixed(bare) and score(bare) >= 5
    if len(bare) < 8 or " " in bare:
        return False
    return _mixed(bare) or bool(_NUMBERS.fullmatch(bare)) or score(bare) >= 7 or len(_ODD.findall(bare)) >= 4


def _mixed(value: str) -> bool:
    """Letters and digits, as a generated value has them."""
    return bool(re.search(r"\d", value) and re.search(r"[A-Za-z]", value))
