"""What words around a string say about it, and what ordinary lines must keep. Secrets are composed when this runs."""

from __future__ import annotations

import pytest

from board.redact import Redactor
from tests.board.secrets_made import HEX, made, survives

REDACTOR = Redactor()
TOKEN = made(1, 14)  # too short to be told without its name
LONG = made(2, 40)
WORDS = "correct horse"

SECRETS = {
    "environment": ("API_TOKEN={}", TOKEN),
    "export": ("export DB_PASSWORD='{}'", "hunter two"),
    "escaped quote": ('"password": "{}"', 'ab\\"cdefghijk'),
    "begins like a variable": ("DB_PASSWORD={}", "$ecr%t-99!"),
    "begins like a template": ("password: '{}'", "{ab}12cd"),
    "plain word": ("password = {}", "rosebud"),
    "yaml": ("  mysql_password: {}  # of the shop", WORDS),
    "yaml list": ("passwords:\n  - {}\n  - other", "rosebud77"),
    "inline list": ('passwords: ["{}", "other"]', "rosebud77"),
    "json": ('{{"client_secret": "{}", "a": 1}}', TOKEN),
    "json value on the next line": ('"password":\n   "{}"', WORDS),
    "name and value": ("- name: DB_PASSWORD\n  value: {}", TOKEN),
    "go": ("token := `{}`", TOKEN),
    "java": ('String apiToken = "{}";', TOKEN),
    "typed": ('password: str = "{}"', "rosebud"),
    "ruby": ('"api_key" => "{}"', TOKEN),
    "setter": ('System.setProperty("SHOP_TOKEN", "{}")', TOKEN),
    "call": ('client.set_token("{}")', TOKEN),
    "comparison": ('if ("{}" == password) {{', WORDS),
    "xml": ('<add key="Password" value="{}" />', "rosebud"),
    "element": ("<password>{}</password>", "rosebud"),
    "option": ("deploy --token {} --verbose", TOKEN),
    "option with =": ("deploy --password={}", "rosebud"),
    "query": ("GET /x?access_token={}&page=2", TOKEN),
    "connection string": ("Server=db;User Id=sa;Password={};Encrypt=true", "rosebud"),
    "said": ("the token is {} I think", TOKEN),
    "bearer": ("curl -H 'Authorization: Bearer {}'", TOKEN),
    "basic": ('"Authorization": "Basic {}"', "YWRtaW46aHVudGVyMg=="),
    "cookie": ("Set-Cookie: sid={}; Path=/", TOKEN),
    "curl": ("curl -u api:{} https://api.example.com", "rose!bud"),
    "docker login": ("docker login -u ci -p {} registry.example.com", "rosebud"),
    "netrc, plain word": ("machine api.example.com login ci password {} # mine", "rosebud"),
    "driver": ("dial ci:{}@tcp(127.0.0.1:3306)/shop", "rosebud"),
    "driver, host": ('connect("ci:{}@db.internal:5432/shop")', "rosebud"),
    "httpie": ("http --auth ci:{} api.example.com", "rosebud"),
    "sql": ("ALTER USER ci IDENTIFIED BY '{}';", "rosebud"),
    "said, short": ("I saw that the password is {}, so I used it", "rosebud7"),
    "netrc": ("machine api.example.com login ci password {}", TOKEN),
    "url": ("cloning https://ci:{}@git.example.com/shop.git", "rosebud"),
    "url with signs": ("mysql://root:{}@db:3306/shop", "p@ss!w0rd"),
    "bundler": ("BUNDLE_GEMS__EXAMPLE__COM={}", "cafe:babe"),
    "webhook": ("posting to https://hooks.slack.com/services/{}", "T00/B00/xyz"),
    "telegram": ("https://api.telegram.org/bot{}/getMe", "123456:abc"),
    "vendor": ("it is ghp_{}", made(3, 12)),
    "aws id": ("AKIA{}", made(4, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")),
    "hex": ("digest {} here", made(5, 32, HEX)),
    "uuid": ("id 1b4e28ba-2fa1-11d2-883f-{}", made(6, 12, HEX)),
    "opaque": ("got {} back", LONG),
    "opaque in a path": ("see https://docs.example.com/d/{}/edit", LONG),
    "opaque over two lines": (
        f"{'x' * 5} it is a long line that a terminal wraps {LONG[:14]}\n{{}} and more",
        LONG[14:28],
    ),
    "two parts": ("9123456789:{}", made(7, 35)),
}


@pytest.mark.parametrize(("line", "secret"), SECRETS.values(), ids=SECRETS)
def test_secrets_are_cut(line: str, secret: str) -> None:
    out = REDACTOR.redact(line.format(secret))
    assert not survives(secret, out)
    assert "[redacted]" in out


@pytest.mark.parametrize("body", ["", "\nMIIB" + made(8, 60) + "\n" + made(9, 40) + "==\n"])
@pytest.mark.parametrize("foot", ["-----END {}-----", ""])
@pytest.mark.parametrize("kind", ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
def test_private_keys_are_cut_whole_and_half(kind: str, foot: str, body: str) -> None:
    out = REDACTOR.redact(f"key:\n-----BEGIN {kind}-----{body}{foot.format(kind)}\nafter it")
    assert "BEGIN" not in out and out.endswith("\nafter it")
    assert not survives(made(8, 60), out) and not survives(made(9, 40), out)


def test_several_opaque_parts_of_one_path_are_cut() -> None:
    parts = [made(seed, 24) for seed in range(10, 15)]
    between = "/documents/of/the/shop/and/all/its/customers/"
    out = REDACTOR.redact(f"documents/{between.join(parts)}/documents")
    assert out == f"documents/{between.join(['[redacted]'] * 5)}/documents"


@pytest.mark.parametrize("length", [511, 512, 513, 2000, 100_000])
def test_opaque_runs_of_any_length_are_cut(length: int) -> None:
    secret = made(15, length)
    assert set(REDACTOR.redact(f"got {secret} back").replace("[redacted]", "").split()) == {"got", "back"}


def test_a_key_file_of_a_service_account_is_cut_whole() -> None:
    text = '{\n "type": "service_account",\n "project_id": "shop-production",\n "private_key_id": "1"\n} and more'
    assert REDACTOR.redact(text) == "[redacted] and more"


ORDINARY = (
    "FROM nginx:alpine@sha256:" + "0123456789" * 6 + "0123",
    "ssh -L 8080:localhost:80 ana@build.example.com:22",
    "at 12:30@room:12 we meet",
    "{user}:{password}@{host}:5432 and $USER:$PASS@db:5432",
    "the password is too short, and was base64-encoded; a passphrase is sha256-hashed",
    "each is identified by 'id', and by its name",
    "install foo:bar@1.2.3 from pkg:npm/name@1.2.3",
    "* 3f2c1ab (HEAD -> mux/shop/fix-login) Keep the query when redirecting",
    "index 3f2c1ab..9d0e1f2 100644",
    "resumed after exit 137 (killed); tree was clean at 3f2c1ab09d4e",
    "2026-11-23T08:01:12Z fix-login-redirect-loop-again: running since 20261123T080112Z",
    "0.30000000000000004 of 1763884872123456789 ns",
    "src/components/cart/CartSummaryWithDiscounts.test.tsx:17:3",
    "tests/board/test_parse.py::test_a_heading_with_a_colon_in_it[3-True] PASSED",
    "Downloading numpy-2.1.3-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.create_subprocess_exec",
    "git@github.com:ana/shop.git",
    "pkg:npm/%40scope/name@1.2.3-beta.1+build.5",
    "token = get_token()",
    "password = getpass.getpass()",
    "self.password = password",
    "def login(self, user: str, password: str) -> Token:",
    "password: Optional[str] = None",
    "const token = process.env.API_TOKEN",
    "API_KEY=${API_KEY:-none}",
    "Authorization: Bearer $TOKEN",
    "Authorization: Bearer <token>",
    "passwords must have 12 characters",
    "the token is invalid or has expired",
    "Password: please enter your password",
    "token: required",
    "max_tokens=4096, tokens used: 18234",
    "primary_key=True, foreign_key='orders.id'",
    'key: "actions"',
    "if session is None: raise KeyError(key)",
    "docker run -u 1000:1000 -p 8080:80 shop",
    "http://localhost:8080/cart and postgres://db:5432/shop",
    "GET /api/v1/users/12/orders?page=2 200 13ms",
    "#!/usr/bin/env python3 reads /etc/hosts and /dev/null",
    "desk-lamp, task-list, risk-averse, ask-me-anything-sessions",
    "ThisIsAVeryLongCamelCaseNameForAnAbstractFactoryBean",
    "SOME_VERY_LONG_CONSTANT_NAME_OF_A_SETTING",
    "__import__('os').environ.setdefault",
    "=" * 80,
    "aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "-" * 40 + " 100%|██████████| 12/12 [00:01<00:00]",
    "PWD=/usr/share, OLDPWD=/etc",
    "compass: north, bypass=on, passed: 12, encompassing",
    "ana@example.com wrote to bob+lists@example.org",
    "日本語の行は変わらない。 Größe: 12 € — ça va?",
)


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_lines_stay(line: str) -> None:
    assert REDACTOR.redact(line) == line
