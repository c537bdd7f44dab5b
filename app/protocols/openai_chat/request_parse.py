"""A client's chat completions request as a Conversation."""

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.codec import Envelope, Header
from app.protocols.conversation import Conversation, Effort, JsonFormat, Reasoning, Sampling
from app.protocols.envelope import encode_fields, read_count
from app.protocols.openai_chat.headers import wanted_headers, with_betas
from app.protocols.openai_chat.messages_parse import parse_messages
from app.protocols.openai_chat.tools_parse import parse_choice, parse_tools
from app.protocols.openai_chat.wire import (
    CANONICAL_FIELDS,
    WireFormat,
    WireReasoning,
    WireRequest,
    WireThinking,
    read_as,
    text_of,
)

_REQUEST = msgspec.json.Decoder(WireRequest)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_EFFORTS: Mapping[str, Effort] = {word: word for word in get_args(Effort)}


def parse_request(envelope: Envelope, headers: Sequence[Header]) -> Conversation:
    """Raises InvalidRequest."""
    fields = envelope.fields
    _refuse_choices(fields)
    wire = read_as(_REQUEST, envelope.body)
    instructions, turns = parse_messages(wire.messages, envelope.body)
    choice, tools = parse_choice(wire.tool_choice, parse_tools(wire.tools, wire.web_search_options))
    return Conversation(
        model=envelope.model,
        turns=turns,
        instructions=instructions,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=_parallel(wire),
        sampling=_parse_sampling(wire),
        max_output_tokens=_max_output_tokens(fields),
        reasoning=_parse_reasoning(wire),
        output_format=_parse_format(wire.response_format),
        stream=envelope.stream,
        end_user=wire.user or wire.safety_identifier or None,
        extras=_parse_extras(fields) | _parse_names(wire),
        headers=with_betas(wanted_headers(wire.extra_headers or {}), headers),
    )


def _refuse_choices(fields: Mapping[str, msgspec.Raw]) -> None:
    if (read_count(fields, "n") or 1) > 1:
        raise InvalidRequest('"n" above 1 cannot be said to this model; send several requests', param="n")
    for name, successor in (("functions", "tools"), ("function_call", "tool_choice")):
        if name in fields and bytes(fields[name]) != b"null":
            raise InvalidRequest(f'"{name}" cannot be said to this model; use "{successor}"', param=name)


def _parallel(wire: WireRequest) -> bool | None:
    choice = wire.tool_choice
    if wire.parallel_tool_calls is None and choice is not None and not isinstance(choice, str):
        return None if choice.disable_parallel_tool_use is None else not choice.disable_parallel_tool_use
    return wire.parallel_tool_calls


def _parse_sampling(wire: WireRequest) -> Sampling:
    stop = wire.stop or ()
    return Sampling(
        temperature=wire.temperature,
        top_p=wire.top_p,
        top_k=wire.top_k,
        seed=wire.seed,
        frequency_penalty=wire.frequency_penalty,
        presence_penalty=wire.presence_penalty,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
    )


def _max_output_tokens(fields: Mapping[str, msgspec.Raw]) -> int | None:
    newer = read_count(fields, "max_completion_tokens")
    return read_count(fields, "max_tokens") if newer is None else newer


def _parse_reasoning(wire: WireRequest) -> Reasoning | None:
    """Of ``reasoning_effort``, ``reasoning`` and ``thinking``, which clients of one vendor or another send; what one
    leaves open another may say."""
    effort = wire.reasoning_effort
    asked: list[Reasoning] = []
    if wire.thinking is not None:
        asked.append(_of_thinking(wire.thinking))
    if isinstance(effort, str):
        asked.append(Reasoning(effort=_effort(effort, "reasoning_effort")))
    elif effort is not None:
        asked.append(_of_object(effort, "reasoning_effort"))
    if wire.reasoning is not None:
        asked.append(_of_object(wire.reasoning, "reasoning"))
    if not asked:
        return None
    return Reasoning(
        effort=next((one.effort for one in asked if one.effort is not None), None),
        budget_tokens=next((one.budget_tokens for one in asked if one.budget_tokens is not None), None),
        adaptive=any(one.adaptive for one in asked),
        shown=next((one.shown for one in asked if one.shown is not None), None),
    )


def _of_thinking(thinking: WireThinking) -> Reasoning:
    shown = None if thinking.display is None else thinking.display != "omitted"
    match thinking.type:
        case "disabled":
            return Reasoning(effort="none", shown=shown)
        case "enabled" if thinking.budget_tokens is not None:
            return Reasoning(budget_tokens=thinking.budget_tokens, shown=shown)
        case "enabled" | "adaptive":
            return Reasoning(adaptive=True, shown=shown)
        case kind:
            raise InvalidRequest(
                f'"thinking.type" must be enabled, adaptive or disabled, not {kind!r}', param="thinking.type"
            )


def _of_object(reasoning: WireReasoning, place: str) -> Reasoning:
    effort = None if reasoning.effort is None else _effort(reasoning.effort, f"{place}.effort")
    if reasoning.enabled is False:
        effort = "none"
    says_nothing = effort is None and reasoning.max_tokens is None
    shown = None if reasoning.exclude is None else not reasoning.exclude
    return Reasoning(
        effort=effort,
        budget_tokens=reasoning.max_tokens,
        adaptive=says_nothing and reasoning.enabled is True,
        shown=True if reasoning.summary is not None else shown,
    )


def _effort(word: str, place: str) -> Effort:
    effort = _EFFORTS.get(word)
    if effort is None:
        raise InvalidRequest(f'"{place}" must be one of {", ".join(_EFFORTS)}, not {word!r}', param=place)
    return effort


def _parse_format(written: WireFormat | None) -> JsonFormat | None:
    match written:
        case None | WireFormat(type="text"):
            return None
        case WireFormat(type="json_object"):
            return JsonFormat()
        case WireFormat(type="json_schema", json_schema=schema) if schema is not None:
            return JsonFormat(text_of(schema.schema), schema.name, schema.description, schema.strict)
        case _:
            raise InvalidRequest(
                '"response_format" must be of type text, json_object, or json_schema with "json_schema"',
                param="response_format",
            )


def _parse_extras(fields: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    extras = {
        name: text
        for name, raw in fields.items()
        if name not in CANONICAL_FIELDS and (text := text_of(raw)) is not None
    }
    if "metadata" in extras:
        metadata = _without_tags(fields["metadata"])
        if metadata is None:
            del extras["metadata"]
        else:
            extras["metadata"] = metadata
    return extras


def _parse_names(wire: WireRequest) -> dict[str, str]:
    """Who of several speaks: no other protocol has a word for it, so it is an extra, which each renderer reports."""
    named = any(message.name and message.role not in ("tool", "function") for message in wire.messages)
    return {"messages.name": "true"} if named else {}


def _without_tags(raw: msgspec.Raw) -> str | None:
    """The metadata less our own labels in it; None where nothing is left."""
    try:
        members = _MEMBERS.decode(raw)
    except msgspec.DecodeError:
        return bytes(raw).decode()
    if members.pop("tags", None) is None:
        return bytes(raw).decode()
    return encode_fields(members, {}).decode() if members else None
