"""Tools, servers of tools and the choice among them, out of a Messages request."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.wire import WireCache, as_mark, decode_members, encode
from app.protocols.conversation import FunctionTool, HostedTool, McpServer, Tool, ToolChoice, WebSearch
from app.protocols.raw_json import is_null, read, text_of

_PLACEHOLDER = "DeferredToolPlaceholder"
"""Claude Code's stand-in for tools that it has not loaded; it says nothing to any model."""
_TOOLSET = "mcp_toolset"
_WEB_SEARCH = "web_search_"
_OWN = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control", "defer_loading"})


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    input_schema: msgspec.Raw = msgspec.Raw(b"null")
    strict: bool | None = None
    cache_control: WireCache | None = None
    defer_loading: bool | None = None


class _PlainFunction(_Function, forbid_unknown_fields=True):
    type: Literal["custom"] | None = None


class _Search(msgspec.Struct):
    max_uses: int | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    user_location: dict[str, msgspec.Raw] | None = None


class _Head(msgspec.Struct):
    type: str | None = None
    cache_control: WireCache | None = None


class _Enabled(msgspec.Struct):
    enabled: bool | None = None


class _Toolset(msgspec.Struct):
    mcp_server_name: str
    default_config: _Enabled | None = None
    configs: dict[str, _Enabled] | None = None


class _Configuration(msgspec.Struct):
    allowed_tools: list[str] | None = None


class _Server(msgspec.Struct):
    name: str
    url: str
    authorization_token: str | None = None
    tool_configuration: _Configuration | None = None


class _Choice(msgspec.Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


_decode_tools = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
_decode_servers = msgspec.json.Decoder(list[_Server] | None).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_plain_functions = msgspec.json.Decoder(list[_PlainFunction] | None).decode
_decode_function = msgspec.json.Decoder(_Function).decode
_decode_search = msgspec.json.Decoder(_Search).decode
_decode_toolset = msgspec.json.Decoder(_Toolset).decode
_decode_choice = msgspec.json.Decoder(_Choice | None).decode


def parse_tools(raw: msgspec.Raw, servers: msgspec.Raw, extras: dict[str, str]) -> tuple[Tool, ...]:
    """``extras`` is told what a function has beside the usual, under its path."""
    tools: list[Tool] = []
    allowed: dict[str, tuple[str, ...] | None] = {}
    try:
        # At one go where all are functions with nothing unusual, as nearly always.
        functions = _decode_plain_functions(raw) or ()
    except (msgspec.DecodeError, RecursionError):
        for number, item in enumerate(read(_decode_tools, raw, "tools") or ()):
            _parse_tool(item, f"tools.{number}", tools, allowed, extras)
    else:
        for number, function in enumerate(functions):
            tools += _as_tool(function, f"tools.{number}")
    tools += [
        McpServer(
            server.name,
            server.url,
            server.authorization_token,
            _allowed_at(server.tool_configuration) or allowed.get(server.name),
        )
        for server in read(_decode_servers, servers, "mcp_servers") or ()
    ]
    return tuple(tools)


def _parse_tool(
    item: msgspec.Raw,
    place: str,
    tools: list[Tool],
    allowed: dict[str, tuple[str, ...] | None],
    extras: dict[str, str],
) -> None:
    head = read(_decode_head, item, place)
    if head.type is None or head.type == "custom":
        tools += _parse_function(item, place, extras)
    elif head.type.startswith(_WEB_SEARCH):
        tools.append(_parse_search(item, place))
    elif head.type == _TOOLSET:
        toolset = read(_decode_toolset, item, place)
        allowed[toolset.mcp_server_name] = _allowed_by(toolset)
    else:
        tools.append(HostedTool(head.type, text_of(item), as_mark(head.cache_control)))


def parse_tool_choice(raw: msgspec.Raw) -> tuple[ToolChoice | None, bool | None]:
    """(the choice, whether several calls may come at once)."""
    choice = read(_decode_choice, raw, "tool_choice")
    if choice is None:
        return None, None
    parallel = None if choice.disable_parallel_tool_use is None else not choice.disable_parallel_tool_use
    match choice.type:
        case "auto" | "any" | "none":
            return ToolChoice(choice.type), parallel
        case "tool" if choice.name:
            return ToolChoice("tool", choice.name), parallel
        case "tool":
            raise InvalidRequest('"tool_choice.name" is missing; name the tool', param="tool_choice.name")
        case _:
            raise InvalidRequest('"tool_choice.type" must be auto, any, tool or none', param="tool_choice.type")


def _parse_function(raw: msgspec.Raw, place: str, extras: dict[str, str]) -> Sequence[FunctionTool]:
    function = read(_decode_function, raw, place)
    tools = _as_tool(function, place)
    if tools:
        for name, value in read(decode_members, raw, place).items():
            if name not in _OWN:
                extras[f"{place}.{name}"] = text_of(value)
    return tools


def _as_tool(function: _Function, place: str) -> Sequence[FunctionTool]:
    if function.name == _PLACEHOLDER and function.defer_loading:
        return ()
    schema = None if is_null(function.input_schema) else text_of(function.input_schema)
    if schema is not None and not schema.startswith("{"):
        raise InvalidRequest(f'"{place}.input_schema" must be an object', param=f"{place}.input_schema")
    return (
        FunctionTool(
            function.name,
            function.description,
            schema,
            function.strict,
            as_mark(function.cache_control),
            bool(function.defer_loading),
        ),
    )


def _parse_search(raw: msgspec.Raw, place: str) -> WebSearch:
    search = read(_decode_search, raw, place)
    return WebSearch(
        max_uses=search.max_uses,
        allowed_domains=tuple(search.allowed_domains or ()),
        blocked_domains=tuple(search.blocked_domains or ()),
        user_location=_location(search.user_location),
    )


def _location(members: Mapping[str, msgspec.Raw] | None) -> str | None:
    if members is None:
        return None
    return encode({name: value for name, value in members.items() if name != "type"}).decode()


def _allowed_at(configuration: _Configuration | None) -> tuple[str, ...] | None:
    if configuration is None or configuration.allowed_tools is None:
        return None
    return tuple(configuration.allowed_tools)


def _allowed_by(toolset: _Toolset) -> tuple[str, ...] | None:
    """None where all but some are allowed, which no other protocol can say."""
    if toolset.default_config is None or toolset.default_config.enabled is not False:
        return None
    return tuple(name for name, config in (toolset.configs or {}).items() if config.enabled is not False)
