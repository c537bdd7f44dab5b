"""A host's refusal in the words of each client's protocol: status, kind, and the text that agents look for."""

import json
from typing import Any

import pytest

from app.protocols.codec import Codec
from tests.translation.paths import CODECS, NAMES

LONG = "prompt is too long: 250000 tokens > 200000 maximum"


def refusal_of(host: str, status: int, message: str) -> bytes:
    bodies: dict[str, Any] = {
        "anthropic_messages": {"type": "error", "error": {"type": "invalid_request_error", "message": message}},
        "gemini": {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}},
        "ollama": {"error": message},
    }
    body = bodies.get(host, {"error": {"message": message, "type": "invalid_request_error", "code": None}})
    return json.dumps(body).encode()


def told(host: str, front: str, status: int, message: str) -> tuple[int, dict[str, Any], str]:
    error = CODECS[host].parse_error(status, refusal_of(host, status, message), "the host")
    rendered = CODECS[front].render_error(error, "req_1")
    body = json.loads(rendered.body)
    said = body["error"] if isinstance(body["error"], str) else body["error"]["message"]
    return rendered.status, body, said


KINDS: dict[int, dict[str, str]] = {
    400: {"anthropic_messages": "invalid_request_error", "openai_chat": "invalid_request_error"},
    404: {"anthropic_messages": "not_found_error", "openai_chat": "not_found_error"},
    413: {"anthropic_messages": "request_too_large", "openai_chat": "invalid_request_error"},
    429: {"anthropic_messages": "rate_limit_error", "openai_chat": "rate_limit_error"},
    500: {"anthropic_messages": "api_error", "openai_chat": "api_error"},
    503: {"anthropic_messages": "overloaded_error"},
    529: {"anthropic_messages": "overloaded_error", "openai_chat": "overloaded_error"},
    504: {"anthropic_messages": "timeout_error"},
}
GOOGLES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
GOOGLES[504] = "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("status", KINDS)
@pytest.mark.parametrize("front", NAMES)
@pytest.mark.parametrize("host", NAMES)
def test_a_refusal_keeps_its_status_and_text_and_has_the_clients_kind(host: str, front: str, status: int) -> None:
    if host == front:
        return
    seen, body, said = told(host, front, status, "so it is")
    assert (seen, "so it is" in said) == (status, True)
    match front:
        case "gemini":
            assert body["error"]["code"] == status
            assert body["error"]["status"] == GOOGLES.get(status, body["error"]["status"])
        case "ollama":
            assert body == {"error": said}
        case _:
            kind = KINDS[status].get("openai_chat" if front == "openai_responses" else front)
            assert body["error"]["type"] == (kind or body["error"]["type"])


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("front", NAMES)
@pytest.mark.parametrize("host", NAMES)
def test_what_the_host_has_against_the_gateway_never_looks_like_the_clients_own_fault(
    host: str, front: str, status: int
) -> None:
    if host == front:
        return
    key = "sk-proj-abcdefghijklmnop"
    seen, body, _ = told(host, front, status, f"Incorrect API key provided: {key}")
    assert seen == 502
    assert key not in json.dumps(body)


@pytest.mark.parametrize("front", NAMES)
@pytest.mark.parametrize("host", NAMES)
def test_agents_find_the_words_for_a_prompt_that_is_too_long(host: str, front: str) -> None:
    if host == front:
        return
    for message in (LONG, "This model's maximum context length is 128000 tokens."):
        _, _, said = told(host, front, 400, message)
        assert message in said


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>Bad gateway</body></html>", b"{", b"null", b'{"error":null}', b"\xff"]
)
@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_refusal_without_sense_is_a_clean_error(codec: Codec, body: bytes) -> None:
    error = codec.parse_error(502, body, "the host")
    assert error.status == 502
    assert "the host" in error.message
    assert "<" not in error.message
