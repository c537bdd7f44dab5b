"""Three providers behind one model, of which one fails in each way that there is: nobody sees it, and the books agree.

P8: each attempt that happened is charged once. P30: ejected within five failures, back after recovery, few retries.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.base.ids import new_id
from app.cli.doctor import health_lines
from tests.fakes.bill import BillEntry
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

CALLS, AT_ONCE = 30, 6
INPUT_PRICE, OUTPUT_PRICE = Decimal("0.000001"), Decimal("0.00001")
WAYS = {
    "429 with retry-after": Script(error=429, retry_after="30"),
    "429 without": Script(error=429),
    "500": Script(error=500),
    "529": Script(error=529),
    "silent": Script(hang_before=True),
    "cut before the end of a whole answer": Script(cut_after=20),
    "bad credential": Script(error=401),
    "out of credit": Script(error=402),
}


class Farm:
    """A model of its own with three deployments; the first is the one that fails."""

    def __init__(self, admin: Admin, places: list[RecordingUpstream]) -> None:
        self.admin, self.places = admin, places
        self.model = new_id("farm")
        self.ids: list[str] = []

    async def open(self, **params: Any) -> str:
        """A key that may use it."""
        for number, place in enumerate(self.places):
            made = await self.admin.post(
                "/model/new",
                model_name=self.model,
                litellm_params={
                    "model": "anthropic/claude-sonnet-4-6", "api_key": f"sk-ant-{number}", "api_base": place.base_url,
                    "input_cost_per_token": str(INPUT_PRICE), "output_cost_per_token": str(OUTPUT_PRICE),
                    "stream_timeout": 30 if number else 1, "cooldown_time": 60, **params,
                },
            )  # fmt: skip
            assert made.status_code == 200, made.text
            self.ids.append(made.json()["model_id"])
        return await self.admin.generate(models=[self.model])

    async def close(self) -> None:
        for deployment_id in self.ids:
            await self.admin.post("/model/delete", id=deployment_id)

    def bill(self) -> list[BillEntry]:
        """What was answered: a provider that never says a word charges nothing."""
        return [entry for place in self.places for entry in place.bill.entries if entry.state == "finished"]


@pytest.fixture
async def farm(gateway: GatewayProcess, admin: Admin) -> AsyncIterator[Farm]:
    async with contextlib.AsyncExitStack() as stack:
        places = [await stack.enter_async_context(RecordingUpstream()) for _ in range(3)]
        farm = Farm(admin, places)
        yield farm
        await farm.close()


async def ask(gateway: GatewayProcess, key: str, model: str, calls: int, **fields: Any) -> list[httpx.Response]:
    body = {"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}], **fields}
    room = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(
        base_url=gateway.base_url, headers={"x-api-key": key}, trust_env=False, timeout=20
    ) as client:

        async def one() -> httpx.Response:
            async with room:
                return await client.post("/v1/messages", json=body)

        return await asyncio.gather(*(one() for _ in range(calls)))


@pytest.mark.parametrize("way", WAYS)
async def test_p30_one_of_three_providers_fails_and_no_caller_sees_it(
    way: str, gateway: GatewayProcess, farm: Farm
) -> None:
    key = await farm.open()
    farm.places[0].default = WAYS[way]
    answers = await ask(gateway, key, farm.model, CALLS, stream=way == "silent")
    assert {answer.status_code for answer in answers} == {200}
    attempts = sum(int(answer.headers["x-keyhouse-attempts"]) for answer in answers)
    assert attempts - CALLS <= 5 + AT_ONCE, "those that were under way when it was put aside may fail too"
    assert len(farm.places[0].requests) == attempts - CALLS

    # Attempts that failed may have cost something too, and have receipts of their own.
    rows = await farm.admin.receipts_when(key, lambda rows: [row["status"] for row in rows].count("success") >= CALLS)
    booked = sum(Decimal(str(row["spend"])) for row in rows if row["status"] == "success")
    billed = sum(entry.input * INPUT_PRICE + entry.output * OUTPUT_PRICE for entry in farm.bill())
    assert booked == billed
    assert len({row["request_id"] for row in rows}) == CALLS


async def test_p30_a_provider_that_recovers_is_called_again_and_health_says_how_it_stands(
    gateway: GatewayProcess, farm: Farm
) -> None:
    key = await farm.open(cooldown_time=1)
    farm.places[0].default = Script(error=500)
    health, troubled = {}, {"state": "failing"}
    while troubled["state"] == "failing":  # which of three is called is chance: it may get too few to be put aside
        await ask(gateway, key, farm.model, CALLS)
        health = (await farm.admin.client.get("/health")).json()
        [troubled] = [one for one in health["deployments"] if one["deployment"] == farm.ids[0]]
    assert (troubled["state"] in {"ejected", "probing"}, troubled["reason"]) == (True, "server_error")
    async with httpx.AsyncClient(base_url=gateway.base_url, trust_env=False) as anyone:
        for headers, status in (({}, 200), ({"x-api-key": key}, 200), ({"x-api-key": "sk-nobody"}, 401)):
            told = await anyone.get("/health", headers=headers)
            assert (told.status_code, farm.ids[0] in told.text) == (status, False)
            assert status != 200 or told.json()["unhealthy_count"] >= 1
    assert f"BROKEN  deployment {farm.ids[0]}" in "\n".join(health_lines(health))
    farm.places[0].default = Script()
    before = len(farm.places[0].requests)
    async with asyncio.timeout(60):
        while len(farm.places[0].requests) <= before + 2:
            await asyncio.sleep(0.1)
            await ask(gateway, key, farm.model, 3)
    health = (await farm.admin.client.get("/health")).json()
    assert farm.ids[0] not in [one["deployment"] for one in health["deployments"]]


async def test_the_calls_of_a_session_stay_where_their_prompt_is_cached(gateway: GatewayProcess, farm: Farm) -> None:
    key = await farm.open()
    user = {"user_id": '{"session_id": "0b4445e1-f5be-49e1-87ce-62bbc28ad705"}'}
    answers = await ask(gateway, key, farm.model, 12, metadata=user)
    [home] = {answer.headers["x-keyhouse-deployment"] for answer in answers}
    at_home = farm.places[farm.ids.index(home)]
    at_home.default = replace(at_home.default, error=529)
    answers = await ask(gateway, key, farm.model, 12, metadata=user)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["x-keyhouse-deployment"] for answer in answers}) == 1


async def test_what_a_deployment_has_spent_is_counted_to_the_nano_dollar_and_then_the_others_serve(
    farm: Farm, admin: Admin
) -> None:
    for place in farm.places:
        place.default = Script(input_tokens=1_000, output_tokens=100)  # 0.002 USD
    key = await farm.open(num_retries=0)
    first, *others = farm.ids
    await admin.client.patch(
        f"/model/{first}/update", json={"litellm_params": {"max_budget": 0.004, "budget_duration": "1d", "order": 1}}
    )
    shown = (await admin.client.get("/model/info", params={"litellm_model_id": first})).json()["data"][0]
    assert shown["litellm_params"]["max_budget"] == 0.004
    body = {"model": farm.model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": "", "x-api-key": key}
    for count in range(1, 7):
        answer = await admin.client.post("/v1/messages", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        await admin.receipts(key, count)
    served = [row["model_id"] for row in await admin.receipts(key, 6)]
    assert served.count(first) == 2, "0.004 USD are two calls"
    assert set(served) <= {first, *others}
