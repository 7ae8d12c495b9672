from __future__ import annotations

import json

import pytest

from board.redact import Redactor
from board.redact_known import known_values, read_env
from tests.board.secrets_made import made, survives

VALUE = made(1, 20)


@pytest.mark.parametrize(
    "name",
    [
        *("API_TOKEN", "DB_PASSWORD", "PGPASSWORD", "MYSQL_PWD", "AWS_SECRET_ACCESS_KEY", "STRIPE_KEY", "SENTRY_DSN"),
        *(
            "githubToken",
            "npm_config__auth",
            "SESSION_SECRET",
            "AZURE_CLIENT_ID",
            "SLACK_WEBHOOK",
            "DB_CREDS",
            "DB_LOGIN",
            "DATABASE_URL",
            "GH_PAT",
        ),
    ],
)
def test_names_that_tell(name: str) -> None:
    assert known_values({name: VALUE}, {}) == {name: VALUE}


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "LANG",
        "PWD",
        "OLDPWD",
        "TERM",
        "SSH_AUTH_SOCK",
        "EDITOR",
        "MONKEY",
        "KEYBOARD",
        "AUTHOR",
        "COMPASS_X",
        "LOGIN_SHELL",
        "SACRED",
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert known_values({name: VALUE[:10]}, {}) == {}


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "1",
            "0",
            "true",
            "False",
            "main",
            "8080",
            "30000",
            "production",
            "secret",
            "none",
            "utf-8",
            "00000000",
            "abab",
        ),
        *(
            "/home/ana/.ssh/id_ed25519",
            "https://auth.example.com",
            "localhost:5432",
            "10.0.0.1",
            "db.internal:5432",
            "12:30",
            "/data",
            "/key.pem",
            "./private-key",
            "2026-11-25",
            "2026-11-25T21:04:10.5Z",
            "2026-11-25 21:04:10+01:00",
            "abc",
            "xxxxxxxx",
        ),
    ],
)
def test_values_that_are_everyday_words_are_never_registered(value: str) -> None:
    assert known_values({"A_TOKEN": value}, {".env": f"B_PASSWORD={value}\n"}) == {}
    assert Redactor({"A_TOKEN": value} if len(value) < 4 else {}).redact("1 true main") == "1 true main"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PASSWORD", "1990-05-17Rosebud!"),
        ("PASSWORD", "Sunflower:8842"),
        ("API_KEY", "/my-secret-word"),
        ("DB_LOGIN", "2026-11-25-in-november"),
    ],
)
def test_a_value_with_a_telling_name_that_only_looks_like_a_date_a_path_or_an_address(name: str, value: str) -> None:
    assert known_values({name: value}, {}) == {name: value}


def test_addresses_are_what_some_names_are_for() -> None:
    assert known_values({"REDIS_URL": "redis:6379", "SENTRY_DSN": "sentry:9000"}, {}) == {}
    assert known_values({}, {".env": "SEARCH=elasticsearch-1:9200\n"}) == {}


def test_a_password_in_a_url_may_have_an_at_sign() -> None:
    assert known_values({"HTTPS_PROXY": "http://bob:pa@ss@h:80"}, {}) == {"HTTPS_PROXY (password)": "pa@ss"}
    assert known_values({"UPSTREAM": "https://u:rosebud@h/x@y"}, {}) == {"UPSTREAM (password)": "rosebud"}


def test_shapes_that_tell_under_any_name() -> None:
    key = f"ghp_{made(2, 36)}"
    assert known_values({"ANYTHING": key}, {}) == {"ANYTHING": key}
    assert known_values({"UPSTREAM": "https://ci:rosebud@git.example.com/x"}, {}) == {"UPSTREAM (password)": "rosebud"}


def test_a_key_that_looks_like_a_path_is_a_key() -> None:
    key = f"/{made(9, 39)}"
    assert known_values({"AWS_SECRET_ACCESS_KEY": key}, {}) == {"AWS_SECRET_ACCESS_KEY": key}


def test_a_file_that_holds_secrets_counts_more() -> None:
    text = f"PORT=8080\nNODE_ENV=production\nGREETING=hello\nANYTHING={VALUE}\n"
    assert known_values({}, {".env": text}) == {".env: ANYTHING": VALUE}
    assert known_values({"ANYTHING": "blue-Harbour_71"}, {}) == {}


def test_reading_a_file_of_variables() -> None:
    text = (
        '\ufeff# of the shop\r\nexport A=plain # why\r\nB=\'single # kept\'\nC="two\\nlines \\"quoted\\""\n'
        'D="-----BEGIN\nbody\n-----END"\n  E = spaced\nF=\n9=no\nG: colon\n'
    )
    assert read_env(text) == {
        "A": "plain",
        "B": "single # kept",
        "C": 'two\nlines "quoted"',
        "D": "-----BEGIN\nbody\n-----END",
        "E": "spaced",
        "F": "",
        "G": "colon",
    }


def test_a_value_of_several_lines_is_found_whole_and_by_line() -> None:
    lines = [made(seed, 40) for seed in (3, 4)]
    value = json.dumps({"type": "x", "first": lines[0], "second": lines[1]}, indent=1)
    redactor = Redactor({"A_KEY": value})
    for text in (value, f"x {lines[0]} y", f'"second": "{lines[1]}"', json.dumps(value)):
        assert not any(survives(line, redactor.redact(text)) for line in lines)
    assert redactor.redact("{\n}\n") == "{\n}\n"


def test_the_lines_of_a_key_are_known_but_not_its_frame() -> None:
    body = "abcd efgh ijkl" + made(5, 4)
    redactor = Redactor({"A_KEY": f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"})
    assert redactor.redact(f"see {body}!") == "see [redacted]!"
    assert redactor.redact("-----BEGIN CERTIFICATE-----") == "-----BEGIN CERTIFICATE-----"


def test_short_values_are_found_as_whole_words_only() -> None:
    redactor = Redactor({"A_PASSWORD": "h4nt3r", "B_PASSWORD": "abc"})
    assert redactor.redact("h4nt3r, 'h4nt3r' but h4nt3rs abc") == "[redacted], '[redacted]' but h4nt3rs abc"
    assert redactor.names == ("A_PASSWORD",)


def test_a_value_that_is_everywhere_is_not_registered() -> None:
    redactor = Redactor({"A_PASSWORD": "00000000", "B_PASSWORD": "abababab"})
    assert redactor.names == () and redactor.redact("x 00000000 y") == "x 00000000 y"


def test_values_that_overlap_are_cut_together() -> None:
    redactor = Redactor({"A_TOKEN": "first-and-second", "B_TOKEN": "second-and-third"})
    assert redactor.redact("x first-and-second-and-third y") == "x [redacted] y"


def test_a_value_at_the_very_beginning_and_end() -> None:
    redactor = Redactor({"A_TOKEN": "correct-horse"})
    assert redactor.redact("correct-horse") == "[redacted]"
    assert redactor.redact("correct\n-horse") == "[redacted]\n[redacted]"


def test_two_thousand_values() -> None:
    values = {f"V{seed}": made(seed, 32) for seed in range(2000)}
    redactor = Redactor(values)
    assert redactor.redact(" ".join(values.values())) == " ".join(["[redacted]"] * 2000)
