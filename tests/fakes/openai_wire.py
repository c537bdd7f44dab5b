"""OpenAI's wire form: chat completions whole and streamed, embeddings, the model list, errors.

Written after the public API reference (chat, streaming, embeddings, errors), November 2026.
"""

from typing import Any

from tests.fakes.answers import Answer, Frame, generated, streamed, to_json, whole
from tests.fakes.script import Piece, Script, pieces_of, total_output_tokens, whole_content

ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("service_unavailable_error", None),
}
CREATED = 1_795_219_200
Headers = tuple[tuple[str, str], ...]


def answer_chat(script: Script, body: dict[str, Any], request_id: str) -> Answer:
    """The answer to POST /v1/chat/completions, whole or streamed as the body asks."""
    if body.get("stream") is True:
        return streamed(headers(script, request_id), _stream(script, body, request_id))
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    for piece in whole_content(script):
        match piece.kind:
            case "thinking":
                message["reasoning_content"] = piece.text
            case "text":
                message["content"] = piece.text
            case "tool":
                call = _tool_call(piece, body)
                call["function"]["arguments"] = piece.text
                message.setdefault("tool_calls", []).append(call)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(script)}
    completion = _envelope(script, body, request_id, "chat.completion") | {
        "choices": [choice],
        "usage": _usage(script),
    }
    return generated(script, headers(script, request_id), completion)


def answer_embeddings(script: Script, body: dict[str, Any], request_id: str) -> Answer:
    inputs = body.get("input")
    count = len(inputs) if isinstance(inputs, list) else 1
    data = [{"object": "embedding", "index": index, "embedding": [0.5, -0.25, 0.125]} for index in range(count)]
    usage = {"prompt_tokens": script.input_tokens, "total_tokens": script.input_tokens}
    listing = {"object": "list", "data": data, "model": body.get("model"), "usage": usage}
    answer = generated(script, headers(script, request_id), listing)
    return Answer(200, answer.headers, (Frame(answer.frames[0].payload, 0, "all"),), billable=True)


def answer_models(script: Script, request_id: str, names: tuple[str, ...]) -> Answer:
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "fake"} for name in names]
    return whole(200, headers(script, request_id), {"object": "list", "data": data})


def answer_error(script: Script, status: int, request_id: str, message: str) -> Answer:
    extra: Headers = (("retry-after", script.retry_after),) if script.retry_after is not None else ()
    return whole(status, (*headers(script, request_id), *extra), _error(status, message))


def error_event(status: int, message: str) -> bytes:
    """The event that ends a stream which fails after its start."""
    return _data(_error(status, message))


def headers(script: Script, request_id: str) -> Headers:
    """What the provider adds to each answer."""
    return (
        ("x-request-id", request_id),
        ("openai-organization", "fake-organization"),
        ("openai-processing-ms", "7"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
        *script.headers,
    )


def _error(status: int, message: str) -> dict[str, Any]:
    kind, code = ERRORS.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _envelope(script: Script, body: dict[str, Any], request_id: str, kind: str) -> dict[str, Any]:
    envelope: dict[str, Any] = {
        "id": "chatcmpl-" + request_id.removeprefix("req_"),
        "object": kind,
        "created": CREATED,
        "model": body.get("model"),
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }
    return envelope | ({"provenance": {"batch": None}} if script.unknown else {})


def _usage(script: Script) -> dict[str, Any]:
    """OpenAI's classes overlap: the prompt holds the cached tokens, the completion the reasoning."""
    written = script.cache_write_5m + script.cache_write_1h
    prompt_tokens = script.input_tokens + script.cache_read + written
    completion_tokens = total_output_tokens(script)
    prompt_details = {"cached_tokens": script.cache_read, "audio_tokens": 0}
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": prompt_details | ({"cache_write_tokens": written} if written else {}),
        "completion_tokens_details": {
            "reasoning_tokens": script.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _finish_reason(script: Script) -> str:
    return script.stop_reason or ("tool_calls" if script.tool_calls else "stop")


def _tool_call(piece: Piece, body: dict[str, Any]) -> dict[str, Any]:
    tools = body.get("tools")
    functions = [tool["function"] for tool in tools if "function" in tool] if isinstance(tools, list) else []
    name = piece.call or (functions[0]["name"] if functions else "get_weather")
    return {
        "id": f"call_Fake{piece.tool:04d}",
        "type": "function",
        "function": {"name": name, "arguments": ""},
    }


def _stream(script: Script, body: dict[str, Any], request_id: str) -> list[Frame]:
    envelope = _envelope(script, body, request_id, "chat.completion.chunk")
    options = body.get("stream_options")
    include_usage = isinstance(options, dict) and options.get("include_usage") is True

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _data(envelope | {"choices": [choice]} | ({"usage": None} if include_usage else {}))

    tokens = 0
    frames = [Frame(chunk({"role": "assistant", "content": "", "refusal": None}), 0)]
    if script.pings:
        frames.append(Frame(b": still here\n\n", 0))
    announced = -1
    for piece in pieces_of(script):
        if piece.kind == "tool" and piece.tool > announced:
            announced = piece.tool
            frames.append(Frame(chunk({"tool_calls": [{"index": announced} | _tool_call(piece, body)]}), tokens))
        tokens = piece.output_tokens
        frames.append(Frame(chunk(_delta(piece)), tokens))
    frames.append(Frame(chunk({}, _finish_reason(script)), tokens))
    if include_usage:
        frames.append(Frame(_data(envelope | {"choices": [], "usage": _usage(script)}), tokens, "all"))
    frames.append(Frame(b"data: [DONE]\n\n", tokens, "all" if include_usage else "none"))
    return frames


def _delta(piece: Piece) -> dict[str, Any]:
    match piece.kind:
        case "thinking":
            return {"reasoning_content": piece.text}
        case "text":
            return {"content": piece.text}
        case "tool":
            return {"tool_calls": [{"index": piece.tool, "function": {"arguments": piece.text}}]}


def _data(value: Any) -> bytes:
    return b"data: %b\n\n" % to_json(value)
