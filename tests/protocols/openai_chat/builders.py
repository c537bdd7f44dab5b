"""Requests, conversations and answers in few words."""

import json
from typing import Any

from app.protocols.codec import Asked, Codec, Reading, Rendered
from app.protocols.conversation import Conversation, Text, ToolCall, ToolResult, Turn
from app.protocols.openai_chat.codec import OpenAIChat
from app.protocols.openai_chat.dialect import ChatDialect

CODEC: Codec = OpenAIChat()
OPENAI = ChatDialect(max_tokens_field="max_completion_tokens", documents=True)
DEEPSEEK = ChatDialect(
    issuer="deepseek",
    reasoning="switch",
    takes_thoughts=True,
    json_schema=False,
    strict_tools=False,
    images=False,
    parallel_tool_calls=False,
    seed=False,
)
OPENROUTER = ChatDialect(
    issuer="openrouter",
    reasoning="object",
    thoughts_field="reasoning",
    takes_thoughts=True,
    top_k=True,
    cache_marks=True,
    documents=True,
    web_search=True,
    own_fields=frozenset({"transforms", "models", "route", "provider"}),
)
PLAIN = ChatDialect(issuer="hosted_vllm", reasoning="none")

HELLO = Turn("user", (Text("Hello"),))
CALL = Turn("assistant", (ToolCall("call_1", "get_weather", '{"city":"Oslo"}'),))
RESULT = Turn("user", (ToolResult("call_1", (Text("4 degrees"),)),))


def conversation(model: str = "gpt-4.1", **fields: Any) -> Conversation:
    return Conversation(**({"model": model, "turns": (HELLO,)} | fields))


def rendered(dialect: ChatDialect = OPENAI, model: str = "gpt-4.1", **fields: Any) -> Rendered:
    return CODEC.render_request(conversation(model, **fields), dialect)


def body_of(given: Rendered) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(given.body)
    return body


def messages_of(given: Rendered) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = body_of(given)["messages"]
    return messages


def lost(given: Rendered) -> dict[str, str]:
    return {loss.field: loss.severity for loss in given.losses}


def parsed(*messages: dict[str, Any], headers: tuple[tuple[bytes, bytes], ...] = (), **fields: Any) -> Conversation:
    body = {"model": "claude-x", "messages": list(messages) or [{"role": "user", "content": "Hello"}]} | fields
    return CODEC.parse_request(CODEC.read_envelope(json.dumps(body).encode()), headers)


def asked(**fields: Any) -> Asked:
    body = {"model": "claude-x", "messages": []} | fields
    return Asked(CODEC.read_envelope(json.dumps(body).encode()), "asked-model", "req_1", 1_795_219_200)


def reading(dialect: ChatDialect = OPENAI, **fields: Any) -> Reading:
    return Reading(dialect, **fields)
