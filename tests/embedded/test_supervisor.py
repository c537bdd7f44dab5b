"""The embedded servers as the serve command uses them: start, find, recover, stop."""

import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from app.embedded import EmbeddedServerError, EmbeddedServers, Server, supervisor
from app.embedded.processes import runs_with, wait_until

pytestmark = pytest.mark.services

MakeHome = Callable[[], Path]

# Starts both servers, says so with their numbers, and ends them when its standard input ends.
KEEPER = """
import sys
from pathlib import Path
from app.embedded import EmbeddedServers
servers = EmbeddedServers(Path(sys.argv[1]))
servers.start()
print(*(server.pid for server in servers.servers), flush=True)
sys.stdin.read()
servers.stop()
"""


@pytest.fixture(scope="module")
def home(make_home: MakeHome) -> Path:
    """A home that the tests of this module use one after another; its servers are down between them."""
    return make_home()


@pytest.fixture
def embedded(home: Path) -> Iterator[EmbeddedServers]:
    embedded = EmbeddedServers(home, die_with_parent=True)
    yield embedded
    embedded.stop()


async def fetch(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def pids(embedded: EmbeddedServers) -> dict[str, int]:
    return {server.name: server.pid for server in embedded.servers}


def is_gone(server: Server, home: Path) -> bool:
    marker = {"postgres": home / "postgres" / "data", "valkey": home / "valkey" / "valkey.conf"}[server.name]
    return not runs_with(server.pid, str(marker))


def start_keeper(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def read_pids(keeper: subprocess.Popen[str]) -> list[int]:
    assert keeper.stdout is not None
    return [int(word) for word in keeper.stdout.readline().split()]


async def test_a_fresh_home_gets_a_postgres_and_a_valkey_that_only_its_owner_can_read(make_home: MakeHome) -> None:
    home = make_home()
    embedded = EmbeddedServers(home, die_with_parent=True)
    embedded.start()
    try:
        owner = await fetch(
            embedded.database_url, "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
        )
        assert owner == "keyhouse"
        locale = "SELECT datlocale FROM pg_database WHERE datname = 'keyhouse'"
        assert await fetch(embedded.database_url, locale) == "C.UTF-8"
        assert await fetch(embedded.database_url, "SHOW fsync") == "on"
        with redis.Redis.from_url(embedded.redis_url) as client:
            wanted = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction"}
            assert client.config_get(*wanted) == wanted
        for folder in ("embedded", "postgres", "postgres/data", "valkey"):
            assert stat.S_IMODE((home / folder).stat().st_mode) == 0o700
        secret_files = [
            home / "embedded/postgres.password",
            home / "embedded/valkey.password",
            home / "valkey/valkey.conf",
        ]
        assert {stat.S_IMODE(path.stat().st_mode) for path in secret_files} == {0o600}
        assert not (home / "postgres/password").exists()
    finally:
        embedded.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="says what root does")
def test_as_root_the_servers_run_as_nobody(embedded: EmbeddedServers, home: Path) -> None:
    embedded.start()

    nobody = pwd.getpwnam("nobody")
    for server in embedded.servers:
        lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
        facts = dict(line.split(":", 1) for line in lines)
        assert facts["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert facts["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert facts["Groups"].split() == []
    assert home.stat().st_uid == 0


async def test_data_survives_a_stop_and_a_start(embedded: EmbeddedServers, home: Path) -> None:
    embedded.start()
    before = embedded.servers
    await fetch(embedded.database_url, "CREATE TABLE IF NOT EXISTS kept AS SELECT 41 AS number")
    with redis.Redis.from_url(embedded.redis_url) as client:
        client.set("kept", "42")
    embedded.stop()
    assert all(is_gone(server, home) for server in before)

    embedded.start()

    assert [server.url for server in embedded.servers] == [server.url for server in before]
    assert await fetch(embedded.database_url, "SELECT number FROM kept") == 41
    with redis.Redis.from_url(embedded.redis_url) as client:
        assert client.get("kept") == b"42"


def test_a_second_start_finds_the_running_servers_and_its_stop_leaves_them(
    embedded: EmbeddedServers, home: Path
) -> None:
    embedded.start()
    second = EmbeddedServers(home)
    assert {name: second.find_pid(name) for name in pids(embedded)} == pids(embedded)

    second.start()
    second.start()
    assert second.servers == embedded.servers
    second.stop()

    assert embedded.ensure_running() == []
    with redis.Redis.from_url(embedded.redis_url) as client:
        assert client.ping()


def test_a_finder_restarts_what_its_owner_has_ended(embedded: EmbeddedServers, home: Path) -> None:
    first = EmbeddedServers(home, die_with_parent=True)
    first.start()
    embedded.start()
    first.stop()

    assert sorted(embedded.ensure_running()) == ["postgres", "valkey"]
    assert embedded.ensure_running() == []


def test_servers_whose_keeper_was_killed_pass_to_the_next_start(embedded: EmbeddedServers, home: Path) -> None:
    with start_keeper(home) as keeper:
        kept = read_pids(keeper)
        keeper.kill()

    embedded.start()
    found = embedded.servers
    assert [server.pid for server in found] == kept
    embedded.stop()

    assert all(is_gone(server, home) for server in found)


@pytest.mark.parametrize("name", ["postgres", "valkey"])
async def test_a_killed_server_comes_back_with_its_data_on_the_same_url(embedded: EmbeddedServers, name: str) -> None:
    embedded.start()
    urls = (embedded.database_url, embedded.redis_url)
    before = pids(embedded)
    await fetch(embedded.database_url, "CREATE TABLE survivors AS SELECT generate_series(1, 1000)")
    with redis.Redis.from_url(embedded.redis_url) as client:
        client.set("survivors", "1000")

    os.kill(before[name], signal.SIGKILL)
    assert wait_until(lambda: embedded.ensure_running() == [name], timeout_s=20)

    after = pids(embedded)
    assert {other for other in after if after[other] != before[other]} == {name}
    assert (embedded.database_url, embedded.redis_url) == urls
    assert await fetch(embedded.database_url, "SELECT count(*) FROM survivors") == 1000
    await fetch(embedded.database_url, "DROP TABLE survivors")
    with redis.Redis.from_url(embedded.redis_url) as client:
        assert client.getdel("survivors") == b"1000"


def test_a_stale_pid_file_that_names_a_live_stranger_is_not_taken_for_ours(
    embedded: EmbeddedServers, home: Path
) -> None:
    embedded.start()
    data = home / "postgres" / "data"
    last_words = (data / "postmaster.pid").read_text().splitlines()
    embedded.stop()
    owner = data.stat()
    with subprocess.Popen(["sleep", "60"], user=owner.st_uid, group=owner.st_gid) as stranger:
        for path, rest in ((data / "postmaster.pid", last_words[1:]), (home / "valkey" / "valkey.pid", [])):
            path.write_text("\n".join([str(stranger.pid), *rest, ""]))
            os.chown(path, owner.st_uid, owner.st_gid)

        embedded.start()
        assert stranger.pid not in pids(embedded).values()
        embedded.stop()

        assert stranger.poll() is None
        stranger.kill()


async def test_a_wrong_password_is_refused(embedded: EmbeddedServers) -> None:
    embedded.start()
    database = urlsplit(embedded.database_url)
    wrong_database_url = database._replace(netloc=f"keyhouse:guess@127.0.0.1:{database.port}").geturl()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong_database_url)

    password = urlsplit(embedded.redis_url).password
    for wrong_redis_url in (
        embedded.redis_url.replace(f":{password}@", ""),
        embedded.redis_url.replace(f":{password}@", ":guess@"),
    ):
        with redis.Redis.from_url(wrong_redis_url) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_two_processes_that_start_at_once_share_one_pair(make_home: MakeHome) -> None:
    home = make_home()
    keepers = [start_keeper(home) for _ in range(2)]
    try:
        first, second = (read_pids(keeper) for keeper in keepers)
        assert len(first) == 2
        assert first == second
    finally:
        for keeper in keepers:
            keeper.communicate("")
    assert [keeper.returncode for keeper in keepers] == [0, 0]
    assert not runs_with(first[0], str(home / "postgres" / "data"))


async def test_a_home_too_long_for_a_socket_works_over_tcp(make_home: MakeHome) -> None:
    home = make_home() / ("long-" * 20) / "with spaces and é"
    home.mkdir(parents=True)
    for folder in (home, home.parent):
        folder.chmod(0o755)
    embedded = EmbeddedServers(home, die_with_parent=True)
    embedded.start()
    try:
        assert embedded.redis_url.startswith("redis://")
        with redis.Redis.from_url(embedded.redis_url) as client:
            assert client.ping()
        assert await fetch(embedded.database_url, "SELECT 1") == 1
    finally:
        embedded.stop()


def test_a_port_that_was_taken_meanwhile_is_exchanged_at_start(embedded: EmbeddedServers, home: Path) -> None:
    embedded.start()
    port = urlsplit(embedded.database_url).port
    embedded.stop()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()

        embedded.start()

        assert urlsplit(embedded.database_url).port != port


def test_one_server_alone_can_be_started(home: Path) -> None:
    embedded = EmbeddedServers(home, die_with_parent=True, postgres=False)
    embedded.start()
    try:
        assert list(pids(embedded)) == ["valkey"]
        with pytest.raises(EmbeddedServerError, match='"postgres" is not started'):
            _ = embedded.database_url
    finally:
        embedded.stop()


def test_a_server_that_cannot_start_says_why_and_where_its_log_is(embedded: EmbeddedServers, home: Path) -> None:
    embedded.start()
    embedded.stop()
    version = home / "postgres" / "data" / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(EmbeddedServerError, match=r"(?s)postgres\.log.*not compatible") as caught:
            embedded.start()
        assert str(home / "embedded" / "postgres.log") in str(caught.value)
        assert embedded.servers == ()
    finally:
        version.write_text("18\n")


def test_data_that_a_server_out_of_sight_uses_is_left_alone(
    embedded: EmbeddedServers, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two containers on one folder do not see each other's processes, but they do see each other's locks."""
    monkeypatch.setattr(supervisor, "REMAINS_TIMEOUT_S", 0.2)
    embedded.start()
    (home / "postgres" / "data" / "postmaster.pid").rename(home / "hidden")
    try:
        with pytest.raises(EmbeddedServerError, match="another postgres uses the data of this home"):
            EmbeddedServers(home).start()
    finally:
        (home / "hidden").rename(home / "postgres" / "data" / "postmaster.pid")


def test_a_lost_password_file_is_named_and_not_replaced(embedded: EmbeddedServers, home: Path) -> None:
    embedded.start()
    embedded.stop()
    password = home / "embedded" / "postgres.password"
    kept = password.rename(password.with_suffix(".kept"))
    try:
        with pytest.raises(EmbeddedServerError, match=r"postgres\.password.* is gone"):
            embedded.start()
        assert not password.exists()
    finally:
        kept.rename(password)
