"""Facts of an answer in the words of chat completions: finish reasons, usage, citations, proofs of thinking."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.domain.usage import Usage
from app.protocols.codec import Asked
from app.protocols.conversation import Base64Source, Citation, Image, Thinking, UrlSource
from app.protocols.events import FinishReason
from app.protocols.opaque import seal
from app.protocols.openai_chat.messages_parse import NATIVE_ISSUER
from app.protocols.scanning import UNREADABLE

_FINISHES: dict[FinishReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


def finish_word(finish: FinishReason, *, called: bool) -> str:
    word = _FINISHES[finish]
    return "tool_calls" if called and word == "stop" else word


def completion_id(generation_id: str, asked: Asked) -> str:
    if generation_id.startswith("chatcmpl-"):
        return generation_id
    return f"chatcmpl-{generation_id or asked.request_id}"


def usage_words(usage: Usage) -> dict[str, Any]:
    """With what LiteLLM's clients read beside OpenAI's own names: both cache counts at the top."""
    written = usage.cache_write_5m + usage.cache_write_1h
    words: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output + usage.audio_output,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
            "audio_tokens": usage.audio_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
        },
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read,
    }
    if usage.web_searches:
        words["server_tool_use"] = {"web_search_requests": usage.web_searches}
    return words


def annotation(citation: Citation, start: int, end: int) -> dict[str, Any] | None:
    """The annotation of a citation that has an address; ``start`` and ``end`` are those of its text in the whole."""
    if citation.url is None:
        return None
    cited: dict[str, Any] = {
        "url": citation.url,
        "title": citation.title or citation.url,
        "start_index": start if citation.start is None else start + citation.start,
        "end_index": end if citation.end is None else start + citation.end,
    }
    return {"type": "url_citation", "url_citation": cited}


def thinking_block(block: Thinking) -> dict[str, Any]:
    """As LiteLLM hands it out: Anthropic's proof bare, any other's with its issuer's name."""
    proof = None if block.seal is None else seal(block.seal, NATIVE_ISSUER)
    if block.redacted:
        return {"type": "redacted_thinking", "data": proof or ""}
    return {"type": "thinking", "thinking": block.text, "signature": proof}


def image_words(image: Image) -> dict[str, Any] | None:
    match image.source:
        case Base64Source(media_type, data):
            url = f"data:{media_type};base64,{data}"
        case UrlSource(url):
            pass
        case _:
            return None
    return {"type": "image_url", "image_url": {"url": url}}


class _CustomArguments(msgspec.Struct, gc=False):
    input: str


_decode_custom = msgspec.json.Decoder(_CustomArguments).decode


def custom_input(arguments: str) -> str:
    """The free text in the arguments of the function that stood for a custom tool; all of them if it is not there."""
    try:
        return _decode_custom(arguments).input
    except UNREADABLE:
        return arguments


class Supplement:
    """What a message has beside its texts and calls, gathered block by block."""

    __slots__ = ("_annotations", "_citations", "_foreign", "length")

    def __init__(self) -> None:
        self.length = 0
        self._annotations: list[dict[str, Any]] = []
        self._citations: list[list[msgspec.Raw]] = []
        self._foreign: list[msgspec.Raw] = []

    def add_text(self, length: int, citations: Sequence[Citation]) -> None:
        """A text of so many characters has ended."""
        start, self.length = self.length, self.length + length
        if citations:
            self._citations.append([msgspec.Raw(citation.raw.encode()) for citation in citations])
        for citation in citations:
            words = annotation(citation, start, self.length)
            if words is not None:
                self._annotations.append(words)

    def add_foreign(self, raw: str) -> None:
        self._foreign.append(msgspec.Raw(raw.encode()))

    def annotations(self) -> list[dict[str, Any]]:
        return self._annotations

    def specific_fields(self, extras: dict[str, str]) -> dict[str, Any]:
        """LiteLLM's ``provider_specific_fields``: what Chat has no name for."""
        fields: dict[str, Any] = {name: msgspec.Raw(text.encode()) for name, text in extras.items()}
        if self._citations:
            fields["citations"] = self._citations
        if self._foreign:
            fields["blocks"] = self._foreign
        return fields
