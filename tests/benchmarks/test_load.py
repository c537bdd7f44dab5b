"""The load driver against the fast upstream: it counts what came back, and never counts what did not."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks import upstream
from benchmarks.load import (
    Api,
    CallFailedError,
    Target,
    connect,
    percentile,
    render_call,
    run_closed_loop,
    run_fixed_rate,
)
from benchmarks.processes import House, cpu_s_of, memory_bytes_of
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    server = await asyncio.get_running_loop().create_server(upstream.Connection, "127.0.0.1", 0)
    yield Target(server.sockets[0].getsockname()[1], "sk-test")
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("api", ["messages", "chat"])
@pytest.mark.parametrize(("events", "interval_ms"), [(0, 0), (30, 0), (5, 2)])
async def test_a_closed_loop_takes_only_whole_answers(target: Target, api: Api, events: int, interval_ms: int) -> None:
    samples = await run_closed_loop(target, api, connections=3, duration_s=0.1, events=events, interval_ms=interval_ms)
    assert samples.count >= 3
    assert all(first <= whole for first, whole in zip(samples.first_byte_s, samples.whole_s, strict=True))
    assert min(samples.whole_s) >= events * interval_ms / 1000


async def test_a_fixed_rate_calls_each_target_as_often_as_it_says(target: Target) -> None:
    first, second = await run_fixed_rate([target, target], "messages", per_second=100, duration_s=0.2)
    assert (first.count, second.count) == (20, 20)


async def test_a_stall_counts_for_the_calls_that_were_due_meanwhile() -> None:
    async with RecordingUpstream() as slow:
        slow.script(Script(delay_ms=100))
        (samples,) = await run_fixed_rate([Target(slow.port, "sk-test")], "messages", per_second=50, duration_s=0.1)
    assert samples.count == 5
    assert max(samples.whole_s) >= 0.1


async def test_a_refusal_and_a_cut_fail_the_run() -> None:
    async with RecordingUpstream() as refusing:
        target = Target(refusing.port, "sk-test")
        refusing.script(Script(error=429, message="too many"), Script(cut_after=4))
        connection = await connect(target)
        with pytest.raises(CallFailedError, match=r"429.*too many"):
            await connection.call(render_call(target, "messages"))
        with pytest.raises(CallFailedError, match="before the answer's end"):
            await connection.call(render_call(target, "messages", events=9))
        with pytest.raises(CallFailedError, match="maimed"):
            await run_closed_loop(target, "messages", connections=1, duration_s=0.1, events=9)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0), (0.0, 1.0)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_server_that_names_the_home_belongs_to_the_house(tmp_path: Path) -> None:
    code = "import sys, time; print(1, flush=True); time.sleep(60)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        house = House(os.getpid(), tmp_path)
        assert {os.getpid(), process.pid} <= house.pids()
        assert house.gateway_memory_bytes() >= memory_bytes_of(os.getpid()) > 1_000_000
        assert house.cpu_time().gateway_s >= cpu_s_of(process.pid)
    finally:
        process.kill()
        await process.communicate()
