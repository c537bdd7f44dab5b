"""The shared connection: many callers on one socket, and what they see when the server falters."""

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.base.errors import StorageUnavailable
from app.embedded.processes import find_free_port
from app.storage.redis.client import connect, script_runner
from app.storage.redis.pipe import Endpoint, Pipe
from app.storage.redis.script import Script, ScriptRunner
from tests.storage.ledger_support import RedisServer, redis_server, until

pytestmark = pytest.mark.services


def script(source: str) -> Script:
    return Script("probe", source, hashlib.sha1(source.encode()).hexdigest())


ECHO = script("return ARGV[1]")
COUNT = script("return redis.call('INCR', KEYS[1])")
BROKEN = script("return redis.call('INCR', ARGV[1] .. 'a', 'b', 'c')")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
async def pipe(server: RedisServer) -> AsyncIterator[Pipe]:
    opened = Pipe(Endpoint(path=server.url.removeprefix("unix://")), timeout_s=10)
    yield opened
    await opened.close()


@pytest.fixture
async def hasty_pipe(server: RedisServer) -> AsyncIterator[Pipe]:
    """Gives up soon: for tests in which the server is made to wait."""
    opened = Pipe(Endpoint(path=server.url.removeprefix("unix://")), timeout_s=1)
    yield opened
    await opened.close()


async def until_it_answers(runner: ScriptRunner) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                assert await runner.run(ECHO, [], ["back"]) == b"back"
            except StorageUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_thousand_callers_on_one_socket_each_get_their_own_reply(pipe: Pipe, server: RedisServer) -> None:
    texts = [f"{number}:" + "x" * (number * 7 % 5_000) for number in range(1_000)]
    assert await asyncio.gather(*(pipe.run(ECHO, [], [text]) for text in texts)) == [text.encode() for text in texts]
    assert pipe.connections == 1


async def test_a_script_that_is_begun_at_once_is_known_from_its_first_run(server: RedisServer) -> None:
    first = script("return 'first'")
    endpoint = Endpoint(path=server.url.removeprefix("unix://"))
    pipe = Pipe(endpoint, timeout_s=10, taught=(first,))
    await pipe.run(ECHO, [], ["connected"])
    assert await pipe.start(first, [], []) == b"first", "no call that is made after it comes before it"
    await pipe.close()


async def test_a_server_that_forgot_its_scripts_is_taught_them_again(pipe: Pipe, server: RedisServer) -> None:
    await pipe.run(COUNT, [b"taught"], [])
    async with Redis.from_url(server.url) as client:
        await client.script_flush()
    counts = await asyncio.gather(*(pipe.run(COUNT, [b"taught"], []) for _ in range(20)))
    assert sorted(counts) == list(range(2, 22))


async def test_a_script_that_the_server_refuses_is_our_mistake_and_costs_no_other_call(pipe: Pipe) -> None:
    refused, answer = await asyncio.gather(
        pipe.run(BROKEN, [], ["a"]), pipe.run(ECHO, [], ["fine"]), return_exceptions=True
    )
    assert isinstance(refused, RuntimeError)
    assert 'script "probe"' in str(refused)
    assert answer == b"fine"


async def test_a_call_given_up_by_its_caller_leaves_the_replies_in_step(pipe: Pipe) -> None:
    await pipe.run(ECHO, [], ["warm"])
    given_up = asyncio.create_task(pipe.run(ECHO, [], ["given up"]))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await pipe.run(ECHO, [], ["next"]) == b"next"


async def test_a_late_reply_goes_to_the_caller_who_has_left_and_to_no_other(
    hasty_pipe: Pipe, server: RedisServer
) -> None:
    await hasty_pipe.run(ECHO, [], ["warm"])
    os.kill(server.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StorageUnavailable, match="no answer within"):
            await hasty_pipe.run(ECHO, [], ["late"])
        assert time.monotonic() - began < 9
        following = asyncio.create_task(hasty_pipe.run(ECHO, [], ["following"]))
        await asyncio.sleep(0)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert await following == b"following"
    assert hasty_pipe.connections == 1


async def test_a_server_that_stays_mute_is_connected_to_anew(hasty_pipe: Pipe, server: RedisServer) -> None:
    await hasty_pipe.run(ECHO, [], ["warm"])
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StorageUnavailable):
            await hasty_pipe.run(ECHO, [], ["late"])
        with pytest.raises(StorageUnavailable):
            await hasty_pipe.run(ECHO, [], ["later"])
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await until_it_answers(hasty_pipe)
    assert hasty_pipe.connections == 2


async def test_a_killed_server_fails_calls_at_once_and_the_pipe_recovers_by_itself() -> None:
    with redis_server() as server:
        pipe = Pipe(Endpoint(path=server.url.removeprefix("unix://")))
        await pipe.run(ECHO, [], ["warm"])
        os.kill(server.pid, signal.SIGSTOP)
        under_way = [asyncio.create_task(pipe.run(ECHO, [], ["x"])) for _ in range(10)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        server.kill()
        outcomes = await asyncio.gather(*under_way, return_exceptions=True)
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
        with pytest.raises(StorageUnavailable):
            await pipe.run(ECHO, [], ["x"])
        assert time.monotonic() - began < 9
        server.start()
        await until_it_answers(pipe)
        await pipe.close()
        with pytest.raises(StorageUnavailable, match="closed"):
            await pipe.run(ECHO, [], ["x"])


async def test_a_server_that_was_never_there_is_said_so_quickly() -> None:
    pipe = Pipe(Endpoint(port=find_free_port()))
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        await pipe.run(ECHO, [], ["x"])
    assert time.monotonic() - began < 9
    await pipe.close()


async def test_passwords_and_databases_of_the_url_are_used() -> None:
    port = find_free_port()
    with redis_server("valkey", "--requirepass", "open sesame", "--port", str(port)):
        locked_out = script_runner(f"redis://127.0.0.1:{port}/0")
        with pytest.raises(StorageUnavailable):
            await locked_out.run(ECHO, [], ["x"])
        await locked_out.close()
        third = script_runner(f"redis://:open%20sesame@127.0.0.1:{port}/3")
        await third.run(COUNT, [b"here"], [])
        await third.close()
        client = connect(f"redis://:open%20sesame@127.0.0.1:{port}/3")
        assert await client.get("here") == b"1"
        await client.aclose()


async def test_scripts_run_on_a_cluster_too() -> None:
    port = find_free_port()
    options = ("--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(find_free_port()))
    with redis_server("valkey", *options) as server:
        async with Redis.from_url(server.url) as client:
            await client.cluster("ADDSLOTSRANGE", 0, 16383)

            async def is_ready() -> bool:
                return bool((await client.cluster("INFO"))["cluster_state"] == "ok")

            await until(is_ready)
        runner = script_runner(f"redis+cluster://127.0.0.1:{port}")
        assert [await runner.run(COUNT, [b"{kh}:x"], []) for _ in range(2)] == [1, 2]
        assert runner.connections == 1
        await runner.close()


async def test_scripts_run_on_the_master_that_a_sentinel_names(tmp_path: Path) -> None:
    port, sentinel_port = find_free_port(), find_free_port()
    settings = tmp_path / "sentinel.conf"
    settings.write_text(f"sentinel monitor house 127.0.0.1 {port} 1\n")
    with (
        redis_server("valkey", "--port", str(port)),
        redis_server("valkey", "--port", str(sentinel_port), settings=settings),
    ):
        runner = script_runner(f"redis+sentinel://127.0.0.1:{sentinel_port}/house/0")
        assert await runner.run(COUNT, [b"{kh}:x"], []) == 1
        await runner.close()


@pytest.mark.parametrize("url", ["http://example.com", "redis+sentinel://host:1", "redis+cluster://host:port"])
def test_an_address_that_names_no_redis_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL"):
        connect(url)
