"""The words of a Messages answer: stop reasons, error types, and blocks as they come."""

from collections.abc import Iterable, Mapping

import msgspec

from app.protocols.anthropic_messages.block_parse import parse_citation
from app.protocols.anthropic_messages.wire import PROTOCOL, UNREADABLE
from app.protocols.codec import Reading
from app.protocols.conversation import Block, Citation, Foreign, Text, Thinking, ToolCall
from app.protocols.events import FinishReason
from app.protocols.opaque import Seal
from app.protocols.raw_json import text_of

_FINISHES: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "pause",
}
STOP_REASONS: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "pause": "pause_turn",
}
ERROR_STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
NO_EXTRAS = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage", "delta", "error"}
)


class AnswerBlock(msgspec.Struct):
    """The members that some block of an answer has; of which kind it is, ``type`` says."""

    type: str
    text: str | None = None
    citations: list[msgspec.Raw] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Kind(msgspec.Struct):
    type: str


class _Tier(msgspec.Struct):
    service_tier: str | None = None


KNOWN_KINDS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})

_decode_block = msgspec.json.Decoder(AnswerBlock).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_tier = msgspec.json.Decoder(_Tier).decode
_decode_word = msgspec.json.Decoder(str).decode


def read_block(raw: msgspec.Raw) -> AnswerBlock | None:
    """None for what is no block. Of a kind that is not ours to read there is the kind alone."""
    try:
        kind = _decode_kind(raw).type
        return _decode_block(raw) if kind in KNOWN_KINDS else AnswerBlock(kind)
    except UNREADABLE:
        return None


def as_block(block: AnswerBlock, raw: msgspec.Raw, reading: Reading) -> Block:
    """A whole block in canonical form."""
    match block.type:
        case "text":
            return Text(block.text or "", tuple(read_citations(block.citations or ())))
        case "thinking":
            signature = block.signature
            return Thinking(block.thinking or "", Seal(reading.dialect.issuer, signature) if signature else None)
        case "redacted_thinking":
            return Thinking("", Seal(reading.dialect.issuer, block.data), redacted=True)
        case "tool_use" if block.name == reading.json_tool:
            return Text(text_of(block.input))
        case "tool_use":
            return ToolCall(block.id, reading.names.get(block.name, block.name), text_of(block.input))
        case _:
            return Foreign(PROTOCOL, block.type, text_of(raw))


def read_citations(raws: Iterable[msgspec.Raw]) -> Iterable[Citation]:
    for raw in raws:
        try:
            yield parse_citation(raw)
        except UNREADABLE:
            continue


def finish_of(stop_reason: str | None, *, called: bool) -> FinishReason:
    """``called``: tools were called that are the client's to run. It decides between stop and tool_calls, since some
    hosts say either for both, and the tool that stands for JSON is no call."""
    finish = _FINISHES.get(stop_reason or "", "stop")
    if finish in {"stop", "tool_calls"}:
        return "tool_calls" if called else "stop"
    return finish


def extras_of(members: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    """What an answer says beyond its blocks, usage and end; nothing that is null."""
    return {
        name: text for name, value in members.items() if name not in NO_EXTRAS and (text := text_of(value)) != "null"
    }


def tier_of(usage: msgspec.Raw | bytes) -> dict[str, str]:
    try:
        tier = _decode_tier(usage).service_tier
    except UNREADABLE:
        return {}
    return {} if tier is None else {"service_tier": msgspec.json.encode(tier).decode()}


def word_of(raw: msgspec.Raw | None) -> str | None:
    if raw is None:
        return None
    try:
        return _decode_word(raw)
    except UNREADABLE:
        return None
