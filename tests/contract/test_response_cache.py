"""The response cache of a running gateway: the same bytes again, at no cost, for the same tenant alone."""

from typing import Any

import httpx
import pytest

from app.base.ids import new_id
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.minutes import within_one_minute
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]


def message(**further: Any) -> dict[str, Any]:
    """A prompt that no other test has asked."""
    text = f"What is {new_id('x')}?"
    return {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": [{"role": "user", "content": text}], **further}


async def ask(
    gateway: GatewayProcess, key: str, body: dict[str, Any], path: str = "/v1/messages", **headers: str
) -> httpx.Response:
    credentials = {
        "authorization": f"Bearer {key}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    async with httpx.AsyncClient(base_url=gateway.base_url, headers=credentials, timeout=30, trust_env=False) as client:
        return await client.post(path, json=body)


async def test_a_stream_is_given_again_byte_for_byte_and_its_receipt_tells_the_saving(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(events=9, unicode=True, thinking=True, split=7)
    key = await admin.generate(metadata={"cache": True})
    body = message(stream=True)
    first = await ask(gateway, key, body)
    again = await ask(gateway, key, {**body, "metadata": {"user_id": "somebody else"}})

    assert (first.headers["x-keyhouse-cache"], again.headers["x-keyhouse-cache"]) == ("miss", "hit")
    assert again.content == first.content == bytes(upstream.responses[-1].body)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert int(again.headers["age"]) < 10
    assert len(upstream.requests) == 1
    rows = {row["request_id"]: row for row in await admin.receipts(key, 2)}
    paid, free = rows[first.headers["request-id"]], rows[again.headers["request-id"]]
    assert (free["spend"], free["cache_hit"], free["total_tokens"]) == (0, "True", 0)
    assert free["metadata"]["saved_spend"] == paid["spend"] > 0
    assert (paid["cache_hit"], paid["metadata"]["saved_spend"]) == ("False", 0)


async def test_teams_do_not_share_and_a_translated_answer_is_kept_too(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    body = message()
    keys = []
    for _ in range(2):
        team = (await admin.post("/team/new", metadata={"cache": {"ttl": 60}})).json()["team_id"]
        keys += [await admin.generate(team_id=team), await admin.generate(team_id=team)]
    answers = [await ask(gateway, key, body, "/v1/chat/completions") for key in keys]

    assert [answer.headers["x-keyhouse-cache"] for answer in answers] == ["miss", "hit", "miss", "hit"]
    assert answers[0].json() == answers[1].json()
    assert float(answers[1].headers["x-keyhouse-response-cost"]) == 0
    assert len(upstream.requests) == 2


async def test_a_hit_counts_on_the_limit_of_requests_and_the_allow_list_stands_before_it(
    gateway: GatewayProcess, admin: Admin
) -> None:
    key = await admin.generate(rpm_limit=2)
    body = message()
    await within_one_minute()
    heads = [await ask(gateway, key, body, x_keyhouse_cache="use-cache, ttl=60") for _ in range(3)]
    assert [answer.status_code for answer in heads] == [200, 200, 429]
    other = await admin.generate(models=["claude-haiku-4-5"], metadata={"cache": True})
    assert "is not allowed for key" in (await ask(gateway, other, body)).text


async def test_words_that_make_no_sense_are_named(gateway: GatewayProcess, admin: Admin) -> None:
    key = await admin.generate()
    refused = await ask(gateway, key, message(cache={"ttl": -1}))
    assert refused.status_code == 400
    assert '"ttl" must be a whole number of seconds' in refused.json()["error"]["message"]
    setting = await admin.post("/key/generate", metadata={"cache": {"tll": 1}})
    assert setting.status_code == 422
    assert '"tll" is not known' in setting.json()["error"]["message"]
