"""What is made at run time in one process, as the others hear of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from app.admin.actor import Actor
from app.admin.live_catalog import LiveCatalog
from app.admin.models import Models, ModelTerms
from app.providers.egress import Egress
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from tests.api.support import live_catalog

pytestmark = pytest.mark.services


@pytest.fixture
async def replicas(database_url: str, redis_url: str) -> AsyncIterator[tuple[Models, LiveCatalog]]:
    """One that changes models, and another that watches."""
    await upgrade(database_url)
    engine, redis = create_engine(database_url), Redis.from_url(redis_url)
    here, there = live_catalog(engine, redis), live_catalog(engine, redis)
    watching = asyncio.create_task(there.watch())
    yield Models(engine, here, Egress()), there
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await redis.aclose()
    await engine.dispose()


async def becomes(catalog: LiveCatalog, name: str, *, known: bool) -> bool:
    """Whether it does sooner than the catalogue is read again unasked."""
    for _ in range(800):
        if (catalog.current().resolve(name) is not None) is known:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_every_process_hears_of_a_model(replicas: tuple[Models, LiveCatalog]) -> None:
    models, there = replicas
    params = {"model": "anthropic/claude-haiku-4-5", "api_key": "sk-ant-heard"}
    made = await models.create(ModelTerms("heard-of", params), Actor())
    assert models.catalog.current().resolve("heard-of") is not None
    assert await becomes(there, "heard-of", known=True)
    found = there.current().resolve("heard-of")
    assert found is not None
    assert found.deployments[0].api_key is not None
    assert found.deployments[0].api_key.reveal() == "sk-ant-heard"
    assert not found.deployments[0].guarded, "the provider's own address is trusted"
    await models.block(made.deployment_id, Actor(), blocked=True)
    assert await becomes(there, "heard-of", known=False)
    await models.block(made.deployment_id, Actor(), blocked=False)
    assert await becomes(there, "heard-of", known=True)
    await models.delete(made.deployment_id, Actor())
    assert await becomes(there, "heard-of", known=False)


async def test_a_process_that_heard_nothing_reads_it_when_it_asks_the_book(
    replicas: tuple[Models, LiveCatalog], redis_url: str
) -> None:
    models, _ = replicas
    params = {"model": "openai/x", "api_key": "sk-x", "api_base": "http://8.8.8.8/v1"}
    made = await models.create(ModelTerms("read-later", params), Actor())
    deaf = live_catalog(models._engine, Redis.from_url(redis_url))
    assert deaf.current().resolve("read-later") is None
    await deaf.refresh()
    found = deaf.current().resolve("read-later")
    assert found is not None
    assert found.deployments[0].guarded
    await models.delete(made.deployment_id, Actor())
