"""A request for a host of the same protocol: the caller's bytes, but for what the host would refuse or we must know."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.protocols.codec import Dialect, Envelope, Outgoing
from app.protocols.envelope import encode_fields, read_loosely, splice
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.openai_chat.headers import wanted_headers
from app.protocols.openai_chat.models import traits_of

Fields = Mapping[str, msgspec.Raw]

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_messages = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode

# Members of messages that are LiteLLM's and ours, and one that is DeepSeek's.
_FOREIGN_MEMBERS = {
    name: b'"%b"' % name.encode() for name in ("thinking_blocks", "provider_specific_fields", "reasoning_content")
}


def rewrite(envelope: Envelope, upstream_model: str, dialect: Dialect) -> Outgoing:
    """Beside ``model``: a stream is asked to count its usage, since without that there is nothing to bill by, and
    a list of tags is taken out of the metadata, since OpenAI refuses values there that are no texts.
    """
    fields = envelope.fields
    changes: dict[str, bytes | None] = {"model": msgspec.json.encode(upstream_model)}
    if _has_tags(fields):
        changes["metadata"] = _without_tags(fields)
    withhold = envelope.stream and not wants_usage(fields)
    if withhold:
        changes["stream_options"] = _with_usage(fields)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    extra = read_loosely(fields, "extra_headers")
    if isinstance(extra, dict):
        changes["extra_headers"] = None
        headers = tuple((name.encode(), value.encode()) for name, value in wanted_headers(extra))
    if isinstance(dialect, ChatDialect):
        changes |= _demands(fields, upstream_model, dialect)
    return Outgoing(splice(envelope.body, fields, changes), withhold_usage=withhold, headers=headers)


def wants_usage(fields: Fields) -> bool:
    options = read_loosely(fields, "stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _demands(fields: Fields, upstream_model: str, dialect: ChatDialect) -> dict[str, bytes | None]:
    """What this host needs to be otherwise."""
    changes: dict[str, bytes | None] = {}
    limit = fields.get("max_completion_tokens")
    knows_only_old = dialect.max_tokens_field == "max_tokens" and not dialect.is_inventor
    if limit is not None and knows_only_old and not traits_of(upstream_model).only_new_limit:
        changes["max_completion_tokens"] = None
        if bytes(limit) != b"null":
            changes["max_tokens"] = bytes(limit)
    if dialect.reasoning == "switch":
        changes |= _switched(fields)
    changes |= _without_foreign_members(fields, dialect)
    return changes


def _switched(fields: Fields) -> dict[str, bytes | None]:
    """DeepSeek's switch from OpenAI's effort and Anthropic's budget: it knows neither."""
    thinking = read_loosely(fields, "thinking")
    if isinstance(thinking, dict):
        changes: dict[str, bytes | None] = {"reasoning_effort": None} if "reasoning_effort" in fields else {}
        if "budget_tokens" in thinking:
            changes["thinking"] = encode_fields(_decode_members(fields["thinking"]), {"budget_tokens": None})
        return changes
    effort = read_loosely(fields, "reasoning_effort")
    if effort is None:
        return {}
    kind = b"disabled" if effort == "none" else b"enabled"
    return {"reasoning_effort": None, "thinking": b'{"type":"%b"}' % kind}


def _without_foreign_members(fields: Fields, dialect: ChatDialect) -> dict[str, bytes | None]:
    """Thoughts and extensions of an earlier answer, which a client hands back as it got them, go to no host that does
    not know them: most refuse a message with a member that they do not know."""
    raw = fields.get("messages")
    body = b"" if raw is None else bytes(raw)
    foreign = [
        name
        for name, written in _FOREIGN_MEMBERS.items()
        if written in body and not (dialect.takes_thoughts and name == dialect.thoughts_field)
    ]
    if not foreign:
        return {}
    try:
        messages = _decode_messages(body)
    except msgspec.DecodeError:
        return {}
    if not any(name in message for message in messages for name in foreign):
        return {}
    without: dict[str, Any] = dict.fromkeys(foreign)
    return {"messages": b"[%b]" % b",".join(encode_fields(message, without) for message in messages)}


def _has_tags(fields: Fields) -> bool:
    metadata = read_loosely(fields, "metadata")
    return isinstance(metadata, dict) and isinstance(metadata.get("tags"), list)


def _without_tags(fields: Fields) -> bytes | None:
    """The metadata's other members as they came; None when there are none."""
    members = _decode_members(fields["metadata"])
    del members["tags"]
    return encode_fields(members, {}) if members else None


def _with_usage(fields: Fields) -> bytes:
    raw = fields.get("stream_options")
    options = {} if raw is None or bytes(raw) == b"null" else _decode_members(raw)
    return encode_fields(options, {"include_usage": b"true"})
