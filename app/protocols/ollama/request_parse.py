"""A request of Ollama's chat or generate into a Conversation."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.codec import Envelope
from app.protocols.conversation import (
    Block,
    Conversation,
    Effort,
    FunctionTool,
    JsonFormat,
    Reasoning,
    Sampling,
    Text,
    Turn,
)
from app.protocols.ollama.message_parse import parse_images, parse_messages
from app.protocols.ollama.wire import FULL_OPTIONS, NULL, decode_members, encode
from app.protocols.raw_json import is_null, read, text_of

_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_CANONICAL = frozenset(
    {"model", "messages", "prompt", "system", "images", "tools", "stream", "options", "format", "think"}
)
_EFFORTS: Mapping[str, Effort] = {"minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "max": "max"}


class _Options(msgspec.Struct):
    num_predict: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: _Whole | None = None
    seed: _Whole | None = None
    stop: str | list[str] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = NULL


class _Tool(msgspec.Struct):
    function: _Function


_decode_options = msgspec.json.Decoder(_Options | None).decode
_decode_option_members = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_decode_tools = msgspec.json.Decoder(list[_Tool] | None).decode
_decode_think = msgspec.json.Decoder(bool | str | None).decode
_decode_text = msgspec.json.Decoder(str | None).decode


def is_chat(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Which endpoint a body is for: one has messages, the other a prompt."""
    return "messages" in fields


def max_output_tokens(fields: Mapping[str, msgspec.Raw]) -> int | None:
    """None also for Ollama's -1 (no end) and -2 (until the context is full)."""
    options: _Options | None = read(_decode_options, fields.get("options", NULL), "options")
    if options is None or options.num_predict is None or options.num_predict < 0:
        return None
    if options.num_predict >= 2**31:
        raise InvalidRequest('"options.num_predict" must be below 2147483648', param="options.num_predict")
    return options.num_predict


def parse_request(envelope: Envelope) -> Conversation:
    fields = envelope.fields
    extras = {name: text_of(value) for name, value in fields.items() if name not in _CANONICAL and not is_null(value)}
    _keep_options(fields, extras)
    instructions, turns = _parse_said(fields)
    return Conversation(
        model=envelope.model,
        turns=turns,
        instructions=instructions,
        tools=_parse_tools(fields.get("tools", NULL)),
        sampling=_parse_sampling(fields.get("options", NULL)),
        max_output_tokens=envelope.max_output_tokens,
        reasoning=_parse_think(fields.get("think", NULL)),
        output_format=_parse_format(fields.get("format", NULL)),
        stream=envelope.stream,
        extras=extras,
    )


def _parse_said(fields: Mapping[str, msgspec.Raw]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    if is_chat(fields):
        return parse_messages(fields["messages"])
    system = read(_decode_text, fields.get("system", NULL), "system")
    prompt = read(_decode_text, fields.get("prompt", NULL), "prompt")
    blocks: list[Block] = [*parse_images(fields.get("images", NULL), "images")]
    if prompt:
        blocks.insert(0, Text(prompt))
    if not blocks:
        said = 'there is nothing to answer: send "messages" to /api/chat, or "prompt" to /api/generate'
        raise InvalidRequest(said, param="prompt" if "prompt" in fields else "messages")
    return ((Text(system),) if system else (), (Turn("user", tuple(blocks)),))


def _parse_tools(raw: msgspec.Raw) -> tuple[FunctionTool, ...]:
    tools: list[FunctionTool] = []
    for number, tool in enumerate(read(_decode_tools, raw, "tools") or ()):
        function = tool.function
        place = f"tools.{number}.function.parameters"
        parameters = None if is_null(function.parameters) else text_of(function.parameters)
        if parameters is not None and not parameters.startswith("{"):
            raise InvalidRequest(f'"{place}" must be an object', param=place)
        tools.append(FunctionTool(function.name, function.description, parameters))
    return tuple(tools)


def _parse_sampling(raw: msgspec.Raw) -> Sampling:
    options: _Options = read(_decode_options, raw, "options") or _Options()
    stop = options.stop or ()
    return Sampling(
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        seed=options.seed,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
    )


def _keep_options(fields: Mapping[str, msgspec.Raw], extras: dict[str, str]) -> None:
    """The options that only Ollama has stay an extra."""
    members = read(_decode_option_members, fields.get("options", NULL), "options") or {}
    own = {name: value for name, value in members.items() if name not in FULL_OPTIONS and not is_null(value)}
    if own:
        extras["options"] = encode(own).decode()


def _parse_think(raw: msgspec.Raw) -> Reasoning | None:
    think: bool | str | None = read(_decode_think, raw, "think")
    if think is None:
        return None
    if isinstance(think, bool):
        return Reasoning("medium", shown=True) if think else Reasoning("none")
    effort = _EFFORTS.get(think)
    if effort is None:
        raise InvalidRequest('"think" must be true, false, low, medium or high', param="think")
    return Reasoning(effort, shown=True)


def _parse_format(raw: msgspec.Raw) -> JsonFormat | None:
    written = text_of(raw)
    if written in {"null", '""'}:
        return None
    if written == '"json"':
        return JsonFormat()
    if not written.startswith("{"):
        raise InvalidRequest('"format" must be "json" or a JSON Schema', param="format")
    read(decode_members, raw, "format")
    return JsonFormat(written)
