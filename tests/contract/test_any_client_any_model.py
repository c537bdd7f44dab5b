"""The official SDKs through the gateway to models of other protocols: every answer parses, every stream adds up."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest
from google import genai
from google.genai import types

from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import TOOL_INPUT, Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
QUESTION = "Grüße aus Zürich 👋, wie ist das Wetter?"
TEXT = ("Es regnet – ", "in Zürich. ☔")
MODELS = ("claude-sonnet-4-6", "gpt-5", "gpt-5-responses", "gemini-2.5-pro", "deepseek-reasoner", "llama", "router")
PROVIDERS_NAMES = {"gpt-5-responses": "gpt-5", "router": "meta/llama"}
"""What a client of the host's own protocol hears: the provider's bytes."""
CLIENTS = ("anthropic", "chat", "responses", "gemini", "ollama")


@dataclass
class Said:
    """What an SDK made of an answer."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    thinking: str = ""
    finish: str = ""
    tokens: tuple[int, int] = (0, 0)
    """Everything that went in, and everything that came out."""


class Clients:
    """One SDK for each client protocol, all with one virtual key."""

    def __init__(self, base_url: str, key: str) -> None:
        self.anthropic = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=base_url,
            max_retries=0,
            http_client=anthropic.DefaultAsyncHttpxClient(trust_env=False),
        )
        self.openai = openai.AsyncOpenAI(
            api_key=key,
            base_url=f"{base_url}/v1",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
        )
        self._http = httpx.AsyncClient(trust_env=False, timeout=30)
        options = types.HttpOptions(base_url=base_url, httpx_async_client=self._http)
        self.gemini = genai.Client(api_key=key, http_options=options)
        self.ollama = ollama.AsyncClient(base_url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)

    async def close(self) -> None:
        await self.anthropic.close()
        await self.openai.close()
        await self._http.aclose()
        self.gemini.close()
        await self.ollama.close()  # type: ignore[no-untyped-call]

    async def ask(self, client: str, model: str, *, stream: bool, tools: bool) -> Said:
        asking: dict[str, Callable[[str, bool, bool], Awaitable[Said]]] = {
            "anthropic": self._ask_anthropic,
            "chat": self._ask_chat,
            "responses": self._ask_responses,
            "gemini": self._ask_gemini,
            "ollama": self._ask_ollama,
        }
        return await asking[client](model, stream, tools)

    async def _ask_anthropic(self, model: str, stream: bool, tools: bool) -> Said:
        fields: Any = {"model": model, "max_tokens": 3000, "messages": [{"role": "user", "content": QUESTION}]}
        if tools:
            fields["tools"] = [{"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}]
        if stream:
            async with self.anthropic.messages.stream(**fields) as streaming:
                message: Any = await streaming.get_final_message()
        else:
            message = await self.anthropic.messages.create(**fields)
        usage = message.usage
        went_in = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        said = Said(finish=message.stop_reason, tokens=(went_in, usage.output_tokens))
        for block in message.content:
            if block.type == "text":
                said.text += block.text
            elif block.type == "thinking":
                said.thinking += block.thinking
            elif block.type == "tool_use":
                said.calls.append((block.name, block.input))
        assert message.model in {model, PROVIDERS_NAMES.get(model)}
        return said

    async def _ask_chat(self, model: str, stream: bool, tools: bool) -> Said:
        fields: Any = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
        if tools:
            function = {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}
            fields["tools"] = [{"type": "function", "function": function}]
        if stream:
            fields["stream_options"] = {"include_usage": True}
            async with self.openai.chat.completions.stream(**fields) as streaming:
                completion: Any = await streaming.get_final_completion()
        else:
            completion = await self.openai.chat.completions.create(**fields)
        choice = completion.choices[0]
        calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or []]
        assert completion.model in {model, PROVIDERS_NAMES.get(model)}
        return Said(
            choice.message.content or "",
            calls,
            getattr(choice.message, "reasoning_content", None) or "",
            choice.finish_reason,
            (completion.usage.prompt_tokens, completion.usage.completion_tokens),
        )

    async def _ask_responses(self, model: str, stream: bool, tools: bool) -> Said:
        fields: Any = {"model": model, "input": QUESTION, "store": False}
        if tools:
            fields["tools"] = [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}]
        if stream:
            async with self.openai.responses.stream(**fields) as streaming:
                async for _ in streaming:
                    pass
                response: Any = await streaming.get_final_response()
        else:
            response = await self.openai.responses.create(**fields)
        said = Said(response.output_text, finish=response.status)
        said.tokens = (response.usage.input_tokens, response.usage.output_tokens)
        for item in response.output:
            if item.type == "function_call":
                said.calls.append((item.name, json.loads(item.arguments)))
            elif item.type == "reasoning":
                said.thinking += "".join(part.text for part in item.summary)
        assert response.model in {model, PROVIDERS_NAMES.get(model)}
        return said

    async def _ask_gemini(self, model: str, stream: bool, tools: bool) -> Said:
        config = types.GenerateContentConfig()
        if tools:
            declaration = types.FunctionDeclaration(
                name="get_weather", description="Weather", parameters_json_schema=SCHEMA
            )
            config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declaration])])
        said = Said()
        if stream:
            chunks = [
                chunk
                async for chunk in await self.gemini.aio.models.generate_content_stream(
                    model=model, contents=QUESTION, config=config
                )
            ]
        else:
            chunks = [await self.gemini.aio.models.generate_content(model=model, contents=QUESTION, config=config)]
        for chunk in chunks:
            self._add_gemini(said, chunk)
        return said

    @staticmethod
    def _add_gemini(said: Said, chunk: types.GenerateContentResponse) -> None:
        candidate = (chunk.candidates or [types.Candidate()])[0]
        for part in (candidate.content.parts if candidate.content else None) or []:
            if part.function_call:
                said.calls.append((part.function_call.name or "", part.function_call.args))
            elif part.thought:
                said.thinking += part.text or ""
            else:
                said.text += part.text or ""
        said.finish = str(candidate.finish_reason.value) if candidate.finish_reason else said.finish
        if usage := chunk.usage_metadata:
            output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
            said.tokens = (usage.prompt_token_count or 0, output)

    async def _ask_ollama(self, model: str, stream: bool, tools: bool) -> Said:
        fields: Any = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
        if tools:
            function = {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}
            fields["tools"] = [{"type": "function", "function": function}]
        lines: list[Any] = []
        if stream:
            lines += [line async for line in await self.ollama.chat(**fields, stream=True)]
        else:
            lines.append(await self.ollama.chat(**fields))
        said = Said()
        for line in lines:
            said.text += line.message.content or ""
            said.thinking += line.message.thinking or ""
            said.calls += [(c.function.name, dict(c.function.arguments)) for c in line.message.tool_calls or []]
        said.finish = lines[-1].done_reason
        said.tokens = (lines[-1].prompt_eval_count, lines[-1].eval_count)
        return said


@pytest.fixture
async def key(admin: Admin) -> str:
    return await admin.generate()


@pytest.fixture
async def clients(gateway: GatewayProcess, key: str) -> AsyncIterator[Clients]:
    clients = Clients(gateway.base_url, key)
    yield clients
    await clients.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", MODELS)
async def test_every_client_hears_the_same_text_and_usage_and_each_call_has_one_exact_receipt(
    clients: Clients, upstream: RecordingUpstream, admin: Admin, key: str, model: str, stream: bool
) -> None:
    upstream.bill.entries.clear()
    upstream.default = Script(text=TEXT, output_tokens=9, input_tokens=17, split=5)
    finishes = {"anthropic": "end_turn", "chat": "stop", "responses": "completed", "gemini": "STOP", "ollama": "stop"}
    for client in CLIENTS:
        said = await clients.ask(client, model, stream=stream, tools=False)
        assert (said.text, said.calls, said.finish, said.tokens) == ("".join(TEXT), [], finishes[client], (17, 9)), (
            client
        )
    rows = await admin.receipts(key, len(CLIENTS))
    assert [(row["prompt_tokens"], row["completion_tokens"], row["metadata"]["usage_source"]) for row in rows] == [
        (17, 9, "provider")
    ] * len(CLIENTS)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", MODELS)
async def test_every_client_gets_parallel_tool_calls_and_the_thoughts_before_them(
    clients: Clients, upstream: RecordingUpstream, model: str, stream: bool
) -> None:
    upstream.default = Script(text=("Moment.",), thinking=True, tools=2, output_tokens=40, reasoning_tokens=10)
    for client in CLIENTS:
        said = await clients.ask(client, model, stream=stream, tools=True)
        assert said.calls == [("get_weather", TOOL_INPUT)] * 2, client
        assert said.text == "Moment.", client
        if client != "chat" or not stream:  # the SDK's accumulator keeps no field that it does not know
            assert said.thinking.startswith("The user asks"), client
        assert said.finish in {"tool_use", "tool_calls", "completed", "STOP", "stop"}, client


async def test_errors_of_a_host_come_in_the_words_of_each_client(clients: Clients, upstream: RecordingUpstream) -> None:
    upstream.default = Script(error=429, message="Slow down, please.", retry_after="7")
    with pytest.raises(anthropic.RateLimitError, match="Slow down") as caught:
        await clients.ask("anthropic", "gemini-2.5-pro", stream=True, tools=False)
    assert caught.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.RateLimitError, match="Slow down"):
        await clients.ask("chat", "claude-sonnet-4-6", stream=False, tools=False)
    with pytest.raises(openai.RateLimitError, match="Slow down"):
        await clients.ask("responses", "llama", stream=False, tools=False)
    with pytest.raises(genai.errors.ClientError, match="Slow down"):
        await clients.ask("gemini", "gpt-5", stream=False, tools=False)
    with pytest.raises(ollama.ResponseError, match="Slow down"):
        await clients.ask("ollama", "claude-sonnet-4-6", stream=False, tools=False)


async def test_a_token_count_is_answered_for_every_model_and_costs_nothing(
    clients: Clients, upstream: RecordingUpstream, admin: Admin, key: str
) -> None:
    for model in MODELS:
        counted = await clients.anthropic.messages.count_tokens(
            model=model, messages=[{"role": "user", "content": QUESTION}]
        )
        assert counted.input_tokens > 0, model
        count = await clients.gemini.aio.models.count_tokens(model=model, contents=QUESTION)
        assert count.total_tokens, model
    assert await admin.receipts(key, 1, timeout_s=0.5) == []


async def test_a_stream_of_another_protocol_that_breaks_off_is_no_answer(
    clients: Clients, upstream: RecordingUpstream, admin: Admin, key: str
) -> None:
    upstream.default = Script(text=("a" * 40,) * 20, cut_after=6)
    for client, model in (("anthropic", "gemini-2.5-pro"), ("chat", "claude-sonnet-4-6"), ("responses", "llama")):
        with pytest.raises((anthropic.APIError, openai.APIError, RuntimeError)):  # as each SDK says it
            await asyncio.wait_for(clients.ask(client, model, stream=True, tools=False), 60)
    assert len(await admin.receipts(key, 3)) == 3
