"""Provider credentials at rest: AES-256-GCM under a key from KEYHOUSE_CREDENTIAL_SECRET, else KEYHOUSE_SECRET."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.errors import GatewayError
from app.base.ids import CredentialId
from app.base.secret import Secret
from app.storage.postgres.tables import provider_credentials

_PURPOSE = b"keyhouse provider credentials v1"
NONCE_BYTES = 12


class Undecipherable(GatewayError):
    """A credential was encrypted under another KEYHOUSE_SECRET, or its row was tampered with."""

    code = "undecipherable_credential"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Values as they are stored: what only the cipher reads, and under which key."""

    ciphertext: bytes
    nonce: bytes
    encryption_key_id: str


def sealed_values(sealed: Sealed | None) -> dict[str, Any]:
    """The columns of a row that keeps it."""
    return {name: None if sealed is None else getattr(sealed, name) for name in Sealed.__slots__}


class CredentialCipher:
    """Encrypts with one key; the row's id is the associated data, so that no ciphertext can move to another row.

    ``former`` are secrets of earlier keys: what was sealed under them is read, and sealed anew under the first.
    """

    def __init__(self, secret: bytes, former: Sequence[bytes] = ()) -> None:
        self._ciphers = {_key_id(key): AESGCM(key) for key in (_derive(one) for one in (secret, *former))}
        self.key_id = next(iter(self._ciphers))

    def encrypt(self, credential_id: str, value: Secret) -> tuple[bytes, bytes]:
        """Ciphertext and nonce."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self.key_id]
        return cipher.encrypt(nonce, value.reveal().encode(), credential_id.encode()), nonce

    def decrypt(self, credential_id: str, ciphertext: bytes, nonce: bytes, key_id: str) -> Secret:
        """Raises Undecipherable."""
        if key_id not in self._ciphers:
            raise Undecipherable(
                f'credential "{credential_id}" was stored under another KEYHOUSE_SECRET; restore that secret, '
                "name it in KEYHOUSE_FORMER_CREDENTIAL_SECRET, or enter the credential again"
            )
        try:
            return Secret(self._ciphers[key_id].decrypt(nonce, ciphertext, credential_id.encode()).decode())
        except InvalidTag as error:
            raise Undecipherable(
                f'credential "{credential_id}" was changed outside Keyhouse; enter it again'
            ) from error

    def seal(self, row_id: str, values: Mapping[str, Any]) -> Sealed | None:
        """JSON values by their names; None where there are none."""
        if not values:
            return None
        ciphertext, nonce = self.encrypt(row_id, Secret(msgspec.json.encode(values).decode()))
        return Sealed(ciphertext, nonce, self.key_id)

    def open(self, row_id: str, sealed: Sealed | None) -> dict[str, Any]:
        """Raises Undecipherable."""
        if sealed is None:
            return {}
        plain = self.decrypt(row_id, sealed.ciphertext, sealed.nonce, sealed.encryption_key_id)
        return msgspec.json.decode(plain.reveal(), type=dict[str, Any])


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """One row of provider_credentials. ``public_values`` are those that may be shown."""

    credential_id: CredentialId
    name: str
    public_values: dict[str, str]
    metadata: dict[str, Any]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    sealed: Sealed | None


_PLAIN = [name for name in StoredCredential.__slots__ if name != "sealed"]
_SEALED = [provider_credentials.c[name] for name in Sealed.__slots__]
_STORED = select(*(provider_credentials.c[name] for name in _PLAIN), *_SEALED)


async def insert_credential(connection: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """False, and nothing done, when the name is taken."""
    made = insert(provider_credentials).values(**values).on_conflict_do_nothing(index_elements=["name"])
    return (await connection.execute(made.returning(provider_credentials.c.name))).one_or_none() is not None


async def find_credential(connection: AsyncConnection, name: str, *, lock: bool = False) -> StoredCredential | None:
    query = _STORED.where(provider_credentials.c.name == name)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _stored(row._mapping)


async def list_credentials(connection: AsyncConnection) -> list[StoredCredential]:
    """All of them, by name."""
    rows = await connection.execute(_STORED.order_by(provider_credentials.c.name))
    return [_stored(row._mapping) for row in rows]


async def update_credential(connection: AsyncConnection, credential_id: str, values: Mapping[str, Any]) -> None:
    which = provider_credentials.c.credential_id == credential_id
    await connection.execute(update(provider_credentials).where(which).values(**values))


async def delete_credential(connection: AsyncConnection, credential_id: str) -> None:
    which = provider_credentials.c.credential_id == credential_id
    await connection.execute(delete(provider_credentials).where(which))


def read_sealed(row: Mapping[Any, Any]) -> Sealed | None:
    """Of the columns that ``sealed_values`` wrote."""
    return None if row["ciphertext"] is None else Sealed(*(row[name] for name in Sealed.__slots__))


def _stored(row: Mapping[Any, Any]) -> StoredCredential:
    return StoredCredential(**{name: row[name] for name in _PLAIN}, sealed=read_sealed(row))


def _derive(secret: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"id of " + key).hexdigest()[:16]
