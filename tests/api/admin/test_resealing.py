"""Stored secrets are sealed anew under another key, all of them, and read by both keys until then."""

import json
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.admin.actor import Actor
from app.admin.resealing import Resealed, Resealing
from app.base.ids import new_id
from app.storage.postgres.audit import list_entries
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.tables import alert_destinations, deployments, provider_credentials
from tests.api.support import ADMIN, PEPPER, Door

pytestmark = pytest.mark.services

KINDS = {"credential": "credential_id", "model": "deployment_id", "alert_destination": "destination_id"}
TABLES = {"credential": provider_credentials, "model": deployments, "alert_destination": alert_destinations}


async def plain_texts(connection: AsyncConnection, cipher: CredentialCipher, ids: dict[str, str]) -> dict[str, str]:
    """What the cipher reads of each."""
    found = {}
    for kind, row_id in ids.items():
        table = TABLES[kind].c
        columns = (table.ciphertext, table.nonce, table.encryption_key_id)
        row = (await connection.execute(select(*columns).where(table[KINDS[kind]] == row_id))).one()
        found[kind] = cipher.decrypt(row_id, *row).reveal()
    return found


async def test_everything_sealed_goes_to_another_key_and_back(admin_door: Door) -> None:
    name = new_id("x")
    values = {"api_key": "sk-of-a-provider"}
    await admin_door.post("/credentials", {"credential_name": name, "credential_values": values})
    model = {"model_name": name, "litellm_params": {"model": "openai/gpt-5", "api_key": "sk-of-a-model"}}
    hook = {"name": name, "kind": "webhook", "url": "https://93.184.215.14/hook", "secret": "long enough to sign"}
    made = (await admin_door.post("/model/new", model)).fields["model_id"]
    told = (await admin_door.post("/alert/destination", hook)).fields["destination_id"]
    former, present = CredentialCipher(PEPPER), CredentialCipher(b"another", [PEPPER])
    alone = CredentialCipher(b"another")
    async with admin_door.engine.connect() as connection:
        named = select(provider_credentials.c.credential_id).where(provider_credentials.c.name == name)
        ids = {"credential": (await connection.execute(named)).scalar_one(), "model": made, "alert_destination": told}
        before = await plain_texts(connection, former, ids)
    assert json.loads(before["model"])["api_key"] == "sk-of-a-model"

    resealing = Resealing(admin_door.engine, present)
    planned = await resealing.run(Actor(), dry_run=True)
    assert all(planned.sealed_anew[kind] >= 1 for kind in KINDS)
    try:
        assert (await resealing.run(Actor(), dry_run=False)).sealed_anew == planned.sealed_anew
        again = await resealing.run(Actor(), dry_run=False)
        assert (not again.sealed_anew, again.sealed_already) == (True, planned.sealed_anew)
        async with admin_door.engine.connect() as connection:
            assert await plain_texts(connection, alone, ids) == before
            entries = await list_entries(connection, "key_id", present.key_id)
        assert [entry.action for entry in entries] == ["credential.reseal", "credential.reseal"]
    finally:
        back = await Resealing(admin_door.engine, CredentialCipher(PEPPER, [b"another"])).run(Actor(), dry_run=False)
    assert back.sealed_anew == planned.sealed_anew


async def test_what_no_known_key_opens_is_named_and_left(admin_door: Door) -> None:
    name = new_id("x")
    await admin_door.post("/credentials", {"credential_name": name, "credential_values": {"api_key": "k"}})
    row: Any = provider_credentials.c.name == name
    async with admin_door.engine.begin() as connection:
        await connection.execute(update(provider_credentials).where(row).values(encryption_key_id="lost"))
        one = select(provider_credentials.c.credential_id).where(row)
        lost = (await connection.execute(one)).scalar_one()
    checked = (await admin_door.get("/credentials/migrate-encryption/check")).fields
    assert {"kind": "credential", "id": lost} in checked["unreadable"]
    done: Resealed = await Resealing(admin_door.engine, CredentialCipher(PEPPER)).run(Actor(), dry_run=False)
    assert ("credential", lost) in done.unreadable
    gone = await admin_door.client.delete(f"/credentials/{name}", headers=dict(ADMIN))
    assert gone.status_code == 200
