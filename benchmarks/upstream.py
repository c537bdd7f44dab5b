"""A provider that answers as fast as Python can, so that what is measured is the gateway.

`python -m benchmarks.upstream` prints its port. A stream has as many events as the body says in words,
wherever they stand: `events=200 interval_ms=5`; with no interval they leave one by one, back to back.
"""

import asyncio
import re
import sys
from typing import cast

import uvloop

HEAD_END = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
STREAM = re.compile(rb'"stream":\s*true')
EVENTS = re.compile(rb"events=(\d+)")
INTERVAL = re.compile(rb"interval_ms=(\d+)")
DEFAULT_EVENTS = 20
TEXT_CHARACTERS = 1500


def _json_response(body: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\ncontent-length: {len(body)}"
    return (head + "\r\n\r\n" + body).encode()


def _chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


MESSAGE = _json_response(
    '{"model":"claude-haiku-4-5","id":"msg_bench","type":"message","role":"assistant","content":[{"type":"text","text":"'
    + "x" * TEXT_CHARACTERS
    + '"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":310,"cache_creation_input_tokens":0,'
    '"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},'
    '"output_tokens":210,"service_tier":"standard"}}'
)
COMPLETION = _json_response(
    '{"id":"chatcmpl-bench","object":"chat.completion","created":1795219200,"model":"gpt-4o-mini","choices":[{"index":0,'
    '"message":{"role":"assistant","content":"' + "x" * TEXT_CHARACTERS + '","refusal":null},"logprobs":null,'
    '"finish_reason":"stop"}],"usage":{"prompt_tokens":310,"completion_tokens":210,"total_tokens":520,'
    '"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}'
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: req_bench\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
MESSAGE_START = _chunk(
    b'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-haiku-4-5","id":"msg_bench",'
    b'"type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":310,'
    b'"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}\n\n'
) + _chunk(
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
MESSAGE_DELTA = _chunk(
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":" about twenty letters"}}\n\n'
)
MESSAGE_STOP = _chunk(
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":210}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
CHUNK_START = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1795219200,'
    b'"model":"gpt-4o-mini","choices":['
)
COMPLETION_START = _chunk(
    CHUNK_START + b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
)
COMPLETION_DELTA = _chunk(
    CHUNK_START + b'{"index":0,"delta":{"content":" about twenty letters"},"logprobs":null,"finish_reason":null}]}\n\n'
)
COMPLETION_STOP = _chunk(
    CHUNK_START
    + b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
    + CHUNK_START
    + b'],"usage":{"prompt_tokens":310,"completion_tokens":210,"total_tokens":520}}\n\ndata: [DONE]\n\n'
)
LAST_CHUNK = b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One keep-alive connection; no pipelining, no chunked request bodies."""

    def __init__(self) -> None:
        self._received = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._open = True

    def connection_lost(self, _: Exception | None) -> None:
        self._open = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(HEAD_END)
        if head_end < 0:
            return
        length = CONTENT_LENGTH.search(self._received, 0, head_end)
        end = head_end + len(HEAD_END) + (int(length[1]) if length else 0)
        if len(self._received) >= end:
            request, self._received = self._received[:end], self._received[end:]
            self._answer(request, head_end)

    def _answer(self, request: bytes, head_end: int) -> None:
        is_chat = b"/chat/completions" in request[: request.index(b"\r\n")]
        if not STREAM.search(request, head_end):
            self._transport.write(COMPLETION if is_chat else MESSAGE)
            return
        events = EVENTS.search(request, head_end)
        interval = INTERVAL.search(request, head_end)
        count = int(events[1]) if events else DEFAULT_EVENTS
        interval_ms = int(interval[1]) if interval else 0
        start = STREAM_HEAD + (COMPLETION_START if is_chat else MESSAGE_START)
        delta = COMPLETION_DELTA if is_chat else MESSAGE_DELTA
        end = (COMPLETION_STOP if is_chat else MESSAGE_STOP) + LAST_CHUNK
        self._transport.write(start)
        self._drip(delta, end, count, interval_ms / 1000)

    def _drip(self, delta: bytes, end: bytes, remaining: int, interval_s: float) -> None:
        if not self._open:
            return
        self._transport.write(delta if remaining else end)
        if not remaining:
            return
        loop = asyncio.get_running_loop()
        if interval_s:
            loop.call_later(interval_s, self._drip, delta, end, remaining - 1, interval_s)
        else:
            loop.call_soon(self._drip, delta, end, remaining - 1, interval_s)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
