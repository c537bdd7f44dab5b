"""The instruments: a histogram filled in one step is what it would be value by value."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.registry import CollectorRegistry

from app.base.metrics import ManyHistogram

_BOUNDS = (0.25, 1, 10)


@given(st.lists(st.one_of(st.sampled_from((*_BOUNDS, 0.0, 11.0)), st.floats(0, 100))))
def test_many_values_at_once_count_as_they_do_one_by_one(values: list[float]) -> None:
    told = []
    for at_once in (True, False):
        registry = CollectorRegistry()
        instrument = ManyHistogram("seconds", "Whole requests", ("model",), registry=registry, buckets=_BOUNDS)
        child = instrument.labels("m")
        if at_once:
            child.observe_many(values)
        else:
            for value in values:
                child.observe(value)
        samples = next(iter(registry.collect())).samples
        told.append(
            {(one.name, one.labels.get("le")): round(one.value, 6) for one in samples if "created" not in one.name}
        )
    assert told[0] == told[1]
