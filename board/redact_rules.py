"""What the words around a string say about it: passwords, tokens, headers, URLs with credentials, keys. Pure.

Each rule begins at a literal (`board/redact_triggers.py`) and reads a bounded stretch from there.
"""

from __future__ import annotations

import re

from board.redact_assigned import Sureness, Value, is_placeholder, is_secret, is_template, value_at
from board.redact_opaque import score
from board.redact_text import REDACTED, Span, words_of
from board.redact_triggers import Rule

_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.$-")
_LONGEST_NAME = 48
_COMPARED = re.compile(r"[\"'](?P<value>[^\"'\n]{1,256}+)[\"']\s{0,4}[!=]={1,2}\s{0,4}\Z")
_NAME_AFTER = re.compile(r"(?:[\w-]|\.(?=\w)){0,40}+")
#: A variable about a secret that does not hold it.
_ABOUT = re.compile(
    r"[_.-]?(?:file|path|dir|url|uri|endpoint|hash|policy|length|len|count|limit|min|max|reset|prompt|ttl|expir\w*|name|type|field"
    r"|label|hint|env|var|store|ref|manager|provider|id)s?\Z",
    re.IGNORECASE,
)

_FOLDERS = ("PWD", "OLDPWD")


def _assigned(sureness: Sureness, alone: bool = False) -> Rule:
    """`name = value` in its many spellings, the literal a part of the name; `alone`: a word of its own in it."""

    def rule(text: str, start: int, end: int) -> Span | None:
        if alone and not _stands_alone(text, start, end):
            return None
        after = _NAME_AFTER.match(text, end)
        assert after
        begin = _name_start(text, start)
        if text[begin : after.end()].upper() in _FOLDERS:
            return None
        found = value_at(text, after.end(), text[begin] == "-", _starts_line(text, begin)) or _compared(text, begin)
        if found is None:
            return None
        if found.several and text[found.start] == "\n":
            found = found._replace(start=found.start + 1)
        sure = min(sureness, Sureness.LIKELY) if found.listed or _ABOUT.fullmatch(after[0]) else sureness
        value = text[found.start : found.end]
        return Span(found.start, found.end, REDACTED) if is_secret(value, sure, found, text[start:end]) else None

    return rule


def _name_start(text: str, at: int) -> int:
    floor = max(at - _LONGEST_NAME, 0)
    while at > floor and text[at - 1] in _NAME_CHARACTERS:
        at -= 1
    return at


def _compared(text: str, begin: int) -> Value | None:
    """`"value" == name`."""
    if text[begin - 1 : begin] not in (" ", "="):
        return None
    match = _COMPARED.search(text, max(begin - 280, 0), begin)
    return Value(*match.span("value"), True, False, False, False) if match else None


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Not a part of a longer word: `pass` in DB_PASS, dbPass, pass=, not in `passed` and `compass`."""
    before, first, after = text[start - 1 : start], text[start], text[end : end + 1]
    if after.isalpha() and (after.islower() or text[end - 1].isupper()):
        return False
    return not before.isalpha() or (before.islower() and first.isupper())


def _starts_line(text: str, at: int) -> bool:
    begin = text.rfind("\n", max(at - 40, 0), at)
    return not text[begin + 1 if begin >= 0 else max(at - 40, 0) : at].strip(" \t\"'-") and (begin >= 0 or at <= 40)


# ----- headers

_SCHEME = re.compile(
    r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:(?:bearer|basic|token|digest|apikey|negotiate|aws4-hmac-sha256)\s+)?",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(r"[^\s\"'`,;<>]{1,2048}+")
_HEADER_REST = re.compile(r"[^\n\"'`]{1,4096}+")


def _authorization(text: str, start: int, end: int) -> Span | None:
    del start
    scheme = _SCHEME.match(text, end)
    value = _CREDENTIAL.match(text, scheme.end()) if scheme else None
    if not value or is_placeholder(value[0]) or (len(value[0]) < 4):
        return None
    rest = _HEADER_REST.match(text, value.start())
    is_list = "=" in value[0] or value[0].endswith(",")
    return Span(value.start(), rest.end() if rest and is_list else value.end(), REDACTED)


def _scheme(text: str, start: int, end: int) -> Span | None:
    """`Bearer …`, wherever it stands."""
    value = _CREDENTIAL.match(text, end)
    if not value or text[start - 1 : start].isalnum() or not is_secret(value[0], Sureness.LIKELY, None, ""):
        return None
    return Span(value.start(), value.end(), REDACTED)


_COOKIES = re.compile(r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?=[\w.%$-]{1,128}+=)")


def _cookie(text: str, start: int, end: int) -> Span | None:
    del start
    sep = _COOKIES.match(text, end)
    rest = _HEADER_REST.match(text, sep.end()) if sep else None
    return Span(rest.start(), rest.end(), REDACTED) if rest and not is_placeholder(rest[0]) else None


# ----- URLs

_URL_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,24}\Z")
_USER_INFO = re.compile(r"(?P<user>[^\s\"'`<>/@:]{0,256}+):(?P<password>[^\s\"'`<>/]{1,512})@")
_URL_REST = re.compile(r"[^\s\"'`<>]{0,2048}+")
_DUMMY = re.compile(
    r"(?:pass(?:word|wd)?|pwd|secret|token|changeme|example|your[-_]?\w*|replace\w*|x{3,}|\*+|\.{3}|redacted)",
    re.IGNORECASE,
)


def _url(text: str, start: int, end: int) -> Span | None:
    """A URL with a password in it goes as a whole: the host and the database are nobody's business either."""
    info = _USER_INFO.match(text, end)
    scheme = _URL_SCHEME.search(text, max(start - 25, 0), start)
    if not info or not scheme:
        return None
    password = info["password"]
    if is_template(password):
        return None
    rest = _URL_REST.match(text, info.end())
    return Span(scheme.start(), rest.end() if rest else info.end(), REDACTED)


_LOGIN_BEFORE = re.compile(r"(?:^|[\s\"'`=(,])[A-Za-z_][\w.+-]{0,63}:(?P<password>[^\s\"'`<>/@:]{1,128})\Z")
_HOST_AFTER = re.compile(r"(?:(?:tcp|unix)\(|[\w.-]{1,253}+:\d{2,5}(?![\w.]))")


def _login_at(text: str, start: int, end: int) -> Span | None:
    """`name:password@host:port` and `name:password@tcp(…)`, as drivers take them: a URL without its beginning."""
    if text[start - 1 : start].isspace() or not _HOST_AFTER.match(text, end):
        return None
    found = _LOGIN_BEFORE.search(text, max(start - 200, 0), start)
    if not found or is_placeholder(found["password"]) or _DUMMY.fullmatch(found["password"]):
        return None
    return Span(found.start("password"), found.end("password"), REDACTED)


_BEFORE_HOST = re.compile(r"(?:https?://)?[\w.-]{0,64}\Z", re.IGNORECASE)


def _webhook(text: str, start: int, end: int) -> Span | None:
    """Whoever has the URL may post."""
    before, rest = _BEFORE_HOST.search(text, max(start - 72, 0), start), _URL_REST.match(text, end)
    if not before or not rest or len(rest[0]) < 6:
        return None
    return Span(before.start(), rest.end(), REDACTED)


# ----- keys

_PEM = re.compile(r"[A-Z0-9 ]{0,40}(?:PRIVATE KEY|OPENSSH|PGP MESSAGE)[A-Z ]{0,20}-----", re.IGNORECASE)
_PEM_LONGEST = 20_000
_BREAK = r"(?:\\r|\\n|\s)*+"
_PEM_BODY = re.compile(
    rf"(?:{_BREAK}[A-Za-z0-9+/=:,.-]{{16,}}+){{0,400}}+"
    rf"(?:{_BREAK}[A-Za-z0-9+/=]{{2,64}}+(?=[ \t]*(?:\n|\\n|\Z)))?"  # the last line, if it is one
)


def _private_key(text: str, start: int, end: int) -> Span | None:
    head = _PEM.match(text, end)
    if not head:
        return None
    foot = text.find("-----END", head.end(), head.end() + _PEM_LONGEST)
    stop = text.find("-----", foot + 8, foot + 80) if foot >= 0 else -1
    if stop >= 0:
        return Span(start, stop + 5, REDACTED)
    body = _PEM_BODY.match(text, head.end())
    return Span(start, body.end() if body else head.end(), REDACTED)


_KEY_FILE = re.compile(r"\{\s{0,16}\"type\":\s{0,4}\"\Z")
_KEY_FILE_LONGEST = 8_000


def _key_file(text: str, start: int, end: int) -> Span | None:
    """The JSON of a service account: key, its id, and whose it is."""
    head, stop = _KEY_FILE.search(text, max(start - 40, 0), start), text.find("}", end, end + _KEY_FILE_LONGEST)
    if not head or stop < 0 or text.find("private_key", end, stop) < 0:
        return None
    return Span(head.start(), stop + 1, REDACTED)


_KEY_BODY = re.compile(r"[\w.=+/~-]{8,1024}+")


def _vendor(text: str, start: int, end: int) -> Span | None:
    """A known prefix, then what could not be a word."""
    before = text[start - 1 : start]
    body = _KEY_BODY.match(text, end)
    if before.isalnum() or before == "_" or not body or not _could_be_key(body[0]):
        return None
    return Span(start, body.end(), REDACTED)


def _could_be_key(body: str) -> bool:
    flat = body.rstrip(".").strip("-_")
    if len(set(flat.lower())) <= 3 and len(flat) >= 16:  # xxxxxxxx
        return True
    return any(character.isdigit() for character in flat) or score(flat) >= 7


# ----- command lines

_USER_OPTION = re.compile(r"[ =]?(?P<quote>[\"']?)(?P<user>[^\s\"':]{1,128}+):(?P<password>[^\s\"']{1,256}+)[\"']?")
_OPTION_VALUE = re.compile(r"[ =]?(?P<quote>[\"']?)(?P<value>[^\s\"']{1,256}+)[\"']?")
_TAKES_P = re.compile(
    r"(?:login|sshpass|mysql\w*|mariadb\w*|htpasswd|mongo\w*|redis-cli|smbclient|curl|ldap\w+|7z|zip|unzip)\b[^\n|;&]{0,160}\Z"
)


def _user_option(text: str, start: int, end: int) -> Span | None:
    """`curl -u name:password`; `docker run -u 1000:1000` says nothing."""
    found = _USER_OPTION.match(text, end)
    if not found or text[start - 1 : start].strip():
        return None
    user, password = found["user"], found["password"]
    if (user + password).isdecimal() or password.startswith("//") or is_placeholder(user) or is_placeholder(password):
        return None
    if _DUMMY.fullmatch(password):
        return None
    return Span(found.start("quote"), found.end(), REDACTED)


def _password_option(text: str, start: int, end: int) -> Span | None:
    """`docker login -p …`, `mysql -p…`: of a program that means a password by it."""
    found = _OPTION_VALUE.match(text, end)
    if not found or text[start - 1 : start].strip() or not _TAKES_P.search(text, max(start - 200, 0), start):
        return None
    value = found["value"]
    if is_placeholder(value) or value.startswith("-") or len(value) < 4 or re.fullmatch(r"\d+(?::\d+)?", value):
        return None
    return Span(found.start("quote"), found.end(), REDACTED)


# ----- sentences, and what is like them

_LOGIN_WORD = re.compile(r"\blogin\s+[^\s]{1,128}+\s+\Z")
_WORD = re.compile(r"\s+(?P<value>[^\s]{1,256}+)")
_SAID = re.compile(r"\s+(?:is|was)\s+[\"'`“]?(?P<value>[^\s\"'`“”,;]{6,64}+)")
_METHOD = re.compile(r"(?:sha|md|base|utf|aes|rsa|bcrypt|scrypt|argon|pbkdf|crc|iso|v)-?\d", re.IGNORECASE)
_QUOTED = re.compile(r"\s+(?P<quote>[\"'])(?P<value>[^\"'\n]{4,256}+)(?P=quote)")


def _netrc(text: str, start: int, end: int) -> Span | None:
    """`login name password value`: a line of .netrc."""
    found = _WORD.match(text, end)
    if not found or is_placeholder(found["value"]) or not _LOGIN_WORD.search(text, max(start - 160, 0), start):
        return None
    return Span(*found.span("value"), REDACTED)


def _said(text: str, start: int, end: int) -> Span | None:
    """`the password is …`, of a word that no sentence would have there."""
    del start
    found = _SAID.match(text, end)
    value = found["value"].rstrip(".!?)") if found else ""
    mixed = any(each.isdigit() for each in value) and any(each.isalpha() for each in value)
    if not found or not mixed or len(value) < 6 or _METHOD.match(value) or is_placeholder(value):
        return None
    return Span(found.start("value"), found.start("value") + len(value), REDACTED)


def _identified(text: str, start: int, end: int) -> Span | None:
    """SQL's `identified by '…'`."""
    del start
    found = _QUOTED.match(text, end)
    return Span(*found.span("value"), REDACTED) if found and not is_placeholder(found["value"]) else None


_SURE = words_of("""
    password passwd passphrase passcode community_string communitystring snmp_community authkey privkey
    __com __io __net __org __dev
""")  # the last ones are Bundler's: BUNDLE_GEMS__EXAMPLE__COM=name:password
_SURE_ALONE = words_of("pass pwd pw community")
_LIKELY = words_of("""
    secret token credential apikey api_key api-key api.key accesskey access_key access-key privatekey private_key
    private-key account_key accountkey account_id accountid access_id client_id clientid client-id tenant_id sessionid
    session_id webhook bearer signing encryption csrf xsrf login
""")
_LIKELY_ALONE = words_of("jwt otp pat pin cred creds sig dsn sid")
_MAYBE_ALONE = words_of("key auth session signature salt nonce hash code cookie id")
_WEBHOOKS = words_of("""
    hooks.slack.com /api/webhooks/ .webhook.office.com hooks.zapier.com api.telegram.org/bot logic.azure.com
    chat.googleapis.com/v1/spaces outlook.office.com/webhook hook.integromat.com
""")
#: What vendors begin their keys with. Only for what is too short, or too plain, to be told as an opaque run.
_PREFIXES = words_of("""
    sk- sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ whsec_ ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- gldt- glrt-
    glcbt- glptt- glft- glsoat- glimt- gloas- glagent- xoxb- xoxp- xoxa- xoxs- xoxo- xoxr- xoxe- xoxe. xapp- akia asia
    abia acca aiza ya29. gocspx- hf_ api_org_ npm_ pypi- dop_v1_ doo_v1_ dor_v1_ shpat_ shpss_ shpca_ shppa_ sg. hvs.
    hvb. hvr. dapi eaac eaa atatt atctt nrak- nrii- nrjs- pmak- lin_api_ figd_ ntn_ secret_ pscale_ sntrys_ sntryu_
    tskey- dckr_pat_ gsk_ pplx- r8_ pul- rubygems_ fio-u- flwseck flwpubk age-secret-key- ops_ey eyj glc_ glsa_ sbp_
    sgp_ cfat_ cfut_ cfk_ vcp_ vci_ vca_ vcr_ vck_ sha256~ key- pnu_ rdme_ shippo_ clojars_ dt0c01. sq0atp- sq0csp-
    apify_api_
""")


def _rules() -> dict[str, list[Rule]]:
    table: dict[str, list[Rule]] = {}
    for rule, literals in (
        (_assigned(Sureness.SURE), _SURE),
        (_assigned(Sureness.SURE, alone=True), _SURE_ALONE),
        (_assigned(Sureness.LIKELY), _LIKELY),
        (_assigned(Sureness.LIKELY, alone=True), _LIKELY_ALONE),
        (_assigned(Sureness.MAYBE, alone=True), _MAYBE_ALONE),
        (_authorization, ["authorization", "x-api-key", "x-auth-token"]),
        (_scheme, ["bearer ", "basic ", "token "]),
        (_cookie, ["cookie"]),
        (_url, ["://"]),
        (_webhook, _WEBHOOKS),
        (_private_key, ["-----begin "]),
        (_key_file, ['service_account"']),
        (_vendor, _PREFIXES),
        (_login_at, ["@"]),
        (_netrc, ["password"]),
        (_said, ["password", "passphrase", "passcode"]),
        (_identified, ["identified by"]),
        (_user_option, ["-u", "--user", "--proxy-user", "--auth"]),
        (_password_option, ["-p", "-w"]),
    ):
        for literal in literals:
            table.setdefault(literal, []).append(rule)
    return table


RULES = _rules()
