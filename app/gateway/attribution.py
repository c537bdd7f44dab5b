"""What a call says of itself, for the books: session, agent, prompt, program, project, tags, and what it was for."""

from collections.abc import Mapping
from itertools import compress, islice
from operator import itemgetter
from typing import get_args
from urllib.parse import unquote

import msgspec

from app.base.errors import InvalidRequest
from app.domain.access import Principal
from app.domain.spend import RequestClass
from app.gateway.call import Call
from app.protocols.codec import Envelope

SESSION_HEADER = b"x-claude-code-session-id"
AGENT_HEADER = b"x-claude-code-agent-id"
PARENT_AGENT_HEADER = b"x-claude-code-parent-agent-id"
AGENT_TYPE_HEADER = b"x-claude-code-agent-type"
PROMPT_HEADER = b"x-claude-code-prompt-id"
_CLASS_HEADER = b"x-claude-code-request-class"
_CLASSES: Mapping[bytes, RequestClass] = {
    name.encode(): name for name in get_args(RequestClass) if name not in ("probe", "batch", "unknown")
}
_PROJECT = "project:"
_LISTED_TAGS = b"x-litellm-tags"
# Kong's and Helicone's beside our own: the rest of the header's name is the tag's.
_NAMED_TAGS = (b"x-keyhouse-tag-", b"helicone-property-", b"ai-cost-")
# Portkey's and Cloudflare's: a JSON object of names and values.
_METADATA_TAGS = frozenset({b"x-portkey-metadata", b"cf-aig-metadata"})
_MOST_ENTRIES = 16
MOST_TAGS = 100
"""That a call itself may name."""
# Nearly no header of a plain call begins like one of these, so one look at the beginning tells.
_BEGINNING_BYTES = 8
_BEGINNINGS = frozenset(name[:_BEGINNING_BYTES] for name in (_LISTED_TAGS, *_NAMED_TAGS, *_METADATA_TAGS))
_NAME, _BEGINNING = itemgetter(0), itemgetter(slice(_BEGINNING_BYTES))
_NO_TOOLS = (b"[]", b"null")


def class_of(headers: Mapping[bytes, bytes], envelope: Envelope) -> RequestClass:
    """As Claude Code says itself where it gives hints; else told from what its kinds of calls look like.

    A call of one output token asks whether a model answers. A turn of Claude Code always has tools; what has none is a
    title or another helper.
    """
    if (said := headers.get(_CLASS_HEADER)) is not None and said in _CLASSES:
        return _CLASSES[said]
    if envelope.max_output_tokens == 1:
        return "probe"
    if SESSION_HEADER not in headers:
        return "unknown"
    if AGENT_HEADER in headers:
        return "subagent"
    tools = envelope.fields.get("tools")
    return "auxiliary" if tools is None or bytes(tools) in _NO_TOOLS else "main"


def tags_of(call: Call, principal: Principal, envelope: Envelope) -> tuple[str, ...]:
    """Each once: those of the key, of the body, of the headers: ours, LiteLLM's and those of other gateways.

    Raises InvalidRequest for more than ``MOST_TAGS`` beside the key's: what it costs is added up under each of them.
    """
    tags = dict.fromkeys((*principal.key.tags, *envelope.tags))
    may_name = map(_BEGINNINGS.__contains__, map(_BEGINNING, map(_NAME, call.headers)))
    for name, value in compress(call.headers, may_name):
        for tag in _tags_in(name, value):
            # The last one named stands last, as it names the project.
            tags.pop(tag, None)
            tags[tag] = None
    if len(tags) > MOST_TAGS and (own := len(tags.keys() - set(principal.key.tags))) > MOST_TAGS:
        raise InvalidRequest(f"the call names {own} tags; name {MOST_TAGS} at the most", param="tags")
    return tuple(tags)


def _tags_in(name: bytes, value: bytes) -> list[str]:
    if name == _LISTED_TAGS:
        return [tag for part in header_text(value).split(",") if (tag := part.strip())]
    if name in _METADATA_TAGS:
        return _metadata_tags(value)
    for prefix in _NAMED_TAGS:
        if name.startswith(prefix) and len(name) > len(prefix):
            return [f"{header_text(name[len(prefix) :])}:{header_text(value)}"]
    return []


def _metadata_tags(value: bytes) -> list[str]:
    """Of an object of texts, numbers and booleans. What cannot be read is no tag, and no reason to refuse a call."""
    try:
        entries = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        texts = {name: _scalar_text(bytes(raw)) for name, raw in islice(entries.items(), _MOST_ENTRIES)}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return [f"{_bounded(name)}:{_bounded(text)}" for name, text in texts.items() if name and text]


def _scalar_text(raw: bytes) -> str:
    """A number as it is written; nothing for null, an array or an object."""
    if raw[:1] == b'"':
        return msgspec.json.decode(raw, type=str)
    return "" if raw[:1] in (b"n", b"[", b"{") else raw.decode()


def project_of(tags: tuple[str, ...], principal: Principal) -> str | None:
    """The project that the key belongs to; else the last tag ``project:NAME`` (so a header's before the key's), else
    what the key's or team's metadata say."""
    if principal.key.project_id is not None:
        return principal.key.project_id
    for tag in reversed(tags):
        if tag.startswith(_PROJECT) and len(tag) > len(_PROJECT):
            return tag[len(_PROJECT) :]
    team = principal.team
    said = principal.key.metadata.get("project") or (None if team is None else team.metadata.get("project"))
    return said[:256] if isinstance(said, str) and said else None


def client_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The first product of the user agent: ``claude-cli/2.1.329``."""
    agent = headers.get(b"user-agent")
    return None if agent is None else header_text(agent.split(b" ", 1)[0])[:100] or None


def header_text(value: bytes | None) -> str:
    """A header's value as text that Postgres can store: percent-decoded, without NUL, at most 256 characters."""
    if value is None:
        return ""
    text = value.decode("latin-1")
    return _bounded(text if b"%" not in value else unquote(text))


def _bounded(text: str) -> str:
    return text.replace("\x00", "")[:256]
