"""Prefixed, sortable text ids, the same string in Postgres, Redis, URLs and logs."""

import os
import random
import time
from datetime import UTC, datetime
from typing import NewType

OrganizationId = NewType("OrganizationId", str)
TeamId = NewType("TeamId", str)
UserId = NewType("UserId", str)
KeyId = NewType("KeyId", str)
BudgetId = NewType("BudgetId", str)
ModelId = NewType("ModelId", str)
DeploymentId = NewType("DeploymentId", str)
CredentialId = NewType("CredentialId", str)
PriceId = NewType("PriceId", str)
AuditId = NewType("AuditId", str)
RequestId = NewType("RequestId", str)

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)
_LENGTH = 26
_RANDOM_BITS = 74
# Ids must differ, not be unguessable; seeded by the system in each process.
_RANDOM = random.Random(os.urandom(32))  # noqa: S311


def new_id(prefix: str) -> str:
    """A fresh id such as ``key_01kav3…``: the bits of a UUIDv7 in 26 Crockford base32 digits.

    Ids made later sort later (to the millisecond), so an index on them stays compact.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = _RANDOM.getrandbits(_RANDOM_BITS)
    # RFC 9562: 48 bits of time, version 7, 12 random bits, variant 2, 62 random bits.
    bits = (
        (milliseconds << 80)
        | (0x7 << 76)
        | ((random_bits >> 62 & 0xFFF) << 64)
        | (0b10 << 62)
        | (random_bits & ((1 << 62) - 1))
    )
    digits = [_PAIRS[bits >> shift & 0x3FF] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(digits)}"


def time_of(identifier: str) -> datetime | None:
    """The instant an id was made, to the millisecond; None for a text that is no id of ours."""
    _, _, digits = identifier.rpartition("_")
    if len(digits) != _LENGTH:
        return None
    bits = 0
    for digit in digits:
        value = _CROCKFORD.find(digit)
        if value < 0:
            return None
        bits = bits << 5 | value
    milliseconds = bits >> 80
    if milliseconds >> 44:  # beyond the year 2500: not a time that new_id wrote
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
