"""``keyhouse doctor``: checks configuration, stores and providers one by one, and names the broken link."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import click
from sqlalchemy import text

from app.admin.catalog import build_catalog
from app.domain.catalog import Deployment
from app.home import prepare
from app.providers.host_table import HOSTS
from app.providers.hosts import endpoint_url
from app.providers.price_book import PriceBook
from app.providers.provider import UpstreamRequest
from app.providers.upstream import HttpUpstream
from app.settings import Settings, environment, load_settings
from app.storage.postgres.engine import create_engine
from app.storage.redis import client as redis_client


@click.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="A Keyhouse or LiteLLM config.yaml.")
def doctor(config_path: Path | None) -> None:
    """Check configuration, database, Redis and each provider; exit status 1 when a link is broken.

    Example: keyhouse doctor --config config.yaml
    """
    overrides = {} if config_path is None else {"config_path": config_path}
    settings = prepare(load_settings(environment(), overrides)).settings
    click.echo(f"ok      configuration ({settings.config_path or 'environment only'}), data in {settings.home}")
    for notice in settings.notices:
        click.echo(f"note    {notice}")
    if not asyncio.run(_examine(settings)):
        sys.exit(1)


async def _examine(settings: Settings) -> bool:
    healthy = [await _check("Postgres", lambda: _postgres(settings)), await _check("Redis", lambda: _redis(settings))]
    catalog, notices = build_catalog(settings, PriceBook.load(settings.home / "prices.json"))
    for notice in notices:
        click.echo(f"note    {notice}")
    upstream = HttpUpstream()
    try:
        asked: set[tuple[str, str]] = set()
        for model in catalog.models:
            for deployment in model.deployments:
                if deployment.provider == "demo" or (deployment.provider, deployment.api_base) in asked:
                    continue
                asked.add((deployment.provider, deployment.api_base))
                name = f"provider {deployment.provider} at {deployment.api_base}"
                healthy.append(await _check(name, _provider(upstream, deployment)))
    finally:
        await upstream.close()
    return all(healthy)


async def _check(name: str, examine: Callable[[], Awaitable[str]]) -> bool:
    try:
        async with asyncio.timeout(15):
            said = await examine()
    except Exception as error:  # noqa: BLE001  whatever it is, it is the answer
        click.echo(f"BROKEN  {name}: {error or type(error).__name__}")
        return False
    click.echo(f"ok      {name}{': ' + said if said else ''}")
    return True


async def _postgres(settings: Settings) -> str:
    if settings.database_url is None:
        return "embedded, started by keyhouse serve"
    engine = create_engine(settings.database_url.reveal())
    try:
        async with engine.connect() as connection:
            return str((await connection.execute(text("SHOW server_version"))).scalar_one())
    finally:
        await engine.dispose()


async def _redis(settings: Settings) -> str:
    if settings.redis_url is None:
        return "embedded, started by keyhouse serve"
    client = redis_client.connect(settings.redis_url.reveal())
    try:
        await client.ping()
        policy = (await client.config_get("maxmemory-policy")).get("maxmemory-policy", "noeviction")
    finally:
        await client.aclose()
    if policy != "noeviction":
        raise RuntimeError(f'maxmemory-policy is "{policy}": it may drop budgets; set it to noeviction')
    return ""


_MODEL_LISTS = {
    "anthropic_messages": "/v1/models",
    "gemini": "/v1beta/models",
    "ollama": "/api/tags",
    "openai_chat": "/models",
    "openai_responses": "/models",
}
"""Where a host of each protocol lists its models: a question that costs nothing and needs the credential."""


def _provider(upstream: HttpUpstream, deployment: Deployment) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        host = HOSTS[deployment.provider]
        speech = host.speaks[0]
        path = _MODEL_LISTS[speech.protocol]
        headers = [(b"accept", b"application/json"), (b"anthropic-version", b"2023-06-01")]
        if deployment.api_key is not None:
            headers += host.credential_headers(deployment.api_key.reveal())
        url = endpoint_url(deployment.api_base, path, speech.version_path)
        reply = await upstream.send(UpstreamRequest(host.name, "GET", url, headers, b"", deployment.timeouts))
        reply.close()
        if reply.status in {401, 403}:
            raise RuntimeError(f"it refuses the credential ({reply.status}); check {' or '.join(host.key_variables)}")
        return f"answers {reply.status}"

    return ask
