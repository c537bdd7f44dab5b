"""A model made while the gateway runs serves the next call; its secret is in no dump of the stores."""

import base64
import hashlib
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from tests.contract.conftest import PROVIDER_KEY
from tests.fakes.gateway_process import MASTER_KEY, Admin, GatewayProcess
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

PLANTED = "sk-ant-planted-at-run-time-5d41402abc4b2a76"
HEADER = "planted-header-b9719d911017c592"
QUESTION = {"max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}


async def test_a_model_made_now_is_served_now_with_its_own_key_at_its_own_address(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream, database_url: str, redis_url: str
) -> None:
    params = {
        "model": "anthropic/claude-sonnet-4-6", "api_key": PLANTED, "api_base": upstream.base_url,
        "extra_headers": {"x-planted": HEADER}, "input_cost_per_token": "0.000001", "output_cost_per_token": "0.00001",
    }  # fmt: skip
    made = await admin.post("/model/new", model_name="made-now", litellm_params=params)
    assert made.status_code == 200, made.text
    key = await admin.generate(models=["made-now"])
    answer = await admin.client.post("/v1/messages", json={"model": "made-now", **QUESTION}, headers={"x-api-key": key})
    assert answer.status_code == 401, "the master key beside another valid one"
    headers = {"authorization": "", "x-api-key": key}
    answer = await admin.client.post("/v1/messages", json={"model": "made-now", **QUESTION}, headers=headers)
    assert answer.status_code == 200, answer.text
    sent = dict(upstream.requests[-1].headers)
    assert (sent["x-api-key"], sent["x-planted"]) == (PLANTED, HEADER)
    [receipt] = await admin.receipts(key, 1)
    usage = answer.json()["usage"]
    assert receipt["model_id"] == made.json()["model_id"]
    assert receipt["spend"] == pytest.approx(usage["input_tokens"] * 1e-6 + usage["output_tokens"] * 1e-5)

    dumps = await dump_of_postgres(database_url) + await dump_of_redis(redis_url)
    assert made.json()["model_id"].encode() in dumps, "the dump is one of these stores"
    for secret in (PLANTED, HEADER, PROVIDER_KEY, MASTER_KEY, key):
        for form in forms_of(secret):
            assert form not in dumps, f"{secret[:12]}… stands in a store"
    assert PLANTED not in gateway.log()
    assert (await admin.post("/model/delete", id=made.json()["model_id"])).status_code == 200


async def test_who_is_kept_to_a_region_is_served_there_alone(admin: Admin, upstream: RecordingUpstream) -> None:
    params = {"model": "anthropic/claude-sonnet-4-6", "api_key": PLANTED, "api_base": upstream.base_url}
    placed = {}
    for region in (None, "us", "EU"):
        made = await admin.post(
            "/model/new", model_name="placed", litellm_params={**params, "region_name": region, "rpm": 9}
        )
        placed[region] = made.json()["model_id"]
    team = (await admin.post("/team/new", allowed_model_region="EU")).json()
    assert team["allowed_model_region"] == "eu"
    named = await admin.post("/customer/new", user_id="in-europe", allowed_model_region="eu", default_model="placed")
    assert named.json()["allowed_model_region"] == "eu"
    by_customer: dict[str, Any] = {"metadata": {"user_id": "in-europe"}, "model": "claude-sonnet-4-6"}
    kept, free = await admin.generate(team_id=team["team_id"]), await admin.generate()
    own = await admin.generate(allowed_model_region="eu")
    for key, asked in ((kept, {"model": "placed"}), (own, {"model": "placed"}), (free, by_customer)):
        for _ in range(3):
            assert (await ask(admin, key, **asked)).status_code == 200
        assert {row["model_id"] for row in await admin.receipts(key, 3)} == {placed["EU"]}
    assert (await ask(admin, free, model="claude-sonnet-4-6")).status_code == 200
    refused = await ask(admin, kept, model="claude-sonnet-4-6")
    assert refused.status_code == 400
    assert 'is kept to "eu"' in refused.json()["error"]["message"]
    for model_id in placed.values():
        await admin.post("/model/delete", id=model_id)


async def test_an_address_of_this_machine_that_nobody_allowed_is_not_called(admin: Admin) -> None:
    params = {"model": "anthropic/claude-sonnet-4-6", "api_key": PLANTED, "api_base": "http://127.0.0.2:9"}
    refused = await admin.post("/model/new", model_name="inner", litellm_params=params)
    assert refused.status_code == 422
    assert "KEYHOUSE_ALLOWED_UPSTREAMS" in refused.json()["error"]["message"]


async def ask(admin: Admin, key: str, **fields: Any) -> httpx.Response:
    headers = {"authorization": "", "x-api-key": key}
    return await admin.client.post("/v1/messages", json={**QUESTION, **fields}, headers=headers)


def forms_of(secret: str) -> list[bytes]:
    """In which it could be used again: plain, in hex, in Base64 at each of its three offsets, and a key's SHA-256."""
    plain = secret.encode()
    shifted = [base64.b64encode(b"\0" * shift + plain) for shift in range(3)]
    digest = hashlib.sha256(plain)
    inner = [encoded[4:-4] for encoded in shifted]
    urlsafe = [encoded.translate(bytes.maketrans(b"+/", b"-_")) for encoded in inner]
    return [plain, plain.hex().encode(), *inner, *urlsafe, digest.digest(), digest.hexdigest().encode()]


async def dump_of_postgres(url: str) -> bytes:
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [row[0] for table in tables for row in await connection.fetch(f'SELECT t::text FROM "{table[0]}" t')]
    finally:
        await connection.close()
    return "\n".join(rows).encode()


async def dump_of_redis(url: str) -> bytes:
    parts: list[bytes] = []
    async with Redis.from_url(url) as redis:
        async for name in redis.scan_iter():
            parts += [name, repr(await _value(redis, name)).encode()]
    return b"\n".join(parts)


async def _value(redis: Redis, name: bytes) -> object:
    match await redis.type(name):
        case b"hash":
            return await redis.hgetall(name)
        case b"stream":
            return await redis.xrange(name)
        case b"zset":
            return await redis.zrange(name, 0, -1)
        case b"set":
            return await redis.smembers(name)
        case b"list":
            return await redis.lrange(name, 0, -1)
        case _:
            return await redis.get(name)
