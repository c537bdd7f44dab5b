"""A chat completions request as it stands in JSON: OpenAI's fields, and the extensions of others beside them."""

import re
from typing import Annotated, Any, TypeVar

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.envelope import Buffer
from app.protocols.raw_json import plainly

_STEP = re.compile(r"[.\[\]]+")
_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class WireImage(msgspec.Struct, gc=False):
    url: str
    detail: str | None = None


class WireFile(msgspec.Struct, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class WireAudio(msgspec.Struct, gc=False):
    data: str
    format: str


class WireSource(msgspec.Struct, gc=False):
    """Where a block of Anthropic's has its content from."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None


class WirePart(msgspec.Struct, gc=False):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: WireImage | str | None = None
    file: WireFile | None = None
    input_audio: WireAudio | None = None
    source: WireSource | None = None
    title: str | None = None
    context: str | None = None
    citations: Any = None
    cache_control: Any = None


class WireFunctionCall(msgspec.Struct, gc=False):
    name: str
    arguments: str | None = None


class WireCustomCall(msgspec.Struct, gc=False):
    name: str
    input: str = ""


class WireCall(msgspec.Struct, gc=False):
    id: str
    function: WireFunctionCall | None = None
    custom: WireCustomCall | None = None


class WireThought(msgspec.Struct, gc=False):
    """A block of LiteLLM's ``thinking_blocks``."""

    type: str
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class WireMessage(msgspec.Struct, gc=False):
    role: str
    content: str | list[WirePart] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[WireCall] | None = None
    tool_call_id: str | None = None
    function_call: WireFunctionCall | None = None
    audio: Any = None
    reasoning_content: str | None = None
    thinking_blocks: list[WireThought] | None = None
    cache_control: Any = None


class WireNamed(msgspec.Struct, gc=False):
    name: str


class WireAllowed(msgspec.Struct, gc=False):
    mode: str
    tools: list[dict[str, Any]]


class WireChoice(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    function: WireNamed | None = None
    custom: WireNamed | None = None
    allowed_tools: WireAllowed | None = None
    disable_parallel_tool_use: bool | None = None


class WireReasoning(msgspec.Struct, gc=False):
    """OpenRouter's object; LiteLLM takes ``effort`` and ``summary`` of it as ``reasoning_effort`` too."""

    effort: str | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    summary: str | None = None


class WireThinking(msgspec.Struct, gc=False):
    """Anthropic's object, and DeepSeek's, which has the type alone."""

    type: str
    budget_tokens: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    display: str | None = None


class WireSchema(msgspec.Struct, gc=False):
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


class WireFormat(msgspec.Struct, gc=False):
    type: str
    json_schema: WireSchema | None = None


class WireLocation(msgspec.Struct, gc=False):
    approximate: msgspec.Raw = msgspec.Raw()


class WireSearch(msgspec.Struct, gc=False):
    search_context_size: str | None = None
    user_location: WireLocation | None = None


class WireFunction(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None
    cache_control: Any = None
    defer_loading: bool | None = None


class WireCustom(msgspec.Struct, gc=False):
    name: str
    description: str | None = None


class WireAllowedNames(msgspec.Struct, gc=False):
    tool_names: list[str] | None = None


class WireTool(msgspec.Struct, gc=False):
    """Whatever kind of tool: ``function`` and ``custom`` are OpenAI's, ``input_schema`` is Anthropic's, ``server_…``
    are those of an MCP server."""

    type: str | None = None
    function: Any = None
    custom: WireCustom | None = None
    name: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None
    cache_control: Any = None
    defer_loading: bool | None = None


class WireServer(msgspec.Struct, gc=False):
    server_label: str
    server_url: str
    authorization: str | None = None
    allowed_tools: list[str] | WireAllowedNames | None = None
    require_approval: Any = None
    headers: dict[str, str] | None = None


class WireAllowance(msgspec.Struct, gc=False):
    enabled: bool = True
    allowed_tools: list[str] | None = None


class WireAnthropicsServer(msgspec.Struct, gc=False):
    name: str
    url: str
    authorization_token: str | None = None
    tool_configuration: WireAllowance | None = None


class WireFunctionTool(msgspec.Struct, gc=False):
    function: WireFunction


class WireRequest(msgspec.Struct, gc=False):
    """What has a place in every protocol. All other fields are read by name, as they came."""

    messages: list[WireMessage]
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: _Whole | None = None
    seed: _Whole | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: str | WireChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | WireReasoning | None = None
    reasoning: WireReasoning | None = None
    thinking: WireThinking | None = None
    response_format: WireFormat | None = None
    user: str | None = None
    safety_identifier: str | None = None
    web_search_options: WireSearch | None = None
    extra_headers: dict[str, str] | None = None


CANONICAL_FIELDS = frozenset(
    {*WireRequest.__struct_fields__, "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"}
)


_Value = TypeVar("_Value")


def read_as(decoder: msgspec.json.Decoder[_Value], raw: Buffer | msgspec.Raw, within: str = "") -> _Value:
    """The value that ``raw`` holds; ``within`` is its place in the body. Raises InvalidRequest that names the place
    of what is not as it should be."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$")
        steps = [within, *(step for step in _STEP.split(place.rstrip("`")) if step and step != "...")]
        param = ".".join(step for step in steps if step)
        raise InvalidRequest(f'"{param}" {plainly(said)}' if param else said, param=param or None) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"the request body cannot be read: {error}", param=within or None) from error


def text_of(raw: msgspec.Raw) -> str | None:
    """The JSON as text; None where it is missing or null."""
    written = bytes(raw)
    return None if written in {b"", b"null"} else written.decode()
