"""Processes tell one another that they run: who is killed is forgotten, and settings that differ are named."""

import pytest
from redis.asyncio import Redis

from app.admin.processes import Processes
from app.base.secret import Secret
from app.domain.catalog import ModelEntry
from app.settings import Settings
from app.settings.fingerprints import fingerprints_of
from app.storage.redis.process_board import FORGOTTEN_AFTER_S, RedisProcessBoard


def entry(key: str, place: str) -> ModelEntry:
    return ModelEntry(
        "claude", "anthropic", "claude-sonnet-4-5", place, api_key=Secret(key), headers={"x": "1", "y": "2"}
    )


def test_fingerprints_differ_where_settings_do_secrets_too_and_tell_nothing() -> None:
    one = Settings(secret=Secret("pepper"), port=1, model_entries=(entry("sk-a", "a.yaml, line 2"),), lease_s=60)
    same = Settings(secret=Secret("pepper"), port=2, model_entries=(entry("sk-a", "b.yaml, line 9"),), lease_s=60)
    other = Settings(secret=Secret("pepper"), model_entries=(entry("sk-b", "a.yaml, line 2"),), lease_s=61)
    assert fingerprints_of(one) == fingerprints_of(same)
    differing = {name for name, said in fingerprints_of(one).items() if fingerprints_of(other)[name] != said}
    assert differing == {"model_entries", "lease_s"}
    assert fingerprints_of(one)["lease_s"] != fingerprints_of(Settings(secret=Secret("salt"), lease_s=60))["lease_s"]


@pytest.mark.services
async def test_each_process_is_listed_until_it_leaves_or_has_been_silent(apart_redis_url: str) -> None:
    async with Redis.from_url(apart_redis_url) as redis:
        board = RedisProcessBoard(redis)
        here = Processes(board, "1.2.3", {"secret": "0", "lease_s": "1"})
        there = Processes(board, "1.2.4", {"secret": "0", "lease_s": "2", "of_a_newer_version": "3"})
        stranger = Processes(board, "1.2.3", {"secret": "9", "lease_s": "8"})
        for one in (here, there, stranger):
            await one.tell()

        async def seen() -> list[tuple[str, bool, list[str]]]:
            return [(one.record.version, one.is_this, list(one.differs)) for one in await here.list()]

        assert await seen() == [("1.2.3", True, []), ("1.2.4", False, ["lease_s"]), ("1.2.3", False, ["secret"])]
        assert all(one.age_s < 5 for one in await here.list())
        await stranger.leave()
        entries = [name async for name in redis.scan_iter("{kh}:process:*")]
        assert len(entries) == len(await seen()) == 2
        for name in entries:
            assert 0 < await redis.pttl(name) <= FORGOTTEN_AFTER_S * 1_000
            await redis.delete(name)  # as its end does
        assert await seen() == []
        assert await redis.scard("{kh}:processes") == 0
