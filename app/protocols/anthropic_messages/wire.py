"""Words of the Messages API that its readers and writers share."""

import msgspec

from app.protocols.conversation import CacheMark

PROTOCOL = "anthropic_messages"
NATIVE = "anthropic"
"""Whose seals stand bare in this protocol's opaque fields."""
BILLING_HEAD = "x-anthropic-billing-header:"
"""How the first system block of Claude Code begins, which is for Anthropic's own host alone."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_anything = msgspec.json.Decoder().decode
encode = msgspec.json.encode


class WireCache(msgspec.Struct):
    ttl: str | None = None


def as_mark(cache: WireCache | None) -> CacheMark | None:
    return None if cache is None else CacheMark(cache.ttl)


def wire_mark(cache: CacheMark) -> dict[str, str]:
    return {"type": "ephemeral"} if cache.ttl is None else {"type": "ephemeral", "ttl": cache.ttl}
