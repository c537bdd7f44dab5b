"""Errors of hosts, whatever stands in their bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.errors import NotFound
from tests.protocols.openai_chat.builders import CODEC
from tests.protocols.streams import answer


@pytest.mark.parametrize(
    ("status", "body", "seen", "message", "code"),
    [
        (429, answer("openai_chat/error.json"), 429, "Rate limit reached", "rate_limit_exceeded"),
        (
            400,
            b'{"error":{"message":"This model\'s maximum context length is 8192 tokens","type":"invalid_request_error",'
            b'"param":"messages","code":"context_length_exceeded"}}',
            400,
            "This model's maximum context length is 8192 tokens",
            "context_length_exceeded",
        ),
        (404, b'{"error":"model \'x\' not found"}', 404, "model 'x' not found", None),
        (422, b'{"detail":[{"loc":["body","model"],"msg":"field required"}]}', 422, "field required", None),
        (404, b'{"detail":"Not Found"}', 404, "Not Found", None),
        (500, b'{"message":"boom"}', 500, "boom", None),
        (400, b'[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]', 400, "bad", "INVALID_ARGUMENT"),
        (
            429,
            b'{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"slow down"}}}',
            429,
            "Provider returned error: slow down",
            None,
        ),
        (503, b"upstream connect error", 503, "upstream connect error", None),
        (502, b"<html><h1>502</h1></html>", 502, "acme answered with status 502 and no explanation", None),
        (529, b"", 529, "acme answered with status 529 and no explanation", None),
        (302, b"", 502, "acme answered with status 302 and no explanation", None),
    ],
)
def test_the_text_of_a_host_is_kept(status: int, body: bytes, seen: int, message: str, code: str | None) -> None:
    error = CODEC.parse_error(status, body, "acme")
    assert (error.status, error.message, error.provider) == (seen, message, "acme")
    assert error.code == (code or "upstream_rejected")


def test_what_is_wrong_with_our_account_does_not_look_like_the_callers_fault() -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-proj-abc***xyz9.","code":"invalid_api_key"}}'
    error = CODEC.parse_error(401, body, "openai")
    assert error.status == 502
    assert error.message == "openai refused the gateway's credential: Incorrect API key provided: …"
    error = CODEC.parse_error(402, b'{"error":{"message":"Insufficient credits","code":402}}', "openrouter")
    assert error.status == 502
    assert error.message == "openrouter says that the gateway's account has no credit: Insufficient credits"
    assert CODEC.parse_error(403, b"", "x").status == 502


@given(st.integers(100, 999), st.binary(max_size=60))
def test_no_body_makes_it_raise(status: int, body: bytes) -> None:
    assert 400 <= CODEC.parse_error(status, body, "acme").status < 600


def test_the_protocol_has_no_count_of_tokens() -> None:
    with pytest.raises(NotFound):
        CODEC.render_count(5)
