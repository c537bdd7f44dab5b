"""Part B: the provider claude_code_native, on the token of the one person who signed in."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from app.admin.catalog import build_catalog
from app.providers.host_table import HOSTS
from app.providers.price_book import PriceBook
from app.settings import Settings, load_settings
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.prices import bundled_prices
from tests.fakes.script import TOOL_INPUT, Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.asking import USER, WEATHER, WEATHER_SCHEMA, ask, hear, text_of
from tests.seeds.conftest import (
    CLAUDE_CODE_TOKEN,
    EXPLICIT_TOKEN,
    OWNER,
    PROVIDER_KEY,
    SecondGateway,
    environment_of,
    sent_body,
)

pytestmark = [pytest.mark.services, pytest.mark.contract]

HEAD = {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."}
SONNET = "claude_code_native/claude-sonnet-4-5"
OLDER = "claude_code_native/claude-3-5-sonnet-20240620"
JPEG = "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////2Q=="


@pytest.fixture(scope="package")
async def owner(gateway: GatewayProcess, owners_key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client with a key of the token's owner, on the address that the page writes: without /v1."""
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(
        api_key=owners_key, base_url=gateway.base_url, max_retries=0, http_client=http
    ) as client:
        yield client


async def test_b01_the_prefix_leads_to_anthropics_own_endpoint(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(owner, SONNET)
    assert upstream.requests[-1].path == "/v1/messages"
    assert sent_body(upstream)["model"] == "claude-sonnet-4-5"
    assert HOSTS["claude_code_native"].default_base == HOSTS["anthropic"].default_base == "https://api.anthropic.com"


async def test_b02_b03_the_token_is_a_bearer_beside_the_required_headers(
    owner: openai.AsyncOpenAI, http: httpx.AsyncClient, owners_key: str, upstream: RecordingUpstream
) -> None:
    await ask(owner, SONNET)
    body = {"model": SONNET, "max_tokens": 20, "messages": USER}
    answer = await http.post("/v1/messages", json=body, headers={"x-api-key": owners_key})
    assert answer.status_code == 200
    for request in upstream.requests:
        assert request.header_values("authorization") == [f"Bearer {CLAUDE_CODE_TOKEN}"]
        assert request.header_values("x-api-key") == []
        assert request.header_values("anthropic-version") == ["2023-06-01"]
        assert request.header_values("anthropic-beta") == ["oauth-2025-04-20"]


async def test_b04_the_system_text_of_claude_code_is_always_first(
    owner: openai.AsyncOpenAI, http: httpx.AsyncClient, owners_key: str, upstream: RecordingUpstream
) -> None:
    await ask(owner, SONNET)
    assert sent_body(upstream)["system"] == [HEAD]
    headers = {"x-api-key": owners_key}
    for system in (None, "Be brief.", [{"type": "text", "text": "Be brief."}], HEAD["text"], [HEAD]):
        body = {"model": SONNET, "max_tokens": 20, "messages": USER} | ({"system": system} if system else {})
        assert (await http.post("/v1/messages", json=body, headers=headers)).status_code == 200
        sent = sent_body(upstream)["system"]
        assert sent == HEAD["text"] or sent[0] == HEAD
        assert str(sent).count("official CLI") == 1


async def test_b05_the_users_own_system_texts_come_after_it_in_their_order(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(owner, OLDER, [{"role": "system", "content": "You are a helpful coding assistant."}, *USER])
    assert sent_body(upstream)["system"] == [HEAD, {"type": "text", "text": "You are a helpful coding assistant."}]
    await ask(owner, OLDER, [{"role": "system", "content": text} for text in ("first", "second")] + USER)
    assert [block["text"] for block in sent_body(upstream)["system"]] == [HEAD["text"], "first", "second"]


async def test_b06_chat_completions_and_messages_are_served_and_messages_pass_as_they_are(
    owner: openai.AsyncOpenAI, http: httpx.AsyncClient, owners_key: str, upstream: RecordingUpstream
) -> None:
    assert (await ask(owner, SONNET)).choices[0].message.content
    body = {"model": SONNET, "max_tokens": 20, "messages": USER, "field_of_the_future": [1]}
    for path in ("/v1/messages", "/anthropic/v1/messages"):
        answer = await http.post(path, json=body, headers={"x-api-key": owners_key})
        assert answer.content == bytes(upstream.responses[-1].body)
        assert sent_body(upstream) == {**body, "model": "claude-sonnet-4-5", "system": [HEAD]}


@pytest.mark.parametrize(
    "model",
    [
        "claude-sonnet-4-5",
        "claude-opus-4-5",
        "claude-haiku-4-5",
        "claude-sonnet-4-5-20250929",
        "claude-opus-4-20250514",
        "claude-sonnet-4-20250514",
        "claude-3-7-sonnet-20250219",
        "claude-3-5-sonnet-20240620",
        "claude-3-5-sonnet-20241022",
        "claude-3-haiku-20240307",
        "claude-3-opus-20240229",
        "claude-3-sonnet-20240229",
        "claude-2.1",
        "claude-2",
    ],
)
async def test_b07_each_model_of_the_page_is_asked_by_its_own_name(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    completion = await ask(owner, f"claude_code_native/{model}")
    assert completion.choices[0].message.content
    assert sent_body(upstream)["model"] == model
    assert sent_body(upstream)["system"] == [HEAD]


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"stop": ["END"]}, {"stop_sequences": ["END"]}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"temperature": 0.1}, {"temperature": 0.1}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"max_tokens": 77}, {"max_tokens": 77}),
        ({"max_completion_tokens": 78}, {"max_tokens": 78}),
        ({"user": "someone"}, {"metadata": {"user_id": "someone"}}),
        (
            {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False},
            {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        ),
        ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ],
    ids=lambda value: "-".join(value),
)
async def test_b08_openais_parameters_are_said_in_anthropics_words(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    """``stream`` is row B14, ``response_format`` B21, ``extra_headers`` B28."""
    await ask(owner, SONNET, **asked)
    body = sent_body(upstream)
    assert {name: body[name] for name in sent} == sent


async def test_b09_an_answer_may_have_4096_tokens_where_nothing_is_said(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(owner, OLDER)
    assert sent_body(upstream)["max_tokens"] == 4096


def catalog_of(tmp_path: Path, params: str, **environ: str) -> tuple[Any, list[str]]:
    file = tmp_path / "config.yaml"
    entry = f"model_list:\n  - model_name: mine\n    litellm_params: {{model: {SONNET}{params}}}\n"
    file.write_text(f"{entry}claude_code_native: {{enabled: true, owner_user_id: me}}\n")
    settings = load_settings(environ, {"config_path": file})
    catalog, notices = build_catalog(settings, PriceBook(bundled_prices()))
    return catalog.resolve("mine"), notices


def test_b10_b12_without_a_token_the_model_is_left_out_and_said_and_an_api_key_is_none(tmp_path: Path) -> None:
    model, notices = catalog_of(tmp_path, "", ANTHROPIC_API_KEY="sk-ant-api03-an-api-key")
    assert model is None
    assert 'provider "claude_code_native" needs a key: set CLAUDE_CODE_API_KEY or litellm_params.api_key' in str(
        notices
    )


async def test_b10_b12_the_token_of_the_deployment_comes_before_that_of_the_environment(
    second_gateway: SecondGateway, owners_key: str, upstream: RecordingUpstream
) -> None:
    for model, token in (("with-its-own-token", EXPLICIT_TOKEN), (SONNET, CLAUDE_CODE_TOKEN)):
        body = {"model": model, "max_tokens": 20, "messages": USER}
        answer = await second_gateway.http.post("/v1/messages", json=body, headers={"x-api-key": owners_key})
        assert answer.status_code == 200
        assert upstream.requests[-1].header("authorization") == f"Bearer {token}"


async def test_b11_token_and_address_are_taken_from_the_environment(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    assert environment_of(upstream)["CLAUDE_CODE_API_KEY"] == CLAUDE_CODE_TOKEN
    assert environment_of(upstream)["CLAUDE_CODE_API_BASE"] == upstream.base_url
    await ask(owner, SONNET)
    assert upstream.requests[-1].header("authorization") == f"Bearer {CLAUDE_CODE_TOKEN}"
    model, _ = catalog_of(tmp_path, "", CLAUDE_CODE_API_KEY=CLAUDE_CODE_TOKEN)
    assert model.deployments[0].api_base == "https://api.anthropic.com"


async def test_b13_the_token_of_setup_token_is_used_as_it_is_and_shown_to_nobody(
    owner: openai.AsyncOpenAI, http: httpx.AsyncClient, owners_key: str, gateway: GatewayProcess
) -> None:
    await ask(owner, SONNET)
    headers = {"x-api-key": owners_key}
    shown = (await http.get("/v1/models", headers=headers)).text
    shown += (await http.post("/v1/messages", json={"model": SONNET}, headers=headers)).text
    shown += (await http.get("/metrics")).text + gateway.log()
    assert CLAUDE_CODE_TOKEN not in shown


async def test_b14_a_stream_comes_in_openais_chunks(owner: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    upstream.default = Script(text=("Hey! ", "How are ", "you?"), split=7)
    chunks = await hear(owner, "claude_code_native/claude-opus-4-20250514")
    assert text_of(chunks) == "Hey! How are you?"
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert sent_body(upstream)["stream"] is True


async def test_b15_an_alias_of_the_file_stands_for_the_model(
    second_gateway: SecondGateway, owners_key: str, upstream: RecordingUpstream
) -> None:
    body = {"model": "claude-code-sonnet-4", "messages": [{"role": "user", "content": "what llm are you"}]}
    answer = await second_gateway.http.post("/chat/completions", json=body, headers={"x-api-key": owners_key})
    assert answer.json()["choices"][0]["message"]["role"] == "assistant"
    assert sent_body(upstream)["model"] == "claude-sonnet-4-20250514"


async def test_b16_b32_under_the_wildcard_the_prefix_is_needed_and_without_it_nothing_is_asked(
    second_gateway: SecondGateway, owners_key: str, upstream: RecordingUpstream
) -> None:
    headers = {"authorization": f"Bearer {owners_key}"}
    body = {"model": "claude_code_native/claude-3-haiku-20240307", "messages": USER}
    answer = await second_gateway.http.post("/chat/completions", json=body, headers=headers)
    assert answer.status_code == 200
    assert sent_body(upstream)["model"] == "claude-3-haiku-20240307"
    upstream.requests.clear()
    answer = await second_gateway.http.post(
        "/chat/completions", json={**body, "model": "claude-3-haiku-20240307"}, headers=headers
    )
    assert answer.status_code == 404
    assert 'model "claude-3-haiku-20240307" is not known here' in answer.json()["error"]["message"]
    assert not upstream.requests


async def test_b17_one_model_can_be_served_by_the_command_line_alone(
    gateway: GatewayProcess, upstream: RecordingUpstream, stores: dict[str, str], owners_key: str, tmp_path: Path
) -> None:
    """``--config`` is how the two other gateways of these tests are started."""
    environment = {
        **stores,
        **environment_of(upstream),
        "KEYHOUSE_CLAUDE_CODE_NATIVE_ENABLED": "true",
        "KEYHOUSE_CLAUDE_CODE_OWNER": OWNER,
    }
    alone = GatewayProcess(tmp_path / "home", environment, "--model", "claude_code_native/claude-opus-4-20250514")
    await asyncio.to_thread(alone.start)
    try:
        async with httpx.AsyncClient(base_url=alone.base_url, timeout=30, trust_env=False) as client:
            body = {"model": "claude_code_native/claude-opus-4-20250514", "messages": USER}
            answer = await client.post("/chat/completions", json=body, headers={"x-api-key": owners_key})
            assert answer.status_code == 200
            other = await client.post(
                "/chat/completions", json={**body, "model": "gpt-5"}, headers={"x-api-key": owners_key}
            )
            assert other.status_code == 404
    finally:
        await asyncio.to_thread(alone.stop)
    assert Settings().port == 4000


async def test_b18_curl_and_openais_client_and_langchain_are_served(
    gateway: GatewayProcess, owners_key: str, owner: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    body = '{"model": "claude-code-sonnet-4", "messages": [{"role": "user", "content": "what llm are you"}]}'
    curl = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--noproxy", "*", "--location", f"{gateway.base_url}/chat/completions"),
        *("--header", "Content-Type: application/json", "--header", f"Authorization: Bearer {owners_key}"),
        *("--data", body),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await curl.communicate()
    assert b'"object":"chat.completion"' in said
    completion = await owner.chat.completions.create(
        model="claude-code-sonnet-4", messages=[{"role": "user", "content": "write a short poem"}]
    )
    assert completion.choices[0].message.content
    # What ChatOpenAI of Langchain sends is OpenAI's client with a system message and a temperature.
    system = {"role": "system", "content": "You are a helpful assistant."}
    assert (await ask(owner, "claude-code-sonnet-4", [system, *USER], temperature=0.1, n=1)).choices[0].message.content
    assert sent_body(upstream)["temperature"] == 0.1


async def test_b19_a_function_is_called(owner: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    upstream.default = Script(tools=1)
    completion = await ask(owner, "claude_code_native/claude-3-opus-20240229", tools=[WEATHER], tool_choice="auto")
    [call] = completion.choices[0].message.tool_calls
    assert (call.type, call.function.name) == ("function", "get_current_weather")
    assert httpx.Response(200, content=call.function.arguments).json() == TOOL_INPUT
    assert completion.choices[0].finish_reason == "tool_calls"
    [tool] = sent_body(upstream)["tools"]
    assert (tool["name"], tool["input_schema"]) == ("get_current_weather", WEATHER_SCHEMA)
    assert sent_body(upstream)["tool_choice"] == {"type": "auto"}


async def test_b20_cache_marks_stay_on_the_blocks_of_the_system_text(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    agreement = {"type": "text", "text": "The agreement", "cache_control": {"type": "ephemeral"}}
    blocks = [{"type": "text", "text": "You analyse legal documents."}, agreement]
    await ask(owner, OLDER, [{"role": "system", "content": blocks}, *USER])
    assert sent_body(upstream)["system"] == [HEAD, *blocks]


async def test_b21_an_answer_is_held_to_a_schema(owner: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    upstream.default = Script(text=('{"country":"France",', '"capital":"Paris"}'))
    schema = {
        "type": "object",
        "properties": {"country": {"type": "string"}, "capital": {"type": "string"}},
        "required": ["country", "capital"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "capital_response", "strict": True, "schema": schema}}
    completion = await ask(owner, "claude_code_native/claude-sonnet-4-5-20250929", response_format=wanted)
    assert completion.choices[0].message.content == '{"country":"France","capital":"Paris"}'
    body = sent_body(upstream)
    # Newer versions of the API have the same object as output_config.format.
    said = body.get("output_format") or body["output_config"]["format"]
    assert said == {"type": "json_schema", "schema": schema}
    assert "oauth-2025-04-20" in str(upstream.requests[-1].header("anthropic-beta"))


async def test_b22_a_picture_in_base64_is_seen(owner: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{JPEG}"}}
    words = {"type": "text", "text": "Whats in this image?"}
    await ask(owner, "claude_code_native/claude-3-opus-20240229", [{"role": "user", "content": [words, picture]}])
    source = {"type": "base64", "media_type": "image/jpeg", "data": JPEG}
    assert sent_body(upstream)["messages"][0]["content"] == [words, {"type": "image", "source": source}]


async def test_b23_an_mcp_server_is_called_by_the_host(owner: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    server = {"server_label": "deepwiki", "server_url": "https://mcp.deepwiki.com/mcp", "require_approval": "never"}
    await ask(owner, "claude_code_native/claude-sonnet-4-20250514", tools=[{"type": "mcp", **server}])
    [sent] = sent_body(upstream)["mcp_servers"]
    assert (sent["type"], sent["url"], sent["name"]) == ("url", "https://mcp.deepwiki.com/mcp", "deepwiki")
    betas = str(upstream.requests[-1].header("anthropic-beta")).split(",")
    assert {"oauth-2025-04-20", "mcp-client-2025-04-04"} <= set(betas)


async def test_b24_the_computer_is_used(owner: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    screen = {"display_height_px": 100, "display_width_px": 100, "display_number": 1}
    tool = {"type": "computer_20241022", "function": {"name": "computer", "parameters": screen}}
    await ask(owner, "claude_code_native/claude-3-5-sonnet-20241022", tools=[tool])
    assert sent_body(upstream)["tools"] == [{"type": "computer_20241022", "name": "computer", **screen}]
    assert "computer-use-2024-10-22" in str(upstream.requests[-1].header("anthropic-beta"))


async def test_b25_the_web_is_searched(owner: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    where = {"type": "approximate", "approximate": {"city": "San Francisco"}}
    options = {"search_context_size": "medium", "user_location": where}
    await ask(owner, "claude_code_native/claude-3-5-sonnet-20241022", web_search_options=options)
    [tool] = sent_body(upstream)["tools"]
    assert (tool["name"], tool["type"].startswith("web_search_")) == ("web_search", True)
    assert tool["max_uses"] == 5
    assert tool["user_location"] == {"type": "approximate", "city": "San Francisco"}


async def test_b26_memory_is_kept(owner: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    tool = {"type": "memory_20250818", "name": "memory"}
    await ask(owner, "claude_code_native/claude-sonnet-4-5-20250929", tools=[tool])
    assert sent_body(upstream)["tools"] == [tool]
    assert "context-management-2025-06-27" in str(upstream.requests[-1].header("anthropic-beta"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("text_editor_20250124", "str_replace_editor"), ("text_editor_20250728", "str_replace_based_edit_tool")],
)
async def test_b27_the_text_editor_is_used(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream, kind: str, name: str
) -> None:
    await ask(owner, SONNET, tools=[{"type": kind, "name": name}])
    assert sent_body(upstream)["tools"] == [{"type": kind, "name": name}]


@pytest.mark.parametrize("place", ["header", "body"])
async def test_b28_further_headers_are_merged_and_the_required_ones_stay(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream, place: str
) -> None:
    more = {"anthropic-beta": "max-tokens-3-5-sonnet-2024-07-15", "anthropic-version": "1999-01-01"}
    if place == "body":
        await ask(owner, OLDER, extra_headers=more)
    else:
        messages: Any = USER
        await owner.chat.completions.create(model=OLDER, messages=messages, extra_headers=more)
    request = upstream.requests[-1]
    betas = str(request.header("anthropic-beta")).split(",")
    assert sorted(betas) == ["max-tokens-3-5-sonnet-2024-07-15", "oauth-2025-04-20"]
    assert request.header_values("anthropic-version") == ["2023-06-01"]
    assert request.header("authorization") == f"Bearer {CLAUDE_CODE_TOKEN}"


async def test_b28_a_messages_client_has_its_betas_merged_too(
    gateway: GatewayProcess, owners_key: str, upstream: RecordingUpstream
) -> None:
    http = anthropic.DefaultAsyncHttpxClient(trust_env=False)
    async with anthropic.AsyncAnthropic(api_key=owners_key, base_url=gateway.base_url, http_client=http) as client:
        messages: Any = USER
        await client.messages.create(
            model=SONNET, max_tokens=20, messages=messages, extra_headers={"anthropic-beta": "one-1,two-2"}
        )
    assert upstream.requests[-1].header("anthropic-beta") == "one-1,two-2,oauth-2025-04-20"


async def test_b29_everything_else_is_said_as_to_the_provider_anthropic(
    owner: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    fields: dict[str, Any] = {
        "tools": [WEATHER, {"type": "memory_20250818", "name": "memory"}],
        "tool_choice": {"type": "function", "function": {"name": "get_current_weather"}},
        "stop": ["END"],
        "temperature": 0.5,
        "user": "someone",
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    }
    bodies, betas = [], []
    for provider in ("anthropic", "claude_code_native"):
        await ask(owner, f"{provider}/claude-sonnet-4-5", [{"role": "system", "content": "Be brief."}, *USER], **fields)
        bodies.append(sent_body(upstream))
        betas.append(set(str(upstream.requests[-1].header("anthropic-beta")).split(",")))
    assert bodies[1].pop("system") == [HEAD, *bodies[0].pop("system")]
    assert bodies[1] == bodies[0]
    assert betas[1] - betas[0] == {"oauth-2025-04-20"}
    assert betas[0] < betas[1]


@pytest.mark.parametrize("version", ["", "/v1"])
async def test_b30_openais_paths_are_served_with_and_without_v1(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, version: str
) -> None:
    headers = {"authorization": f"Bearer {key}"}
    asked: list[tuple[str, dict[str, Any], str]] = [
        ("/chat/completions", {"model": "claude-4", "messages": USER}, "chat.completion"),
        ("/completions", {"model": "claude-4", "prompt": "Once upon a time"}, "text_completion"),
        ("/embeddings", {"model": "openai/text-embedding-3-small", "input": "Hello"}, "list"),
        ("/responses", {"model": "claude-4", "input": "Hello"}, "response"),
    ]
    for path, body, kind in asked:
        answer = await http.post(version + path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["object"]) == (200, kind), answer.text
    listed = await http.get(f"{version}/models", headers=headers)
    assert listed.json()["object"] == "list"
    one = await http.get(f"{version}/models/claude-sonnet-4-5", headers=headers)
    assert one.json()["object"] == "model"
    async with openai.AsyncOpenAI(
        api_key=key,
        base_url=str(http.base_url).rstrip("/") + version,
        http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
    ) as client:
        assert (await ask(client, "claude-4")).choices[0].message.content
    assert PROVIDER_KEY in str(upstream.requests[-1].headers)


@pytest.mark.parametrize("credential", [{}, {"authorization": "Bearer anything"}], ids=["none", "anything"])
async def test_b31_in_open_mode_nobody_needs_a_key(
    second_gateway: SecondGateway, http: httpx.AsyncClient, upstream: RecordingUpstream, credential: dict[str, str]
) -> None:
    """``open_mode: true`` in the second gateway's file; without it the same call is refused."""
    body = {"model": "claude-code-sonnet-4", "messages": [{"role": "user", "content": "what llm are you"}]}
    answer = await second_gateway.http.post("/chat/completions", json=body, headers=credential)
    assert answer.status_code == 200
    assert upstream.requests[-1].header("authorization") == f"Bearer {CLAUDE_CODE_TOKEN}"
    assert (await http.post("/chat/completions", json=body, headers=credential)).status_code == 401


async def test_b31_openais_client_says_anything(second_gateway: SecondGateway) -> None:
    client = openai.AsyncOpenAI(
        api_key="anything",
        base_url=second_gateway.process.base_url,
        http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
    )
    async with client:
        assert (await ask(client, "claude-code-sonnet-4")).choices[0].message.content
