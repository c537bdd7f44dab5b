"""The facts of one request on its way: Call, Grant, Reply."""

from collections.abc import AsyncIterator, Hashable, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from app.base.errors import GatewayError
from app.base.money import MILLION, NanoUSD
from app.domain.access import Principal
from app.domain.catalog import Deployment, Model
from app.domain.learning import Learning
from app.domain.pricing import PriceSheet
from app.domain.spend import Admitted, Receipt
from app.gateway.estimate import Estimate
from app.gateway.route import Route, SteppedDown
from app.protocols.codec import Codec, Envelope, Header, PathFacts, StreamScanner, UsageReport
from app.protocols.losses import Loss
from app.providers.provider import UpstreamReply

Operation = Literal["generate", "count_tokens", "opaque", "embeddings", "images", "batches", "files"]


class Knock(msgspec.Struct, frozen=True):
    """Who wants in, and where: all that authentication needs, before a byte of the body is read.

    ``headers`` are the request's own, for open mode.
    """

    credentials: Sequence[str]
    route: str
    client_address: str
    at: datetime
    headers: Sequence[Header] = ()


class Call(msgspec.Struct, frozen=True):
    """What the client sent; nothing is decoded yet.

    ``route`` is our path, ``upstream_path`` the provider's where that is not the one of the operation.
    ``operation``: generate, embeddings and images cost money; count_tokens is free; opaque is forwarded as it is,
    unmetered; batches and files are kept by the provider for their owners. ``native_only``: the caller wants the
    provider's own bytes, so nothing is translated. ``path_facts`` are what the protocol says in the path.
    """

    request_id: str
    codec: Codec
    operation: Operation
    method: str
    route: str
    upstream_path: str | None
    query: bytes
    headers: Sequence[Header]
    body: bytes
    started_at: datetime
    started_s: float
    """The monotonic clock when the first byte was read."""
    native_only: bool = False
    path_facts: PathFacts | None = None


class Outbound(msgspec.Struct, frozen=True):
    """What goes out. ``path`` is as the provider's reference writes it. ``headers`` replace the caller's, which are
    forwarded only where ``forwards_headers``: those of another protocol mean nothing to this host."""

    path: str
    version_path: str
    body: bytes
    headers: tuple[Header, ...] = ()
    forwards_headers: bool = True
    query: bytes = b""


class Whole(msgspec.Struct, frozen=True):
    """A whole answer for the client. ``content_type`` None: as the provider said."""

    body: bytes
    report: UsageReport
    content_type: bytes | None = None


class Exchange(Protocol):
    """One call on its way to one deployment and back. Not shared between attempts."""

    protocol_out: str
    losses: tuple[Loss, ...]
    stream_type: bytes | None
    """The content type of a streamed answer; None: as the provider said, and so are all other headers."""
    max_output_tokens: int | None
    """Where the host is allowed another number of output tokens than the client has named."""

    def outbound(self) -> Outbound: ...

    def stream_scanner(self) -> StreamScanner: ...

    def read_whole(self, body: bytes) -> Whole:
        """Raises UpstreamError for what is no answer."""

    def read_refusal(self, reply: UpstreamReply, body: bytes) -> GatewayError | None:
        """The provider's refusal as one of ours, to be said in the client's protocol; None: it goes back as it is."""


class StrictHold(msgspec.Struct, frozen=True):
    """What is held for a call on budgets that may not be exceeded.

    ``input_nanousd`` is the most that its input can cost. ``output_tokens`` are held at first. ``output_limit`` is the
    most that there can be, None where only a growing hold tells; ``output_rate`` is nano-dollars per million tokens.
    """

    input_nanousd: NanoUSD
    output_tokens: int
    output_limit: int | None
    output_rate: NanoUSD

    @property
    def hold_nanousd(self) -> NanoUSD:
        return self.input_nanousd - (-self.output_tokens * self.output_rate // MILLION)


class Hold(msgspec.Struct, frozen=True):
    """What is held for one call, and what its end can teach.

    ``input_nanousd`` is the part of it that is held for input. ``kind`` is what the call has in common with others.
    ``fresh_nanousd`` is the estimate of its input at the plain price of input: what is learned of inputs is measured by
    it. ``output_rate`` is nano-dollars per million tokens. ``output_limit`` is the most that there can be, where known.
    """

    most: Estimate
    input_nanousd: NanoUSD
    kind: Hashable
    fresh_nanousd: NanoUSD
    output_rate: NanoUSD
    output_limit: int | None
    learning: Learning
    strict: StrictHold | None = None


class Grant(msgspec.Struct, frozen=True):
    """A call that may go out.

    ``exchange`` None: the host cannot count tokens, so it is estimated here.
    ``if_orphaned`` is the receipt's draft, the estimate of what the call costs; without one the call is free:
    nothing is held, and nothing is booked. ``price`` is the one in force when the call started, None for a free call.
    ``hold`` None: held for by estimate alone, with nothing to learn. ``route`` None: nothing else could be tried.
    """

    principal: Principal
    envelope: Envelope | None
    model: Model | None
    deployment: Deployment
    exchange: Exchange | None
    admitted: Admitted | None = None
    if_orphaned: Receipt | None = None
    price: PriceSheet | None = None
    hold: Hold | None = None
    route: Route | None = None
    stepped: SteppedDown | None = None

    @property
    def metered(self) -> bool:
        return self.if_orphaned is not None


class StreamBody(Protocol):
    """An answer that comes piece by piece. Whoever takes one must close it, however the sending ended."""

    @property
    def receipt(self) -> Receipt | None:
        """What was booked, once it is; None for what is not booked."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Once only. Raises StreamCut when the connection is to be cut: the answer is not whole."""

    async def close(self) -> None:
        """Settles the call if nothing has settled it: the client has left."""


class Reply(msgspec.Struct, frozen=True):
    """What goes back to the client. ``receipt`` is what was booked for a whole answer."""

    status: int
    headers: Sequence[Header]
    body: bytes | StreamBody
    receipt: Receipt | None = None


class Service(Protocol):
    """Answers the calls of one operation that is no single exchange."""

    async def serve(self, call: Call, principal: Principal) -> Reply:
        """Raises GatewayError."""


class StreamCut(Exception):
    """The answer could not be completed; what could be said was said. The connection is to be cut."""
