"""What each client's own SDK makes of an answer, whole and streamed, through a transport that answers with it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx
import httpx2
import ollama
import openai
from google import genai
from google.genai import types as gemini

_BASE = "http://gateway.test"


@dataclass(frozen=True)
class Heard:
    """``calls`` are names and arguments; the counts are all tokens in and out, cached ones among them."""

    text: str
    calls: tuple[tuple[str, Any], ...]
    finish: str | None
    input_tokens: int
    output_tokens: int


def _transport(body: bytes, content_type: str) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(200, content=body, headers={"content-type": content_type}))


def _http(body: bytes, *, stream: bool) -> httpx2.Client:
    headers = {"content-type": "text/event-stream" if stream else "application/json"}
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=body, headers=headers)))


def _by_anthropic(body: bytes, stream: bool) -> Heard:
    with _http(body, stream=stream) as http:
        client = anthropic.Anthropic(api_key="k", base_url=_BASE, http_client=http, max_retries=0)
        asked: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        if stream:
            with client.messages.stream(**asked) as streaming:
                message = streaming.get_final_message()
        else:
            message = client.messages.create(**asked)
    usage = message.usage
    return Heard(
        text="".join(block.text for block in message.content if block.type == "text"),
        calls=tuple((block.name, block.input) for block in message.content if block.type == "tool_use"),
        finish=message.stop_reason,
        input_tokens=usage.input_tokens
        + (usage.cache_read_input_tokens or 0)
        + (usage.cache_creation_input_tokens or 0),
        output_tokens=usage.output_tokens,
    )


def _by_openai_chat(body: bytes, stream: bool) -> Heard:
    with _http(body, stream=stream) as http:
        client = openai.OpenAI(api_key="k", base_url=_BASE, http_client=http, max_retries=0)
        asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        if stream:
            with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as streaming:
                for _ in streaming:
                    pass
                completion: Any = streaming.current_completion_snapshot
        else:
            completion = client.chat.completions.create(**asked)
    (choice,) = completion.choices
    message = choice.message
    return Heard(
        text=(message.content or "") + (message.refusal or ""),
        calls=tuple((call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()),
        finish=choice.finish_reason,
        input_tokens=completion.usage.prompt_tokens,
        output_tokens=completion.usage.completion_tokens,
    )


def _by_openai_responses(body: bytes, stream: bool) -> Heard:
    with _http(body, stream=stream) as http:
        client = openai.OpenAI(api_key="k", base_url=_BASE, http_client=http, max_retries=0)
        if stream:
            with client.responses.stream(model="m", input="x") as streaming:
                response: Any = None
                for event in streaming:
                    response = getattr(event, "response", response)
        else:
            response = client.responses.create(model="m", input="x")
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    return Heard(
        text="".join(part.text if part.type == "output_text" else part.refusal for part in parts),
        calls=tuple(
            (item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"
        ),
        finish=response.status,
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
    )


def _by_google(body: bytes, stream: bool) -> Heard:
    content_type = "text/event-stream" if stream else "application/json"
    with httpx.Client(transport=_transport(body, content_type)) as http:
        options = gemini.HttpOptions(base_url=_BASE, httpx_client=http)
        client = genai.Client(api_key="k", http_options=options)
        if stream:
            answers = list(client.models.generate_content_stream(model="m", contents="x"))
        else:
            answers = [client.models.generate_content(model="m", contents="x")]
        client.close()
    candidates = [candidate for answer in answers for candidate in answer.candidates or ()]
    parts = [part for one in candidates if one.content for part in one.content.parts or ()]
    usage = answers[-1].usage_metadata
    assert usage is not None
    return Heard(
        text="".join(part.text for part in parts if part.text and not part.thought),
        calls=tuple((part.function_call.name or "", part.function_call.args) for part in parts if part.function_call),
        finish=candidates[-1].finish_reason,
        input_tokens=usage.prompt_token_count or 0,
        output_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
    )


def _by_ollama(body: bytes, stream: bool) -> Heard:
    transport = _transport(body, "application/x-ndjson" if stream else "application/json")
    client = ollama.Client(host=_BASE, transport=transport)
    messages = [{"role": "user", "content": "x"}]
    answers = list(client.chat("m", messages, stream=True)) if stream else [client.chat("m", messages)]
    client._client.close()
    calls = [call for answer in answers for call in answer.message.tool_calls or ()]
    return Heard(
        text="".join(answer.message.content or "" for answer in answers),
        calls=tuple((call.function.name, dict(call.function.arguments)) for call in calls),
        finish=answers[-1].done_reason,
        input_tokens=answers[-1].prompt_eval_count or 0,
        output_tokens=answers[-1].eval_count or 0,
    )


SDKS: dict[str, Callable[[bytes, bool], Heard]] = {
    "anthropic_messages": _by_anthropic,
    "openai_chat": _by_openai_chat,
    "openai_responses": _by_openai_responses,
    "gemini": _by_google,
    "ollama": _by_ollama,
}
