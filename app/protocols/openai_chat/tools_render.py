"""Canonical tools and the choice among them in the words of a host."""

from typing import Any

import msgspec

from app.protocols.conversation import Conversation, FunctionTool, HostedTool, McpServer, Tool, ToolChoice, WebSearch
from app.protocols.losses import Losses, refusal
from app.protocols.naming import fitting_name
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.openai_chat.models import Traits
from app.protocols.openai_chat.parts_render import TARGET, cache_control
from app.protocols.tool_schemas import rooted

_MODES = {"auto": "auto", "any": "required", "none": "none"}


def render_tools(conversation: Conversation, dialect: ChatDialect, traits: Traits, losses: Losses) -> dict[str, Any]:
    """The top-level fields that speak of tools. Raises InvalidRequest for what the host cannot run."""
    fields: dict[str, Any] = {}
    tools: list[dict[str, Any]] = []
    for number, tool in enumerate(conversation.tools):
        if isinstance(tool, FunctionTool):
            tools.append(_function(tool, dialect, losses, f"tools.{number}"))
        elif isinstance(tool, WebSearch) and (dialect.web_search or traits.search):
            fields["web_search_options"] = _search_options(tool, losses)
        elif isinstance(tool, WebSearch) and len(conversation.tools) > 1:
            # Agents offer it with every request; the others are what they work with.
            losses.drop("tools.web_search")
        else:
            raise _refused(tool, number)
    if not tools:
        return fields
    fields["tools"] = tools
    fields |= _choice_field(conversation, losses)
    if conversation.parallel_tool_calls is not None:
        if dialect.parallel_tool_calls:
            fields["parallel_tool_calls"] = conversation.parallel_tool_calls
        elif not conversation.parallel_tool_calls:
            losses.drop("parallel_tool_calls")
    return fields


def _choice_field(conversation: Conversation, losses: Losses) -> dict[str, Any]:
    choice = conversation.tool_choice
    if choice is None:
        return {}
    if choice.mode == "tool" and not _is_offered(choice, conversation):
        losses.drop("tool_choice")
        return {}
    return {"tool_choice": _choice(choice)}


def _is_offered(choice: ToolChoice, conversation: Conversation) -> bool:
    """Whether the host has the tool under this name: its own search has none."""
    if any(isinstance(tool, FunctionTool) and tool.name == choice.name for tool in conversation.tools):
        return True
    searches = any(isinstance(tool, WebSearch) for tool in conversation.tools)
    return not (searches and (choice.name or "").startswith("web_search"))


def _function(tool: FunctionTool, dialect: ChatDialect, losses: Losses, place: str) -> dict[str, Any]:
    function: dict[str, Any] = {"name": fitting_name(tool.name)}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"], reworded = rooted(tool.parameters, f"{place}.parameters")
        if reworded:
            losses.approximate(f"{place}.parameters")
    if tool.strict is not None and dialect.strict_tools:
        function["strict"] = tool.strict
    elif tool.strict:
        losses.drop("tools.strict")
    if tool.deferred:
        losses.drop("tools.defer_loading")
    written: dict[str, Any] = {"type": "function", "function": function}
    if tool.cache is not None:
        if dialect.cache_marks:
            written["cache_control"] = cache_control(tool.cache)
        else:
            losses.drop("cache_control")
    return written


def _choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": fitting_name(choice.name or "")}}
    return _MODES[choice.mode]


def _search_options(search: WebSearch, losses: Losses) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if search.context_size is not None:
        options["search_context_size"] = search.context_size
    if search.user_location is not None:
        options["user_location"] = {
            "type": "approximate",
            "approximate": msgspec.Raw(search.user_location.encode()),
        }
    for name in ("max_uses", "allowed_domains", "blocked_domains"):
        if getattr(search, name):
            losses.drop(f"web_search.{name}")
    return options


def _refused(tool: Tool, number: int) -> Exception:
    place = f"tools.{number}"
    match tool:
        case WebSearch():
            return refusal(
                "the hosted web search",
                "this host",
                "leave it out, give the model a search tool of your own, or choose a model that searches",
                param=place,
            )
        case McpServer(label):
            return refusal(
                f"the MCP server {label!r}",
                TARGET,
                "call its tools in your client and pass them as functions",
                param=place,
            )
        case HostedTool(kind):
            return refusal(
                f"the hosted tool {kind!r}",
                TARGET,
                "leave it out, pass a function instead, or choose a model of the vendor whose tool it is",
                param=place,
            )
        case _:
            return refusal(f"the tool {tool.name!r}", TARGET, "pass it as a function", param=place)
