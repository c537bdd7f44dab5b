"""Tools and the choice among them, for Gemini."""

import re
from collections.abc import Sequence

import msgspec

from app.protocols.conversation import Conversation, FunctionTool, HostedTool, McpServer, WebSearch
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.gemini.models import ModelFacts
from app.protocols.gemini.proto import camel
from app.protocols.gemini.schemas import reduced
from app.protocols.losses import Losses, refusal
from app.protocols.naming import fitting_name
from app.protocols.tool_schemas import rooted

_LONGEST_NAME = 64
_fits = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}").fullmatch
_OWN_KINDS = frozenset(
    {
        "googleSearch", "googleSearchRetrieval", "urlContext", "codeExecution", "googleMaps", "fileSearch",
        "computerUse", "enterpriseWebSearch", "retrieval", "mcpServers", "exaAiSearch", "parallelAiSearch",
    }
)  # fmt: skip
_MODES = {"auto": "AUTO", "any": "ANY", "none": "NONE", "tool": "ANY"}
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

Body = dict[str, object]


def tool_name(name: str) -> str:
    """The name where Gemini takes it, else one derived from it: the same in tools, calls and results."""
    if _fits(name):
        return name
    fitting = fitting_name(name, longest=_LONGEST_NAME)
    return fitting if _fits(fitting) else "_" + fitting_name(name, longest=_LONGEST_NAME - 1)


def client_names(conversation: Conversation) -> dict[str, str]:
    """The client's name of each function that goes by another at Gemini."""
    names = (tool.name for tool in conversation.tools if isinstance(tool, FunctionTool))
    return {fitting: name for name in names if (fitting := tool_name(name)) != name}


def render_tools(conversation: Conversation, dialect: GeminiDialect, facts: ModelFacts, losses: Losses) -> Body:
    """``tools`` and ``toolConfig``, where there are any."""
    functions: list[Body] = []
    hosted: list[object] = []
    for tool in conversation.tools:
        match tool:
            case FunctionTool():
                functions.append(_function(tool, facts, losses))
            case WebSearch():
                hosted.append(_search(tool, dialect, losses))
            case McpServer(label):
                raise refusal(f'the MCP server "{label}"', "Gemini", "leave it out of the tools", param="tools")
            case HostedTool():
                hosted.append(_hosted(tool, losses))
    if functions:
        # Its own search beside functions is a 400 on most models, and agents always send both.
        if any(isinstance(tool, WebSearch) for tool in conversation.tools):
            losses.drop("tools.web_search")
            hosted = [tool for tool in hosted if not (isinstance(tool, dict) and "googleSearch" in tool)]
        return {"tools": [{"functionDeclarations": functions}, *hosted], **_choice(conversation, losses)}
    if conversation.tool_choice is not None and conversation.tool_choice.mode in ("any", "tool"):
        losses.drop("tool_choice")
    return {"tools": hosted} if hosted else {}


def _function(tool: FunctionTool, facts: ModelFacts, losses: Losses) -> Body:
    declaration: Body = {"name": tool_name(tool.name)}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters is not None:
        if facts.json_schema:
            schema, reworded = rooted(tool.parameters, f"tools.{tool.name}.parameters")
            if reworded:
                losses.approximate(f"tools.{tool.name}.parameters")
            declaration["parametersJsonSchema"] = schema if reworded else msgspec.Raw(tool.parameters.encode())
        else:
            declaration["parameters"] = reduced(tool.parameters, f"tools.{tool.name}.parameters", losses)
    if tool.strict:
        losses.drop("tools.strict")
    if tool.deferred:
        losses.drop("tools.defer_loading")
    if tool.cache is not None:
        losses.drop("cache_control")
    return declaration


def _search(tool: WebSearch, dialect: GeminiDialect, losses: Losses) -> Body:
    search: Body = {}
    if tool.blocked_domains and dialect.vertex:
        search["excludeDomains"] = tool.blocked_domains
    elif tool.blocked_domains:
        losses.drop("web_search.blocked_domains")
    for name in ("context_size", "max_uses", "allowed_domains", "user_location"):
        if getattr(tool, name):
            losses.drop(f"web_search.{name}")
    return {"googleSearch": search}


def _hosted(tool: HostedTool, losses: Losses) -> object:
    """One of Gemini's own, told by its only member, whatever its client called it."""
    if tool.cache is not None:
        losses.drop("cache_control")
    try:
        members = _decode_members(tool.raw)
    except (msgspec.DecodeError, RecursionError):
        members = {}
    own = {name: value for name, value in members.items() if camel(name) in _OWN_KINDS}
    if own:
        return own
    if camel(tool.kind) in _OWN_KINDS:
        return {camel(tool.kind): {name: value for name, value in members.items() if name != "type"}}
    raise refusal(f'the tool "{tool.kind}"', "Gemini", "leave it out, or ask a model that has it", param="tools")


def _choice(conversation: Conversation, losses: Losses) -> Body:
    if conversation.parallel_tool_calls is False:
        losses.drop("parallel_tool_calls")
    choice = conversation.tool_choice
    if choice is None:
        return {}
    calling: Body = {"mode": _MODES[choice.mode]}
    if choice.mode == "tool" and choice.name:
        allowed: Sequence[str] = [tool_name(choice.name)]
        calling["allowedFunctionNames"] = allowed
    return {"toolConfig": {"functionCallingConfig": calling}}
