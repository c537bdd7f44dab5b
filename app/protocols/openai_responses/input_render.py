"""The turns of a conversation as input items for a host."""

import msgspec

from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
    Document,
    FileSource,
    Foreign,
    Image,
    Refusal,
    Text,
    TextSource,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    UrlSource,
)
from app.protocols.losses import Losses, refusal
from app.protocols.naming import fitting_id, fitting_name
from app.protocols.openai_responses import seals
from app.protocols.openai_responses.wire import PROTOCOL, annotation_of
from app.protocols.scanning import UNREADABLE

TARGET = "OpenAI's Responses API"
_FETCHED = ("https://", "http://")
_FILE_NAMES = {"application/pdf": "document.pdf"}
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

Item = dict[str, object] | msgspec.Raw


class InputRenderer:
    """Gathers the items of one request. ``issuer`` is whose seals the host takes."""

    def __init__(self, issuer: str, losses: Losses) -> None:
        self.items: list[Item] = []
        self._issuer = issuer
        self._losses = losses
        self._parts: list[Item] = []
        self._role = "user"
        self._thoughts: list[Item] = []

    def take(self, turn: Turn) -> None:
        self._role = turn.role
        for block in turn.blocks:
            self._take(block)
        self._end_message()
        if self._thoughts:
            # The API refuses reasoning that nothing follows.
            self._thoughts.clear()
            self._losses.drop("thinking")

    def _take(self, block: Block) -> None:
        if type(block) is Text:  # most are
            self._parts.append(self._text_part(block))
            if block.cache is not None:
                self._losses.drop("cache_control")
            return
        match block:
            case ToolCall():
                self._add(_call_item(block))
            case ToolResult():
                self._add(self._result_item(block))
            case Thinking():
                self._take_thinking(block)
            case Foreign():
                self._take_foreign(block)
            case _:
                self._parts.append(self._part(block))
        self._note_cache(block)

    def _add(self, item: Item) -> None:
        self._end_message()
        self.items += self._thoughts
        self._thoughts.clear()
        self.items.append(item)

    def _end_message(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, []
            self._add({"type": "message", "role": self._role, "content": parts})

    def _take_thinking(self, block: Thinking) -> None:
        self._end_message()
        if block.seal is None or block.seal.issuer != self._issuer:
            self._losses.drop("thinking")
            return
        item_id, encrypted_content = seals.taken_apart(block.seal)
        if not encrypted_content:  # an id alone names an item that nobody has stored
            self._losses.drop("thinking")
            return
        item: dict[str, object] = {"type": "reasoning"}
        if item_id:
            item["id"] = item_id
        item["summary"] = [{"type": "summary_text", "text": block.text}] if block.text else []
        item["encrypted_content"] = encrypted_content
        self._thoughts.append(item)

    def _take_foreign(self, block: Foreign) -> None:
        if block.protocol == PROTOCOL:
            self._add(msgspec.Raw(block.raw.encode()))
        elif (text := self._stand_in(block)) is not None:
            self._parts.append(self._text_part(Text(text)))

    def _stand_in(self, block: Foreign) -> str | None:
        """What is said instead of a block of another protocol."""
        if block.text:
            self._losses.approximate(block.kind)
            return block.text
        if block.essential:
            raise refusal(f'a block of type "{block.kind}"', TARGET, "leave it out, or use a model that knows it")
        self._losses.drop(block.kind)
        return None

    def _part(self, block: Block) -> Item:
        match block:
            case Text():
                return self._text_part(block)
            case Refusal(text):
                return {"type": "refusal", "refusal": text}
            case Image() if self._role != "assistant":
                return _image_part(block)
            case Document() if self._role != "assistant":
                return self._document_part(block)
            case Audio():
                raise refusal("audio", TARGET, "send its transcript as text")
            case _:
                kind = type(block).__name__.lower()
                raise refusal(f"a {kind} of the model's own", TARGET, "send it in a message of the user")

    def _text_part(self, block: Text) -> Item:
        if self._role != "assistant":
            return {"type": "input_text", "text": block.text}
        if not block.citations:
            return {"type": "output_text", "text": block.text, "annotations": []}
        annotations = [
            written for citation in block.citations if (written := annotation_of(citation, len(block.text))) is not None
        ]
        if len(annotations) < len(block.citations):
            self._losses.drop("citations")
        return {"type": "output_text", "text": block.text, "annotations": annotations}

    def _document_part(self, block: Document) -> Item:
        if block.cite:
            self._losses.drop("citations")
        source = block.source
        if isinstance(source, TextSource):
            heads = [head for head in (block.title, block.context) if head]
            if heads:
                self._losses.approximate("document")
            return {"type": "input_text", "text": "\n\n".join((*heads, source.text))}
        if block.context:
            self._losses.drop("document.context")
        part: dict[str, object] = {"type": "input_file"}
        match source:
            case Base64Source(media_type):
                part["filename"] = block.title or _FILE_NAMES.get(media_type, "document")
                part["file_data"] = _data_url(source)
            case UrlSource():
                part["file_url"] = _fetched(source, "a document")
            case FileSource(file_id):
                part["file_id"] = file_id
        return part

    def _result_item(self, block: ToolResult) -> Item:
        blocks = block.blocks
        output: str | list[Item]
        if not blocks:
            output = ""
        elif len(blocks) == 1 and isinstance(blocks[0], Text):
            output = blocks[0].text
        else:
            output = [part for one in blocks if (part := self._result_part(one)) is not None]
        if block.is_error:
            # The API has no field for it, so the model is told in words.
            self._losses.approximate("is_error")
            output = _as_error(output)
        for one in blocks:
            self._note_cache(one)
        return {"type": "function_call_output", "call_id": fitting_id(block.call_id), "output": output}

    def _result_part(self, block: Text | Image | Document | Foreign) -> Item | None:
        match block:
            case Text(text):
                return {"type": "input_text", "text": text}
            case Image():
                return _image_part(block)
            case Document():
                return self._document_part(block)
            case Foreign(protocol, _, raw) if protocol == PROTOCOL:
                return msgspec.Raw(raw.encode())
            case Foreign():
                stand_in = self._stand_in(block)
                return None if stand_in is None else {"type": "input_text", "text": stand_in}

    def _note_cache(self, block: Block) -> None:
        if getattr(block, "cache", None) is not None:
            self._losses.drop("cache_control")


def _call_item(block: ToolCall) -> Item:
    return {
        "type": "function_call",
        "call_id": fitting_id(block.call_id),
        "name": fitting_name(block.name),
        "arguments": block.arguments,
    }


def _as_error(output: str | list[Item]) -> str | list[Item]:
    if isinstance(output, str):
        return output if output.lower().startswith("error") else f"Error: {output}".rstrip()
    return [{"type": "input_text", "text": "Error:"}, *output]


def _image_part(block: Image) -> Item:
    part: dict[str, object] = {"type": "input_image"}
    if block.detail is not None:
        part["detail"] = block.detail
    match block.source:
        case Base64Source():
            part["image_url"] = _data_url(block.source)
        case UrlSource():
            part["image_url"] = _fetched(block.source, "an image")
        case FileSource(file_id):
            part["file_id"] = file_id
        case TextSource():
            raise refusal("an image that is a text", TARGET, "send it as base64 or an https address")
    return part


def _data_url(source: Base64Source) -> str:
    return f"data:{source.media_type};base64,{source.data}"


def _fetched(source: UrlSource, thing: str) -> str:
    if not source.url.startswith(_FETCHED):
        scheme = source.url.partition(":")[0][:20]
        raise refusal(f"{thing} at an address of {scheme}:", TARGET, "send it as base64 or an https address")
    return source.url


def holds_string_values(text: str) -> bool:
    """Whether a JSON text is an object of texts, as the API wants metadata."""
    try:
        return all(bytes(raw).startswith(b'"') for raw in _decode_object(text).values())
    except UNREADABLE:
        return False
