"""Ollama's wire form: chat and generate, whole and in lines, embeddings, errors.

Written after the public API reference (docs/api), November 2026.
"""

import json
from typing import Any

from tests.fakes.answers import Answer, Frame, generated, to_json, whole
from tests.fakes.script import Piece, Script, pieces_of, total_output_tokens, whole_content

CREATED = "2026-11-01T12:00:00.000000Z"
Headers = tuple[tuple[str, str], ...]


def answer_generation(script: Script, body: dict[str, Any], path: str, request_id: str) -> Answer:
    """The answer to POST /api/chat or /api/generate; a stream unless the body says `stream: false`."""
    chat = path.endswith("/chat")
    pieces = whole_content(script)
    if body.get("stream") is False:
        texts = {kind: "".join(piece.text for piece in pieces if piece.kind == kind) for kind in ("text", "thinking")}
        calls = [_call(piece, body) for piece in pieces if piece.kind == "tool"]
        said = _said(chat, texts["text"], texts["thinking"], calls)
        return generated(script, headers(script, request_id), _line(body, said) | _end(script))
    frames = [_frame(piece, body, chat=chat) for piece in pieces_of(script) if piece.kind != "tool"]
    frames += [_frame(piece, body, chat=chat) for piece in pieces if piece.kind == "tool"]
    last = _line(body, _said(chat, "", "", [])) | _end(script)
    frames.append(Frame(to_json(last) + b"\n", total_output_tokens(script), "all"))
    content_type = ("content-type", "application/x-ndjson")
    return Answer(200, (content_type, *headers(script, request_id)), tuple(frames), streamed=True, billable=True)


def answer_embeddings(script: Script, body: dict[str, Any], request_id: str) -> Answer:
    inputs = body.get("input")
    count = len(inputs) if isinstance(inputs, list) else 1
    listing = {
        "model": body.get("model"),
        "embeddings": [[0.5, -0.25, 0.125]] * count,
        "prompt_eval_count": script.input_tokens,
    }
    return generated(script, headers(script, request_id), listing)


def answer_models(script: Script, request_id: str, names: tuple[str, ...]) -> Answer:
    return whole(200, headers(script, request_id), {"models": [{"name": name, "model": name} for name in names]})


def answer_error(script: Script, status: int, request_id: str, message: str) -> Answer:
    return whole(status, headers(script, request_id), {"error": message})


def error_event(status: int, message: str) -> bytes:
    return to_json({"error": message}) + b"\n"


def headers(script: Script, request_id: str) -> Headers:
    return (("x-fake-request-id", request_id), *script.headers)


def _frame(piece: Piece, body: dict[str, Any], *, chat: bool) -> Frame:
    text = piece.text if piece.kind == "text" else ""
    thinking = piece.text if piece.kind == "thinking" else ""
    calls = [_call(piece, body)] if piece.kind == "tool" else []
    return Frame(
        to_json(_line(body, _said(chat, text, thinking, calls)) | {"done": False}) + b"\n", piece.output_tokens
    )


def _line(body: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    return {"model": body.get("model"), "created_at": CREATED} | said


def _said(chat: bool, text: str, thinking: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    if not chat:
        return {"response": text} | ({"thinking": thinking} if thinking else {})
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if thinking:
        message["thinking"] = thinking
    if calls:
        message["tool_calls"] = calls
    return {"message": message}


def _call(piece: Piece, body: dict[str, Any]) -> dict[str, Any]:
    tools = body.get("tools") or []
    name = piece.call or (tools[0]["function"]["name"] if tools else "get_weather")
    return {"function": {"name": name, "arguments": json.loads(piece.text)}}


def _end(script: Script) -> dict[str, Any]:
    return {
        "done": True,
        "done_reason": script.stop_reason or "stop",
        "total_duration": 5_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": script.input_tokens,
        "prompt_eval_duration": 1_000_000,
        "eval_count": total_output_tokens(script),
        "eval_duration": 3_000_000,
    }
