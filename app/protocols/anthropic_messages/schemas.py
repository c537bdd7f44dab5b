"""JSON Schemas in the subset that Anthropic's structured outputs take.

Source: the public guide on structured outputs. A keyword that is refused moves into the description, where the model
reads it, as Anthropic's own SDK does.
"""

from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.wire import encode

_REFUSED = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "prefixItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
        "if",
        "then",
        "else",
        "not",
    }
)
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
_SILENT = frozenset({"$schema", "$id", "$comment", "examples"})
_NAMED_SCHEMAS = ("properties", "$defs", "definitions")
_LISTED_SCHEMAS = ("anyOf", "allOf")

_decode = msgspec.json.Decoder().decode

Json = Any
"""A decoded value, or a msgspec.Raw."""


def acceptable(schema: str, param: str) -> dict[str, Any]:
    """Raises InvalidRequest for what is no schema of an object."""
    try:
        decoded = _decode(schema)
        if isinstance(decoded, dict):
            fitted: dict[str, Any] = _fit(decoded)
            return fitted
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f'"{param}" is not a readable JSON Schema', param=param) from error
    raise InvalidRequest(f'"{param}" must be a JSON Schema, an object', param=param)


def _fit(schema: Json) -> Json:
    if not isinstance(schema, dict):
        return schema
    fitted: dict[str, Any] = {}
    moved: dict[str, Any] = {}
    for keyword, value in schema.items():
        if _is_refused(keyword, value):
            moved[keyword] = value
        elif keyword not in _SILENT:
            fitted[keyword] = _fit_member(keyword, value)
    if "oneOf" in fitted:
        fitted["anyOf"] = [*fitted.get("anyOf", ()), *fitted.pop("oneOf")]
    if fitted.get("type") == "object" or "properties" in fitted:
        if isinstance(fitted.get("additionalProperties"), dict | bool) and fitted["additionalProperties"]:
            moved["additionalProperties"] = fitted["additionalProperties"]
        fitted["additionalProperties"] = False
    if moved:
        said = encode(moved).decode()
        described = fitted.get("description")
        fitted["description"] = f"{described}\n\n{said}" if isinstance(described, str) and described else said
    return fitted


def _is_refused(keyword: str, value: Json) -> bool:
    match keyword:
        case "minItems":
            return value not in (0, 1)
        case "format":
            return value not in _FORMATS
        case _:
            return keyword in _REFUSED


def _fit_member(keyword: str, value: Json) -> Json:
    if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
        return {name: _fit(inner) for name, inner in value.items()}
    if keyword in {*_LISTED_SCHEMAS, "oneOf"}:
        return [_fit(inner) for inner in value] if isinstance(value, list) else []
    return _fit(value) if keyword == "items" else value
