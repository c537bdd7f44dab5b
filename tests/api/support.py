"""The admin and finance routes on real stores, and a client at their door."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from redis.asyncio import Redis
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.api.admin.routes import admin_dependencies, admin_routes
from app.api.errors import error_handler
from app.base.ids import new_id
from app.protocols.registry import all_codecs
from app.storage.postgres import tables
from app.storage.postgres.aggregates import rebuild_day
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.principals import Principals

MASTER_KEY = "sk-master-of-the-tests-1234567890"
PEPPER = b"pepper of the tests"
Headers = Mapping[str, str]
ADMIN: Headers = {"authorization": f"Bearer {MASTER_KEY}"}


@dataclass
class Answer:
    """``fields`` has numbers as Decimal, so that a test sees every digit."""

    status: int
    headers: httpx.Headers
    text: str

    @property
    def fields(self) -> Any:
        return msgspec.json.Decoder(float_hook=Decimal).decode(self.text)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.fields["error"]
        return found


@dataclass
class Door:
    engine: AsyncEngine
    principals: Principals
    client: httpx.AsyncClient

    async def get(
        self, path: str, headers: Headers = ADMIN, query: Mapping[str, str] | None = None, **further: str | int
    ) -> Answer:
        parameters = {**(query or {}), **further}
        return _answer(await self.client.get(path, params=parameters or None, headers=dict(headers)))

    async def post(self, path: str, body: object = None, headers: Headers = ADMIN) -> Answer:
        """``body`` as it is when it is bytes, else as JSON; None is no body."""
        content = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return _answer(await self.client.post(path, content=content, headers=dict(headers)))

    async def new_key(self, **fields: object) -> dict[str, Any]:
        answer = await self.post("/key/generate", fields)
        assert answer.status == 200, answer.text
        made: dict[str, Any] = answer.fields
        return made

    async def book(self, key_id: str, started_at: datetime, cost_nanousd: int, **columns: object) -> str:
        """Put a receipt into the book as the drain does; returns its request id."""
        values: dict[str, Any] = {
            "request_id": new_id("req"), "attempt": 1, "started_at": started_at, "duration_ms": 1500,
            "first_byte_ms": 250, "key_id": key_id, "route": "/v1/messages", "model_asked": "claude-sonnet-4-5",
            "model_served": "claude-sonnet-4-5-20250929", "provider": "anthropic", "deployment_id": "dep_1",
            "protocol_in": "anthropic_messages", "protocol_out": "anthropic_messages", "streamed": True,
            "input_tokens": 10, "output_tokens": 5, "output_cost_nanousd": cost_nanousd, "cost_nanousd": cost_nanousd,
            "price_version": "v1", "price_source": "config", "usage_source": "provider", "status": "ok",
        }  # fmt: skip
        values |= columns
        async with self.engine.begin() as connection:
            await connection.execute(insert(tables.receipts).values(**values))
            spent = tables.keys.c.spend_nanousd + cost_nanousd
            await connection.execute(
                update(tables.keys).where(tables.keys.c.key_id == key_id).values(spend_nanousd=spent)
            )
            await rebuild_day(connection, started_at.astimezone(UTC).date())
        request_id: str = values["request_id"]
        return request_id


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.text)


@pytest.fixture
async def admin_door(database_url: str, redis_url: str) -> AsyncIterator[Door]:
    await upgrade(database_url)
    engine = create_engine(database_url)
    redis = Redis.from_url(redis_url)
    principals = Principals(engine, redis, PEPPER)
    app = Litestar(
        route_handlers=admin_routes(),
        dependencies=admin_dependencies(engine, principals, MASTER_KEY),
        exception_handlers={Exception: error_handler(all_codecs())},
        logging_config=None,
    )
    door: Any = app  # httpx types the scope as any mapping
    transport = httpx.ASGITransport(door, raise_app_exceptions=False, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://keyhouse.test") as client:
        yield Door(engine, principals, client)
    await redis.aclose()
    await engine.dispose()
