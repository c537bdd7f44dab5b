"""Turns into the plain messages that Ollama's models read: a text, pictures, thoughts, and calls without ids."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
    Conversation,
    Document,
    Foreign,
    Image,
    Refusal,
    Text,
    TextSource,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from app.protocols.losses import Losses, refusal
from app.protocols.ollama.json_tools import call_text
from app.protocols.ollama.wire import ISSUER, as_object
from app.protocols.opaque import Seal
from app.protocols.raw_json import is_object

TARGET = "Ollama"


class RenderedFunction(msgspec.Struct):
    name: str
    arguments: msgspec.Raw


class RenderedCall(msgspec.Struct):
    function: RenderedFunction


class RenderedMessage(msgspec.Struct, omit_defaults=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[RenderedCall] | None = None
    tool_name: str | None = None


class Messages:
    """Builds the messages of one conversation. ``json_calls``: calls and results are told as texts."""

    def __init__(self, conversation: Conversation, losses: Losses, *, json_calls: bool, shows_thoughts: bool) -> None:
        self._conversation = conversation
        self._losses = losses
        self._json_calls = json_calls
        self._shows_thoughts = shows_thoughts
        self._names = _names_of(conversation.turns)

    def render(self) -> list[RenderedMessage]:
        """Those of the turns; instructions have a place of their own."""
        rendered: list[RenderedMessage] = []
        for number, turn in enumerate(self._conversation.turns):
            place = f"messages.{number}"
            match turn.role:
                case "assistant":
                    rendered.append(self._assistant(turn, place))
                case "user":
                    rendered += self._user(turn, place)
                case "system":
                    rendered.append(self._plain("system", turn.blocks, place))
        return rendered

    def _assistant(self, turn: Turn, place: str) -> RenderedMessage:
        thoughts: list[str] = []
        texts: list[str] = []
        calls: list[RenderedCall] = []
        others: list[Block] = []
        for block in turn.blocks:
            match block:
                case Text(text, citations):
                    texts.append(text)
                    if citations:
                        self._losses.drop(f"{place}.citations")
                case Thinking():
                    thoughts += self._thought(block, place)
                case ToolCall(_, name, arguments) if self._json_calls:
                    texts.append(call_text(name, as_object(arguments)))
                case ToolCall(_, name, arguments):
                    if not is_object(arguments):
                        self._losses.approximate(f"{place}.tool_calls")
                    calls.append(RenderedCall(RenderedFunction(name, as_object(arguments))))
                case _:
                    others.append(block)
            self._note_cache(block, place)
        more, images = self._told(others, place)
        # The blocks of one answer are pieces of one text.
        return RenderedMessage(
            "assistant",
            "".join((*texts, *more)),
            thinking="".join(thoughts) or None,
            images=images or None,
            tool_calls=calls or None,
        )

    def _thought(self, block: Thinking, place: str) -> list[str]:
        if self._shows_thoughts and block.text and not block.redacted and block.seal in {None, Seal(ISSUER, "")}:
            return [block.text]
        self._losses.drop(f"{place}.thinking")
        return []

    def _user(self, turn: Turn, place: str) -> list[RenderedMessage]:
        """The results first, then one message with all else: the pictures of results too, which no result takes."""
        rendered: list[RenderedMessage] = []
        others: list[Block] = []
        shown: list[str] = []
        for block in turn.blocks:
            if isinstance(block, ToolResult):
                message, images = self._result(block, place)
                rendered.append(message)
                shown += images
            else:
                others.append(block)
            self._note_cache(block, place)
        if others or shown or not rendered:
            message = self._plain("user", others, place)
            if shown:
                self._losses.approximate(f"{place}.content")
                message.images = [*shown, *(message.images or ())]
            rendered.append(message)
        return rendered

    def _result(self, block: ToolResult, place: str) -> tuple[RenderedMessage, list[str]]:
        texts, images = self._told(block.blocks, place)
        said = "\n".join(texts)
        if block.is_error:
            said = f"Error: {said}"
            self._losses.approximate(f"{place}.is_error")
        name = self._names.get(block.call_id)
        if self._json_calls:
            head = f"The tool {name} answered:" if name else "The tool answered:"
            return RenderedMessage("user", f"{head}\n{said}"), images
        return RenderedMessage("tool", said, tool_name=name), images

    def _plain(self, role: Literal["system", "user"], blocks: Iterable[Block], place: str) -> RenderedMessage:
        texts, images = self._told(blocks, place)
        return RenderedMessage(role, "\n\n".join(texts), images=images or None)

    def _told(self, blocks: Iterable[Block], place: str) -> tuple[list[str], list[str]]:
        """(texts, pictures in base64). Raises InvalidRequest for what is neither."""
        texts: list[str] = []
        images: list[str] = []
        for block in blocks:
            match block:
                case Text(text) | Refusal(text):
                    texts.append(text)
                case Image(source):
                    images.append(_bare(source, place))
                    if block.detail not in (None, "auto"):
                        self._losses.drop(f"{place}.image.detail")
                case Document():
                    texts.append(self._document(block, place))
                case Foreign():
                    texts += self._foreign(block, place)
                case Audio():
                    raise refusal("audio", TARGET, "send its transcript as text", param=place)
                case _:
                    self._losses.drop(f"{place}.content")
        return texts, images

    def _document(self, block: Document, place: str) -> str:
        if not isinstance(block.source, TextSource):
            raise refusal("a document", TARGET, "send its text instead", param=place)
        self._losses.approximate(f"{place}.document")
        heads = (part for part in (block.title, block.context) if part)
        return "\n\n".join((*heads, block.source.text))

    def _foreign(self, block: Foreign, place: str) -> list[str]:
        if block.text is not None:
            self._losses.approximate(f"{place}.{block.kind}")
            return [block.text]
        if block.essential:
            raise refusal(f'a block of type "{block.kind}"', TARGET, "leave it out or say it as text", param=place)
        self._losses.drop(f"{place}.{block.kind}")
        return []

    def _note_cache(self, block: Block, place: str) -> None:
        if getattr(block, "cache", None) is not None:
            self._losses.drop(f"{place}.cache_control")


def _names_of(turns: Iterable[Turn]) -> Mapping[str, str]:
    return {block.call_id: block.name for turn in turns for block in turn.blocks if isinstance(block, ToolCall)}


def _bare(source: object, place: str) -> str:
    if isinstance(source, Base64Source):
        return source.data
    raise refusal("an image at an address", TARGET, "send its bytes in base64", param=place)
