"""The real agents of the tests: how they are installed, and an environment without a person's keys, home and settings.

python -m tests.agents.programs FOLDER    installs what is missing there, the newest releases
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PACKAGES = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
}

#: Variables that would reach a person's accounts and settings.
_PRIVATE = ("ANTHROPIC_", "CLAUDE", "OPENAI_", "CODEX_", "GEMINI_", "GOOGLE_", "OPENCODE", "AIDER_", "XDG_")


def install(folder: Path) -> None:
    """One after the other; what cannot be installed is said in one line."""
    for agent, package in PACKAGES.items():
        if (folder / "node_modules/.bin" / agent).exists():
            continue
        print(f"{agent}: installing {package}", flush=True)
        if shutil.which("npm") is None:
            print(f"skipped: {agent} (npm is not installed)")
        elif _fails("npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", f"{package}@latest"):
            print(f"skipped: {agent} (npm cannot install {package})")
    if not (folder / "aider/bin/aider").exists():
        print("aider: installing aider-chat", flush=True)
        pip = [str(folder / "aider/bin/python"), "-m", "pip", "install", "--quiet", "aider-chat"]
        if _fails(sys.executable, "-m", "venv", str(folder / "aider")) or _fails(*pip):
            print("skipped: aider (pip cannot install aider-chat)")


def _fails(*command: str) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0


def search_path(folder: Path) -> str:
    """Where the agents are. Codex brings a ripgrep, which OpenCode would fetch from the network."""
    ripgrep = folder.glob("node_modules/@openai/*/vendor/*/codex-path")
    return os.pathsep.join(map(str, (folder / "node_modules/.bin", folder / "aider/bin", *ripgrep)))


def environment(agent: str, folder: Path, home: Path, model_url: str, base: Mapping[str, str]) -> dict[str, str]:
    """`base` with the agents first on PATH, and `home` as HOME, with settings in which the agent meets the model."""
    kept = {name: value for name, value in base.items() if not name.startswith(_PRIVATE)}
    # Codex runs commands in a login shell, which sets PATH anew: a person's own has mux on it.
    (home / ".profile").write_text(f'PATH="$PATH:{Path(sys.executable).parent}"\n')
    return kept | {
        "PATH": os.pathsep.join((search_path(folder), kept["PATH"])),
        "HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        **_OWN[agent](home, model_url),
    }


def configuration(home: Path) -> dict[str, str]:
    """What the person configured: paths and texts of the agents' settings."""
    names = (".codex/config.toml", ".gemini/settings.json", ".config/opencode/opencode.json", ".claude/settings.json")
    return {name: (home / name).read_text() for name in names if (home / name).exists()}


def add_opencode_plugin(home: Path, events: Path) -> None:
    """A plugin of the person's own, which writes the names of events into a file."""
    folder = home / ".config" / "opencode"
    settings = json.loads((folder / "opencode.json").read_text())
    _write(folder / "opencode.json", settings | {"plugin": ["./own.js"]})
    keep = f'appendFileSync({json.dumps(str(events))}, event.type + "\\n")'
    (folder / "own.js").write_text(
        'import { appendFileSync } from "fs"\n'
        f"export const Own = async () => ({{ event: async ({{ event }}) => {keep} }})\n"
    )


def _claude(home: Path, url: str) -> dict[str, str]:
    _write(home / ".claude.json", {"hasCompletedOnboarding": True, "theme": "dark"})
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "none",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


def _codex(home: Path, url: str) -> dict[str, str]:
    lines = [
        'model = "gpt-5"',
        'model_provider = "local"',
        "check_for_update_on_startup = false",
        "[analytics]",
        "enabled = false",
        "[model_providers.local]",
        'name = "local"',
        f'base_url = "{url}/v1"',
        'wire_api = "responses"',
        'env_key = "OPENAI_API_KEY"',
    ]
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text("\n".join(lines) + "\n")
    return {"OPENAI_API_KEY": "none"}


def _gemini(home: Path, url: str) -> dict[str, str]:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    _write(home / ".gemini" / "settings.json", settings)
    # Its default chooses a model by asking another one.
    return {"GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": url, "GEMINI_MODEL": "gemini-2.5-flash"}


def _opencode(home: Path, url: str) -> dict[str, str]:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "local",
        "options": {"baseURL": f"{url}/v1", "apiKey": "none"},
        "models": {"m": {"name": "m", "tool_call": True, "limit": {"context": 100_000, "output": 10_000}}},
    }
    config = {"provider": {"local": provider}, "model": "local/m", "autoupdate": False, "share": "disabled"}
    _write(home / ".config" / "opencode" / "opencode.json", config | {"permission": {"bash": "ask"}})
    return dict.fromkeys(
        ("OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_LSP_DOWNLOAD"), "1"
    )


def _aider(home: Path, url: str) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": "none",
        "OPENAI_API_BASE": f"{url}/v1",
        "AIDER_MODEL": "openai/m",
        "AIDER_EDIT_FORMAT": "diff",  # in which a block of a shell is a command
        "AIDER_SHOW_MODEL_WARNINGS": "false",
        "AIDER_ANALYTICS": "false",
        "AIDER_CHECK_UPDATE": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


_OWN = {"claude": _claude, "codex": _codex, "gemini": _gemini, "opencode": _opencode, "aider": _aider}


def _write(path: Path, settings: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))


if __name__ == "__main__":
    install(Path(sys.argv[1]))
