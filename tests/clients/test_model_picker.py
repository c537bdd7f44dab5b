"""Claude Code's model picker, in two versions: every model of the key is there, and works when it is chosen."""

import json

import pytest

from tests.clients.conftest import MakeClaude
from tests.clients.installed import Package
from tests.clients.running import asking
from tests.clients.terminal import Terminal
from tests.fakes.gateway_process import Admin
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = pytest.mark.clients

MODELS = ["claude-sonnet-4-6", "claude-haiku-4-5", "gpt-5", "gemini-2.5-pro"]
DISCOVERING = {"CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1"}


async def test_the_cache_file_holds_the_keys_models_and_no_others(
    make_claude: MakeClaude, version: Package, admin: Admin
) -> None:
    key = await admin.generate(models=MODELS)
    claude = make_claude(version, key=key, **DISCOVERING)
    assert (await claude.run(*asking("Hello", "--model", MODELS[0]))).status == 0
    cached = json.loads((claude.home / ".claude" / "cache" / "gateway-models.json").read_text())
    assert [model["id"] for model in cached["models"]] == [
        *MODELS[:2],
        "anthropic-gateway/gpt-5",
        "anthropic-gateway/gemini-2.5-pro",
    ]
    assert [model["display_name"] for model in cached["models"]] == MODELS


async def test_a_model_of_another_maker_is_chosen_from_the_list_and_answers(
    make_claude: MakeClaude, version: Package, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("Good ", "day"))
    claude = make_claude(version, key=await admin.generate(models=MODELS), **DISCOVERING)
    first = await claude.run(*asking("Hello", "--model", MODELS[0]))
    assert first.status == 0, first.said
    async with Terminal(claude) as terminal:
        await terminal.until("Claude Code v")
        await terminal.enter("/model")
        screen = await terminal.until("gemini-2.5-pro ")
        place = next(line for line in screen.splitlines() if " gpt-5 " in line).partition(".")[0].split()[-1]
        for row in range(2, int(place) + 1):
            await terminal.press("Down")
            await terminal.until(f"❯ {row}.")
        await terminal.press("Enter")
        await terminal.until("Set model to gpt-5")
        await terminal.enter("Hello")
        await terminal.until("Good day")
    assert {request.json()["model"] for request in upstream.requests if "chat" in request.path} == {"gpt-5"}


async def test_a_model_that_is_named_is_tried_with_one_token_and_taken(
    make_claude: MakeClaude, version: Package, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("Good ", "day"))
    async with Terminal(make_claude(version), "--model", MODELS[0]) as terminal:
        await terminal.until("Claude Code v")
        await terminal.enter("/model gpt-5-responses")
        await terminal.until("Set model to gpt-5-responses")
    [probe] = [request for request in upstream.requests if request.path.endswith("/responses")]
    assert probe.json()["max_output_tokens"] == 16, "fewer than the API takes"
    assert "stream" not in probe.json()
