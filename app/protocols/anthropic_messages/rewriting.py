"""What changes in a request that stays in this protocol: the model, and what the host's dialect demands."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.anthropic_messages.request_render import split_betas
from app.protocols.anthropic_messages.wire import (
    BILLING_HEAD,
    NATIVE,
    UNREADABLE,
    decode_anything,
    decode_items,
    decode_members,
    encode,
)
from app.protocols.codec import Envelope, Header, Outgoing
from app.protocols.envelope import encode_fields, splice
from app.protocols.opaque import may_hold_foreign_seals, unseal

_BETA = b"anthropic-beta"
_VERSION = b"anthropic-version"
_PROOFS = {"thinking": "signature", "redacted_thinking": "data"}
_SIGNATURE = b'"signature":'


def rewrite(envelope: Envelope, upstream_model: str, dialect: MessagesDialect, headers: Sequence[Header]) -> Outgoing:
    fields = envelope.fields
    changes: dict[str, bytes | None] = {"model": encode(upstream_model)}
    sent: tuple[Header, ...] = ()
    if dialect.version_in_body is not None:
        changes |= {"model": None, "anthropic_version": encode(dialect.version_in_body)}
        if not dialect.stream_in_body:
            changes["stream"] = None
        sent = ((_VERSION, b""),)
        if dialect.betas_in_body:
            betas = _betas(headers, dialect, _listed(fields.get("anthropic_beta")))
            changes["anthropic_beta"] = encode(betas) if betas else None
            sent = ((_BETA, b""), (_VERSION, b""))
    elif dialect.betas:
        sent = ((_BETA, ",".join(_betas(headers, dialect, [])).encode()),)
    if dialect.system_head is not None and (system := _with_head(fields.get("system"), dialect.system_head)):
        changes["system"] = system
    if _may_hold_foreign_thinking(envelope.body):
        messages = _without_foreign_thinking(fields.get("messages"), dialect)
        if messages is not None:
            changes["messages"] = messages
    return Outgoing(splice(envelope.body, fields, changes), headers=sent)


def _betas(headers: Sequence[Header], dialect: MessagesDialect, listed: Sequence[str]) -> list[str]:
    """The caller's first, each once."""
    asked = [beta for name, value in headers if name.lower() == _BETA for beta in split_betas(value.decode("latin-1"))]
    return list(dict.fromkeys((*listed, *asked, *dialect.betas)))


def _listed(raw: msgspec.Raw | None) -> list[str]:
    value = None if raw is None else _decoded(raw)
    return [beta for beta in value if isinstance(beta, str)] if isinstance(value, list) else []


def _decoded(raw: msgspec.Raw) -> Any:  # noqa: ANN401
    try:
        return decode_anything(raw)
    except UNREADABLE:
        return None


def _with_head(raw: msgspec.Raw | None, head: str) -> bytes | None:
    """``system`` with a first block of ``head``; None where it is there already, or is not ours to mend.

    The billing block of Claude Code keeps the first place: its host takes it out by position.
    """
    block = encode({"type": "text", "text": head})
    system = None if raw is None else _decoded(raw)
    if system is None:
        return b"[%b]" % block
    if isinstance(system, str):
        if system == head:
            return None
        return b"[%b,%b]" % (block, encode({"type": "text", "text": system})) if system else b"[%b]" % block
    if raw is None or not isinstance(system, list):
        return None
    after = 1 if system and _text_of(system[0]).startswith(BILLING_HEAD) else 0
    if len(system) > after and _text_of(system[after]) == head:
        return None
    parts: list[bytes | memoryview] = [memoryview(item) for item in decode_items(raw)]
    parts.insert(after, block)
    return b"[%b]" % b",".join(parts)


def _text_of(block: object) -> str:
    text = block.get("text") if isinstance(block, dict) else None
    return text if isinstance(text, str) else ""


def _may_hold_foreign_thinking(body: bytes) -> bool:
    """Thinking of a host that signs nothing was handed out with an empty signature."""
    if may_hold_foreign_seals(body):
        return True
    place = body.find(_SIGNATURE)
    while place >= 0:
        place += len(_SIGNATURE)
        if body[place : place + 3].lstrip().startswith(b'""'):
            return True
        place = body.find(_SIGNATURE, place)
    return False


def _without_foreign_thinking(raw: msgspec.Raw | None, dialect: MessagesDialect) -> bytes | None:
    """``messages`` without thinking that another issuer sealed, or none; None where nothing changes.

    A message that holds nothing else is left out. What cannot be read is the host's to judge.
    """
    try:
        messages = decode_items(raw) if raw is not None else []
        kept = [_mended(message, dialect) for message in messages]
    except UNREADABLE:
        return None
    if all(mended is message for mended, message in zip(kept, messages, strict=True)):
        return None
    return b"[%b]" % b",".join(memoryview(message) for message in kept if message is not None)


def _mended(message: msgspec.Raw, dialect: MessagesDialect) -> msgspec.Raw | bytes | None:
    body = bytes(message)
    if not _may_hold_foreign_thinking(body):
        return message
    members = decode_members(message)
    content = members.get("content")
    if content is None or not bytes(content).startswith(b"["):
        return message
    blocks = decode_items(content)
    kept = [_mended_block(block, dialect) for block in blocks]
    if all(mended is block for mended, block in zip(kept, blocks, strict=True)):
        return message
    parts = [memoryview(block) for block in kept if block is not None]
    if not parts:
        return None
    return encode_fields(members, {"content": b"[%b]" % b",".join(parts)})


def _mended_block(block: msgspec.Raw, dialect: MessagesDialect) -> msgspec.Raw | bytes | None:
    members: Mapping[str, Any] = decode_anything(block)
    place = _PROOFS.get(str(members.get("type"))) if isinstance(members, dict) else None
    written = members.get(place) if place is not None else None
    if place is None or not isinstance(written, str):
        return block
    if not written:
        return None
    proof = unseal(written, NATIVE)
    if proof.data == written:
        return block
    if proof.issuer != dialect.issuer or not proof.data:
        return None
    return encode_fields(decode_members(block), {place: encode(proof.data)})
