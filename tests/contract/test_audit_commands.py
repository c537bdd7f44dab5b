"""``keyhouse audit`` against a running gateway: what is listed, and what ``verify`` says when a row was edited."""

import asyncpg
import pytest

from tests.contract.terminal import keyhouse
from tests.fakes.gateway_process import Admin, GatewayProcess

pytestmark = [pytest.mark.services, pytest.mark.contract]


async def test_an_edited_row_is_named_and_the_command_fails(
    gateway: GatewayProcess, admin: Admin, database_url: str
) -> None:
    key = await admin.generate(key_alias="audited-on-the-terminal")
    token = (await admin.client.get("/key/info", params={"key": key})).json()["info"]
    assert token["key_alias"] == "audited-on-the-terminal"
    status, listed, _ = await keyhouse(gateway, "audit", "list", "--object-type", "key")
    assert status == 0
    assert "key.generate" in listed
    assert "by default_user_id" in listed
    status, said, _ = await keyhouse(gateway, "audit", "verify")
    assert status == 0
    assert "rows checked" in said

    connection = await asyncpg.connect(database_url)
    edit = "UPDATE audit SET actor = $1 WHERE after->>'key_alias' = 'audited-on-the-terminal' RETURNING sequence, actor"
    try:
        place = (await connection.fetchrow(edit, "somebody-else"))["sequence"]
        status, _, errors = await keyhouse(gateway, "audit", "verify")
        assert status == 1
        assert f"row {place} (audit_" in errors
        assert "was edited" in errors
        await connection.execute(edit, "default_user_id")
    finally:
        await connection.close()
    assert (await keyhouse(gateway, "audit", "verify"))[0] == 0
