"""What LiteLLM's own pages show a script doing with keys, teams, people and spend: only the base URL is another.

The calls are those of its pages virtual_keys, users, team_budgets, customers, tag_budgets and cost_tracking, of its
Python client for the proxy, and of the Terraform provider. Where Keyhouse differs on purpose, the test says how.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import openai
import pytest

from app.base.ids import new_id
from tests.fakes.gateway_process import MASTER_KEY, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

HELLO: Any = [{"role": "user", "content": "this is a test request, write a short poem"}]
PROMPT_TOKENS, COMPLETION_TOKENS = 1_000, 500


class Proxy:
    """A script's side: the base URL and the master key, as every page sets them up."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        headers = {"Authorization": f"Bearer {MASTER_KEY}", "Content-Type": "application/json"}
        self.http = httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False, timeout=30)

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def chat(self, key: str, model: str = "gpt-5", **further: Any) -> httpx.Response:
        """As the curl lines have it: without /v1."""
        body = {"model": model, "messages": HELLO, **further}
        return await self.http.post("/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})

    async def spent(self, key: str, calls: int) -> float:
        """What the key spent, once so many calls are booked."""
        rows: list[Any] = []
        for _ in range(200):
            rows = await self.get("/spend/logs", api_key=key, summarize="false")
            if len(rows) >= calls:
                return float(sum(row["spend"] for row in rows))
            await asyncio.sleep(0.05)
        raise AssertionError(f"{len(rows)} of {calls} calls were booked")


@pytest.fixture
async def proxy(gateway: GatewayProcess, upstream: RecordingUpstream) -> AsyncIterator[Proxy]:
    upstream.default = Script(input_tokens=PROMPT_TOKENS, output_tokens=COMPLETION_TOKENS)
    proxy = Proxy(gateway.base_url)
    yield proxy
    await proxy.http.aclose()


@pytest.fixture
def name() -> str:
    return new_id("example")


class TestVirtualKeys:
    async def test_a_key_for_some_models_and_a_while(self, proxy: Proxy) -> None:
        made = await proxy.post(
            "/key/generate",
            {"models": ["gpt-5", "claude-sonnet-4-6"], "duration": "20m", "metadata": {"user": "ishaan@berri.ai"}},
        )
        assert made["key"].startswith("sk-")
        assert made["key_name"] == f"sk-...{made['key'][-4:]}"
        left_s = datetime.fromisoformat(made["expires"]).timestamp() - time.time()
        assert 1_100 < left_s <= 1_200
        assert (await proxy.chat(made["key"])).status_code == 200
        refused = await proxy.chat(made["key"], "claude-haiku-4-5")
        assert refused.status_code == 403
        assert "gpt-5" in refused.json()["error"]["message"]

    async def test_a_model_is_upgraded_by_an_alias(self, proxy: Proxy, upstream: RecordingUpstream) -> None:
        made = await proxy.post(
            "/key/generate", {"models": ["gpt-5"], "aliases": {"gpt-3.5-turbo": "gpt-5"}, "duration": "30min"}
        )
        answer = await proxy.chat(made["key"], "gpt-3.5-turbo")
        assert answer.status_code == 200, answer.text
        assert b'"gpt-5"' in upstream.requests[-1].body

    async def test_info_update_and_delete(self, proxy: Proxy) -> None:
        key = (await proxy.post("/key/generate", {"metadata": {"user": "x"}}))["key"]
        info = await proxy.get("/key/info", key=key)
        assert info["key"] == key
        assert (info["info"]["spend"], info["info"]["models"]) == (0, [])
        changed = await proxy.post("/key/update", {"key": key, "models": ["gpt-5"], "metadata": {"user": "y"}})
        assert (changed["models"], changed["metadata"]) == (["gpt-5"], {"user": "y"})
        assert await proxy.post("/key/delete", {"keys": [key]}) == {"deleted_keys": [key]}
        assert (await proxy.chat(key)).status_code == 401

    async def test_a_key_asks_about_itself(self, proxy: Proxy) -> None:
        key = (await proxy.post("/key/generate", {"max_budget": 10}))["key"]
        answer = await proxy.http.get("/key/info", headers={"Authorization": f"Bearer {key}"})
        assert answer.json()["info"]["max_budget"] == 10

    async def test_block_unblock_and_regenerate(self, proxy: Proxy) -> None:
        key = (await proxy.post("/key/generate", {}))["key"]
        assert (await proxy.post("/key/block", {"key": key}))["blocked"] is True
        assert (await proxy.chat(key)).status_code == 401
        assert (await proxy.post("/key/unblock", {"key": key}))["blocked"] is False
        fresh = (await proxy.post(f"/key/{key}/regenerate", {"max_budget": 100, "models": ["gpt-5"]}))["key"]
        assert fresh != key
        assert (await proxy.chat(key)).status_code == 401
        assert (await proxy.chat(fresh)).status_code == 200

    async def test_a_spent_budget_refuses(self, proxy: Proxy) -> None:
        key = (await proxy.post("/key/generate", {"max_budget": 0.000001}))["key"]
        assert (await proxy.chat(key, max_tokens=10)).status_code in (200, 402)
        refused = await proxy.chat(key, max_tokens=10)
        assert refused.status_code == 402
        assert refused.json()["error"]["type"] == "budget_exceeded"

    async def test_spend_routes_are_given_by_a_role_and_not_by_a_permission(self, proxy: Proxy, name: str) -> None:
        refused = await proxy.post("/key/generate", {"permissions": {"get_spend_routes": True}}, status=422)
        assert refused["error"]["param"] == "permissions"
        finance = await proxy.post("/user/new", {"user_id": name, "user_role": "proxy_admin_viewer"})
        answer = await proxy.http.get(
            "/global/spend/report",
            params={"start_date": "2024-04-01", "end_date": "2024-06-30"},
            headers={"Authorization": f"Bearer {finance['key']}"},
        )
        assert answer.json() == []


class TestTeams:
    async def test_a_team_with_an_admin_and_limits(self, proxy: Proxy, name: str) -> None:
        made = await proxy.post(
            "/team/new",
            {"team_alias": name, "members_with_roles": [{"role": "admin", "user_id": f"{name}-ada"}], "rpm_limit": 99},
        )
        assert (
            made["members_with_roles"][0] | {"role": "admin", "user_id": f"{name}-ada"}
            == (made["members_with_roles"][0])
        )
        assert (made["rpm_limit"], made["spend"], made["max_budget"]) == (99, 0, None)

    async def test_a_budget_of_a_team_that_is_spent(self, proxy: Proxy, name: str) -> None:
        team = await proxy.post("/team/new", {"team_alias": name, "max_budget": 0.000000001, "budget_duration": "1d"})
        assert team["budget_reset_at"].endswith("Z")
        key = (await proxy.post("/key/generate", {"team_id": team["team_id"]}))["key"]
        answers = [await proxy.chat(key, max_tokens=10) for _ in range(2)]
        assert answers[-1].status_code == 402
        error = answers[-1].json()["error"]
        assert error["type"] == "budget_exceeded"
        assert name in error["message"]
        info = await proxy.get("/team/info", team_id=team["team_id"])
        assert info["team_info"]["team_alias"] == name
        assert len(info["keys"]) == 1

    async def test_a_budget_of_a_member_in_a_team(self, proxy: Proxy, name: str) -> None:
        team = (await proxy.post("/team/new", {"team_alias": name}))["team_id"]
        await proxy.post("/user/new", {"user_id": f"{name}-ishaan"})
        added = await proxy.post(
            "/team/member_add",
            {
                "team_id": team,
                "max_budget_in_team": 0.000000000001,
                "member": {"role": "user", "user_id": f"{name}-ishaan"},
            },
        )
        assert added["updated_team_memberships"][0]["user_id"] == f"{name}-ishaan"
        key = (await proxy.post("/key/generate", {"user_id": f"{name}-ishaan", "team_id": team}))["key"]
        answers = [await proxy.chat(key, max_tokens=10) for _ in range(2)]
        assert answers[-1].status_code == 402
        assert f"{name}-ishaan" in answers[-1].json()["error"]["message"]
        await proxy.post("/team/member_delete", {"team_id": team, "user_id": f"{name}-ishaan"})
        assert (await proxy.get("/team/info", team_id=team))["team_memberships"] == []

    async def test_a_team_is_changed_blocked_and_deleted(self, proxy: Proxy, name: str) -> None:
        team = (await proxy.post("/team/new", {"team_alias": name, "models": ["gpt-5"]}))["team_id"]
        key = (await proxy.post("/key/generate", {"team_id": team}))["key"]
        assert (await proxy.chat(key, "claude-haiku-4-5")).status_code == 403
        changed = await proxy.post("/team/update", {"team_id": team, "max_budget": 20, "budget_duration": "30d"})
        assert changed["data"]["max_budget"] == 20
        await proxy.post("/team/block", {"team_id": team})
        assert (await proxy.chat(key)).status_code == 401
        await proxy.post("/team/unblock", {"team_id": team})
        assert (await proxy.chat(key)).status_code == 200
        await proxy.post("/team/delete", {"team_ids": [team]})
        assert (await proxy.chat(key)).status_code == 401


class TestUsers:
    async def test_a_user_comes_with_a_key_and_a_budget(self, proxy: Proxy, name: str) -> None:
        made = await proxy.post(
            "/user/new", {"user_id": name, "models": ["gpt-5"], "max_budget": 10, "budget_duration": "30s"}
        )
        assert (made["user_id"], made["max_budget"]) == (name, 10)
        assert (await proxy.chat(made["key"])).status_code == 200
        second = (await proxy.post("/key/generate", {"user_id": name}))["key"]
        assert (await proxy.chat(second, "claude-haiku-4-5")).status_code == 403
        info = await proxy.get("/user/info", user_id=name)
        assert {key["key_name"] for key in info["keys"]} == {f"sk-...{key[-4:]}" for key in (made["key"], second)}

    async def test_a_user_who_may_spend_nothing(self, proxy: Proxy, name: str) -> None:
        made = await proxy.post("/user/new", {"models": ["gpt-5"], "max_budget": 0, "user_id": name})
        assert (await proxy.chat(made["key"])).status_code == 402

    async def test_users_are_listed_changed_and_deleted(self, proxy: Proxy, name: str) -> None:
        await proxy.post("/user/new", {"user_id": name, "user_email": f"{name}@litellm.ai"})
        await proxy.post("/user/update", {"user_id": name, "user_role": "internal_user"})
        listed = await proxy.get("/user/list", user_ids=name)
        assert [user["user_role"] for user in listed["users"]] == ["internal_user"]
        assert await proxy.post("/user/delete", {"user_ids": [name]}) == 1


class TestCustomers:
    async def test_a_customer_is_counted_by_the_name_that_a_call_gives(self, proxy: Proxy, name: str) -> None:
        key = (await proxy.post("/key/generate", {}))["key"]
        await proxy.post("/customer/new", {"user_id": name, "alias": "Acme"})
        assert (await proxy.chat(key, user=name)).status_code == 200
        spent = await proxy.spent(key, 1)
        assert (await proxy.get("/customer/info", end_user_id=name))["spend"] == pytest.approx(spent)

    async def test_a_customer_is_known_from_its_first_call(self, proxy: Proxy, name: str) -> None:
        key = (await proxy.post("/key/generate", {}))["key"]
        await proxy.chat(key, user=name)
        spent = await proxy.spent(key, 1)
        assert (await proxy.get("/customer/info", end_user_id=name))["spend"] == pytest.approx(spent)

    async def test_a_customer_who_may_spend_nothing(self, proxy: Proxy, name: str) -> None:
        await proxy.post("/customer/new", {"user_id": name, "max_budget": 0})
        key = (await proxy.post("/key/generate", {}))["key"]
        assert (await proxy.chat(key, user=name)).status_code == 402

    async def test_a_customer_of_a_pricing_tier(self, proxy: Proxy, name: str) -> None:
        await proxy.post("/budget/new", {"budget_id": f"{name}-free-tier", "max_budget": 0})
        await proxy.post("/customer/new", {"user_id": name, "budget_id": f"{name}-free-tier"})
        key = (await proxy.post("/key/generate", {}))["key"]
        assert (await proxy.chat(key, user=name)).status_code == 402


class TestTags:
    async def test_tags_of_a_call_are_in_the_log_and_in_the_sums(self, proxy: Proxy, name: str) -> None:
        key = (await proxy.post("/key/generate", {}))["key"]
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        async with openai.AsyncOpenAI(api_key=key, base_url=proxy.base_url, http_client=http) as client:
            await client.chat.completions.create(
                model="gpt-5", messages=HELLO, user="palantir", extra_body={"metadata": {"tags": [name, "taskName:x"]}}
            )
        spent = await proxy.spent(key, 1)
        [row] = await proxy.get("/spend/logs", api_key=key, summarize="false")
        assert (row["request_tags"], row["end_user"]) == ([name, "taskName:x"], "palantir")
        tags = {row["individual_request_tag"]: row["total_spend"] for row in await proxy.get("/spend/tags")}
        assert tags[name] == pytest.approx(spent)

    async def test_a_tag_with_a_budget(self, proxy: Proxy, name: str) -> None:
        made = await proxy.post("/tag/new", {"name": name, "description": "cost center", "max_budget": 0})
        assert made
        key = (await proxy.post("/key/generate", {}))["key"]
        assert (await proxy.chat(key, metadata={"tags": [name]})).status_code == 402
        assert (await proxy.post("/tag/info", {"names": [name]}))[name]["max_budget"] == 0
        await proxy.post("/tag/update", {"name": name, "max_budget": 750.0, "budget_duration": "30d"})
        await proxy.post("/tag/delete", {"name": name})


class TestSpend:
    async def test_the_cost_of_a_call_is_in_its_headers_and_in_the_log(self, proxy: Proxy) -> None:
        key = (await proxy.post("/key/generate", {}))["key"]
        answer = await proxy.chat(key)
        cost = float(answer.headers["x-litellm-response-cost"])
        assert cost > 0
        assert await proxy.spent(key, 1) == pytest.approx(cost)
        [row] = await proxy.get("/spend/logs", api_key=key, summarize="false")
        assert (row["prompt_tokens"], row["completion_tokens"]) == (PROMPT_TOKENS, COMPLETION_TOKENS)
        assert (await proxy.get("/key/info", key=key))["info"]["spend"] == pytest.approx(cost)

    async def test_the_script_that_parses_a_report(self, proxy: Proxy, name: str) -> None:
        team_id = (await proxy.post("/team/new", {"team_alias": name}))["team_id"]
        key = (await proxy.post("/key/generate", {"team_id": team_id}))["key"]
        await proxy.chat(key)
        spent = await proxy.spent(key, 1)
        found = [
            (row["group_by_day"][:10], team["total_spend"], team["metadata"][0]["model"])
            for row in await proxy.get("/global/spend/report", start_date="2023-04-01", end_date=today())
            for team in row["teams"]
            if team["team_name"] == name
        ]
        assert found == [(today(), pytest.approx(spent), "gpt-5")]

    async def test_reports_by_customer_key_and_user(self, proxy: Proxy, name: str) -> None:
        key = (await proxy.post("/key/generate", {"user_id": name}))["key"]
        await proxy.chat(key, user=f"{name}-customer")
        spent = await proxy.spent(key, 1)
        days = {"start_date": today(), "end_date": today()}
        by_customer = await proxy.get("/global/spend/report", group_by="customer", **days)
        customers = {entry["customer"]: entry["total_spend"] for entry in by_customer[0]["customers"]}
        assert customers[f"{name}-customer"] == pytest.approx(spent)
        for query in ({"api_key": key}, {"internal_user_id": name}):
            [row] = await proxy.get("/global/spend/report", **days, **query)
            assert row["total_cost"] == pytest.approx(spent)
            assert row["total_input_tokens"] == PROMPT_TOKENS
            assert [detail["model"] for detail in row["model_details"]] == ["gpt-5"]

    async def test_daily_activity_of_a_user(self, proxy: Proxy, name: str) -> None:
        key = (await proxy.post("/key/generate", {"user_id": name}))["key"]
        await proxy.chat(key)
        spent = await proxy.spent(key, 1)
        found = await proxy.get("/user/daily/activity", start_date=today(), end_date=today(), user_id=name)
        [day] = found["results"]
        assert (day["date"], day["metrics"]["spend"]) == (today(), pytest.approx(spent))
        assert day["metrics"]["total_tokens"] == PROMPT_TOKENS + COMPLETION_TOKENS
        assert "gpt-5" in day["breakdown"]["models"]
        assert found["metadata"]["total_api_requests"] == 1

    async def test_the_lists_of_spend(self, proxy: Proxy, name: str) -> None:
        key = (await proxy.post("/key/generate", {"key_alias": name, "user_id": name}))["key"]
        await proxy.chat(key)
        spent = await proxy.spent(key, 1)
        rows = await proxy.get("/spend/keys", limit=1_000)
        assert [row["spend"] for row in rows if row["key_alias"] == name] == [pytest.approx(spent)]
        assert (await proxy.get("/global/spend"))["spend"] >= spent
        assert any(row["model"] == "gpt-5" for row in await proxy.get("/global/spend/models"))

    async def test_what_a_call_would_cost(self, proxy: Proxy) -> None:
        for body in (
            {"model": "gpt-5", "messages": HELLO},
            {"completion_response": completion("gpt-5")},
        ):
            assert (await proxy.post("/spend/calculate", body))["cost"] > 0


class TestModels:
    async def test_models_with_their_prices(self, proxy: Proxy) -> None:
        rows = (await proxy.get("/model/info"))["data"]
        [row] = [row for row in rows if row["model_name"] == "gpt-5"]
        assert row["litellm_params"]["model"] == "openai/gpt-5"
        assert row["model_info"]["input_cost_per_token"] > 0
        assert "own-key" not in str(rows)
        groups = (await proxy.get("/model_group/info"))["data"]
        assert "gpt-5" in {group["model_group"] for group in groups}

    async def test_the_models_of_a_key(self, proxy: Proxy) -> None:
        key = (await proxy.post("/key/generate", {"models": ["gpt-5"]}))["key"]
        answer = await proxy.http.get("/models", headers={"Authorization": f"Bearer {key}"})
        assert [model["id"] for model in answer.json()["data"]] == ["gpt-5"]


class TestClientOfTheProxy:
    """LiteLLM's Python client for its proxy, by the requests that it sends."""

    async def test_keys(self, proxy: Proxy, name: str) -> None:
        team = (await proxy.post("/team/new", {"team_alias": name}))["team_id"]
        made = await proxy.post("/key/generate", {"key_alias": name, "team_id": team, "config": {}})
        query = {"page": 1, "size": 10, "team_id": team, "return_full_object": "true", "include_team_keys": "false"}
        listed = await proxy.get("/key/list", **query)
        assert [key["key_alias"] for key in listed["keys"]] == [name]
        assert (await proxy.get("/key/list", key_hash=made["token"]))["keys"] == [made["token"]]
        assert (await proxy.get("/key/list", organization_id="no-such", team_id=team))["keys"] == []
        deleted = await proxy.post("/key/delete", {"keys": None, "key_aliases": [name]})
        assert deleted == {"deleted_keys": [name]}

    async def test_teams(self, proxy: Proxy, name: str) -> None:
        team = (await proxy.post("/team/new", {"team_alias": name}))["team_id"]
        assert team in {row["team_id"] for row in await proxy.get("/team/list")}
        query = {"page": 1, "page_size": 10, "sort_by": "team_alias", "sort_order": "asc", "team_alias": name}
        assert [row["team_id"] for row in (await proxy.get("/v2/team/list", **query))["teams"]] == [team]

    async def test_teams_that_one_may_join(self, proxy: Proxy) -> None:
        assert await proxy.get("/team/available") == []

    async def test_users(self, proxy: Proxy, name: str) -> None:
        await proxy.post("/user/new", {"user_id": name})
        assert (await proxy.get("/v2/user/info", user_id=name))["user_id"] == name
        assert await proxy.post("/user/delete", {"user_ids": [name]}) == 1

    async def test_health(self, proxy: Proxy) -> None:
        assert (await proxy.get("/health/readiness"))["status"] in ("connected", "healthy", "ok")


class TestTerraform:
    """The provider that most use sends all attributes that are written, and reads them back."""

    async def test_a_key_with_all_attributes(self, proxy: Proxy, name: str) -> None:
        written: dict[str, Any] = {
            "key_alias": name,
            "models": ["gpt-5"],
            "max_budget": 100.0,
            "tpm_limit": 50_000,
            "rpm_limit": 200,
            "budget_duration": "30d",
            "max_parallel_requests": 10,
            "blocked": False,
            "allowed_routes": ["llm_api_routes"],
            "metadata": {"environment": "testing"},
        }
        empty: dict[str, Any] = {
            "guardrails": [],
            "prompts": [],
            "enforced_params": [],
            "aliases": {},
            "config": {},
            "permissions": {},
        }
        made = await proxy.post("/key/generate", {**written, **empty, "duration": "90d"})
        info = (await proxy.get("/key/info", key=made["key"]))["info"]
        assert {field: info[field] for field in written} == written
        # It writes back what it has read.
        again = await proxy.post("/key/update", {**{field: info[field] for field in written}, "key": made["key"]})
        assert again["max_budget"] == 100

    async def test_a_team_and_a_member(self, proxy: Proxy, name: str) -> None:
        team = await proxy.post(
            "/team/new",
            {"team_id": name, "team_alias": name, "models": ["gpt-5"], "max_budget": 100.0, "budget_duration": "1mo",
             "blocked": False, "metadata": {}},
        )  # fmt: skip
        assert (team["team_id"], team["budget_duration"]) == (name, "1mo")
        await proxy.post(
            "/team/member_add",
            {"team_id": name, "member": [{"role": "user", "user_email": f"{name}@x.example"}], "max_budget_in_team": 5},
        )
        info = await proxy.get("/team/info", team_id=name)
        [member] = info["team_memberships"]
        assert member["litellm_budget_table"]["max_budget"] == 5


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def completion(model: str) -> dict[str, Any]:
    """A chat completion as LiteLLM's page on costs shows it to /spend/calculate."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(datetime.combine(date(2024, 1, 1), datetime.min.time(), UTC).timestamp()),
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }
