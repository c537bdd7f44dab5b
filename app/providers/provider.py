"""What the data plane gives to a host of models and gets back from it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from app.base.secret import Secret
from app.domain.catalog import Timeouts

Header = tuple[bytes, bytes]


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One call to a provider. ``url`` is complete; ``provider`` is for errors and never secret.

    ``options`` are the deployment's: hosts whose requests are signed find their credentials there. ``guarded``: the
    address was set at run time, so it must be a public one (``app.providers.egress``).
    """

    provider: str
    method: str
    url: str
    headers: Sequence[Header]
    body: bytes
    timeouts: Timeouts
    options: Mapping[str, Secret] = {}
    guarded: bool = False


class UpstreamReply(Protocol):
    """A provider's answer of which the head has come, the names of its headers in lower case; the body is read chunk
    by chunk, as it came, undecoded."""

    status: int
    headers: Sequence[Header]

    async def next_chunk(self, wait_s: float) -> bytes:
        """The next bytes, b"" at the end. After a TimeoutError or a cancellation it may be called again.

        Raises TimeoutError when nothing came in that time, UpstreamBroken when the connection ends before the body.
        """

    def close(self) -> None:
        """Give the connection back when the body was read to its end, drop it otherwise. Safe to call twice."""


class Upstream(Protocol):
    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Raises UpstreamUnreachable or UpstreamTimeout when no head of an answer came."""
