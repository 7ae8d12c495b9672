"""Real screens, as they were captured and as another terminal would show them; and screens that only quote others."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from board.errors import MuxError
from runners import agents
from runners.screens import Seen, classify, read_screens

SCREENS = Path(__file__).parent / "screens"
PROFILES = agents.load({})
EXPECTED = {
    "aider.idle-after-turn": ("waiting", "idle"),
    "aider.idle-fresh": ("waiting", "idle"),
    "aider.waiting-gitignore": ("waiting", "choice"),
    "aider.waiting-whatsnew": ("waiting", "choice"),
    "aider.working": ("working", ""),
    "claude.error-ratelimit": ("limited", "rate"),
    "claude.idle-after-turn": ("waiting", "idle"),
    "claude.idle-fresh": ("waiting", "idle"),
    "claude.idle-question": ("waiting", "question"),
    "claude.waiting-permission": ("waiting", "permission"),
    "claude.waiting-security": ("waiting", "choice"),
    "claude.waiting-theme": ("waiting", "choice"),
    "claude.waiting-trust": ("waiting", "trust"),
    "claude.working": ("working", ""),
    "codex.error-ratelimit": ("limited", "rate"),
    "codex.idle-after-turn": ("waiting", "idle"),
    "codex.idle-fresh": ("waiting", "idle"),
    "codex.idle-question": ("waiting", "question"),
    "codex.waiting-permission": ("waiting", "permission"),
    "codex.waiting-trust": ("waiting", "trust"),
    "codex.working": ("working", ""),
    "gemini.idle-fresh": ("waiting", "idle"),
    "gemini.waiting-apikey": ("waiting", "choice"),
    "gemini.waiting-auth": ("waiting", "choice"),
    "gemini.waiting-model": ("waiting", "choice"),
    "gemini.waiting-trust": ("waiting", "trust"),
    "gemini.working": ("working", ""),
    "opencode.error-unreachable": ("unreachable", ""),
    "opencode.step": ("unreachable", ""),
}
OTHERS = {
    path.stem: (path.stem.split(".")[1].split("-")[0], path.stem.split(".")[1].partition("-")[2])
    for path in (SCREENS / "more").glob("*.txt")
}


def seen(name: str, screen: str) -> tuple[str, str]:
    found = classify(screen, PROFILES[name.partition(".")[0]].screens)
    return found.name, found.reason


def text_of(name: str) -> str:
    return (SCREENS / f"{name}.txt").read_text(encoding="utf-8")


def wrapped(screen: str, width: int) -> str:
    """As a terminal that became narrower shows it: hard breaks."""
    lines = [line.rstrip() for line in screen.splitlines()]
    return "\n".join(line[at : at + width] for line in lines for at in range(0, max(len(line), 1), width))


def by_words(screen: str, width: int) -> str:
    lines = [textwrap.wrap(line, width, break_on_hyphens=False) or [""] for line in screen.splitlines()]
    return "\n".join(part for parts in lines for part in parts)


def other_frames(screen: str) -> str:
    """Another moment of the animation, and of the clock."""
    screen = re.sub(r"^([✻✶✢·✽*] )(?=\w+…| ?API)", "✳ ", screen, flags=re.MULTILINE)
    screen = screen.replace("⠸", "⠏").replace("• Working", "◦ Working").replace("░█ ", "  █░ ")
    screen = screen.replace("⬝⬝⬝⬝⬝⬝⬝⬝", "■■⬝⬝⬝⬝⬝⬝")
    return re.sub(r"\b(\d+)s\b", "57s", screen)


CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": lambda screen: screen,
    "blank lines between": lambda screen: screen.replace("\n", "\n\n"),
    "a blank line at the end": lambda screen: screen + "\n \n",
    "no blank lines": lambda screen: "\n".join(line for line in screen.splitlines() if line.strip()),
    "padded": lambda screen: "\n".join(line.ljust(160) for line in screen.splitlines()),
    "80 columns": lambda screen: wrapped(screen, 80),
    "80 columns, by words": lambda screen: by_words(screen, 80),
    "100 columns": lambda screen: wrapped(screen, 100),
    "200 columns": lambda screen: re.sub(r"─{20,}", "─" * 200, "\n".join(x.ljust(200) for x in screen.splitlines())),
    "another frame": other_frames,
    "a line above": lambda screen: "the line above the screen\n" + screen,
    "carriage returns": lambda screen: screen.replace("\n", "\r\n"),
}


def test_every_screen_is_expected() -> None:
    assert {path.stem for path in SCREENS.glob("*.txt")} == set(EXPECTED)
    assert OTHERS


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", EXPECTED)
def test_real_screens(name: str, change: str) -> None:
    assert seen(name, CHANGES[change](text_of(name))) == EXPECTED[name]


@pytest.mark.parametrize("change", ["as it is", "blank lines between", "padded", "another frame"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_sizes_and_moments(name: str, change: str) -> None:
    """`AGENT.CONDITION-REASON.DETAIL.txt`, captured at sizes from 60x20 to 200x50."""
    assert seen(name, CHANGES[change](text_of(f"more/{name}"))) == OTHERS[name]


#: What an agent may print: the live part of another screen, as prose or as the output of `cat`.
QUOTES = {
    "claude": ("● ", "  "),
    "codex": ("• ", "  "),
    "gemini": ("✦ ", "  "),
    "aider": ("", ""),
    "opencode": ("     ", "     "),
}
PLACE = {  # where the agent's last words stand on an idle and on a working screen: before this line, the last one
    "claude.idle-after-turn": "✻ Sautéed",
    "claude.working": "✻ Churning",
    "codex.idle-after-turn": "  Worked for",
    "codex.working": "• Working",
    "gemini.idle-fresh": " " * 60,
    "gemini.working": " ⠸ Thinking",
    "aider.idle-after-turn": "Tokens:",
    "aider.working": "    ░█",
    "opencode.error-unreachable": "     ▣  Build",
}
SAYINGS = [
    "Do you want to proceed?\n❯ 1. Yes\n  2. No\n\nEsc to cancel · Tab to amend",
    "Would you like to run the following command?\n› 1. Yes, proceed (y)\n  2. No (esc)\n\nPress enter to confirm",
    "● 1. Allow once\n  2. Allow for this session\n  3. No, suggest changes (esc)",
    "△ Permission required\n\n Allow once   Allow always   Reject      enter confirm",
    "Do you trust the files in this folder?\n❯ 1. Yes, I trust this folder\n  2. No, exit",
    "✻ Churning… (esc to interrupt)\nThat was all.",
    "⠸ Thinking... (esc to cancel, 4s)",
    "• Working (4s • esc to interrupt)",
    "■ exceeded retry limit, last status: 429 Too Many Requests",
    "✕ [API Error: You have exhausted your daily quota]",
    "⎿  You've hit your limit · resets 3am",
    "API error · Retrying in 2s · attempt 4/10",
    "litellm.RateLimitError: slow down\nRetrying in 2 seconds...",
    "Add .aider* to .gitignore (recommended)? (Y)es/(N)o [Yes]:",
    "Press Enter to continue…",
    "Cannot connect to API [retrying in 26s attempt #5]     esc interrupt",
]


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("name", PLACE)
def test_what_is_only_quoted_is_not_shown(name: str, saying: str) -> None:
    first, rest = QUOTES[name.partition(".")[0]]
    quoted = "\n".join((first if not number else rest) + line for number, line in enumerate(saying.split("\n")))
    before, mark, after = text_of(name).rpartition("\n" + PLACE[name])
    assert mark
    assert seen(name, f"{before}\n{quoted}\n{mark}{after}")[0] == EXPECTED[name][0]
    tool = f"{before}\n● Bash(cat log)\n  ⎿  {saying.splitlines()[0]}\n" + textwrap.indent(saying, "     ")
    if name.startswith("claude"):
        assert seen(name, f"{tool}\n{mark}{after}")[0] == EXPECTED[name][0]


STREAMED = [
    "> 1. Allow the user to log in\n> 2. Run the redirect",
    "❯ 1. Yes\n  2. No\n\nEnter to confirm · Esc to cancel",
    "Then it says:\nPress Enter to continue",
    "and the key of that is\nEsc to cancel",
    "Yes, I trust it. Press Enter to confirm",
    "litellm.RateLimitError: quota\nRetrying in 2 seconds",
    "litellm.APIError is what it says, then it is\nretrying in the background",
]


@pytest.mark.parametrize("saying", [*STREAMED, *(each for each in SAYINGS if "(Y)es" not in each)])
def test_what_aider_quotes_while_it_prints_is_no_condition(saying: str) -> None:
    """It draws no input line meanwhile."""
    before = text_of("aider.working").rpartition("\n    ░█")[0]
    for text in (saying, f"Here is the screen:\n\n{saying}", f"```\n{saying}"):
        assert seen("aider.working", f"{before}\n\n{text}\n") == ("unknown", "")


def test_only_what_takes_keys_is_sure() -> None:
    for name, sure in (("claude.waiting-permission", True), ("more/aider.waiting-permission", False)):
        found = classify(text_of(name), PROFILES[name.removeprefix("more/").partition(".")[0]].screens)
        assert (found.name, found.reason, found.sure) == ("waiting", "permission", sure)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("other", [name for name in EXPECTED if name.startswith("claude.")])
def test_another_screen_that_was_printed_before_is_not_seen(name: str, other: str) -> None:
    """`cat` of a whole screen, then the agent's own input line or menu below it."""
    if name.startswith("claude"):
        printed = textwrap.indent(text_of(other), "     ")
        lines = text_of(name).splitlines()
        at = next((number for number, line in enumerate(lines) if line.startswith("❯ Create")), 0)
        screen = "\n".join([*lines[:at], "● Bash(cat screen)", printed, *lines[at:]])
        assert seen(name, screen)[0] == EXPECTED[name][0]


#: The idle screens, and what stands in their input line.
DRAFTED = {
    "claude.idle-after-turn": "❯\xa0",
    "codex.idle-after-turn": "› Ask Codex to do anything",
    "more/codex.waiting-idle.fresh-0.80.0": "› Find and fix a bug in @filename",
    "gemini.idle-fresh": " >   Type your message or @path/to/file",
    "aider.idle-after-turn": ">",
}
LISTS = ["1. Run the tests\n  2. commit", "1) yes\n  2) no", "1. Press enter to continue\n  2. then commit"]
LONG_LIST = "\n  ".join(f"{number}. run part {number}" for number in range(1, 30))


@pytest.mark.parametrize("draft", LISTS)
@pytest.mark.parametrize("name", DRAFTED)
def test_a_draft_that_is_a_list_is_no_menu(name: str, draft: str) -> None:
    before, shown, after = text_of(name).rpartition(DRAFTED[name])
    agent = name.removeprefix("more/").partition(".")[0]
    typed = draft.partition("\n")[0] if agent == "aider" else draft  # how it draws more lines is not known
    mark = re.match(r"\W*", shown)
    assert mark and mark[0]
    found = classify(f"{before}{mark[0].rstrip()} {typed}{after}", PROFILES[agent].screens)
    assert (found.name, found.reason) == ("waiting", "idle")


@pytest.mark.parametrize("name", ["claude.idle-after-turn", "codex.idle-after-turn"])
def test_a_long_draft_that_is_a_list_is_no_menu(name: str) -> None:
    test_a_draft_that_is_a_list_is_no_menu(name, LONG_LIST)


def test_the_evidence_names_the_time() -> None:
    screen = text_of("claude.idle-question").replace(
        "● I need a decision from you: should the greeting be formal or informal? Please tell me which one you want "
        "before I\n  continue.",
        "  ⎿  You've hit your session limit · resets 5:10pm (Europe/Paris)\n     /upgrade for more.",
    )
    found = classify(screen, PROFILES["claude"].screens)
    assert (found.name, found.reason) == ("limited", "usage")
    assert "resets 5:10pm (Europe/Paris)" in found.evidence


def boxed(*lines: str) -> str:
    return "\n".join(["╭" + "─" * 78 + "╮", *(f"│ {line:76} │" for line in lines), "╰" + "─" * 78 + "╯"])


OLDER = {
    "claude: working": "● Hello.\n\n✻ Pondering… (12s · ↑ 1.2k tokens · esc to interrupt)\n\n"
    + boxed(">")
    + "\n  ? for shortcuts",
    "claude: waiting idle": "● Hello.\n\n" + boxed('> Try "fix the tests"') + "\n  ? for shortcuts",
    "claude: waiting permission": boxed(
        "Bash command", "  make test", "Do you want to proceed?", "❯ 1. Yes", "  2. No (esc)"
    ),
    "codex: waiting idle": "• Done.\n\n▌ Ask Codex to do anything\n\n ⏎ send   Ctrl+J newline   Ctrl+C quit",
    "gemini: working": "⠏ Counting (esc to cancel, 3s)\n\n"
    + boxed(">   Type your message")
    + "\n~/code  no sandbox  gemini-2.5-pro",
    "gemini: waiting permission": boxed(
        "?  Shell make test", "Allow execution?", "● 1. Yes, allow once", "  2. No (esc)"
    ),
    "aider: waiting question": "Which of them?\n\nTokens: 1k sent, 2 received.\n" + "─" * 80 + "\narchitect> ",
    "aider: waiting permission": "Run shell command? (Y)es/(N)o/(D)on't ask again [Yes]: ",
    "opencode: limited usage": "  ┃  Build · m\n  ╹▀▀▀▀▀▀▀▀▀▀▀▀\n  ⬝⬝ Free usage exceeded [retrying in 6h16m #1]",
    "claude: limited usage": "❯ go\n\n● You've hit your limit · resets 3am\n\n"
    + "─" * 80
    + "\n❯ \n"
    + "─" * 80
    + "\n  ? for shortcuts",
}


@pytest.mark.parametrize("shown", OLDER)
def test_shapes_of_other_releases(shown: str) -> None:
    agent, _, condition = shown.partition(": ")
    assert " ".join(seen(agent, OLDER[shown])).strip() == condition


@pytest.mark.parametrize(
    "said",
    [
        "Added 512 tests.",
        "Unable to connect to the database, so I used a file.",
        "Request timed out handling is there now.",
        "The usage limit reached case is handled.",
        "Not logged in users see the login page.",
        "You've hit your limit is what the page says.",
        "Reconnecting works again after the network is lost.",
        "There's an issue with the selected model in the settings page, mended.",
        "Should work now. Loading… is shown meanwhile",
        "API Error: could not generate the file is what it printed, so I mended that.",
        "API Error: 429 is tried again now, and so is 529.",
        "API Error: 500 is shown to the person now.",
        "API Error: 401 is what the test expects.",
        "API Error: a connection that fails is tried again.",
        "API Error: the overloaded method is gone.",
        "The page says: Not logged in · Please run /login when the token is gone.",
        "Not logged in · Please run /login is the new text of that page.",
        "Credit balance too low is now an error of its own, with a code.",
        "Claude usage limit reached. That text is translated now.",
        "You've hit your limit\n  is what the page says.",
        "There's an issue with the selected model (it was None), which I mended.",
        "Unable to connect to API servers is the new message.",
    ],
)
@pytest.mark.parametrize("name", ["claude.idle-question", "codex.idle-question"])
def test_words_that_only_sound_like_trouble(name: str, said: str) -> None:
    screen = re.sub(r"([●•] )I need a decision[\s\S]*?continue\.", lambda match: match[1] + said, text_of(name))
    assert said in screen
    assert seen(name, screen) == ("waiting", "idle")


@pytest.mark.parametrize(
    ("said", "condition"),
    [
        ('API Error: 429 {"type":"error","error":{"type":"rate_limit_error"}}', "limited rate"),
        ("API Error: Request rejected (429) · this may be a temporary capacity issue", "limited rate"),
        ("API Error: Repeated 529 Overloaded errors · check status.claude.com", "limited rate"),
        ("API Error: Server is temporarily limiting requests (not your usage limit) · Rate limited", "limited rate"),
        ("API Error: 529 Overloaded. This is a server-side issue, usually temporary", "limited rate"),
        ("API Error: Overloaded", "limited rate"),
        (
            'API Error: 401 {"type":"error","error":{"type":"authentication_error"}} · Please run /login',
            "limited login",
        ),
        ("Please run /login · API Error: 401 Invalid authentication credentials", "limited login"),
        ("Failed to authenticate. API Error: 401 terminated", "limited login"),
        ("Invalid API key · Please run /login", "limited login"),
        ("OAuth token revoked · Please run /login", "limited login"),
        ("Credit balance is too low", "limited usage"),
        ("Claude AI usage limit reached|1795651200", "limited usage"),
        ("Claude usage limit reached. Your limit will reset at 3pm (Europe/Paris).", "limited usage"),
        ("You've hit your session limit · resets 3am", "limited usage"),
        ("You've reached your weekly limit", "limited usage"),
        ("5-hour limit reached ∙ resets 3am", "limited usage"),
        ("API Error: 500 Internal. This is a server-side issue", "unreachable"),
        ('API Error: 502 {"type":"error","error":{"type":"api_error"}}', "unreachable"),
        ("API Error: Connection error.", "unreachable"),
        ("API Error: Request timed out.", "unreachable"),
        ("API Error: Unable to connect to API (ECONNREFUSED)", "unreachable"),
        ("API Error (Request timed out.)", "unreachable"),
        ("Unable to connect to API due to poor internet connection", "unreachable"),
    ],
)
def test_what_claude_code_says_of_trouble_of_its_own(said: str, condition: str) -> None:
    screen = re.sub(r"● I need a decision[\s\S]*?continue\.", lambda _: f"● {said}", text_of("claude.idle-question"))
    assert said in screen and " ".join(seen("claude", screen)).strip() == condition


#: The last words, by whether they ask something.
ASKED = {
    "应该用哪一个？": True,
    "続けますか？ お知らせください。": True,
    "أي واحد تريد؟": True,
    "Which do you want?\n\n  1. Keep it\n  2. Drop it\n  3. Rename it\n  4. Move it\n  5. Ask Ben": True,
    "Which do you want?\n  - Keep it\n  - Drop it\n  - Rename it\n  - Move it\n  - Ask Ben\n  Please say so.": True,
    "I did it all:\n  1. Kept it\n  2. Moved it": False,
    "Why did it fail? It was the port.\n  I changed that,\n  ran the tests,\n  committed it\n  and am done.": False,
}


@pytest.mark.parametrize("said", ASKED)
@pytest.mark.parametrize("name", ["claude.idle-question", "codex.idle-question"])
def test_last_words_that_ask_something(name: str, said: str) -> None:
    screen = re.sub(r"([●•] )I need a decision[\s\S]*?continue\.", lambda match: match[1] + said, text_of(name))
    assert said in screen and seen(name, screen) == ("waiting", "question" if ASKED[said] else "idle")


@pytest.mark.parametrize("folder", ["/w/mux/shop/stop-retrying", "/w/quota-429/shop:mux/shop/retrying", "/w/api key/x"])
def test_the_name_of_a_folder_or_branch_below_opencode_says_nothing(folder: str) -> None:
    for name, place in (("opencode.waiting-idle.quoting-200x50", "idle"), ("opencode.working.80x24", "")):
        screen = text_of(f"more/{name}").replace("/home/dev/code/opencode", folder)
        screen = screen if folder in screen else f"{screen.rstrip()}\n   {folder}\n"
        assert seen("opencode", screen) == (("waiting", "idle") if place else ("working", ""))


def test_gemini_that_speaks_of_tries_tries_nothing() -> None:
    """What it says begins with a mark of its own."""
    screen = text_of("more/gemini.waiting-question.80")
    said = re.sub(r"✦ .*", "✦ Trying to reach the server (attempt 3) works now.", screen)
    assert "works now" in said and seen("gemini.idle-fresh", said) == ("waiting", "idle")


def test_a_script_shows_nothing() -> None:
    assert classify(text_of("claude.waiting-permission"), PROFILES["shell"].screens) == Seen("unknown")
    assert classify("", PROFILES["claude"].screens) == Seen("unknown")


def test_an_agent_that_only_the_board_knows_has_menus() -> None:
    mine = agents.load({"mine": {"headless": {"start": ["x", "{prompt}"]}}})["mine"]
    assert classify(text_of("codex.waiting-permission"), mine.screens).reason == "permission"


def test_the_board_mends_a_profile() -> None:
    new = "output\n\n:: type here\n"
    assert seen("claude.x", new)[0] == "unknown"
    rules = [
        {"condition": "waiting", "reason": "idle", "region": "input", "pattern": "^:: .*"},
        {"condition": "working", "region": "footer", "pattern": ["press q", "to stop"]},
    ]
    mended = agents.load({"claude": {"screens": rules}})["claude"].screens
    assert classify(new, mended).reason == "idle"
    assert classify(new + "press q\n  to stop", mended).name == "working"
    assert classify(text_of("claude.working"), mended).name == "working"
    assert agents.load({"claude": {"screens": []}})["claude"].screens == ()


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("esc", "agents.x.screens: must be a list"),
        (["esc"], "item 1: must have condition, region, pattern"),
        ([{"condition": "working", "region": "footer", "pattern": "a", "when": 1}], "item 1: must have condition"),
        (
            [{"condition": "stuck", "region": "footer", "pattern": "a"}],
            "no screen can show 'stuck'; write one of working",
        ),
        ([{"condition": [], "region": "footer", "pattern": "a"}], "no screen can show '[]'"),
        ([{"condition": "waiting", "region": "footer", "pattern": "a"}], "has no reason '': write one of permission"),
        ([{"condition": "working", "reason": "x", "region": "end", "pattern": "a"}], "has no reason 'x': take it out"),
        ([{"condition": "working", "region": "top", "pattern": "a"}], "no region 'top'; write one of menu, above"),
        ([{"condition": "working", "region": "end", "pattern": []}], "needs at least one pattern"),
        ([{"condition": "working", "region": "end", "pattern": 3}], "must be a text in quotes"),
        ([{"condition": "working", "region": "end", "pattern": "a("}], "'a(' is no regular expression: missing )"),
    ],
)
def test_what_a_person_got_wrong_is_one_line(written: object, text: str) -> None:
    with pytest.raises(MuxError) as error:
        read_screens((), written, "agents.x.screens")
    assert text in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("agent", QUOTES)
def test_a_large_screen_takes_no_time(agent: str) -> None:
    lines = ["❯ " + "error " * 60, "● Bash(x)", "  ⎿  " + "─" * 300, "│ " * 150, "■ (esc to " * 30, "┃ a", "────────"]
    begun = time.process_time()
    classify("\n".join(lines * 30), PROFILES[agent].screens)
    assert time.process_time() - begun < 0.5
