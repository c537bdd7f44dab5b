"""The clock's minutes, by which rate limits count: a test that fills one must not be cut in two by its end."""

import asyncio

from app.base import clock


async def within_one_minute(lasts_s: float = 5) -> None:
    """Return with so much of the minute left; hours and days end with a minute too."""
    left_s = 60 - clock.now().timestamp() % 60
    if left_s < lasts_s:
        await asyncio.sleep(left_s)
