"""Every way from a client's protocol to a host's, for tests that go them all."""

from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Asked, Codec, Dialect, Envelope, PathFacts, Rendered
from app.protocols.conversation import Conversation, Thinking, Turn
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.ollama.dialect import OllamaDialect
from app.protocols.opaque import Seal
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.openai_responses.dialect import ResponsesDialect
from app.protocols.registry import all_codecs
from tests.translation.client_words import PLAINEST, SILENT, WORDS
from tests.translation.features import Feature

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
_FRONTS: dict[str, tuple[tuple[Dialect, str], ...]] = {
    **{front: (host,) for front, host in HOSTS.items()},
    "openai_chat": ((ChatDialect(documents=True, cache_marks=True, top_k=True), "gpt-4.1"),),
    "anthropic_messages": (HOSTS["anthropic_messages"], (MessagesDialect(), "claude-opus-4-8")),
}
"""Whose words the clients of a protocol use: the first who says a thing without any loss."""


def client_body(front: str, feature: Feature) -> bytes | None:
    """The request of a client of ``front``; None where its protocol cannot say this."""
    if front in SILENT.get(feature.name, ()):
        return None
    words = WORDS.get(front, {}).get(feature.name)
    if words is not None:
        return msgspec.json.encode({**PLAINEST[front], **words})
    for dialect, model in _FRONTS[front]:
        model = _REASONING.get(front, model) if feature.thinks else model
        conversation = msgspec.structs.replace(feature.conversation, model=model)
        try:
            rendered = CODECS[front].render_request(_by_its_vendor(conversation, dialect), dialect)
        except InvalidRequest:
            continue
        if not rendered.losses:
            return rendered.body
    return None


def _by_its_vendor(conversation: Conversation, dialect: Dialect) -> Conversation:
    """With the thoughts of the history sealed by who issues them in this protocol."""
    with_id = isinstance(dialect, ResponsesDialect)
    turns = tuple(
        Turn(
            turn.role,
            tuple(
                Thinking(block.text, Seal(dialect.issuer, f"rs_1:{block.seal.data}" if with_id else block.seal.data))
                if isinstance(block, Thinking) and block.seal
                else block
                for block in turn.blocks
            ),
        )
        for turn in conversation.turns
    )
    return msgspec.structs.replace(conversation, turns=turns)


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


__all__ = ["CODECS", "HOSTS", "NAMES", "as_heard", "asked", "client_body", "codec", "envelope_of", "to_host"]
