"""Refusals of cloud hosts in the words of the protocol that was spoken, as its clients know no other."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from app.providers.provider import Header, UpstreamReply

_BODY_MOST_BYTES = 2**18
_TEXT_MOST_CHARACTERS = 2000
_NOT_KEPT = frozenset({b"content-type", b"content-length"})
_CREDENTIAL = "credential"
_CREDENTIAL_STATUS = 502
"""The caller's credential is fine: it is ours that the host refuses."""


class Refusal(NamedTuple):
    """``status`` and ``kind`` are what Anthropic's API says in such a case."""

    status: int
    kind: str

    @property
    def of_credential(self) -> bool:
        return self.kind == _CREDENTIAL


CREDENTIAL = Refusal(_CREDENTIAL_STATUS, _CREDENTIAL)
_KINDS = {
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def refusal_of_status(status: int) -> Refusal:
    if status in {401, 403}:
        return CREDENTIAL
    return Refusal(status, _KINDS.get(status, "invalid_request_error" if status < 500 else "api_error"))


def explained(refusal: Refusal, provider: str, name: str, text: str) -> str:
    """What to show: the host's own words where it has any; of a refused credential, which they name, only ``name``."""
    if refusal.of_credential:
        return f"{provider} refused the gateway's own credential ({name}); tell whoever runs the gateway"
    return text.strip()[:_TEXT_MOST_CHARACTERS] or f"{provider} refused the call ({name}) without saying why"


def messages_error(refusal: Refusal, text: str) -> bytes:
    """The body of an error, or the data of an error event, of the Messages API."""
    kind = "api_error" if refusal.of_credential else refusal.kind
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": text}})


def chat_error(refusal: Refusal, text: str) -> bytes:
    """The same of OpenAI's APIs."""
    kind = "api_error" if refusal.of_credential else refusal.kind
    return msgspec.json.encode({"error": {"message": text, "type": kind, "param": None, "code": None}})


class RefusedReply:
    """An UpstreamReply that is no success: ``render`` makes its body, of the host's, as soon as that is read."""

    def __init__(self, reply: UpstreamReply, refusal: Refusal, render: Callable[[bytes], bytes]) -> None:
        self._reply = reply
        self._render: Callable[[bytes], bytes] | None = render
        self._body = b""
        self.status = refusal.status
        self.headers: Sequence[Header] = [
            *(header for header in reply.headers if header[0] not in _NOT_KEPT),
            (b"content-type", b"application/json"),
            *([(b"x-should-retry", b"false")] if refusal.of_credential else []),
        ]

    async def next_chunk(self, wait_s: float) -> bytes:
        if self._render is None:
            return b""
        while chunk := await self._reply.next_chunk(wait_s):
            if len(self._body) < _BODY_MOST_BYTES:
                self._body += chunk
        body, self._render = self._render(self._body), None
        return body

    def close(self) -> None:
        self._reply.close()
