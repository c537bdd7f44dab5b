"""The chat completions API as a Codec."""

from collections.abc import Mapping, Sequence

import msgspec

from app.base.errors import GatewayError, InvalidRequest
from app.domain.spend import Admitted, RateStanding
from app.protocols.codec import Dialect, Envelope, Header, Outgoing, PathFacts, RenderedError, UsageReport
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
from app.protocols.openai_chat import errors, usage

_LARGEST_N = 128
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class OpenAIChat:
    """``budget_status`` replaces the 402 of a spent budget, for fleets that rely on another."""

    name = "openai_chat"
    ping = b": keep-alive\n\n"

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
        """Beside ``model``: a stream is asked to count its usage, since without that there is nothing to bill by, and
        a list of tags is taken out of the metadata, since OpenAI refuses values there that are no texts.
        """
        changes: dict[str, bytes | None] = {"model": msgspec.json.encode(upstream_model)}
        if _has_tags(envelope.fields):
            changes["metadata"] = _without_tags(envelope.fields)
        withhold = envelope.stream and not _wants_usage(envelope.fields)
        if withhold:
            changes["stream_options"] = _with_usage(envelope.fields)
        return Outgoing(splice(envelope.body, envelope.fields, changes), withhold_usage=withhold)

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
        """Only rate limits: OpenAI's clients know no header for budgets, and times are relative there."""
        del at_unix
        headers: list[Header] = []
        if admitted.requests is not None:
            headers += _rate_headers(b"requests", admitted.requests)
        if admitted.tokens is not None:
            headers += _rate_headers(b"tokens", admitted.tokens)
        return headers


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


def _has_tags(fields: Mapping[str, msgspec.Raw]) -> bool:
    metadata = read_loosely(fields, "metadata")
    return isinstance(metadata, dict) and isinstance(metadata.get("tags"), list)


def _without_tags(fields: Mapping[str, msgspec.Raw]) -> bytes | None:
    """The metadata's other members as they came; None when there are none."""
    members = _decode_members(fields["metadata"])
    del members["tags"]
    return encode_fields(members, {}) if members else None


def _wants_usage(fields: Mapping[str, msgspec.Raw]) -> bool:
    options = read_loosely(fields, "stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _with_usage(fields: Mapping[str, msgspec.Raw]) -> bytes:
    raw = fields.get("stream_options")
    options = {} if raw is None or bytes(raw) == b"null" else _decode_members(raw)
    return encode_fields(options, {"include_usage": b"true"})


def _rate_headers(what: bytes, standing: RateStanding) -> list[Header]:
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % standing.limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % max(0, standing.remaining)),
        (b"x-ratelimit-reset-" + what, b"%ds" % max(0, standing.reset_s)),
    ]
