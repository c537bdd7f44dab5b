"""The envelope of a request, and what the gateway itself says to clients of the Responses API."""

import json
from typing import Any

import msgspec
import pytest

from app.base.errors import BudgetExhausted, InvalidRequest, NotFound, RateLimited
from app.base.money import NanoUSD
from app.domain.spend import Admitted, RateStanding
from app.domain.usage import Usage
from app.protocols.openai_responses.codec import OpenAIResponses
from tests.protocols.openai_responses.room import CODEC, DIALECT, body_of
from tests.protocols.streams import answer


def test_an_envelope_has_what_the_body_says() -> None:
    envelope = CODEC.read_envelope(
        body_of(stream=True, max_output_tokens=99, user="customer-7", metadata={"tags": ["a", "b"]})
    )
    assert (envelope.model, envelope.stream, envelope.max_output_tokens) == ("team/gpt", True, 99)
    assert (envelope.customer, envelope.session_id, envelope.tags) == ("customer-7", None, ("a", "b"))
    assert CODEC.read_envelope(body_of(safety_identifier="s")).customer == "s"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"model":NaN}', b'{"a":' * 100_000])
def test_whatever_the_bytes_are_only_invalid_request_is_raised(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        CODEC.read_envelope(body)


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"stream": "yes"}, "stream"), ({"max_output_tokens": -1}, "max_output_tokens"), ({"model": 5}, "model")],
)
def test_a_field_of_the_wrong_type_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_envelope(body_of(**fields))
    assert caught.value.param == param


def test_only_the_model_changes() -> None:
    body = b'{ "input" : [ {"content":"\\u00e9 \xc3\xa9","x":1.10} ],"model" : "alias" , "store":true}'
    outgoing = CODEC.rewrite(CODEC.read_envelope(body), 'real "name"', DIALECT, ())
    assert outgoing.body == body.replace(b'"alias"', b'"real \\"name\\""')
    assert not outgoing.withhold_usage


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b'{"model":"a","metadata":{"tags":["x"]},"n":1}', b'{"model":"a","n":1}'),
        (b'{"model":"a","metadata":{"run":"7","tags":[]}}', b'{"model":"a","metadata":{"run":"7"}}'),
        (b'{"model":"a","metadata":{"tags":"text"}}', b'{"model":"a","metadata":{"tags":"text"}}'),
    ],
)
def test_a_list_of_tags_is_ours_and_does_not_go_to_the_provider(asked: bytes, sent: bytes) -> None:
    assert CODEC.rewrite(CODEC.read_envelope(asked), "a", DIALECT, ()).body == sent


def test_tokens_are_counted_elsewhere() -> None:
    with pytest.raises(NotFound):
        CODEC.render_count(5)


def test_a_hosts_refusal_keeps_its_words() -> None:
    error = CODEC.parse_error(400, answer("openai_responses/error.json"), "openai")
    assert (error.status, error.code, error.provider) == (400, "unsupported_parameter", "openai")
    assert error.message.startswith("Unsupported parameter: 'temperature'")


@pytest.mark.parametrize(
    ("status", "body", "seen", "says"),
    [
        (401, b'{"error":{"message":"Incorrect API key provided: sk-abc"}}', 502, "credential"),
        (402, b"", 502, "no credit"),
        (403, b"", 502, "account"),
        (429, b'{"error":{"message":"slow"}}', 429, "slow"),
        (500, b"<html>oops</html>", 500, "openai answered with status 500"),
        (404, b'{"detail":"Not Found"}', 404, "Not Found"),
        (200, b"", 502, "openai answered with status 200"),
    ],
)
def test_any_refusal_of_a_host_is_understood(status: int, body: bytes, seen: int, says: str) -> None:
    error = CODEC.parse_error(status, body, "openai")
    assert error.status == seen
    assert says in error.message
    assert "sk-abc" not in error.message


def test_an_error_of_the_gateway_has_openais_shape() -> None:
    told = CODEC.render_error(RateLimited("too fast", retry_after_s=7), "req_1")
    assert told.status == 429
    assert dict(told.headers)[b"retry-after"] == b"7"
    assert json.loads(told.body)["error"] == {
        "message": "too fast",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }


@pytest.mark.parametrize(("budget_status", "seen"), [(None, 402), (400, 400)])
def test_the_status_of_a_spent_budget_can_be_set(budget_status: int | None, seen: int) -> None:
    error = BudgetExhausted(
        "spent",
        limit_nanousd=NanoUSD(1),
        spent_nanousd=NanoUSD(1),
        period=None,
        resets_at=None,
        retry_after_s=None,
    )
    assert OpenAIResponses(budget_status).render_error(error, "req_1").status == seen


def test_limits_are_told_as_openai_tells_them() -> None:
    admitted = Admitted(RateStanding(limit=10, remaining=9, reset_s=30), None, ())
    assert CODEC.limit_headers(admitted, 1_763_000_000) == [
        (b"x-ratelimit-limit-requests", b"10"),
        (b"x-ratelimit-remaining-requests", b"9"),
        (b"x-ratelimit-reset-requests", b"30s"),
    ]


def test_searches_in_files_are_counted_by_their_items_whole_and_streamed() -> None:
    found = {"type": "file_search_call", "status": "completed", "queries": ["rates"], "results": None}
    message = {"type": "message", "content": [{"type": "output_text", "text": "as the file says"}]}
    response = {
        "status": "completed",
        "output": [found, found, message],
        "usage": {"input_tokens": 9, "output_tokens": 4},
    }
    usage = Usage(input=9, output=4, file_searches=2)
    assert CODEC.scan_response(msgspec.json.encode(response)).usage == usage
    scanner = CODEC.stream_scanner(withhold_usage=False)
    ended = msgspec.json.encode({"type": "response.completed", "response": response})
    scanner.feed(b"event: response.completed\ndata: " + ended + b"\n\n")
    assert scanner.report().usage == usage


KEPT: dict[str, Any] = {
    "id": "resp_1",
    "status": "completed",
    "store": True,
    "output": [],
    "usage": {"input_tokens": 9},
}


@pytest.mark.parametrize(
    ("response", "kept_as"),
    [
        (KEPT, "resp_1"),
        ({"id": "resp_1", "status": "incomplete", "store": True, "usage": None}, "resp_1"),
        ({"id": "resp_1", "status": "completed"}, "resp_1"),
        ({**KEPT, "store": False}, None),
        ({**KEPT, "id": None}, None),
        ({**KEPT, "id": ""}, None),
        ({**KEPT, "id": "r" * 513}, None),
    ],
)
def test_an_answer_is_kept_under_its_id_where_its_host_does_not_say_that_it_is_not(
    response: dict[str, Any], kept_as: str | None
) -> None:
    assert CODEC.scan_response(msgspec.json.encode(response)).kept_as == kept_as
    for last in ("response.completed", "response.incomplete", "response.failed"):
        scanner = CODEC.stream_scanner(withhold_usage=False)
        scanner.feed(frame("response.created", response) + frame(last, response))
        assert scanner.report().kept_as == kept_as


def test_a_stream_that_breaks_off_has_told_its_id_already() -> None:
    scanner = CODEC.stream_scanner(withhold_usage=False)
    scanner.feed(frame("response.created", {**KEPT, "usage": None}) + frame("response.in_progress", KEPT)[:20])
    assert [scanner.report().kept_as for _ in range(2)] == ["resp_1", "resp_1"]
    assert not scanner.report().final


def test_a_stream_whose_first_frame_makes_no_sense_says_nothing_of_its_id() -> None:
    scanner = CODEC.stream_scanner(withhold_usage=False)
    scanner.feed(b'data: {"type": "response.created", "response": 7}\n\n')
    assert scanner.report().kept_as is None


def frame(kind: str, response: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode({"type": kind, "response": response}) + b"\n\n"
