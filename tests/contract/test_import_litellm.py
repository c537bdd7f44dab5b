"""A take-over from LiteLLM's database, end to end: who had a key there calls a model here, its spend counted on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.conftest import RunningServers, fresh_database
from tests.contract.terminal import keyhouse
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.litellm_database import ADAS_KEY, BLOCKED_KEY, BOBS_KEY, GONE_KEY, ROTATED_AWAY, fill, hashed

pytestmark = [pytest.mark.services, pytest.mark.contract]


class House(GatewayProcess):
    """A gateway of its own, since what is taken over has fixed ids; with what the runs of the command said."""

    def __init__(self, home: Path, database_url: str, redis_url: str, litellm_url: str) -> None:
        super().__init__(home, {"DATABASE_URL": database_url, "REDIS_URL": redis_url})
        self.database_url = database_url
        self.litellm_url = litellm_url
        self.told: dict[str, Any] = {}


@pytest.fixture(scope="module")
def house(
    servers: RunningServers, migrated: str, apart_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    home = tmp_path_factory.mktemp("take-over") / "home"
    with fresh_database(servers, migrated) as database_url, fresh_database(servers) as litellm_url:
        # As Prisma writes it.
        prisma_url = f"{litellm_url}{'&' if '?' in litellm_url else '?'}schema=public&connection_limit=5"
        process = House(home, database_url, apart_redis_url, prisma_url)
        process.start()
        try:
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, move_in(process, litellm_url)).result()
            yield process
        finally:
            process.stop()


async def move_in(house: House, litellm_url: str) -> None:
    await fill(litellm_url)
    _, house.told["plan"], _ = await keyhouse(
        house, "import", "litellm", "--database-url", house.litellm_url, "--dry-run"
    )
    # A key that is tried before the take-over works right after it.
    house.told["before"] = (await ask(house, BOBS_KEY)).status_code
    house.told["first"] = await take_over(house, house.litellm_url)
    house.told["second"] = await take_over(house, house.litellm_url)


@pytest.fixture
async def admin(house: House) -> AsyncIterator[Admin]:
    admin = Admin(house.base_url)
    yield admin
    await admin.client.aclose()


async def take_over(house: House, url: str, *further: str) -> dict[str, Any]:
    status, output, errors = await keyhouse(house, "import", "litellm", "--database-url", url, "--json", *further)
    assert status == 0, errors
    found: dict[str, Any] = json.loads(output)
    return found


async def ask(house: House, key: str, model: str = "demo/echo") -> httpx.Response:
    async with httpx.AsyncClient(base_url=house.base_url, trust_env=False) as client:
        body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
        return await client.post("/v1/messages", json=body, headers={"x-api-key": key})


MADE = {
    "organization": 1, "user": 4, "team": 1, "membership": 3, "organization membership": 1, "customer": 2, "tag": 1,
    "budget": 1, "key": 3, "earlier secret": 1,
}  # fmt: skip


def test_a_plan_says_what_it_would_make_and_changes_nothing(house: House) -> None:
    told = house.told["plan"]
    assert "3       0   key" in told
    assert "nothing was changed" in told
    assert "1 × models of the database: secret-gpt" in told
    assert "1 rows of LiteLLM_CredentialsTable" in told
    assert "SpendLogs" not in told
    assert house.told["before"] == 401


async def test_all_is_taken_over_once(house: House, admin: Admin) -> None:
    done, again = house.told["first"], house.told["second"]
    assert done["made"] == MADE
    left = {one["what"]: one["names"] for one in done["left"]}
    assert left == {
        "keys of teams that are gone": ["orphan"],
        "keys that are gone; their spend is carried over": [f"key_litellm_{hashed(GONE_KEY)[:16]}"],
        "metadata.guardrails of keys": ["adas laptop"],
        "models of the database": ["secret-gpt"],
        "password of users": ["Ada@Example.com"],
        'role "app_user" of users': ["bob"],
        "sessions of LiteLLM's pages": ["sk-...0009"],
    }
    assert again["made"] == {}
    assert again["receipts"] == 0
    # Eve has no row in LiteLLM's table of users, and an earlier secret belongs to its key.
    assert again["there"] == {**{kind: MADE[kind] for kind in MADE if kind != "earlier secret"}, "user": 3}
    assert (await admin.client.get("/audit", params={"action": "import.litellm"})).json()["total"] == sum(MADE.values())
    assert (await admin.client.get("/audit/verify")).json()["whole"] is True


async def test_developers_keep_their_keys_and_what_is_set_for_them(house: House, admin: Admin) -> None:
    for key in (ADAS_KEY, BOBS_KEY, ROTATED_AWAY):
        answer = await ask(house, key)
        assert answer.status_code == 200, answer.text
    blocked = await ask(house, BLOCKED_KEY)
    assert blocked.status_code == 401
    assert "blocked" in blocked.text
    # The team's list of models holds for a key with "all-team-models".
    assert (await ask(house, ADAS_KEY, "demo/slow")).status_code == 400
    assert (await ask(house, ADAS_KEY, "fast")).status_code == 200
    info = (await admin.client.get("/key/info", params={"key": hashed(ADAS_KEY)})).json()["info"]
    assert (info["key_alias"], info["key_name"], info["rpm_limit"]) == ("adas laptop", "sk-...0001", 7)
    assert (info["max_budget"], info["budget_duration"]) == (25.125, "30d")
    assert info["metadata"]["tags"] == ["project:lens"]
    assert info["organization_id"] == "org-physics"
    bobs = (await admin.client.get("/key/info", params={"key": BOBS_KEY})).json()["info"]
    assert (bobs["budget_id"], bobs["max_budget"]) == ("silver", 20)
    other = (await admin.client.get("/key/info", params={"key": BLOCKED_KEY})).json()["info"]
    assert other["key_alias"] == "bobs (2)"


async def test_no_key_of_the_old_master_key_becomes_an_admin(admin: Admin) -> None:
    made = (await admin.client.get("/user/info", params={"user_id": "default_user_id"})).json()
    assert made["user_info"]["user_role"] is None


async def test_teams_people_and_budgets_are_what_they_were(admin: Admin) -> None:
    team = (await admin.client.get("/team/info", params={"team_id": "team-optics"})).json()
    assert (team["team_info"]["max_budget"], team["team_info"]["tpm_limit"]) == (500, 100_000)
    [(model, budget)] = team["team_info"]["model_max_budget"].items()
    assert (model, budget["budget_limit"]) == ("demo/echo", 1)
    members = {member["user_id"]: member for member in team["team_memberships"]}
    assert {name: member["role"] for name, member in members.items()} == {"ada": "admin", "bob": "user", "eve": "user"}
    assert members["ada"]["litellm_budget_table"]["max_budget"] == 80.5
    organization = (await admin.client.get("/organization/info", params={"organization_id": "org-physics"})).json()
    assert (organization["max_budget"], organization["rpm_limit"]) == (5000, 900)
    assert [member["user_role"] for member in organization["members"]] == ["org_admin"]
    customer = (await admin.client.get("/customer/info", params={"end_user_id": "customer-1"})).json()
    assert (customer["alias"], customer["budget_id"], customer["max_budget"]) == ("Acme", "silver", 20)
    other = (await admin.client.get("/customer/info", params={"end_user_id": "customer-2"})).json()
    assert other["blocked"] is True
    tag = (await admin.client.post("/tag/info", json={"names": ["engineering"]})).json()["engineering"]
    assert (tag["description"], tag["max_budget"]) == ("cost center", 20)


async def test_what_was_spent_counts_in_windows_and_in_reports(house: House, admin: Admin) -> None:
    asked = (await ask(house, ADAS_KEY)).headers["request-id"]
    # Receipts are booked in their order: with this one, those of the tests before are there too.
    rows = await admin.receipts_until(ADAS_KEY, asked)
    ada = (await admin.client.get("/key/info", params={"key": ADAS_KEY})).json()["info"]
    own = sum(row["spend"] for row in rows if row["custom_llm_provider"] == "demo")
    assert own > 0
    # The counter of this month, and beside it what is two years old. What no day has of the counter is booked too.
    assert ada["spend"] == pytest.approx(1.5 + own, abs=1e-9)
    assert ada["total_spend"] == pytest.approx(1.5 + 4 + own, abs=1e-9)
    team = (await admin.client.get("/team/info", params={"team_id": "team-optics"})).json()["team_info"]
    assert team["spend"] == pytest.approx(1.5 + own, abs=1e-9)
    assert team["total_spend"] == pytest.approx(1.5 + 4 + 0.125 + own, abs=1e-9)
    query = {"start_date": "2000-01-01", "end_date": "2099-01-01", "group_by": "model", "key_id": ADAS_KEY}
    report = (await admin.client.get("/spend/report", params=query)).json()["data"]
    models = {row["model_served"]: row for row in report}
    sonnet = models["claude-sonnet-4-5"]
    assert (sonnet["cost"], sonnet["cache_read_tokens"], sonnet["input_tokens"]) == (4.9, 400, 10_600)
    assert models["taken_over"]["cost"] == 0.6
    status, told, errors = await keyhouse(house, "spend", "check-aggregates")
    assert (status, told.strip()) == (0, "0 days differ"), errors


async def test_a_budget_that_litellm_had_spent_refuses_here(house: House, admin: Admin) -> None:
    answer = await admin.post("/key/update", key=BOBS_KEY, budget_id=None, max_budget=2, budget_duration="30d")
    assert answer.status_code == 200, answer.text
    refused = await ask(house, BOBS_KEY)
    assert refused.status_code == 429
    assert "spend limit reached" in refused.text
    assert "2.25" in refused.text


async def test_a_database_that_is_not_litellms_is_refused_in_words(house: House, servers: RunningServers) -> None:
    command = ("import", "litellm", "--database-url")
    with fresh_database(servers) as empty:
        status, _, errors = await keyhouse(house, *command, empty)
    assert status == 1
    assert "no tables of LiteLLM" in errors
    status, _, errors = await keyhouse(house, *command, "postgresql://127.0.0.1:1/nothing")
    assert status == 1
    assert "does not answer" in errors
    assert (await keyhouse(house, "import", "litellm"))[0] == 2
    assert (await keyhouse(house, *command, house.litellm_url, "--key", "sk-x"))[0] == 2


async def test_rows_that_cannot_be_read_are_refused_whole(admin: Admin) -> None:
    for tables, named in (
        ({"LiteLLM_TeamTable": [{"team_alias": "x"}]}, "team_id"),
        ({"LiteLLM_Teams": []}, "LiteLLM_Teams"),
        ([], "tables"),
    ):
        answer = await admin.post("/import/litellm", tables=tables)
        assert answer.status_code == 422, answer.text
        assert named in answer.json()["error"]["message"]
    assert (await admin.post("/import/litellm")).json()["error"]["param"] == "tables"


async def test_every_receipt_of_the_take_over_says_that_it_is_one(house: House) -> None:
    connection = await asyncpg.connect(house.database_url)
    try:
        rows = await connection.fetch(
            "SELECT usage_source, count(*), sum(cost_nanousd)::bigint FROM receipts "
            "WHERE price_source = 'taken_over' GROUP BY 1"
        )
    finally:
        await connection.close()
    # Ada: today, the month two years ago, the rest; Bob: all in one; the key that is gone.
    assert [tuple(row) for row in rows] == [("taken_over", 5, 7_875_000_000)]
