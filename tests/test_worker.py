"""The background loops of a process: they survive that a store is away, and end when the process does."""

import asyncio

import pytest

from app.worker import end_tasks, pause_after


async def test_a_loop_that_swallows_a_cancellation_is_ended_all_the_same() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:  # as the client of Redis does while it connects
            await asyncio.sleep(60)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await end_tasks([task])
    assert task.cancelled()


@pytest.mark.parametrize(
    ("failures", "pause_s", "waits_s"),
    [
        (0, 0.5, 0.5),
        (1, 0.5, 1.0),
        (3, 0.5, 4.0),
        (4, 0.5, 5.0),
        (100_000, 0.5, 5.0),
        (0, 3600.0, 3600.0),
        (7, 3600.0, 3600.0),
    ],
)
def test_a_loop_waits_longer_after_each_failure_and_never_gives_up_however_long_a_store_is_away(
    failures: int, pause_s: float, waits_s: float
) -> None:
    assert pause_after(failures, pause_s) == waits_s
