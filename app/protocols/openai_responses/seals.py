"""Reasoning items and their proofs: whose they are, and how they go through a client and come back."""

import hashlib
import re

import msgspec

from app.protocols import opaque
from app.protocols.opaque import Seal
from app.protocols.openai_responses.wire import NATIVE, decode_list
from app.protocols.scanning import UNREADABLE

# Whose redacted thoughts a tagged proof holds: the item itself has no word for that.
_REDACTED = "+redacted"


# OpenAI's own ids have no second underscore.
_id_of_ours = re.compile(r"rs_[0-9a-z]{1,40}_\d+").fullmatch
_find_one_of_ours = re.compile(rb'"rs_[0-9a-z]{1,40}_\d').search


class _Sealed(msgspec.Struct, gc=False):
    type: str | None = None
    id: str | None = None
    encrypted_content: str | None = None


_decode_sealed = msgspec.json.Decoder(_Sealed).decode


def native_seal(issuer: str, item_id: str | None, encrypted_content: str) -> Seal:
    """OpenAI wants a proof back in an item of the same id, so the id is a part of it."""
    return Seal(issuer, f"{item_id or ''}:{encrypted_content}")


def taken_apart(seal: Seal) -> tuple[str, str]:
    """(item id, encrypted content) of a native seal; either may be empty."""
    item_id, _, encrypted_content = seal.data.partition(":")
    return item_id, encrypted_content


def written(seal: Seal, *, redacted: bool) -> str:
    """``encrypted_content`` for a client: always tagged, since the item's id is ours, not the issuer's."""
    issuer = seal.issuer + _REDACTED if redacted else seal.issuer
    return opaque.seal(Seal(issuer, seal.data), native="")


def read_back(encrypted_content: str, item_id: str | None) -> tuple[Seal, bool]:
    """(seal, whether its thinking is redacted) of what a client sends again."""
    if not _is_tagged(encrypted_content):
        return native_seal(NATIVE, item_id, encrypted_content), False
    seal = opaque.unseal(encrypted_content, NATIVE)
    if seal.issuer.endswith(_REDACTED):
        return Seal(seal.issuer.removesuffix(_REDACTED), seal.data), True
    return seal, False


def may_hold_foreign(body: bytes) -> bool:
    """Whether a search for reasoning of others in a request's JSON is worth its time."""
    return opaque.may_hold_foreign_seals(body) or _find_one_of_ours(body) is not None


def without_foreign(raw: msgspec.Raw) -> bytes | None:
    """``input`` without the reasoning of others, sealed or with nothing to seal, all else verbatim; None where it has
    none. OpenAI looks for an item without a seal among those that it has stored, and refuses what is not there."""
    try:
        items = decode_list(raw)
    except UNREADABLE:
        return None
    kept = [item for item in items if not _is_foreign(item)]
    return None if len(kept) == len(items) else b"[" + b",".join(map(bytes, kept)) + b"]"


def _is_foreign(item: msgspec.Raw) -> bool:
    try:
        sealed = _decode_sealed(item)
    except UNREADABLE:
        return False
    if sealed.type != "reasoning":
        return False
    if sealed.encrypted_content:
        return _is_tagged(sealed.encrypted_content)
    return sealed.id is not None and _id_of_ours(sealed.id) is not None


def _is_tagged(encrypted_content: str) -> bool:
    return opaque.unseal(encrypted_content, NATIVE).data != encrypted_content


def digest(text: str, characters: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:characters]
