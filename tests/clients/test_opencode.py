"""opencode through chat completions and Messages, and what it shows when the gateway refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import require
from tests.clients.installed import OPENCODE
from tests.clients.running import Client
from tests.contract.refused import refusals
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = pytest.mark.clients

MODELS = {
    "keyhouse/gpt-5": "/chat/completions",
    "keyhouse/gemini-2.5-pro": ":streamGenerateContent",
    "anthropic/claude-sonnet-4-6": "/messages",
}


def opencode(home: Path, gateway: GatewayProcess, key: str) -> Client:
    require(OPENCODE)
    options = {"baseURL": f"{gateway.base_url}/v1", "apiKey": key}
    settings = {
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": False,
        "share": "disabled",
        "provider": {
            "keyhouse": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Keyhouse",
                "options": options,
                "models": {"gpt-5": {}, "gemini-2.5-pro": {}, "gpt-6": {}},
            },
            "anthropic": {"options": options, "models": {"claude-sonnet-4-6": {}}},
        },
    }
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps(settings))
    return Client(OPENCODE, home, {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"})


@pytest.mark.parametrize("model", MODELS)
async def test_a_tool_loop_is_completed(
    gateway: GatewayProcess, admin: Admin, key: str, upstream: RecordingUpstream, tmp_path: Path, model: str
) -> None:
    command = '{"command": "expr 41000 + 271", "description": "a sum"}'
    upstream.default = Script(text=("It is ", "done."), input=command)
    run = await opencode(tmp_path, gateway, key).run("run", "-m", model, "FAKE:", "call=bash", timeout_s=110)
    assert run.status == 0, run.said
    assert "It is done." in run.said
    asked = [request for request in upstream.requests if request.path.endswith(MODELS[model])]
    assert any("41271" in request.body.decode() for request in asked)
    groups = {row["model_group"] for row in await admin.receipts(key, len(asked))}
    assert model.partition("/")[2] in groups


UNKNOWN_KEY = "sk-kh-" + "0" * 49
CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "unknown key": ({}, "keyhouse/gpt-5", "invalid_api_key", "unknown API key"),
    "spent budget": ({"max_budget": 0}, "keyhouse/gpt-5", "budget_exceeded", "spend limit reached"),
    "model not allowed": ({"models": ["llama"]}, "keyhouse/gpt-5", "model_not_allowed", "is not allowed for key"),
    "unknown model": ({}, "keyhouse/gpt-6", "model_not_found", "is not known here"),
}
"""The key, the model, our code, and what opencode shows."""


@pytest.mark.parametrize("case", CASES)
async def test_a_refusal_is_shown_in_our_words(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream, tmp_path: Path, case: str
) -> None:
    terms, model, code, text = CASES[case]
    key = UNKNOWN_KEY if code == "invalid_api_key" else await admin.generate(**terms)
    before = await refusals(gateway, code)
    run = await opencode(tmp_path, gateway, key).run("run", "-m", model, "Hello", timeout_s=50)
    assert text in run.said
    assert await refusals(gateway, code) - before <= 2, "the turn, and the title of the session"
    assert upstream.requests == []
