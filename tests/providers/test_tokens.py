"""Tokens are fetched once for all, renewed before they end, and outlive a caller that leaves."""

import asyncio
import time

import pytest

from app.providers.tokens import Token, Tokens


class Source:
    """Gives ``t1``, ``t2``, … that last so many seconds; ``fails`` makes it raise."""

    def __init__(self, *lasts_s: float) -> None:
        self.lasts_s = list(lasts_s)
        self.asked = 0
        self.fails = False
        self.waits = asyncio.Event()
        self.waits.set()

    async def fetch(self) -> Token:
        self.asked += 1
        number = self.asked
        await self.waits.wait()
        if self.fails:
            raise ConnectionError
        return Token(f"t{number}", time.monotonic() + self.lasts_s[min(number, len(self.lasts_s)) - 1])


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_token_is_fetched_once_for_all_who_wait() -> None:
    tokens, source = Tokens(), Source(3600)
    got = await asyncio.gather(*(tokens.get("key", source.fetch) for _ in range(20)))
    assert set(got) == {"t1"}
    assert await tokens.get("key", source.fetch) == "t1"
    assert source.asked == 1


async def test_a_caller_that_leaves_does_not_stop_the_others() -> None:
    tokens, source = Tokens(), Source(3600)
    source.waits.clear()
    first, second = (asyncio.ensure_future(tokens.get("key", source.fetch)) for _ in range(2))
    await settle()
    first.cancel()
    source.waits.set()
    assert await second == "t1"
    assert source.asked == 1


async def test_a_token_is_renewed_beside_the_calls_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, source = Tokens(), Source(3600)
    await tokens.get("key", source.fetch)
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 3310)
    source.waits.clear()
    assert await tokens.get("key", source.fetch) == "t1"
    source.waits.set()
    await settle()
    assert await tokens.get("key", source.fetch) == "t2"


async def test_while_a_renewal_fails_the_token_serves_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, source = Tokens(), Source(3600)
    await tokens.get("key", source.fetch)
    now_s, source.fails = time.monotonic(), True
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 3310)
    for _ in range(3):
        assert await tokens.get("key", source.fetch) == "t1"
        await settle()
    assert source.asked == 2  # not at every call
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 3601)
    with pytest.raises(ConnectionError):
        await tokens.get("key", source.fetch)


async def test_a_token_that_lasts_but_a_moment_is_not_fetched_at_every_call() -> None:
    tokens, source = Tokens(), Source(60)
    for _ in range(3):
        assert await tokens.get("key", source.fetch) == "t1"


async def test_a_token_that_is_refused_is_fetched_anew_unless_it_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, source = Tokens(), Source(3600)
    await tokens.get("key", source.fetch)
    tokens.forget("key")
    assert await tokens.get("key", source.fetch) == "t1"
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 60)
    tokens.forget("key")
    assert await tokens.get("key", source.fetch) == "t2"
    tokens.forget("no such key")


async def test_a_token_that_has_ended_is_not_used_while_a_renewal_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, source = Tokens(), Source(10)
    await tokens.get("key", source.fetch)
    now_s, source.fails = time.monotonic(), True
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 6)
    assert await tokens.get("key", source.fetch) == "t1"
    await settle()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 11)  # before the next try is due
    source.fails = False
    assert await tokens.get("key", source.fetch) == "t3"
