"""A client's messages as instructions and turns."""

from collections.abc import Iterable

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import Block, Document, Foreign, Image, Refusal, Role, Text, Thinking, ToolCall, Turn
from app.protocols.conversation import ToolResult as Result
from app.protocols.opaque import unseal
from app.protocols.openai_chat.parts_parse import parse_mark, parse_part
from app.protocols.openai_chat.wire import WireCall, WireMessage, WirePart, WireThought, read_as

NATIVE_ISSUER = "anthropic"
"""Whose proofs stand bare in ``thinking_blocks``: LiteLLM hands out Anthropic's so, and clients send them back."""

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_RESULT_ROLES = frozenset({"tool", "function"})
_ANTHROPICS = frozenset(
    {"search_result", "container_upload", "tool_reference", "server_tool_use", "web_search_tool_result"}
)


class _RawMessage(msgspec.Struct):
    content: str | list[msgspec.Raw] | None = None
    audio: msgspec.Raw = msgspec.Raw()


class _RawMessages(msgspec.Struct):
    messages: list[_RawMessage]


_RAW_MESSAGES = msgspec.json.Decoder(_RawMessages)


def parse_messages(messages: list[WireMessage], body: bytes) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """(instructions, turns). Raises InvalidRequest."""
    return _MessagesParser(body).parse(messages)


class _MessagesParser:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._raw: list[_RawMessage] | None = None
        self._instructions: list[Text] = []
        self._turns: list[Turn] = []
        self._results: list[Block] = []
        self._legacy_ids: dict[str, str] = {}

    def parse(self, messages: list[WireMessage]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
        for number, message in enumerate(messages):
            place = f"messages.{number}"
            if message.role in _RESULT_ROLES:
                self._results.append(self._parse_result(message, number))
                continue
            self._end_results()
            role = _ROLES.get(message.role)
            if role is None:
                raise InvalidRequest(
                    f'"{place}.role" must be one of system, developer, user, assistant, tool, not {message.role!r}',
                    param=f"{place}.role",
                )
            if role == "system" and not self._turns:
                self._instructions += self._system_texts(message, number)
            else:
                self._add_turn(role, self._parse_blocks(role, message, number))
        self._end_results()
        return tuple(self._instructions), tuple(self._turns)

    def _add_turn(self, role: Role, blocks: Iterable[Block]) -> None:
        kept = tuple(blocks)
        if kept:
            self._turns.append(Turn(role, kept))

    def _end_results(self) -> None:
        if self._results:
            self._turns.append(Turn("user", tuple(self._results)))
            self._results = []

    def _parse_blocks(self, role: Role, message: WireMessage, number: int) -> list[Block]:
        if role == "system":
            return list(self._system_texts(message, number))
        blocks: list[Block] = [*_thoughts(message)] if role == "assistant" else []
        blocks += self._content(message, number)
        if role == "assistant":
            blocks += self._spoken(message, number)
        return _marked(blocks, message.cache_control)

    def _system_texts(self, message: WireMessage, number: int) -> list[Text]:
        texts: list[Text] = []
        for block in _marked(self._content(message, number), message.cache_control):
            if not isinstance(block, Text):
                place = f"messages.{number}.content"
                raise InvalidRequest(f'"{place}" of a system message may only hold text', param=place)
            texts.append(block)
        return texts

    def _content(self, message: WireMessage, number: int) -> list[Block]:
        content = message.content
        if content is None:
            return []
        if isinstance(content, str):
            return [Text(content)] if content else []
        return [self._part(part, number, index) for index, part in enumerate(content) if part.text != ""]

    def _part(self, part: WirePart, number: int, index: int) -> Block:
        block = parse_part(part, f"messages.{number}.content.{index}")
        if block is not None:
            return block
        return Foreign(
            "anthropic_messages" if part.type in _ANTHROPICS else "openai_chat",
            part.type,
            self._raw_part(number, index),
            text=part.text,
            essential=True,
            cache=parse_mark(part.cache_control),
        )

    def _raw_part(self, number: int, index: int) -> str:
        content = self._raw_message(number).content
        return bytes(content[index]).decode() if isinstance(content, list) else "{}"

    def _raw_message(self, number: int) -> _RawMessage:
        if self._raw is None:
            self._raw = read_as(_RAW_MESSAGES, self._body).messages
        return self._raw[number]

    def _spoken(self, message: WireMessage, number: int) -> list[Block]:
        """What an assistant's message holds beside its content."""
        blocks: list[Block] = []
        if message.refusal:
            blocks.append(Refusal(message.refusal))
        if message.audio is not None:
            raw = bytes(self._raw_message(number).audio).decode()
            blocks.append(Foreign("openai_chat", "audio", raw, essential=True))
        for index, call in enumerate(message.tool_calls or ()):
            blocks.append(_parse_call(call, f"messages.{number}.tool_calls.{index}"))
        if message.function_call is not None:
            called = message.function_call
            self._legacy_ids[called.name] = call_id = f"call_legacy_{number}"
            blocks.append(ToolCall(call_id, called.name, _arguments(called.arguments)))
        return blocks

    def _parse_result(self, message: WireMessage, number: int) -> Result:
        call_id = message.tool_call_id
        if call_id is None and message.role == "function":
            call_id = self._legacy_ids.get(message.name or "")
        if call_id is None:
            place = f"messages.{number}.tool_call_id"
            raise InvalidRequest(f'"{place}" is missing; name the call that this is the result of', param=place)
        blocks: list[Text | Image | Document | Foreign] = []
        for block in self._content(message, number):
            if not isinstance(block, Text | Image | Document | Foreign):
                place = f"messages.{number}.content"
                raise InvalidRequest(f'"{place}" of a tool may only hold texts, images and files', param=place)
            blocks.append(block)
        return Result(call_id, tuple(blocks), cache=parse_mark(message.cache_control))


def _thoughts(message: WireMessage) -> Iterable[Thinking]:
    if message.thinking_blocks:
        return [_parse_thought(thought) for thought in message.thinking_blocks]
    if message.reasoning_content:
        return [Thinking(message.reasoning_content)]
    return []


def _parse_thought(thought: WireThought) -> Thinking:
    if thought.type == "redacted_thinking":
        return Thinking("", unseal(thought.data or "", NATIVE_ISSUER), redacted=True)
    proof = unseal(thought.signature, NATIVE_ISSUER) if thought.signature else None
    return Thinking(thought.thinking or "", proof)


def _parse_call(call: WireCall, place: str) -> ToolCall:
    if call.function is not None:
        return ToolCall(call.id, call.function.name, _arguments(call.function.arguments))
    if call.custom is not None:
        return ToolCall(call.id, call.custom.name, custom_arguments(call.custom.input))
    raise InvalidRequest(f'"{place}.function" is missing', param=f"{place}.function")


def custom_arguments(text: str) -> str:
    """The input of a custom tool as arguments of the function that stands for it."""
    return msgspec.json.encode({"input": text}).decode()


def _arguments(written: str | None) -> str:
    return (written or "").strip() or "{}"


def _marked(blocks: list[Block], cache_control: object) -> list[Block]:
    """A message's own mark is that of its last block that can have one."""
    mark = parse_mark(cache_control)
    if mark is None:
        return blocks
    for index in range(len(blocks) - 1, -1, -1):
        block = blocks[index]
        if not isinstance(block, Thinking | Refusal) and hasattr(block, "cache"):
            return [*blocks[:index], msgspec.structs.replace(block, cache=mark), *blocks[index + 1 :]]
    return blocks
