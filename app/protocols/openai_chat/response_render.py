"""A whole answer for a client of chat completions."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.protocols.codec import Asked
from app.protocols.conversation import Block, Citation, Foreign, Image, Refusal, Text, Thinking, ToolCall
from app.protocols.events import Generation
from app.protocols.openai_chat.answer_words import (
    Supplement,
    completion_id,
    custom_input,
    finish_word,
    image_words,
    thinking_block,
    usage_words,
)
from app.protocols.openai_chat.tools_parse import custom_names


def render_response(generation: Generation, asked: Asked) -> bytes:
    message = _Message(custom_names(asked.envelope.fields))
    for block in generation.blocks:
        message.take(block)
    answer: dict[str, Any] = {
        "id": completion_id(generation.generation_id, asked),
        "object": "chat.completion",
        "created": asked.created_unix,
        "model": asked.model,
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": message.words(generation.extras),
                "logprobs": None,
                "finish_reason": finish_word(generation.finish, called=bool(message.calls)),
            }
        ],
    }
    if generation.usage is not None:
        answer["usage"] = usage_words(generation.usage)
    return msgspec.json.encode(answer)


class _Message:
    """The one message of an answer, gathered block by block."""

    def __init__(self, custom: frozenset[str]) -> None:
        self._custom = custom
        self.calls: list[dict[str, Any]] = []
        self._supplement = Supplement()
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._thoughts: list[Thinking] = []
        self._images: list[dict[str, Any]] = []

    def take(self, block: Block) -> None:
        match block:
            case Text(text, citations):
                self._say(text, citations)
            case Thinking():
                self._thoughts.append(block)
            case ToolCall():
                self.calls.append(_custom_call(block) if block.name in self._custom else _call(block))
            case Refusal(text):
                self._refusals.append(text)
            case Image() if (words := image_words(block)) is not None:
                self._images.append(words)
            case Foreign(text=None, raw=raw):
                self._supplement.add_foreign(raw)
            case Foreign(text=str(text)):
                self._say(text, ())
            case _:
                pass

    def words(self, extras: dict[str, str]) -> dict[str, Any]:
        content = "".join(self._texts)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": content if content or not (self.calls or self._refusals) else None,
            "refusal": "".join(self._refusals) if self._refusals else None,
        }
        specific = self._supplement.specific_fields(extras)
        if self._thoughts:
            message["reasoning_content"] = "".join(thought.text for thought in self._thoughts)
            message["thinking_blocks"] = [thinking_block(thought) for thought in self._thoughts]
            specific = {"citations": None, **specific, "thinking_blocks": message["thinking_blocks"]}
        optional = {
            "tool_calls": self.calls,
            "images": self._images,
            "annotations": self._supplement.annotations(),
            "provider_specific_fields": specific,
        }
        return message | {name: value for name, value in optional.items() if value}

    def _say(self, text: str, citations: Sequence[Citation]) -> None:
        self._texts.append(text)
        self._supplement.add_text(len(text), citations)


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments.strip() or "{}"},
    }


def _custom_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.call_id,
        "type": "custom",
        "custom": {"name": call.name, "input": custom_input(call.arguments)},
    }
