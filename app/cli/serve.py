"""``keyhouse serve``, ``migrate`` and ``demo-data``: from nothing to a running gateway.

The gateway itself is imported when options and settings are good, and where it serves: the parent of several workers
does without it.
"""

import asyncio
import errno
import gc
import signal
import socket
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
import uvicorn

from app.base.logs import configure_logs, get_logger
from app.base.secret import Secret
from app.cli.demo_data import demo_lines, demo_receipts, fill
from app.cli.loading import without_collector
from app.embedded import EmbeddedServers
from app.home import Prepared, check_secrets, make_home, prepare
from app.providers.price_table import PRICES_FILE, load_table
from app.settings import Settings, environment, export_environment, load_settings

if TYPE_CHECKING:
    from litestar.types import ASGIApp

_SUPERVISE_EVERY_S = 0.5
_KEEP_ALIVE_S = 75
_WORKER_ANSWERS_WITHIN_S = 60
"""uvicorn's 5 s are less than a worker needs to start on a busy machine: it would kill and start them without end."""


@click.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="A Keyhouse or LiteLLM config.yaml.")
@click.option("--host", help="The address to listen on; 127.0.0.1 unless set.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port to listen on; 4000 unless set.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that serve; 1 unless set.")
@click.option("--model", help="Serve this one provider/model only.")
@click.option("--demo-data", is_flag=True, help="Fill an empty database with a company to look at.")
@demo_receipts
def serve(demo_data: bool, demo_receipts: int, **options: Any) -> None:  # noqa: ANN401, FBT001  click gives them
    """Start the gateway, on embedded Postgres and Valkey unless DATABASE_URL and REDIS_URL are set.

    Example: ANTHROPIC_API_KEY=sk-ant-... keyhouse serve --port 4000
    """
    settings = load_settings(environment(), {name: value for name, value in options.items() if value is not None})
    configure_logs(settings.log_level, settings.log_format)
    check_secrets(settings)
    _check_address(settings.host, settings.port)
    prepared = prepare(settings)
    signal.signal(signal.SIGTERM, _leave)
    servers = _embedded(prepared.settings)
    try:
        settings = _with_stores(prepared.settings, servers)
        _upgrade(_reveal(settings.database_url))
        filled = fill(settings, demo_receipts) if demo_data else None
        _announce(prepared, settings)
        if filled is not None:
            click.echo("\n".join(demo_lines(filled)))
        _run(settings, servers)
    except KeyboardInterrupt:
        pass
    finally:
        if servers is not None:
            servers.stop()


@click.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="A Keyhouse or LiteLLM config.yaml.")
def migrate(**options: Any) -> None:  # noqa: ANN401  click gives them
    """Bring the database to the newest schema; safe to run while others do.

    Example: DATABASE_URL=postgresql://keyhouse@db/keyhouse keyhouse migrate
    """
    settings = load_settings(environment(), {name: value for name, value in options.items() if value is not None})
    configure_logs(settings.log_level, settings.log_format)
    servers = None
    if settings.database_url is None:
        make_home(settings.home)
        servers = EmbeddedServers(settings.home, postgres=True, valkey=False)
        servers.start()
    try:
        database_url = servers.database_url if servers is not None else _reveal(settings.database_url)
        before, newest = _upgrade(database_url)
        came = "was there already" if before == newest else f"was at {before}" if before else "was empty"
        click.echo(f"the database is at the newest schema, {newest} (it {came})")
    finally:
        if servers is not None:
            servers.stop()


@click.command("demo-data")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="A Keyhouse or LiteLLM config.yaml.")
@demo_receipts
def demo_data(demo_receipts: int, **options: Any) -> None:  # noqa: ANN401  click gives them
    """Fill an empty database with a company to look at: people, keys, sixty days of spend. Refused for any other.

    Example: KEYHOUSE_HOME=/tmp/keyhouse-demo keyhouse demo-data --demo-receipts 5000000
    """
    settings = load_settings(environment(), {name: value for name, value in options.items() if value is not None})
    configure_logs(settings.log_level, settings.log_format)
    prepared = prepare(settings)
    servers = _embedded(prepared.settings)
    try:
        settings = _with_stores(prepared.settings, servers)
        _upgrade(_reveal(settings.database_url))
        click.echo("\n".join(demo_lines(fill(settings, demo_receipts))))
    finally:
        if servers is not None:
            servers.stop()


def create_worker_app() -> "ASGIApp":
    """The application of one of several workers: its settings come from the environment that ``serve`` prepared."""
    settings = load_settings(environment(), {})
    configure_logs(settings.log_level, settings.log_format)
    return _create_app(settings)


def _create_app(settings: Settings) -> "ASGIApp":
    with without_collector():
        from app.main import create_app
    gc.freeze()  # what is loaded stays, so the collector need not go through it while the rest is built
    return create_app(settings)


def _upgrade(database_url: str) -> tuple[str | None, str]:
    with without_collector():
        from app.storage.postgres.migrate import upgrade
    return asyncio.run(upgrade(database_url))


def _check_address(host: str, port: int) -> None:
    """Said at once, in one line: the server itself would only find out when everything else has been started."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise click.ClickException(
            f"port {port} of {host} is taken by another program; end it, or give another port with --port"
            if taken
            else f'cannot listen on "{host}", port {port} ({error.strerror}); give others with --host and --port'
        ) from error


def _embedded(settings: Settings) -> EmbeddedServers | None:
    """The embedded servers for what is not given by a URL, started; None when both are given."""
    postgres, valkey = settings.database_url is None, settings.redis_url is None
    if not postgres and not valkey:
        return None
    servers = EmbeddedServers(settings.home, postgres=postgres, valkey=valkey)
    servers.start()
    return servers


def _with_stores(settings: Settings, servers: EmbeddedServers | None) -> Settings:
    database_url, redis_url = settings.database_url, settings.redis_url
    if servers is not None:
        database_url = database_url or Secret(servers.database_url)
        redis_url = redis_url or Secret(servers.redis_url)
    return replace(settings, database_url=database_url, redis_url=redis_url)


def _run(settings: Settings, servers: EmbeddedServers | None) -> None:
    """Serve until told to stop; the embedded servers are looked after meanwhile."""
    stopped = threading.Event()
    if servers is not None:
        threading.Thread(target=_supervise, args=(servers, stopped), daemon=True, name="supervisor").start()
    shared: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "loop": "uvloop",
        "http": "app.api.server:HttpProtocol",
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        # Always given: without it uvicorn would believe what comes from loopback, and read a variable of its own.
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": list(settings.trusted_proxies),
        "timeout_keep_alive": _KEEP_ALIVE_S,
        "timeout_graceful_shutdown": settings.shutdown_grace_s,
    }
    try:
        if settings.workers == 1:
            uvicorn.Server(uvicorn.Config(_create_app(settings), **shared)).run()
        else:
            _run_workers(settings, shared)
    finally:
        stopped.set()


def _run_workers(settings: Settings, shared: dict[str, Any]) -> None:
    load_table(settings.home / PRICES_FILE)  # compiled once for all, not by each as it starts
    with tempfile.TemporaryDirectory(prefix="keyhouse-metrics-") as metrics_folder:
        export_environment(settings, {"PROMETHEUS_MULTIPROC_DIR": metrics_folder})
        uvicorn.run(
            "app.cli.serve:create_worker_app",
            factory=True,
            workers=settings.workers,
            timeout_worker_healthcheck=_WORKER_ANSWERS_WITHIN_S,
            **shared,
        )


def _supervise(servers: EmbeddedServers, stopped: threading.Event) -> None:
    log = get_logger()
    while not stopped.wait(_SUPERVISE_EVERY_S):
        try:
            for name in servers.ensure_running():
                log.warning("an embedded server had died and was started again", server=name)
        except Exception:
            log.exception("an embedded server cannot be started; trying again")


def _leave(_signal: int, _frame: FrameType | None) -> None:
    # uvicorn raises the signal again after its own clean end: the embedded servers are still to be stopped then.
    raise KeyboardInterrupt


def _reveal(secret: Secret | None) -> str:
    assert secret is not None
    return secret.reveal()


def _announce(prepared: Prepared, settings: Settings) -> None:
    """What a newcomer needs, on standard output; the admin key only when it was made just now."""
    url = f"http://{settings.host}:{settings.port}"
    new_key = prepared.new_admin_key
    admin_key = new_key.reveal() if new_key is not None else "$ADMIN_KEY"
    lines = [f"Keyhouse listens on {url}"]
    if new_key is not None:
        lines.append(f"admin key: {admin_key}   (shown this once; kept in {settings.home / 'admin-key'})")
    lines += [
        f"pages: {url}/ui",
        f"data: {settings.home}",
        "",
        "Issue a key:",
        f"  curl -s {url}/key/generate -H \"Authorization: Bearer {admin_key}\" -d '{{}}'",
        "Try it:",
        f'  curl -s {url}/v1/messages -H "x-api-key: $KEY" \\',
        '    -d \'{"model": "demo/echo", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}\'',
        "Claude Code through it:",
        f"  ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN=$KEY claude",
        "",
    ]
    click.echo("\n".join(lines))
    sys.stdout.flush()
