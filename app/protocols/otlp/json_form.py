"""OTLP metrics in JSON: protobuf's own mapping, in which 64-bit numbers are texts or numbers.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from collections.abc import Iterator

import msgspec

from app.protocols.otlp.points import Names, Point, Unreadable

_NO_RECORDED_VALUE = 1
_TEMPORALITIES: dict[str | int, int] = {
    1: 1, "1": 1, "AGGREGATION_TEMPORALITY_DELTA": 1, 2: 2, "2": 2, "AGGREGATION_TEMPORALITY_CUMULATIVE": 2,
}  # fmt: skip


class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None


class _Attribute(msgspec.Struct):
    key: str = ""
    value: _Value | None = None


class _NumberPoint(msgspec.Struct, rename="camel"):
    attributes: list[msgspec.Raw] | None = None
    start_time_unix_nano: int | None = None
    time_unix_nano: int | None = None
    as_double: float | None = None
    as_int: int | None = None
    flags: int | None = None


class _Sum(msgspec.Struct, rename="camel"):
    data_points: list[_NumberPoint] | None = None
    aggregation_temporality: int | str | None = None


class _Metric(msgspec.Struct):
    name: str = ""
    sum: _Sum | None = None


class _ScopeMetrics(msgspec.Struct):
    metrics: list[_Metric] | None = None


class _Resource(msgspec.Struct):
    attributes: list[msgspec.Raw] | None = None


class _ResourceMetrics(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_metrics: list[_ScopeMetrics] | None = None


class _Request(msgspec.Struct, rename="camel"):
    resource_metrics: list[_ResourceMetrics] | None = None


# Not strict: "12" is a number too.
_REQUEST = msgspec.json.Decoder(_Request, strict=False)
_ATTRIBUTE = msgspec.json.Decoder(_Attribute)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_points(body: bytes, names: Names) -> list[Point]:
    """The points of the sums of an ExportMetricsServiceRequest. Raises Unreadable."""
    try:
        return list(_read(body, names))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(error) from error


def check_object(body: bytes) -> None:
    """Raises Unreadable for what is no JSON object."""
    try:
        _OBJECT.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(error) from error


def _read(body: bytes, names: Names) -> Iterator[Point]:
    for resource_metrics in _REQUEST.decode(body).resource_metrics or ():
        of_resource = resource_metrics.resource.attributes if resource_metrics.resource is not None else None
        resource = b"".join(sorted(map(bytes, of_resource or ())))
        for scope_metrics in resource_metrics.scope_metrics or ():
            for metric in scope_metrics.metrics or ():
                if metric.name not in names or metric.sum is None:
                    continue
                temporality = _TEMPORALITIES.get(metric.sum.aggregation_temporality or 0, 0)
                for point in metric.sum.data_points or ():
                    yield _point(metric.name, temporality, point, resource)


def _point(name: str, temporality: int, point: _NumberPoint, resource: bytes) -> Point:
    attributes = sorted(map(bytes, point.attributes or ()))
    labels = {}
    for attribute in map(_ATTRIBUTE.decode, attributes):
        if attribute.value is not None and attribute.value.string_value is not None:
            labels[attribute.key] = attribute.value.string_value
    value = point.as_int if point.as_int is not None else point.as_double
    if (point.flags or 0) & _NO_RECORDED_VALUE:
        value = None
    identity = b"".join((resource, b"\0", *attributes))
    start_ns, time_ns = point.start_time_unix_nano or 0, point.time_unix_nano or 0
    return Point(name, temporality, start_ns, time_ns, value, labels, identity)


def _unreadable(error: Exception) -> Unreadable:
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Unreadable(f"the body is no OTLP request in JSON: {reason}")
