"""The wire form of OpenAI's Responses API, whole and streamed.

Written after the public API reference (responses, streaming events), November 2026. Errors and headers are OpenAI's.
"""

from typing import Any

from tests.fakes.answers import Answer, Frame, generated, streamed, to_json
from tests.fakes.openai_wire import CREATED, headers
from tests.fakes.script import Piece, Script, pieces_of, total_output_tokens, whole_content

_BEFORE: dict[str, dict[str, Any]] = {"text": {"content": []}, "tool": {"arguments": ""}, "thinking": {"summary": []}}
"""What an item has before its deltas."""
ENCRYPTED = "Z3B0J3Mgb3duIHByb29m"


def answer_responses(script: Script, body: dict[str, Any], request_id: str) -> Answer:
    """The answer to POST /v1/responses, whole or streamed as the body asks."""
    items = [_item(number, piece, body, script) for number, piece in enumerate(whole_content(script))]
    final = _response(script, body, request_id, items)
    if body.get("stream") is True:
        return streamed(headers(script, request_id), _stream(script, body, request_id, final))
    return generated(script, headers(script, request_id), final)


def error_event(status: int, message: str) -> bytes:
    code = "rate_limit_exceeded" if status == 429 else "server_error"
    return _data({"type": "error", "code": code, "message": message, "param": None, "sequence_number": 99})


def _response(script: Script, body: dict[str, Any], request_id: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    cut = script.stop_reason == "max_output_tokens"
    return {
        "id": "resp_" + request_id.removeprefix("req_"),
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body.get("model"),
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(script),
        "metadata": {},
    }


def _usage(script: Script) -> dict[str, Any]:
    read = script.input_tokens + script.cache_read
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": script.cache_read},
        "output_tokens": total_output_tokens(script),
        "output_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
        "total_tokens": read + total_output_tokens(script),
    }


def _item(number: int, piece: Piece, body: dict[str, Any], script: Script) -> dict[str, Any]:
    match piece.kind:
        case "thinking":
            summary = [{"type": "summary_text", "text": piece.text}]
            return {"id": f"rs_{number}", "type": "reasoning", "summary": summary, "encrypted_content": ENCRYPTED}
        case "text":
            part = {"type": "output_text", "text": piece.text, "annotations": [], "logprobs": []}
            return {
                "id": f"msg_{number}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        case "tool":
            tools = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
            return {
                "id": f"fc_{number}",
                "type": "function_call",
                "status": "completed",
                "call_id": f"call_Fake{piece.tool:04d}",
                "name": piece.call or (tools[0]["name"] if tools else "get_weather"),
                "arguments": piece.text,
            }


def _stream(script: Script, body: dict[str, Any], request_id: str, final: dict[str, Any]) -> list[Frame]:
    frames: list[Frame] = []

    def send(kind: str, tokens: int, usage: bool = False, **fields: Any) -> None:
        payload = {"type": kind, "sequence_number": len(frames), **fields}
        frames.append(Frame(b"event: %b\n" % kind.encode() + _data(payload), tokens, "all" if usage else "none"))

    begun = {**final, "status": "in_progress", "output": [], "usage": None}
    send("response.created", 0, response=begun)
    send("response.in_progress", 0, response=begun)
    pieces = pieces_of(script)
    for index, item in enumerate(final["output"]):
        kind, tool = _kind(item, final["output"], index)
        deltas = [piece for piece in pieces if piece.kind == kind and piece.tool == tool]
        place = {"item_id": item["id"], "output_index": index}
        empty = {"status": "in_progress"} if kind != "thinking" else {}
        before: dict[str, Any] = _BEFORE[kind]
        send("response.output_item.added", 0, output_index=index, item={**item, **empty, **before})
        _send_deltas(send, kind, place, item, deltas)
        send("response.output_item.done", deltas[-1].output_tokens, output_index=index, item=item)
    end = "response.incomplete" if final["status"] == "incomplete" else "response.completed"
    send(end, total_output_tokens(script), True, response=final)
    return frames


def _send_deltas(send: Any, kind: str, place: dict[str, Any], item: dict[str, Any], deltas: list[Piece]) -> None:
    if kind == "tool":
        for piece in deltas:
            send("response.function_call_arguments.delta", piece.output_tokens, **place, delta=piece.text)
        done = {"arguments": item["arguments"], "name": item["name"]}
        send("response.function_call_arguments.done", deltas[-1].output_tokens, **place, **done)
        return
    if kind == "thinking":
        where, base = {**place, "summary_index": 0}, "response.reasoning_summary_text"
        part: dict[str, Any] = {"type": "summary_text", "text": ""}
        send("response.reasoning_summary_part.added", 0, **where, part=part)
    else:
        where, base = {**place, "content_index": 0}, "response.output_text"
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        send("response.content_part.added", 0, **where, part=part)
    more: dict[str, Any] = {"logprobs": []} if kind == "text" else {}
    for piece in deltas:
        send(base + ".delta", piece.output_tokens, **where, **more, delta=piece.text)
    text = "".join(piece.text for piece in deltas)
    send(base + ".done", deltas[-1].output_tokens, **where, **more, text=text)
    part = {**part, "text": text}
    end = "response.reasoning_summary_part.done" if kind == "thinking" else "response.content_part.done"
    send(end, deltas[-1].output_tokens, **where, part=part)


def _kind(item: dict[str, Any], items: list[dict[str, Any]], index: int) -> tuple[str, int]:
    kind = {"reasoning": "thinking", "message": "text", "function_call": "tool"}[item["type"]]
    return kind, sum(1 for other in items[:index] if other["type"] == "function_call") if kind == "tool" else 0


def _data(value: Any) -> bytes:
    return b"data: %b\n\n" % to_json(value)
