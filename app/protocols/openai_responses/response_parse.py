"""A host's whole answer, and the parts of one that its stream tells too."""

from typing import Any

import msgspec

from app.base.errors import UpstreamUnreadable
from app.protocols.codec import Reading
from app.protocols.conversation import (
    Base64Source,
    Block,
    Foreign,
    Image,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from app.protocols.events import FinishReason, Generation
from app.protocols.opaque import Seal
from app.protocols.openai_responses import seals
from app.protocols.openai_responses.usage import usage_of
from app.protocols.openai_responses.wire import NO_RAW, PROTOCOL, citation_of, encode
from app.protocols.raw_json import text_of
from app.protocols.scanning import UNREADABLE

_FINISHES: dict[object, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_WHOLE = ("completed", "incomplete", None)  # compatible hosts may leave it out


class OutputPart(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    refusal: str = ""
    annotations: list[msgspec.Raw] | None = None


class OutputItem(msgspec.Struct, gc=False):
    """One of an answer's ``output``, of any type."""

    type: str = ""
    id: str | None = None
    content: list[OutputPart] | None = None
    summary: list[OutputPart] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    result: str | None = None
    output_format: str | None = None


class WireResponse(msgspec.Struct, gc=False):
    id: Any = None
    model: Any = None
    status: Any = None
    output: list[msgspec.Raw] | None = None
    usage: Any = None
    tool_usage: Any = None
    error: Any = None
    incomplete_details: Any = None
    service_tier: msgspec.Raw = NO_RAW


decode_response = msgspec.json.Decoder(WireResponse).decode
_decode_item = msgspec.json.Decoder(OutputItem).decode
_decode_type = msgspec.json.Decoder(dict[str, Any]).decode


def parse_response(body: bytes, reading: Reading) -> Generation:
    provider = reading.dialect.issuer
    try:
        response = decode_response(body)
    except UNREADABLE as error:
        raise UpstreamUnreadable("the host's answer is no response object", provider=provider) from error
    if response.output is None or response.status not in _WHOLE:
        message = error_message(response.error) or f"the host's answer is not whole, but {response.status or 'nothing'}"
        raise UpstreamUnreadable(message, provider=provider)
    blocks = tuple(block for raw in response.output for block in blocks_of(raw, reading))
    return Generation(
        generation_id=as_text(response.id),
        model=as_text(response.model),
        blocks=blocks,
        finish=finish_of(response, called=any(isinstance(block, ToolCall) for block in blocks)),
        usage=usage_of(response.usage, response.tool_usage, response.service_tier),
        extras=extras_of(response),
    )


def read_item(raw: msgspec.Raw) -> OutputItem | None:
    """An item as its type says; of one whose members have other types than those known here, the type alone."""
    try:
        return _decode_item(raw)
    except UNREADABLE:
        pass
    try:
        kind = _decode_type(raw).get("type")
    except UNREADABLE:
        return None
    return OutputItem(f"unreadable {kind}") if isinstance(kind, str) else None


def blocks_of(raw: msgspec.Raw, reading: Reading) -> list[Block]:
    item = read_item(raw)
    if item is None or not item.type:
        return []
    match item.type:
        case "message":
            parts = (block_of(part) for part in item.content or ())
            return [block for block in parts if block is not None]
        case "reasoning":
            text, seal = thoughts_of(item), seal_of(item, reading)
            return [Thinking(text, seal)] if text or seal is not None else []
        case "function_call" | "custom_tool_call":
            return [call_of(item, reading, (arguments_of(item) or "").strip() or "{}")]
        case "image_generation_call" if item.result:
            return [image_of(item, item.result)]
        case kind:
            return [Foreign(PROTOCOL, kind.removeprefix("unreadable "), text_of(raw))]


def block_of(part: OutputPart) -> Text | Refusal | None:
    """A part of a message; None for one that is not known."""
    match part.type:
        case "output_text":
            return Text(part.text, tuple(found for one in part.annotations or () if (found := citation_of(one))))
        case "refusal":
            return Refusal(part.refusal)
        case _:
            return None


def thoughts_of(item: OutputItem) -> str:
    """The summary, else the thoughts themselves."""
    return _joined(item.summary) or _joined(item.content)


def seal_of(item: OutputItem, reading: Reading) -> Seal | None:
    if not item.encrypted_content:
        return None
    return seals.native_seal(reading.dialect.issuer, item.id, item.encrypted_content)


def call_of(item: OutputItem, reading: Reading, arguments: str) -> ToolCall:
    name = item.name or ""
    return ToolCall(item.call_id or item.id or "", reading.names.get(name, name), arguments)


def arguments_of(item: OutputItem) -> str | None:
    """None where the item does not tell them yet."""
    if item.type == "custom_tool_call":
        return None if item.input is None else encode({"input": item.input}).decode()
    return item.arguments


def image_of(item: OutputItem, result: str) -> Image:
    return Image(Base64Source(f"image/{item.output_format or 'png'}", result))


def finish_of(response: WireResponse, *, called: bool) -> FinishReason:
    if response.status == "incomplete":
        details = response.incomplete_details
        reason = details.get("reason") if isinstance(details, dict) else None
        if isinstance(reason, str) and reason in _FINISHES:
            return _FINISHES[reason]
    return "tool_calls" if called else "stop"


def extras_of(response: WireResponse) -> dict[str, str]:
    raw = text_of(response.service_tier)
    return {} if raw == "null" else {"service_tier": raw}


def as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def error_message(error: object) -> str | None:
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) and message else None


def error_code(error: object) -> str | None:
    code = error.get("code") or error.get("type") if isinstance(error, dict) else None
    return code if isinstance(code, str) and code else None


def _joined(parts: list[OutputPart] | None) -> str:
    return "\n\n".join(part.text for part in parts or () if part.text)
