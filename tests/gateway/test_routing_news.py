"""What processes tell one another of the deployments, over a board that is a dict here and Redis in one test."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from app.base.errors import StorageUnavailable
from app.base.ids import DeploymentId, new_id
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.catalog import Model
from app.domain.failures import Failure
from app.domain.routing import RoutingRules
from app.gateway.route import Asked, Route
from app.gateway.router import Router
from app.gateway.routing_news import RoutingNews
from app.protocols.codec import Envelope
from app.storage.redis.routing_board import RedisRoutingBoard
from tests.gateway.examples import DEPLOYMENT, KEY
from tests.gateway.test_pipeline import call

MODEL = Model("m", tuple(replace(DEPLOYMENT, deployment_id=DeploymentId(name)) for name in "ab"), "M", "")
ASKED = Asked(Principal(KEY), Envelope(b"{}", {}, "m", False, None, None, None), ())


@dataclass
class Board:
    name: str
    said: dict[str, bytes]
    forgotten: list[str] = field(default_factory=list)

    async def exchange(self, said: bytes) -> dict[str, bytes]:
        self.said[self.name] = said
        return {name: payload for name, payload in self.said.items() if name != self.name}

    async def forget(self, processes: Sequence[str]) -> None:
        self.forgotten += processes


class Process:
    def __init__(self, name: str, said: dict[str, bytes], up_for_s: float) -> None:
        self.now_s = up_for_s  # clocks that do not agree
        self.router = Router(RoutingRules(), Metrics(CollectorRegistry()), now=lambda: self.now_s)
        self.board = Board(name, said)
        self.news = RoutingNews(self.router, self.board)

    def begin(self) -> Route:
        route = self.router.begin(call(), ASKED, MODEL)
        assert route is not None
        assert self.router.choose(route)
        self.router.began(route)
        return route


async def test_what_one_process_puts_aside_no_other_calls_and_its_return_is_heard_too() -> None:
    said: dict[str, bytes] = {}
    one, other = Process("one", said, 50), Process("other", said, 9000)
    other.router.left(other.begin())
    route = one.begin()
    aside = route.deployment.deployment_id
    one.router.failed(route, Failure("rate_limited", 30))
    await one.news.exchange()
    await other.news.exchange()
    assert [deployment.deployment_id for deployment, _ in other.router.standings.troubled()] == [aside]
    assert all(other.begin().deployment.deployment_id != aside for _ in range(20))
    one.now_s += 40
    other.now_s += 40
    back = next(standing for standing in one.router.standings if standing.health.ejected)
    back.health.succeed(one.now_s)
    one.router.standings.changed(back, came_back=True)
    await one.news.exchange()
    await other.news.exchange()
    assert list(other.router.standings.troubled()) == []


async def test_what_runs_elsewhere_counts_until_that_process_is_silent_for_ten_seconds() -> None:
    said: dict[str, bytes] = {}
    one, other = Process("one", said, 50), Process("other", said, 9000)
    other.router.left(other.begin())
    for _ in range(10):
        one.begin()
    await one.news.exchange()
    await other.news.exchange()
    assert sum(standing.others_running for standing in other.router.standings) == 10
    other.now_s += 11
    await other.news.exchange()
    assert sum(standing.others_running for standing in other.router.standings) == 0
    assert other.board.forgotten == ["one"]


@pytest.mark.services
async def test_the_board_in_redis_says_what_the_others_said_last(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    one, other = RedisRoutingBoard(redis), RedisRoutingBoard(redis)
    word = new_id("word").encode()
    await one.exchange(b"older")
    await one.exchange(word)
    found = await other.exchange(b"mine")
    assert word in found.values()
    assert b"mine" not in found.values()
    await other.forget([name for name, payload in found.items() if payload == word])
    assert word not in (await other.exchange(b"mine")).values()
    await redis.aclose()
    with pytest.raises(StorageUnavailable):
        await RedisRoutingBoard(Redis.from_url("redis://127.0.0.1:1")).exchange(b"")
