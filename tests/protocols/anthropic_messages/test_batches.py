"""Batches as bytes: requests read and rewritten in place, results cut into lines wherever the chunks were split."""

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.domain.usage import Usage
from app.protocols.anthropic_messages.batches import (
    Batch,
    BatchResult,
    ResultLines,
    object_id_of,
    read_batch,
    render_page,
    rewrite_batch,
    with_own_results_url,
    with_own_results_urls,
)
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Envelope

CODEC = AnthropicMessages()
# As the public API reference writes them (retrieving results), shortened in their texts.
RESULTS = (
    b'{"custom_id":"my-second-request","result":{"type":"succeeded","message":{"id":"msg_014VwiXbi91y3JMjcpyGBHX5",'
    b'"type":"message","role":"assistant","model":"claude-opus-4-6","content":[{"type":"text","text":"Hello again!"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":11,"output_tokens":36}}}}\n'
    b'{"custom_id":"my-first-request","result":{"type":"succeeded","message":{"id":"msg_01FqfsLoHwgeFbguDgpz48m7",'
    b'"type":"message","role":"assistant","model":"claude-opus-4-6","content":[{"type":"text","text":"Gr\xc3\xbc\xc3\x9fe"}],'
    b'"stop_reason":"max_tokens","usage":{"input_tokens":10,"cache_read_input_tokens":7,"output_tokens":34}}}}\n'
    b'{"custom_id":"third","result":{"type":"errored","error":{"type":"error","error":{"type":"invalid_request_error",'
    b'"message":"max_tokens: 0"}}}}\n'
    b'{"custom_id":"fourth","result":{"type":"expired"}}\n'
    b'{"custom_id":"fifth","result":{"type":"canceled"}}\n'
    b'{"custom_id":"sixth","result":{"type":"of_the_future","message":{"usage":{"input_tokens":1,"output_tokens":1}}}}\n'
)
SEEN = {"my-second-request": Usage(input=11, output=36), "my-first-request": Usage(input=10, cache_read=7, output=34)}


def read(body: bytes) -> Batch:
    return read_batch(body, CODEC.read_envelope)


def rename(batch: Batch, names: dict[str, str]) -> bytes:
    def rewrite(params: Envelope) -> bytes:
        return CODEC.rewrite(params, names[params.model], MessagesDialect(), ()).body

    return rewrite_batch(batch, rewrite)


def usages(results: list[BatchResult]) -> dict[str, Usage | None]:
    return {result.custom_id: result.report.usage for result in results}


def test_each_request_is_read_with_its_model_and_its_limits() -> None:
    batch = read(
        b'{"requests":[{"custom_id":"a","params":{"model":"x","max_tokens":7,"metadata":{"user_id":"u"}}},'
        b'{"custom_id":"b","params":{"model":"y"}}]}'
    )
    assert [(item.custom_id, item.params.model, item.params.max_output_tokens) for item in batch.items] == [
        ("a", "x", 7),
        ("b", "y", None),
    ]
    assert batch.items[0].params.customer == "u"


def test_only_the_models_change_and_every_other_byte_stays() -> None:
    body = (
        b' {"x": 1.0,\n"requests" : [ {"params":{ "model" :"a","temperature":1.50} , "custom_id":"1"}\t,\n'
        b'{"custom_id":"2","params":{"model":"b","messages":[{"role":"user","content":"\\u00fc \xc3\xbc"}]}} ]}\n'
    )
    assert rename(read(body), {"a": "a", "b": "b"}) is body
    changed = rename(read(body), {"a": "a", "b": "host-b"})
    assert changed == body.replace(b'"model":"b"', b'"model":"host-b"')


def test_requests_that_look_alike_are_each_rewritten_at_their_own_place() -> None:
    inner = b'{"custom_id":"%b","params":{"model":"a","messages":[%b]}}'
    body = b'{"requests":[%b,%b]}' % (inner % (b"1", b""), inner % (b"2", inner % (b"1", b"")))
    out = msgspec.json.decode(rename(read(body), {"a": "z"}))
    assert [item["params"]["model"] for item in out["requests"]] == ["z", "z"]
    assert out["requests"][1]["params"]["messages"][0]["params"]["model"] == "a"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "requests"),
        (b'{"requests":null}', "requests"),
        (b'{"requests":{}}', "requests"),
        (b'{"requests":[]}', "requests"),
        (b'{"requests":[1]}', "requests.0"),
        (b'{"requests":[{"params":{"model":"a"}}]}', "requests.0.custom_id"),
        (b'{"requests":[{"custom_id":"","params":{"model":"a"}}]}', "requests.0.custom_id"),
        (b'{"requests":[{"custom_id":7,"params":{"model":"a"}}]}', "requests.0.custom_id"),
        (b'{"requests":[{"custom_id":"%b","params":{"model":"a"}}]}' % (b"x" * 65), "requests.0.custom_id"),
        (b'{"requests":[{"custom_id":"\\u0000","params":{"model":"a"}}]}', "requests.0.custom_id"),
        (b'{"requests":[{"custom_id":"a"}]}', "requests.0.params"),
        (b'{"requests":[{"custom_id":"a","params":[]}]}', "requests.0.params"),
        (b'{"requests":[{"custom_id":"a","params":{}}]}', "requests.0.params.model"),
        (b'{"requests":[{"custom_id":"a","params":{"model":"m","max_tokens":"9"}}]}', "requests.0.params.max_tokens"),
        (
            b'{"requests":[{"custom_id":"a","params":{"model":"m"}},{"custom_id":"a","params":{"model":"m"}}]}',
            "requests.1.custom_id",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_place(body: bytes, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(body)
    assert refused.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["requests", "custom_id", "params", "model", "result", "id", "data"]), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=100)
@given(JSON)
def test_arbitrary_json_is_refused_and_nothing_else(value: object) -> None:
    body = msgspec.json.encode({"requests": value} if isinstance(value, list) else value)
    with contextlib.suppress(InvalidRequest, KeyError):
        rename(read(body), {})
    with_own_results_url(body)
    with_own_results_urls(body)
    object_id_of(body)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 700, 10_000])
def test_results_are_the_same_bytes_and_the_same_counts_however_they_are_split(size: int) -> None:
    lines, passed, found = ResultLines(), b"", []
    for start in range(0, len(RESULTS), size):
        given, results = lines.feed(RESULTS[start : start + size])
        assert given == b"" or given.endswith(b"\n")
        passed += given
        found += results
    assert lines.flush() == (b"", [])
    assert (passed, usages(found), lines.unread) == (RESULTS, SEEN, 0)
    assert found[1].report.finish_reason == "max_tokens"


@pytest.mark.parametrize("at", range(0, len(RESULTS), 5))
def test_results_split_in_two_anywhere_are_read_alike(at: int) -> None:
    lines = ResultLines()
    one, first = lines.feed(RESULTS[:at])
    other, second = lines.feed(RESULTS[at:])
    assert one + other == RESULTS
    assert usages(first + second) == SEEN


def test_a_last_line_without_its_end_counts_too() -> None:
    lines = ResultLines()
    first = RESULTS.partition(b"\n")[0]
    assert lines.feed(first) == (b"", [])
    rest, results = lines.flush()
    assert (rest, usages(results)) == (first, {"my-second-request": SEEN["my-second-request"]})


def test_lines_that_are_no_results_pass_and_are_numbered() -> None:
    lines = ResultLines()
    text = b'\n{"custom_id":1}\r\n<html>\n\xff\n' + RESULTS
    passed, results = lines.feed(text)
    assert (passed, usages(results), lines.unread) == (text, SEEN, 3)


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=30), max_size=6))
def test_arbitrary_bytes_pass_as_they_are(chunks: list[bytes]) -> None:
    lines = ResultLines()
    passed = b"".join(lines.feed(chunk)[0] for chunk in chunks)
    assert passed + lines.flush()[0] == b"".join(chunks)


def test_a_line_beyond_all_measure_is_told() -> None:
    lines = ResultLines(longest_bytes=10)
    lines.feed(b"x" * 10)
    assert not lines.overflowed
    lines.feed(b"x")
    assert lines.overflowed


def test_a_result_that_was_not_counted_tells_how_much_it_said() -> None:
    line = (
        b'{"custom_id":"a","result":{"type":"succeeded","message":{"content":[{"type":"text","text":"12345678"}]}}}\n'
    )
    [result] = ResultLines().feed(line)[1]
    assert (result.report.usage, result.report.output_bytes) == (None, 8)


def test_the_place_of_the_results_becomes_a_path_and_nothing_else_changes() -> None:
    body = b'{"id":"msgbatch_1" , "results_url":"https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"}'
    assert with_own_results_url(body) == (
        b'{"id":"msgbatch_1" , "results_url":"/v1/messages/batches/msgbatch_1/results"}'
    )
    assert with_own_results_urls(b'{"data":[%b],"has_more":false}' % body) == (
        b'{"data":[{"id":"msgbatch_1" , "results_url":"/v1/messages/batches/msgbatch_1/results"}],"has_more":false}'
    )
    for other in (b'{"id":"msgbatch_1","results_url":null}', b"<html>", b"[]", b""):
        assert with_own_results_url(other) == with_own_results_urls(other) == other


def test_only_a_name_that_can_be_kept_is_one() -> None:
    assert object_id_of(b'{"id":"file_1"}') == "file_1"
    for body in (b"{}", b'{"id":7}', b'{"id":""}', b'{"id":"\\u0000"}', b"no json"):
        assert object_id_of(body) is None


def test_a_page_is_written_for_old_and_new_clients() -> None:
    assert msgspec.json.decode(render_page([b'{"id":"b"}'], ["b", "a"], has_more=True)) == {
        "data": [{"id": "b"}],
        "has_more": True,
        "first_id": "b",
        "last_id": "a",
        "next_page": "page_a",
    }
    assert msgspec.json.decode(render_page([], [], has_more=False))["next_page"] is None
