"""The facts of one request on its way: Call, Grant, Reply."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from app.domain.access import Principal
from app.domain.catalog import Deployment, Model
from app.domain.spend import Admitted, Receipt
from app.protocols.codec import Codec, Envelope, Header

Operation = Literal["generate", "count_tokens", "opaque"]


class Knock(msgspec.Struct, frozen=True):
    """Who wants in, and where: all that authentication needs, before a byte of the body is read."""

    credentials: Sequence[str]
    route: str
    client_address: str
    at: datetime


class Call(msgspec.Struct, frozen=True):
    """What the client sent. ``route`` is our path, ``upstream_path`` the provider's; nothing is decoded yet.

    ``operation``: generate costs money; count_tokens is free; opaque is forwarded as it is, unmetered.
    """

    request_id: str
    codec: Codec
    operation: Operation
    method: str
    route: str
    upstream_path: str
    query: bytes
    headers: Sequence[Header]
    body: bytes
    started_at: datetime
    started_s: float
    """The monotonic clock when the first byte was read."""


class Grant(msgspec.Struct, frozen=True):
    """A call that may go out.

    ``if_orphaned`` is the receipt's draft, the estimate of what the call costs; without one the call is free:
    nothing is held, and nothing is booked.
    """

    principal: Principal
    envelope: Envelope | None
    model: Model | None
    deployment: Deployment
    admitted: Admitted | None = None
    if_orphaned: Receipt | None = None

    @property
    def metered(self) -> bool:
        return self.if_orphaned is not None


class StreamBody(Protocol):
    """An answer that comes piece by piece. Whoever takes one must close it, however the sending ended."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Once only. Raises StreamCut when the connection is to be cut: the answer is not whole."""

    async def close(self) -> None:
        """Settles the call if nothing has settled it: the client has left."""


class Reply(msgspec.Struct, frozen=True):
    """What goes back to the client."""

    status: int
    headers: Sequence[Header]
    body: bytes | StreamBody


class StreamCut(Exception):
    """The answer could not be completed; what could be said was said. The connection is to be cut."""
