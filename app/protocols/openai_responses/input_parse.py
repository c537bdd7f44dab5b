"""A client's ``input``: the items of a conversation put together into turns."""

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Audio,
    Block,
    Document,
    Foreign,
    Image,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from app.protocols.openai_responses import seals
from app.protocols.openai_responses.content_parse import Parts, as_object, parse_content
from app.protocols.openai_responses.foreign import readable_text
from app.protocols.openai_responses.tools_parse import canonical_name
from app.protocols.openai_responses.wire import (
    PROTOCOL,
    Head,
    decode_head,
    decode_list,
    encode,
    is_given,
    read,
    text_of,
)

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_QUOTE = ord('"')
_STATELESS = 'this gateway keeps no state for models of other hosts; send the whole history in "input"'


class _Message(msgspec.Struct, gc=False):
    content: Parts = None


class _Said(msgspec.Struct, gc=False):
    text: str = ""


class _Reasoning(msgspec.Struct, gc=False):
    id: str | None = None
    summary: list[_Said] | None = None
    content: list[_Said] | None = None
    encrypted_content: str | None = None


class _Call(msgspec.Struct, gc=False):
    call_id: str
    name: str
    arguments: str = ""
    input: str = ""
    namespace: str | None = None


class _Output(msgspec.Struct, gc=False):
    call_id: str
    output: Parts = None


_decode_string = msgspec.json.Decoder(str).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_reasoning = msgspec.json.Decoder(_Reasoning).decode
_decode_call = msgspec.json.Decoder(_Call).decode
_decode_output = msgspec.json.Decoder(_Output).decode


def parse_input(raw: msgspec.Raw | None) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """(leading instructions, turns)"""
    if raw is None or not is_given(raw):
        raise InvalidRequest(f'"input" is missing; {_STATELESS}', param="input")
    if memoryview(raw)[0] == _QUOTE:
        text = read(_decode_string, raw, "input")
        return (), (Turn("user", (Text(text),)),) if text else ()
    gathering = _Gathering()
    for number, item in enumerate(read(decode_list, raw, "input")):
        _take(gathering, item, f"input[{number}]")
    return tuple(gathering.instructions), tuple(gathering.turns())


class _Gathering:
    """Neighbouring items of the model are one turn, and so are neighbouring results of tools."""

    def __init__(self) -> None:
        self.instructions: list[Text] = []
        self._turns: list[tuple[Role, list[Block]]] = []
        self._takes_results = False

    def turns(self) -> list[Turn]:
        return [Turn(role, tuple(blocks)) for role, blocks in self._turns]

    def add_message(self, role: Role, blocks: list[Block]) -> None:
        if role == "assistant":
            self.add_spoken(*blocks)
        elif role == "system" and not self._turns and all(isinstance(block, Text) for block in blocks):
            self.instructions += [block for block in blocks if isinstance(block, Text)]
        elif blocks:
            self._turns.append((role, blocks))
            self._takes_results = False

    def add_spoken(self, *blocks: Block) -> None:
        if self._turns and self._turns[-1][0] == "assistant":
            self._turns[-1][1].extend(blocks)
        elif blocks:
            self._turns.append(("assistant", list(blocks)))

    def add_result(self, block: ToolResult | Foreign) -> None:
        if self._turns and self._turns[-1][0] == "user" and self._takes_results:
            self._turns[-1][1].append(block)
        else:
            self._turns.append(("user", [block]))
        self._takes_results = True


def _take(gathering: _Gathering, item: msgspec.Raw, param: str) -> None:
    head = read(decode_head, item, param)
    kind = head.type or ("message" if head.role else "")
    match kind:
        case "message":
            message = read(_decode_message, item, param)
            gathering.add_message(_role_of(head, param), parse_content(message.content, item, f"{param}.content"))
        case "function_call" | "custom_tool_call":
            gathering.add_spoken(_parse_call(read(_decode_call, item, param), kind, param))
        case "function_call_output" | "custom_tool_call_output":
            gathering.add_result(_parse_result(item, param))
        case "reasoning":
            gathering.add_spoken(_parse_reasoning(read(_decode_reasoning, item, param)))
        case "item_reference":
            raise InvalidRequest(f'"{param}" refers to a stored item; {_STATELESS}', param=param)
        case "":
            raise InvalidRequest(
                f'"{param}" has neither "type" nor "role"; send an item of the conversation', param=param
            )
        case _:
            _take_foreign(gathering, item, kind)


def _role_of(head: Head, param: str) -> Role:
    role = _ROLES.get(head.role or "")
    if role is None:
        known = ", ".join(_ROLES)
        raise InvalidRequest(f'"{param}.role" must be one of {known}', param=f"{param}.role")
    return role


def _parse_call(call: _Call, kind: str, param: str) -> ToolCall:
    if not call.name:
        raise InvalidRequest(f'"{param}.name" is empty; send the name of the tool', param=f"{param}.name")
    custom = kind == "custom_tool_call"
    arguments = encode({"input": call.input}).decode() if custom else as_object(call.arguments)
    return ToolCall(call.call_id, canonical_name(call.name, call.namespace), arguments)


def _parse_result(item: msgspec.Raw, param: str) -> ToolResult:
    output = read(_decode_output, item, param)
    blocks: list[Text | Image | Document | Foreign] = []
    for number, block in enumerate(parse_content(output.output, item, f"{param}.output")):
        match block:
            case Text() | Image() | Document() | Foreign():
                blocks.append(block)
            case Refusal(text):
                blocks.append(Text(text))
            case Audio() | _:
                place = f"{param}.output[{number}]"
                raise InvalidRequest(f'"{place}" must be a text, an image or a file', param=place)
    return ToolResult(output.call_id, tuple(blocks))


def _parse_reasoning(item: _Reasoning) -> Thinking:
    text = "\n\n".join(said.text for said in item.summary or () if said.text) or "\n\n".join(
        said.text for said in item.content or () if said.text
    )
    if not item.encrypted_content:
        return Thinking(text)
    seal, redacted = seals.read_back(item.encrypted_content, item.id)
    return Thinking(text, seal, redacted)


def _take_foreign(gathering: _Gathering, item: msgspec.Raw, kind: str) -> None:
    text, essential = readable_text(kind, item)
    block = Foreign(PROTOCOL, kind, text_of(item), text=text, essential=essential)
    if kind.endswith(("_output", "_response")):
        gathering.add_result(block)
    else:
        gathering.add_spoken(block)
