"""Anthropic's wire form: Messages whole and streamed, token counts, the model list, errors.

Written after the public API reference (messages, streaming, errors, rate limits), November 2026.
"""

import json
from itertools import groupby
from typing import Any

from tests.fakes.answers import Answer, Frame, generated, streamed, to_json, whole
from tests.fakes.script import Piece, Script, pieces_of, total_output_tokens, whole_content

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
SIGNATURE = "RmFrZVNpZ25hdHVyZQ" * 6 + "=="
Headers = tuple[tuple[str, str], ...]


def answer_messages(script: Script, body: dict[str, Any], request_id: str) -> Answer:
    """The answer to POST /v1/messages, whole or streamed as the body asks."""
    if body.get("stream") is True:
        return streamed(headers(script, request_id), _stream(script, body, request_id))
    blocks = [_whole_block(piece, body) for piece in whole_content(script)]
    message = _message(script, body, request_id) | {
        "content": blocks,
        "stop_reason": _stop_reason(script),
        "usage": _start_usage(script) | _final_usage(script),
    }
    return generated(script, headers(script, request_id), message)


def answer_count_tokens(script: Script, request_id: str) -> Answer:
    return whole(200, headers(script, request_id), {"input_tokens": script.input_tokens})


def answer_models(script: Script, request_id: str, names: tuple[str, ...]) -> Answer:
    data = [
        {"type": "model", "id": name, "display_name": name.title(), "created_at": "2026-01-05T00:00:00Z"}
        for name in names
    ]
    page = {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    return whole(200, headers(script, request_id), page)


def answer_error(script: Script, status: int, request_id: str, message: str) -> Answer:
    body = _error(status, message) | {"request_id": request_id}
    extra: Headers = (("retry-after", script.retry_after),) if script.retry_after is not None else ()
    should_retry = "true" if status in (408, 409, 429) or status >= 500 else "false"
    return whole(status, (*headers(script, request_id), ("x-should-retry", should_retry), *extra), body)


def error_event(status: int, message: str) -> bytes:
    """The event that ends a stream which fails after its start."""
    return _event("error", _error(status, message))


def headers(script: Script, request_id: str) -> Headers:
    """What the provider adds to each answer."""
    return (
        ("request-id", request_id),
        ("anthropic-organization-id", "00000000-0000-4000-8000-000000000001"),
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", "2026-11-21T00:00:01Z"),
        ("anthropic-ratelimit-input-tokens-limit", "2000000"),
        ("anthropic-ratelimit-input-tokens-remaining", str(2_000_000 - script.input_tokens)),
        ("anthropic-ratelimit-input-tokens-reset", "2026-11-21T00:00:01Z"),
        *script.headers,
    )


def _error(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": ERROR_TYPES.get(status, "api_error"), "message": message}}


def _message(script: Script, body: dict[str, Any], request_id: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "model": body.get("model"),
        "id": "msg_" + request_id.removeprefix("req_"),
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }
    return message | ({"provenance": {"batch": None}} if script.unknown else {})


def _start_usage(script: Script) -> dict[str, Any]:
    return {
        "input_tokens": script.input_tokens,
        "cache_creation_input_tokens": script.cache_write_5m + script.cache_write_1h,
        "cache_read_input_tokens": script.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": script.cache_write_5m,
            "ephemeral_1h_input_tokens": script.cache_write_1h,
        },
        "output_tokens": _first_output_tokens(script),
        "service_tier": "standard",
        "inference_geo": "global",
    }


def _final_usage(script: Script) -> dict[str, Any]:
    """Cumulative, as message_delta carries it: without the split of the cache writes."""
    usage: dict[str, Any] = {
        "input_tokens": script.input_tokens,
        "cache_creation_input_tokens": script.cache_write_5m + script.cache_write_1h,
        "cache_read_input_tokens": script.cache_read,
        "output_tokens": total_output_tokens(script),
    }
    if script.reasoning_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": script.reasoning_tokens}
    return usage


def _first_output_tokens(script: Script) -> int:
    return min(1, total_output_tokens(script))


def _stop_reason(script: Script) -> str:
    return script.stop_reason or ("tool_use" if script.tool_calls else "end_turn")


def _tool_name(body: dict[str, Any]) -> str:
    tools = body.get("tools")
    named = [tool["name"] for tool in tools if "name" in tool] if isinstance(tools, list) else []
    return str(named[0]) if named else "get_weather"


def _whole_block(piece: Piece, body: dict[str, Any]) -> dict[str, Any]:
    match piece.kind:
        case "thinking":
            return {"type": "thinking", "thinking": piece.text, "signature": SIGNATURE}
        case "text":
            return {"type": "text", "text": piece.text}
        case "tool":
            return _empty_block(piece, body) | {"input": json.loads(piece.text)}


def _empty_block(piece: Piece, body: dict[str, Any]) -> dict[str, Any]:
    match piece.kind:
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "text":
            return {"type": "text", "text": ""}
        case "tool":
            identity = {"type": "tool_use", "id": f"toolu_01Fake{piece.tool:04d}"}
            return identity | {"name": piece.call or _tool_name(body), "input": {}}


def _delta(piece: Piece) -> dict[str, Any]:
    match piece.kind:
        case "thinking":
            return {"type": "thinking_delta", "thinking": piece.text}
        case "text":
            return {"type": "text_delta", "text": piece.text}
        case "tool":
            return {"type": "input_json_delta", "partial_json": piece.text}


def _stream(script: Script, body: dict[str, Any], request_id: str) -> list[Frame]:
    message = _message(script, body, request_id) | {"usage": _start_usage(script)}
    tokens = _first_output_tokens(script)
    frames = [Frame(_event("message_start", {"message": message}), tokens, "input")]
    for index, (_, group) in enumerate(groupby(pieces_of(script), key=lambda piece: (piece.kind, piece.tool))):
        block = list(group)
        start = {"index": index, "content_block": _empty_block(block[0], body)}
        frames.append(Frame(_event("content_block_start", start), tokens, "input"))
        if index == 0:
            frames += _interludes(script, tokens)
        for piece in block:
            tokens = max(tokens, piece.output_tokens)
            payload = _event("content_block_delta", {"index": index, "delta": _delta(piece)})
            frames.append(Frame(payload, tokens, "input"))
        if block[0].kind == "thinking":
            signature = {"index": index, "delta": {"type": "signature_delta", "signature": SIGNATURE}}
            frames.append(Frame(_event("content_block_delta", signature), tokens, "input"))
        frames.append(Frame(_event("content_block_stop", {"index": index}), tokens, "input"))
    delta: dict[str, Any] = {"stop_reason": _stop_reason(script), "stop_sequence": None}
    if script.unknown:
        delta["safeguard_results"] = {"verdict": "pass", "score": 0.5}
    elif "safeguards" in body:
        delta["safeguard_results"] = _verdicts(script)
    total = total_output_tokens(script)
    frames.append(Frame(_event("message_delta", {"delta": delta, "usage": _final_usage(script)}), total, "all"))
    frames.append(Frame(_event("message_stop", {}), total, "all"))
    return frames


def _verdicts(script: Script) -> list[dict[str, Any]]:
    """What a client in auto mode asks for: whether each call of this answer may run unasked."""
    verdict = {"type": "evaluated", "outcome": "not_flagged"}
    uses = {f"toolu_01Fake{tool:04d}": verdict for tool in range(script.tool_calls)}
    return [{"type": "dangerous_tool_use", "status": {"type": "available", "tool_uses": uses}}]


def _interludes(script: Script, tokens: int) -> list[Frame]:
    frames = [Frame(_event("ping", {}), tokens, "input")] if script.pings else []
    if script.unknown:
        frames.append(Frame(_event("content_checkpoint", {"mark": "ключ 🗝"}), tokens, "input"))
    return frames


def _event(name: str, fields: dict[str, Any]) -> bytes:
    data = fields if name == "error" else {"type": name} | fields
    return b"event: %b\ndata: %b\n\n" % (name.encode(), to_json(data))
