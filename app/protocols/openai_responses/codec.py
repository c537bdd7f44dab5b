"""The Responses API as a Codec."""

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
from app.protocols.envelope import (
    as_label,
    as_labels,
    encode_fields,
    read_count,
    read_fields,
    read_flag,
    read_loosely,
    read_model,
    splice,
)
from app.protocols.events import Generation
from app.protocols.openai_limits import limit_headers
from app.protocols.openai_rejections import parse_error
from app.protocols.openai_responses import errors, seals, usage
from app.protocols.openai_responses.request_parse import parse_request
from app.protocols.openai_responses.request_render import render_request
from app.protocols.openai_responses.response_parse import parse_response
from app.protocols.openai_responses.response_render import ResponsesRenderer, render_response
from app.protocols.openai_responses.stream_parse import ResponsesParser
from app.protocols.openai_responses.wire import decode_members


class OpenAIResponses:
    """``budget_status`` replaces the 402 of a spent budget, for fleets that rely on another."""

    name = "openai_responses"
    ping = b": keep-alive\n\n"
    stream_type = b"text/event-stream; charset=utf-8"
    header_prefixes: tuple[bytes, ...] = (b"openai-",)

    def __init__(self, budget_status: int | None = None) -> None:
        self._budget_status = budget_status

    def read_envelope(self, body: bytes, path: PathFacts | None = None) -> Envelope:
        """Raises InvalidRequest, also for ``background``, whatever the host: nobody here would learn what it cost."""
        del path  # the body says it all
        fields = read_fields(body)
        if read_flag(fields, "background"):
            raise InvalidRequest(
                '"background" is answered later, where this gateway has no route, and its cost could be held against '
                "no budget; leave it out and wait for the answer, or stream it",
                param="background",
            )
        return Envelope(
            body=body,
            fields=fields,
            model=read_model(fields),
            stream=read_flag(fields, "stream"),
            max_output_tokens=read_count(fields, "max_output_tokens"),
            customer=as_label(read_loosely(fields, "user")) or as_label(read_loosely(fields, "safety_identifier")),
            session_id=None,
            tags=_read_tags(fields),
        )

    def rewrite(self, envelope: Envelope, upstream_model: str, dialect: Dialect, headers: Sequence[Header]) -> Outgoing:
        """Beside ``model``: reasoning of another host is taken out, since none but that host takes it, and
        a list of tags is taken out of the metadata, since OpenAI refuses values there that are no texts.
        """
        del dialect, headers
        fields = envelope.fields
        changes: dict[str, bytes | None] = {"model": msgspec.json.encode(upstream_model)}
        if _has_tags(fields):
            changes["metadata"] = _without_tags(fields)
        if "input" in fields and seals.may_hold_foreign(envelope.body):
            kept = seals.without_foreign(fields["input"])
            if kept is not None:
                changes["input"] = kept
        return Outgoing(splice(envelope.body, fields, changes))

    def parse_request(self, envelope: Envelope, headers: Sequence[Header]) -> Conversation:
        del headers  # none of this protocol's says anything of the model's work
        return parse_request(envelope)

    def render_request(self, conversation: Conversation, dialect: Dialect) -> Rendered:
        return render_request(conversation, dialect)

    def parse_response(self, body: bytes, reading: Reading) -> Generation:
        return parse_response(body, reading)

    def render_response(self, generation: Generation, asked: Asked) -> bytes:
        return render_response(generation, asked)

    def stream_parser(self, reading: Reading) -> ResponsesParser:
        return ResponsesParser(reading)

    def stream_renderer(self, asked: Asked) -> ResponsesRenderer:
        return ResponsesRenderer(asked)

    def parse_error(self, status: int, body: bytes, provider: str) -> UpstreamRejected:
        return parse_error(status, body, provider)

    def render_count(self, input_tokens: int) -> bytes:
        del input_tokens
        raise NotFound("the Responses API of this gateway counts no tokens; ask POST /v1/messages/count_tokens")

    def scan_response(self, body: bytes) -> UsageReport:
        return usage.scan_response(body)

    def stream_scanner(self, *, withhold_usage: bool) -> usage.ResponsesScanner:
        """Usage is a part of frames that every client needs, so there is nothing to withhold."""
        del withhold_usage
        return usage.ResponsesScanner()

    def render_error(self, error: GatewayError, request_id: str) -> RenderedError:
        return errors.render_error(error, request_id, self._budget_status)

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        return errors.render_stream_error(error, request_id)

    def limit_headers(self, admitted: Admitted, at_unix: int) -> list[Header]:
        """Times are relative here."""
        del at_unix
        return limit_headers(admitted)


def _read_tags(fields: Mapping[str, msgspec.Raw]) -> tuple[str, ...]:
    metadata = read_loosely(fields, "metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return ()
    return as_labels(tags)


def _has_tags(fields: Mapping[str, msgspec.Raw]) -> bool:
    metadata = read_loosely(fields, "metadata")
    return isinstance(metadata, dict) and isinstance(metadata.get("tags"), list)


def _without_tags(fields: Mapping[str, msgspec.Raw]) -> bytes | None:
    """The metadata's other members as they came; None when there are none."""
    members = decode_members(fields["metadata"])
    del members["tags"]
    return encode_fields(members, {}) if members else None
