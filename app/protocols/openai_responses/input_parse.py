"""A client's ``input``: the items of a conversation put together into turns."""

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
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
from app.protocols.openai_responses.content_parse import Part, Parts, Place, as_object, parse_content
from app.protocols.openai_responses.foreign import readable_text
from app.protocols.openai_responses.tools_parse import canonical_name
from app.protocols.openai_responses.wire import PROTOCOL, decode_head, decode_list, encode, is_given, read
from app.protocols.raw_json import text_of
from app.protocols.scanning import UNREADABLE

_KNOWN = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "reasoning",
        "item_reference",
    }
)
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_QUOTE = ord('"')
_STATELESS = 'this gateway keeps no state for models of other hosts; send the whole history in "input"'


class _Item(msgspec.Struct, gc=False):
    """One of the input, of any type that is read here."""

    type: str | None = None
    role: str | None = None
    content: Parts = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str = ""
    input: str = ""
    output: Parts = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None


_decode_string = msgspec.json.Decoder(str).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_items = msgspec.json.Decoder(list[_Item]).decode


def parse_input(raw: msgspec.Raw | None) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """(leading instructions, turns)"""
    if raw is None or not is_given(raw):
        raise InvalidRequest(f'"input" is missing; {_STATELESS}', param="input")
    if memoryview(raw)[0] == _QUOTE:
        text = read(_decode_string, raw, "input")
        return (), (Turn("user", (Text(text),)),) if text else ()
    gathering = _Gathering()
    for number, item in enumerate(_read_items(raw)):
        _take(gathering, item, Place(raw, number))
    return tuple(gathering.instructions), tuple(gathering.turns())


def _read_items(raw: msgspec.Raw) -> list[_Item]:
    """All at one go. One by one where some are of another shape: a new type's, or a wrong one that must be named."""
    try:
        return _decode_items(raw)
    except UNREADABLE:
        return [_read_item(one, f"input[{number}]") for number, one in enumerate(read(decode_list, raw, "input"))]


def _read_item(raw: msgspec.Raw, param: str) -> _Item:
    head = read(decode_head, raw, param)
    if head.type is None or head.type in _KNOWN:
        return read(_decode_item, raw, param)
    return _Item(type=head.type)


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


def _take(gathering: _Gathering, item: _Item, place: Place) -> None:
    match item.type or ("message" if item.role else ""):
        case "message":
            role = _role_of(item, place)
            gathering.add_message(role, parse_content(item.content, place, "content"))
        case "function_call" | "custom_tool_call":
            gathering.add_spoken(_parse_call(item, place))
        case "function_call_output" | "custom_tool_call_output":
            gathering.add_result(_parse_result(item, place))
        case "reasoning":
            gathering.add_spoken(_parse_reasoning(item))
        case "item_reference":
            raise InvalidRequest(f'"{place}" refers to a stored item; {_STATELESS}', param=str(place))
        case "":
            raise InvalidRequest(
                f'"{place}" has neither "type" nor "role"; send an item of the conversation', param=str(place)
            )
        case kind:
            _take_foreign(gathering, place.raw(), kind)


def _role_of(item: _Item, place: Place) -> Role:
    role = _ROLES.get(item.role or "")
    if role is None:
        known = ", ".join(_ROLES)
        raise InvalidRequest(f'"{place}.role" must be one of {known}', param=f"{place}.role")
    return role


def _parse_call(item: _Item, place: Place) -> ToolCall:
    if not item.name:
        raise InvalidRequest(f'"{place}.name" is missing; send the name of the tool', param=f"{place}.name")
    custom = item.type == "custom_tool_call"
    arguments = encode({"input": item.input}).decode() if custom else as_object(item.arguments)
    return ToolCall(_call_id(item, place), canonical_name(item.name, item.namespace), arguments)


def _call_id(item: _Item, place: Place) -> str:
    if item.call_id is None:
        raise InvalidRequest(f'"{place}.call_id" is missing; send the id of the call', param=f"{place}.call_id")
    return item.call_id


def _parse_result(item: _Item, place: Place) -> ToolResult:
    blocks: list[Text | Image | Document | Foreign] = []
    for number, block in enumerate(parse_content(item.output, place, "output")):
        match block:
            case Text() | Image() | Document() | Foreign():
                blocks.append(block)
            case Refusal(text):
                blocks.append(Text(text))
            case _:
                param = f"{place}.output[{number}]"
                raise InvalidRequest(f'"{param}" must be a text, an image or a file', param=param)
    return ToolResult(_call_id(item, place), tuple(blocks))


def _parse_reasoning(item: _Item) -> Thinking:
    content = item.content if isinstance(item.content, list) else None
    text = _joined(item.summary) or _joined(content)
    if not item.encrypted_content:
        return Thinking(text)
    seal, redacted = seals.read_back(item.encrypted_content, item.id)
    return Thinking(text, seal, redacted)


def _joined(parts: list[Part] | None) -> str:
    return "\n\n".join(part.text for part in parts or () if part.text)


def _take_foreign(gathering: _Gathering, item: msgspec.Raw, kind: str) -> None:
    text, essential = readable_text(kind, item)
    block = Foreign(PROTOCOL, kind, text_of(item), text=text, essential=essential)
    if kind.endswith(("_output", "_response")):
        gathering.add_result(block)
    else:
        gathering.add_spoken(block)
