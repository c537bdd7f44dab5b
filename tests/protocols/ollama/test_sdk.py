"""Ollama's own client is the judge of what we write, and of what it writes to us."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import ollama
import pytest

from app.base.errors import RateLimited
from app.domain.usage import Usage
from app.protocols.codec import Asked
from app.protocols.conversation import Base64Source, Conversation, Image, Text, Thinking, ToolCall
from app.protocols.events import Failed, Generation, unfold
from tests.protocols.ollama.builders import OLLAMA, PNG

GENERATION = Generation(
    "msg_1",
    "claude",
    (
        Thinking("Hm. "),
        Text("It is "),
        Text("blué."),
        ToolCall("toolu_1", "look", '{"at":"é"}'),
        ToolCall("t", "hear", "{}"),
    ),
    "tool_calls",
    Usage(input=7, output=9),
)


class _Gateway(HTTPServer):
    """Answers each request with GENERATION, as the codec writes it; with failures where a test wants them."""

    asked: list[Conversation]
    failure: str | None = None


class _Handler(BaseHTTPRequestHandler):
    server: _Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        envelope = OLLAMA.read_envelope(body)
        self.server.asked.append(OLLAMA.parse_request(envelope, ()))
        asked = Asked(envelope, envelope.model, "req_1", 1_700_000_000)
        if self.server.failure == "status":
            error = OLLAMA.render_error(RateLimited("slowly"), "req_1")
            self._send(error.status, b"application/json", error.body)
        elif not envelope.stream:
            self._send(200, b"application/json", OLLAMA.render_response(GENERATION, asked))
        else:
            renderer = OLLAMA.stream_renderer(asked)
            lines = [renderer.feed(event) for event in unfold(GENERATION)]
            if self.server.failure == "line":
                lines[-1:] = [renderer.feed(Failed(500, "broken"))]
            self._send(200, OLLAMA.stream_type, OLLAMA.ping.join([OLLAMA.ping, *lines]))

    def _send(self, status: int, kind: bytes, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind.decode())
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as the base class has it
        pass


@pytest.fixture
def gateway() -> Iterator[_Gateway]:
    with _Gateway(("127.0.0.1", 0), _Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(gateway: _Gateway) -> Iterator[ollama.Client]:
    with ollama.Client(f"http://127.0.0.1:{gateway.server_port}") as client:
        yield client


def test_a_chat(client: ollama.Client, gateway: _Gateway) -> None:
    answer = client.chat("m", [{"role": "user", "content": "Sky?", "images": [PNG]}], think=True, options={"seed": 1})
    assert (answer.model, answer.done, answer.done_reason) == ("m", True, "stop")
    assert (answer.message.content, answer.message.thinking) == ("It is blué.", "Hm. ")
    assert [call.function.arguments for call in answer.message.tool_calls or ()] == [{"at": "é"}, {}]
    assert (answer.prompt_eval_count, answer.eval_count) == (7, 9)
    assert not gateway.asked[0].stream
    assert gateway.asked[0].turns[0].blocks == (Text("Sky?"), Image(Base64Source("image/png", PNG)))


def test_a_streamed_chat_with_silence_between_its_lines(client: ollama.Client) -> None:
    parts = list(client.chat("m", [{"role": "user", "content": "Sky?"}], stream=True))
    assert "".join(part.message.content or "" for part in parts) == "It is blué."
    assert "".join(part.message.thinking or "" for part in parts) == "Hm. "
    calls = [call.function.name for part in parts for call in part.message.tool_calls or ()]
    assert calls == ["look", "hear"]
    assert [part.done for part in parts].count(True) == 1
    assert (parts[-1].done, parts[-1].eval_count) == (True, 9)


def test_a_second_turn_with_the_answer_as_it_came(client: ollama.Client, gateway: _Gateway) -> None:
    first = client.chat("m", [{"role": "user", "content": "Sky?"}])
    result = {"role": "tool", "tool_name": "look", "content": "blue"}
    client.chat("m", [{"role": "user", "content": "Sky?"}, first.message, result])
    assert [turn.role for turn in gateway.asked[1].turns] == ["user", "assistant", "user"]


def test_a_completion(client: ollama.Client) -> None:
    answer = client.generate("m", "Sky?", suffix="!", system="Be brief.")
    assert (answer.response, answer.thinking, answer.eval_count) == ("It is blué.", "Hm. ", 9)
    parts = list(client.generate("m", "Sky?", stream=True))
    assert "".join(part.response or "" for part in parts) == "It is blué."
    assert parts[-1].done


def test_errors(client: ollama.Client, gateway: _Gateway) -> None:
    gateway.failure = "status"
    with pytest.raises(ollama.ResponseError, match="slowly") as caught:
        client.chat("m", [{"role": "user", "content": "Sky?"}])
    assert caught.value.status_code == 429
    gateway.failure = "line"
    with pytest.raises(ollama.ResponseError, match="broken"):
        list(client.chat("m", [{"role": "user", "content": "Sky?"}], stream=True))
