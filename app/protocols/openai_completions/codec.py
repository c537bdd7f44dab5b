"""The text completions API as a Codec."""

from collections.abc import Mapping, Sequence

import msgspec

from app.base.errors import GatewayError, NotFound, UpstreamRejected
from app.domain.spend import Admitted
from app.protocols import openai_errors, openai_rejections
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
from app.protocols.envelope import as_label, encode_fields, read_fields, read_flag, read_loosely, read_model, splice
from app.protocols.events import Generation
from app.protocols.openai_completions import answer, request, usage
from app.protocols.openai_completions.dialect import CompletionsDialect
from app.protocols.openai_completions.wire import NULL, decode_members
from app.protocols.openai_limits import limit_headers
from app.protocols.raw_json import is_null


class OpenAICompletions:
    """``budget_status`` replaces the 402 of a spent budget, for fleets that rely on another."""

    name = "openai_completions"
    ping = b": keep-alive\n\n"
    stream_type = b"text/event-stream"
    header_prefixes: tuple[bytes, ...] = (b"openai-",)

    def __init__(self, budget_status: int | None = None) -> None:
        self._budget_status = budget_status

    def read_envelope(self, body: bytes, path: PathFacts | None = None) -> Envelope:
        del path  # the body says it all
        fields = read_fields(body)
        request.wants_usage(fields)
        return Envelope(
            body=body,
            fields=fields,
            model=read_model(fields),
            stream=read_flag(fields, "stream"),
            max_output_tokens=request.max_output_tokens(fields),
            customer=as_label(read_loosely(fields, "user")),
            session_id=None,
        )

    def rewrite(self, envelope: Envelope, upstream_model: str, dialect: Dialect, headers: Sequence[Header]) -> Outgoing:
        """Beside ``model``: a stream is asked to count its usage, since without that there is nothing to bill by."""
        del dialect, headers
        changes: dict[str, bytes | None] = {"model": msgspec.json.encode(upstream_model)}
        withhold = envelope.stream and not request.wants_usage(envelope.fields)
        if withhold:
            changes["stream_options"] = _with_usage(envelope.fields)
        return Outgoing(splice(envelope.body, envelope.fields, changes), withhold_usage=withhold)

    def parse_request(self, envelope: Envelope, headers: Sequence[Header]) -> Conversation:
        del headers
        return request.parse_request(envelope)

    def render_request(self, conversation: Conversation, dialect: Dialect) -> Rendered:
        own = dialect if isinstance(dialect, CompletionsDialect) else CompletionsDialect(dialect.issuer)
        return request.render_request(conversation, own)

    def parse_response(self, body: bytes, reading: Reading) -> Generation:
        return answer.parse_response(body, reading)

    def render_response(self, generation: Generation, asked: Asked) -> bytes:
        return answer.render_response(generation, asked)

    def stream_parser(self, reading: Reading) -> answer.CompletionsStreamParser:
        del reading
        return answer.CompletionsStreamParser()

    def stream_renderer(self, asked: Asked) -> answer.CompletionsStreamRenderer:
        return answer.CompletionsStreamRenderer(asked)

    def parse_error(self, status: int, body: bytes, provider: str) -> UpstreamRejected:
        return openai_rejections.parse_error(status, body, provider)

    def render_count(self, input_tokens: int) -> bytes:
        del input_tokens
        raise NotFound("the completions API has no count of tokens; an answer says how many there were")

    def scan_response(self, body: bytes) -> UsageReport:
        return usage.scan_response(body)

    def stream_scanner(self, *, withhold_usage: bool) -> usage.CompletionsScanner:
        return usage.CompletionsScanner(withhold_usage=withhold_usage)

    def render_error(self, error: GatewayError, request_id: str) -> RenderedError:
        return openai_errors.render_error(error, request_id, self._budget_status)

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        """The request id has no place in a chunk's error."""
        del request_id
        return b"data: %b\n\n" % openai_errors.render_body(error, error.status)

    def limit_headers(self, admitted: Admitted, at_unix: int) -> list[Header]:
        """Times are relative here."""
        del at_unix
        return limit_headers(admitted)


def _with_usage(fields: Mapping[str, msgspec.Raw]) -> bytes:
    raw = fields.get("stream_options", NULL)
    options = {} if is_null(raw) else decode_members(raw)
    return encode_fields(options, {"include_usage": b"true"})
