"""A Conversation as a Messages request, for Anthropic's API and the hosts that speak like it."""

import re
from typing import Any

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.block_render import LONGEST_NAME
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.anthropic_messages.draft import (
    CODE_EXECUTION,
    CONTEXT_MANAGEMENT,
    SKILLS,
    STRUCTURED_OUTPUTS,
    TARGET,
    Draft,
)
from app.protocols.anthropic_messages.schemas import acceptable
from app.protocols.anthropic_messages.thinking_render import Plan, plan_thinking, render_sampling, render_stop
from app.protocols.anthropic_messages.tool_render import Toolbox, render_tool_choice, render_tools
from app.protocols.anthropic_messages.turn_render import Transcript
from app.protocols.anthropic_messages.wire import decode_anything, encode
from app.protocols.codec import Header, Reading, Rendered
from app.protocols.conversation import Conversation
from app.protocols.losses import refuse_suffix
from app.protocols.naming import renamed
from app.protocols.raw_json import raw_of

# The newest version refuses sampling parameters even at their defaults; this one takes all that we say.
VERSION = "2023-06-01"
BETA_HEADER = "anthropic-beta"

_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_LONGEST_USER = 256
_mail = re.compile(r"[^\s@]+@[^\s@]+").search
_phone = re.compile(r"\+?[\d\s().\-/]{7,}").fullmatch
_PRIVATE_HEADERS = frozenset(
    {
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "proxy-authorization",
        "cookie",
        "host",
        "connection",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "accept-encoding",
        "te",
        "trailer",
        "upgrade",
        "anthropic-version",
    }
)
_header_name = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+").fullmatch


def render_request(conversation: Conversation, dialect: MessagesDialect) -> Rendered:
    refuse_suffix(conversation.extras, TARGET)
    draft = Draft(conversation, dialect)
    plan = plan_thinking(draft)
    transcript = Transcript(draft)
    transcript.take_instructions()
    transcript.take_turns()
    box = render_tools(draft)
    fields: dict[str, Any] = {} if dialect.version_in_body else {"model": conversation.model}
    fields["max_tokens"] = plan.max_tokens
    if transcript.system:
        fields["system"] = transcript.system
    fields["messages"] = transcript.messages
    fields |= _tool_fields(draft, box, plan)
    fields |= render_sampling(draft, plan)
    if stop := render_stop(draft):
        fields["stop_sequences"] = stop
    if plan.thinking is not None:
        fields["thinking"] = plan.thinking
    fields |= _output_fields(draft, plan)
    fields |= _own_extras(draft)
    if conversation.stream and dialect.stream_in_body:
        fields["stream"] = True
    draft.drop_unclaimed()
    headers = _render_headers(draft)
    if dialect.version_in_body is not None:
        fields["anthropic_version"] = dialect.version_in_body
        if draft.betas and dialect.betas_in_body:
            fields["anthropic_beta"] = draft.betas
    return Rendered(
        body=_encoded(fields),
        reading=Reading(dialect, renamed(box.names, longest=LONGEST_NAME), box.json_tool),
        headers=headers,
        losses=draft.losses.gathered(),
        max_output_tokens=plan.max_tokens,
    )


def _encoded(fields: dict[str, Any]) -> bytes:
    try:
        return encode(fields)
    except RecursionError as error:
        raise InvalidRequest("the request is nested too deeply; flatten its schemas") from error


def _tool_fields(draft: Draft, box: Toolbox, plan: Plan) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if box.tools:
        fields["tools"] = box.tools
    if (choice := render_tool_choice(draft, box, thinks=plan.thinks)) is not None:
        fields["tool_choice"] = choice
    if box.servers:
        fields["mcp_servers"] = box.servers
    return fields


def _output_fields(draft: Draft, plan: Plan) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    config: dict[str, Any] = {} if plan.effort is None else {"effort": plan.effort}
    if (written := draft.claim("output_config")) is not None:
        given = decode_anything(written.encode())
        if not isinstance(given, dict):
            raise InvalidRequest('"output_config" must be an object', param="output_config")
        config |= given
    own = draft.claim("output_format")
    wanted = draft.conversation.output_format
    format_: Any = None if own is None else raw_of(own)
    if wanted is not None and wanted.schema is not None and draft.traits.structured:
        schema = acceptable(wanted.schema, "response_format.json_schema.schema")
        format_ = {"type": "json_schema", "schema": schema}
    if format_ is not None and draft.traits.format_in_config:
        config.setdefault("format", format_)
    elif format_ is not None:
        fields["output_format"] = format_
    if config:
        fields["output_config"] = config
    if "output_format" in fields:
        draft.ask_for((STRUCTURED_OUTPUTS,))
    return fields


def _own_extras(draft: Draft) -> dict[str, Any]:
    """What clients of other protocols may send in this one's own words."""
    fields: dict[str, Any] = {}
    if (management := draft.claim("context_management")) is not None:
        if management.startswith("{"):
            fields["context_management"] = raw_of(management)
            draft.ask_for((CONTEXT_MANAGEMENT,))
        else:  # a list is OpenAI's
            draft.losses.drop("context_management")
    if (container := draft.claim("container")) is not None:
        fields["container"] = raw_of(container)
        draft.ask_for((CODE_EXECUTION, SKILLS) if container.startswith("{") else (CODE_EXECUTION,))
    if (cache := draft.claim("cache_control")) is not None:
        fields["cache_control"] = raw_of(cache)
    if (written := draft.claim("service_tier")) is not None:
        tier = decode_anything(written.encode())
        if isinstance(tier, str) and tier in _TIERS:
            fields["service_tier"] = _TIERS[tier]
        else:
            draft.losses.drop("service_tier")
    if (user := _opaque_user(draft)) is not None:
        fields["metadata"] = {"user_id": user}
    return fields


def _opaque_user(draft: Draft) -> str | None:
    """The API asks for an opaque id, and for no name, e-mail address or telephone number."""
    user = draft.conversation.end_user
    if user is None:
        return None
    if len(user) > _LONGEST_USER or _mail(user) or _phone(user) or any(character.isspace() for character in user):
        draft.losses.drop("user")
        return None
    return user


def _render_headers(draft: Draft) -> tuple[Header, ...]:
    headers: dict[str, str] = {} if draft.dialect.version_in_body else {"anthropic-version": VERSION}
    for name, value in draft.conversation.headers:
        if name == BETA_HEADER:
            draft.ask_for(split_betas(value))
        elif name in _PRIVATE_HEADERS or not _header_name(name) or not (value.isascii() and value.isprintable()):
            draft.losses.drop(f"extra_headers.{name}")
        else:
            headers[name] = value
    if draft.betas and not draft.dialect.betas_in_body:
        headers[BETA_HEADER] = ",".join(draft.betas)
    return tuple((name.encode(), value.encode()) for name, value in headers.items())


def split_betas(value: str) -> list[str]:
    return [beta for part in value.split(",") if (beta := part.strip()).isascii() and beta.isprintable() and beta]
