"""What a call says of itself, for the books: session, agent, prompt, program, project, tags, and what it was for."""

from collections.abc import Mapping
from typing import get_args
from urllib.parse import unquote

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
    """Each once: those of the key, of the body, of the headers."""
    tags = dict.fromkeys((*principal.key.tags, *envelope.tags))
    for name, value in call.headers:
        if name == b"x-litellm-tags":
            tags.update(dict.fromkeys(tag for part in header_text(value).split(",") if (tag := part.strip())))
        elif name.startswith(b"x-keyhouse-tag-"):
            tag = f"{header_text(name[15:])}:{header_text(value)}"
            tags.pop(tag, None)
            tags[tag] = None
    return tuple(tags)


def project_of(tags: tuple[str, ...], principal: Principal) -> str | None:
    """The last tag ``project:NAME`` (so a header's before the key's), else what the key's or team's metadata say."""
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
    if b"%" not in value:
        return value.decode("latin-1").replace("\x00", "")[:256]
    return unquote(value.decode("latin-1")).replace("\x00", "")[:256]
