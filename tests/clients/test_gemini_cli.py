"""Gemini CLI through Gemini's own paths to models of three makers, and what it shows when the gateway refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import require
from tests.clients.installed import GEMINI_CLI
from tests.clients.running import Client
from tests.contract.refused import refusals
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = pytest.mark.clients

HOSTS = {"gemini-2.5-pro": ":streamGenerateContent", "claude-sonnet-4-6": "/messages", "gpt-5": "/chat/completions"}


def gemini(home: Path, gateway: GatewayProcess, key: str) -> Client:
    require(GEMINI_CLI)
    (home / ".gemini").mkdir()
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"disableAutoUpdate": True},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    environment = {
        "GOOGLE_GEMINI_BASE_URL": gateway.base_url,
        "GEMINI_API_KEY": key,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    return Client(GEMINI_CLI, home, environment)


@pytest.mark.parametrize("model", HOSTS)
async def test_a_tool_loop_is_completed(
    gateway: GatewayProcess, admin: Admin, key: str, upstream: RecordingUpstream, tmp_path: Path, model: str
) -> None:
    upstream.default = Script(text=("It is ", "done."))
    prompt = 'FAKE: call=run_shell_command input={"command":"expr\\u002041000\\u0020+\\u0020271"}'
    run = await gemini(tmp_path, gateway, key).run("--yolo", "-m", model, "-p", prompt, timeout_s=110)
    assert run.status == 0, run.said
    assert "It is done." in run.output
    asked = [request for request in upstream.requests if request.path.endswith(HOSTS[model])]
    assert "41271" in asked[-1].body.decode(), "it runs no command with a substitution"
    assert {row["model_group"] for row in await admin.receipts(key, len(asked))} == {model}


UNKNOWN_KEY = "sk-kh-" + "0" * 49
CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "unknown key": ({}, "gemini-2.5-pro", "invalid_api_key", "unknown API key"),
    "spent budget": ({"max_budget": 0}, "gemini-2.5-pro", "budget_exceeded", "spend limit reached"),
    "model not allowed": ({"models": ["gpt-5"]}, "gemini-2.5-pro", "model_not_allowed", "is not allowed for key"),
    "unknown model": ({}, "gemini-9-pro", "model_not_found", "is not known here"),
}
"""The key, the model, our code, and what Gemini CLI shows."""


@pytest.mark.parametrize("case", CASES)
async def test_a_refusal_is_shown_in_our_words(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream, tmp_path: Path, case: str
) -> None:
    terms, model, code, text = CASES[case]
    key = UNKNOWN_KEY if code == "invalid_api_key" else await admin.generate(**terms)
    before = await refusals(gateway, code)
    run = await gemini(tmp_path, gateway, key).run("-m", model, "-p", "Hello", timeout_s=110)
    assert text in run.said
    assert await refusals(gateway, code) - before == 1
    assert upstream.requests == []
