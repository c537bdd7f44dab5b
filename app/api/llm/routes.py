"""The model routes as plain ASGI handlers: bytes and headers in, a Call made of them, the gateway's reply out."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from app.api.llm.connection import ClientGone, Guard, Receive, Scope, Send, send_reply, send_whole
from app.api.llm.door import Door, check_method, json_headers
from app.base import clock
from app.base.errors import GatewayError, ModelNotFound, NotFound
from app.base.ids import new_id
from app.base.logs import get_logger
from app.domain.access import Principal
from app.gateway.call import Call, Operation
from app.gateway.discover import Discovery
from app.gateway.overload import Gate
from app.gateway.own_login import check_call
from app.gateway.pipeline import Gateway
from app.protocols import model_list
from app.protocols.codec import Codec, PathFacts
from app.protocols.registry import Codecs

POST_ROUTES: tuple[tuple[tuple[str, ...], str, Operation], ...] = (
    (("/v1/messages", "/messages"), "anthropic_messages", "generate"),
    (("/v1/messages/count_tokens", "/messages/count_tokens"), "anthropic_messages", "count_tokens"),
    (("/v1/chat/completions", "/chat/completions"), "openai_chat", "generate"),
    (("/v1/responses", "/responses"), "openai_responses", "generate"),
    (("/v1/completions", "/completions"), "openai_completions", "generate"),
    (("/v1/embeddings", "/embeddings"), "openai_chat", "embeddings"),
    (("/v1/images/generations", "/images/generations"), "openai_chat", "images"),
    (("/api/chat",), "ollama", "generate"),
    (("/api/generate",), "ollama", "generate"),
)
"""Paths, the protocol spoken there, and what is asked."""
_OWN_PATHS = frozenset({"/api/chat", "/api/generate"})
"""Two endpoints of one protocol: a host of it is asked at the one that its client has chosen."""
_GEMINI_METHODS: dict[str, Operation] = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "countTokens": "count_tokens",
}
_PASSED_THROUGH: dict[str, Operation] = {
    "v1/messages": "generate",
    "v1/messages/count_tokens": "count_tokens",
}
_KEPT: dict[str, Operation] = {"v1/messages/batches": "batches", "v1/files": "files"}
"""What the provider keeps, and each path below."""
# Two writings of one path would be two routes to us and one to the provider: "v1//messages", "v1/./messages", "%3F".
_PLAIN_PATH = re.compile(r"(?!.*(^|/)\.{1,2}(/|$))[A-Za-z0-9._~:@+=,-]+(/[A-Za-z0-9._~:@+=,-]+)*")


@dataclass(frozen=True, slots=True)
class WireRules:
    """``most_body_bytes`` and ``body_stalled_s`` guard the request body; ``always_anthropic_list`` the model list."""

    most_body_bytes: int
    body_stalled_s: float
    always_anthropic_list: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What one request is about: decided from method and path alone. The last three are as in Call."""

    codec: Codec
    operation: Operation
    upstream_path: str | None = None
    native_only: bool = False
    path_facts: PathFacts | None = None


class ModelRoutes:
    """Makes the handlers; what they need is given here once."""

    def __init__(
        self,
        door: Door,
        gateway: Gateway,
        discovery: Discovery,
        codecs: Codecs,
        gate: Gate,
        rules: WireRules,
    ) -> None:
        self._door = door
        self._gate = gate
        self._gateway = gateway
        self._discovery = discovery
        self._codecs = codecs
        self._anthropic = codecs["anthropic_messages"]
        self._metrics = door.metrics
        self._rules = rules
        self._log = get_logger()

    def handlers(self) -> list[ASGIRouteHandler]:
        return [
            *(
                self._post(paths, Target(self._codecs[protocol], operation, _own_path(paths)))
                for paths, protocol, operation in POST_ROUTES
            ),
            self._models("/v1/models"),
            self._models("/models"),
            self._gemini("/v1beta/models"),
            self._batches("/v1/messages/batches"),
            self._pass_through("/anthropic"),
        ]

    def _post(self, paths: Sequence[str], target: Target) -> ASGIRouteHandler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            await self._serve(target, "POST", scope, receive, send)

        return asgi(list(paths), copy_scope=False)(handle)

    def _models(self, prefix: str) -> ASGIRouteHandler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            below = _below(prefix, scope)
            if scope["method"] == "POST" and ":" in below:  # Google's SDK calls this version of its API too
                await self._serve_gemini(below, scope, receive, send)
                return
            await self._list_models(scope, send, below, self._list_shape(scope))

        return asgi(prefix, is_mount=True, copy_scope=False)(handle)

    def _gemini(self, prefix: str) -> ASGIRouteHandler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            below = _below(prefix, scope)
            if scope["method"] in {"GET", "HEAD"} and below.rpartition(":")[2] not in _GEMINI_METHODS:
                await self._list_models(scope, send, below, "gemini")
            else:
                await self._serve_gemini(below, scope, receive, send)

        return asgi(prefix, is_mount=True, copy_scope=False)(handle)

    async def _serve_gemini(self, below: str, scope: Scope, receive: Receive, send: Send) -> None:
        """``{model}:{method}``; a model's name may hold slashes."""
        codec = self._codecs["gemini"]
        model, _, method = below.rpartition(":")
        operation = _GEMINI_METHODS.get(method)
        if not model or operation is None:
            known = ", ".join(f"/v1beta/models/{{model}}:{name}" for name in _GEMINI_METHODS)
            error = NotFound(f"there is no route {scope['path'][:200]}; there are POST {known}")
            await self._door.refuse(codec, error, new_id("req"), send)
            return
        facts = PathFacts(model, stream=method.startswith("stream"))
        await self._serve(Target(codec, operation, path_facts=facts), "POST", scope, receive, send)

    def _pass_through(self, prefix: str) -> ASGIRouteHandler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            path = _below(prefix, scope)
            if not _PLAIN_PATH.fullmatch(path):
                await self._refuse_path(scope, send)
                return
            if path == "v1/models" or path.startswith("v1/models/"):
                await self._list_models(scope, send, path.removeprefix("v1/models"), "anthropic_messages")
                return
            operation = _PASSED_THROUGH.get(path)
            if operation is not None:
                await self._serve(Target(self._anthropic, operation, native_only=True), "POST", scope, receive, send)
                return
            if path == "v1/complete":
                target = Target(self._codecs["anthropic_text_completions"], "generate", f"/{path}", native_only=True)
                await self._serve(target, "POST", scope, receive, send)
                return
            target = Target(self._anthropic, _kept(path) or "opaque", f"/{path}", native_only=True)
            await self._serve(target, scope["method"], scope, receive, send)

        return asgi(prefix, is_mount=True, copy_scope=False)(handle)

    def _batches(self, prefix: str) -> ASGIRouteHandler:
        """Where the SDKs look for batches when their base URL is ours."""

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            below = _below(prefix, scope)
            if below and not _PLAIN_PATH.fullmatch(below):
                await self._refuse_path(scope, send)
                return
            target = Target(self._anthropic, "batches", scope["path"], native_only=True)
            await self._serve(target, scope["method"], scope, receive, send)

        return asgi(prefix, is_mount=True, copy_scope=False)(handle)

    async def _refuse_path(self, scope: Scope, send: Send) -> None:
        error = NotFound(f"there is no route {scope['path'][:200]}; write the provider's path plainly")
        await self._door.refuse(self._anthropic, error, new_id("req"), send)

    async def _serve(self, target: Target, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_id("req")
        started_at, started_s = clock.now(), time.monotonic()
        self._metrics.running.inc()
        answering = inside = False
        counted: str | None = None
        principal: Principal | None = None
        try:
            check_method(scope, method)
            principal = await self._door.authenticate(scope)
            if not self._gate.enter_calm():
                counted = await self._gate.enter(principal)
            inside = True
            headers = scope["headers"]
            guard = Guard(receive)
            body = await guard.read_body(headers, self._rules.most_body_bytes, self._rules.body_stalled_s)
            call = Call(
                request_id=request_id,
                codec=target.codec,
                operation=_operation(target, method, body),
                method=method,
                route=scope["path"],
                upstream_path=target.upstream_path,
                query=scope["query_string"] if target.path_facts is None else b"",
                headers=headers,
                body=body,
                started_at=started_at,
                started_s=started_s,
                native_only=target.native_only,
                path_facts=target.path_facts,
            )
            answering = True
            await guard.while_connected(self._answer(call, principal, send))
        except GatewayError as error:
            if principal is not None:
                error.key_id = principal.key.key_id
            await self._door.refuse(target.codec, error, request_id, send)
        except ClientGone:
            self._metrics.child(self._metrics.refusals, "client_gone").inc()
        except Exception:
            if answering:
                raise  # the answer has begun: the server cuts the connection
            self._log.exception("unexpected failure", request_id=request_id)
            await self._door.refuse(target.codec, _unexpected(request_id), request_id, send)
        finally:
            if inside:
                self._gate.leave(counted)
            self._metrics.running.dec()

    async def _answer(self, call: Call, principal: Principal, send: Send) -> None:
        if principal.own_login:
            check_call(call)
        try:
            reply = await self._gateway.serve(call, principal)
        except GatewayError:
            raise
        except Exception as error:
            self._log.exception("unexpected failure", request_id=call.request_id)
            raise _unexpected(call.request_id) from error
        if reply.status >= 400:
            self._door.refusals.note_reply(principal.key.key_id, reply, call.request_id, clock.now())
        await send_reply(reply, send)

    def _list_shape(self, scope: Scope) -> str:
        """Each SDK tells itself by a header of its own."""
        names = {name for name, _ in scope["headers"]}
        if b"anthropic-version" in names or self._rules.always_anthropic_list:
            return "anthropic_messages"
        return "gemini" if b"x-goog-api-key" in names else "openai_chat"

    async def _list_models(self, scope: Scope, send: Send, name: str, shape: str) -> None:
        codec = self._codecs[shape]
        request_id = new_id("req")
        try:
            check_method(scope, "GET")
            principal = await self._door.authenticate(scope)
            body = self._render_models(scope, principal, name.strip("/"), shape)
            await send_whole(200, json_headers(request_id), body, send)
        except GatewayError as error:
            await self._door.refuse(codec, error, request_id, send)

    def _render_models(self, scope: Scope, principal: Principal, name: str, shape: str) -> bytes:
        if not name:
            models = self._discovery.visible(principal)
            match shape:
                case "anthropic_messages":
                    return model_list.render_anthropic_list(models, scope["query_string"])
                case "gemini":
                    return model_list.render_gemini_list(models)
                case _:
                    return model_list.render_openai_list(models)
        model = self._discovery.find(principal, name)
        if model is None:
            raise ModelNotFound(
                f'model "{name[:200]}" is not known here, or not allowed for this key; see GET /v1/models'
            )
        match shape:
            case "anthropic_messages":
                return model_list.render_anthropic(model, name)
            case "gemini":
                return model_list.render_gemini(model)
            case _:
                return model_list.render_openai(model)


def _kept(path: str) -> Operation | None:
    return next((kind for place, kind in _KEPT.items() if path == place or path.startswith(f"{place}/")), None)


def _operation(target: Target, method: str, body: bytes) -> Operation:
    """An endpoint that nobody here knows, but whose body names a model, is taken to cost what such a call costs."""
    if target.operation != "opaque" or method != "POST":
        return target.operation
    try:
        target.codec.read_envelope(body)
    except GatewayError:
        return "opaque"
    return "generate"


def _own_path(paths: Sequence[str]) -> str | None:
    return paths[0] if paths[0] in _OWN_PATHS else None


def _unexpected(request_id: str) -> GatewayError:
    return GatewayError(f"an unexpected failure of the gateway; tell an admin the request id {request_id}")


def _below(prefix: str, scope: Scope) -> str:
    """What of the path stands below a mount, without slashes at its ends; the scope gets its whole path back.

    Mounts, not path parameters: Litestar's plain ASGI handlers do not take those, and it trims a mount's path.
    """
    below: str = scope["path"].removeprefix(prefix).strip("/")
    scope["path"] = f"{prefix}/{below}" if below else prefix
    return below
