"""Keys of idempotency: what a caller may write, by what its call is found again, and what is known of a call."""

import hashlib
import hmac
import re

import msgspec

LONGEST_KEY = 255
_PURPOSE = b"keyhouse idempotent calls v1"
_LONGEST_WAIT_S = 30
_visible = re.compile(rb"[!-~]{1,255}").fullmatch


class Ticket(msgspec.Struct, frozen=True):
    """One call under a key of idempotency.

    ``name`` is where it is kept, and ``sealing_key`` opens its answer: both follow from the secret of the house and
    what the caller wrote, so a dump of the store opens nothing. ``fingerprint`` is of what was asked.
    """

    name: bytes
    sealing_key: bytes
    fingerprint: bytes
    request_id: str


class KeptReply(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """An answer as the client got it, without what held in that moment alone."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class KnownCall(msgspec.Struct, frozen=True):
    """What the store has under a name. ``answer`` None: still under way, or, where ``done``, not kept any more."""

    request_id: str
    fingerprint: bytes
    age_ms: int
    done: bool
    answer: KeptReply | None


def check_key(value: bytes) -> bytes:
    """Raises ValueError that says what is wrong."""
    if not _visible(value):
        raise ValueError(f"it must be 1 to {LONGEST_KEY} visible characters of ASCII, such as a UUID")
    return value


def ticket_of(
    secret: bytes, key_id: str, idempotency_key: bytes, request_id: str, asked: tuple[bytes, bytes, bytes]
) -> Ticket:
    """``asked`` is the path, the query and the body: what must be the same each time, byte for byte."""
    who = b"%b\0%b\0%b" % (_PURPOSE, key_id.encode(), idempotency_key)
    both = hmac.digest(secret, who, "sha512")
    path, query, body = asked
    what = hashlib.sha256(b"%b?%b\0" % (path, query))
    what.update(body)
    return Ticket(both[:32], both[32:], what.digest(), request_id)


def wait_s(age_ms: int) -> int:
    """How long to wait for a call that has run so long: as long again, within reason."""
    return min(max(1, -(-age_ms // 1000)), _LONGEST_WAIT_S)
