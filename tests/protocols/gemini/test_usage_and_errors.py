"""Usage beside passing bytes, and errors in both directions."""

from datetime import UTC, datetime

import msgspec
import pytest

from app.base.errors import (
    BudgetExhausted,
    GatewayError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    RateLimited,
    StorageUnavailable,
    TooLarge,
    Unauthenticated,
    UpstreamTimeout,
)
from app.domain.spend import Admitted, RateStanding
from app.domain.usage import Usage
from app.protocols.gemini.codec import Gemini
from tests.protocols.streams import answer, feed_all, names

GEMINI = Gemini()
STREAMS = sorted([*names("gemini", "sse"), *names("gemini", "stream")])
SPENT = BudgetExhausted(
    "spend limit reached",
    limit_nanousd=1,
    spent_nanousd=2,
    period=None,
    resets_at=datetime(2026, 12, 1, tzinfo=UTC),
    retry_after_s=9,
)


@pytest.mark.parametrize("name", STREAMS)
def test_bytes_pass_and_are_counted_wherever_they_are_split(name: str) -> None:
    body = answer(name)
    passed, expected = feed_all(GEMINI.stream_scanner(withhold_usage=False), body)
    assert passed == body
    for place in range(len(body)):
        passed, report = feed_all(GEMINI.stream_scanner(withhold_usage=False), body[:place], body[place:])
        assert (passed, report) == (body, expected)


def test_the_last_usage_counts_even_after_the_finish_reason() -> None:
    scanner = GEMINI.stream_scanner(withhold_usage=True)
    body = answer("gemini/usage_after_finish.sse")
    first = body.index(b"\r\n\r\n") + 4
    scanner.feed(body[:first])
    assert (scanner.ended, scanner.complete, scanner.at_boundary, scanner.report().final) == (True, True, True, False)
    scanner.feed(body[first:])
    report = scanner.report()
    assert (report.usage, report.final, report.finish_reason) == (Usage(input=4, output=1), True, "STOP")


def test_output_is_measured_in_bytes() -> None:
    _, report = feed_all(GEMINI.stream_scanner(withhold_usage=False), answer("gemini/text.sse"))
    assert report.output_bytes == len("Grüße aus Köln: 日本 🍣.".encode())


@pytest.mark.parametrize("name", ["error_midway.sse", "array_error.stream"])
def test_an_error_in_a_stream_is_seen(name: str) -> None:
    scanner = GEMINI.stream_scanner(withhold_usage=False)
    feed_all(scanner, answer(f"gemini/{name}"))
    assert (scanner.failed, scanner.complete, scanner.report().final) == (True, True, False)


def test_nothing_of_ours_may_stand_in_an_array() -> None:
    scanner = GEMINI.stream_scanner(withhold_usage=False)
    scanner.feed(answer("gemini/array.stream"))
    assert not scanner.at_boundary
    assert scanner.ended


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("text.json", Usage(input=2, output=33, reasoning=24)),
        ("blocked.json", Usage(input=17)),
        ("code.json", Usage(input=31, output=30)),
        ("image.json", Usage(input=9, output=1290, images=1)),
        ("audio.json", Usage(input=18, cache_read=20, audio_input=12, audio_output=30)),
        ("error.json", None),
    ],
)
def test_whole_answers_are_counted(name: str, usage: Usage | None) -> None:
    report = GEMINI.scan_response(answer(f"gemini/{name}"))
    assert (report.usage, report.final) == (usage, usage is not None)


def test_thoughts_that_are_counted_twice_are_counted_once() -> None:
    counts = b'"promptTokenCount":10,"candidatesTokenCount":50,"thoughtsTokenCount":40,"totalTokenCount":60'
    body = b'{"usageMetadata":{%b}}' % counts
    assert GEMINI.scan_response(body).usage == Usage(input=10, output=50, reasoning=40)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (InvalidRequest("x"), 400, "INVALID_ARGUMENT"),
        (Unauthenticated("x"), 401, "UNAUTHENTICATED"),
        (ModelNotAllowed("x"), 403, "PERMISSION_DENIED"),
        (ModelNotFound("x"), 404, "NOT_FOUND"),
        (TooLarge("x"), 413, "INVALID_ARGUMENT"),
        (SPENT, 402, "RESOURCE_EXHAUSTED"),
        (RateLimited("x", retry_after_s=7), 429, "RESOURCE_EXHAUSTED"),
        (StorageUnavailable("x"), 503, "UNAVAILABLE"),
        (UpstreamTimeout("x", provider="p"), 504, "DEADLINE_EXCEEDED"),
        (GatewayError("x"), 500, "INTERNAL"),
    ],
)
def test_errors_have_googles_shape(error: GatewayError, code: int, status: str) -> None:
    rendered = GEMINI.render_error(error, "req_1")
    body = msgspec.json.decode(rendered.body)["error"]
    assert (rendered.status, body["code"], body["status"], body["message"]) == (code, code, status, error.message)
    assert (b"request-id", b"req_1") in rendered.headers


def test_a_rate_limit_says_when_to_try_again_and_a_spent_budget_does_not_invite_to() -> None:
    limited = GEMINI.render_error(RateLimited("x", retry_after_s=7), "r")
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    assert retry in msgspec.json.decode(limited.body)["error"]["details"]
    assert (b"retry-after", b"7") in limited.headers
    spent = GEMINI.render_error(SPENT, "r")
    assert b"RetryInfo" not in spent.body
    assert b"BUDGET_EXCEEDED" in spent.body
    assert {(b"x-should-retry", b"false"), (b"retry-after", b"9")} <= set(spent.headers)
    assert Gemini(429).render_error(SPENT, "r").status == 429


def test_a_hosts_refusal_keeps_its_text_and_its_time() -> None:
    error = GEMINI.parse_error(429, answer("gemini/error.json"), "gemini")
    assert (error.status, error.code, error.retry_after_s) == (429, "RESOURCE_EXHAUSTED", 18)
    assert "You exceeded your current quota" in error.message


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (403, b"<html>", 502),
        (400, b'{"error":{"message":"bad key","details":[{"reason":"API_KEY_INVALID"}]}}', 502),
        (400, b'[{"error":{"message":"too long","status":"INVALID_ARGUMENT"}}]', 400),
        (503, b"", 503),
        (200, b"null", 502),
        (599, b"\xff\xfe", 599),
    ],
)
def test_a_hosts_refusal_is_understood_whatever_it_is(status: int, body: bytes, shown: int) -> None:
    assert GEMINI.parse_error(status, body, "gemini").status == shown


def test_limits_are_told() -> None:
    standing = RateStanding(10, 4, 30)
    assert GEMINI.limit_headers(Admitted(standing, None, ()), 0) == [
        (b"x-ratelimit-limit-requests", b"10"),
        (b"x-ratelimit-remaining-requests", b"4"),
        (b"x-ratelimit-reset-requests", b"30s"),
    ]
