"""What is set beside a key meets its calls: customers, tags, pools, models, windows and paces, over real stores."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

# A call costs 15 030 000 nano-dollars: more than each of these may spend, so that the second is refused.
LITTLE = {"max_budget": 0.01}


@pytest.fixture
async def client(gateway: GatewayProcess, upstream: RecordingUpstream) -> AsyncIterator[httpx.AsyncClient]:
    upstream.default = Script(input_tokens=10, output_tokens=1000)
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        yield client


async def ask(client: httpx.AsyncClient, key: str, model: str = "claude-sonnet-4-6", **fields: Any) -> httpx.Response:
    headers = {"x-api-key": key, **fields.pop("headers", {})}
    body = {"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}], **fields}
    return await client.post("/v1/messages", json=body, headers=headers)


def refused(answer: httpx.Response, whose: str) -> bool:
    assert answer.status_code == 429, answer.text
    assert whose in answer.json()["error"]["message"]
    return bool(answer.json()["error"]["type"] == "billing_error")


async def test_a_customers_budget_holds_for_it_alone_and_a_block_at_once(
    client: httpx.AsyncClient, admin: Admin
) -> None:
    key = await admin.generate()
    await admin.post("/customer/new", user_id="ishaan", alias="Ishaan", **LITTLE)
    assert (await ask(client, key, metadata={"user_id": "ishaan"})).status_code == 200
    assert refused(await ask(client, key, metadata={"user_id": "ishaan"}), 'customer "Ishaan" has spent 0.015030')
    assert (await ask(client, key, metadata={"user_id": "grace"})).status_code == 200
    await admin.post("/customer/block", user_ids=["grace"])
    blocked = await ask(client, key, metadata={"user_id": "grace"})
    assert (blocked.status_code, blocked.json()["error"]["type"]) == (403, "permission_error")
    assert (await ask(client, key)).status_code == 200
    assert (await admin.post("/customer/update", user_id="ishaan", max_budget=1)).status_code == 200
    assert (await ask(client, key, metadata={"user_id": "ishaan"})).status_code == 200


async def test_a_tags_budget_counts_the_calls_of_every_key(client: httpx.AsyncClient, admin: Admin) -> None:
    await admin.post("/tag/new", name="project:moon", **LITTLE)
    tagged, plain = await admin.generate(tags=["project:moon"]), await admin.generate()
    assert (await ask(client, plain, headers={"x-litellm-tags": "project:moon"})).status_code == 200
    assert refused(await ask(client, tagged), 'tag "project:moon" has spent')
    assert (await ask(client, plain)).status_code == 200


async def test_a_projects_budget_is_one_for_all_its_keys_and_a_tag_of_its_name_does_not_count_on_it(
    client: httpx.AsyncClient, admin: Admin
) -> None:
    team = (await admin.post("/team/new")).json()["team_id"]
    project = (await admin.post("/project/new", team_id=team, project_alias="moon", **LITTLE)).json()["project_id"]
    first, second = await admin.generate(project_id=project), await admin.generate(project_id=project)
    plain = await admin.generate(team_id=team)
    assert (await ask(client, plain, headers={"x-keyhouse-tag-project": project})).status_code == 200
    assert (await ask(client, first, headers={"x-keyhouse-tag-project": "elsewhere"})).status_code == 200
    assert refused(await ask(client, second), 'project "moon" has spent 0.015030')
    changed = await admin.post("/project/update", project_id=project, max_budget=1, models=["claude-haiku-4-5"])
    assert changed.status_code == 200
    narrowed = await ask(client, second)
    assert (narrowed.status_code, "is not allowed" in narrowed.text) == (400, True), narrowed.text
    assert (await ask(client, second, "claude-haiku-4-5")).status_code == 200
    await admin.post("/project/update", project_id=project, blocked=True)
    assert (await ask(client, second, "claude-haiku-4-5")).status_code == 401
    assert (await ask(client, plain)).status_code == 200


async def test_a_pool_is_emptied_by_all_who_name_it(client: httpx.AsyncClient, admin: Admin) -> None:
    pool = (await admin.post("/budget/new", pooled=True, budget_duration="month", **LITTLE)).json()["budget_id"]
    seat = (await admin.post("/budget/new", **LITTLE)).json()["budget_id"]
    for budget_id, is_refused in ((pool, True), (seat, False)):
        first, second = await admin.generate(budget_id=budget_id), await admin.generate(budget_id=budget_id)
        assert (await ask(client, first)).status_code == 200
        answer = await ask(client, second)
        assert refused(answer, f'the pool "{pool}" has spent') if is_refused else answer.status_code == 200


async def test_the_budget_of_an_access_group_counts_its_models_for_every_key(
    client: httpx.AsyncClient, admin: Admin
) -> None:
    names = ["claude-haiku-4-5"]
    assert (await admin.post("/access_group/new", access_group="small-ones", model_names=names)).status_code == 200
    place = "/access_group/small-ones/budget"
    first, second = await admin.generate(), await admin.generate()
    made = await admin.client.put(place, json={**LITTLE, "budget_duration": "month"})
    assert made.status_code == 200, made.text
    try:
        answers = [await ask(client, key, "claude-haiku-4-5") for key in (first, second, first, second)]
        assert answers[0].status_code == 200
        assert refused(answers[-1], 'access group "small-ones" has spent')
        assert (await ask(client, second)).status_code == 200
    finally:
        assert (await admin.client.delete(place)).status_code == 200
    assert (await ask(client, second, "claude-haiku-4-5")).status_code == 200


async def test_a_budget_of_one_model_lets_the_others_go_on(client: httpx.AsyncClient, admin: Admin) -> None:
    only = {"claude-sonnet-*": {"budget_limit": 0.01, "time_period": "1d"}}
    team = (await admin.post("/team/new", model_max_budget=only)).json()["team_id"]
    key = await admin.generate(team_id=team, model_rpm_limit={"claude-haiku-4-5": 1})
    assert (await ask(client, key)).status_code == 200
    assert refused(await ask(client, key), 'model "claude-sonnet-*" of team')
    answers = [await ask(client, key, "claude-haiku-4-5") for _ in range(3)]
    # The minute may turn between two of them.
    assert [answer.status_code for answer in answers].count(429) >= 1
    assert "1 request per minute of model" in answers[-1].text or "1 requests per minute of model" in answers[1].text
    assert (await ask(client, key, "gpt-5")).status_code == 200


async def test_the_tightest_of_several_windows_refuses_and_an_increase_lets_on(
    client: httpx.AsyncClient, admin: Admin
) -> None:
    windows = [{"budget_duration": "day", "max_budget": 0.01}, {"budget_duration": "quarter", "max_budget": 9}]
    key = await admin.generate(max_budget=5, budget_duration="month", budget_limits=windows, budget_timezone="UTC")
    assert (await ask(client, key)).status_code == 200
    answer = await ask(client, key)
    assert refused(answer, "of its 0.010000 USD")
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    raised = await admin.generate(temp_budget_increase=1, temp_budget_expiry="1h", **LITTLE)
    for _ in range(3):
        assert (await ask(client, raised)).status_code == 200


async def test_dollars_an_hour_keep_calls_back_and_say_for_how_long(client: httpx.AsyncClient, admin: Admin) -> None:
    key = await admin.generate(limits=[{"measure": "usd", "per": "hour", "limit": 0.01}])
    answers = [await ask(client, key) for _ in range(3)]
    # The hour may turn between two of them.
    held = [answer for answer in answers if answer.status_code == 429]
    assert held
    assert held[0].json()["error"]["type"] == "rate_limit_error"
    assert "the limit of 0.010000 USD per hour of key" in held[0].text
    assert 0 < int(held[0].headers["retry-after"]) <= 3600


async def test_of_two_limits_the_one_that_ends_last_is_told(client: httpx.AsyncClient, admin: Admin) -> None:
    key = await admin.generate(rpm_limit=1, limits=[{"measure": "requests", "per": "day", "limit": 1}])
    await ask(client, key)
    answer = await ask(client, key)
    assert answer.status_code == 429
    assert "1 request per day" in answer.text
    counted = await client.post(
        "/v1/messages/count_tokens",
        json={"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "Hello"}]},
        headers={"x-api-key": key},
    )
    assert counted.status_code == 200
