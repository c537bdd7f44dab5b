"""Thought signatures: Gemini's own as they are, those of other issuers wrapped so that they come back.

The field is base64 to every client, so a foreign seal is the base64 of its tagged text. Gemini has no thoughts
without a text to show, so a redacted thought is marked in the issuer's name.
"""

import base64
import binascii

from app.protocols.conversation import Thinking
from app.protocols.opaque import Seal, seal, unseal

NATIVE = "gemini"
DUMMY = "skip_thought_signature_validator"
"""What Gemini 3 takes in place of a signature that was never given."""

# How the base64 of "kh1." begins, whatever follows.
TAGGED_PREFIX = "a2gxL"
_REDACTED = "redacted-"


def write(thinking: Thinking) -> str | None:
    """The signature that stands for the seal of a thought; None where it has none. Hosts without proofs are named
    alone: they too want their thoughts back."""
    of = thinking.seal
    if of is None or (of.issuer == NATIVE and not of.data):
        return None
    if thinking.redacted:
        of = Seal(_REDACTED + of.issuer, of.data)
    tagged = seal(of, NATIVE)
    return tagged if of.issuer == NATIVE else base64.b64encode(tagged.encode()).decode()


def read(signature: str) -> tuple[Seal, bool]:
    """The seal in a client's thoughtSignature, and whether its thought was redacted."""
    found = unseal(_unwrapped(signature), NATIVE)
    if found.issuer == NATIVE:
        return Seal(NATIVE, signature), False
    redacted = found.issuer.startswith(_REDACTED)
    return Seal(found.issuer.removeprefix(_REDACTED), found.data), redacted


def _unwrapped(signature: str) -> str:
    if not signature.startswith(TAGGED_PREFIX):
        return signature
    # Clients may write it in the alphabet for URLs, and without the padding.
    standard = signature.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return signature
