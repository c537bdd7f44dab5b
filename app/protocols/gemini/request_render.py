"""A Conversation as a request to Gemini."""

from collections.abc import Mapping

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.codec import Dialect, Envelope, Outgoing, Reading, Rendered
from app.protocols.conversation import Conversation
from app.protocols.envelope import splice
from app.protocols.gemini import seals
from app.protocols.gemini.config_render import render_config, render_extras
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.gemini.models import facts_of
from app.protocols.gemini.parts_render import ContentsRendering
from app.protocols.gemini.proto import find, find_value
from app.protocols.gemini.tools_render import client_names, render_tools
from app.protocols.losses import Losses, refuse_suffix
from app.protocols.output_limits import within_limits

_SIGNATURES = ("thoughtSignature", "thought_signature")
_CALLS = ("functionCall", "function_call")

Body = dict[str, object]


def as_gemini(dialect: Dialect) -> GeminiDialect:
    return dialect if isinstance(dialect, GeminiDialect) else GeminiDialect(dialect.issuer)


def render_request(conversation: Conversation, dialect: GeminiDialect) -> Rendered:
    losses = Losses()
    refuse_suffix(conversation.extras, "Gemini")
    conversation = within_limits(conversation, losses)
    facts = facts_of(conversation.model)
    rendering = ContentsRendering(dialect, facts, losses)
    contents = rendering.render(conversation.turns)
    if not contents:
        raise InvalidRequest("there is nothing to answer; Gemini needs at least one message", param="messages")
    body: Body = {"contents": contents}
    instructions = [{"text": text.text} for text in conversation.instructions if text.text]
    if instructions:
        body["systemInstruction"] = {"parts": instructions}
    if any(text.cache is not None for text in conversation.instructions):
        losses.drop("cache_control")
    body |= render_tools(conversation, dialect, facts, losses)
    config = render_config(conversation, facts, losses)
    if config:
        body["generationConfig"] = config
    body |= render_extras(conversation, dialect, losses)
    reading = Reading(dialect, client_names(conversation))
    return Rendered(
        msgspec.json.encode(body),
        reading,
        losses=losses.gathered(),
        max_output_tokens=conversation.max_output_tokens,
    )


def rewrite(envelope: Envelope, upstream_model: str, dialect: GeminiDialect) -> Outgoing:
    """The body as it came but for what no host takes: seals of other issuers, and labels where it has none.

    The model is in the path, so one in the body goes.
    """
    changes: dict[str, bytes | None] = {"model": None}
    if not dialect.vertex:
        changes["labels"] = None
    if b'"' + seals.TAGGED_PREFIX.encode() in envelope.body and find(envelope.fields, "contents") is not None:
        kept = _without_foreign_seals(
            find_value(envelope.fields, "contents"), dialect.issuer, signed_calls=facts_of(upstream_model).signed_calls
        )
        changes["contents"] = msgspec.json.encode(kept)
    changes = {name: value for name, value in changes.items() if name in envelope.fields}
    return Outgoing(splice(envelope.body, envelope.fields, changes))


def _without_foreign_seals(contents: object, issuer: str, *, signed_calls: bool) -> object:
    listed = contents if isinstance(contents, list) else [contents]
    kept: list[object] = []
    for content in listed:
        parts = content.get("parts") if isinstance(content, dict) else None
        if not isinstance(content, dict) or parts is None:
            kept.append(content)
            continue
        cleared = [
            clear
            for part in (parts if isinstance(parts, list) else [parts])
            if (clear := _cleared(part, issuer, signed_calls=signed_calls)) is not None
        ]
        if cleared or not parts:
            kept.append({**content, "parts": cleared})
    return kept


def _cleared(part: object, issuer: str, *, signed_calls: bool) -> object | None:
    """The part without a foreign seal; None for a thought, of which nothing is left without it."""
    name = next((name for name in _SIGNATURES if isinstance(part, dict) and isinstance(part.get(name), str)), None)
    if name is None or not isinstance(part, dict):
        return part
    seal, _ = seals.read(part[name])
    if seal.issuer == seals.NATIVE:
        return part
    if seal.issuer == issuer:
        return {**part, name: seal.data}
    if any(part.get(call) is not None for call in _CALLS):
        return {**part, name: seals.DUMMY} if signed_calls else _without(part, name)
    if part.get("thought") or not part.get("text"):
        return None
    return _without(part, name)


def _without(part: Mapping[str, object], name: str) -> Body:
    return {key: value for key, value in part.items() if key != name}
