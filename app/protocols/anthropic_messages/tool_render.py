"""Tools and the choice among them, in the words of the Messages API."""

from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages import draft as betas
from app.protocols.anthropic_messages.block_render import LONGEST_NAME
from app.protocols.anthropic_messages.draft import Draft
from app.protocols.anthropic_messages.schemas import acceptable
from app.protocols.anthropic_messages.wire import UNREADABLE, decode_anything, decode_members, wire_mark
from app.protocols.conversation import FunctionTool, HostedTool, JsonFormat, McpServer, Tool, WebSearch
from app.protocols.losses import refusal
from app.protocols.naming import fitting_name
from app.protocols.tool_schemas import rooted

JSON_TOOL = "json_tool_call"
_SEARCH_USES = {"low": 1, "medium": 5, "high": 10}


class _Kind(msgspec.Struct, frozen=True):
    """Hosted tools whose type begins so. ``name`` is what the API insists on; ``betas`` by the date in the type."""

    name: str
    betas: dict[str, str] = {}


_KINDS = {
    "computer_": _Kind(
        "computer",
        {"20241022": betas.COMPUTER_2024, "20250124": betas.COMPUTER_2025, "20251124": betas.COMPUTER_LATEST},
    ),
    "text_editor_": _Kind("str_replace_based_edit_tool", {"20241022": betas.COMPUTER_2024}),
    "bash_": _Kind("bash", {"20241022": betas.COMPUTER_2024}),
    "memory_": _Kind("memory", {"20250818": betas.CONTEXT_MANAGEMENT}),
    "code_execution_": _Kind("code_execution", {"20250825": betas.CODE_EXECUTION}),
    "web_search_": _Kind("web_search"),
    "web_fetch_": _Kind("web_fetch", {"20250910": betas.WEB_FETCH}),
    "tool_search_tool_": _Kind("tool_search_tool", {"20251119": betas.ADVANCED_TOOLS}),
}
_OLD_EDITORS = frozenset({"20241022", "20250124"})
_DATE_DIGITS = 8


class Toolbox(msgspec.Struct):
    """``names`` are the client's, of its functions. ``json_tool`` stands for the structured output."""

    tools: list[Any] = []
    servers: list[Any] = []
    names: list[str] = []
    json_tool: str | None = None


def render_tools(draft: Draft) -> Toolbox:
    box = Toolbox()
    for number, tool in enumerate(draft.conversation.tools):
        _take(draft, box, tool, f"tools.{number}")
    if (written := draft.claim("mcp_servers")) is not None:
        servers = decode_anything(written.encode())
        if not isinstance(servers, list):
            raise InvalidRequest('"mcp_servers" must be a list', param="mcp_servers")
        box.servers += servers
    if box.servers:
        draft.ask_for((betas.MCP_CLIENT,))
    wanted = draft.conversation.output_format
    if wanted is not None and (wanted.schema is None or not draft.traits.structured):
        box.tools.append(_json_tool(wanted))
        box.json_tool = JSON_TOOL
    return box


def render_tool_choice(draft: Draft, box: Toolbox, *, thinks: bool) -> dict[str, Any] | None:
    conversation = draft.conversation
    choice = conversation.tool_choice
    if not box.tools:
        if choice is not None and choice.mode not in {"none", "auto"}:
            draft.losses.drop("tool_choice")
        return None
    if box.json_tool is not None:
        only = len(box.tools) == 1
        rendered = {"type": "tool", "name": box.json_tool} if only else {"type": "any"}
    elif choice is not None:
        rendered = {"type": choice.mode}
        if choice.mode == "tool":
            rendered["name"] = fitting_name(choice.name or "", longest=LONGEST_NAME)
    else:
        rendered = {}
    if thinks and rendered.get("type") in {"any", "tool"}:
        if box.json_tool is None:
            draft.losses.approximate("tool_choice")
        rendered = {"type": "auto"} if box.json_tool is None else {}
    return _with_parallel(rendered, parallel=conversation.parallel_tool_calls)


def _with_parallel(rendered: dict[str, Any], *, parallel: bool | None) -> dict[str, Any] | None:
    if parallel is False and rendered.get("type") != "none":
        return {"type": "auto", **rendered, "disable_parallel_tool_use": True}
    return rendered or None


def _take(draft: Draft, box: Toolbox, tool: Tool, place: str) -> None:
    match tool:
        case FunctionTool():
            box.names.append(tool.name)
            box.tools.append(_render_function(draft, tool, place))
        case WebSearch() if draft.dialect.searches:
            box.tools.append(_render_search(draft, tool, place))
        case WebSearch():
            _leave_out_search(draft, place)
        case McpServer():
            box.servers.append(_render_server(tool))
        case HostedTool():
            rendered = _render_hosted(draft, tool, place)
            if rendered is None:
                draft.losses.drop(place)
            else:
                box.tools.append(rendered)


def _render_function(draft: Draft, tool: FunctionTool, place: str) -> dict[str, Any]:
    schema: Any
    schema, reworded = rooted(tool.parameters, f"{place}.parameters")
    if reworded:
        draft.losses.approximate(f"{place}.parameters")
    rendered: dict[str, Any] = {"name": fitting_name(tool.name, longest=LONGEST_NAME)}
    if tool.description is not None:
        rendered["description"] = tool.description
    if tool.strict and draft.traits.structured:
        draft.ask_for((betas.STRUCTURED_OUTPUTS,))
        rendered["strict"] = True
        schema = acceptable(bytes(schema).decode(), f"{place}.parameters")
    elif tool.strict:
        draft.losses.drop(f"{place}.strict")
    rendered["input_schema"] = schema
    if tool.deferred and _searches_tools(draft):
        draft.ask_for((betas.ADVANCED_TOOLS,))
        rendered["defer_loading"] = True
    elif tool.deferred:
        draft.losses.drop(f"{place}.defer_loading")
    if tool.cache is not None:
        rendered["cache_control"] = wire_mark(tool.cache)
    return rendered


def _searches_tools(draft: Draft) -> bool:
    """Without Anthropic's own search of tools the model never sees a deferred one."""
    tools = draft.conversation.tools
    return any(isinstance(tool, HostedTool) and tool.kind.startswith("tool_search_tool_") for tool in tools)


def _leave_out_search(draft: Draft, place: str) -> None:
    """Agents offer it with every request; alone it is all that was asked for."""
    if len(draft.conversation.tools) == 1:
        advice = "leave it out, or choose a model whose host searches"
        raise refusal("the hosted web search", "this host", advice, param=place)
    draft.losses.drop("tools.web_search")


def _render_search(draft: Draft, tool: WebSearch, place: str) -> dict[str, Any]:
    rendered: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
    uses = tool.max_uses if tool.max_uses is not None else _SEARCH_USES.get(tool.context_size or "")
    if uses is not None:
        rendered["max_uses"] = uses
    if tool.allowed_domains:
        rendered["allowed_domains"] = list(tool.allowed_domains)
        if tool.blocked_domains:
            draft.losses.drop(f"{place}.blocked_domains")
    elif tool.blocked_domains:
        rendered["blocked_domains"] = list(tool.blocked_domains)
    if tool.user_location is not None:
        location = _object_of(tool.user_location)
        nested = location.pop("approximate", None)
        flat = {**location, **nested} if isinstance(nested, dict) else location
        rendered["user_location"] = {**flat, "type": "approximate"}
    return rendered


def _object_of(text: str) -> dict[str, Any]:
    try:
        value = decode_anything(text.encode())
    except UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}


def _render_server(server: McpServer) -> dict[str, Any]:
    rendered: dict[str, Any] = {"type": "url", "url": server.url, "name": server.label}
    if server.authorization is not None:
        rendered["authorization_token"] = server.authorization
    if server.allowed_tools is not None:
        rendered["tool_configuration"] = {"enabled": True, "allowed_tools": list(server.allowed_tools)}
    return rendered


def _render_hosted(draft: Draft, tool: HostedTool, place: str) -> dict[str, Any] | None:
    """None for kinds that are another vendor's."""
    if tool.kind == "mcp_toolset":
        draft.ask_for((betas.MCP_TOOLSETS,))
        return _flat(tool, place)
    head, date = tool.kind[:-_DATE_DIGITS], tool.kind[-_DATE_DIGITS:]
    if not head.endswith("_") or not (date.isascii() and date.isdecimal()):
        return None
    # Anthropic alone dates its kinds so: one that is not known here is newer than we are.
    kind = _KINDS.get(head) or next((kind for known, kind in _KINDS.items() if head.startswith(known)), _Kind(""))
    if date in kind.betas:
        draft.ask_for((kind.betas[date],))
    name = "str_replace_editor" if head == "text_editor_" and date in _OLD_EDITORS else kind.name
    rendered = _flat(tool, place)
    if name and "name" not in rendered:
        rendered["name"] = name
    if tool.cache is not None:
        rendered["cache_control"] = wire_mark(tool.cache)
    return rendered


def _flat(tool: HostedTool, place: str) -> dict[str, Any]:
    """Chat clients wrap a tool's members in ``function``, and those of its settings once more in ``parameters``."""
    try:
        members: dict[str, Any] = dict(decode_members(tool.raw.encode()))
        function = dict(decode_members(members.pop("function", b"{}")))
        parameters = decode_members(function.pop("parameters", msgspec.Raw(b"{}")))
    except UNREADABLE as error:
        raise InvalidRequest(f'"{place}" must be an object', param=place) from error
    return {**members, **function, **parameters, "type": tool.kind}


def _json_tool(wanted: JsonFormat) -> dict[str, Any]:
    schema: Any = {"type": "object", "additionalProperties": True, "properties": {}}
    if wanted.schema is not None:
        schema, _ = rooted(wanted.schema, "response_format.json_schema.schema")
    return {
        "name": JSON_TOOL,
        "description": wanted.description or "Gives the answer as JSON. Call it once, with the whole answer.",
        "input_schema": schema,
    }
