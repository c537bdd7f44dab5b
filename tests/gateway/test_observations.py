"""What finished calls leave in the metrics: each is counted once, however many are noted together."""

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from app.base.metrics import Metrics
from app.domain.usage import Usage
from app.gateway.observations import Observations
from tests.gateway.examples import RECEIPT


async def test_calls_that_end_together_are_counted_by_kind_and_class_of_token() -> None:
    registry = CollectorRegistry()
    observations = Observations(Metrics(registry))
    one = replace(RECEIPT, model_served="m", provider="p", status="ok", usage=Usage(input=3, cache_read=5, output=7))
    for receipt in (one, one, replace(one, status="error"), replace(one, model_served="other")):
        observations.add(receipt)
    observations.add_overhead(0.001)
    observations.flush()

    def told(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"keyhouse_{name}", labels)

    assert told("requests_total", model="m", provider="p", outcome="ok") == 2
    assert told("requests_total", model="m", provider="p", outcome="error") == 1
    assert told("tokens_total", **{"model": "m", "provider": "p", "class": "cache_read"}) == 15
    assert told("tokens_total", **{"model": "other", "provider": "p", "class": "output"}) == 7
    assert told("request_seconds_count", model="m", provider="p") == 3
    assert told("overhead_seconds_count") == 1
    observations.flush()
    assert told("overhead_seconds_count") == 1
