"""Provider credentials at rest."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.secret import Secret
from app.storage.postgres.credentials import (
    CredentialCipher,
    Undecipherable,
    delete_credential,
    find_credential,
    put_credential,
)
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade

pytestmark = pytest.mark.services


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[AsyncConnection]:
    """Rolled back at the end."""
    await upgrade(database_url)
    engine = create_engine(database_url)
    async with engine.connect() as opened:
        yield opened
    await engine.dispose()


async def test_a_credential_comes_back_and_is_nowhere_in_the_clear(connection: AsyncConnection) -> None:
    cipher = CredentialCipher(b"secret of the house")
    first = await put_credential(connection, cipher, "main", "anthropic", Secret("sk-ant-one"))
    assert first.startswith("cred_")
    assert await find_credential(connection, cipher, "main") == Secret("sk-ant-one")
    nonces = "SELECT nonce, ciphertext FROM provider_credentials WHERE name = 'main'"
    before = (await connection.execute(text(nonces))).one()
    assert b"sk-ant" not in before.ciphertext
    assert await put_credential(connection, cipher, "main", "anthropic", Secret("sk-ant-one")) == first
    after = (await connection.execute(text(nonces))).one()
    assert before.nonce != after.nonce
    assert before.ciphertext != after.ciphertext
    assert await delete_credential(connection, "main")
    assert await find_credential(connection, cipher, "main") is None


async def test_another_secret_and_a_moved_row_are_told_apart(connection: AsyncConnection) -> None:
    cipher = CredentialCipher(b"secret of the house")
    await put_credential(connection, cipher, "one", "anthropic", Secret("sk-ant-one"))
    await put_credential(connection, cipher, "two", "anthropic", Secret("sk-ant-two"))
    with pytest.raises(Undecipherable, match="another KEYHOUSE_SECRET"):
        await find_credential(connection, CredentialCipher(b"another"), "one")
    swap = (
        "UPDATE provider_credentials AS mine SET ciphertext = other.ciphertext, nonce = other.nonce "
        "FROM provider_credentials AS other WHERE mine.name = 'one' AND other.name = 'two'"
    )
    await connection.execute(text(swap))
    with pytest.raises(Undecipherable, match="changed outside Keyhouse"):
        await find_credential(connection, cipher, "one")
