"""Ollama's API as a Codec: chat and generate, told apart by what a body holds."""

from collections.abc import Sequence

import msgspec

from app.base.errors import GatewayError, NotFound, UpstreamRejected
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
from app.protocols.envelope import read_fields, read_flag, read_loosely, read_model, splice
from app.protocols.events import Generation
from app.protocols.ollama import answer_parse, answer_render, errors, request_parse, request_render, usage
from app.protocols.ollama.dialect import OllamaDialect
from app.protocols.openai_rejections import parse_error


class Ollama:
    """``budget_status`` replaces the 402 of a spent budget, for fleets that rely on another."""

    name = "ollama"
    # Its clients read every line as JSON, empty ones too; white space before a line is a part of that line.
    ping = b" "
    stream_type = b"application/x-ndjson"
    header_prefixes: tuple[bytes, ...] = ()

    def __init__(self, budget_status: int | None = None) -> None:
        self._budget_status = budget_status

    def read_envelope(self, body: bytes, path: PathFacts | None = None) -> Envelope:
        """Who says nothing of ``stream`` gets one."""
        del path  # the body says it all
        fields = read_fields(body)
        return Envelope(
            body=body,
            fields=fields,
            model=read_model(fields),
            stream=read_loosely(fields, "stream") is None or read_flag(fields, "stream"),
            max_output_tokens=request_parse.max_output_tokens(fields),
            customer=None,
            session_id=None,
        )

    def rewrite(self, envelope: Envelope, upstream_model: str, dialect: Dialect, headers: Sequence[Header]) -> Outgoing:
        """The client's own endpoint is asked, whichever of the two the deployment prefers."""
        del dialect, headers
        changes = {"model": msgspec.json.encode(upstream_model)}
        return Outgoing(splice(envelope.body, envelope.fields, changes))

    def parse_request(self, envelope: Envelope, headers: Sequence[Header]) -> Conversation:
        del headers
        return request_parse.parse_request(envelope)

    def render_request(self, conversation: Conversation, dialect: Dialect) -> Rendered:
        return request_render.render_request(conversation, _own(dialect))

    def parse_response(self, body: bytes, reading: Reading) -> Generation:
        return answer_parse.parse_response(body, reading)

    def render_response(self, generation: Generation, asked: Asked) -> bytes:
        return answer_render.render_response(generation, asked)

    def stream_parser(self, reading: Reading) -> answer_parse.OllamaStreamParser:
        return answer_parse.OllamaStreamParser(reading)

    def stream_renderer(self, asked: Asked) -> answer_render.OllamaStreamRenderer:
        return answer_render.OllamaStreamRenderer(asked)

    def parse_error(self, status: int, body: bytes, provider: str) -> UpstreamRejected:
        return parse_error(status, body, provider)

    def render_count(self, input_tokens: int) -> bytes:
        del input_tokens
        raise NotFound("Ollama's API has no count of tokens; an answer says how many there were")

    def scan_response(self, body: bytes) -> UsageReport:
        return usage.scan_response(body)

    def stream_scanner(self, *, withhold_usage: bool) -> usage.OllamaScanner:
        """The last line always has the usage: nothing is ever withheld."""
        del withhold_usage
        return usage.OllamaScanner()

    def render_error(self, error: GatewayError, request_id: str) -> RenderedError:
        return errors.render_error(error, request_id, self._budget_status)

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        del request_id
        return errors.render_stream_error(error)

    def limit_headers(self, admitted: Admitted, at_unix: int) -> list[Header]:
        """Ollama's clients know none."""
        del admitted, at_unix
        return []


def _own(dialect: Dialect) -> OllamaDialect:
    return dialect if isinstance(dialect, OllamaDialect) else OllamaDialect(dialect.issuer)
