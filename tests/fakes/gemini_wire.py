"""Gemini's wire form: generateContent whole and streamed, token counts, errors.

Written after the public API reference (generateContent, thinking, function calling), November 2026.
"""

import base64
import json
from typing import Any

from tests.fakes.answers import Answer, Frame, generated, streamed, to_json, whole
from tests.fakes.script import Piece, Script, pieces_of, total_output_tokens, whole_content

STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
SIGNATURE = base64.b64encode(b"gemini's own proof of its thoughts").decode()
Headers = tuple[tuple[str, str], ...]


def answer_generate(script: Script, body: dict[str, Any], path: str, request_id: str) -> Answer:
    """The answer to `…:generateContent` or `…:streamGenerateContent`, as the path asks."""
    model = path.rpartition("/")[2].partition(":")[0]
    parts = [_part(piece, body) for piece in whole_content(script)]
    if not path.endswith(":streamGenerateContent"):
        return generated(script, headers(script, request_id), _response(script, model, request_id, parts, last=True))
    # A call comes whole; texts come in pieces.
    pieces = [piece for piece in pieces_of(script) if piece.kind != "tool"]
    pieces += [piece for piece in whole_content(script) if piece.kind == "tool"]
    frames = [
        Frame(
            _data(_response(script, model, request_id, [_part(piece, body)], last=False)), piece.output_tokens, "input"
        )
        for piece in pieces
    ]
    last = _response(script, model, request_id, [{"text": ""}], last=True)
    frames.append(Frame(_data(last), total_output_tokens(script), "all"))
    return streamed(headers(script, request_id), frames)


def answer_embeddings(script: Script, body: dict[str, Any], request_id: str) -> Answer:
    """The answer to `…:batchEmbedContents`, which counts nothing."""
    embeddings = [{"values": [0.5, -0.25, 0.125]} for _ in body.get("requests") or []]
    return generated(script, headers(script, request_id), {"embeddings": embeddings})


def answer_count_tokens(script: Script, request_id: str) -> Answer:
    return whole(200, headers(script, request_id), {"totalTokens": script.input_tokens})


def answer_models(script: Script, request_id: str, names: tuple[str, ...]) -> Answer:
    models = [{"name": f"models/{name}", "displayName": name} for name in names]
    return whole(200, headers(script, request_id), {"models": models})


def answer_error(script: Script, status: int, request_id: str, message: str) -> Answer:
    extra: Headers = (("retry-after", script.retry_after),) if script.retry_after is not None else ()
    return whole(status, (*headers(script, request_id), *extra), _error(status, message))


def error_event(status: int, message: str) -> bytes:
    return _data(_error(status, message))


def headers(script: Script, request_id: str) -> Headers:
    return (("server", "scaffolding on HTTPServer2"), ("x-fake-request-id", request_id), *script.headers)


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": STATUSES.get(status, "UNKNOWN")}}


def _part(piece: Piece, body: dict[str, Any]) -> dict[str, Any]:
    """Of parallel calls the first carries the proof of the thoughts before it."""
    match piece.kind:
        case "thinking":
            return {"text": piece.text, "thought": True}
        case "text":
            return {"text": piece.text}
        case "tool":
            call = {"functionCall": {"name": piece.call or _tool_name(body), "args": json.loads(piece.text)}}
            return {**call, "thoughtSignature": SIGNATURE} if piece.tool == 0 else call


def _tool_name(body: dict[str, Any]) -> str:
    for tool in body.get("tools") or []:
        for declaration in tool.get("functionDeclarations") or []:
            return str(declaration["name"])
    return "get_weather"


def _response(
    script: Script, model: str, request_id: str, parts: list[dict[str, Any]], *, last: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = script.stop_reason or "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(script, last=last),
        "modelVersion": model,
        "responseId": request_id.removeprefix("req_"),
    }


def _usage(script: Script, *, last: bool) -> dict[str, Any]:
    """Thoughts are counted beside the candidates; the prompt holds what came from the cache."""
    prompt = script.input_tokens + script.cache_read
    usage: dict[str, Any] = {"promptTokenCount": prompt, "totalTokenCount": prompt}
    if script.cache_read:
        usage["cachedContentTokenCount"] = script.cache_read
    if last:
        output = total_output_tokens(script)
        usage["candidatesTokenCount"] = output - script.reasoning_tokens
        usage["totalTokenCount"] = prompt + output
        if script.reasoning_tokens:
            usage["thoughtsTokenCount"] = script.reasoning_tokens
    return usage


def _data(value: Any) -> bytes:
    return b"data: %b\r\n\r\n" % to_json(value)
