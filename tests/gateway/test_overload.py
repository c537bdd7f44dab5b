"""Places in a busy process: who gets one, who waits, and who is refused."""

import asyncio
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from app.base.errors import Overloaded
from app.base.ids import KeyId, TeamId
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.gateway.overload import Gate, OverloadRules
from tests.gateway.examples import KEY

RULES = OverloadRules(most_running=8, most_of_tenant=2, most_waiting=4, wait_s=5)


def gate(rules: OverloadRules = RULES) -> Gate:
    return Gate(rules, Metrics(CollectorRegistry()))


def of(team: str) -> Principal:
    return Principal(replace(KEY, key_id=KeyId(team), team_id=TeamId(team)))


async def enter(gate: Gate, team: str) -> str | None:
    return None if gate.enter_calm() else await gate.enter(of(team))


async def test_the_first_half_is_for_who_comes_first_and_the_rest_is_shared_out() -> None:
    busy = gate()
    taken = [await enter(busy, "red") for _ in range(6)]
    assert taken == [None] * 4 + ["team:red"] * 2
    assert not busy.sheds_reads
    late = asyncio.create_task(enter(busy, "red"))
    assert await enter(busy, "blue") == "team:blue"  # past those of red that wait
    assert not late.done()
    assert busy.sheds_reads
    busy.leave("team:red")
    assert await late == "team:red"


async def test_each_tenant_that_waits_has_its_turn() -> None:
    busy = gate(replace(RULES, most_of_tenant=8, most_waiting=20))
    for _ in range(8):
        await enter(busy, "red")
    called: list[str] = []

    async def wait(team: str) -> None:
        await enter(busy, team)
        called.append(team)

    tasks = [asyncio.create_task(wait(team)) for team in ("red", "red", "red", "blue")]
    await asyncio.sleep(0)
    for _ in range(4):
        busy.leave(None)
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    assert called == ["red", "blue", "red", "red"]


async def test_the_queue_is_bounded_and_half_of_it_is_left_to_others() -> None:
    busy = gate()
    for team in ("red", "red", "red", "red", "red", "red", "blue", "blue"):
        await enter(busy, team)
    waiting = [asyncio.create_task(enter(busy, team)) for team in ("red", "red", "blue", "blue")]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="8 calls run in this process, and too many wait already") as refused:
        await enter(busy, "green")
    assert refused.value.retry_after_s == 5
    waiting[0].cancel()
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(enter(busy, "green")))  # who gave up has left the queue
    await asyncio.sleep(0)
    assert not waiting[-1].done()
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_who_waits_too_long_is_refused() -> None:
    busy = gate(replace(RULES, most_running=1, wait_s=0.02))
    assert await enter(busy, "red") == "team:red"
    with pytest.raises(Overloaded, match=r"none became free within 0\.02 s"):
        await enter(busy, "blue")


async def test_who_leaves_in_the_moment_it_is_called_in_gives_its_place_on() -> None:
    busy = gate(replace(RULES, most_running=1))
    assert await enter(busy, "red") == "team:red"
    gone, next_one = (asyncio.create_task(enter(busy, team)) for team in ("blue", "green"))
    await asyncio.sleep(0)
    busy.leave("team:red")  # blue is called in, and has left in the same moment
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await next_one == "team:green"
    busy.leave("team:green")
    assert await enter(busy, "red") == "team:red"
