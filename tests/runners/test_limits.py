from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from board.errors import MuxError
from runners import agents
from runners.limits import Limit, find_limit, read_limits

NOW = datetime(2026, 11, 25, 20, tzinfo=UTC).timestamp()
PROFILES = agents.load({})


def limit(agent: str, text: str) -> Limit | None:
    return find_limit(text, PROFILES[agent].limits, NOW, ZoneInfo("UTC"))


def reason(agent: str, text: str) -> str | None:
    found = limit(agent, text)
    return found.reason if found else None


SAID = {
    "claude": [
        ("usage", "You've hit your limit · resets 3am"),
        ("usage", "You've hit your session limit · resets 5:10pm (Europe/Paris)"),
        ("usage", "  ⎿  You’ve hit your weekly limit · resets Dec 2, 11am (Europe/Berlin)"),
        ("usage", "Claude AI usage limit reached|1795651200"),
        ("usage", "Claude usage limit reached. Your limit will reset at 3pm (America/Santiago)."),
        ("usage", "5-hour limit reached ∙ resets 5am"),
        ("usage", "Opus weekly limit reached ∙ resets Fri 9am"),
        ("usage", "Credit balance is too low"),
        ("usage", "You're out of extra usage · resets 6pm"),
        ("usage", "API Error: Request rejected (429) · You exceeded your current quota, please check your plan"),
        (
            "rate",
            'API Error: 429 {"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed"}}',
        ),
        ("rate", "API Error: Request rejected (429) · this may be a temporary capacity issue"),
        ("rate", "API Error: Repeated 529 Overloaded errors · check status.claude.com"),
        ("rate", "API Error: Server is temporarily limiting requests (not your usage limit) · Rate limited"),
        (
            "login",
            'API Error: 401 {"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}',
        ),
        ("login", "Invalid API key · Please run /login"),
        ("login", "Not logged in · Please run /login"),
        ("login", "OAuth token has expired. Please obtain a new token or refresh your existing token."),
        ("login", "Failed to authenticate. API Error: 401 terminated"),
        (
            "model",
            "There's an issue with the selected model (opus-9). It may not exist or you may not have access to it.",
        ),
        ("model", 'API Error: 404 {"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}'),
    ],
    "codex": [
        ("usage", "■ You've hit your usage limit. Upgrade to Pro (https://x.example) or try again in 3 days 6 hours."),
        (
            "usage",
            "ERROR: You've hit your usage limit. Visit https://x.example or try again at 3:28 PM.",
        ),
        ("usage", "[2026-11-25T19:59:01] ERROR: Quota exceeded. Check your plan and billing details."),
        ("usage", '{"type":"error","message":"You\'ve hit your usage limit. Try again Aug 18."}'),
        ("rate", "■ exceeded retry limit, last status: 429 Too Many Requests"),
        ("rate", "ERROR: exceeded retry limit, last status: 429 Too Many Requests, request id: abc123"),
        (
            "rate",
            "stream error: stream disconnected: Rate limit reached for gpt-5. Please try again in 11.054s.",
        ),
        ("login", "ERROR: unexpected status 401 Unauthorized: Missing bearer or basic authentication in header"),
        ("login", "ERROR: Your access token could not be refreshed because your refresh token was already used."),
        ("model", "ERROR: The 'gpt-9' model is not supported when using Codex with a ChatGPT account."),
        ("model", 'ERROR: {"error":{"message":"The requested model \'x\' does not exist.","code":"model_not_found"}}'),
    ],
    "gemini": [
        (
            "usage",
            "TerminalQuotaError: You have exhausted your capacity on this model. Your quota will reset after 1h49m8s.",
        ),
        ("usage", "✕ [API Error: You have exhausted your daily quota on this model.]"),
        (
            "usage",
            "│ Usage limit reached for all Pro models.                    │\n│ Access resets at 11:00 AM GMT+2.   │",
        ),
        ("rate", "✕ [API Error: Resource has been exhausted (e.g. check quota).]"),
        ("rate", "Attempt 2 failed with status 429. Retrying with backoff... ApiError: quota"),
        ("rate", "Attempt 1 failed: No capacity available for model gemini-2.5-pro on the server."),
        ("login", "Please set an Auth method in your settings.json or specify GEMINI_API_KEY before running"),
        ("login", "✕ [API Error: API key not valid. Please pass a valid API key.]"),
        ("model", "ModelNotFoundError: Requested entity was not found."),
    ],
    "opencode": [
        ("usage", "Error: Free usage exceeded, subscribe to Go"),
        (
            "usage",
            'Error: 429: {"type":"FreeUsageLimitError","message":"Rate limit exceeded. Please try again later."}',
        ),
        ("usage", "Error: The usage limit has been reached"),
        ("usage", "Error: Monthly usage limit reached. Resets in 12 days."),
        ("rate", "Error: Too Many Requests"),
        ("login", "Error: Unauthorized: invalid token"),
        ("login", "AI_LoadAPIKeyError: OpenAI API key is missing."),
        ("model", "Error: Model not found: openai/gpt-9. Did you mean: gpt-5?"),
        ("model", "ProviderModelNotFoundError: ProviderModelNotFoundError"),
    ],
    "aider": [
        (
            "usage",
            "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota, please check",
        ),
        ("usage", "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your\ncurrent quota, please"),
        ("rate", "litellm.RateLimitError: AnthropicException - rate_limit_error"),
        ("rate", "The API provider has rate limited you. Try again later or check your quotas."),
        ("login", "litellm.AuthenticationError: AuthenticationError: OpenAIException - Incorrect API key provided"),
        ("login", "The API provider is not able to authenticate you. Check your API key."),
        ("model", "litellm.NotFoundError: OpenAIException - The model `gpt-9` does not exist"),
    ],
}
GENERAL = [
    ("rate", "Error: HTTP 429 Too Many Requests"),
    ("rate", "request failed: status code 429"),
    ("rate", '    "type": "rate_limit_error",'),
    ("rate", "openai.RateLimitError: Error code: 429 - {'error': {'message': 'slow down'}}"),
    ("login", "Error: 401 Unauthorized"),
    ("login", '{"type":"error","error":{"type":"authentication_error"}}'),
    ("usage", "Error code: 429 - {'error': {'code': 'insufficient_quota'}}"),
    ("model", "Error: 404 model_not_found"),
    ("usage", "You've reached your monthly limit"),
]
PROSE = [
    "I handle HTTP 429 and rate_limit_error now, and 401 Unauthorized leads to the login page.",
    "The client retries when the provider says 'You've hit your limit · resets 3am'.",
    "> You've hit your limit · resets 3am",
    "- `API Error: 429` is shown to the user",
    '"You\'ve hit your usage limit" is now translated.',
    "+    raise RateLimitError('429')",
    "AssertionError: 401 != 200",
    "Added a test for insufficient_quota and model_not_found.",
    "Approaching usage limit · resets at 2am",
    "error: unused variable `x`",
    "Done. I created the file and checked the status.",
    "def authentication_error(request):",
    "",
]


@pytest.mark.parametrize(
    ("agent", "expected", "text"), [(agent, *each) for agent, messages in SAID.items() for each in messages]
)
def test_what_agents_say(agent: str, expected: str, text: str) -> None:
    assert reason(agent, text) == expected
    assert reason(agent, f"Working on it\n\n{text}\n\n") == expected


@pytest.mark.parametrize("agent", SAID)
@pytest.mark.parametrize(("expected", "text"), GENERAL)
def test_every_agent_may_say(agent: str, expected: str, text: str) -> None:
    assert reason(agent, text) == expected


@pytest.mark.parametrize("agent", SAID)
@pytest.mark.parametrize("text", PROSE)
def test_text_that_speaks_of_a_limit_is_none(agent: str, text: str) -> None:
    assert limit(agent, text) is None


def test_a_scripts_output_is_not_an_agents() -> None:
    assert PROFILES["shell"].limits == ()


def test_only_the_tail_counts() -> None:
    said = "You've hit your limit · resets 3am\n"
    assert limit("claude", said + "work\n" * 39) is not None
    assert limit("claude", said + "work\n" * 40) is None


def test_when_it_can_work_again() -> None:
    said = "ERROR: You've hit your usage limit. Upgrade (https://x.example) or try\n again in 3 hours 12\nminutes."
    assert limit("codex", said) == Limit("usage", NOW + 3 * 3600 + 12 * 60)
    assert limit("claude", "Claude AI usage limit reached|1795651200") == Limit("usage", 1795651200.0)
    assert limit("gemini", SAID["gemini"][2][1]) == Limit("usage", NOW + 13 * 3600)  # 11:00 at +2 is 09:00 here
    assert limit("claude", "Invalid API key · Please run /login") == Limit("login", None)


def test_another_messages_time_is_not_taken() -> None:
    assert limit("claude", "Credit balance is too low\n\nThe cache resets at 3am.") == Limit("usage", None)


def test_the_strongest_reason_counts_then_the_last() -> None:
    day = "TerminalQuotaError: You have exhausted your daily quota. Your quota will reset after 5h."
    assert limit("gemini", f"{day}\n    at retry (file.js)\nAttempt 3 failed with status 429.") == Limit(
        "usage", NOW + 18_000
    )
    two = "Retry: 1\nYou've hit your limit · resets 9pm\n\nYou've hit your limit · resets 11pm"
    assert limit("claude", two) == Limit("usage", NOW + 3 * 3600)


def test_the_board_adds_patterns_takes_them_back_and_names_what_is_no_limit() -> None:
    board = {
        "claude": {
            "limits": [
                {"pattern": "no more tokens", "reason": "usage"},
                {"pattern": "api error: 529", "reason": "none"},
            ]
        }
    }
    patterns = agents.load(board)["claude"].limits
    assert find_limit("No more tokens until 9pm", patterns, NOW, UTC) == Limit("usage", NOW + 3600)
    assert find_limit("API Error: 529 Overloaded", patterns, NOW, UTC) is None
    assert find_limit("Credit balance is too low", patterns, NOW, UTC) == Limit("usage", None)
    assert agents.load({"claude": {"limits": []}})["claude"].limits == ()
    mine = agents.load({"mine": {"headless": {"start": ["x", "{prompt}"]}}})["mine"]
    assert (mine.name, mine.program) == ("mine", "mine")
    assert find_limit("Error: 401 Unauthorized", mine.limits, NOW, UTC) == Limit("login", None)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("429", "agents.x.limits: must be a list"),
        ([{"pattern": "a"}], "item 1: must have reason and pattern or error"),
        (["a"], "item 1: must have reason and pattern or error"),
        (
            [{"pattern": "a", "reason": "quota"}],
            "there is no reason 'quota'; write one of usage, login, model, rate, none",
        ),
        ([{"pattern": "a", "reason": ["usage"]}], "there is no reason"),
        ([{"pattern": "a(", "reason": "usage"}], "'a(' is no regular expression: missing ), unterminated subpattern"),
        ([{"error": "*", "reason": "usage"}], "'*' is no regular expression: nothing to repeat"),
        ([{"pattern": "", "reason": "usage"}], "must be a text in quotes"),
        ([{"pattern": 429, "reason": "rate"}], "must be a text in quotes"),
    ],
)
def test_what_a_person_got_wrong_is_one_line(written: object, text: str) -> None:
    with pytest.raises(MuxError) as error:
        read_limits((), written, "agents.x.limits")
    assert text in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("agent", SAID)
def test_long_output_is_read_in_no_time(agent: str) -> None:
    text = "\n".join(["{" + "error " * 400, "a" * 5_000, "Error: " + "model " * 400] * 20)
    begun = time.process_time()
    limit(agent, text)
    assert time.process_time() - begun < 1.0
