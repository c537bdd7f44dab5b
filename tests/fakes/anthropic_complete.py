"""Anthropic's text completions, the older API: an answer without any usage, whole or as events."""

import dataclasses
from typing import Any

from tests.fakes import anthropic_wire
from tests.fakes.answers import Answer, Frame, streamed, to_json, whole
from tests.fakes.script import Script, pieces_of


def answer_complete(script: Script, body: dict[str, Any], request_id: str) -> Answer:
    """Nothing is billed: the provider counts, and does not tell."""
    headers = anthropic_wire.headers(script, request_id)
    texts = [piece.text for piece in pieces_of(script) if piece.kind == "text"]
    if body.get("stream") is not True:
        return whole(200, headers, _completion("".join(texts), body, "stop_sequence"))
    events = [*(_completion(text, body, None) for text in texts), _completion("", body, "stop_sequence")]
    frames = [Frame(b"event: completion\ndata: %b\n\n" % to_json(event), 0) for event in events]
    frames.insert(1, Frame(b'event: ping\ndata: {"type": "ping"}\n\n', 0))
    return dataclasses.replace(streamed(headers, frames), billable=False)


def _completion(text: str, body: dict[str, Any], stop_reason: str | None) -> dict[str, Any]:
    identity = {"type": "completion", "id": "compl_01Fake", "model": body.get("model")}
    return {**identity, "completion": text, "stop_reason": stop_reason}
