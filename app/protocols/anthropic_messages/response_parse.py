"""A whole Messages answer into a Generation."""

from collections.abc import Mapping

import msgspec

from app.base.errors import UpstreamUnreadable
from app.protocols.anthropic_messages.answer import as_block, extras_of, finish_of, read_block, tier_of, word_of
from app.protocols.anthropic_messages.refusals import parse_error
from app.protocols.anthropic_messages.usage import usage_of
from app.protocols.anthropic_messages.wire import UNREADABLE, decode_anything, decode_items, decode_members
from app.protocols.codec import Reading
from app.protocols.conversation import ToolCall
from app.protocols.events import Generation

_NULL = msgspec.Raw(b"null")


def parse_response(body: bytes, reading: Reading) -> Generation:
    try:
        body.decode()  # nested text is kept as it came, and must be text
        members = decode_members(body)
        raw_blocks = decode_items(members["content"])
        usage = usage_of(decode_anything(members.get("usage", _NULL)))
    except (*UNREADABLE, KeyError) as error:
        provider = reading.dialect.issuer
        said = "the provider's answer is no message of the Messages API"
        if b'"error"' in body:  # some hosts refuse with a 200
            said = f"{said}: {parse_error(502, body, provider).message}"
        raise UpstreamUnreadable(said, provider=provider) from error
    blocks = tuple(as_block(block, raw, reading) for raw in raw_blocks if (block := read_block(raw)) is not None)
    return Generation(
        generation_id=word_of(members.get("id")) or "",
        model=word_of(members.get("model")) or "",
        blocks=blocks,
        finish=finish_of(
            word_of(members.get("stop_reason")), called=any(isinstance(block, ToolCall) for block in blocks)
        ),
        usage=usage,
        stop_sequence=word_of(members.get("stop_sequence")),
        extras=_extras(members),
    )


def _extras(members: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    return tier_of(members.get("usage", _NULL)) | extras_of(members)
