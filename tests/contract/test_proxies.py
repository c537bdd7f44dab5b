"""Whose address a client has: its own behind a load balancer that is trusted, that of its connection otherwise."""

from collections.abc import Iterator

import asyncpg
import httpx
import pytest

from tests.fakes.gateway_process import Admin, GatewayProcess

pytestmark = [pytest.mark.services, pytest.mark.contract]

FORWARDED = {"x-forwarded-for": "198.51.100.9, 203.0.113.7"}
"""As an appending load balancer sends it: the first address is what the client itself claimed."""


@pytest.fixture(scope="module")
def behind_a_balancer(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "KEYHOUSE_TRUSTED_PROXIES": "10.0.0.0/8,127.0.0.1",
    }
    process = GatewayProcess(tmp_path_factory.mktemp("balanced") / "home", environment)
    process.start()
    yield process
    process.stop()


async def audited_address(gateway: GatewayProcess, database_url: str, alias: str) -> str:
    """The address that the audit holds of who made a key with these forwarding headers."""
    admin = Admin(gateway.base_url)
    admin.client.headers.update(FORWARDED)
    try:
        await admin.generate(key_alias=alias)
    finally:
        await admin.client.aclose()
    connection = await asyncpg.connect(database_url)
    try:
        address: str = await connection.fetchval(
            "SELECT client_address FROM audit WHERE after->>'key_alias' = $1 OR after->>'alias' = $1", alias
        )
    finally:
        await connection.close()
    return address


async def test_a_trusted_balancer_names_the_client(behind_a_balancer: GatewayProcess, database_url: str) -> None:
    assert await audited_address(behind_a_balancer, database_url, "through-the-balancer") == "203.0.113.7"


async def test_one_client_of_a_balancer_that_tries_wrong_keys_hinders_no_other(
    behind_a_balancer: GatewayProcess,
) -> None:
    async with httpx.AsyncClient(base_url=behind_a_balancer.base_url, timeout=30, trust_env=False) as client:
        for address in ("203.0.113.7", "203.0.113.8"):
            assert await wrong_key(client, address, 0) == 401
            # The minute may turn once on the way, and then counting begins anew.
            codes = {await wrong_key(client, address, number) for number in range(1, 130)}
            assert codes == {401, 429}


async def wrong_key(client: httpx.AsyncClient, address: str, number: int) -> int:
    headers = {"x-api-key": f"sk-wrong-key-number-{number:024}", "x-forwarded-for": address}
    return (await client.get("/v1/models", headers=headers)).status_code


async def test_nobody_else_is_believed(gateway: GatewayProcess, database_url: str) -> None:
    assert await audited_address(gateway, database_url, "without-a-balancer") == "127.0.0.1"
