"""Fixtures that every floor shares: the servers to test on, with a fresh database on each."""

import asyncio
import gc
import os
import random
import secrets
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import certifi
import pytest
import redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base import clock
from app.embedded import EmbeddedServers
from app.embedded.places import find_server_account, may_enter
from app.storage.postgres import tables
from app.storage.postgres.migrate import upgrade

DAY_MARGIN_S = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files of translations anew")


def pytest_configure() -> None:
    """No test calls a host of the internet, whose roots take each client 20 ms of CPU to read."""
    whole = ssl.SSLContext.load_verify_locations
    ours = ssl.get_default_verify_paths()
    public = {certifi.where(), ours.cafile, ours.openssl_cafile, os.environ.get("SSL_CERT_FILE")} - {None}

    def load(context: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        if cafile not in public:
            whole(context, cafile, capath, cadata)

    patch = pytest.MonkeyPatch()
    patch.setattr(ssl.SSLContext, "load_verify_locations", load)
    patch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays: the garbage collector need not go through it, neither now nor later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that need servers come first, so that the short ones fill what is left of a worker's time at the end."""
    items.sort(key=lambda item: item.get_closest_marker("services") is None)


def pytest_runtest_setup() -> None:
    """What draws lots in this process draws the same ones each time, and a test sees one day: none begins in the last
    minute before midnight, when what it calls today may be yesterday by its end, and all windows end together."""
    random.seed(1)
    day_ends_in_s = 86_400 - clock.now().timestamp() % 86_400
    if day_ends_in_s < DAY_MARGIN_S:
        time.sleep(day_ends_in_s)


@dataclass(frozen=True, slots=True)
class RunningServers:
    """Urls of a Postgres on which databases can be created, and of a Redis or Valkey."""

    database_url: str
    redis_url: str


@pytest.fixture(scope="session")
def make_home() -> Iterator[Callable[[], Path]]:
    """Makes empty homes for embedded servers; for root, in a folder that `nobody` can pass through."""
    homes: list[Path] = []
    account = find_server_account()
    candidates = [Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp")]
    parent = next(folder for folder in candidates if account is None or may_enter(folder.resolve(), account))

    def make() -> Path:
        home = Path(tempfile.mkdtemp(prefix="keyhouse-test-", dir=parent))
        home.chmod(0o700 if account is None else 0o711)
        homes.append(home)
        return home

    yield make
    for home in homes:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def servers(make_home: Callable[[], Path]) -> Iterator[RunningServers]:
    """The servers of this test worker: of the environment where it names them, else embedded ones."""
    database_url = os.environ.get("TEST_DATABASE_URL")
    redis_url = os.environ.get("TEST_REDIS_URL")
    if database_url and redis_url:
        yield RunningServers(database_url, redis_url)
        return
    embedded = EmbeddedServers(make_home(), die_with_parent=True, postgres=not database_url, valkey=not redis_url)
    embedded.start()
    if not database_url:
        # No test cuts the power of this one: whoever kills a Postgres starts its own.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            _execute(embedded.database_url, f"ALTER SYSTEM SET {setting} = off")
        _execute(embedded.database_url, "SELECT pg_reload_conf()")
    try:
        yield RunningServers(database_url or embedded.database_url, redis_url or embedded.redis_url)
    finally:
        embedded.stop()


@contextmanager
def fresh_database(servers: RunningServers, template: str = "template1") -> Iterator[str]:
    """Empty, or a copy of ``template``."""
    name = f"keyhouse_test_{secrets.token_hex(6)}"
    _execute(servers.database_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield urlsplit(servers.database_url)._replace(path=f"/{name}").geturl()
    finally:
        _execute(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated(servers: RunningServers) -> Iterator[str]:
    """The name of a database at the newest schema, to copy where each test needs its own: migrating takes longer."""
    with fresh_database(servers) as url:
        _run(upgrade(url))
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture(scope="session")
def database_url(servers: RunningServers, migrated: str) -> Iterator[str]:
    """A fresh database at the newest schema for this test worker, dropped at the end."""
    with fresh_database(servers, migrated) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(servers: RunningServers) -> str:
    """An emptied database number of this test worker's own."""
    return _emptied_redis(servers, 0)


@pytest.fixture(scope="module")
def apart_redis_url(servers: RunningServers) -> str:
    """Another one, emptied, for a gateway on a database of its own: it would drain the receipts of the others."""
    return _emptied_redis(servers, 1)


def _emptied_redis(servers: RunningServers, which: int) -> str:
    """Of the numbers 1 to 14 two belong to a worker: the eighth shares with the first."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    number = int(worker.removeprefix("gw")) % 7 * 2 + 1 + which
    if servers.redis_url.startswith("unix:"):
        own = f"{servers.redis_url.partition('?')[0]}?db={number}"
    else:
        own = urlsplit(servers.redis_url)._replace(path=f"/{number}").geturl()
    with redis.Redis.from_url(own) as client:
        client.flushdb()
    return own


async def empty(engine: AsyncEngine) -> None:
    """Delete what is in the tables: TRUNCATE makes every file of theirs anew, which takes twenty times as long."""
    deletes = " ".join(f"DELETE FROM {table.name};" for table in reversed(tables.receipts.metadata.sorted_tables))
    async with engine.begin() as connection:
        await connection.execute(text(f"DO $$ BEGIN {deletes} END $$"))


def _execute(url: str, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    _run(execute())


def _run(work: Coroutine[None, None, object]) -> None:
    """In a thread, because the loop of the tests may belong to this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
