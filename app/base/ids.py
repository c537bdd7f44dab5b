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
# Of any byte one of the digits, each of as many bytes; and the digits that hold the version and the variant.
_DIGIT_OF_BYTE = (_CROCKFORD * 8).encode()
_VERSION_7, _VARIANT_2 = "ef", "89abrstv"
_RANDOM_BYTES = 16
# Ids must differ, not be unguessable; seeded by the system in each process.
_RANDOM = random.Random(os.urandom(32))  # noqa: S311

_second: tuple[int, str] = (0, "")
"""Milliseconds >> 10 at the last id, and the eight digits that say it."""


def new_id(prefix: str) -> str:
    """A fresh id such as ``key_01kav3…``: the bits of a UUIDv7 in 26 Crockford base32 digits.

    Ids made later sort later (to the millisecond), so an index on them stays compact.
    """
    global _second
    milliseconds = time.time_ns() // 1_000_000
    seconds = milliseconds >> 10
    if seconds != _second[0]:
        _second = seconds, "".join([_CROCKFORD[seconds >> shift & 0x1F] for shift in range(35, -1, -5)])
    # RFC 9562: 48 bits of time (ten digits, as two bits before them are 0), version 7, 12 random bits, variant 2, and
    # 62 random bits.
    drawn = _RANDOM.getrandbits(8 * _RANDOM_BYTES).to_bytes(_RANDOM_BYTES, "little")
    digits = drawn.translate(_DIGIT_OF_BYTE).decode()
    version, variant = _VERSION_7[drawn[0] & 1], _VARIANT_2[drawn[3] & 7]
    moment = _second[1] + _CROCKFORD[milliseconds >> 5 & 0x1F] + _CROCKFORD[milliseconds & 0x1F]
    return f"{prefix}_{moment}{version}{digits[1:3]}{variant}{digits[4:]}"
