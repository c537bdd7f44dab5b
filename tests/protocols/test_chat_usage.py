"""Usage of chat completions, from the bytes as OpenAI and its imitators send them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.usage import Usage
from app.protocols.codec import StreamScanner, UsageReport
from app.protocols.openai_chat.codec import OpenAIChat
from app.protocols.openai_chat.usage import ChatScanner
from app.protocols.openai_usage import usage_of
from app.protocols.sse import FrameSplitter
from tests.protocols.streams import answer, feed_all, names

CODEC = OpenAIChat()
UNREAD = UsageReport(usage=None, final=False, output_bytes=0)


def scanner(*, withhold_usage: bool = False) -> StreamScanner:
    return CODEC.stream_scanner(withhold_usage=withhold_usage)


STREAMS = {
    "text_with_usage": UsageReport(
        Usage(input=86, cache_read=1920, output=300, reasoning=192), True, len("Grüße aus Köln 👋".encode()), "stop"
    ),
    "tools": UsageReport(Usage(input=82, output=40), True, 15 + 2, "tool_calls"),
    "no_usage": UsageReport(None, False, 2, "stop"),
    "deepseek": UsageReport(Usage(input=64, cache_read=576, output=58, reasoning=44), True, 9 + 2, "stop"),
    "usage_before_finish": UsageReport(Usage(input=10, output=2), True, 3, "stop"),
    "counting_along": UsageReport(Usage(input=10, output=3), True, 3, "length"),
    "without_done": UsageReport(Usage(input=10, output=3), True, 2, "stop"),
    "crlf": UsageReport(Usage(input=10, output=3), True, 2, "stop"),
    "error_midway": UsageReport(None, False, 9),
    "interleaved_tools": UsageReport(Usage(input=82, output=40), True, 8 + 15 + 14, "tool_calls"),
    "same_index_tools": UsageReport(Usage(input=9, output=5), True, 2 * 15 + 4, "stop"),
    "openrouter_reasoning": UsageReport(Usage(input=40, output=21, reasoning=9), True, 13 + 5, "stop", 434_999),
    "openrouter_error": UsageReport(None, False, 4, "error"),
    "refusal": UsageReport(Usage(input=10, output=8), True, 19, "stop"),
    "annotations": UsageReport(Usage(input=10, output=8), True, 37, "stop"),
    "function_call": UsageReport(None, False, 15, "function_call"),
    "text_between_tools": UsageReport(Usage(input=3, output=4), True, 5 + 2 + 5, "tool_calls"),
    "azure_filter": UsageReport(Usage(input=9, output=1), True, 2, "content_filter"),
}
HAS_USAGE_FRAME = (
    "text_with_usage",
    "tools",
    "usage_before_finish",
    "without_done",
    "crlf",
    "azure_filter",
    "interleaved_tools",
    "refusal",
    "annotations",
)
FAILING = ("error_midway", "openrouter_error")


def without_usage_frame(stream: bytes) -> bytes:
    """The stream less the one frame whose choices are empty and whose usage is not."""
    end = b"\r\n\r\n" if b"\r" in stream else b"\n\n"
    frames = [frame + end for frame in stream.split(end)[:-1]]
    return b"".join(f for f in frames if not (b'"choices":[]' in f and b'"usage":{' in f))


def test_every_recorded_stream_is_expected() -> None:
    assert names("openai_chat", "sse") == sorted(f"openai_chat/{name}.sse" for name in STREAMS)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_passes_unchanged_and_is_counted(name: str) -> None:
    stream = answer(f"openai_chat/{name}.sse")
    watching = scanner()
    assert feed_all(watching, stream) == (stream, STREAMS[name])
    assert watching.ended is (name not in {"without_done", *FAILING})
    assert watching.failed is (name in FAILING)
    assert watching.complete
    assert watching.at_boundary


@pytest.mark.parametrize("name", STREAMS)
def test_only_the_usage_frame_is_withheld(name: str) -> None:
    stream = answer(f"openai_chat/{name}.sse")
    expected = without_usage_frame(stream)
    assert (expected != stream) is (name in HAS_USAGE_FRAME)
    assert feed_all(scanner(withhold_usage=True), stream) == (expected, STREAMS[name])


@pytest.mark.parametrize("withhold", [False, True])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_split_at_any_byte_gives_the_same_report_and_bytes(name: str, withhold: bool) -> None:
    stream = answer(f"openai_chat/{name}.sse")
    whole = (without_usage_frame(stream) if withhold else stream), STREAMS[name]
    for at in range(len(stream) + 1):
        assert feed_all(scanner(withhold_usage=withhold), stream[:at], stream[at:]) == whole
    assert feed_all(scanner(withhold_usage=withhold), *(stream[at : at + 1] for at in range(len(stream)))) == whole


def test_a_withholding_stream_passes_whole_frames_only() -> None:
    watching = scanner(withhold_usage=True)
    stream = answer("openai_chat/no_usage.sse")
    cut = stream.index(b"\n\n") + 20
    passed = watching.feed(stream[:cut])
    assert passed == stream[: cut - 18]
    assert watching.at_boundary
    assert watching.flush() == stream[cut - 18 : cut]


def test_what_was_withheld_takes_the_rest_of_its_line_end_along() -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\r\n\r'
    watching = scanner(withhold_usage=True)
    assert watching.feed(b"data: {}\r\n\r") == b"data: {}\r\n\r"
    assert watching.feed(b"\n" + usage) == b"\n"
    assert watching.feed(b"\ndata: [DONE]\r\n\r\n") == b"data: [DONE]\r\n\r\n"


def test_a_stream_is_complete_at_a_finish_reason_but_not_before() -> None:
    stream = answer("openai_chat/without_done.sse")
    watching = scanner()
    first, second, _ = stream.split(b"\n\n")[:3]
    watching.feed(first + b"\n\n")
    assert not watching.complete
    watching.feed(second + b"\n\n")
    assert watching.complete
    watching.feed(b'data: {"choi')
    assert not watching.complete


def test_a_running_count_is_not_final_before_the_last_chunk() -> None:
    stream = answer("openai_chat/counting_along.sse")
    frames = stream.split(b"\n\n")
    watching = scanner()
    for frame, output in zip(frames, (1, 2), strict=False):
        watching.feed(frame + b"\n\n")
        assert watching.report() == UsageReport(Usage(input=10, output=output), False, output)
    watching.feed(frames[2] + b"\n\n")
    assert watching.report().final


@pytest.mark.parametrize(
    ("name", "report"),
    [
        (
            "reasoning_and_cache",
            UsageReport(Usage(input=86, cache_read=1920, output=300, reasoning=192), True, 7, "stop"),
        ),
        (
            "audio",
            UsageReport(Usage(input=40, cache_read=20, output=20, audio_input=60, audio_output=70), True, 5, "stop"),
        ),
        (
            "cache_write",
            UsageReport(
                Usage(input=100, cache_read=1000, cache_write_5m=3900, output=20, web_searches=1),
                True,
                2,
                "stop",
                12_300_000,
            ),
        ),
        ("xai", UsageReport(Usage(input=26, cache_read=6, output=103, reasoning=94), True, 5, "stop")),
        ("tools", UsageReport(Usage(input=82, output=17), True, 15, "tool_calls")),
        ("embedding", UsageReport(Usage(input=8), True, 0)),
        ("error", UNREAD),
    ],
)
def test_a_whole_answer_is_counted(name: str, report: UsageReport) -> None:
    assert CODEC.scan_response(answer(f"openai_chat/{name}.json")) == report


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (b'{"prompt_tokens":10,"prompt_tokens_details":null}', Usage(input=10)),
        (b'{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":99}}', Usage(cache_read=10)),
        (b'{"prompt_tokens":10,"prompt_cache_hit_tokens":4}', Usage(input=6, cache_read=4)),
        (b'{"prompt_tokens":10,"cache_creation_input_tokens":4}', Usage(input=6, cache_write_5m=4)),
        (b'{"prompt_tokens":10,"cache_creation_input_tokens":400}', Usage(cache_write_5m=10)),
        (b'{"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":9}}', Usage(output=5, reasoning=5)),
        (b'{"prompt_tokens":"10","completion_tokens":5.5}', None),
        (b"{}", None),
        (b"[]", None),
    ],
)
def test_classes_stay_disjoint_whatever_a_host_says(usage: bytes, counts: Usage | None) -> None:
    assert CODEC.scan_response(b'{"usage":' + usage + b"}").usage == counts


@pytest.mark.parametrize("choices", [b"5", b"[5]", b'[{"delta":5}]', b'[{"message":"x"}]', b'{"0":{}}'])
def test_odd_choices_do_not_hide_the_usage(choices: bytes) -> None:
    body = b'{"choices":' + choices + b',"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    assert CODEC.scan_response(body).usage == Usage(input=3, output=4)
    passed, report = feed_all(scanner(withhold_usage=True), b"data: " + body + b"\n\n")
    assert passed == b"data: " + body + b"\n\n"
    assert report.usage == Usage(input=3, output=4)


@pytest.mark.parametrize("body", [b"", b"[DONE]", b"[]", b"\xff", b"{" * 5000, b'{"a":' * 5000])
def test_an_unreadable_answer_reports_nothing(body: bytes) -> None:
    assert CODEC.scan_response(body) == UNREAD


@pytest.mark.parametrize("withhold", [False, True])
def test_a_frame_without_end_passes_on_and_leaves_the_count_unfinal(withhold: bool) -> None:
    watching = ChatScanner(withhold_usage=withhold, splitter=FrameSplitter(limit_bytes=1000))
    usage = b'data: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
    chunks = (usage, b"data: " + b"x" * 900, b"y" * 900, b"\n\ndata: [DONE]\n\n")
    assert b"".join(watching.feed(chunk) for chunk in chunks) + watching.flush() == b"".join(chunks)
    assert watching.report().usage == Usage(input=1, output=1)
    assert not watching.report().final
    assert not watching.at_boundary


_SAID = st.one_of(st.none(), st.booleans(), st.integers(-2, 2**41), st.text(max_size=2), st.decimals(allow_nan=False))
_DETAILS = st.dictionaries(
    st.sampled_from(("cached_tokens", "cache_write_tokens", "audio_tokens", "reasoning_tokens", "web_search_requests")),
    _SAID,
)
_COUNTED = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(0, 9000)},
    optional={
        **dict.fromkeys(("completion_tokens", "total_tokens", "prompt_cache_hit_tokens", "more"), _SAID),
        **dict.fromkeys(("prompt_tokens_details", "completion_tokens_details", "server_tool_use"), _SAID | _DETAILS),
    },
)


@given(_COUNTED)
def test_one_count_that_is_none_spoils_no_other(usage: dict[str, Any]) -> None:
    plain: dict[str, Any] = {name: value for name, value in usage.items() if type(value) is int and 0 <= value <= 2**40}
    for name in ("prompt_tokens_details", "completion_tokens_details", "server_tool_use"):
        details = usage.get(name)
        if isinstance(details, dict):
            plain[name] = {key: value for key, value in details.items() if type(value) is int and 0 <= value <= 2**40}
    assert usage_of(usage) == usage_of(plain)
