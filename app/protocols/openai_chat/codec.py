"""The chat completions API as a Codec."""

from collections.abc import Mapping, Sequence

import msgspec

from app.base.errors import GatewayError, InvalidRequest, NotFound, UpstreamRejected
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
from app.protocols.envelope import as_label, as_labels, read_count, read_fields, read_flag, read_loosely, read_model
from app.protocols.events import Generation
from app.protocols.openai_chat import errors, usage
from app.protocols.openai_chat.answer_parse import ChatStreamParser, parse_response
from app.protocols.openai_chat.dialect import dialect_of
from app.protocols.openai_chat.request_parse import parse_request
from app.protocols.openai_chat.request_render import render_request
from app.protocols.openai_chat.response_render import render_response
from app.protocols.openai_chat.rewrite import rewrite
from app.protocols.openai_chat.stream_render import ChatStreamRenderer
from app.protocols.openai_limits import limit_headers
from app.protocols.openai_rejections import parse_error

_LARGEST_N = 128


class OpenAIChat:
    """``budget_status`` replaces the 402 of a spent budget, for fleets that rely on another."""

    name = "openai_chat"
    ping = b": keep-alive\n\n"
    stream_type = b"text/event-stream; charset=utf-8"
    header_prefixes: tuple[bytes, ...] = (b"openai-",)

    def __init__(self, budget_status: int | None = None) -> None:
        self._budget_status = budget_status

    def read_envelope(self, body: bytes, path: PathFacts | None = None) -> Envelope:
        del path  # the body says it all
        fields = read_fields(body)
        options = read_loosely(fields, "stream_options")
        if options is not None and not isinstance(options, dict):
            raise InvalidRequest('"stream_options" must be an object', param="stream_options")
        return Envelope(
            body=body,
            fields=fields,
            model=read_model(fields),
            stream=read_flag(fields, "stream"),
            max_output_tokens=_read_max_output_tokens(fields),
            customer=as_label(read_loosely(fields, "user")),
            session_id=None,
            tags=_read_tags(fields),
        )

    def rewrite(self, envelope: Envelope, upstream_model: str, dialect: Dialect, headers: Sequence[Header]) -> Outgoing:
        del headers  # what the host wants otherwise stands in the body
        return rewrite(envelope, upstream_model, dialect)

    def parse_request(self, envelope: Envelope, headers: Sequence[Header]) -> Conversation:
        return parse_request(envelope, headers)

    def render_request(self, conversation: Conversation, dialect: Dialect) -> Rendered:
        return render_request(conversation, dialect_of(dialect))

    def parse_response(self, body: bytes, reading: Reading) -> Generation:
        return parse_response(body, reading)

    def render_response(self, generation: Generation, asked: Asked) -> bytes:
        return render_response(generation, asked)

    def stream_parser(self, reading: Reading) -> ChatStreamParser:
        return ChatStreamParser(reading)

    def stream_renderer(self, asked: Asked) -> ChatStreamRenderer:
        return ChatStreamRenderer(asked)

    def parse_error(self, status: int, body: bytes, provider: str) -> UpstreamRejected:
        return parse_error(status, body, provider)

    def render_count(self, input_tokens: int) -> bytes:
        del input_tokens
        raise NotFound("chat completions have no count of tokens; ask POST /v1/messages/count_tokens")

    def scan_response(self, body: bytes) -> UsageReport:
        return usage.scan_response(body)

    def stream_scanner(self, *, withhold_usage: bool) -> usage.ChatScanner:
        return usage.ChatScanner(withhold_usage=withhold_usage)

    def render_error(self, error: GatewayError, request_id: str) -> RenderedError:
        return errors.render_error(error, request_id, self._budget_status)

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        """The request id has no place in a chunk's error."""
        del request_id
        return errors.render_stream_error(error)

    def limit_headers(self, admitted: Admitted, at_unix: int) -> list[Header]:
        """Times are relative here."""
        del at_unix
        return limit_headers(admitted)


def _read_max_output_tokens(fields: Mapping[str, msgspec.Raw]) -> int | None:
    """The larger of the new name and the old, for each of the ``n`` choices."""
    asked = [
        count for name in ("max_completion_tokens", "max_tokens") if (count := read_count(fields, name)) is not None
    ]
    choices = read_count(fields, "n") or 1
    if choices > _LARGEST_N:
        raise InvalidRequest(f'"n" must be at most {_LARGEST_N}', param="n")
    return max(asked) * choices if asked else None


def _read_tags(fields: Mapping[str, msgspec.Raw]) -> tuple[str, ...]:
    metadata = read_loosely(fields, "metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return ()
    return as_labels(tags)
