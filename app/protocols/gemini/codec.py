"""Google's generateContent API as a Codec."""

from collections.abc import Sequence

import msgspec

from app.base.errors import GatewayError, UpstreamRejected
from app.domain.spend import Admitted
from app.protocols.codec import (
    Asked,
    Dialect,
    Envelope,
    Header,
    Outgoing,
    PathFacts,
    Reading,
    Rendered,
    RenderedError,
    UsageReport,
)
from app.protocols.conversation import Conversation
from app.protocols.events import Generation
from app.protocols.gemini import answer_parse, answer_render, errors, request_parse, request_render, usage
from app.protocols.openai_limits import limit_headers


class Gemini:
    """``budget_status`` replaces the 402 of a spent budget, for fleets that rely on another."""

    name = "gemini"
    # Google's SDKs for Python and Go take a comment for a broken answer, and the older ones for JavaScript stop at a
    # blank line: only an answer with nothing in it goes down with all of them.
    ping = b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"index":0}]}\r\n\r\n'
    stream_type = b"text/event-stream; charset=utf-8"
    header_prefixes: tuple[bytes, ...] = (b"x-goog-",)

    def __init__(self, budget_status: int | None = None) -> None:
        self._budget_status = budget_status

    def read_envelope(self, body: bytes, path: PathFacts | None = None) -> Envelope:
        return request_parse.read_envelope(body, path)

    def rewrite(self, envelope: Envelope, upstream_model: str, dialect: Dialect, headers: Sequence[Header]) -> Outgoing:
        del headers  # the body alone says what is asked
        return request_render.rewrite(envelope, upstream_model, request_render.as_gemini(dialect))

    def parse_request(self, envelope: Envelope, headers: Sequence[Header]) -> Conversation:
        del headers
        return request_parse.parse_request(envelope)

    def render_request(self, conversation: Conversation, dialect: Dialect) -> Rendered:
        return request_render.render_request(conversation, request_render.as_gemini(dialect))

    def parse_response(self, body: bytes, reading: Reading) -> Generation:
        return answer_parse.parse_response(body, reading)

    def render_response(self, generation: Generation, asked: Asked) -> bytes:
        return answer_render.render_response(generation, asked)

    def stream_parser(self, reading: Reading) -> answer_parse.GeminiParser:
        return answer_parse.GeminiParser(reading)

    def stream_renderer(self, asked: Asked) -> answer_render.GeminiRenderer:
        return answer_render.GeminiRenderer(asked)

    def parse_error(self, status: int, body: bytes, provider: str) -> UpstreamRejected:
        return errors.parse_error(status, body, provider)

    def render_count(self, input_tokens: int) -> bytes:
        return msgspec.json.encode({"totalTokens": input_tokens})

    def scan_response(self, body: bytes) -> UsageReport:
        return usage.scan_response(body)

    def stream_scanner(self, *, withhold_usage: bool) -> usage.GeminiScanner:
        """Usage is a part of answers that every client needs, so there is nothing to withhold."""
        del withhold_usage
        return usage.GeminiScanner()

    def render_error(self, error: GatewayError, request_id: str) -> RenderedError:
        return errors.render_error(error, request_id, self._budget_status)

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        """The request id has no place in it. The line is ended, or the SDK for Python would not look at it once the
        connection is cut."""
        del request_id
        return errors.body_of(error, error.status) + b"\n"

    def limit_headers(self, admitted: Admitted, at_unix: int) -> list[Header]:
        """Only rate limits, by the names that most clients know: Google's own API has none."""
        del at_unix
        return limit_headers(admitted)
