"""The canonical request: what a client wants of a model, said in no protocol's words.

Used only where client and host speak different protocols. A field is canonical when three protocols have it; until
then it travels in ``extras`` or as Foreign, and whoever renders claims what it understands. JSON that is passed on
(schemas, arguments, tools of one vendor) stays text as it came: it is never decoded and written anew.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from app.protocols.opaque import Seal

Role = Literal["user", "assistant", "system"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class CacheMark(msgspec.Struct, frozen=True):
    """The prompt up to and including the marked thing may be cached. ``ttl`` as written: "5m", "1h" or None."""

    ttl: str | None = None


class Base64Source(msgspec.Struct, frozen=True):
    """``data`` is standard base64 without a ``data:`` head; ``media_type`` such as image/png."""

    media_type: str
    data: str


class UrlSource(msgspec.Struct, frozen=True):
    """Something at an https (or gs) address that the host fetches itself."""

    url: str
    media_type: str | None = None


class FileSource(msgspec.Struct, frozen=True):
    """A file that was uploaded to the host before."""

    file_id: str


class TextSource(msgspec.Struct, frozen=True):
    """A document that is plain text."""

    text: str


Source = Base64Source | UrlSource | FileSource | TextSource


class Citation(msgspec.Struct, frozen=True):
    """Where a text has something from. ``start`` and ``end`` are character offsets in the text of its block.

    ``raw`` is the citation in the words of ``protocol``, for clients that take it so.
    """

    protocol: str
    raw: str
    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start: int | None = None
    end: int | None = None


class Text(msgspec.Struct, frozen=True):
    text: str
    citations: tuple[Citation, ...] = ()
    cache: CacheMark | None = None


class Image(msgspec.Struct, frozen=True):
    """``detail`` is OpenAI's hint: low, high or auto."""

    source: Source
    detail: str | None = None
    cache: CacheMark | None = None


class Document(msgspec.Struct, frozen=True):
    """A PDF, a text, or a file. ``cite``: the answer should say where in it a statement is from."""

    source: Source
    title: str | None = None
    context: str | None = None
    cite: bool = False
    cache: CacheMark | None = None


class Audio(msgspec.Struct, frozen=True):
    source: Base64Source


class ToolCall(msgspec.Struct, frozen=True):
    """``arguments`` is the JSON text of an object; "{}" when there are none. ``call_id`` is as its issuer wrote it."""

    call_id: str
    name: str
    arguments: str
    cache: CacheMark | None = None


class Thinking(msgspec.Struct, frozen=True):
    """Reasoning. ``seal`` is its issuer's proof, good for that issuer alone; ``redacted``: there is no text to show.

    Where an issuer puts the proof on what follows (Gemini: on the function call), it is the seal of a Thinking that
    stands directly before, with an empty text when nothing was shown.
    """

    text: str
    seal: Seal | None = None
    redacted: bool = False


class Refusal(msgspec.Struct, frozen=True):
    text: str


class Foreign(msgspec.Struct, frozen=True):
    """A block that only ``protocol`` understands. ``raw`` is its JSON.

    ``text`` is what another model may read in its place (an approximation), None where there is nothing to read.
    ``essential``: without it the conversation makes no sense, so a protocol that cannot say it refuses the request.
    """

    protocol: str
    kind: str
    raw: str
    text: str | None = None
    essential: bool = False
    cache: CacheMark | None = None


class ToolResult(msgspec.Struct, frozen=True):
    """``blocks`` are texts, images, documents or foreign blocks; empty when the tool said nothing."""

    call_id: str
    blocks: tuple["Text | Image | Document | Foreign", ...] = ()
    is_error: bool = False
    cache: CacheMark | None = None


Block = Text | Image | Document | Audio | ToolCall | ToolResult | Thinking | Refusal | Foreign


class Turn(msgspec.Struct, frozen=True):
    """``system`` turns stand in the middle of a conversation; those that lead it are ``Conversation.instructions``.

    Neighbouring turns may have one role. ToolResults are in user turns, each after the turn with its call.
    """

    role: Role
    blocks: tuple[Block, ...]


class FunctionTool(msgspec.Struct, frozen=True):
    """``parameters`` is the JSON Schema as text, None when there is none.

    ``deferred``: Anthropic's defer_loading, the tool is found by a search tool.
    """

    name: str
    description: str | None = None
    parameters: str | None = None
    strict: bool | None = None
    cache: CacheMark | None = None
    deferred: bool = False


class WebSearch(msgspec.Struct, frozen=True):
    """The host's own search. ``user_location`` is the JSON text of {city, region, country, timezone}."""

    context_size: str | None = None
    max_uses: int | None = None
    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    user_location: str | None = None


class McpServer(msgspec.Struct, frozen=True):
    """A server of tools that the host calls itself. ``allowed_tools`` None means all."""

    label: str
    url: str
    authorization: str | None = None
    allowed_tools: tuple[str, ...] | None = None


class HostedTool(msgspec.Struct, frozen=True):
    """Another tool that hosts run, or whose schema they know: computer use, memory, code execution.

    ``kind`` is its ``type``; ``raw`` the whole tool as JSON. Names of kinds are not shared between vendors, so a
    renderer claims a kind that is its own from whichever client it comes.
    """

    kind: str
    raw: str
    cache: CacheMark | None = None


Tool = FunctionTool | WebSearch | McpServer | HostedTool


class ToolChoice(msgspec.Struct, frozen=True):
    """``name`` goes with "tool" alone."""

    mode: Literal["auto", "any", "none", "tool"]
    name: str | None = None


class Sampling(msgspec.Struct, frozen=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()


class Reasoning(msgspec.Struct, frozen=True):
    """How much to think. ``adaptive``: the model decides, ``effort`` guides it. ``budget_tokens`` is an exact wish.

    ``effort`` "none" switches thinking off. ``shown``: whether the client wants to see the thoughts (a summary);
    None when it did not say.
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    shown: bool | None = None


class JsonFormat(msgspec.Struct, frozen=True):
    """The answer is one JSON value: of ``schema`` (JSON Schema as text), or any object when that is None."""

    schema: str | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Conversation(msgspec.Struct, frozen=True):
    """``model`` is the host's own name. ``end_user`` is what the client called the person behind the request.

    ``extras`` are the client's other top-level fields as JSON text, by its own names: a renderer claims those that
    it owns and reports the rest as losses. ``headers`` (lower-case names) are what the client asked to send along.
    """

    model: str
    turns: tuple[Turn, ...]
    instructions: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    sampling: Sampling = Sampling()
    max_output_tokens: int | None = None
    reasoning: Reasoning | None = None
    output_format: JsonFormat | None = None
    stream: bool = False
    end_user: str | None = None
    extras: Mapping[str, str] = {}
    headers: tuple[tuple[str, str], ...] = ()
