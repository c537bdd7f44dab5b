"""The prometheus-client instruments, named once; labels hold no key material."""

from bisect import bisect_left
from collections import Counter as PlainCounter
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import CollectorRegistry

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
MOST_LABEL_SETS = 2_000
"""Of one instrument: callers name fields, and models behind a wildcard, and what is counted once stays in memory."""
OTHER = "other"
_OVERHEAD_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)


class ManyHistogram(Histogram):
    """A histogram that takes many values in one step."""

    def observe_many(self, values: Sequence[float]) -> None:
        """What ``observe`` does with each of them, at a fraction of its cost: a step for each bucket that is hit."""
        self._sum.inc(sum(values))
        for bucket, count in PlainCounter(map(partial(bisect_left, self._upper_bounds), values)).items():
            self._buckets[bucket].inc(count)


class Meter(NamedTuple):
    """What is counted of each finished call of one model, provider, outcome and source of price."""

    requests: Counter
    duration: ManyHistogram
    first_byte: ManyHistogram
    input_tokens: Counter
    output_tokens: Counter
    cost: Counter


class Metrics:
    """All instruments of one process. Children are looked up once per label set: ``labels()`` is not free."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_model = ("model", "provider", "outcome")
        self.requests = Counter("keyhouse_requests", "Requests on the model routes", by_model, registry=registry)
        self.duration = ManyHistogram(
            "keyhouse_request_seconds", "Whole requests", ("model", "provider"), registry=registry, buckets=_SECONDS
        )
        self.first_byte = ManyHistogram(
            "keyhouse_first_byte_seconds",
            "From the request to the first byte of the provider's answer",
            ("model", "provider"),
            registry=registry,
            buckets=_SECONDS,
        )
        self.overhead = ManyHistogram(
            "keyhouse_overhead_seconds",
            "Time of our own before the request went to the provider",
            registry=registry,
            buckets=_OVERHEAD_SECONDS,
        )
        self.tokens = Counter("keyhouse_tokens", "Tokens by class", ("model", "provider", "class"), registry=registry)
        self.cost = Counter(
            "keyhouse_cost_nanousd", "Cost in nano-dollars", ("model", "provider", "price_source"), registry=registry
        )
        self.refusals = Counter("keyhouse_refusals", "Requests that we refused", ("code",), registry=registry)
        self.cache = Counter(
            "keyhouse_response_cache", "Calls that asked the response cache", ("outcome",), registry=registry
        )
        self.cache_saved = Counter(
            "keyhouse_response_cache_saved_nanousd",
            "What the answers out of the response cache had cost, in nano-dollars",
            registry=registry,
        )
        self.idempotent_calls = Counter(
            "keyhouse_idempotent_calls", "Calls under a key of idempotency", ("outcome",), registry=registry
        )
        self.losses = Counter(
            "keyhouse_translation_losses",
            "What a translation left out or said in other words",
            ("protocol_in", "protocol_out", "field", "severity"),
            registry=registry,
        )
        self.failed_attempts = Counter(
            "keyhouse_failed_attempts",
            "Attempts that came to nothing, by what was wrong",
            ("deployment", "provider", "kind"),
            registry=registry,
        )
        self.deployment_changes = Counter(
            "keyhouse_deployment_changes",
            "How often a deployment was put aside (ejected) or came back (healthy)",
            ("deployment", "provider", "to"),
            registry=registry,
        )
        self.health_checks = Counter(
            "keyhouse_health_checks",
            "Background health checks made by this process",
            ("deployment", "provider", "outcome"),
            registry=registry,
        )
        self.fallbacks = Counter(
            "keyhouse_fallbacks", "Calls served by another model", ("model", "served"), registry=registry
        )
        self.running = Gauge(
            "keyhouse_running_requests", "Requests under way", registry=registry, multiprocess_mode="livesum"
        )
        self.waiting = Gauge(
            "keyhouse_waiting_requests",
            "Requests that wait for a place in a busy process",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.unsettled = Gauge(
            "keyhouse_unsettled_receipts",
            "Finished calls whose receipt waits for the store",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.booked = Counter("keyhouse_receipts_booked", "Receipts moved into Postgres", registry=registry)
        self.swept = Counter(
            "keyhouse_holds_swept", "Holds settled by estimate after their process died", registry=registry
        )
        self.telemetry_relayed = Counter(
            "keyhouse_telemetry_relayed", "Exports of clients for the collector", ("outcome",), registry=registry
        )
        self.alerts = Counter("keyhouse_alerts", "Alerts found by this process", ("kind",), registry=registry)
        self.wrong_days = Gauge(
            "keyhouse_report_days_that_differ",
            "Days, of today and yesterday, on which the sums of reports are not those of their receipts",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._meters: dict[tuple[str, str, str, str], Meter] = {}
        self._children: defaultdict[Counter | Histogram, dict[tuple[str, ...], Any]] = defaultdict(dict)

    def meter(self, model: str, provider: str, outcome: str, price_source: str) -> "Meter":
        """The instruments of calls of one kind, looked up together."""
        kind = (model, provider, outcome, price_source)
        found = self._meters.get(kind)
        if found is None:
            if len(self._meters) >= MOST_LABEL_SETS and model != OTHER:
                return self.meter(OTHER, provider, outcome, price_source)
            found = self._meters[kind] = Meter(
                requests=self.requests.labels(model, provider, outcome),
                duration=self.duration.labels(model, provider),
                first_byte=self.first_byte.labels(model, provider),
                input_tokens=self.tokens.labels(model, provider, "input"),
                output_tokens=self.tokens.labels(model, provider, "output"),
                cost=self.cost.labels(model, provider, price_source),
            )
        return found

    def note_loss(self, protocol_in: str, protocol_out: str, field: str, severity: str) -> None:
        """``field`` without its numbers: which turn it was in is nothing to count by."""
        plain = ".".join(part for part in field.split(".") if not part.isdigit())[:60]
        self.child(self.losses, protocol_in, protocol_out, plain, severity).inc()

    def child(self, instrument: Counter | Histogram, *values: str) -> Any:  # noqa: ANN401  either kind of child
        """The instrument's child for these label values, remembered; beyond ``MOST_LABEL_SETS`` all are ``OTHER``."""
        children = self._children[instrument]
        found = children.get(values)
        if found is None:
            if len(children) >= MOST_LABEL_SETS:
                return instrument.labels(*[OTHER] * len(values))
            found = children[values] = instrument.labels(*values)
        return found
