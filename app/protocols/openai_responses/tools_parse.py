"""A client's tools and its choice among them, and what each tool of an answer is called in the client's words."""

from collections import Counter
from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import FunctionTool, HostedTool, McpServer, Tool, ToolChoice, WebSearch
from app.protocols.naming import fitting_name
from app.protocols.openai_responses.wire import NO_RAW, decode_head, decode_list, encode, is_given, read
from app.protocols.raw_json import text_of
from app.protocols.scanning import UNREADABLE

_WEB_SEARCH = "web_search"
_PLACES = ("city", "region", "country", "timezone")
_CUSTOM_PARAMETERS = (
    '{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)
_MODES = {"auto": "auto", "none": "none", "required": "any"}
_BEARER = "bearer "


class ClientTool(msgspec.Struct, frozen=True):
    """What a client calls a tool that goes to the model by another name or in another form."""

    name: str
    namespace: str | None = None
    custom: bool = False


class _Format(msgspec.Struct, gc=False):
    type: str = "text"
    syntax: str | None = None
    definition: str | None = None


class _Callable(msgspec.Struct, gc=False):
    """A function, or a custom tool."""

    name: str
    type: str = ""
    description: str | None = None
    parameters: msgspec.Raw = NO_RAW
    strict: bool | None = None
    defer_loading: bool | None = None
    format: _Format | None = None


class _Namespace(msgspec.Struct, gc=False):
    name: str
    tools: list[msgspec.Raw] = []


class _Filters(msgspec.Struct, gc=False):
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None


class _Search(msgspec.Struct, gc=False):
    search_context_size: str | None = None
    filters: _Filters | None = None
    user_location: dict[str, Any] | None = None


class _AllowedTools(msgspec.Struct, gc=False):
    tool_names: list[str] | None = None


class _Mcp(msgspec.Struct, gc=False):
    server_label: str
    server_url: str | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    allowed_tools: list[str] | _AllowedTools | None = None
    require_approval: Any = None


class _Choice(msgspec.Struct, gc=False):
    type: str = ""
    name: str | None = None
    namespace: str | None = None
    mode: str = "auto"
    tools: list[msgspec.Raw] = []


_decode_callable = msgspec.json.Decoder(_Callable).decode
_decode_namespace = msgspec.json.Decoder(_Namespace).decode
_decode_search = msgspec.json.Decoder(_Search).decode
_decode_mcp = msgspec.json.Decoder(_Mcp).decode
_decode_choice = msgspec.json.Decoder(str | _Choice).decode


def canonical_name(name: str, namespace: str | None) -> str:
    """The one name that a tool of a namespace has where there are no namespaces."""
    return fitting_name(f"{namespace}__{name}") if namespace else name


def parse_tools(raw: msgspec.Raw | None) -> tuple[Tool, ...]:
    if raw is None or not is_given(raw):
        return ()
    tools: list[Tool] = []
    for number, one in enumerate(read(decode_list, raw, "tools")):
        tools += _parse_tool(one, f"tools[{number}]")
    names = Counter(tool.name for tool in tools if isinstance(tool, FunctionTool))
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise InvalidRequest(f'two tools are called "{twice}"; give each a name of its own', param="tools")
    return tuple(tools)


def parse_choice(raw: msgspec.Raw | None, tools: tuple[Tool, ...]) -> tuple[ToolChoice | None, tuple[Tool, ...]]:
    """The choice, and the tools that it leaves to the model."""
    if raw is None or not is_given(raw):
        return None, tools
    choice = read(_decode_choice, raw, "tool_choice")
    if isinstance(choice, str):
        return _mode(choice), tools
    match choice.type:
        case "function" | "custom" if choice.name:
            return ToolChoice("tool", canonical_name(choice.name, choice.namespace)), tools
        case "allowed_tools":
            allowed = [_allowed(one, number) for number, one in enumerate(choice.tools)]
            return _mode(choice.mode), tuple(tool for tool in tools if _is_among(tool, allowed))
        case kind if kind.startswith(_WEB_SEARCH):
            return ToolChoice("tool", _WEB_SEARCH), tools
        case _:
            raise InvalidRequest(
                f'"tool_choice" of type "{choice.type}" is not known to the model behind this name; '
                'send "auto", "required", "none" or a function\'s name',
                param="tool_choice",
            )


def client_tools(raw: msgspec.Raw | None) -> dict[str, ClientTool]:
    """By canonical name: the tools that the client knows in another form. Never raises: the request was read before."""
    known: dict[str, ClientTool] = {}
    try:
        for one in decode_list(raw) if raw is not None and is_given(raw) else []:
            kind = decode_head(one).type
            if kind == "namespace":
                space = _decode_namespace(one)
                for nested in space.tools:
                    tool = _decode_callable(nested)
                    client = ClientTool(tool.name, space.name, tool.type == "custom")
                    known[canonical_name(tool.name, space.name)] = client
            elif kind == "custom":
                name = _decode_callable(one).name
                known[name] = ClientTool(name, custom=True)
    except UNREADABLE:
        return {}
    return known


def _parse_tool(raw: msgspec.Raw, param: str) -> list[Tool]:
    kind = read(decode_head, raw, param).type
    match kind:
        case "function" | "custom":
            return [_parse_callable(raw, param, None)]
        case "namespace":
            space = read(_decode_namespace, raw, param)
            return [
                _parse_callable(one, f"{param}.tools[{number}]", space.name) for number, one in enumerate(space.tools)
            ]
        case "mcp":
            return [_parse_mcp(raw, param)]
        case str() if kind.startswith(_WEB_SEARCH):
            return [_parse_search(raw, param)]
        case None | "":
            raise InvalidRequest(f'"{param}" has no "type"; send one, such as "function"', param=param)
        case _:
            return [HostedTool(kind, text_of(raw))]


def _parse_callable(raw: msgspec.Raw, param: str, namespace: str | None) -> FunctionTool:
    tool = read(_decode_callable, raw, param)
    if not tool.name:
        raise InvalidRequest(f'"{param}.name" is empty; give the tool a name', param=f"{param}.name")
    name, deferred = canonical_name(tool.name, namespace), bool(tool.defer_loading)
    if tool.type == "custom":
        return FunctionTool(name, _custom_description(tool), _CUSTOM_PARAMETERS, deferred=deferred)
    parameters = text_of(tool.parameters) if is_given(tool.parameters) else None
    if parameters is not None and not parameters.startswith("{"):
        raise InvalidRequest(f'"{param}.parameters" must be an object', param=f"{param}.parameters")
    return FunctionTool(name, tool.description, parameters, tool.strict, deferred=deferred)


def _custom_description(tool: _Callable) -> str | None:
    """A grammar cannot be enforced on a function's argument, but the model can be told of it."""
    grammar = tool.format.definition if tool.format is not None else None
    if tool.format is None or not grammar:
        return tool.description
    told = f'The text of "input" must follow this {tool.format.syntax or ""} grammar:\n{grammar}'
    return f"{tool.description}\n\n{told}" if tool.description else told


def _parse_search(raw: msgspec.Raw, param: str) -> WebSearch:
    search = read(_decode_search, raw, param)
    filters = search.filters or _Filters()
    location = {name: value for name in _PLACES if (value := (search.user_location or {}).get(name)) is not None}
    return WebSearch(
        context_size=search.search_context_size,
        allowed_domains=tuple(filters.allowed_domains or ()),
        blocked_domains=tuple(filters.blocked_domains or ()),
        user_location=encode(location).decode() if location else None,
    )


def _parse_mcp(raw: msgspec.Raw, param: str) -> Tool:
    server = read(_decode_mcp, raw, param)
    if server.server_url is None:
        return HostedTool("mcp", text_of(raw))  # a connector of OpenAI's own
    if server.require_approval != "never":
        raise InvalidRequest(
            f'"{param}.require_approval" must be "never": the host of this model calls a server without asking first',
            param=f"{param}.require_approval",
        )
    allowed = server.allowed_tools
    names = allowed.tool_names if isinstance(allowed, _AllowedTools) else allowed
    return McpServer(
        label=server.server_label,
        url=server.server_url,
        authorization=_authorization(server, param),
        allowed_tools=None if names is None else tuple(names),
    )


def _authorization(server: _Mcp, param: str) -> str | None:
    found = server.authorization
    for name, value in (server.headers or {}).items():
        if name.lower() != "authorization" or not value.lower().startswith(_BEARER):
            raise InvalidRequest(
                f'"{param}.headers" cannot be sent by the host of this model; send a bearer token in "authorization"',
                param=f"{param}.headers",
            )
        found = found or value[len(_BEARER) :].strip()
    return found


def _mode(word: str) -> ToolChoice:
    match _MODES.get(word):
        case "auto":
            return ToolChoice("auto")
        case "any":
            return ToolChoice("any")
        case "none":
            return ToolChoice("none")
        case _:
            raise InvalidRequest(
                f'"tool_choice" is "{word[:40]}"; send "auto", "required", "none" or a function', param="tool_choice"
            )


def _allowed(raw: msgspec.Raw, number: int) -> str:
    """A function's canonical name, or the type of another tool."""
    one = read(_decode_choice, raw, f"tool_choice.tools[{number}]")
    if isinstance(one, str):
        return one
    return canonical_name(one.name, one.namespace) if one.name else one.type


def _is_among(tool: Tool, allowed: list[str]) -> bool:
    match tool:
        case FunctionTool(name):
            return name in allowed
        case WebSearch():
            return any(word.startswith(_WEB_SEARCH) for word in allowed)
        case McpServer():
            return "mcp" in allowed
        case HostedTool(kind):
            return kind in allowed
