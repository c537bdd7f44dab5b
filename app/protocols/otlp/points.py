"""A point of an OTLP metric: what both encodings are read into.

https://opentelemetry.io/docs/specs/otlp/ · opentelemetry-proto 1.9, metrics/v1/metrics.proto
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from app.base.errors import InvalidRequest

DELTA, CUMULATIVE = 1, 2
"""AggregationTemporality; 0 is not said."""


class Point(NamedTuple):
    """One number of a sum. ``labels`` are the attributes that are texts; ``identity`` is all of its attributes and of
    its resource, in whatever form tells two series apart. ``value`` None: not recorded."""

    metric: str
    temporality: int
    start_ns: int
    time_ns: int
    value: int | float | None
    labels: Mapping[str, str]
    identity: bytes


Names = Collection[str]
"""The metrics that are read; what others say is not looked at."""


class Unreadable(InvalidRequest):
    """The bytes are no message of OTLP in the encoding that they are said to be in."""
