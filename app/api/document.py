"""The OpenAPI document: what the routes say of themselves, completed with fields, answers, errors and security."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

from app.api.document_words import FIELDS, PARAMETERS, REQUIRED, SUMMARIES

AnyRequest = Request[Any, Any, Any]
_OPEN = frozenset(
    {
        "after", "before",
        "aliases", "before_value", "breakdown", "config", "credential_info", "credential_values", "litellm_params",
        "metadata", "model_info", "model_max_budget", "model_spend", "permissions", "router_settings",
        "settings", "effective", "updated_values", "users", "models", "daily_spend",
        "model_max_budget_usage", "budget_limits_usage",
    }
)  # fmt: skip
"""Objects and lists whose content is somebody's own, or named by what there is: their keys are not listed."""
_SOMETIMES = re.compile(r"_cost_per_|_token_cost")
"""Rates: each is there where the price has it, and a withdrawn price has none."""
_BY_NAME = frozenset({"/tag/info"})
"""Their whole answer is an object by the names that were asked for."""
_ERRORS = {
    400: "the request cannot be read",
    401: "no key, or none that may call",
    403: "no role of the caller may call this route",
    404: "there is no such thing, or it is another tenant's",
    413: "the body is larger than 1 MB",
    422: "a field or parameter has a value that cannot be; `param` names it, and nothing was changed",
    429: "too many unknown keys from one address",
    503: "a store does not answer; nothing was changed",
}
_ERROR: Mapping[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
    "examples": [
        {
            "error": {
                "message": '"max_budget" is -1; it may not be negative', "type": "invalid_request_error",
                "param": "max_budget", "code": "422",
            }
        }
    ],
}  # fmt: skip
_PATH_NAME = re.compile(r"\{(\w+)\}")


class Example(msgspec.Struct, frozen=True):
    """One route as it was seen at work: the fields and parameters that it reads, those that it refuses as not enforced
    yet, a request, and what it answered. Kept up to date by ``tests/api/test_openapi.py --update-golden``."""

    fields: list[str] = []
    refused: list[str] = []
    query: list[str] = []
    request: Any = None
    answers: list[Any] = []


class DocumentPlugin(JsonRenderPlugin):
    """Serves the completed document instead of the bare one."""

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002  the plugin's
        return _rendered(msgspec.json.encode(openapi_schema))


@cache
def _rendered(bare: bytes) -> bytes:
    return msgspec.json.encode(complete(msgspec.json.decode(bare)))


def complete(bare: Mapping[str, Any]) -> dict[str, Any]:
    """Of Litestar's own document the paths and methods are taken."""
    examples = load_examples()
    paths: dict[str, dict[str, Any]] = {}
    for path, methods in bare["paths"].items():
        for method, operation in methods.items():
            example = examples.get(f"{method.upper()} {path}")
            done = dict(operation) if example is None else _operation(method, path, example)
            paths.setdefault(path, {})[method] = done
    bearer = {"type": "http", "scheme": "bearer", "description": "the master key, or a virtual key with a role"}
    header = {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "the same in a header of its own"}
    return {
        "openapi": "3.1.0",
        "info": {
            **bare["info"],
            "description": "Keys, people, budgets, models and spend. The paths and fields are LiteLLM's; amounts are "
            "exact decimals of dollars, times ISO 8601 in UTC. The model routes are those of the protocols' own pages.",
        },
        "security": [{"bearer": []}, {"api-key": []}],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"bearer": bearer, "api-key": header},
        },
    }


def load_examples() -> dict[str, Example]:
    raw = files("app.api").joinpath("examples.json").read_bytes()
    return msgspec.json.decode(raw, type=dict[str, Example])


def _operation(method: str, path: str, example: Example) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": SUMMARIES.get(path, path),
        "operationId": re.sub(r"\W+", "_", f"{method}_{path}").strip("_"),
        "tags": [path.split("/")[2 if re.match(r"/v\d+/", path) else 1]],
        "parameters": [*_path_parameters(path), *_query_parameters(example.query)],
        "responses": _responses(path, example),
    }
    if example.fields or example.request is not None:
        operation["requestBody"] = _body(path, example)
    return operation


def _path_parameters(path: str) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[A-Za-z0-9_.-]+$"}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in _PATH_NAME.findall(path)]


def _query_parameters(names: Iterable[str]) -> list[dict[str, Any]]:
    text = {"type": "string", "maxLength": 256}
    return [{"name": name, "in": "query", "schema": PARAMETERS.get(name, text)} for name in sorted(names)]


def _body(path: str, example: Example) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: FIELDS.get(name, {}) for name in sorted(example.fields)},
        "additionalProperties": False,
    }
    if path in REQUIRED:
        schema["required"] = list(REQUIRED[path])
        for name in REQUIRED[path]:
            schema["properties"][name] = _never_null(schema["properties"].get(name, {}))
    if example.refused:
        schema["description"] = "Known to LiteLLM and not enforced yet, so refused unless null or empty: " + ", ".join(
            sorted(example.refused)
        )
    media: dict[str, Any] = {"schema": schema}
    if example.request is not None:
        media["example"] = example.request
    return {"required": path in REQUIRED, "content": {"application/json": media}}


def _never_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    kinds = schema.get("type")
    return {**schema, "type": [kind for kind in kinds if kind != "null"]} if isinstance(kinds, list) else dict(schema)


def _responses(path: str, example: Example) -> dict[str, Any]:
    schema = {"type": "object"} if path in _BY_NAME else merged(schema_of(answer) for answer in example.answers)
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if example.answers:
        content["application/json"]["example"] = example.answers[0]
    if "format" in example.query:
        content["text/csv"] = {"schema": {"type": "string"}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    refusals = {str(status): {"description": meaning, "content": error} for status, meaning in _ERRORS.items()}
    return {"200": {"description": "done", "content": content}, **refusals}


def schema_of(value: object, name: str = "") -> dict[str, Any]:
    """What answers like this one look like. Any value but a list or a whole object may be null in another."""
    match value:
        case bool():
            return {"type": ["boolean", "null"]}
        case int() | float():
            return {"type": ["number", "null"]}
        case str():
            return {"type": ["string", "null"]}
        case list():
            return {"type": ["array", "null"], "items": merged(schema_of(item, name) for item in value)}
        case dict() if name in _OPEN:
            return {"type": ["object", "null"]}
        case dict():
            properties = {str(key): schema_of(inner, str(key)) for key, inner in value.items()}
            return {"type": ["object", "null"], "properties": properties, "required": _always(properties)}
        case _:
            return {}


def _always(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not _SOMETIMES.search(name))


def merged(schemas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One schema for all that each of them describes."""
    found: dict[str, Any] = {}
    for schema in schemas:
        found = _both(found, schema)
    return found


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    if not one or not other:
        return one or other
    if one["type"] != other["type"]:
        return {"type": sorted({*one["type"], *other["type"]})}
    if "items" in one:
        return {"type": one["type"], "items": _both(one["items"], other["items"])}
    if "properties" not in one or "properties" not in other:
        return {"type": one["type"]}
    names = {**one["properties"], **other["properties"]}
    properties = {name: _both(one["properties"].get(name, {}), other["properties"].get(name, {})) for name in names}
    required = sorted(set(one["required"]) & set(other["required"]))
    return {"type": one["type"], "properties": properties, "required": required}
