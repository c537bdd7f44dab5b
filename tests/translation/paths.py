"""Every way from a client's protocol to a host's, for tests that go them all."""

from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Asked, Codec, Dialect, Envelope, PathFacts, Rendered
from app.protocols.conversation import Conversation
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.ollama.dialect import OllamaDialect
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.openai_responses.dialect import ResponsesDialect
from app.protocols.registry import all_codecs
from tests.translation.features import COUNTRY, HELLO, Feature

CODECS = all_codecs()
NAMES = {
    "anthropic_messages": "Messages",
    "openai_chat": "Chat",
    "openai_responses": "Responses",
    "gemini": "Gemini",
    "ollama": "Ollama",
}
HOSTS: dict[str, tuple[Dialect, str]] = {
    "anthropic_messages": (MessagesDialect(), "claude-sonnet-4-5"),
    "openai_chat": (ChatDialect(documents=True), "gpt-4.1"),
    "openai_responses": (ResponsesDialect(), "gpt-4.1"),
    "gemini": (GeminiDialect(), "gemini-2.5-pro"),
    "ollama": (OllamaDialect(), "llama3.2"),
}
"""The plainest host of each protocol, and a model of its."""
_REASONING = {"openai_chat": "gpt-5", "openai_responses": "gpt-5", "ollama": "gpt-oss:20b"}
_GENEROUS = {**HOSTS, "openai_chat": (ChatDialect(documents=True, cache_marks=True, top_k=True), "gpt-4.1")}

_TEXT = {"type": "text", "text": HELLO.text}
CHAT_EXTENSIONS: dict[str, dict[str, Any]] = {
    "citations": {
        "messages": [
            {
                "role": "user",
                "content": [
                    _TEXT,
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "It rains in Paris."},
                        "title": "Notes",
                        "citations": {"enabled": True},
                    },
                ],
            }
        ]
    },
    "mcp": {"tools": [{"type": "mcp", "server_label": "deepwiki", "server_url": "https://mcp.example.org/mcp"}]},
    "hosted_tool": {"tools": [{"type": "memory_20250818", "name": "memory"}]},
    "web_search": {"web_search_options": {"search_context_size": "medium"}},
}
"""What a chat client says in LiteLLM's extensions, since OpenAI's own protocol has no words for it."""


def client_body(front: str, feature: Feature) -> bytes | None:
    """The request of a client of ``front``; None where its protocol cannot say this."""
    if front == "openai_chat" and feature.name in CHAT_EXTENSIONS:
        plain = {
            "model": "the-model",
            "max_completion_tokens": 1000,
            "messages": [{"role": "user", "content": [_TEXT]}],
        }
        return msgspec.json.encode({**plain, **CHAT_EXTENSIONS[feature.name]})
    dialect, model = _GENEROUS[front]
    model = _REASONING.get(front, model) if feature.thinks else model
    conversation = msgspec.structs.replace(feature.conversation, model=model)
    try:
        rendered = CODECS[front].render_request(conversation, dialect)
    except InvalidRequest:
        return None
    return None if rendered.losses else rendered.body


def envelope_of(front: str, body: bytes, *, stream: bool = False) -> Envelope:
    return CODECS[front].read_envelope(body, PathFacts("the-model", stream=stream))


def as_heard(front: str, body: bytes) -> Conversation:
    """What the gateway makes of a client's request."""
    return CODECS[front].parse_request(envelope_of(front, body), ())


def to_host(conversation: Conversation, host: str, *, thinks: bool = False) -> Rendered:
    dialect, model = HOSTS[host]
    model = _REASONING.get(host, model) if thinks else model
    return CODECS[host].render_request(msgspec.structs.replace(conversation, model=model), dialect)


def asked(front: str, *, stream: bool = False) -> Asked:
    bodies: dict[str, Any] = {"openai_chat": {"messages": [], "stream_options": {"include_usage": True}}}
    body = {"model": "the-model", "stream": stream, "messages": [], "input": "x", **bodies.get(front, {})}
    envelope = envelope_of(front, msgspec.json.encode(body), stream=stream)
    return Asked(envelope=envelope, model="the-model", request_id="req_1", created_unix=1_700_000_000)


def codec(name: str) -> Codec:
    return CODECS[name]


__all__ = ["CODECS", "COUNTRY", "HOSTS", "NAMES", "as_heard", "asked", "client_body", "codec", "envelope_of", "to_host"]
