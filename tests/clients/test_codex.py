"""Codex through ``/v1/responses`` to models of three makers, and what it shows when the gateway refuses."""

from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import require
from tests.clients.installed import CODEX
from tests.clients.running import Client
from tests.contract.refused import refusals
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = pytest.mark.clients

HOSTS = {
    "gpt-5-responses": "/responses",
    "gpt-5": "/responses",
    "claude-sonnet-4-6": "/messages",
    "gemini-2.5-pro": ":streamGenerateContent",
}
SETTINGS = """
model = "{model}"
model_provider = "keyhouse"

[model_providers.keyhouse]
name = "Keyhouse"
base_url = "{base_url}/v1"
wire_api = "responses"
env_key = "KEYHOUSE_KEY"
"""
OPTIONS = ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json")


def codex(home: Path, gateway: GatewayProcess, key: str, model: str) -> Client:
    require(CODEX)
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(SETTINGS.format(model=model, base_url=gateway.base_url))
    return Client(CODEX, home, {"KEYHOUSE_KEY": key})


@pytest.mark.parametrize("model", HOSTS)
async def test_a_tool_loop_is_completed(
    gateway: GatewayProcess, admin: Admin, key: str, upstream: RecordingUpstream, tmp_path: Path, model: str
) -> None:
    upstream.default = Script(text=("It is ", "done."))
    prompt = 'FAKE: call=exec_command input={"cmd":"echo\\u0020$((41000+271))"}'
    run = await codex(tmp_path, gateway, key, model).run(*OPTIONS, prompt)
    assert run.status == 0, run.said
    assert "It is done." in run.output
    asked = [request for request in upstream.requests if request.path.endswith(HOSTS[model])]
    assert "41271" in asked[-1].body.decode()
    assert {row["model_group"] for row in await admin.receipts(key, len(asked))} == {model}


UNKNOWN_KEY = "sk-kh-" + "0" * 49
CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "unknown key": ({}, "gpt-5", "invalid_api_key", 'unexpected status 401 Unauthorized: unknown API key "…0000"'),
    "spent budget": (
        {"max_budget": 0},
        "gpt-5",
        "budget_exceeded",
        "unexpected status 402 Payment Required: spend lim",
    ),
    "model not allowed": (
        {"models": ["claude-sonnet-4-6"]},
        "gpt-5",
        "model_not_allowed",
        'unexpected status 403 Forbidden: model "gpt-5" is not allowed for key',
    ),
    "unknown model": ({}, "gpt-6", "model_not_found", 'model "gpt-6" is not known here; did you mean: "gpt-5"?'),
}
"""The key, the model, our code, and what Codex shows."""


@pytest.mark.parametrize("case", CASES)
async def test_a_refusal_is_shown_in_our_words(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream, tmp_path: Path, case: str
) -> None:
    terms, model, code, text = CASES[case]
    key = UNKNOWN_KEY if code == "invalid_api_key" else await admin.generate(**terms)
    before = await refusals(gateway, code)
    run = await codex(tmp_path, gateway, key, model).run(*OPTIONS, "Hello")
    shown = next(event for event in run.events if event["type"] == "turn.failed")
    assert text in shown["error"]["message"]
    asked = await refusals(gateway, code) - before
    assert asked <= 6, "it tries what it cannot know to be final six times in as many seconds"
    assert upstream.requests == []
