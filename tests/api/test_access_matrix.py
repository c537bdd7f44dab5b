"""Every admin and finance route for every role, on own rows and on another tenant's; made from the route table."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as upsert

from app.api.admin.routes import Shared, admin_dependencies, admin_routes
from app.base.ids import new_id
from app.domain.roles import ACTIONS, RULES, Role, is_public, rule_for
from app.storage.postgres import tables
from tests.api.support import Answer, Door

ROLES: tuple[Role, ...] = get_args(Role)


def bare_app() -> Litestar:
    """The admin and finance routes on nothing."""
    nothing: Any = type("Nothing", (), {"pepper": b"none", "current": None, "cipher": None})()
    shared = Shared(nothing, nothing, nothing, nothing)
    return Litestar(
        route_handlers=admin_routes(),
        dependencies=admin_dependencies(nothing, nothing, "sk-nothing", shared, nothing),
        openapi_config=OpenAPIConfig(title="Keyhouse", version="0", path="/docs"),
    )


def route_table() -> list[tuple[str, str]]:
    """Method and path of every route that is not open to all."""
    found = []
    for route in bare_app().routes:
        methods: set[str] = set(getattr(route, "methods", ())) - {"OPTIONS", "HEAD"}
        found += [(method, route.path_format) for method in sorted(methods)]
    return sorted(route for route in found if not is_public(route[1]))


ROUTES = route_table()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_each_route_has_a_rule(method: str, path: str) -> None:
    rule = rule_for(method, path)
    assert rule is not None, f"{method} {path} has no rule in app/domain/roles.py: it is the master key's alone"
    assert rule.action in ACTIONS


def test_the_rules_name_actions_that_there_are_and_each_action_says_what_each_role_reaches() -> None:
    assert {rule.action for rule in RULES} == set(ACTIONS)
    for reaches in ACTIONS.values():
        assert set(reaches) == set(ROLES)
        assert reaches["proxy_admin"] in ("all", "own")


NARROW = ("organization", "team", "own")
KEEP_TO_THE_TENANT_THEMSELVES = (
    "/key/", "/api/v1/key", "/project/", "/spend/", "/global/",
    *(f"/{kind}/daily/" for kind in ("user", "team", "organization", "customer", "end_user", "tag", "agent")),
    *(f"/{kind}/spend/" for kind in ("user", "team", "organization")),
    "/device/", "/model/info", "/v1/model/info", "/v2/model/info", "/model_group/info",
)  # fmt: skip
"""Their handlers are told the tenant; of other routes, those who see less than everything must name whose rows."""
MAY_BE_CALLED_TWICE = ("/team/update", "/team/block", "/team/unblock")


@dataclass
class Place:
    """One tenant: an organization, a team in it, a person in both."""

    organization_id: str
    team_id: str
    user_id: str

    def named(self, name: str) -> str:
        return str(getattr(self, name))


@dataclass
class World:
    door: Door
    ours: Place
    theirs: Place
    callers: dict[Role, str] = field(default_factory=dict)

    async def key_of(self, place: Place, role: Role | None) -> str:
        """A new key at the place: a person's own, or the team's where the role administers."""
        owner = {"user_id": user_of(role)} if role in ("internal_user", "internal_user_viewer", "auditor") else {}
        if role is None:
            owner = {"user_id": place.user_id}
        return str((await self.door.new_key(team_id=place.team_id, max_budget=1, **owner))["token"])

    async def call(self, role: Role, method: str, path: str, query: dict[str, str], body: object) -> Answer:
        headers = {"authorization": f"Bearer {self.callers[role]}"}
        if method == "GET":
            return await self.door.get(path, headers=headers, query=query)
        client = self.door.client
        answer = await client.request(method, path, params=query or None, json=body, headers=headers)
        return Answer(answer.status_code, answer.headers, answer.text)


def user_of(role: Role | None) -> str:
    return f"matrix-{role}"


async def make_place(door: Door, name: str) -> Place:
    place = Place(f"org_{name}", f"team_{name}", f"user_{name}")
    async with door.engine.begin() as connection:
        await connection.execute(insert(tables.organizations).values(organization_id=place.organization_id))
        await connection.execute(
            insert(tables.users).values(user_id=place.user_id, organization_id=place.organization_id)
        )
        team = {"team_id": place.team_id, "organization_id": place.organization_id}
        await connection.execute(insert(tables.teams).values(**team, created_by="test", updated_by="test"))
        await connection.execute(insert(tables.memberships).values(team_id=place.team_id, user_id=place.user_id))
    return place


@pytest.fixture
async def world(admin_door: Door) -> World:
    mark = new_id("run")
    made = World(
        admin_door, await make_place(admin_door, f"ours_{mark}"), await make_place(admin_door, f"theirs_{mark}")
    )
    for role in ROLES:
        user_role = "internal_user_viewer" if role in ("team_admin", "org_admin") else role
        async with admin_door.engine.begin() as connection:
            user = upsert(tables.users).values(user_id=user_of(role), user_role=user_role)
            await connection.execute(
                user.on_conflict_do_update(index_elements=["user_id"], set_={"user_role": user_role})
            )
            member = {"team_id": made.ours.team_id, "user_id": user_of(role)}
            held = "admin" if role == "team_admin" else "user"
            await connection.execute(insert(tables.memberships).values(**member, role=held))
            if role == "org_admin":
                joined = {"organization_id": made.ours.organization_id, "user_id": user_of(role), "role": role}
                await connection.execute(insert(tables.organization_memberships).values(**joined))
        made.callers[role] = (await admin_door.new_key(user_id=user_of(role)))["key"]
    return made


def key_request(path: str, key: str, place: Place) -> tuple[str, dict[str, str], object]:
    """A request of a key route that succeeds for who may. A new key route needs its line here."""
    bodies: dict[str, object] = {
        "/key/generate": {"team_id": place.team_id},
        "/key/service-account/generate": {"team_id": place.team_id},
        "/key/update": {"key": key, "rpm_limit": 1},
        "/key/delete": {"keys": [key]},
        "/key/block": {"key": key},
        "/key/unblock": {"key": key},
        "/key/regenerate": {"key": key},
        "/key/{name}/regenerate": {},
        "/key/{name}/reset_spend": {"reset_to": 0},
    }
    queries = {"/key/info": {"key": key}, "/key/list": {}, "/key/aliases": {}, "/key/self": {}}
    assert path in bodies or path in queries, f"{path} needs a request in this test"
    return path.replace("{name}", key), queries.get(path, {}), bodies.get(path)


NAMES_NO_ROW = ("/key/list", "/key/aliases", "/key/self")


def named_request(path: str, named: tuple[str, ...], place: Place) -> tuple[str, dict[str, str]]:
    for name in ("organization_id", "team_id", "user_id"):
        path = path.replace(f"{{{name}}}", place.named(name))
    return path, {name: place.named(name) for name in named}


def reach(method: str, path: str, role: Role) -> str:
    rule = rule_for(method, path)
    assert rule is not None
    return ACTIONS[rule.action][role]


@pytest.mark.services
@pytest.mark.parametrize("role", ROLES)
async def test_a_role_that_reaches_nothing_is_refused_with_the_route_and_the_role_it_needs(
    world: World, role: Role
) -> None:
    for method, path in ROUTES:
        if reach(method, path, role) == "nothing":
            concrete = re.sub(r"\{\w+\}", "x", path)
            answer = await world.call(role, method, concrete, {}, {})
            assert (answer.status, answer.error["type"]) == (403, "permission_error"), f"{method} {path} for {role}"
            assert concrete in answer.error["message"]
            assert "proxy_admin" in answer.error["message"]


@pytest.mark.services
@pytest.mark.parametrize("role", ROLES)
async def test_the_keys_that_a_role_reaches_are_served_and_those_of_others_do_not_exist(
    world: World, role: Role
) -> None:
    for method, path in ROUTES:
        reached = reach(method, path, role)
        if not path.startswith("/key/") or is_report(method, path) or reached == "nothing":
            continue
        own = await world.key_of(world.ours, role)
        answer = await world.call(role, method, *key_request(path, own, world.ours))
        assert answer.status == 200, f"{method} {path} for {role} on its own: {answer.text}"
        other = await world.key_of(world.theirs, None)
        answer = await world.call(role, method, *key_request(path, other, world.theirs))
        if path in NAMES_NO_ROW or reached == "all":
            assert answer.status == 200, f"{method} {path} for {role} on others': {answer.text}"
            assert (other in answer.text) <= (reached == "all")
        else:
            assert answer.status == 404, f"{method} {path} for {role} on others': {answer.text}"
            unknown = await world.call(role, method, *key_request(path, "key_none", Place("o", "team_none", "u")))
            assert unknown.status == 404, "what belongs to others looks like what never was"


@pytest.mark.services
@pytest.mark.parametrize("role", ROLES)
async def test_who_does_not_reach_everything_names_rows_of_its_own_or_finds_nothing(world: World, role: Role) -> None:
    for method, path in ROUTES:
        rule = rule_for(method, path)
        assert rule is not None
        if reach(method, path, role) not in NARROW or path.startswith(KEEP_TO_THE_TENANT_THEMSELVES):
            continue
        assert rule.named, f"{method} {path} serves {role}, so its rule must say what names the rows"
        concrete, others = named_request(path, rule.named, world.theirs)
        answer = await world.call(role, method, concrete, others if method == "GET" else {}, others)
        assert answer.status == 404, f"{method} {path} for {role} on others': {answer.text}"
        mine = Place(world.ours.organization_id, world.ours.team_id, user_of(role))
        if method != "GET" and path not in MAY_BE_CALLED_TWICE:
            continue
        concrete, own = named_request(path, rule.named, mine)
        answer = await world.call(role, method, concrete, own if method == "GET" else {}, own)
        assert answer.status == 200, f"{method} {path} for {role} on its own: {answer.text}"


@pytest.mark.services
async def test_finance_reads_every_tenant_and_changes_none(world: World) -> None:
    for method, path in ROUTES:
        if reach(method, path, "proxy_admin_viewer") != "all":
            continue
        assert method == "GET" or path in READ_BY_POST, f"{method} {path}"
        rule = rule_for(method, path)
        concrete, query = named_request(path, () if rule is None else rule.named, world.theirs)
        answer = await world.call("proxy_admin_viewer", method, concrete, query, {})
        assert answer.status != 403, f"{method} {path}: {answer.text}"


READ_BY_POST = ("/spend/calculate", "/budget/info", "/tag/info", "/customer/info", "/organization/info")


@pytest.mark.services
async def test_the_log_shows_each_role_its_rows(world: World) -> None:
    key, other = await world.key_of(world.ours, "internal_user"), await world.key_of(world.theirs, None)
    owners = {"team_id": world.ours.team_id, "organization_id": world.ours.organization_id}
    at = datetime.now(UTC)
    mine = await world.door.book(key, at, 5, user_id=user_of("internal_user"), **owners)
    foreign = await world.door.book(other, at, 7, team_id=world.theirs.team_id)
    seen: dict[Role, set[str]] = {}
    for role in ROLES:
        for query in ({}, {"api_key": other}):
            answer = await world.call(role, "GET", "/spend/logs", query, None)
            if query and reach("GET", "/spend/logs", role) in NARROW:
                assert answer.status == 404
        rows = (await world.call(role, "GET", "/spend/logs", {}, None)).fields
        if isinstance(rows, list):
            seen[role] = {row["request_id"] for row in rows} & {mine, foreign}
        day = {"start_date": f"{at:%Y-%m-%d}", "end_date": f"{at:%Y-%m-%d}"}
        by_day = await world.call(role, "GET", "/spend/logs", day, None)
        assert (other in by_day.text) == (foreign in seen.get(role, set()))
        assert (key in by_day.text) == (mine in seen.get(role, set()))
    everything = {mine, foreign}
    assert seen == {
        "proxy_admin": everything, "proxy_admin_viewer": everything, "org_admin": {mine}, "team_admin": {mine},
        "internal_user": {mine}, "internal_user_viewer": set(),
    }  # fmt: skip


def is_report(method: str, path: str) -> bool:
    rule = rule_for(method, path)
    return method == "GET" and rule is not None and rule.action in ("spend.logs", "spend.reports")


REPORTS = [path for method, path in ROUTES if is_report(method, path) and "{" not in path]


@pytest.mark.services
async def test_a_report_of_any_kind_adds_up_the_rows_of_the_caller_alone(world: World) -> None:
    """Told by the amounts: each tenant has spent a number of its own."""
    key, other = await world.key_of(world.ours, "internal_user"), await world.key_of(world.theirs, None)
    at, mark = datetime.now(UTC), new_id("x")
    ours = {"team_id": world.ours.team_id, "organization_id": world.ours.organization_id, "session_id": mark}
    theirs = {"team_id": world.theirs.team_id, "organization_id": world.theirs.organization_id, "session_id": mark}
    owner = {"user_id": user_of("internal_user"), "customer_id": mark, "tags": [mark]}
    await world.door.book(key, at, 1_234_567, **ours, **owner)
    await world.door.book(other, at, 7_654_321_000_000, **theirs, customer_id=mark, tags=[mark], user_id="somebody")
    days = {"start_date": f"{at:%Y-%m-%d}", "end_date": f"{at:%Y-%m-%d}"}
    assert len(REPORTS) > 20
    for path in REPORTS:
        query = {} if path == "/global/spend" else days
        if path == "/spend/report":
            query = {**days, "group_by": "key,user,team,organization,customer,tag,session"}
        for role in ROLES:
            answer = await world.call(role, "GET", path, query, None)
            if role == "auditor":
                assert answer.status == 403, path
                continue
            assert answer.status == 200, f"{path} for {role}: {answer.text}"
            if role in ("proxy_admin", "proxy_admin_viewer"):
                continue
            for foreign in (other, world.theirs.team_id, world.theirs.organization_id, "7654.321"):
                assert foreign not in answer.text, f"{path} for {role}"
        narrow = await world.call("internal_user", "GET", path, query, None)
        assert ("0.0012345" in narrow.text) or path in WITHOUT_MONEY, f"{path}: {narrow.text}"


WITHOUT_MONEY = ("/global/activity", "/global/activity/model", "/global/spend", "/global/spend/all_tag_names")
"""Or with that of all time."""


@pytest.mark.services
async def test_nobody_gets_a_secret_that_acts_as_another_person(world: World) -> None:
    adas = await world.door.new_key(team_id=world.ours.team_id, user_id=user_of("proxy_admin"))
    for role in ("org_admin", "team_admin"):
        for path, body in (
            ("/key/regenerate", {"key": adas["token"]}),
            ("/key/generate", {"team_id": world.ours.team_id, "user_id": user_of("proxy_admin")}),
        ):
            assert (await world.call(role, "POST", path, {}, body)).status in (403, 404)
        service = await world.key_of(world.ours, role)
        change = {"key": service, "user_id": user_of("proxy_admin")}
        assert (await world.call(role, "POST", "/key/update", {}, change)).status == 404
        leave = {"key": service, "team_id": None}
        assert (await world.call(role, "POST", "/key/update", {}, leave)).status == 403
        move = {"key": service, "team_id": world.theirs.team_id}
        assert (await world.call(role, "POST", "/key/update", {}, move)).status == 404


@pytest.mark.services
async def test_who_administers_a_team_makes_keys_of_the_team_and_an_internal_user_keys_of_its_own(world: World) -> None:
    for role in ("org_admin", "team_admin"):
        assert (await world.call(role, "POST", "/key/generate", {}, {})).status == 403
        own = await world.door.new_key(team_id=world.ours.team_id, user_id=user_of(role))
        leave = {"key": own["token"], "team_id": None}
        assert (await world.call(role, "POST", "/key/update", {}, leave)).status == 403
    made = (await world.call("internal_user", "POST", "/key/generate", {}, {"models": ["a"]})).fields
    assert (made["user_id"], made["team_id"]) == (user_of("internal_user"), None)
    in_team = await world.call("internal_user", "POST", "/key/generate", {}, {"team_id": world.ours.team_id})
    assert in_team.fields["user_id"] == user_of("internal_user")


@pytest.mark.services
@pytest.mark.parametrize("role", ["org_admin", "team_admin"])
async def test_the_projects_of_a_tenant_are_served_and_those_of_others_do_not_exist(world: World, role: Role) -> None:
    other = (await world.door.post("/project/new", {"team_id": world.theirs.team_id})).fields["project_id"]
    named = {"project_id": other}
    for method, path, query, body in (
        ("POST", "/project/new", {}, {"team_id": world.theirs.team_id}),
        ("GET", "/project/info", named, None),
        ("POST", "/project/update", {}, {**named, "rpm_limit": 1}),
        ("POST", "/project/delete", {}, {"project_ids": [other]}),
        ("DELETE", "/project/delete", {}, {"project_ids": [other]}),
        ("POST", "/key/generate", {}, named),
        ("POST", "/key/generate", {}, {**named, "team_id": world.ours.team_id}),
    ):
        answer = await world.call(role, method, path, query, body)
        assert (answer.status, world.theirs.team_id in answer.text) == (404, path == "/project/new"), answer.text
    made = await world.call(role, "POST", "/project/new", {}, {"team_id": world.ours.team_id})
    own = {"project_id": made.fields["project_id"]}
    assert (await world.call(role, "POST", "/project/update", {}, {**own, "rpm_limit": 1})).status == 200
    shared = await world.call(role, "POST", "/project/update", {}, {**own, "budget_id": "bud_of_somebody"})
    moved = await world.call(role, "POST", "/project/update", {}, {**own, "team_id": world.theirs.team_id})
    assert (shared.status, moved.status) == (403, 404)
    charged = await world.call(role, "POST", "/project/update", {}, {**own, "cost_center": "4711"})
    assert charged.status == (200 if role == "org_admin" else 403)
    said_again = {**own, "cost_center": charged.fields.get("cost_center")}
    assert (await world.call(role, "POST", "/project/update", {}, said_again)).status == 200
    assert charged.status == 200 or (charged.error["param"], "org_admin" in charged.text) == ("cost_center", True)
    listed = await world.call(role, "GET", "/project/list", {}, None)
    assert own["project_id"] in listed.text
    assert world.theirs.team_id not in listed.text
    key = await world.call(role, "POST", "/key/generate", {}, {**own, "team_id": world.ours.team_id})
    assert key.fields["project_id"] == own["project_id"]


@pytest.mark.services
@pytest.mark.parametrize("role", ["internal_user", "internal_user_viewer"])
async def test_members_read_the_projects_of_their_teams_and_change_none(world: World, role: Role) -> None:
    ours, theirs = [
        (await world.door.post("/project/new", {"team_id": tenant.team_id})).fields["project_id"]
        for tenant in (world.ours, world.theirs)
    ]
    assert (await world.call(role, "GET", "/project/info", {"project_id": ours}, None)).status == 200
    assert (await world.call(role, "GET", "/project/info", {"project_id": theirs}, None)).status == 404
    listed = (await world.call(role, "GET", "/project/list", {}, None)).text
    assert (ours in listed, theirs in listed) == (True, False)
    assert (await world.call(role, "POST", "/project/update", {}, {"project_id": ours, "rpm_limit": 1})).status == 403


@pytest.mark.services
async def test_a_blocked_key_is_unblocked_by_an_admin_only(world: World) -> None:
    key = await world.key_of(world.ours, "internal_user")
    assert (await world.call("team_admin", "POST", "/key/block", {}, {"key": key})).status == 200
    assert (await world.call("internal_user", "POST", "/key/update", {}, {"key": key, "blocked": False})).status == 403
    assert (await world.call("team_admin", "POST", "/key/unblock", {}, {"key": key})).status == 200


@pytest.mark.services
async def test_an_admin_of_an_organization_cannot_name_what_belongs_to_others_in_any_field(world: World) -> None:
    team = world.ours.team_id
    for body, status in (
        ({"team_id": team, "organization_id": world.theirs.organization_id}, 404),
        ({"team_id": team, "organization_id": None}, 403),
        ({"team_id": [team, world.theirs.team_id]}, 404),
        ({"team_id": team, "members_with_roles": [{"user_id": world.theirs.user_id, "role": "user"}]}, 404),
        ({"team_id": team, "members_with_roles": [{"user_email": "ada@example.com", "role": "user"}]}, 403),
        ({"team_id": team, "budget_id": "budget_of_somebody"}, 403),
        ({}, 422),
    ):
        answer = await world.call("org_admin", "POST", "/team/update", {}, body)
        assert answer.status == status, answer.text
    assert (await world.call("org_admin", "POST", "/team/new", {}, {"team_alias": "loose"})).status == 422
