"""A gateway of no quality: it passes requests on to one provider, with the faults that it is told to have."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import msgspec

KEY = "sk-of-the-developer-0123456789"
_KNOWN_FIELDS = frozenset({"model", "max_tokens", "messages", "system", "tools", "stream", "thinking", "metadata"})
_KNOWN_HEADERS = frozenset({"anthropic-version", "anthropic-beta", "content-type", "user-agent"})
FAULTS = (
    "bare_models", "cleans_ends", "closed_body", "closed_headers", "compresses_events", "detail_errors", "drops_betas",
    "flattens_system", "forwards_key", "guesses_models", "inspects", "no_count", "no_ids", "loses_ends", "only_bearer",
    "redirects", "rewrites_errors", "rewrites_ids", "rewrites_turns", "small_bodies", "strips_retry", "wide_tokens",
)  # fmt: skip


@contextmanager
def crooked_gateway(upstream_url: str, fault: str = "") -> Iterator[str]:
    """Its address. Without a fault it is a good gateway for the key KEY."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.fault, server.upstream = fault, urlsplit(upstream_url).netloc  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    _ids = 0

    def _has(self, fault: str) -> bool:
        found: bool = self.server.fault == fault  # type: ignore[attr-defined]
        return found

    def do_HEAD(self) -> None:
        self._reply(200, b"")

    def do_GET(self) -> None:
        if self.path.startswith("/v1/models"):
            entry = {"id": "claude-a"} | ({} if self._has("bare_models") else {"display_name": "Claude A"})
            self._reply(200, msgspec.json.encode({"data": [entry]}))
        else:
            self._refuse(405, "invalid_request_error", "this takes POST")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        if not self._may_pass():
            self._refuse(401, "authentication_error", "unknown key", ("x-should-retry", "false"))
            return
        path = self.path.partition("?")[0]
        if self._has("redirects"):
            self._reply(307, b"", ("location", "https://elsewhere.example"))
            return
        if path not in {"/v1/messages", "/v1/messages/count_tokens"}:
            self._refuse(404, "not_found_error", "no such route")
            return
        try:
            value = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            self._refuse(400, "invalid_request_error", "no JSON object")
            return
        self._judge(path, body, value)

    def _judge(self, path: str, body: bytes, value: dict[str, Any]) -> None:
        model = value.get("model")
        if not isinstance(model, str):
            self._refuse(400, "invalid_request_error", "model is missing")
        elif model.startswith("no-such") and not self._has("guesses_models"):
            self._refuse(404, "not_found_error", f"model {model} is not known")
        elif self._has("no_count") and path.endswith("count_tokens"):
            self._refuse(501, "not_supported", "no counting here")
        elif self._has("inspects") and b"<script>" in body:
            self._reply(403, b"<html>Forbidden</html>")
        elif self._has("small_bodies") and len(body) > 1_000_000:
            self._refuse(413, "request_too_large", "too large")
        elif self._has("wide_tokens") and value.get("max_tokens") == 1:
            self._refuse(400, "invalid_request_error", "max_tokens must be at least 16")
        else:
            self._forward(body, value)

    def _may_pass(self) -> bool:
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return KEY in ({bearer} if self._has("only_bearer") else {bearer, self.headers.get("x-api-key", "")})

    def _forward(self, body: bytes, value: dict[str, Any]) -> None:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)  # type: ignore[attr-defined]
        try:
            connection.request("POST", self.path, self._body_out(body, value), self._headers_out())
            answer = connection.getresponse()
            self._relay(answer)
        finally:
            connection.close()

    def _headers_out(self) -> dict[str, str]:
        kept = {
            name.lower(): text for name, text in self.headers.items() if name.lower() not in {"host", "content-length"}
        }
        if not self._has("forwards_key"):
            kept = {name: text for name, text in kept.items() if name not in {"authorization", "x-api-key"}}
        if self._has("closed_headers"):
            kept = {name: text for name, text in kept.items() if name in _KNOWN_HEADERS}
        if self._has("drops_betas") and "anthropic-beta" in kept:
            kept["anthropic-beta"] = kept["anthropic-beta"].split(",")[0]
        return kept

    def _body_out(self, body: bytes, value: dict[str, Any]) -> bytes:
        if self._has("closed_body"):
            return msgspec.json.encode({name: field for name, field in value.items() if name in _KNOWN_FIELDS})
        if self._has("flattens_system") and "system" in value:
            return msgspec.json.encode({**value, "system": "\n".join(part["text"] for part in value["system"])})
        if self._has("rewrites_turns") and len(value["messages"]) > 2:
            return msgspec.json.encode({**value, "messages": value["messages"][:2] + value["messages"][-1:]})
        return body

    def _relay(self, answer: http.client.HTTPResponse) -> None:
        broken = False
        try:
            body = answer.read()
        except http.client.IncompleteRead as error:
            body, broken = error.partial, True
        told = [
            (name, text)
            for name, text in answer.getheaders()
            if name.lower() in {"content-type", "retry-after", "x-should-retry"}
        ]
        if self._has("strips_retry"):
            told = [header for header in told if header[0] == "content-type"]
        if answer.status >= 400 and self._has("rewrites_errors"):
            body = b'{"type":"error","error":{"type":"api_error","message":"upstream failed"}}'
        if self._has("rewrites_ids"):
            body = body.replace(b"toolu_", b"call_")
        if self._has("compresses_events"):
            body = body.replace(b"event: content_block_delta\n", b"event: content_block_delta\n", 1)
            parts = body.split(b"\n\n")
            body = b"\n\n".join(
                part for number, part in enumerate(parts) if b"input_json_delta" not in part or number % 2
            )
        if self._has("loses_ends"):
            body = body.partition(b"event: message_stop")[0]
        self._reply(answer.status, body, *told, cut=broken and not self._has("cleans_ends"))

    def _refuse(self, status: int, kind: str, message: str, *headers: tuple[str, str]) -> None:
        body: Any = {"type": "error", "error": {"type": kind, "message": message}}
        if self._has("detail_errors"):
            body = {"status_code": status, "detail": message}
        self._reply(status, msgspec.json.encode(body), *headers)

    def _reply(self, status: int, body: bytes, *headers: tuple[str, str], cut: bool = False) -> None:
        _Handler._ids += 1
        self.send_response(status)
        names = {name.lower() for name, _ in headers}
        own = [] if self._has("no_ids") else [("request-id", f"req_{_Handler._ids}")]
        typed = [] if "content-type" in names else [("content-type", "application/json")]
        for name, text in (*headers, *own, *typed):
            self.send_header(name, text)
        self.send_header("content-length", str(len(body) + (1 if cut else 0)))
        self.end_headers()
        self.wfile.write(body)
        if cut:
            self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Nothing."""
