"""Tools for a host, and the choice among them."""

import msgspec

from app.protocols.conversation import (
    Conversation,
    FunctionTool,
    HostedTool,
    McpServer,
    Tool,
    ToolChoice,
    WebSearch,
)
from app.protocols.losses import Losses, refusal
from app.protocols.naming import fitting_name
from app.protocols.openai_responses.input_render import TARGET
from app.protocols.openai_responses.wire import decode_members
from app.protocols.scanning import UNREADABLE
from app.protocols.tool_schemas import rooted

# Tools that OpenAI's hosts run, or whose schema they know.
_OWN_KINDS = frozenset(
    {
        "apply_patch",
        "code_interpreter",
        "computer",
        "computer_use_preview",
        "file_search",
        "image_generation",
        "local_shell",
        "mcp",
        "shell",
        "tool_search",
    }
)
_WORDS = {"auto": "auto", "none": "none", "any": "required"}
_CONTEXT_SIZES = frozenset({"low", "medium", "high"})


def render_tools(conversation: Conversation, losses: Losses) -> dict[str, object]:
    """``tools``, ``tool_choice`` and ``parallel_tool_calls``; the latter two are refused without the first."""
    tools = conversation.tools
    if not tools:
        return {}
    fields: dict[str, object] = {"tools": [_tool(tool, losses, f"tools.{number}") for number, tool in enumerate(tools)]}
    if conversation.tool_choice is not None:
        fields["tool_choice"] = _choice(conversation.tool_choice, tools)
    if conversation.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = conversation.parallel_tool_calls
    return fields


def _tool(tool: Tool, losses: Losses, place: str) -> dict[str, object] | msgspec.Raw:
    match tool:
        case FunctionTool():
            return _function(tool, losses, place)
        case WebSearch():
            return _search(tool, losses)
        case McpServer():
            return _server(tool)
        case HostedTool(kind, raw):
            if kind not in _OWN_KINDS:
                raise refusal(f'a tool of type "{kind}"', TARGET, "leave it out, or use a model whose host has it")
            if tool.cache is not None:
                losses.drop("cache_control")
            return msgspec.Raw(raw.encode())


def _function(tool: FunctionTool, losses: Losses, place: str) -> dict[str, object]:
    if tool.cache is not None:
        losses.drop("cache_control")
    if tool.deferred:
        losses.drop("defer_loading")
    fields: dict[str, object] = {"type": "function", "name": fitting_name(tool.name)}
    if tool.description is not None:
        fields["description"] = tool.description
    fields["parameters"] = None
    if tool.parameters is not None:
        fields["parameters"], reworded = rooted(tool.parameters, f"{place}.parameters")
        if reworded:
            losses.approximate(f"{place}.parameters")
    fields["strict"] = bool(tool.strict)  # true where it is left out, and then most schemas are refused
    return fields


def _search(tool: WebSearch, losses: Losses) -> dict[str, object]:
    fields: dict[str, object] = {"type": "web_search"}
    if tool.context_size in _CONTEXT_SIZES:
        fields["search_context_size"] = tool.context_size
    if tool.allowed_domains:
        fields["filters"] = {"allowed_domains": list(tool.allowed_domains)}
    if tool.max_uses is not None:
        losses.drop("max_uses")
    if tool.blocked_domains:
        losses.drop("blocked_domains")
    if tool.user_location is not None:
        try:
            fields["user_location"] = {"type": "approximate", **decode_members(tool.user_location)}
        except UNREADABLE:
            losses.drop("user_location")
    return fields


def _server(tool: McpServer) -> dict[str, object]:
    fields: dict[str, object] = {
        "type": "mcp",
        "server_label": tool.label,
        "server_url": tool.url,
        "require_approval": "never",
    }
    if tool.authorization is not None:
        fields["authorization"] = tool.authorization
    if tool.allowed_tools is not None:
        fields["allowed_tools"] = list(tool.allowed_tools)
    return fields


def _choice(choice: ToolChoice, tools: tuple[Tool, ...]) -> object:
    if choice.mode != "tool":
        return _WORDS[choice.mode]
    name = choice.name or ""
    if any(isinstance(tool, FunctionTool) and tool.name == name for tool in tools):
        return {"type": "function", "name": fitting_name(name)}
    if any(isinstance(tool, WebSearch) for tool in tools) and name.startswith("web_search"):
        return "required" if len(tools) == 1 else {"type": "web_search_preview"}
    return {"type": "function", "name": fitting_name(name)}
