"""What a wire format offers to the data plane: the one interface of this floor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from app.base.errors import GatewayError, UpstreamRejected
from app.base.money import NanoUSD
from app.domain.spend import Admitted
from app.domain.usage import Usage
from app.protocols.conversation import Conversation
from app.protocols.events import Event, Generation
from app.protocols.losses import Loss

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one host speaks a protocol where it differs from the protocol's inventor: data of the host's.

    Each protocol has its own kind, with the differences that it knows of. ``issuer`` is whose seals the host takes.
    """

    issuer: str

    def for_model(self, *, native_tools: bool | None) -> "Dialect":
        """The dialect for one model of the host. ``native_tools``: whether it calls tools, None where nobody said."""
        del native_tools
        return self


class PathFacts(msgspec.Struct, frozen=True):
    """What a protocol says in the path that others say in the body."""

    model: str
    stream: bool


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
    """The body for a host of the same protocol. ``withhold_usage``: we asked for a frame the caller did not ask for.

    ``headers`` (lower-case names) replace the caller's of the same name, an empty value removes it.
    """

    body: bytes
    withhold_usage: bool = False
    headers: tuple[Header, ...] = ()


class Reading(msgspec.Struct, frozen=True):
    """How to read the answer to a request that we rendered.

    ``names`` gives the client's name of each tool that had to be renamed. ``json_tool`` is the tool that stands for a
    structured output: its arguments are the answer's text.
    """

    dialect: Dialect
    names: Mapping[str, str] = {}
    json_tool: str | None = None


class Rendered(msgspec.Struct, frozen=True):
    """A request in a host's words. ``headers`` (lower-case names) belong to the protocol, never a credential.

    ``max_output_tokens`` where it is not what the client said: the renderer had to choose, or to raise it.
    """

    body: bytes
    reading: Reading
    headers: tuple[Header, ...] = ()
    losses: tuple[Loss, ...] = ()
    max_output_tokens: int | None = None


class Asked(msgspec.Struct, frozen=True):
    """What the answer to a client depends on. ``model`` is the name that it asked for; ``created_unix`` in seconds."""

    envelope: Envelope
    model: str
    request_id: str
    created_unix: int


class UsageReport(msgspec.Struct, frozen=True):
    """What an answer has said of its usage so far.

    ``usage`` holds the provider's own counts, None before the first. ``final``: the provider has counted everything.
    ``cost`` where the provider has told its price.
    ``output_bytes`` is the UTF-8 length of all text, thinking and tool arguments that passed, to estimate from when
    the answer was cut. ``finish_reason`` is in the protocol's own words. ``kept_as`` is the name under which the
    provider keeps the answer, for later requests to name.
    """

    usage: Usage | None
    final: bool
    output_bytes: int
    finish_reason: str | None = None
    cost: NanoUSD | None = None
    kept_as: str | None = None


class StreamScanner(Protocol):
    """Watches one streamed answer of the same protocol as its bytes pass. Not shared between answers."""

    @property
    def ended(self) -> bool:
        """The protocol's own end mark has been fed: message_stop, or [DONE]."""

    @property
    def failed(self) -> bool:
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


class StreamParser(Protocol):
    """Reads one streamed answer of a host, split at any byte. Not shared between answers.

    It never raises for what a host sends: an unreadable frame is skipped, or becomes Failed where nothing sensible
    can follow.
    """

    def feed(self, chunk: bytes) -> Sequence[Event]: ...

    def end(self) -> Sequence[Event]:
        """The connection has ended: what was held. Without Ended among all events the answer is not whole."""


class StreamRenderer(Protocol):
    """Writes one streamed answer to a client, whole frames at a time."""

    def feed(self, event: Event) -> bytes:
        """What to write; empty where the protocol has nothing to say. After Ended: with the protocol's end mark."""


@dataclass(frozen=True, slots=True)
class RenderedError:
    status: int
    headers: tuple[Header, ...]
    body: bytes


class Codec(Protocol):
    """One wire format, the same for clients and for hosts.

    Where both speak it: read_envelope, rewrite, and the scanners. Where not: parse_request of the client's,
    render_request and parse_… of the host's, render_… of the client's.
    """

    name: str
    ping: bytes
    """What to write into a silent stream, at a frame boundary."""
    stream_type: bytes
    """The content type of a streamed answer."""
    header_prefixes: tuple[bytes, ...]
    """Of the request headers that belong to the protocol."""

    def read_envelope(self, body: bytes, path: PathFacts | None = None) -> Envelope:
        """Raises InvalidRequest for what is no JSON object of this protocol, whatever the bytes are."""

    def rewrite(self, envelope: Envelope, upstream_model: str, dialect: Dialect, headers: Sequence[Header]) -> Outgoing:
        """The body with ``model`` replaced, all other bytes verbatim; duplicate keys collapse to the last.

        Beyond that only what the dialect demands; ``headers`` are the caller's.
        """

    def parse_request(self, envelope: Envelope, headers: Sequence[Header]) -> Conversation:
        """Raises InvalidRequest naming the field that cannot be read. ``headers`` are the client's."""

    def render_request(self, conversation: Conversation, dialect: Dialect) -> Rendered:
        """Raises InvalidRequest naming the content that cannot be said in this protocol."""

    def parse_response(self, body: bytes, reading: Reading) -> Generation:
        """A whole answer. Raises UpstreamUnreadable."""

    def render_response(self, generation: Generation, asked: Asked) -> bytes: ...

    def stream_parser(self, reading: Reading) -> StreamParser: ...

    def stream_renderer(self, asked: Asked) -> StreamRenderer: ...

    def parse_error(self, status: int, body: bytes, provider: str) -> UpstreamRejected:
        """A host's refusal: its status, kind and text, whatever the body is (HTML, nothing, another protocol's)."""

    def render_count(self, input_tokens: int) -> bytes:
        """The answer to a question for a count of tokens; raises NotFound where the protocol has none."""

    def scan_response(self, body: bytes) -> UsageReport:
        """Usage of a whole answer; an unreadable one reports nothing, never raises."""

    def stream_scanner(self, *, withhold_usage: bool) -> StreamScanner: ...

    def render_error(self, error: GatewayError, request_id: str) -> RenderedError:
        """An error born in the gateway, in the shape, status and headers that clients of this protocol understand."""

    def render_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        """The event that tells a client in the middle of a stream."""

    def limit_headers(self, admitted: Admitted, at_unix: int) -> list[Header]:
        """Rate limit and budget headers of a success; none where nothing is limited."""
