"""What Claude Code asks of a gateway, C20 to C34: headers and bodies arrive as they were sent, whatever they hold."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.contract.claude_code import BILLING, HEADERS, SESSION, SIGNATURE, of_the_future, send, turn
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]


@pytest.fixture
async def http(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def key(admin: Admin) -> str:
    return await admin.generate()


@pytest.mark.parametrize("seed", range(12))
async def test_c20_c21_c30_c31_c32_c33_bytes_and_anthropics_headers_arrive_untouched_known_or_not(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, seed: int
) -> None:
    body, headers = of_the_future(seed)
    sent = {**HEADERS, **headers, "x-api-key": key}
    answer = await http.post("/v1/messages?beta=true", content=body, headers=sent)
    assert answer.status_code == 200, answer.text
    received = upstream.requests[-1]
    assert received.body == body
    expected = {name: value for name, value in sent.items() if name.startswith(("anthropic-", "x-stainless-", "x-app"))}
    assert {name.lower(): value for name, value in received.headers if name.lower() in expected} == expected
    assert (received.header("user-agent"), received.target) == (HEADERS["user-agent"], "/v1/messages?beta=true")


async def test_c21_only_the_name_of_an_alias_changes_in_the_body(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    for seed in range(4):
        body, _ = of_the_future(seed)
        written = body.replace(b'"claude-sonnet-4-6"', b'"team-sonnet"')
        assert (await send(http, key, written)).status_code == 200
        assert upstream.requests[-1].body == body


async def test_c22_c23_c24_c25_what_the_client_says_of_a_call_is_on_its_receipt(
    http: httpx.AsyncClient, key: str, admin: Admin
) -> None:
    hints = {
        "x-claude-code-agent-id": "agent-1",
        "x-claude-code-parent-agent-id": "agent-0",
        "x-claude-code-agent-type": "Explore",
        "x-claude-code-request-class": "subagent",
        "x-claude-code-prompt-id": "6a6d8f70-0000-4000-8000-000000000001",
        "x-claude-code-compaction": "auto",
        "x-claude-code-prev-tool-durations": "Bash=12;Read%20it=3",
        "x-keyhouse-tag-project": "apollo",
    }
    sent = {**HEADERS, **hints, "x-api-key": key}
    assert (await http.post("/v1/messages?beta=true", json=turn(), headers=sent)).status_code == 200
    [row] = await admin.receipts(key, 1)
    assert (row["session_id"], row["agent_id"]) == (SESSION, "agent-1")
    assert "project:apollo" in row["request_tags"]
    told = str(row)
    assert "agent-0" in told
    assert "Explore" in told
    assert "subagent" in told
    del sent["x-claude-code-session-id"]
    sent["x-claude-code-agent-id"] = "agent-2"
    assert (await http.post("/v1/messages?beta=true", json=turn(), headers=sent)).status_code == 200
    rows = await admin.receipts(key, 2)
    assert {row["session_id"] for row in rows} == {SESSION}, "the body's metadata names it too"


async def test_c34_what_only_claude_understands_is_left_out_for_a_model_of_another_maker(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    for model in ("gpt-5", "gpt-5-responses", "gemini-2.5-pro", "deepseek-reasoner", "llama"):
        answer = await send(http, key, turn(model=model))
        assert answer.status_code == 200, (model, answer.text)
        assert answer.text.rstrip().endswith('{"type":"message_stop"}'), model
        received = upstream.requests[-1]
        said = received.body.decode()
        for word in ("safeguards", "classifier_context", "context_management", BILLING, SIGNATURE, "defer_loading"):
            assert word not in said, (model, word)
        assert "cache_control" not in said
        assert not [name for name, _ in received.headers if name.lower().startswith("anthropic-")]
        assert "# Environment" in said, "system text in the middle is said to everybody"
        losses = answer.headers["x-keyhouse-losses"]
        assert "safeguards" in losses
        assert "context_management" in losses


async def test_c34_the_shapes_of_a_turn_that_another_maker_refuses_are_put_right(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}},
                {"type": "tool_use", "id": "toolu_2", "name": "Bash", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [picture], "is_error": False},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "broke", "is_error": True},
                {"type": "text", "text": "what now?"},
            ],
        },
    ]
    assert (await send(http, key, turn(model="gpt-5", messages=messages))).status_code == 200
    said = upstream.requests[-1].json()["messages"]
    roles = [message["role"] for message in said if message["role"] != "system"]
    assert roles[:4] == ["user", "assistant", "tool", "tool"]
    assert [message["tool_call_id"] for message in said if message["role"] == "tool"] == ["toolu_1", "toolu_2"]
    assert "data:image/png;base64,iVBORw0KGgo=" in str(said[-1]) + str(said[-2])
