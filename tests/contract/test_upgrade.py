"""A database of an older version, with rows in it: it comes to the present schema, and what it held is served."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from app.domain.keys import digest_key, mint_key
from app.storage.postgres.engine import create_engine
from tests.conftest import RunningServers, fresh_database
from tests.fakes.gateway_process import Admin, GatewayProcess

pytestmark = [pytest.mark.services, pytest.mark.contract]

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = mint_key()
PEPPER = b"pepper-of-the-tests"  # the KEYHOUSE_SECRET of GatewayProcess
ROWS = """
INSERT INTO organizations (organization_id, organization_alias) VALUES ('org_old', 'physics');
INSERT INTO teams (team_id, team_alias, organization_id, created_by, updated_by)
  VALUES ('team_old', 'compiler', 'org_old', 'admin', 'admin');
INSERT INTO users (user_id, user_email, user_role) VALUES ('ada', 'ada@example.com', 'internal_user');
INSERT INTO memberships (team_id, user_id) VALUES ('team_old', 'ada');
INSERT INTO budgets (budget_id, limit_nanousd, duration, anchor, counting_since)
  VALUES ('budget_old', 5000000000, '30d', now(), now() - interval '60 days');
INSERT INTO receipts (request_id, attempt, started_at, duration_ms, organization_id, team_id, user_id, key_id, route,
    model_asked, model_served, provider, deployment_id, protocol_in, protocol_out, streamed, input_tokens,
    output_tokens, input_cost_nanousd, output_cost_nanousd, cost_nanousd, price_version, price_source, usage_source,
    status)
  SELECT 'req_old_' || number, 1, now(), 900, 'org_old', 'team_old', 'ada', 'key_old',
    '/v1/messages', 'claude', 'claude-sonnet-4-5', 'anthropic', 'dep_old', 'anthropic_messages', 'anthropic_messages',
    true, 1000, 100, 3000000, 1500000, 4500000, 'v', 'bundled', 'provider', 'ok'
  FROM generate_series(1, 40) AS number;
"""
A_KEY = """
INSERT INTO keys (key_id, digest, last_four, key_alias, organization_id, team_id, user_id, budget_id, created_by,
    updated_by)
  VALUES ('key_old', $1, $2, 'laptop', 'org_old', 'team_old', 'ada', 'budget_old', 'admin', 'admin')
"""


def bring_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@pytest.fixture(params=["0001", "0010", "0020"])
async def upgraded(
    request: pytest.FixtureRequest, servers: RunningServers, apart_redis_url: str, make_home: Callable[[], Path]
) -> AsyncIterator[GatewayProcess]:
    with fresh_database(servers) as url:
        engine = create_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(bring_to, request.param)
        await engine.dispose()
        owner = await asyncpg.connect(url)
        await owner.execute(ROWS)
        await owner.execute(A_KEY, digest_key(PEPPER, KEY), KEY[-4:])
        await owner.close()
        home = make_home() / f"home-{urlsplit(url).path[1:]}"
        gateway = GatewayProcess(home, {"DATABASE_URL": url, "REDIS_URL": apart_redis_url})
        await asyncio.to_thread(gateway.start)
        yield gateway
        await asyncio.to_thread(gateway.stop)


async def test_keys_of_an_old_database_go_on_working_and_their_spend_is_counted(upgraded: GatewayProcess) -> None:
    admin = Admin(upgraded.base_url)
    async with admin.client, httpx.AsyncClient(base_url=upgraded.base_url, trust_env=False) as client:
        today = datetime.now(UTC).date()
        # The rows came by SQL: the sums that a gateway of that version would have written with them are missing.
        days = {"start_date": str(today - timedelta(days=1)), "end_date": str(today)}
        assert (await admin.post("/spend/aggregates/rebuild", **days)).status_code == 200
        info = (await admin.client.get("/key/info", params={"key": "key_old"})).json()["info"]
        assert (info["key_alias"], Decimal(str(info["total_spend"]))) == ("laptop", Decimal("0.18"))
        report = await admin.client.get("/spend/report", params={
            "start_date": "2020-01-01", "end_date": "2899-12-31", "group_by": "organization,team,user,key,model",
        })  # fmt: skip
        [row] = report.json()["data"]
        assert (row["requests"], Decimal(str(row["cost"]))) == (40, Decimal("0.18"))
        message = {"model": "demo/echo", "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}
        answer = await client.post("/v1/messages", json=message, headers={"x-api-key": KEY})
        assert answer.status_code == 200, answer.text
        assert len(await admin.receipts_until(KEY, answer.headers["request-id"])) == 41
