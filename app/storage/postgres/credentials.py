"""Provider credentials at rest: AES-256-GCM under a key derived from KEYHOUSE_SECRET."""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.clock import now
from app.base.errors import GatewayError
from app.base.ids import CredentialId, new_id
from app.base.secret import Secret
from app.storage.postgres.tables import provider_credentials

_PURPOSE = b"keyhouse provider credentials v1"
NONCE_BYTES = 12


class Undecipherable(GatewayError):
    """A credential was encrypted under another KEYHOUSE_SECRET, or its row was tampered with."""

    code = "undecipherable_credential"


class CredentialCipher:
    """Encrypts with one key; the row's id is the associated data, so that no ciphertext can move to another row."""

    def __init__(self, secret: bytes) -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(b"id of " + key).hexdigest()[:16]

    def encrypt(self, credential_id: str, value: Secret) -> tuple[bytes, bytes]:
        """Ciphertext and nonce."""
        nonce = os.urandom(NONCE_BYTES)
        return self._cipher.encrypt(nonce, value.reveal().encode(), credential_id.encode()), nonce

    def decrypt(self, credential_id: str, ciphertext: bytes, nonce: bytes, key_id: str) -> Secret:
        """Raises Undecipherable."""
        if key_id != self.key_id:
            raise Undecipherable(
                f'credential "{credential_id}" was stored under another KEYHOUSE_SECRET; restore that secret, '
                "or enter the credential again"
            )
        try:
            return Secret(self._cipher.decrypt(nonce, ciphertext, credential_id.encode()).decode())
        except InvalidTag as error:
            raise Undecipherable(
                f'credential "{credential_id}" was changed outside Keyhouse; enter it again'
            ) from error


async def put_credential(
    connection: AsyncConnection, cipher: CredentialCipher, name: str, provider: str, value: Secret
) -> CredentialId:
    """Store a credential under its name, in place of the one that had it."""
    query = select(provider_credentials.c.credential_id).where(provider_credentials.c.name == name).with_for_update()
    credential_id = CredentialId((await connection.execute(query)).scalar_one_or_none() or new_id("cred"))
    ciphertext, nonce = cipher.encrypt(credential_id, value)
    values = {
        "provider": provider,
        "ciphertext": ciphertext,
        "nonce": nonce,
        "encryption_key_id": cipher.key_id,
        "updated_at": now(),
    }
    row = insert(provider_credentials).values(credential_id=credential_id, name=name, **values)
    await connection.execute(row.on_conflict_do_update(index_elements=["credential_id"], set_=values))
    return credential_id


async def find_credential(connection: AsyncConnection, cipher: CredentialCipher, name: str) -> Secret | None:
    """Raises Undecipherable."""
    columns = provider_credentials.c
    query = select(columns.credential_id, columns.ciphertext, columns.nonce, columns.encryption_key_id)
    row = (await connection.execute(query.where(columns.name == name))).one_or_none()
    if row is None:
        return None
    return cipher.decrypt(row.credential_id, row.ciphertext, row.nonce, row.encryption_key_id)


async def delete_credential(connection: AsyncConnection, name: str) -> bool:
    """Whether there was one."""
    deleted = await connection.execute(delete(provider_credentials).where(provider_credentials.c.name == name))
    return deleted.rowcount > 0
