"""Turns as messages to a host, in the order that the API insists on: every call, then its results, then the rest."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Block,
    Conversation,
    Document,
    Foreign,
    Image,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from app.protocols.losses import Losses
from app.protocols.naming import fitting_id, fitting_name
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.openai_chat.parts_render import PartsRenderer
from app.protocols.openai_chat.thoughts import details_of

_LONGEST_ID = 40
_BETWEEN = "\n\n"
_UNSEEN: dict[type, str] = {
    Image: "(an image, which this model cannot see)",
    Document: "(a document, which this model cannot read)",
}

# The members of a part that is a text with nothing more to it.
_PLAIN = {"type", "text"}

Message = dict[str, Any]


def render_messages(
    conversation: Conversation, dialect: ChatDialect, losses: Losses, system_tail: str
) -> list[Message]:
    """``system_tail`` is a text of ours that comes after the instructions. Raises InvalidRequest."""
    renderer = _MessagesRenderer(dialect, losses)
    instructions = conversation.instructions
    if system_tail:
        instructions = (*instructions, Text(system_tail))
    renderer.add_system(instructions)
    renderer.add_turns(conversation.turns)
    return renderer.messages


class _MessagesRenderer:
    def __init__(self, dialect: ChatDialect, losses: Losses) -> None:
        self._dialect = dialect
        self._losses = losses
        self._parts = PartsRenderer(dialect, losses)
        self.messages: list[Message] = []
        self._unanswered: dict[str, None] = {}
        self._held: list[Message] = []
        self._moved: list[dict[str, Any]] = []

    def add_system(self, texts: Iterable[Text]) -> None:
        kept = [text for text in texts if text.text]
        if kept:
            self._add({"role": "system", "content": self._system_content(kept)})

    def add_turns(self, turns: Sequence[Turn]) -> None:
        loop_start = _start_of_loop(turns)
        number = 0
        while number < len(turns):
            turn = turns[number]
            place = f"messages.{number}"
            if turn.role == "assistant":
                following = number + 1
                while following < len(turns) and turns[following].role == "assistant":
                    following += 1
                spoken = [block for each in turns[number:following] for block in each.blocks]
                self._add_assistant(spoken, place, in_loop=number >= loop_start)
                number = following
                continue
            if turn.role == "system":
                self.add_system(block for block in turn.blocks if isinstance(block, Text))
            else:
                self._add_user(turn.blocks, place)
            number += 1
        self._end_results()

    def _add(self, message: Message) -> None:
        """Now, or after the results that are still to come."""
        (self._held if self._unanswered else self.messages).append(message)

    def _end_results(self) -> None:
        if self._unanswered:
            missing = next(iter(self._unanswered))
            raise InvalidRequest(
                f"the tool call {missing!r} has no result; answer each call directly after the turn that makes it",
                param="messages",
            )
        if self._moved:
            self.messages.append({"role": "user", "content": self._moved})
            self._moved = []
        self.messages += self._held
        self._held = []

    def _system_content(self, texts: list[Text]) -> str | list[dict[str, Any]]:
        if any([self._parts.keeps(text.cache) for text in texts]):  # noqa: C419 (each mark may be a loss)
            return [self._parts.text(text.text, text.cache) for text in texts]
        return _BETWEEN.join(text.text for text in texts)

    def _add_user(self, blocks: Sequence[Block], place: str) -> None:
        others: list[Block] = []
        for index, block in enumerate(blocks):
            if isinstance(block, ToolResult):
                self._add_result(block, f"{place}.content.{index}")
            else:
                others.append(block)
        moved = self._take_moved()
        content = self._user_content(others, place) if others else ""
        if moved:
            content = [*moved, *([self._parts.text(content)] if isinstance(content, str) and content else content)]
        if content:
            self._add({"role": "user", "content": content})

    def _take_moved(self) -> list[dict[str, Any]]:
        """What was moved out of the results, to open the message that follows them."""
        if self._unanswered:
            return []
        if self._held:
            self._end_results()
        moved, self._moved = self._moved, []
        return moved

    def _user_content(self, blocks: Sequence[Block], place: str) -> str | list[dict[str, Any]]:
        parts = [part for index, block in enumerate(blocks) if (part := self._parts.render(block, f"{place}.{index}"))]
        if any(part.keys() != _PLAIN for part in parts):
            return parts
        if len(parts) <= 1 or not self._dialect.images:
            # Hosts without images often take nothing but strings.
            return _BETWEEN.join(part["text"] for part in parts)
        return parts

    def _add_result(self, result: ToolResult, place: str) -> None:
        call_id = fitting_id(result.call_id, longest=_LONGEST_ID)
        if call_id not in self._unanswered:
            raise InvalidRequest(
                f"the tool result {result.call_id!r} answers no call of the turn before it; send it once, right after "
                "the assistant's turn with the call",
                param=place,
            )
        del self._unanswered[call_id]
        texts: list[str] = []
        mark, marked = result.cache, self._parts.keeps(result.cache)
        for block in result.blocks:
            text = self._result_text(block, place)
            if block.cache is not None:
                mark = mark or block.cache
                marked = (not isinstance(block, Image | Document) and self._parts.keeps(block.cache)) or marked
            if text is not None:
                texts.append(text)
            elif isinstance(block, Image | Document) and not self._is_seen(block):
                # What a tool has found is no wish of the user's: refused, it would end the whole session.
                self._losses.approximate("tool_result.content")
                texts.append(_UNSEEN[type(block)])
            elif isinstance(block, Image | Document):
                self._move(block, result.call_id, place)
                texts.append("(see the next user message)")
        written = "\n".join(texts)
        if result.is_error:
            self._losses.approximate("is_error")
            written = f"Error: {written}" if written else "Error"
        content = [self._parts.text(written, mark)] if marked and written else written
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def _result_text(self, block: Text | Image | Document | Foreign, place: str) -> str | None:
        match block:
            case Text(text):
                return text
            case Document():
                return self._parts.document_text(block)
            case Foreign():
                return self._parts.foreign_text(block, place)
            case _:
                return None

    def _is_seen(self, block: Image | Document) -> bool:
        return self._dialect.images if isinstance(block, Image) else self._dialect.documents

    def _move(self, block: Image | Document, call_id: str, place: str) -> None:
        """A tool message takes text alone: what is none follows in the name of the user."""
        part = self._parts.render(block, place)
        if part is not None:
            self._losses.approximate("tool_result.content")
            self._moved += [self._parts.text(f"From the result of the tool call {call_id}:"), part]

    def _add_assistant(self, blocks: Sequence[Block], place: str, *, in_loop: bool) -> None:
        self._end_results()
        calls = [block for block in blocks if isinstance(block, ToolCall)]
        message: Message = {"role": "assistant", "content": self._spoken(blocks, place)}
        refusals = [block.text for block in blocks if isinstance(block, Refusal)]
        if refusals and self._dialect.is_inventor:
            message["refusal"] = "".join(refusals)
        thoughts = [block for block in blocks if isinstance(block, Thinking)]
        if thoughts:
            self._add_thoughts(message, thoughts, in_loop=in_loop or (bool(calls) and self._dialect.misses_thoughts))
        if calls and self._dialect.misses_thoughts:
            message.setdefault(self._dialect.thoughts_field, "")
        if calls:
            message["tool_calls"] = [self._call(call) for call in calls]
            message["content"] = message["content"] or None
            self._unanswered = {call["id"]: None for call in message["tool_calls"]}
        if calls or message["content"] or "refusal" in message:
            self.messages.append(message)

    def _spoken(self, blocks: Sequence[Block], place: str) -> str | list[dict[str, Any]]:
        """One string: texts that stand side by side are one text, those that something parts are paragraphs."""
        if (plain_text := _text_before_calls(blocks)) is not None:
            return plain_text
        parts: list[dict[str, Any]] = []
        apart, plain = False, True
        for index, block in enumerate(blocks):
            if isinstance(block, Thinking | ToolCall) or (isinstance(block, Refusal) and self._dialect.is_inventor):
                if isinstance(block, ToolCall):
                    self._parts.keeps(block.cache)
                apart = bool(parts)
                continue
            part = self._parts.render(block, f"{place}.content.{index}")
            if part is None:
                continue
            if apart and part["type"] == "text":
                part["text"] = _BETWEEN + part["text"]
            apart = False
            plain = plain and part.keys() == _PLAIN
            parts.append(part)
        return "".join([part["text"] for part in parts]) if plain else parts

    def _add_thoughts(self, message: Message, thoughts: Sequence[Thinking], *, in_loop: bool) -> None:
        """Thoughts go back to the host that thought them and wants them, and nowhere else."""
        dialect = self._dialect
        own = [one for one in thoughts if one.seal is not None and one.seal.issuer == dialect.issuer]
        if len(own) < len(thoughts) or not dialect.takes_thoughts:
            self._losses.drop("thinking")
        if not (own and dialect.takes_thoughts and in_loop):
            return
        text = "".join(one.text for one in own)
        if text:
            message[dialect.thoughts_field] = text
        if details := details_of(own):
            message["reasoning_details"] = details

    def _call(self, call: ToolCall) -> dict[str, Any]:
        return {
            "id": fitting_id(call.call_id, longest=_LONGEST_ID),
            "type": "function",
            "function": {"name": fitting_name(call.name), "arguments": call.arguments},
        }


def _text_before_calls(blocks: Sequence[Block]) -> str | None:
    """The text of most assistant turns: one without marks, then its calls. None for any other."""
    first = blocks[0] if blocks else None
    if type(first) is not Text or first.cache is not None or first.citations:
        return None
    for block in blocks[1:]:
        if type(block) is not ToolCall or block.cache is not None:
            return None
    return first.text


def _start_of_loop(turns: Sequence[Turn]) -> int:
    """After the last turn in which the user says something new: from there on, the model is still at its tools."""
    for number in range(len(turns) - 1, -1, -1):
        turn = turns[number]
        if turn.role == "user" and not any(isinstance(block, ToolResult) for block in turn.blocks):
            return number + 1
    return 0


def schema_text(schema: str) -> str:
    """The instruction for a host that takes no schema."""
    return f"Answer with one JSON value and nothing else. It must fit this JSON Schema:\n{schema}"


def speaks_of_json(messages: Sequence[Message]) -> bool:
    """Whether any text has the word, which OpenAI wants to see before it answers in JSON."""
    return b"json" in msgspec.json.encode(messages).lower()
