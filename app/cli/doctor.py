"""``keyhouse doctor``: checks configuration, stores and providers one by one, and names the broken link."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import click
from redis.exceptions import RedisError
from sqlalchemy import text

from app.admin.catalog import build_catalog
from app.cli.client import call
from app.domain.catalog import Catalog, Deployment
from app.home import check_secrets
from app.providers.host_table import HOSTS
from app.providers.hosts import endpoint_url
from app.providers.price_book import PriceBook
from app.providers.price_table import PRICES_FILE
from app.providers.provider import UpstreamRequest
from app.providers.upstream import HttpUpstream
from app.settings import Settings, SettingsError, environment, load_settings
from app.storage.postgres.engine import UNREACHABLE, create_engine
from app.storage.postgres.migrate import schema_of
from app.storage.redis import client as redis_client


@click.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="A Keyhouse or LiteLLM config.yaml.")
def doctor(config_path: Path | None) -> None:
    """Check configuration, database, Redis and each provider; exit status 1 when a link is broken.

    Example: keyhouse doctor --config config.yaml
    """
    overrides = {} if config_path is None else {"config_path": config_path}
    try:
        settings = load_settings(environment(), overrides)
        # Looking makes nothing: the admin key is made, and shown, by the first start alone.
        check_secrets(settings)
    except SettingsError as error:
        click.echo(f"BROKEN  configuration: {error}")
        sys.exit(1)
    home = settings.home if settings.home.is_dir() else f"{settings.home}, which keyhouse serve will make"
    click.echo(f"ok      configuration ({settings.config_path or 'environment only'}), data in {home}")
    for notice in settings.notices:
        click.echo(f"note    {notice}")
    # All is looked at, whatever is broken.
    links = [asyncio.run(_examine(settings)), _ask_gateway(settings)]
    if not all(links):
        sys.exit(1)


async def _examine(settings: Settings) -> bool:
    healthy = [await _check("Postgres", lambda: _postgres(settings)), await _check("Redis", lambda: _redis(settings))]
    catalog, notices = build_catalog(settings, PriceBook.load(settings.home / PRICES_FILE))
    for notice in notices:
        click.echo(f"note    {notice}")
    upstream = HttpUpstream()
    try:
        for name, deployment in _hosts(catalog):
            healthy.append(await _check(name, _provider(upstream, deployment)))
    finally:
        await upstream.close()
    if len(healthy) == _STORES:
        click.echo("note    no provider has a credential here: only the demo/* models answer")
    return all(healthy)


def _hosts(catalog: Catalog) -> list[tuple[str, Deployment]]:
    """Each host once for each of its credentials, the second and later ones with a model that has it."""
    found: dict[tuple[str, str, str], tuple[str, Deployment]] = {}
    for model in catalog.models:
        for deployment in model.deployments:
            place = (deployment.provider, deployment.api_base)
            key = "" if deployment.api_key is None else deployment.api_key.reveal()
            if deployment.provider == "demo" or (*place, key) in found:
                continue
            name = f"provider {deployment.provider} at {deployment.api_base}"
            is_first = all(known[:2] != place for known in found)
            found[(*place, key)] = (name if is_first else f'{name} for the model "{model.name}"', deployment)
    return list(found.values())


async def _check(name: str, examine: Callable[[], Awaitable[str]]) -> bool:
    try:
        async with asyncio.timeout(15):
            said = await examine()
    except Exception as error:  # noqa: BLE001  whatever it is, it is the answer
        click.echo(f"BROKEN  {name}: {error or type(error).__name__}")
        return False
    click.echo(f"ok      {name}{': ' + said if said else ''}")
    return True


def _ask_gateway(settings: Settings) -> bool:
    """How the deployments do, as a gateway that runs with these settings sees them."""
    try:
        health = call(settings, "GET", "/health", {}, timeout_s=_GATEWAY_TIMEOUT_S).value
    except click.ClickException as error:
        click.echo(f"note    how the deployments do is not known: {error.message}")
        return True
    lines = health_lines(health)
    for line in lines:
        click.echo(line)
    return not any(line.startswith("BROKEN") for line in lines)


def health_lines(health: Mapping[str, Any]) -> list[str]:
    """Of the answer of ``/health``: each deployment that is put aside, fails, or did not pass its last health check."""
    lines = {}
    for one in health.get("deployments", ()):
        again = f"; called again in {one['again_in_s']} s" if one["again_in_s"] else ""
        word = "note  " if one["reason"] == "rate_limited" else "BROKEN"
        name = f"{one['deployment']} ({one['provider']}/{one['model']})"
        lines[one["deployment"]] = f"{word}  deployment {name} is {one['state']}: {one['reason']}{again}"
    for one in health.get("unhealthy_endpoints", ()):
        if one["model_id"] not in lines and "checked_at" in one:
            lines[one["model_id"]] = (
                f"BROKEN  deployment {one['model_id']} ({one['model']}) failed its health check of {one['checked_at']}"
                f"{': ' + one['error'] if 'error' in one else ''}"
            )
    well = health.get("healthy_count", 0)
    return [f"ok      {well} deployments of the running gateway do well", *lines.values()]


async def _postgres(settings: Settings) -> str:
    if settings.database_url is None:
        return "embedded, started by keyhouse serve"
    engine = create_engine(settings.database_url.reveal())
    try:
        async with engine.connect() as connection:
            version = str((await connection.execute(text("SHOW server_version"))).scalar_one())
            present, newest = await schema_of(connection)
    except UNREACHABLE as error:
        raise RuntimeError(f"{error or type(error).__name__}; is DATABASE_URL right?") from error
    finally:
        await engine.dispose()
    if present is None:
        return f"{version}, empty; keyhouse serve or keyhouse migrate makes the tables"
    return f"{version}, schema {present}" + ("" if present == newest else f"; keyhouse migrate brings it to {newest}")


async def _redis(settings: Settings) -> str:
    if settings.redis_url is None:
        return "embedded, started by keyhouse serve"
    client = redis_client.connect(settings.redis_url.reveal())
    try:
        version = (await client.info("server")).get("redis_version", "")
        policy = (await client.config_get("maxmemory-policy")).get("maxmemory-policy", "noeviction")
    except (RedisError, OSError) as error:
        raise RuntimeError(f"{error or type(error).__name__}; is REDIS_URL right?") from error
    finally:
        await client.aclose()
    if policy != "noeviction":
        raise RuntimeError(f'maxmemory-policy is "{policy}": it may drop budgets; set it to noeviction')
    return str(version)


_STORES = 2
_GATEWAY_TIMEOUT_S = 10
_OK, _REFUSALS, _BROKEN = 200, frozenset({401, 403}), 500
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
        if host.credential == "signed":
            return "reached; its credentials are tried by the first call"
        if reply.status in _REFUSALS:
            places = " or ".join((*host.key_variables, "the api_key of the file"))
            raise RuntimeError(f"it refuses the credential ({reply.status}); check {places}")
        if reply.status >= _BROKEN:
            raise RuntimeError(f"it answers {reply.status}; it may be down, or the address be another's")
        return "answers" if reply.status == _OK else f"answers {reply.status}"

    return ask
