"""Prefixed, sortable text ids, the same string in Postgres, Redis, URLs and logs."""

import os
import random
import time
from typing import NewType

OrganizationId = NewType("OrganizationId", str)
TeamId = NewType("TeamId", str)
UserId = NewType("UserId", str)
ProjectId = NewType("ProjectId", str)
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
