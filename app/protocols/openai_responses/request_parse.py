"""A client's request as a Conversation."""

from collections.abc import Callable, Mapping
from typing import TypeVar, get_args

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.codec import Envelope
from app.protocols.conversation import Conversation, Effort, JsonFormat, Reasoning, Sampling, Text
from app.protocols.envelope import read_loosely
from app.protocols.openai_responses.input_parse import parse_input
from app.protocols.openai_responses.tools_parse import parse_choice, parse_tools
from app.protocols.openai_responses.wire import NO_RAW, decode_members, encode, is_given, read
from app.protocols.raw_json import is_object, text_of

_READ = frozenset(
    {
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "temperature",
        "top_p",
        "max_output_tokens",
        "reasoning",
        "text",
        "stream",
        "user",
        "safety_identifier",
    }
)
# What means nothing when it has this value, so that leaving it out is no loss.
_IDLE: dict[str, object] = {"store": False, "background": False, "truncation": "disabled", "include": []}
T = TypeVar("T")
_STATEFUL = ("previous_response_id", "conversation", "prompt")
_SEALED_REASONING = "reasoning.encrypted_content"
_EFFORTS: dict[str, Effort] = {effort: effort for effort in get_args(Effort)}


class _Format(msgspec.Struct, gc=False):
    type: str = "text"
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = NO_RAW
    strict: bool | None = None


class _TextConfig(msgspec.Struct, gc=False):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct, gc=False):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


_decode_text = msgspec.json.Decoder(_TextConfig | None).decode
_decode_reasoning = msgspec.json.Decoder(_Reasoning | None).decode
_decode_number = msgspec.json.Decoder(float | None).decode
_decode_string = msgspec.json.Decoder(str | None).decode
_decode_boolean = msgspec.json.Decoder(bool | None).decode
_decode_strings = msgspec.json.Decoder(list[str] | None).decode


def parse_request(envelope: Envelope) -> Conversation:
    fields = envelope.fields
    _refuse_state(fields)
    leading, turns = parse_input(fields.get("input"))
    if not turns:
        raise InvalidRequest('"input" says nothing; send a text or a message of role "user"', param="input")
    instructions = _string(fields, "instructions")
    tool_choice, tools = parse_choice(fields.get("tool_choice"), parse_tools(fields.get("tools")))
    text = _optional(fields, "text", _decode_text) or _TextConfig()
    return Conversation(
        model=envelope.model,
        turns=turns,
        instructions=(Text(instructions), *leading) if instructions else leading,
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=_optional(fields, "parallel_tool_calls", _decode_boolean),
        sampling=Sampling(
            temperature=_optional(fields, "temperature", _decode_number),
            top_p=_optional(fields, "top_p", _decode_number),
        ),
        max_output_tokens=envelope.max_output_tokens,
        reasoning=_parse_reasoning(fields),
        output_format=_parse_format(text.format),
        stream=envelope.stream,
        end_user=_string(fields, "safety_identifier") or _string(fields, "user"),
        extras=_extras(fields, text.verbosity),
    )


def _refuse_state(fields: Mapping[str, msgspec.Raw]) -> None:
    for name in _STATEFUL:
        if is_given(fields.get(name)):
            raise InvalidRequest(
                f'"{name}" needs an answer or a prompt that is stored, and this gateway keeps no state for models of '
                'other hosts; leave it out and send the whole history in "input"',
                param=name,
            )


def _optional(fields: Mapping[str, msgspec.Raw], name: str, decode: Callable[[msgspec.Raw], T]) -> T | None:
    raw = fields.get(name)
    return None if raw is None else read(decode, raw, name)


def _string(fields: Mapping[str, msgspec.Raw], name: str) -> str | None:
    return _optional(fields, name, _decode_string)


def _parse_reasoning(fields: Mapping[str, msgspec.Raw]) -> Reasoning | None:
    asked = _optional(fields, "reasoning", _decode_reasoning)
    if asked is None or asked == _Reasoning():
        return None
    effort = None
    if asked.effort is not None:
        effort = _EFFORTS.get(asked.effort)
        if effort is None:
            known = ", ".join(_EFFORTS)
            raise InvalidRequest(f'"reasoning.effort" must be one of {known}', param="reasoning.effort")
    return Reasoning(effort=effort, shown=True if asked.summary or asked.generate_summary else None)


def _parse_format(asked: _Format | None) -> JsonFormat | None:
    match asked.type if asked is not None else "text":
        case "text":
            return None
        case "json_object":
            return JsonFormat()
        case "json_schema" if asked is not None:
            schema = text_of(asked.schema)
            if not is_object(schema):
                raise InvalidRequest('"text.format.schema" must be a JSON Schema', param="text.format.schema")
            return JsonFormat(schema, asked.name, asked.description, asked.strict)
        case other:
            raise InvalidRequest(
                f'"text.format.type" is "{other[:40]}"; send text, json_schema or json_object', param="text.format.type"
            )


def _extras(fields: Mapping[str, msgspec.Raw], verbosity: str | None) -> dict[str, str]:
    extras = {
        name: text_of(raw)
        for name, raw in fields.items()
        if name not in _READ and is_given(raw) and not (name in _IDLE and read_loosely(fields, name) == _IDLE[name])
    }
    if "include" in extras:
        _leave_out_sealed(fields["include"], extras)
    if "metadata" in extras:
        _leave_out_tags(fields["metadata"], extras)
    if verbosity is not None:
        extras["verbosity"] = encode(verbosity).decode()
    return extras


def _leave_out_sealed(raw: msgspec.Raw, extras: dict[str, str]) -> None:
    """Sealed reasoning is always handed out, so asking for it is no loss."""
    rest = [name for name in read(_decode_strings, raw, "include") or () if name != _SEALED_REASONING]
    if rest:
        extras["include"] = encode(rest).decode()
    else:
        del extras["include"]


def _leave_out_tags(raw: msgspec.Raw, extras: dict[str, str]) -> None:
    """A list of tags is ours."""
    members = read(decode_members, raw, "metadata")
    if not bytes(members.pop("tags", NO_RAW)).startswith(b"["):
        return
    if members:
        extras["metadata"] = encode(members).decode()
    else:
        del extras["metadata"]
