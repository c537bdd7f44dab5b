"""A client's tools and its choice among them, as canonical ones."""

from collections.abc import Mapping

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import FunctionTool, HostedTool, McpServer, Tool, ToolChoice, WebSearch
from app.protocols.openai_chat.parts_parse import parse_mark
from app.protocols.openai_chat.wire import (
    WireAnthropicsServer,
    WireChoice,
    WireFunctionTool,
    WireSearch,
    WireServer,
    WireTool,
    read_as,
    text_of,
)

_CUSTOM_SCHEMA = '{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}'
"""A custom tool takes one free text."""

_TOOL = msgspec.json.Decoder(WireTool)
_TOOLS = msgspec.json.Decoder(list[WireTool])
_FUNCTION = msgspec.json.Decoder(WireFunctionTool)
_SERVER = msgspec.json.Decoder(WireServer)
_ANTHROPICS_SERVER = msgspec.json.Decoder(WireAnthropicsServer)
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])

_CHOICES: Mapping[str, ToolChoice] = {
    "auto": ToolChoice("auto"),
    "none": ToolChoice("none"),
    "required": ToolChoice("any"),
    "any": ToolChoice("any"),
}


def parse_tools(written: list[msgspec.Raw] | None, search: WireSearch | None) -> tuple[Tool, ...]:
    tools = [_parse_tool(raw, f"tools.{number}") for number, raw in enumerate(written or ())]
    if search is not None:
        tools.append(_parse_search(search))
    return tuple(tools)


def _parse_tool(raw: msgspec.Raw, place: str) -> Tool:
    tool = read_as(_TOOL, raw, place)
    mark = parse_mark(tool.cache_control)
    match tool.type:
        case "function":
            function = read_as(_FUNCTION, raw, place).function
            return FunctionTool(
                function.name,
                function.description,
                text_of(function.parameters),
                function.strict if function.strict is not None else tool.strict,
                mark or parse_mark(function.cache_control),
                deferred=bool(tool.defer_loading or function.defer_loading),
            )
        case "custom" if tool.custom is not None:
            return FunctionTool(tool.custom.name, tool.custom.description, _CUSTOM_SCHEMA, cache=mark)
        case "mcp":
            return _parse_server(raw, place)
        case "url":
            return _parse_anthropics_server(raw, place)
        case None | "custom" if tool.name is not None and (schema := text_of(tool.input_schema)) is not None:
            return FunctionTool(tool.name, tool.description, schema, tool.strict, mark, bool(tool.defer_loading))
        case None:
            # Gemini's own tools are objects of one key: {"googleSearch": {}}.
            keys = read_as(_KEYS, raw, place)
            kind = next(iter(keys), None)
            if kind is None:
                raise InvalidRequest(f'"{place}.type" is missing', param=f"{place}.type")
            return HostedTool(kind, bytes(raw).decode(), mark)
        case kind:
            return HostedTool(kind, bytes(raw).decode(), mark)


def _parse_server(raw: msgspec.Raw, place: str) -> McpServer:
    server = read_as(_SERVER, raw, place)
    if server.require_approval not in (None, "never"):
        raise InvalidRequest(
            f'"{place}.require_approval" must be "never": nobody could be asked', param=f"{place}.require_approval"
        )
    headers = {name.lower(): value for name, value in (server.headers or {}).items()}
    authorization = server.authorization or headers.pop("authorization", "").removeprefix("Bearer ") or None
    headers.pop("authorization", None)
    if headers:
        raise InvalidRequest(
            f'"{place}.headers" cannot be said to a model behind another API; use "authorization"',
            param=f"{place}.headers",
        )
    names = server.allowed_tools
    if names is not None and not isinstance(names, list):
        names = names.tool_names
    return McpServer(server.server_label, server.server_url, authorization, None if names is None else tuple(names))


def _parse_anthropics_server(raw: msgspec.Raw, place: str) -> McpServer:
    """Anthropic's form of a server, which LiteLLM's clients write among the tools."""
    server = read_as(_ANTHROPICS_SERVER, raw, place)
    terms = server.tool_configuration
    names = None if terms is None else terms.allowed_tools if terms.enabled else []
    return McpServer(server.name, server.url, server.authorization_token, None if names is None else tuple(names))


def custom_names(fields: Mapping[str, msgspec.Raw]) -> frozenset[str]:
    """The tools for which the client wants a free text instead of arguments."""
    raw = fields.get("tools")
    if raw is None or b'"custom"' not in bytes(raw):
        return frozenset()
    try:
        tools = _TOOLS.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return frozenset()
    return frozenset(tool.custom.name for tool in tools if tool.type == "custom" and tool.custom is not None)


def _parse_search(search: WireSearch) -> WebSearch:
    location = search.user_location
    return WebSearch(
        context_size=search.search_context_size,
        user_location=None if location is None else text_of(location.approximate),
    )


def parse_choice(
    written: str | WireChoice | None, tools: tuple[Tool, ...]
) -> tuple[ToolChoice | None, tuple[Tool, ...]]:
    """The choice, and the tools that it leaves: a list of allowed tools is said by leaving out the others."""
    if written is None:
        return None, tools
    if isinstance(written, str):
        return _mode(written), tools
    if written.type == "allowed_tools" and written.allowed_tools is not None:
        allowed = {_allowed_name(tool) for tool in written.allowed_tools.tools}
        left = tuple(tool for tool in tools if not isinstance(tool, FunctionTool) or tool.name in allowed)
        return _mode(written.allowed_tools.mode), left
    named = written.function or written.custom
    if written.type in {"function", "custom", "tool"}:
        name = named.name if named is not None else written.name
        if name is None:
            raise InvalidRequest('"tool_choice" names no tool', param="tool_choice")
        return ToolChoice("tool", name), tools
    return _mode(written.type), tools


def _mode(word: str) -> ToolChoice:
    choice = _CHOICES.get(word)
    if choice is None:
        raise InvalidRequest(f'"tool_choice" must be auto, none, required or a tool, not {word!r}', param="tool_choice")
    return choice


def _allowed_name(tool: Mapping[str, object]) -> object:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return name if isinstance(name, str) else None
