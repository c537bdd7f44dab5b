"""Seals: what a provider wants back unread, kept apart by who issued it."""

import msgspec

_TAG = "kh1"


class Seal(msgspec.Struct, frozen=True):
    """A proof of reasoning. ``issuer`` is a Dialect's; ``data`` is opaque, and empty where the issuer gives none."""

    issuer: str
    data: str


def seal(of: Seal, native: str) -> str:
    """The seal as it stands in a client's opaque field: bare where ``native`` issued it, else tagged with its issuer.

    A foreign proof handed out bare would come back as if it were the native one, and no host takes it then.
    """
    if of.issuer == native:
        return of.data
    return f"{_TAG}.{of.issuer}.{of.data}"


def unseal(written: str, native: str) -> Seal:
    """The reverse of ``seal``; what has no tag is ``native``'s own."""
    tag, _, rest = written.partition(".")
    issuer, dot, data = rest.partition(".")
    if tag != _TAG or not dot:
        return Seal(native, written)
    return Seal(issuer, data)


def may_hold_foreign_seals(body: bytes) -> bool:
    """Whether a search for tagged seals in a request's JSON is worth its time."""
    return b'"' + _TAG.encode() + b"." in body
