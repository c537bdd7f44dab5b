"""Telemetry goes on to the operator's collector as it came, and nobody waits for it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from app.base.metrics import Metrics
from app.gateway.collector import MOST_WAITING, MOST_WAITING_BYTES, Collector
from app.providers.upstream import HttpUpstream
from tests.fakes.alert_sinks import WebSink, wait_until, web_sink

FROM_CLIENT = [
    (b"content-type", b"application/x-protobuf"),
    (b"content-encoding", b"gzip"),
    (b"authorization", b"Bearer sk-kh-the-clients-own"),
    (b"x-api-key", b"sk-kh-the-clients-own"),
    (b"user-agent", b"OTel"),
]


@dataclass
class House:
    collector: Collector
    sink: WebSink
    registry: CollectorRegistry

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("keyhouse_telemetry_relayed_total", {"outcome": outcome}) or 0

    async def until(self, outcome: str, count: int) -> None:
        await wait_until(lambda: self.count(outcome) >= count)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    registry, http = CollectorRegistry(), HttpUpstream()
    async with web_sink() as sink:
        endpoint = sink.url.rstrip("/")
        collector = Collector(http, Metrics(registry), endpoint, [(b"x-tenant", b"acme")], (0.01, 0.01))
        yield House(collector, sink, registry)
        await collector.close()
        await http.close()


async def test_an_export_arrives_byte_for_byte_without_the_clients_credential(house: House) -> None:
    house.collector.start()
    house.collector.offer("metrics", FROM_CLIENT, b"\x1f\x8bwhatever it is")
    house.collector.offer("logs", FROM_CLIENT[:1], b"more")
    await house.until("sent", 2)
    metrics, logs = house.sink.received
    assert (metrics.path[-11:], metrics.body) == ("/v1/metrics", b"\x1f\x8bwhatever it is")
    assert metrics.headers["content-encoding"] == "gzip"
    assert metrics.headers["content-type"] == "application/x-protobuf"
    assert metrics.headers["x-tenant"] == "acme"
    assert "sk-kh" not in str(metrics.headers)
    assert (logs.path[-8:], logs.body) == ("/v1/logs", b"more")
    assert "content-encoding" not in logs.headers


async def test_what_may_succeed_later_is_tried_again_and_given_up_at_last(house: House) -> None:
    house.collector.start()
    house.sink.statuses = [503, 429, 200, 400, 502, 502, 502]
    for body in (b"a", b"b", b"c", b"d"):
        house.collector.offer("metrics", FROM_CLIENT, body)
    await house.until("sent", 2)
    assert [posted.body for posted in house.sink.received] == [b"a", b"a", b"a", b"b", b"c", b"c", b"c", b"d"]
    assert (house.count("dropped_refused"), house.count("dropped_unreachable")) == (1, 1)


async def test_more_than_may_wait_is_dropped_and_counted(house: House) -> None:
    for _ in range(MOST_WAITING + 3):
        house.collector.offer("metrics", FROM_CLIENT, b"a")
    house.collector.offer("metrics", FROM_CLIENT, b"a" * MOST_WAITING_BYTES)
    assert house.count("dropped_queue_full") == 4


async def test_what_waits_at_the_end_is_sent_or_counted(house: House) -> None:
    house.collector.start()
    house.collector.offer("metrics", FROM_CLIENT, b"a")
    await house.collector.close()
    assert house.count("sent") == 1
