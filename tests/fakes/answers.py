"""The shape of an answer before it is bytes on a connection."""

import dataclasses
import json
from typing import Any, Literal

from tests.fakes.script import Script, total_output_tokens

UsageSent = Literal["none", "input", "all"]


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """Bytes sent together, and what a client knows and the provider has generated once they are out."""

    payload: bytes
    output_tokens: int
    usage_sent: UsageSent = "none"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response; a stream goes out chunked, anything else with its length."""

    status: int
    headers: tuple[tuple[str, str], ...]
    frames: tuple[Frame, ...]
    streamed: bool = False
    billable: bool = False


def whole(status: int, headers: tuple[tuple[str, str], ...], body: Any) -> Answer:
    """An answer of JSON that costs nothing."""
    return Answer(status, (("content-type", "application/json"), *headers), (Frame(to_json(body), 0),))


def generated(script: Script, headers: tuple[tuple[str, str], ...], body: Any) -> Answer:
    """A whole generated answer, billed."""
    frame = Frame(to_json(body), total_output_tokens(script), "all")
    return Answer(200, (("content-type", "application/json"), *headers), (frame,), billable=True)


def streamed(headers: tuple[tuple[str, str], ...], frames: list[Frame]) -> Answer:
    """A generated stream of server-sent events, billed."""
    content_type = ("content-type", "text/event-stream; charset=utf-8")
    cache = ("cache-control", "no-cache")
    return Answer(200, (content_type, cache, *headers), tuple(frames), streamed=True, billable=True)


def written(body: bytes, headers: tuple[tuple[str, str], ...]) -> Answer:
    """An answer byte for byte, at no cost; one that begins like server-sent events is a stream of them."""
    is_stream = body.startswith((b"event:", b"data:"))
    content_type = ("content-type", "text/event-stream" if is_stream else "application/json")
    return Answer(200, (content_type, *headers), (Frame(body, 0),), streamed=is_stream)


def html_page(status: int) -> Answer:
    """What a load balancer in front of a provider says."""
    page = f"<html>\r\n<head><title>{status}</title></head>\r\n<body><h1>{status} Bad Gateway</h1></body></html>\r\n"
    return Answer(status, (("content-type", "text/html"), ("server", "edge")), (Frame(page.encode(), 0),))


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
