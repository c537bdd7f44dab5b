"""What the tests of this room share: the codec, its dialect, and short ways through both."""

import json
from typing import Any

from app.protocols.codec import Asked, Codec, Reading
from app.protocols.conversation import Conversation
from app.protocols.events import Event, Generation, fold, unfold
from app.protocols.openai_responses.codec import OpenAIResponses
from app.protocols.openai_responses.dialect import ResponsesDialect

CODEC: Codec = OpenAIResponses()
DIALECT = ResponsesDialect()
READING = Reading(DIALECT)
HELLO = [{"role": "user", "content": "Hello"}]


def asked(**fields: Any) -> Asked:
    return Asked(CODEC.read_envelope(body_of(**fields)), "team/gpt", "req_01kav3x", 1_763_000_000)


def body_of(**fields: Any) -> bytes:
    return json.dumps({"model": "team/gpt", "input": HELLO} | fields).encode()


def parsed(**fields: Any) -> Conversation:
    """The conversation of a request; its input is a greeting unless told."""
    return CODEC.parse_request(CODEC.read_envelope(body_of(**fields)), ())


def rendered(conversation: Conversation) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(CODEC.render_request(conversation, DIALECT).body)
    return body


def losses(conversation: Conversation) -> dict[str, str]:
    return {loss.field: loss.severity for loss in CODEC.render_request(conversation, DIALECT).losses}


def streamed(generation: Generation, **fields: Any) -> bytes:
    renderer = CODEC.stream_renderer(asked(**fields))
    return b"".join(renderer.feed(event) for event in unfold(generation))


def written(generation: Generation, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(CODEC.render_response(generation, asked(**fields)))
    return body


def events_of(*chunks: bytes) -> list[Event]:
    parser = CODEC.stream_parser(READING)
    return [event for chunk in chunks for event in parser.feed(chunk)] + list(parser.end())


def folded(*chunks: bytes) -> Generation:
    return fold(events_of(*chunks))


def frames(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(frame.partition(b"data: ")[2]) for frame in stream.split(b"\n\n") if frame]
