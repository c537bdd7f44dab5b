"""Tools for models that cannot call any: offered in the instructions, called by an answer that is one JSON object."""

from collections.abc import Sequence

import msgspec

from app.protocols.codec import Reading
from app.protocols.conversation import FunctionTool, JsonFormat, Text, ToolCall
from app.protocols.ollama.wire import NULL, as_object, decode_members, encode
from app.protocols.raw_json import is_null, text_of

_OPEN_SCHEMA = msgspec.Raw(b'{"type":"object"}')


class JsonCallReading(Reading, frozen=True):
    """The answer is a call of one of ``tools`` in JSON, or an answer in JSON, or (against the instructions) a text."""

    tools: frozenset[str] = frozenset()


class OfferedFunction(msgspec.Struct, omit_defaults=True):
    name: str
    parameters: msgspec.Raw
    description: str | None = None


def offered(tool: FunctionTool) -> OfferedFunction:
    parameters = _OPEN_SCHEMA if tool.parameters is None else msgspec.Raw(tool.parameters.encode())
    return OfferedFunction(tool.name, parameters, tool.description)


def instruction(tools: Sequence[FunctionTool], output_format: JsonFormat | None, *, must_call: bool) -> str:
    """What tells the model of its tools."""
    lines = [
        "You have these tools. Each is given with the JSON Schema of its arguments:",
        *(_encoded(tool) for tool in tools),
        "Answer with one JSON object and nothing else.",
        'To call a tool: {"name": "the name of the tool", "arguments": {"an argument": "its value"}}',
    ]
    if must_call:
        lines.append("You must call a tool now.")
    elif output_format is None:
        lines.append('To answer without a tool, or once the tools have told you enough: {"answer": "your answer"}')
    else:
        schema = f" of this JSON Schema: {output_format.schema}" if output_format.schema else ""
        lines.append(f'To answer without a tool: {{"answer": a JSON value{schema}}}')
    return "\n".join(lines)


def call_text(name: str, arguments: msgspec.Raw) -> str:
    """A call as the model itself would have written it."""
    return encode({"name": name, "arguments": arguments}).decode()


def read_answer(text: str, tools: frozenset[str], call_id: str) -> ToolCall | Text:
    """What the model meant: a call of a tool that was offered, its answer, or else the text as it is."""
    try:
        members = decode_members(text.strip().encode())
        name = msgspec.json.decode(members.get("name", NULL))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Text(text)
    if isinstance(name, str) and name in tools:
        arguments = members.get("arguments", NULL)
        written = "{}" if is_null(arguments) else text_of(arguments)
        return ToolCall(call_id, name, text_of(as_object(written)))
    answer = members.get("answer")
    if answer is None or len(members) > 1:
        return Text(text)
    value = msgspec.json.decode(answer)
    return Text(value if isinstance(value, str) else text_of(answer))


def _encoded(tool: FunctionTool) -> str:
    return encode(offered(tool)).decode()
