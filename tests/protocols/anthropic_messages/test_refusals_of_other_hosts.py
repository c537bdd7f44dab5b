"""What a Messages client reads when a host of another protocol refuses."""

import json

import pytest

from app.base.errors import UpstreamRejected, UpstreamUnreachable
from app.protocols.anthropic_messages.errors import render_error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (402, "billing_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_a_refusal_has_the_type_of_its_status(status: int, kind: str) -> None:
    given = render_error(UpstreamRejected("no", provider="openai", status=status), "req_1")
    assert given.status == status
    assert json.loads(given.body)["error"] == {"type": kind, "message": "no"}


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
        "Your input exceeds the context window of this model.",
        "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
        "openai answered 400 (context_length_exceeded)",
        "the input length exceeds the context length",
    ],
)
def test_a_conversation_that_is_too_long_is_told_in_the_words_that_claude_code_knows(said: str) -> None:
    error = UpstreamRejected(said, provider="openai", status=400)
    assert json.loads(render_error(error, "req_1").body)["error"]["message"] == f"prompt is too long: {said}"


@pytest.mark.parametrize(
    "error",
    [
        UpstreamRejected("prompt is too long: 200001 tokens > 200000", provider="anthropic", status=400),
        UpstreamRejected("context length unknown", provider="openai", status=500),
        UpstreamRejected("no such model", provider="openai", status=400),
        UpstreamUnreachable("context window closed", provider="openai"),
    ],
)
def test_other_texts_stay_as_they_are(error: UpstreamRejected | UpstreamUnreachable) -> None:
    assert json.loads(render_error(error, "req_1").body)["error"]["message"] == error.message
