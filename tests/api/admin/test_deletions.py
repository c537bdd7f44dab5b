"""What is left when a team, a user, an organization or a customer goes, and what meets its going."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from tests.api.support import Answer, Door

pytestmark = pytest.mark.services


async def test_reports_go_on_calling_by_its_name_what_was_deleted(admin_door: Door) -> None:
    door = admin_door
    await door.post("/organization/new", {"organization_id": "org-gone", "organization_alias": "Physics"})
    await door.post("/team/new", {"team_id": "team-gone", "team_alias": "Optics", "organization_id": "org-gone"})
    await door.post("/user/new", {"user_id": "user-gone", "user_email": "gone@example.com", "auto_create_key": False})
    await door.post("/customer/new", {"user_id": "customer-gone", "alias": "Acme"})
    owners = {"organization_id": "org-gone", "team_id": "team-gone", "user_id": "user-gone"}
    key = await door.new_key(team_id="team-gone", user_id="user-gone")
    at = datetime.now(UTC)
    request_id = await door.book(key["token"], at, 7_000_000, **owners, customer_id="customer-gone")
    for path, body in (
        ("/organization/delete", {"organization_ids": ["org-gone"]}),
        ("/user/delete", {"user_ids": ["user-gone"]}),
        ("/customer/delete", {"user_ids": ["customer-gone"]}),
    ):
        assert (await door.post(path, body)).status == 200
    day = f"{at:%Y-%m-%d}"
    for kind, name in (("organization", "Physics"), ("team", "Optics"), ("user", "gone@example.com"),
                       ("customer", "Acme")):  # fmt: skip
        report = await door.get("/spend/report", query={"start_date": day, "end_date": day, "group_by": kind})
        assert name in report.text, f"{kind}: {report.text}"
    [row] = (await door.get("/spend/logs", query={"request_id": request_id})).fields
    assert row["metadata"]["user_api_key_team_alias"] == "Optics"
    for path, gone in (("/team/list", "team-gone"), ("/organization/list", "org-gone"), ("/user/list", "user-gone"),
                       ("/customer/list", "customer-gone")):  # fmt: skip
        assert gone not in (await door.get(path)).text
    again = await door.post("/team/new", {"team_id": "team-gone", "team_alias": "Lasers"})
    assert again.status == 200, "an id may be used again"
    report = await door.get("/spend/report", query={"start_date": day, "end_date": day, "group_by": "team"})
    assert "Lasers" in report.text
    assert "Optics" not in report.text, "and has its new name then"


@asynccontextmanager
async def going(door: Door, table: str, column: str, owner: str) -> AsyncIterator[None]:
    """Another transaction deletes the row: it holds it at the beginning of the block, and commits at its end."""
    async with door.engine.connect() as connection:
        await connection.execute(text(f"DELETE FROM {table} WHERE {column} = :owner"), {"owner": owner})
        yield
        await _until_somebody_waits(door)
        await connection.commit()


async def _until_somebody_waits(door: Door) -> None:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(30), door.engine.connect() as connection:
        # One transaction for each look: within one, Postgres tells only of those that were there at the first.
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        while not (await connection.execute(text(waits))).scalar():  # noqa: ASYNC110  only Postgres can tell
            await asyncio.sleep(0.005)


async def meet(door: Door, table: str, owner: str, request: Awaitable[Answer]) -> Answer:
    async with going(door, table, f"{table.removesuffix('s')}_id", owner):
        asked = asyncio.ensure_future(request)
        await asyncio.sleep(0)
    return await asked


async def test_what_names_an_owner_that_is_being_deleted_is_refused_or_makes_it_anew(admin_door: Door) -> None:
    door = admin_door
    await door.post("/team/new", {"team_id": "team-racing"})
    key = await meet(door, "teams", "team-racing", door.post("/key/generate", {"team_id": "team-racing"}))
    assert (key.status, key.error["param"]) == (422, "team_id"), key.text
    await door.post("/team/new", {"team_id": "team-racing"})
    member = {"team_id": "team-racing", "member": {"user_id": "user-racing", "role": "user"}}
    added = await meet(door, "teams", "team-racing", door.post("/team/member_add", member))
    assert (added.status, added.error["param"]) == (404, "team_id"), added.text
    await door.post("/team/new", {"team_id": "team-racing"})
    for user, path, body in (
        ("user-racing", "/team/member_add", member), ("user-running", "/key/generate", {"user_id": "user-running"}),
    ):  # fmt: skip
        await door.post("/user/new", {"user_id": user, "auto_create_key": False})
        made = await meet(door, "users", user, door.post(path, body))
        assert made.status == 200, "a user who is named is made: " + made.text
    await door.post("/organization/new", {"organization_id": "organization-racing", "organization_alias": "racing"})
    team = door.post("/team/new", {"organization_id": "organization-racing"})
    refused = await meet(door, "organizations", "organization-racing", team)
    assert (refused.status, refused.error["param"]) == (422, "organization_id"), refused.text


async def test_a_personal_key_belongs_to_the_organization_of_its_user(admin_door: Door) -> None:
    door = admin_door
    await door.post("/organization/new", {"organization_id": "org-own", "organization_alias": "own"})
    await door.post("/organization/new", {"organization_id": "org-second", "organization_alias": "second"})
    made = await door.post("/user/new", {"user_id": "belongs", "organizations": ["org-own"]})
    assert (await organization_of(door, made.fields["key"])) == "org-own"
    later = await door.new_key(user_id="belongs")
    assert (await organization_of(door, later["token"])) == "org-own"
    loose = await door.new_key(user_id="joins")
    assert (await organization_of(door, loose["token"])) is None
    for organization in ("org-own", "org-second"):
        member = {"organization_id": organization, "member": {"user_id": "joins", "role": "internal_user"}}
        assert (await door.post("/organization/member_add", member)).status == 200
        assert (await organization_of(door, loose["token"])) == "org-own", "the first that it joined"
    team = (await door.post("/team/new", {})).fields["team_id"]
    await door.post("/key/update", {"key": loose["token"], "team_id": team})
    assert (await organization_of(door, loose["token"])) is None, "a key of a team belongs where the team does"
    await door.post("/key/update", {"key": loose["token"], "team_id": None})
    assert (await organization_of(door, loose["token"])) == "org-own"
    await door.post("/organization/member_delete", {"organization_id": "org-own", "user_id": "joins"})
    assert (await organization_of(door, loose["token"])) is None


async def organization_of(door: Door, key_id: str) -> str | None:
    organization_id: str | None = (await door.get("/key/info", key=key_id)).fields["info"]["organization_id"]
    return organization_id
