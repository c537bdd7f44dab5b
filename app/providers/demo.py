"""A deterministic provider inside the product, speaking the Anthropic protocol, so that all can be tried at no cost.

``demo/echo`` says the last user text again, ``demo/lorem`` writes filler up to ``max_tokens``, ``demo/tools`` calls
the first tool given and comments on its result, ``demo/slow`` is lorem at ten words a second.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from app.providers.provider import Header, UpstreamReply, UpstreamRequest

_LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua. "
)
_LOREM_WORDS = 120
_SLOW_WORD_S = 0.1
_BYTES_PER_TOKEN = 4
_JSON: Header = (b"content-type", b"application/json")
_SSE: Header = (b"content-type", b"text/event-stream; charset=utf-8")


class DemoReply:
    """An answer that was never on a wire."""

    def __init__(self, status: int, headers: Sequence[Header], chunks: AsyncIterator[bytes]) -> None:
        self.status = status
        self.headers = headers
        self._chunks = chunks
        self._pending: asyncio.Task[bytes] | None = None

    async def next_chunk(self, wait_s: float) -> bytes:
        # A reader that gives up waiting (to write a ping) must not lose the chunk: it stays in the task.
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._read())
        chunk = await asyncio.wait_for(asyncio.shield(self._pending), wait_s)
        self._pending = None
        return chunk

    async def _read(self) -> bytes:
        return await anext(self._chunks, b"")

    def close(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None


class DemoUpstream:
    """Implements the Upstream interface without a network."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        path = request.url.partition("?")[0]
        try:
            body: dict[str, Any] = msgspec.json.decode(request.body, type=dict[str, Any])
            messages = [message for message in body.get("messages") or [] if isinstance(message, dict)]
        except msgspec.DecodeError:
            return _error(400, "invalid_request_error", "the demo provider takes a JSON object")
        if not messages:
            return _error(400, "invalid_request_error", "messages: at least one message is required")
        prompt_tokens = -(-len(request.body) // _BYTES_PER_TOKEN)
        if path.endswith("/count_tokens"):
            return _whole(200, {"input_tokens": prompt_tokens})
        model = str(body.get("model", ""))
        most = body.get("max_tokens")
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            return _error(400, "invalid_request_error", "max_tokens: a whole number of at least 1 is required")
        block, stop_reason = _block(model, body, messages, most)
        usage = _usage(prompt_tokens, block)
        message = {
            "id": f"msg_demo_{prompt_tokens}_{usage['output_tokens']}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [block],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": usage,
        }
        if body.get("stream") is True:
            pause_s = _SLOW_WORD_S if model.endswith("slow") else 0
            return DemoReply(200, [_SSE], _events(message, block, pause_s))
        return _whole(200, message)


def _block(model: str, body: dict[str, Any], messages: list[dict[str, Any]], most: int) -> tuple[dict[str, Any], str]:
    tools = body.get("tools") or []
    if model.endswith("tools") and tools and isinstance(tools[0], dict) and not _has_tool_result(messages[-1]):
        arguments = _sample(tools[0].get("input_schema") or {})
        return {"type": "tool_use", "id": "toolu_demo_1", "name": tools[0].get("name"), "input": arguments}, "tool_use"
    if model.endswith(("lorem", "slow")):
        words = (_LOREM * (_LOREM_WORDS // 19 + 1)).split(" ")[:_LOREM_WORDS]
        text = " ".join(words)
    else:
        text = _last_text(messages) or "The demo provider has nothing to echo."
    most_bytes = most * _BYTES_PER_TOKEN
    encoded = text.encode()
    if len(encoded) > most_bytes:
        return {"type": "text", "text": encoded[:most_bytes].decode(errors="ignore")}, "max_tokens"
    return {"type": "text", "text": text}, "end_turn"


def _has_tool_result(message: dict[str, Any]) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("type") == "tool_result" for block in content
    )


def _last_text(messages: list[dict[str, Any]]) -> str:
    for message in reversed(messages):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, str):
            return content
        texts = [
            str(block.get("text") or block.get("content") or "") for block in content or [] if isinstance(block, dict)
        ]
        return "\n".join(text for text in texts if text)
    return ""


def _sample(schema: dict[str, Any]) -> dict[str, Any]:
    """A value for each required property, so that the call fits the tool's schema."""
    samples: dict[str, Any] = {"string": "demo", "integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    arguments: dict[str, Any] = {}
    for name in schema.get("required") or []:
        described = properties.get(name)
        described = described if isinstance(described, dict) else {}
        choices = described.get("enum") or [samples.get(str(described.get("type", "string")), "demo")]
        arguments[name] = choices[0]
    return arguments


def _usage(prompt_tokens: int, block: dict[str, Any]) -> dict[str, int]:
    said = block["text"].encode() if block["type"] == "text" else msgspec.json.encode(block["input"])
    return {
        "input_tokens": prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": max(1, -(-len(said) // _BYTES_PER_TOKEN)),
    }


async def _events(message: dict[str, Any], block: dict[str, Any], pause_s: float) -> AsyncIterator[bytes]:
    usage = message["usage"]
    opening = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield _event("message_start", message=opening)
    empty = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
    yield _event("content_block_start", index=0, content_block=empty)
    yield _event("ping")
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
    else:
        deltas = [{"type": "input_json_delta", "partial_json": msgspec.json.encode(block["input"]).decode()}]
    for delta in deltas:
        if pause_s:
            await asyncio.sleep(pause_s)
        yield _event("content_block_delta", index=0, delta=delta)
    yield _event("content_block_stop", index=0)
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=ending, usage={"output_tokens": usage["output_tokens"]})
    yield _event("message_stop")


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [word if position == len(words) - 1 else word + " " for position, word in enumerate(words)]


def _event(kind: str, **fields: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))


def _whole(status: int, body: dict[str, Any]) -> DemoReply:
    async def chunks() -> AsyncIterator[bytes]:
        yield msgspec.json.encode(body)

    return DemoReply(status, [_JSON], chunks())


def _error(status: int, kind: str, message: str) -> DemoReply:
    return _whole(status, {"type": "error", "error": {"type": kind, "message": message}})
