"""Usage of Messages answers, from the bytes as Anthropic and its imitators send them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.usage import Usage
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.anthropic_messages.usage import MessagesScanner, scan_response, usage_of
from app.protocols.codec import StreamScanner, UsageReport
from app.protocols.sse import FrameSplitter
from tests.protocols.streams import answer, feed_all, names

CODEC = AnthropicMessages()
UNREAD = UsageReport(usage=None, final=False, output_bytes=0)


def scanner() -> StreamScanner:
    return CODEC.stream_scanner(withhold_usage=False)


STREAMS = {
    "text": UsageReport(Usage(input=25, output=15), True, len("Guten Morgen, schöne Welt 🌍".encode()), "end_turn"),
    "thinking_and_tools": UsageReport(
        Usage(input=9, cache_read=48211, cache_write_5m=300, cache_write_1h=2000, output=187, reasoning=61),
        True,
        24 + 24 + 15 + 13 + 5 + 18,
        "tool_use",
    ),
    "web_search": UsageReport(Usage(input=10682, output=510, web_searches=2), True, 12 + 17 + 12, "end_turn"),
    "unknown_events": UsageReport(Usage(input=12, cache_write_5m=40, output=7), True, 2, "end_turn"),
    "compaction": UsageReport(Usage(input=225000, output=4734), True, 18 + 5, "end_turn"),
    "crlf": UsageReport(Usage(input=11, cache_read=5, output=8), True, 10, "max_tokens"),
    "cr": UsageReport(Usage(input=11, cache_read=5, output=8), True, 5, "end_turn"),
    "error_midway": UsageReport(Usage(input=472, cache_read=2, output=2), False, 14),
    "zeroed_delta": UsageReport(Usage(input=64, cache_read=10, output=21), True, 2, "end_turn"),
    "json_tool": UsageReport(Usage(input=300, output=40), True, 38, "tool_use"),
    "redacted": UsageReport(Usage(input=9, output=22), True, 12, "refusal"),
    "late_input": UsageReport(Usage(input=310, cache_read=256, cache_write_5m=20, output=21), True, 2, "end_turn"),
}


def test_every_recorded_stream_is_expected() -> None:
    assert names("anthropic_messages", "sse") == sorted(f"anthropic_messages/{name}.sse" for name in STREAMS)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_passes_unchanged_and_is_counted(name: str) -> None:
    stream = answer(f"anthropic_messages/{name}.sse")
    watching = scanner()
    assert feed_all(watching, stream) == (stream, STREAMS[name])
    assert (watching.ended, watching.failed) == ((False, True) if name == "error_midway" else (True, False))
    assert watching.complete
    assert watching.at_boundary


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_split_at_any_byte_gives_the_same_report_and_bytes(name: str) -> None:
    stream = answer(f"anthropic_messages/{name}.sse")
    for at in range(len(stream) + 1):
        assert feed_all(scanner(), stream[:at], stream[at:]) == (stream, STREAMS[name])
    assert feed_all(scanner(), *(stream[at : at + 1] for at in range(len(stream)))) == (stream, STREAMS[name])


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_at_any_byte_never_counts_more_than_the_whole(name: str) -> None:
    stream, whole = answer(f"anthropic_messages/{name}.sse"), STREAMS[name]
    for at in range(len(stream)):
        watching = scanner()
        passed, report = feed_all(watching, stream[:at])
        assert passed == stream[:at]
        assert report.output_bytes <= whole.output_bytes
        assert whole.usage is not None
        if report.usage is not None:
            assert report.usage.total_tokens <= whole.usage.total_tokens
        if report.final:
            assert report == whole


def test_a_cut_stream_is_not_complete_and_its_count_not_final() -> None:
    stream = answer("anthropic_messages/text.sse")
    watching = scanner()
    watching.feed(stream[: stream.index(b"event: message_delta")])
    assert watching.report() == UsageReport(Usage(input=25, output=1), False, 31)
    assert watching.at_boundary
    assert not watching.complete
    watching.feed(b"event: message_delta\nda")
    assert not watching.at_boundary


@pytest.mark.parametrize(
    ("name", "report"),
    [
        (
            "thinking_and_tool",
            UsageReport(
                Usage(input=9, cache_read=48211, cache_write_5m=300, cache_write_1h=2000, output=187, reasoning=61),
                True,
                len("größer".encode()) + 3 + len('{"city":"Köln"}'.encode()),
                "tool_use",
            ),
        ),
        (
            "web_search",
            UsageReport(Usage(input=105, cache_write_5m=70, output=31, web_searches=1), True, 16 + 4, "end_turn"),
        ),
        ("error", UNREAD),
    ],
)
def test_a_whole_answer_is_counted(name: str, report: UsageReport) -> None:
    assert CODEC.scan_response(answer(f"anthropic_messages/{name}.json")) == report


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"usage":null}',
        b'{"usage":[1]}',
        b'{"usage":{"input_tokens":"9"}}',
        b'{"usage":{"input_tokens":-5}}',
        b'{"usage":{"input_tokens":true}}',
        b'{"usage":{"input_tokens":1e400}}',
        b'{"usage":{"input_tokens":10000000000000000000000}}',
        b'{"usage":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"\xff\xfe",
        b'{"content":"\xff"}',
    ],
)
def test_an_unreadable_answer_reports_nothing(body: bytes) -> None:
    assert CODEC.scan_response(body) == UNREAD


@pytest.mark.parametrize(
    "content",
    [b"5", b'"text"', b"[1,null]", b'[{"type":"text"}]', b'[{"type":"text","text":' + b"[" * 900 + b"]" * 900 + b"}]"],
)
def test_odd_content_does_not_hide_the_usage(content: bytes) -> None:
    report = CODEC.scan_response(b'{"content":' + content + b',"usage":{"input_tokens":3,"output_tokens":4}}')
    assert report.usage == Usage(input=3, output=4)
    assert report.output_bytes == 0


def test_a_later_total_of_cache_writes_keeps_the_split_as_far_as_it_goes() -> None:
    start = (
        b'data: {"type":"message_start","message":{"usage":{"input_tokens":1,"cache_creation_input_tokens":30,'
        b'"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}}}\n\n'
    )
    for total, write_5m, write_1h in ((30, 10, 20), (50, 30, 20), (15, 0, 15), (0, 0, 0)):
        delta = (
            b'data: {"type":"message_delta","usage":{"input_tokens":1,"cache_creation_input_tokens":%d}}\n\n' % total
        )
        _, report = feed_all(scanner(), start, delta)
        assert report.usage == Usage(input=1, cache_write_5m=write_5m, cache_write_1h=write_1h, output=1)


def test_a_delta_may_correct_the_input_downwards() -> None:
    start = b'data: {"type":"message_start","message":{"usage":{"input_tokens":100,"output_tokens":1}}}\n\n'
    delta = b'data: {"type":"message_delta","usage":{"input_tokens":0,"cache_read_input_tokens":90}}\n\n'
    assert feed_all(scanner(), start, delta)[1].usage == Usage(cache_read=90, output=1)


def test_a_last_frame_without_its_blank_line_still_counts() -> None:
    stream = answer("anthropic_messages/text.sse").rstrip(b"\n")
    watching = scanner()
    assert watching.feed(stream) == stream
    assert not watching.ended
    assert watching.flush() == b""
    assert watching.ended


def test_a_frame_without_end_passes_on_and_leaves_the_count_unfinal() -> None:
    watching = MessagesScanner(splitter=FrameSplitter(limit_bytes=1000))
    stream = answer("anthropic_messages/text.sse")
    head = stream[: stream.index(b"event: message_stop")]
    chunks = (head, b"data: " + b"x" * 900, b"y" * 900, b"\n\n" + stream)
    assert b"".join(watching.feed(chunk) for chunk in chunks) == b"".join(chunks)
    assert not watching.at_boundary
    assert watching.report().usage == Usage(input=25, output=15)
    assert not watching.report().final
    assert watching.flush() == b""


_counts = st.none() | st.integers(-2, 50) | st.just(2**41) | st.just("7") | st.booleans()
_usages = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("input_tokens", "output_tokens", "cache_read_input_tokens"), _counts),
        "cache_creation_input_tokens": _counts,
        "cache_creation": st.none()
        | st.fixed_dictionaries(
            {}, optional={"ephemeral_5m_input_tokens": _counts, "ephemeral_1h_input_tokens": _counts}
        ),
        "output_tokens_details": st.none() | st.fixed_dictionaries({}, optional={"thinking_tokens": _counts}),
        "server_tool_use": st.none() | st.fixed_dictionaries({}, optional={"web_search_requests": _counts}),
        "service_tier": st.sampled_from([None, "standard", "batch", 5]),
        "speed": st.sampled_from([None, "fast"]),
        "iterations": st.sampled_from([None, [], [{"type": "compaction", "input_tokens": 3}]]),
    },
)


@given(_usages)
def test_a_whole_answer_is_counted_as_its_usage_object_alone_would_be(usage: dict[str, object]) -> None:
    report = scan_response(msgspec.json.encode({"usage": usage, "content": [], "stop_reason": "end_turn"}))
    assert report.usage == usage_of(usage)
    assert report.finish_reason == "end_turn"
