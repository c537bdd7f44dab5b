"""The audit routes on real stores: what is listed, who is named, and that tampering in the database is found."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.support import ADMIN, Answer, Door

pytestmark = pytest.mark.services


async def execute(door: Door, statement: str, **values: Any) -> None:
    async with door.engine.begin() as connection:
        await connection.execute(text(statement), values)


async def faults(door: Door) -> list[tuple[int, str]]:
    answer = await door.get("/audit/verify")
    assert answer.status == 200, answer.text
    return [(fault["sequence"], fault["reason"]) for fault in answer.fields["faults"]]


async def three_rows(door: Door) -> tuple[str, list[dict[str, Any]]]:
    made = await door.new_key(metadata={"numbers": [1.0, 1e22, 10**15, 0.1], "text": "ä☃"})
    await door.post("/key/update", {"key": made["token"], "rpm_limit": 2})
    await door.post("/key/block", {"key": made["token"]}, {**ADMIN, "litellm-changed-by": "ada"})
    rows = (await door.get("/audit", object_id=made["token"], sort_order="asc")).fields["audit_logs"]
    return made["token"], rows


async def test_changes_are_listed_with_the_names_of_litellm_and_more(admin_door: Door) -> None:
    token, rows = await three_rows(admin_door)
    assert [row["action"] for row in rows] == ["key.generate", "key.update", "key.block"]
    assert [row["changed_by"] for row in rows] == ["default_user_id", "default_user_id", "ada"]
    assert {row["table_name"] for row in rows} == {"LiteLLM_VerificationToken"}
    assert rows[0]["before_value"] is None
    assert (rows[1]["before_value"]["requests_per_minute"], rows[1]["updated_values"]["requests_per_minute"]) == (
        None,
        2,
    )
    assert rows[2]["client_address"] == "203.0.113.9"
    assert [row["sequence"] for row in rows] == list(range(rows[0]["sequence"], rows[0]["sequence"] + 3))
    assert (await admin_door.get(f"/audit/{rows[1]['id']}")).fields == rows[1]
    assert (await admin_door.get("/audit/audit_none")).status == 404
    page = (await admin_door.get("/audit", object_id=token, page=2, page_size=2)).fields
    assert page | {"audit_logs": len(page["audit_logs"])} == {
        "audit_logs": 1, "total": 3, "page": 2, "page_size": 2, "total_pages": 2,
    }  # fmt: skip


async def test_the_list_is_filtered(admin_door: Door) -> None:
    token, rows = await three_rows(admin_door)
    today = rows[0]["updated_at"][:10]

    async def total(**query: str) -> int:
        answer: Answer = await admin_door.get("/audit", query={"object_id": token, **query})
        assert answer.status == 200, answer.text
        return int(answer.fields["total"])

    assert await total(object_type="key") == await total(table_name="LiteLLM_VerificationToken") == 3
    assert await total(object_type="team") == 0
    assert await total(actor="default_user_id") == 3
    assert await total(changed_by="ada") == 1
    assert await total(changed_by="default_user_id") == 2
    assert await total(action="key.update") == 1
    assert await total(changed_by_api_key="key_none") == 0
    assert await total(start_date=today) == await total(end_date=today) == 3
    assert await total(end_date="2020-01-01") == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("page", "0"), ("page_size", "1001"), ("sort_by", "action"), ("start_date", "today"), ("object_team_id", "t"),
     ("table_name", "LiteLLM_TeamTable")],
)  # fmt: skip
async def test_a_bad_parameter_is_named(admin_door: Door, name: str, value: str) -> None:
    answer = await admin_door.get("/audit", query={"object_type": "key", name: value})
    assert (answer.status, answer.error["param"]) == (422, name)


async def test_tampering_in_the_database_is_found_and_its_mending_too(admin_door: Door) -> None:
    _, rows = await three_rows(admin_door)
    first, second, third = (row["sequence"] for row in rows)
    assert await faults(admin_door) == []
    edit = """UPDATE audit SET after = jsonb_set(after, '{requests_per_minute}', CAST(:value AS jsonb))
              WHERE sequence = :place"""
    await execute(admin_door, edit, value="3", place=second)
    assert [place for place, _ in await faults(admin_door)] == [second]
    await execute(admin_door, edit, value="2", place=second)
    assert await faults(admin_door) == []

    swap = "UPDATE audit SET sequence = CASE sequence WHEN :one THEN -1 ELSE :one END WHERE sequence IN (:one, :other)"
    for _ in range(2):
        await execute(admin_door, "UPDATE audit SET sequence = -1 WHERE sequence = :one", one=first)
        await execute(admin_door, swap, one=first, other=second)
        await execute(admin_door, "UPDATE audit SET sequence = :other WHERE sequence = -1", other=second)
        places = [place for place, _ in await faults(admin_door)]
        assert places in ([first, second, third], [])
    assert await faults(admin_door) == []

    await execute(admin_door, "CREATE TABLE taken AS SELECT * FROM audit WHERE sequence = :place", place=third)
    await execute(admin_door, "DELETE FROM audit WHERE sequence = :place", place=third)
    assert [place for place, _ in await faults(admin_door)] == [third]
    await execute(admin_door, "INSERT INTO audit SELECT * FROM taken")
    await execute(admin_door, "DROP TABLE taken")
    assert await faults(admin_door) == []


async def test_rows_from_before_the_chain_are_its_unhashed_head(admin_door: Door) -> None:
    before = (await admin_door.get("/audit/verify")).fields["unchained"]
    await execute(
        admin_door,
        "INSERT INTO audit (audit_id, actor, action, object_type, object_id) VALUES (:id, 'a', 'b', 'key', 'k')",
        id=f"audit_old_{before}",
    )
    verdict = (await admin_door.get("/audit/verify")).fields
    assert (verdict["whole"], verdict["unchained"]) == (True, before + 1)


async def test_changes_at_the_same_time_make_one_chain(admin_door: Door) -> None:
    await asyncio.gather(*(admin_door.new_key() for _ in range(12)))
    verdict = (await admin_door.get("/audit/verify")).fields
    assert verdict["whole"]
    assert verdict["checked"] == verdict["head"]["sequence"]
