"""A Messages request into a Conversation."""

from collections.abc import Mapping

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.block_parse import PlainContent, parse_content, plain_blocks
from app.protocols.anthropic_messages.tool_parse import parse_tool_choice, parse_tools
from app.protocols.anthropic_messages.wire import BILLING_HEAD, encode
from app.protocols.codec import Envelope
from app.protocols.conversation import Conversation, Effort, JsonFormat, Reasoning, Role, Sampling, Text, Turn
from app.protocols.envelope import read_loosely
from app.protocols.raw_json import is_null, read, text_of

_NULL = msgspec.Raw(b"null")
_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_EFFORTS: Mapping[str, Effort] = {
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_CANONICAL = frozenset(
    {
        "model",
        "messages",
        "system",
        "tools",
        "mcp_servers",
        "tool_choice",
        "stream",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
    }
)

_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_message = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_role = msgspec.json.Decoder(str).decode
_decode_float = msgspec.json.Decoder(float | None).decode
_decode_int = msgspec.json.Decoder(int | None).decode
_decode_texts = msgspec.json.Decoder(list[str] | None).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode


class _PlainMessage(msgspec.Struct, forbid_unknown_fields=True):
    role: Role
    content: PlainContent


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(msgspec.Struct):
    type: str
    schema: msgspec.Raw = _NULL


_decode_plain_messages = msgspec.json.Decoder(list[_PlainMessage]).decode
_decode_thinking = msgspec.json.Decoder(_Thinking | None).decode
_decode_format = msgspec.json.Decoder(_Format | None).decode
_decode_effort = msgspec.json.Decoder(str | None).decode


def parse_request(envelope: Envelope) -> Conversation:
    fields = envelope.fields
    extras = {name: text_of(value) for name, value in fields.items() if name not in _CANONICAL and not is_null(value)}
    tools = parse_tools(fields.get("tools", _NULL), fields.get("mcp_servers", _NULL), extras)
    choice, parallel = parse_tool_choice(fields.get("tool_choice", _NULL))
    reasoning, output_format = _parse_output(fields, extras)
    _keep_metadata(fields, envelope.customer, extras)
    return Conversation(
        model=envelope.model,
        turns=_parse_turns(fields, extras),
        instructions=_parse_system(fields.get("system", _NULL)),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        sampling=_parse_sampling(fields),
        max_output_tokens=envelope.max_output_tokens,
        reasoning=reasoning,
        output_format=output_format,
        stream=envelope.stream,
        end_user=envelope.customer,
        extras=extras,
    )


def _parse_turns(fields: Mapping[str, msgspec.Raw], extras: dict[str, str]) -> tuple[Turn, ...]:
    raw = fields.get("messages")
    if raw is None:
        raise InvalidRequest('"messages" is missing; send at least one message', param="messages")
    try:
        # At one go where all is of a kind that is canonical: prompts are long, and nearly always so.
        messages = _decode_plain_messages(raw)
    except (msgspec.DecodeError, RecursionError):
        turns = _parse_messages(raw, extras)
    else:
        turns = [
            Turn(message.role, blocks)
            for number, message in enumerate(messages)
            if (blocks := plain_blocks(message.content, message.role, f"messages.{number}.content"))
        ]
    if not turns:
        raise InvalidRequest('"messages" says nothing; send at least one message with content', param="messages")
    return tuple(turns)


def _parse_messages(raw: msgspec.Raw, extras: dict[str, str]) -> list[Turn]:
    turns: list[Turn] = []
    for number, item in enumerate(read(_decode_list, raw, "messages")):
        place = f"messages.{number}"
        message = read(_decode_message, item, place)
        asked = read(_decode_role, message.pop("role", _NULL), f"{place}.role")
        role = _ROLES.get(asked)
        if role is None:
            given = f'"{asked[:50]}"' if asked else "missing"
            said = f'"{place}.role" is {given}; it must be user, assistant or system'
            raise InvalidRequest(said, param=f"{place}.role")
        if "content" not in message:
            raise InvalidRequest(f'"{place}.content" is missing', param=f"{place}.content")
        blocks = parse_content(message.pop("content"), role, f"{place}.content")
        if blocks:
            turns.append(Turn(role, blocks))
        for name, value in message.items():
            extras[f"{place}.{name}"] = text_of(value)
    return turns


def _parse_system(raw: msgspec.Raw) -> tuple[Text, ...]:
    blocks = parse_content(raw, "system", "system")
    listed = bytes(memoryview(raw)[:1]) == b"["
    instructions: list[Text] = []
    for number, block in enumerate(blocks):
        if not isinstance(block, Text):
            raise InvalidRequest(f'"system.{number}" must be a text block', param=f"system.{number}")
        if number > 0 or not listed or not block.text.startswith(BILLING_HEAD):
            instructions.append(block)
    return tuple(instructions)


def _parse_sampling(fields: Mapping[str, msgspec.Raw]) -> Sampling:
    return Sampling(
        temperature=read(_decode_float, fields.get("temperature", _NULL), "temperature"),
        top_p=read(_decode_float, fields.get("top_p", _NULL), "top_p"),
        top_k=read(_decode_int, fields.get("top_k", _NULL), "top_k"),
        stop=tuple(read(_decode_texts, fields.get("stop_sequences", _NULL), "stop_sequences") or ()),
    )


def _parse_output(
    fields: Mapping[str, msgspec.Raw], extras: dict[str, str]
) -> tuple[Reasoning | None, JsonFormat | None]:
    config = dict(read(_decode_members, fields.get("output_config", _NULL), "output_config") or {})
    output_format = _parse_format(config.pop("format", _NULL), "output_config.format") or _parse_format(
        fields.get("output_format", _NULL), "output_format"
    )
    reasoning = _parse_reasoning(fields.get("thinking", _NULL), config.pop("effort", _NULL), extras)
    if config:
        extras["output_config"] = encode(config).decode()
    return reasoning, output_format


def _parse_format(raw: msgspec.Raw, place: str) -> JsonFormat | None:
    wanted = read(_decode_format, raw, place)
    if wanted is None:
        return None
    if wanted.type != "json_schema":
        raise InvalidRequest(f'"{place}.type" must be json_schema', param=f"{place}.type")
    schema = text_of(wanted.schema)
    if not schema.startswith("{"):
        raise InvalidRequest(f'"{place}.schema" must be an object', param=f"{place}.schema")
    return JsonFormat(schema)


def _parse_reasoning(thinking: msgspec.Raw, effort: msgspec.Raw, extras: dict[str, str]) -> Reasoning | None:
    wanted = read(_decode_thinking, thinking, "thinking")
    word = read(_decode_effort, effort, "output_config.effort")
    level = _EFFORTS.get(word) if word is not None else None
    if word is not None and level is None:
        raise InvalidRequest(
            '"output_config.effort" must be low, medium, high, xhigh or max', param="output_config.effort"
        )
    if wanted is None:
        return None if level is None else Reasoning(level)
    shown = None if wanted.display is None else wanted.display != "omitted"
    match wanted.type:
        case "enabled":
            return Reasoning(level, budget_tokens=wanted.budget_tokens, shown=shown)
        case "adaptive":
            return Reasoning(level, adaptive=True, shown=shown)
        case "disabled":
            return Reasoning("none")
        case _:
            extras["thinking"] = text_of(thinking)
            return None if level is None else Reasoning(level)


def _keep_metadata(fields: Mapping[str, msgspec.Raw], end_user: str | None, extras: dict[str, str]) -> None:
    """Metadata stays an extra, without the user: an id of Anthropic's field is not for other vendors' metadata."""
    metadata = read_loosely(fields, "metadata")
    if not isinstance(metadata, dict):
        return
    members = read(_decode_message, fields["metadata"], "metadata")
    user = members.pop("user_id", None)
    if user is not None and metadata["user_id"] not in {None, end_user}:
        extras["metadata.user_id"] = text_of(user)
    if members:
        extras["metadata"] = encode(members).decode()
