"""A Generation as a Messages answer, for clients of this protocol."""

import re
from typing import Any

import msgspec

from app.domain.usage import Usage
from app.protocols.anthropic_messages.answer import STOP_REASONS
from app.protocols.anthropic_messages.block_render import RAW_ARGUMENTS
from app.protocols.anthropic_messages.wire import NATIVE, PROTOCOL
from app.protocols.codec import Asked
from app.protocols.conversation import (
    Base64Source,
    Block,
    Citation,
    Foreign,
    Image,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    UrlSource,
)
from app.protocols.events import FinishReason, Generation
from app.protocols.naming import fitting_id
from app.protocols.opaque import Seal, seal
from app.protocols.raw_json import is_object, raw_of

Json = Any
"""A dict to be encoded, or a msgspec.Raw."""
_ID_HEAD = "msg_"
_LONGEST_ID = 128
_refused_in_ids = re.compile(r"[^a-zA-Z0-9_-]").sub


def render_response(generation: Generation, asked: Asked) -> bytes:
    blocks = [written for block in generation.blocks if (written := render_answer_block(block)) is not None]
    return msgspec.json.encode(
        {
            "id": message_id(generation.generation_id, asked),
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": blocks,
            "stop_reason": stop_reason(
                generation.finish,
                called=any(isinstance(block, ToolCall) for block in generation.blocks),
                refused=any(isinstance(block, Refusal) for block in generation.blocks),
            ),
            "stop_sequence": generation.stop_sequence,
            "usage": render_usage(generation.usage or Usage()),
        }
    )


def message_id(generation_id: str, asked: Asked) -> str:
    """The host's id where it has the form of this protocol, else one made of it."""
    bare = _refused_in_ids("", (generation_id or asked.request_id).removeprefix(_ID_HEAD))
    return _ID_HEAD + bare[:_LONGEST_ID]


def stop_reason(finish: FinishReason, *, called: bool, refused: bool) -> str:
    """Calls decide, not the host's word: some say stop for both."""
    if finish == "stop" and refused:
        return "refusal"
    if finish == "stop" and called:
        return "tool_use"
    return STOP_REASONS[finish]


def render_usage(usage: Usage) -> dict[str, Any]:
    """Audio is counted among the tokens, since there is no other place for it."""
    fields: dict[str, Any] = {
        "input_tokens": usage.input + usage.audio_input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output + usage.audio_output,
    }
    if usage.reasoning:
        fields["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.web_searches:
        fields["server_tool_use"] = {"web_search_requests": usage.web_searches, "web_fetch_requests": 0}
    return fields


def render_answer_block(block: Block) -> Json | None:
    """None for what has nothing to say: an empty text would be refused when it comes back."""
    match block:
        case Text(text, citations):
            return _render_text(text, citations)
        case Thinking():
            return _render_thinking(block)
        case ToolCall(call_id, name, arguments):
            return {"type": "tool_use", "id": fitting_id(call_id), "name": name, "input": _object_of(arguments)}
        case Refusal(text):
            return _render_text(text, ())
        case Foreign():
            return render_foreign(block)
        case Image():
            return _render_text(image_note(block), ())
        case _:  # no answer holds any other
            return None


def render_citation(citation: Citation) -> Json | None:
    """None for one that names no address: there is nothing to point at."""
    if citation.protocol == PROTOCOL:
        return raw_of(citation.raw)
    if citation.url is None:
        return None
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.cited_text or "",
        "encrypted_index": "",
    }


def render_foreign(block: Foreign) -> Json | None:
    if block.protocol == PROTOCOL:
        return raw_of(block.raw)
    return _render_text(block.text or "", ())


def image_note(block: Image) -> str:
    """What stands for an image, since an answer of this protocol holds none."""
    match block.source:
        case UrlSource(url):
            return f"[image: {url}]"
        case Base64Source(media_type):
            return f"[an image of type {media_type}]"
        case _:
            return "[an image]"


def sealed(proof: Seal | None) -> str:
    return "" if proof is None else seal(proof, NATIVE)


def _render_text(text: str, citations: tuple[Citation, ...]) -> dict[str, Any] | None:
    if not text:
        return None
    rendered: dict[str, Any] = {"type": "text", "text": text}
    told = [written for citation in citations if (written := render_citation(citation)) is not None]
    if told:
        rendered["citations"] = told
    return rendered


def _render_thinking(block: Thinking) -> dict[str, Any] | None:
    written = sealed(block.seal)
    if block.redacted:
        return {"type": "redacted_thinking", "data": written} if written else None
    if not block.text and not written:
        return None
    return {"type": "thinking", "thinking": block.text, "signature": written}


def _object_of(arguments: str) -> Json:
    bare = arguments.strip()
    if bare in {"", "null"}:
        return {}
    return raw_of(bare) if is_object(bare) else {RAW_ARGUMENTS: arguments}
