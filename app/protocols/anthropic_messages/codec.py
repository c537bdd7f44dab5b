"""The Messages API as a Codec."""

from collections.abc import Mapping, Sequence

import msgspec

from app.base.errors import GatewayError, UpstreamRejected
from app.domain.spend import Admitted
from app.protocols.anthropic_messages import (
    errors,
    limits,
    refusals,
    request_parse,
    request_render,
    response_parse,
    response_render,
    rewriting,
    usage,
)
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.anthropic_messages.stream_parse import MessagesStreamParser
from app.protocols.anthropic_messages.stream_render import MessagesStreamRenderer
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
from app.protocols.envelope import as_label, read_count, read_fields, read_flag, read_loosely, read_model
from app.protocols.events import Generation


class AnthropicMessages:
    """``budget_status`` replaces the 429 of a spent budget, for fleets that rely on another."""

    name = "anthropic_messages"
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    stream_type = b"text/event-stream; charset=utf-8"
    header_prefixes: tuple[bytes, ...] = (b"anthropic-",)

    def __init__(self, budget_status: int | None = None) -> None:
        self._budget_status = budget_status

    def read_envelope(self, body: bytes, path: PathFacts | None = None) -> Envelope:
        del path  # the body says it all
        fields = read_fields(body)
        customer, session_id = _read_identity(fields)
        return Envelope(
            body=body,
            fields=fields,
            model=read_model(fields),
            stream=read_flag(fields, "stream"),
            max_output_tokens=read_count(fields, "max_tokens"),
            customer=customer,
            session_id=session_id,
        )

    def rewrite(self, envelope: Envelope, upstream_model: str, dialect: Dialect, headers: Sequence[Header]) -> Outgoing:
        return rewriting.rewrite(envelope, upstream_model, _own(dialect), headers)

    def parse_request(self, envelope: Envelope, headers: Sequence[Header]) -> Conversation:
        """Betas in ``headers`` name features of Anthropic's own hosts, and go nowhere else."""
        del headers
        return request_parse.parse_request(envelope)

    def render_request(self, conversation: Conversation, dialect: Dialect) -> Rendered:
        return request_render.render_request(conversation, _own(dialect))

    def parse_response(self, body: bytes, reading: Reading) -> Generation:
        return response_parse.parse_response(body, reading)

    def render_response(self, generation: Generation, asked: Asked) -> bytes:
        return response_render.render_response(generation, asked)

    def stream_parser(self, reading: Reading) -> MessagesStreamParser:
        return MessagesStreamParser(reading)

    def stream_renderer(self, asked: Asked) -> MessagesStreamRenderer:
        return MessagesStreamRenderer(asked)

    def parse_error(self, status: int, body: bytes, provider: str) -> UpstreamRejected:
        return refusals.parse_error(status, body, provider)

    def render_count(self, input_tokens: int) -> bytes:
        return b'{"input_tokens":%d}' % input_tokens

    def scan_response(self, body: bytes) -> UsageReport:
        return usage.scan_response(body)

    def stream_scanner(self, *, withhold_usage: bool) -> usage.MessagesScanner:
        """Usage is a part of frames that every client needs, so there is nothing to withhold."""
        del withhold_usage
        return usage.MessagesScanner()

    def render_error(self, error: GatewayError, request_id: str) -> RenderedError:
        return errors.render_error(error, request_id, self._budget_status)

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        return errors.render_stream_error(error, request_id)

    def limit_headers(self, admitted: Admitted, at_unix: int) -> list[Header]:
        return limits.limit_headers(admitted, at_unix)


def _own(dialect: Dialect) -> MessagesDialect:
    """A host that says no more than whose seals it takes differs in nothing else."""
    return dialect if isinstance(dialect, MessagesDialect) else MessagesDialect(dialect.issuer)


def _read_identity(fields: Mapping[str, msgspec.Raw]) -> tuple[str | None, str | None]:
    """(customer, session id) of ``metadata.user_id``.

    Claude Code writes a JSON object into that string: {"device_id", "account_uuid", "session_id"}, any of them empty.
    """
    metadata = read_loosely(fields, "metadata")
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user_id, str):
        return None, None
    if user_id.lstrip().startswith("{"):
        try:
            parts = msgspec.json.decode(user_id)
        except (msgspec.DecodeError, RecursionError):
            parts = None
        if isinstance(parts, dict):
            return as_label(parts.get("account_uuid")), as_label(parts.get("session_id"))
    return as_label(user_id), None
