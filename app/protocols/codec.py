"""What a wire format offers to the data plane: the one interface of this floor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from app.base.errors import GatewayError
from app.domain.spend import Admitted
from app.domain.usage import Usage

Header = tuple[bytes, bytes]


class Envelope(msgspec.Struct, frozen=True):
    """The top level of a request body, every nested byte as it came.

    ``customer`` is the end user that the body names; ``tags`` are the caller's own labels in it.
    ``max_output_tokens`` is what the caller asked for, None when it did not say.
    """

    body: bytes
    fields: Mapping[str, msgspec.Raw]
    model: str
    stream: bool
    max_output_tokens: int | None
    customer: str | None
    session_id: str | None
    tags: tuple[str, ...] = ()


class Outgoing(msgspec.Struct, frozen=True):
    """The body for a host of the same protocol. ``withhold_usage``: we asked for a frame the caller did not ask for."""

    body: bytes
    withhold_usage: bool = False


class UsageReport(msgspec.Struct, frozen=True):
    """What an answer has said of its usage so far.

    ``usage`` holds the provider's own counts, None before the first. ``final``: the provider has counted everything.
    ``output_bytes`` is the UTF-8 length of all text, thinking and tool arguments that passed, to estimate from when
    the answer was cut. ``finish_reason`` is in the protocol's own words.
    """

    usage: Usage | None
    final: bool
    output_bytes: int
    finish_reason: str | None = None


class StreamScanner(Protocol):
    """Watches one streamed answer of the same protocol as its bytes pass. Not shared between answers."""

    ended: bool
    """The protocol's own end mark has been fed: message_stop, or [DONE]."""
    failed: bool
    """The provider sent an error event inside the stream."""

    @property
    def complete(self) -> bool:
        """Whether a client may take the stream for a whole answer if it ends here."""

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes, wherever they were split; returns the bytes to pass on: the same ones, unless a
        frame is withheld (then whole frames only, and the rest when it is complete)."""

    def flush(self) -> bytes:
        """Bytes kept back when the upstream ended in the middle of a frame."""

    @property
    def at_boundary(self) -> bool:
        """Whether what was passed on ends with a whole frame, so that one of ours may follow."""

    def report(self) -> UsageReport: ...


@dataclass(frozen=True, slots=True)
class RenderedError:
    status: int
    headers: tuple[Header, ...]
    body: bytes


class Codec(Protocol):
    """One wire format, the same for clients and for hosts."""

    name: str
    ping: bytes
    """What to write into a silent stream, at a frame boundary."""

    def read_envelope(self, body: bytes) -> Envelope:
        """Raises InvalidRequest for what is no JSON object of this protocol, whatever the bytes are."""

    def rewrite(self, envelope: Envelope, upstream_model: str) -> Outgoing:
        """The body with ``model`` replaced, all other bytes verbatim; duplicate keys collapse to the last."""

    def scan_response(self, body: bytes) -> UsageReport:
        """Usage of a whole answer; an unreadable one reports nothing, never raises."""

    def stream_scanner(self, *, withhold_usage: bool) -> StreamScanner: ...

    def render_error(self, error: GatewayError, request_id: str) -> RenderedError:
        """An error born in the gateway, in the shape, status and headers that clients of this protocol understand."""

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        """The event that tells a client in the middle of a stream."""

    def limit_headers(self, admitted: Admitted, at_unix: int) -> list[Header]:
        """Rate limit and budget headers of a success; none where nothing is limited."""
