"""A Gemini client's tools and its choice among them."""

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import FunctionTool, HostedTool, Tool, ToolChoice, WebSearch
from app.protocols.gemini.proto import (
    Members,
    as_elements,
    as_members,
    camel,
    find,
    find_members,
    find_text,
    find_texts,
)
from app.protocols.gemini.schemas import lowered

_SEARCHES = frozenset({"googleSearch", "googleSearchRetrieval", "enterpriseWebSearch"})


def parse_tools(fields: Members) -> tuple[Tool, ...]:
    raw = find(fields, "tools")
    tools: list[Tool] = []
    for number, element in enumerate(() if raw is None else as_elements(raw, "tools")):
        path = f"tools.{number}"
        for name, value in as_members(element, path).items():
            if find({name: value}, camel(name)) is not None or find({name: value}, name) is not None:
                _add(tools, camel(name), value, path)
    return tuple(tools)


def _add(tools: list[Tool], kind: str, value: msgspec.Raw, path: str) -> None:
    path = f"{path}.{kind}"
    if kind == "functionDeclarations":
        for number, element in enumerate(as_elements(value, path)):
            tools.append(_function(as_members(element, f"{path}.{number}"), f"{path}.{number}."))
    elif kind in _SEARCHES:
        search = WebSearch(blocked_domains=find_texts(as_members(value, path), "excludeDomains", path + "."))
        if search not in tools:
            tools.append(search)
    else:
        tools.append(HostedTool(kind, f'{{"{kind}":{bytes(value).decode()}}}'))


def _function(declaration: Members, path: str) -> FunctionTool:
    name = find_text(declaration, "name", path)
    if not name:
        raise InvalidRequest(f'"{path}name" is missing', param=path + "name")
    json_schema = find(declaration, "parametersJsonSchema", path)
    parameters = find(declaration, "parameters", path)
    schema = None
    if json_schema is not None:
        as_members(json_schema, path + "parametersJsonSchema")
        schema = bytes(json_schema).decode()
    elif parameters is not None:
        schema = lowered(parameters, path + "parameters")
    return FunctionTool(name, find_text(declaration, "description", path), schema)


def parse_choice(fields: Members, tools: tuple[Tool, ...]) -> tuple[ToolChoice | None, tuple[Tool, ...]]:
    """The choice, and the tools that it leaves: of several allowed functions the others are taken out."""
    path = "toolConfig.functionCallingConfig."
    calling = find_members(find_members(fields, "toolConfig"), "functionCallingConfig", "toolConfig.")
    mode = (find_text(calling, "mode", path) or "").upper()
    allowed = find_texts(calling, "allowedFunctionNames", path)
    if mode in ("", "MODE_UNSPECIFIED"):
        return None, tools
    if mode == "NONE":
        return ToolChoice("none"), tools
    if mode == "ANY" and len(allowed) == 1:
        return ToolChoice("tool", allowed[0]), tools
    if mode not in ("AUTO", "ANY", "VALIDATED"):
        raise InvalidRequest(f'"{path}mode" must be AUTO, ANY, NONE or VALIDATED', param=path + "mode")
    if allowed:
        tools = tuple(tool for tool in tools if not isinstance(tool, FunctionTool) or tool.name in allowed)
    return ToolChoice("any" if mode == "ANY" else "auto"), tools
