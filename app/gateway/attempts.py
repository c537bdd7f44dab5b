"""What came of one attempt: the failure that it was, and the beginning of a stream before the client sees any of it."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import ceil

import msgspec

from app.base.errors import UpstreamBroken, UpstreamError, UpstreamRejected, UpstreamTimeout, UpstreamUnreachable
from app.domain.failures import Failure, FailureKind, kind_of
from app.gateway.call import Call, Grant
from app.protocols.codec import Header
from app.protocols.openai_rejections import failure_of
from app.protocols.refusal_reasons import reason_of
from app.protocols.scanning import UNREADABLE
from app.providers.provider import UpstreamReply

_LONGEST_RETRY_AFTER_S = 86_400
_ERROR_FRAMES = (b"event: error", b"event:error", b'data: {"error"', b'data:{"error"', b'data: {"type":"error"')
# Comments say that a host is alive (OpenRouter's come until it has an answer, or an error), and nothing to a client.
_COMMENTS = re.compile(rb"\A(?:(?::[^\r\n]*)?\r?\n)+")
_STATUS_OF_TYPE = {
    "overloaded_error": 529,
    "rate_limit_error": 429,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "invalid_request_error": 400,
    "api_error": 500,
}


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that came to nothing: by an error of ours, or by a refusal of the host's, read to its end.

    ``settled``: it may have cost something, so it has its receipt.
    """

    grant: Grant
    failure: Failure
    error: UpstreamError | None = None
    reply: UpstreamReply | None = None
    body: bytes = b""
    settled: bool = False


def failed_by(grant: Grant, error: UpstreamError, *, settled: bool = False) -> Failed:
    return Failed(grant, Failure(_kind_of_error(error), error.retry_after_s), error=error, settled=settled)


def refused_by(grant: Grant, reply: UpstreamReply, body: bytes) -> Failed:
    kind = kind_of(reply.status, reason_of(reply.status, body))
    return Failed(grant, Failure(kind, retry_after_s(reply.headers)), reply=reply, body=body)


def most_telling(failed: Sequence[Failed]) -> Failed:
    """Of what the attempts came to what tells the caller most; of equals the first, of the model asked for."""
    return max(failed, key=lambda one: one.failure.meaning.worth)


def retry_after_s(headers: Sequence[Header]) -> int | None:
    """``retry-after-ms`` or ``retry-after`` in whole seconds, rounded up; a date is not read."""
    found = {name.lower(): value for name, value in headers}
    for name, per_s in ((b"retry-after-ms", 1000), (b"retry-after", 1)):
        try:
            seconds = Decimal(found[name].decode("latin-1")) / per_s
        except (KeyError, InvalidOperation):
            continue
        if seconds.is_finite() and 0 <= seconds <= _LONGEST_RETRY_AFTER_S:
            return ceil(seconds)
    return None


class Begun:
    """An UpstreamReply whose first bytes were looked at already."""

    def __init__(self, reply: UpstreamReply, first: bytes) -> None:
        self.status, self.headers = reply.status, reply.headers
        self._reply = reply
        self._first: bytes | None = first

    async def next_chunk(self, wait_s: float) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await self._reply.next_chunk(wait_s)

    def close(self) -> None:
        self._reply.close()


async def begin_stream(call: Call, grant: Grant, reply: UpstreamReply, wait_s: float) -> UpstreamReply | Failed:
    """Wait for the first bytes, as long as the client needs no ping: until then another attempt can be made.

    Raises UpstreamBroken where the stream ends before them.
    """
    provider = grant.deployment.provider
    first = b""
    ends_at = time.monotonic() + wait_s
    while not (said := _COMMENTS.sub(b"", first)):
        try:
            chunk = await reply.next_chunk(max(ends_at - time.monotonic(), 0.001))
        except TimeoutError:
            return Begun(reply, first) if first else reply
        if not chunk:
            raise UpstreamBroken(f'provider "{provider}" ended its answer before it began', provider=provider)
        first += chunk
    if said.startswith(_ERROR_FRAMES):
        status, data = _status_of(said), _data_of(said)
        failure = Failure(kind_of(status, reason_of(status, data)))
        return Failed(grant, failure, error=call.codec.parse_error(status, data, provider))
    return Begun(reply, first)


def _kind_of_error(error: UpstreamError) -> FailureKind:
    match error:
        case UpstreamUnreachable():
            return "unreachable"
        case UpstreamTimeout():
            return "timeout"
        case UpstreamBroken():
            return "broken"
        case UpstreamRejected():
            return kind_of(error.status, reason_of(error.status, error.message.encode()))
        case _:
            return "unreadable"


def _data_of(frame: bytes) -> bytes:
    for line in frame.splitlines():
        if line.startswith(b"data:"):
            return line.removeprefix(b"data:").strip()
    return b"{}"


def _status_of(frame: bytes) -> int:
    try:
        found = msgspec.json.decode(_data_of(frame))
        error = found.get("error", found)
        return _STATUS_OF_TYPE.get(error.get("type")) or failure_of(error)[0]
    except (*UNREADABLE, AttributeError, TypeError):
        return 500
