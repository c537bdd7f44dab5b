"""``GET /protocol``: which parts of Claude Code's gateway protocol are served here: those whose routes there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.routes import BaseRoute

GATEWAY_PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True)
class Part:
    """One route of the protocol; ``needs_key`` False: it is answered without sign-in."""

    method: str
    path: str
    says: str
    needs_key: bool = True


PARTS = (
    Part("GET", "/protocol", "this page; as JSON with `accept: application/json`", needs_key=False),
    Part("GET", "/health/readiness", "whether calls can be served", needs_key=False),
    Part("GET", "/.well-known/oauth-authorization-server", "where to sign in", needs_key=False),
    Part("POST", "/oauth/device_authorization", "begins a sign-in with a code", needs_key=False),
    Part("POST", "/oauth/token", "a key for an approved code, or for a refresh token", needs_key=False),
    Part("POST", "/oauth/revoke", "ends a sign-in", needs_key=False),
    Part("POST", "/v1/messages", "the Messages API, for models of every provider; unknown fields and betas pass"),
    Part("POST", "/v1/messages/count_tokens", "a count by the provider, or an estimate where it has none; it is free"),
    Part("GET", "/v1/models", "the models of the key, for the picker"),
    Part("GET", "/managed/settings", "the settings of the key's team, with an ETag"),
    Part("GET", "/api/oauth/usage", "what is spent of the key's budgets"),
    Part("POST", "/v1/metrics", "OTLP metrics over HTTP, protobuf or JSON"),
    Part("POST", "/v1/logs", "OTLP logs over HTTP, protobuf or JSON"),
    Part("POST", "/v1/traces", "OTLP traces over HTTP, protobuf or JSON"),
)
"""The protocol's routes, in the order in which a client meets them."""


@get("/protocol", include_in_schema=False)
async def protocol(request: Request[Any, Any, Any]) -> Response[bytes]:
    served = {part for part in PARTS if _is_served(part, request.app.routes)}
    if "application/json" in request.headers.get("accept", ""):
        return Response(msgspec.json.encode(_described(served)), media_type=MediaType.JSON)
    return Response(_page(served).encode(), media_type="text/markdown; charset=utf-8")


def _is_served(part: Part, routes: Iterable[BaseRoute]) -> bool:
    """Routes of plain ASGI name no methods: they look at the method themselves."""
    return any(route.path == part.path and (not route.methods or part.method in route.methods) for route in routes)


def _described(served: set[Part]) -> Mapping[str, Any]:
    return {
        "gateway_protocol_version": GATEWAY_PROTOCOL_VERSION,
        "parts": [
            {
                "method": part.method,
                "path": part.path,
                "needs_key": part.needs_key,
                "served": part in served,
                "says": part.says,
            }
            for part in PARTS
        ],
    }


def _page(served: set[Part]) -> str:
    lines = [
        "# Claude Code's gateway protocol, as Keyhouse serves it",
        "",
        f"gateway_protocol_version: {GATEWAY_PROTOCOL_VERSION}",
        "",
        "Parameters, fields, headers and beta values that are not known here are never a reason to refuse.",
        "A key is sent as `Authorization: Bearer` or `x-api-key`.",
    ]
    for title, needs_key in (("Without a key", False), ("With a key", True)):
        lines += ["", f"## {title}", ""]
        for part in PARTS:
            if part.needs_key == needs_key:
                says = part.says if part in served else "not served here"
                lines.append(f"- `{part.method} {part.path}`: {says}")
    return "\n".join([*lines, ""])
