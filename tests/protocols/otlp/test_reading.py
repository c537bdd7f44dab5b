"""What is read of OTLP metrics, in both encodings; the bytes are Claude Code's own, and opentelemetry-proto's."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.errors import TooLarge, UnsupportedMediaType
from app.protocols.otlp.claude_code import NAMES, Readings, read_activity
from app.protocols.otlp.exchange import (
    Encoding,
    check_form,
    encoding_of,
    read_points,
    render_status,
    render_taken,
    require_encoding,
    unpack,
)
from app.protocols.otlp.points import Unreadable
from app.protocols.otlp.protobuf import read_fields

FIXTURES = Path(__file__).parents[1] / "fixtures" / "otlp"
RECORDED_AT = datetime(2026, 11, 21, 14, tzinfo=UTC)
ENCODINGS: tuple[Encoding, ...] = ("json", "protobuf")
COMMIT, EDIT = "claude_code_commit", "claude_code_edit"


def recorded(name: str, encoding: Encoding) -> bytes:
    return (FIXTURES / f"{name}.{'json' if encoding == 'json' else 'bin'}").read_bytes()


def read(body: bytes, encoding: Encoding = "json", now: datetime = RECORDED_AT) -> Readings:
    return read_activity(read_points(encoding, body, NAMES), now)


def metric(name: str, temporality: object = 1, labels: Any = None, **point: Any) -> bytes:
    attributes = [{"key": key, "value": {"stringValue": text}} for key, text in (labels or {}).items()]
    points = [{"timeUnixNano": "1795269056063000000", "asInt": "1", "attributes": attributes, **point}]
    one = {"name": name, "sum": {"aggregationTemporality": temporality, "isMonotonic": True, "dataPoints": points}}
    return msgspec.json.encode({"resourceMetrics": [{"scopeMetrics": [{"metrics": [one]}]}]})


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_claude_code_tells_of_a_commit_and_of_an_edit_is_read_in_both_encodings(encoding: Encoding) -> None:
    told = {}
    for name in (COMMIT, EDIT):
        found = read(recorded(name, encoding), encoding)
        assert found.refused == 0
        assert {reading.day for reading in found.taken} == {RECORDED_AT.date()}
        [session] = {reading.session_id for reading in found.taken}
        told[session[:8]] = {reading.measure: reading.value for reading in found.taken}
    assert told == {
        "ab323679": {"commits": 1, "active_ms": 2421},
        "e484b3f4": {"sessions": 1, "lines_added": 4, "edits_accepted": 1, "active_ms": 291},
    }


def test_a_delta_is_told_from_the_next_one_and_a_growing_counter_from_one_that_began_anew() -> None:
    def source(temporality: int, start: int, time: int) -> bytes:
        point = {"startTimeUnixNano": f"{1795269056063000000 + start}", "timeUnixNano": f"{1795269056063000000 + time}"}
        return read(metric("claude_code.commit.count", temporality, **point)).taken[0].source

    assert source(1, 0, 5) == source(1, 0, 5)
    assert len({source(1, 0, 5), source(1, 5, 9), source(1, 0, 9), source(2, 0, 5)}) == 4
    assert source(2, 0, 5) == source(2, 0, 9)
    assert source(2, 0, 5) != source(2, 1, 9)


def test_numbers_may_be_texts_and_doubles_whole() -> None:
    assert read(metric("claude_code.commit.count", "2", asInt=3)).taken[0].value == 3
    assert read(metric("claude_code.commit.count", "AGGREGATION_TEMPORALITY_DELTA", asInt="4")).taken[0].value == 4
    seconds = {"asInt": None, "asDouble": 1.2345}
    assert read(metric("claude_code.active_time.total", **seconds)).taken[0].value == 1234


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (metric("claude_code.commit.count", 0), "says no aggregation temporality"),
        (metric("claude_code.commit.count", asInt="-1"), "must be a number from 0"),
        (metric("claude_code.commit.count", asInt=None, asDouble="NaN"), "must be a number from 0"),
        (metric("claude_code.commit.count", timeUnixNano="1695269056063000000"), "of another time"),
        (metric("claude_code.commit.count", timeUnixNano="99999999999999999999"), "of another time"),
    ],
)
def test_a_point_that_cannot_be_is_refused_alone_and_said(body: bytes, reason: str) -> None:
    found = read(body)
    assert (found.taken, found.refused) == ([], 1)
    assert reason in found.reason


def test_what_is_not_about_work_is_not_read() -> None:
    assert read(metric("claude_code.token.usage", 0, asInt="-5")) == Readings()
    assert read(metric("claude_code.lines_of_code.count", labels={"type": "moved"})) == Readings()
    assert read(metric("claude_code.commit.count", flags=1)) == Readings()
    assert read(b'{"resourceMetrics":[{"scopeMetrics":null,"new":1}],"newer":[2]}') == Readings()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"resourceMetrics":{}}',
        b'{"a":' * 100_000,
        metric("claude_code.commit.count", asInt="x"),
    ],
    ids=["nothing", "a list", "cut", "no UTF-8", "no list", "deep", "no number"],
)
def test_broken_json_is_named(body: bytes) -> None:
    with pytest.raises(Unreadable, match="no OTLP request in JSON"):
        read(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for encoding in ENCODINGS:
        for work in (read, check_form):
            with contextlib.suppress(Unreadable):
                read(body, encoding) if work is read else check_form(encoding, body)


@given(st.sampled_from([COMMIT, EDIT]), st.data())
def test_a_damaged_export_is_read_or_refused(name: str, data: st.DataObject) -> None:
    whole = recorded(name, "protobuf")
    place = data.draw(st.integers(0, len(whole) - 1))
    for damaged in (whole[:place], whole[:place] + bytes((data.draw(st.integers(0, 255)),)) + whole[place + 1 :]):
        with contextlib.suppress(Unreadable):
            read(damaged, "protobuf")


def test_fields_of_every_wire_type_are_passed_over() -> None:
    unknown = b"\x50\xac\x02" + b"\x59" + b"\0" * 8 + b"\x65" + b"\0" * 4 + b"\x6a\x02hi"
    assert read(unknown + recorded(COMMIT, "protobuf"), "protobuf") == read(recorded(COMMIT, "protobuf"), "protobuf")
    assert list(read_fields(b"\x50\xac\x02")) == [(10, 0, 300)]
    # A negative int32 takes ten bytes.
    assert list(read_fields(b"\x08" + b"\xff" * 9 + b"\x01")) == [(1, 0, 2**64 - 1)]


def test_a_body_is_unpacked_as_far_as_it_may_be() -> None:
    import gzip

    packed, headers = gzip.compress(b"a" * 1000), [(b"content-encoding", b"gzip")]
    assert unpack(packed, headers, 1000) == b"a" * 1000
    assert unpack(b"a", [], 10) == b"a"
    with pytest.raises(TooLarge):
        unpack(packed, headers, 999)
    for broken in (b"plain", packed[:-1], packed + b"more"):
        with pytest.raises(Unreadable, match="gzip"):
            unpack(broken, headers, 10_000)
    with pytest.raises(UnsupportedMediaType, match='"zstd"'):
        unpack(b"", [(b"content-encoding", b"zstd")], 10)


def test_the_answers_have_the_encoding_of_the_question() -> None:
    assert encoding_of([(b"content-type", b"Application/JSON; charset=utf-8")]) == "json"
    with pytest.raises(UnsupportedMediaType, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        require_encoding([(b"content-type", b"application/grpc")])
    assert (render_taken("json"), render_taken("protobuf")) == (b"{}", b"")
    assert render_taken("json", 2, "why") == b'{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"why"}}'
    # As opentelemetry-proto and googleapis write them.
    assert render_taken("protobuf", 300, "why") == b"\x0a\x08\x08\xac\x02\x12\x03why"
    assert render_status("protobuf", Unreadable("why")) == b"\x08\x03\x12\x03why"
    assert render_status("json", Unreadable("why")) == b'{"code":3,"message":"why"}'
