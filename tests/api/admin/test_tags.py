"""The routes of tags over real stores."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.storage.postgres.audit import list_entries
from tests.api.admin.test_teams import count_rows
from tests.api.support import Door

pytestmark = pytest.mark.services


async def test_a_tag_is_made_changed_shown_and_deleted(admin_door: Door) -> None:
    terms = {"description": "a project", "max_budget": 7, "budget_duration": "month", "tpm_limit": 10}
    made = (await admin_door.post("/tag/new", {"name": "project:x", **terms})).fields["tag"]
    assert {name: made[name] for name in terms} == terms
    changed = (await admin_door.post("/tag/update", {"name": "project:x", "max_budget": 9})).fields["tag"]
    assert (changed["max_budget"], changed["tpm_limit"]) == (9, 10)
    key = await admin_door.new_key()
    await admin_door.book(key["token"], datetime.now(UTC), 3_000_000, tags=("project:x", "other"))
    told = (await admin_door.post("/tag/info", {"names": ["project:x"]})).fields["project:x"]
    assert told["spend"] == Decimal("0.003")
    assert "project:x" in [row["name"] for row in (await admin_door.get("/tag/list")).fields]
    assert (await admin_door.post("/tag/delete", {"name": "project:x"})).status == 200
    assert (await admin_door.post("/tag/info", {"names": ["project:x"]})).status == 404
    async with admin_door.engine.connect() as connection:
        actions = [entry.action for entry in await list_entries(connection, "tag", "project:x")]
    assert actions == ["tag.new", "tag.update", "tag.delete"]


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("new", {}, 422, "name"),
        ("new", {"name": "x", "models": ["a"]}, 422, "models"),
        ("new", {"name": "x", "max_budget": -1}, 422, "max_budget"),
        ("new", {"name": "x", "budget_id": "none"}, 422, "budget_id"),
        ("update", {"name": "nobody", "max_budget": 1}, 404, "name"),
        ("delete", {"name": "nobody"}, 404, "name"),
    ],
)
async def test_a_bad_field_of_a_tag_is_named_and_nothing_is_written(
    admin_door: Door, path: str, body: dict[str, object], status: int, param: str
) -> None:
    before = await count_rows(admin_door)
    answer = await admin_door.post(f"/tag/{path}", body)
    assert (answer.status, answer.error["param"]) == (status, param)
    assert await count_rows(admin_door) == before
