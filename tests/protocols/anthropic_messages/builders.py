"""Conversations, answers and readings in few words."""

import json
from typing import Any

from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Asked, Codec, Reading, Rendered
from app.protocols.conversation import Conversation, Text, ToolCall, ToolResult, Turn

CODEC: Codec = AnthropicMessages()
ANTHROPIC = MessagesDialect()
SONNET = "claude-sonnet-4-5-20250929"
READING = Reading(ANTHROPIC)
HELLO = Turn("user", (Text("Hello"),))
CALL = Turn("assistant", (ToolCall("call_1", "get_weather", '{"city":"Oslo"}'),))
RESULT = Turn("user", (ToolResult("call_1", (Text("4 degrees"),)),))


def conversation(model: str = SONNET, **fields: Any) -> Conversation:
    return Conversation(**({"model": model, "turns": (HELLO,)} | fields))


def rendered(model: str = SONNET, dialect: MessagesDialect = ANTHROPIC, **fields: Any) -> Rendered:
    return CODEC.render_request(conversation(model, **fields), dialect)


def body_of(given: Rendered) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(given.body)
    return body


def betas_of(given: Rendered) -> list[str]:
    return dict(given.headers).get(b"anthropic-beta", b"").decode().split(",")


def lost(given: Rendered) -> dict[str, str]:
    return {loss.field: loss.severity for loss in given.losses}


def asked(model: str = "asked-model", request_id: str = "req_1") -> Asked:
    return Asked(CODEC.read_envelope(b'{"model":"m","messages":[]}'), model, request_id, 1_790_000_000)


def parsed(**fields: Any) -> Conversation:
    body = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]} | fields
    return CODEC.parse_request(CODEC.read_envelope(json.dumps(body).encode()), ())
