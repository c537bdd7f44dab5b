"""A provider that we watch: it records what a gateway sends it, and answers as a check wants."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

USAGE = {"input_tokens": 12, "output_tokens": 3}
# A field that no release of the API has, so that a closed list shows.
UNKNOWN_FIELD = "x_field_of_a_later_release"


@dataclass(frozen=True, slots=True)
class Recorded:
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """All values of the name, joined by commas; None where it did not come."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Answer:
    """``parts`` are written one by one; ``cut``: the connection then ends without an end. ``pause_s`` before each."""

    status: int
    headers: tuple[tuple[str, str], ...]
    parts: tuple[bytes, ...]
    cut: bool = False
    pause_s: float = 0.0


def whole(**changes: Any) -> Answer:  # noqa: ANN401  JSON
    """A message that answers, in one piece; fields may be changed or added."""
    message = {
        "id": "msg_conformance",
        "type": "message",
        "role": "assistant",
        "model": "claude-conformance",
        "content": [{"type": "text", "text": "Here I am."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **changes,
    }
    return Answer(200, (("content-type", "application/json"),), (msgspec.json.encode(message),))


def refusal(status: int, kind: str, message: str, **headers: str) -> Answer:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_conformance"}
    told = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, (("content-type", "application/json"), *told), (msgspec.json.encode(body),))


def events(*, ping: bool = True, until: int | None = None) -> list[bytes]:
    """A stream with text and a call of a tool; the first ``until`` of its events."""
    start = whole(content=[], stop_reason=None, usage={"input_tokens": 12, "output_tokens": 1}, **{UNKNOWN_FIELD: 1})
    said: list[Any] = [
        {"type": "message_start", "message": msgspec.json.decode(start.parts[0])},
        *([{"type": "ping"}] if ping else []),
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Here é 🔑"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1,
         "content_block": {"type": "tool_use", "id": "toolu_01ABCdef_-9", "name": "Read", "input": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"path"'}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ': "a"}'}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": USAGE},
        {"type": "message_stop"},
    ]  # fmt: skip
    return [b"event: %b\ndata: %b\n\n" % (one["type"].encode(), msgspec.json.encode(one)) for one in said][:until]


def stream(parts: list[bytes], *, cut: bool = False, pause_s: float = 0.0) -> Answer:
    return Answer(200, (("content-type", "text/event-stream"),), tuple(parts), cut, pause_s)


def usual(body: Any) -> Answer:  # noqa: ANN401
    return stream(events()) if isinstance(body, dict) and body.get("stream") else whole()


@dataclass(slots=True)
class Witness:
    """``answer`` may be set by a check, for one call; ``seen`` has what came since ``forget``."""

    url: str
    seen: list[Recorded] = field(default_factory=list)
    answer: Callable[[Any], Answer] = usual
    stopping: threading.Event = field(default_factory=threading.Event)

    def forget(self) -> None:
        self.seen.clear()
        self.answer = usual

    @property
    def last(self) -> Recorded | None:
        return self.seen[-1] if self.seen else None


@contextmanager
def running(host: str, port: int) -> Iterator[Witness]:
    """Listens until the block ends; port 0 finds a free one. Raises OSError where it cannot."""
    server = ThreadingHTTPServer((host, port), _Handler)
    server.daemon_threads = True
    witness = Witness(f"http://{host}:{server.server_address[1]}")
    server.witness = witness  # type: ignore[attr-defined]  # the way a handler finds it
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield witness
    finally:
        witness.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(Answer(200, (("content-type", "application/json"),), (b'{"data": [], "has_more": false}',)))

    def do_POST(self) -> None:
        body = self._read()
        witness: Witness = self.server.witness  # type: ignore[attr-defined]
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        witness.seen.append(Recorded(self.path, headers, body))
        if "count_tokens" in self.path:
            self._send(Answer(200, (("content-type", "application/json"),), (b'{"input_tokens": 12}',)))
            return
        try:
            value = msgspec.json.decode(body)
        except msgspec.DecodeError:
            value = None
        self._send(witness.answer(value))

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, answer: Answer) -> None:
        witness: Witness = self.server.witness  # type: ignore[attr-defined]
        self.send_response(answer.status)
        for name, value in (*answer.headers, ("transfer-encoding", "chunked")):
            self.send_header(name, value)
        self.end_headers()
        try:
            for part in answer.parts:
                if answer.pause_s and witness.stopping.wait(answer.pause_s):
                    break
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                self.wfile.flush()
            if answer.cut:
                self.close_connection = True
                self.connection.shutdown(2)
            else:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True  # the gateway left

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Nothing: the table is what is printed."""
