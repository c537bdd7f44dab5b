"""The instruments: what callers name does not grow without end, and a histogram filled in one step is right."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.registry import CollectorRegistry

from app.base.metrics import MOST_LABEL_SETS, OTHER, ManyHistogram, Metrics

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


def test_what_callers_name_is_counted_apart_up_to_a_bound_and_then_together() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for number in range(MOST_LABEL_SETS + 3):
        metrics.note_loss("openai_chat", "gemini", f"field_{number}", "dropped")
        metrics.meter(f"model_{number}", "openai", "ok", "list").requests.inc()

    beyond = (OTHER,) * 4
    losses = dict(zip(("protocol_in", "protocol_out", "field", "severity"), beyond, strict=True))
    assert registry.get_sample_value("keyhouse_translation_losses_total", losses) == 3
    requests = {"model": OTHER, "provider": "openai", "outcome": "ok"}
    assert registry.get_sample_value("keyhouse_requests_total", requests) == 3
    metrics.note_loss("openai_chat", "gemini", "field_0", "dropped")
    known = {"protocol_in": "openai_chat", "protocol_out": "gemini", "field": "field_0", "severity": "dropped"}
    assert registry.get_sample_value("keyhouse_translation_losses_total", known) == 2
