"""Part D, Ollama: both of its endpoints, JSON mode, tools with and without the model's own support, pictures."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from app.providers.host_table import HOSTS
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.script import TOOL_INPUT, Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.asking import USER, WEATHER, ask, hear, text_of
from tests.seeds.conftest import sent_body

pytestmark = [pytest.mark.services, pytest.mark.contract]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MODELS = (
    "mistral", "mistral-7B-Instruct-v0.1", "mistral-7B-Instruct-v0.2", "mistral-8x7B-Instruct-v0.1",
    "mixtral-8x22B-Instruct-v0.1", "llama2", "llama2:13b", "llama2:70b", "llama2-uncensored", "codellama", "llama3",
    "llama3:70b", "orca-mini", "vicuna", "nous-hermes", "nous-hermes:13b", "wizard-vicuna",
)  # fmt: skip
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


@pytest.mark.parametrize(("prefix", "path"), [("ollama_chat", "/api/chat"), ("ollama", "/api/generate")])
async def test_d10_each_prefix_has_its_endpoint(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, prefix: str, path: str
) -> None:
    completion = await ask(openai_client, f"{prefix}/llama2")
    assert completion.choices[0].message.content
    assert (upstream.requests[-1].path, sent_body(upstream)["model"]) == (path, "llama2")
    assert sent_body(upstream)["stream"] is False


async def test_d11_it_is_asked_where_api_base_says_and_else_on_this_machine(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    assert {HOSTS[name].default_base for name in ("ollama", "ollama_chat")} == {"http://localhost:11434"}
    await ask(openai_client, "llama-outside-the-container")
    assert upstream.requests[-1].header("host") == f"localhost:{upstream.port}"


@pytest.mark.parametrize("model", ["ollama/llama2", "ollama_chat/llama2"])
async def test_d12_an_answer_is_streamed_to_the_async_and_to_the_plain_client(
    gateway: GatewayProcess,
    openai_client: openai.AsyncOpenAI,
    key: str,
    upstream: RecordingUpstream,
    model: str,
) -> None:
    upstream.default = Script(text=("I am ", "a ", "llama."))
    assert text_of(await hear(openai_client, model)) == "I am a llama."

    def hear_plainly() -> list[Any]:
        http = openai.DefaultHttpxClient(trust_env=False)
        with openai.OpenAI(api_key=key, base_url=gateway.base_url, http_client=http) as client:
            messages: Any = USER
            return list(client.chat.completions.create(model=model, messages=messages, stream=True))

    assert text_of(await asyncio.to_thread(hear_plainly)) == "I am a llama."
    assert sent_body(upstream)["stream"] is True


@pytest.mark.parametrize("model", ["ollama/llama2", "ollama_chat/llama2"])
async def test_d13_json_mode_is_its_format_and_the_maximum_its_option(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    await ask(openai_client, model, format="json", max_tokens=10)
    body = sent_body(upstream)
    assert (body["format"], body["options"]) == ("json", {"num_predict": 10})
    await ask(openai_client, model, response_format={"type": "json_object"})
    assert sent_body(upstream)["format"] == "json"


@pytest.mark.parametrize("model", ["ollama_chat/llama3.1", "llama-outside-the-container"])
async def test_d14_a_model_that_knows_tools_or_is_declared_so_is_given_them(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    upstream.default = Script(tools=1, text=("",))
    choice = (await ask(openai_client, model, tools=[WEATHER])).choices[0]
    assert [tool["function"]["name"] for tool in sent_body(upstream)["tools"]] == ["get_current_weather"]
    call = choice.message.tool_calls[0]
    assert (choice.finish_reason, call.function.name) == ("tool_calls", "get_current_weather")
    assert json.loads(call.function.arguments) == TOOL_INPUT


@pytest.mark.parametrize("model", ["llama-without-tools", "ollama/llama2"])
async def test_d14_a_model_that_is_declared_without_tools_calls_them_in_json_mode(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    said = json.dumps({"name": "get_current_weather", "arguments": {"location": "Boston, MA"}})
    upstream.default = Script(text=(said[:20], said[20:]))
    choice = (await ask(openai_client, model, tools=[WEATHER])).choices[0]
    body = sent_body(upstream)
    assert "tools" not in body
    assert body["format"] == "json"
    assert "get_current_weather" in (body.get("system") or body["messages"][0]["content"])
    call = choice.message.tool_calls[0]
    assert (choice.finish_reason, call.function.name) == ("tool_calls", "get_current_weather")
    assert json.loads(call.function.arguments) == {"location": "Boston, MA"}
    chunks = await hear(openai_client, model, tools=[WEATHER])
    parts = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert json.loads("".join(part.function.arguments or "" for part in parts)) == {"location": "Boston, MA"}


async def test_d15_a_text_completion_asks_api_generate_with_its_prompt_and_suffix(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("    return a + b",))
    completion = await openai_client.completions.create(
        model="ollama/llama3.1", prompt="def add(a, b):\n", suffix="\n\nprint(add(1, 2))", max_tokens=20
    )
    assert completion.choices[0].text == "    return a + b"
    body = sent_body(upstream)
    assert upstream.requests[-1].path == "/api/generate"
    assert (body["prompt"], body["suffix"]) == ("def add(a, b):\n", "\n\nprint(add(1, 2))")


@pytest.mark.parametrize("model", MODELS)
async def test_d16_each_of_the_models_named_is_asked_by_its_own_name(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    await ask(openai_client, f"ollama/{model}")
    assert sent_body(upstream)["model"] == model


async def test_d17_an_answer_is_held_to_a_json_schema(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=('{"name": "Llama"}',))
    wanted = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    completion = await ask(openai_client, "ollama_chat/deepseek-r1", response_format=wanted)
    assert sent_body(upstream)["format"] == SCHEMA
    assert json.loads(completion.choices[0].message.content) == {"name": "Llama"}


@pytest.mark.parametrize("url", [PIXEL, f"data:image/png;base64,{PIXEL}"], ids=["bare base64", "data url"])
async def test_d18_a_picture_may_be_base64_without_a_prefix(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, url: str
) -> None:
    parts = [{"type": "text", "text": "Whats in this image?"}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [{"role": "user", "content": parts}]
    await ask(openai_client, "ollama/llava", messages)
    assert (sent_body(upstream)["prompt"], sent_body(upstream)["images"]) == ("Whats in this image?", [PIXEL])
    await ask(openai_client, "ollama_chat/llava", messages)
    assert sent_body(upstream)["messages"][0]["images"] == [PIXEL]


async def test_d19_the_answer_is_openais_with_its_usage(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=(" Hello! I acknowledge.",), input_tokens=18, output_tokens=25)
    answer = await http.post(
        "/chat/completions",
        headers={"authorization": f"Bearer {key}"},
        json={"model": "ollama/llama2", "messages": USER},
    )
    completion = answer.json()
    assert completion["object"] == "chat.completion"
    assert completion["id"].startswith("chatcmpl-")
    assert (completion["model"], type(completion["created"])) == ("ollama/llama2", int)
    choice = completion["choices"][0]
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert (choice["message"]["role"], choice["message"]["content"]) == ("assistant", " Hello! I acknowledge.")
    counted = {name: completion["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    assert counted == {"prompt_tokens": 18, "completion_tokens": 25, "total_tokens": 43}


async def test_d20_an_ollama_outside_the_container_is_reached_by_the_name_of_its_machine(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    """As host.docker.internal: plain HTTP to a name that only the machine's own resolver knows."""
    completion = await ask(openai_client, "llama-outside-the-container")
    assert completion.choices[0].message.content
    assert upstream.requests[-1].header("host") == f"localhost:{upstream.port}"
