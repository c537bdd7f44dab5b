"""Every change and its audit row are one transaction, and what is refused has changed nothing: for each route."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from sqlalchemy import text

from app.base.ids import new_id
from tests.api.changes import CHANGES, READ_BY_POST, SAME_AS_POST, ChangeRequest, World, make_world, send
from tests.api.support import Door
from tests.api.test_access_matrix import ROUTES

pytestmark = pytest.mark.services

ELSEWHERE = frozenset(
    {
        "/config/cost_discount_config", "/config/cost_margin_config", "/import/litellm", "/price/delete",
        "/spend/aggregates/rebuild", "/spend/close", "/spend/reprice", "/spend/retention",
    }
)  # fmt: skip
"""They change what was taken in or booked, or what holds for all: tests of their own look at them."""


COUNTERS = ("sign_in_attempts",)
"""Tables of what was tried, which counts whatever comes of it."""


def test_each_route_that_changes_something_is_tried_here() -> None:
    changing = {(method, path) for method, path in ROUTES if method != "GET" and path not in READ_BY_POST}
    tried = {(change.method, change.path) for change in CHANGES} | SAME_AS_POST
    missing = {(method, path) for method, path in changing - tried if path not in ELSEWHERE}
    assert not missing, "these need a line in tests/api/changes.py"
    assert not tried - changing, "these are no routes any more"


async def state(door: Door) -> dict[str, str]:
    """A digest of each table: another one when any row of it has changed."""
    async with door.engine.connect() as connection:
        names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        tables = (await connection.execute(text(names))).scalars().all()
        found = {}
        for table in set(tables) - set(COUNTERS):
            rows = (await connection.execute(text(f'SELECT t::text FROM "{table}" t ORDER BY 1'))).scalars()
            found[table] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return found


@asynccontextmanager
async def audit_that_fails(door: Door, when: str) -> AsyncIterator[None]:
    """``BEFORE INSERT``: no row can be written. ``AFTER INSERT``, deferred: it is, and the commit fails."""
    kind = "CONSTRAINT TRIGGER" if when == "AFTER" else "TRIGGER"
    deferred = "DEFERRABLE INITIALLY DEFERRED" if when == "AFTER" else ""
    raises = "BEGIN RAISE EXCEPTION 'no audit today' USING ERRCODE = '53100'; END"
    async with door.engine.begin() as connection:
        await connection.execute(
            text(f"CREATE OR REPLACE FUNCTION fail_audit() RETURNS trigger LANGUAGE plpgsql AS $$ {raises} $$")
        )
        trigger = (
            f"CREATE {kind} fail_audit {when} INSERT ON audit {deferred} FOR EACH ROW EXECUTE FUNCTION fail_audit()"
        )
        await connection.execute(text(trigger))
    try:
        yield
    finally:
        async with door.engine.begin() as connection:
            await connection.execute(text("DROP FUNCTION fail_audit CASCADE"))


async def test_without_its_audit_row_no_change_is_made_and_with_it_each_is(admin_door: Door) -> None:
    door = admin_door
    world = await make_world(door, new_id("tx"))
    for when in ("BEFORE", "AFTER"):
        before = await state(door)
        async with audit_that_fails(door, when):
            for change in CHANGES:
                if needs_another(change):
                    continue
                answer = await send(door, change.method, change.concrete(world), change.body(world))
                assert answer.status == 503, f"{change.method} {change.path}: {answer.text}"
        assert await state(door) == before
    for change in CHANGES:
        rows = await audit_rows(door)
        answer = await send(door, change.method, change.concrete(world), change.body(world))
        assert answer.status == 200, f"{change.method} {change.path}: {answer.text}"
        assert await audit_rows(door) > rows, f"{change.method} {change.path} leaves no row in the audit"
    assert (await door.get("/audit/verify")).fields["whole"] is True


def needs_another(change: ChangeRequest) -> bool:
    """Whether it acts on what an earlier one of them would have made or deleted: a member that was not added, say."""
    return (change.method, change.path) == ("DELETE", "/credentials/{credential_name}") or change.path in {
        "/team/member_update", "/team/member_delete", "/organization/member_update", "/organization/member_delete",
        "/end_user/delete",
    }  # fmt: skip


async def audit_rows(door: Door) -> int:
    async with door.engine.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM audit"))).scalar_one())


DEEP = b"[" * 5_000 + b"]" * 5_000
BAD_VALUES = (b'"\\u0000"', b'"\\ud800"', b"1e400", b"-" + b"9" * 400, DEEP, b'{"a":' * 400 + b"1" + b"}" * 400, b"NaN")
BAD_BODIES = (b"[1]", b"7", b"{", b'{"a":1}x', b"\xff\xfe", b'"text"', DEEP, b'{"a":1,"a":2}')


async def test_what_cannot_be_read_is_a_4xx_and_changes_nothing_on_each_route(admin_door: Door) -> None:
    door = admin_door
    world = await make_world(door, new_id("bad"))
    before = await state(door)
    for change in CHANGES:
        body = change.body(world)
        if not isinstance(body, dict):
            continue
        path = change.concrete(world)
        for raw in BAD_BODIES:
            await refused(door, change, path, raw)
        for field in body:
            for value in BAD_VALUES:
                others = {name: value for name, value in body.items() if name != field}
                await refused(door, change, path, with_field(others, field, value))
        message = await refused(door, change, path, with_field(body, "max_bugdet", b"1"))
        assert "max_bugdet" in message, f"{change.path} does not name the field nobody knows: {message}"
    assert await state(door) == before


def with_field(body: dict[str, object], name: str, raw: bytes) -> bytes:
    fields = [msgspec.json.encode(key) + b":" + msgspec.json.encode(value) for key, value in body.items()]
    return b"{" + b",".join([*fields, msgspec.json.encode(name) + b":" + raw]) + b"}"


async def refused(door: Door, change: ChangeRequest, path: str, raw: bytes) -> str:
    answer = await send(door, change.method, path, raw)
    assert 400 <= answer.status < 500, (
        f"{change.method} {change.path} {raw[:80]!r}: {answer.status} {answer.text[:300]}"
    )
    message: str = answer.error["message"]
    assert len(message) < 1_000
    return message


REFUSED: tuple[tuple[str, dict[str, object], str, str], ...] = (
    ("/key/generate", {"budget_duration": "30 days"}, "budget_duration", '"30d"'),
    ("/key/generate", {"duration": "tomorrow"}, "duration", '"30d"'),
    ("/key/generate", {"max_budget": -0.01}, "max_budget", "negative"),
    ("/key/generate", {"max_budget": "5"}, "max_budget", "number"),
    ("/key/generate", {"team_id": "nobody"}, "team_id", "/team/new"),
    ("/key/generate", {"rpm_limit": 1.5}, "rpm_limit", "whole number"),
    ("/key/generate", {"key": "sk-short"}, "key", "24"),
    ("/key/generate", {"key_type": "odd"}, "key_type", "llm_api"),
    ("/key/generate", {"allowed_routes": ["messages"]}, "allowed_routes", "llm_api_routes"),
    ("/key/update", {"key": "K", "budget_id": "nobody"}, "budget_id", "nobody"),
    ("/team/new", {"team_alias": "team-M", "organization_id": "organization-M"}, "team_alias", "taken"),
    ("/team/new", {"organization_id": "nobody"}, "organization_id", "/organization/new"),
    ("/team/new", {"max_budget": 1, "soft_budget": 2}, "soft_budget", "max_budget"),
    ("/team/member_add", {"team_id": "team-M", "member": {"user_id": "x", "role": "boss"}}, "role", "admin"),
    ("/user/new", {"user_role": "boss"}, "user_role", "internal_user"),
    ("/user/new", {"user_email": "no address"}, "user_email", "ada@example.com"),
    ("/user/new", {"teams": ["nobody"]}, "teams", "/team/list"),
    ("/organization/new", {"organization_alias": "organization-M"}, "organization_alias", "taken"),
    ("/budget/new", {"budget_id": "budget-M", "max_budget": 1}, "budget_id", "taken"),
    ("/customer/new", {"user_id": "customer-M"}, "user_id", "taken"),
)
"""Path, body, the field that is named, and what the message says beside. ``-M`` ends a name of the world's own."""


async def test_a_value_that_cannot_be_is_named_with_those_that_can_and_nothing_is_half_written(
    admin_door: Door,
) -> None:
    door = admin_door
    world = await make_world(door, new_id("val"))
    before = await state(door)
    for path, body, param, says in REFUSED:
        answer = await door.post(path, {name: fill(value, world) for name, value in body.items()})
        assert (answer.status, answer.error["param"]) == (422, param), f"{path} {body}: {answer.text}"
        assert says in answer.error["message"]
    assert await state(door) == before


def fill(value: object, world: World) -> object:
    if isinstance(value, str) and value.endswith("-M"):
        return value.removesuffix("M") + world.mark
    return world.key if value == "K" else value


REFUSED_QUERIES: tuple[tuple[str, dict[str, str], str], ...] = (
    ("/spend/report", {"start_date": "2026-02-30", "end_date": "2026-03-01"}, "start_date"),
    ("/spend/report", {"start_date": "2026-03-02", "end_date": "2026-03-01"}, "end_date"),
    ("/spend/report", {"start_date": "2026-03-01", "end_date": "2026-03-01", "timezone": "Mars/Base"}, "timezone"),
    ("/spend/report", {"start_date": "2026-03-01", "end_date": "2026-03-01", "group_by": "mood"}, "group_by"),
    ("/spend/logs", {"start_date": "soon", "end_date": "2026-03-01"}, "start_date"),
    ("/user/daily/activity", {"start_date": "2026-03-02", "end_date": "2026-03-01"}, "end_date"),
    ("/audit", {"start_date": "2026-03-02", "end_date": "2026-03-01"}, "end_date"),
    ("/audit", {"sort_order": "up"}, "sort_order"),
    ("/key/list", {"page": "0"}, "page"),
    ("/team/list", {"page_size": "many"}, "page_size"),
    ("/user/list", {"rolle": "x"}, "rolle"),
)


async def test_a_page_beyond_the_last_is_empty(admin_door: Door) -> None:
    for path in ("/user/daily/activity", "/team/daily/activity"):
        query = {"start_date": "2026-03-01", "end_date": "2026-03-02", "page": "1000000"}
        answer = await admin_door.get(path, query=query)
        assert (answer.status, answer.fields["results"]) == (200, []), answer.text


async def test_a_parameter_that_cannot_be_is_named(admin_door: Door) -> None:
    for path, query, param in REFUSED_QUERIES:
        answer = await admin_door.get(path, query=query)
        assert (answer.status, answer.error["param"]) == (422, param), f"{path} {query}: {answer.text}"
