"""A Gemini client's tools and its choice among them."""

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import FunctionTool, HostedTool, Tool, ToolChoice, WebSearch
from app.protocols.gemini.proto import (
    NULL,
    UNREADABLE,
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
from app.protocols.raw_json import is_null, unreadable

_SEARCHES = frozenset({"googleSearch", "googleSearchRetrieval", "enterpriseWebSearch"})


class _Declaration(msgspec.Struct, gc=False):
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = NULL
    parametersJsonSchema: msgspec.Raw = NULL  # noqa: N815
    parameters_json_schema: msgspec.Raw = NULL


_decode_declarations = msgspec.json.Decoder(list[_Declaration] | _Declaration).decode


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
        tools += _functions(value, path)
    elif kind in _SEARCHES:
        search = WebSearch(blocked_domains=find_texts(as_members(value, path), "excludeDomains", path + "."))
        if search not in tools:
            tools.append(search)
    else:
        tools.append(HostedTool(kind, f'{{"{kind}":{bytes(value).decode()}}}'))


def _functions(raw: msgspec.Raw, path: str) -> list[FunctionTool]:
    try:
        read = _decode_declarations(raw)
    except UNREADABLE as error:
        raise unreadable(error, path) from error
    declarations = read if isinstance(read, list) else [read]
    return [_function(declaration, f"{path}.{number}") for number, declaration in enumerate(declarations)]


def _function(declaration: _Declaration, path: str) -> FunctionTool:
    if not declaration.name:
        raise InvalidRequest(f'"{path}.name" is missing', param=f"{path}.name")
    json_schema, other = declaration.parametersJsonSchema, declaration.parameters_json_schema
    if not is_null(json_schema) and not is_null(other):
        raise InvalidRequest(f'"{path}.parametersJsonSchema" is there twice', param=f"{path}.parametersJsonSchema")
    if is_null(json_schema):
        json_schema = other
    schema = None
    if not is_null(json_schema):
        schema = bytes(json_schema).decode()
        if not schema.startswith("{"):
            raise InvalidRequest(
                f'"{path}.parametersJsonSchema" must be an object', param=f"{path}.parametersJsonSchema"
            )
    elif not is_null(declaration.parameters):
        schema = lowered(declaration.parameters, f"{path}.parameters")
    return FunctionTool(declaration.name, declaration.description, schema)


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
