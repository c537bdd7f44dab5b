"""Every error born in the gateway, in the shape, status and headers that clients of each protocol understand."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from app.base.errors import (
    BudgetExhausted,
    Forbidden,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotAllowed,
    ModelNotFound,
    NotFound,
    RateLimited,
    RequestTimeout,
    StorageUnavailable,
    TooLarge,
    Unauthenticated,
    Unprocessable,
    UpstreamBroken,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.codec import Codec, RenderedError
from app.protocols.openai_chat.codec import OpenAIChat

ANTHROPIC: Codec = AnthropicMessages()
OPENAI: Codec = OpenAIChat()
DOLLAR = 1_000_000_000
RESET = datetime(2026, 12, 1, tzinfo=UTC)
NO_RETRY = {"x-should-retry": "false"}


def upstream(status: int) -> UpstreamError:
    error = UpstreamError('provider "anthropic" is overloaded', provider="anthropic", retry_after_s=7)
    error.status = status
    return error


def spent(
    *, limit: int = 50 * DOLLAR, spent: int = 50 * DOLLAR, period: str | None = "monthly", resets: bool = True
) -> BudgetExhausted:
    return BudgetExhausted(
        'spend limit reached · resets Dec 1: key "…abcd"',
        limit_nanousd=limit,
        spent_nanousd=spent,
        period=period,
        resets_at=RESET if resets else None,
        retry_after_s=864_000 if resets else None,
    )


@dataclass(frozen=True)
class Case:
    error: GatewayError
    anthropic: tuple[int, str]
    openai: tuple[int, str, str]
    headers: dict[str, str]


CASES = {
    "unreadable": Case(
        InvalidRequest('"model" is missing', param="model"),
        (400, "invalid_request_error"),
        (400, "invalid_request_error", "invalid_request"),
        {},
    ),
    "refused by a host of another protocol": Case(
        UpstreamRejected("prompt is too long", provider="gemini", status=400),
        (400, "invalid_request_error"),
        (400, "invalid_request_error", "upstream_rejected"),
        {},
    ),
    "unprocessable": Case(
        Unprocessable("no such value"),
        (422, "invalid_request_error"),
        (422, "invalid_request_error", "invalid_value"),
        {},
    ),
    **{
        code: Case(
            Unauthenticated("the key is not valid", code=code),
            (401, "authentication_error"),
            (401, "authentication_error", code),
            NO_RETRY,
        )
        for code in ("missing_api_key", "invalid_api_key", "expired_api_key", "blocked_api_key")
    },
    "forbidden": Case(
        Forbidden("this key may not use this route"),
        (403, "permission_error"),
        (403, "permission_error", "permission_denied"),
        {},
    ),
    "model not allowed": Case(
        ModelNotAllowed('key "…abcd" may not use "gpt-5.6"'),
        (400, "invalid_request_error"),
        (403, "permission_error", "model_not_allowed"),
        {},
    ),
    "no route": Case(NotFound("no route"), (404, "not_found_error"), (404, "not_found_error", "not_found"), {}),
    "no model": Case(
        ModelNotFound('no model "x"'), (404, "not_found_error"), (404, "not_found_error", "model_not_found"), {}
    ),
    "wrong method": Case(
        MethodNotAllowed("POST only"),
        (405, "invalid_request_error"),
        (405, "invalid_request_error", "method_not_allowed"),
        {},
    ),
    "slow body": Case(
        RequestTimeout("the body did not arrive"),
        (408, "invalid_request_error"),
        (408, "invalid_request_error", "request_timeout"),
        {},
    ),
    "too large": Case(
        TooLarge("at most 64 MB"),
        (413, "request_too_large"),
        (413, "invalid_request_error", "request_too_large"),
        {},
    ),
    "rate limit": Case(
        RateLimited("5 requests per minute", retry_after_s=12),
        (429, "rate_limit_error"),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        {"retry-after": "12"},
    ),
    "budget": Case(
        spent(),
        (429, "billing_error"),
        (402, "budget_exceeded", "budget_exceeded"),
        NO_RETRY | {"retry-after": "864000"},
    ),
    "provider overloaded": Case(
        upstream(529),
        (529, "overloaded_error"),
        (529, "overloaded_error", "upstream_error"),
        {"retry-after": "7"},
    ),
    "provider refused our credential": Case(
        upstream(401), (401, "api_error"), (401, "api_error", "upstream_error"), {"retry-after": "7"}
    ),
    "provider unreachable": Case(
        UpstreamUnreachable("no connection", provider="openai"),
        (502, "api_error"),
        (502, "api_error", "upstream_unreachable"),
        {},
    ),
    "provider broke off": Case(
        UpstreamBroken("cut", provider="openai"), (502, "api_error"), (502, "api_error", "upstream_broken"), {}
    ),
    "provider silent": Case(
        UpstreamTimeout("silent", provider="openai"), (504, "api_error"), (504, "api_error", "upstream_timeout"), {}
    ),
    "store down": Case(
        StorageUnavailable("Redis does not answer"),
        (503, "overloaded_error"),
        (503, "overloaded_error", "storage_unavailable"),
        {"retry-after": "2"},
    ),
    "unexpected": Case(GatewayError("a fault"), (500, "api_error"), (500, "api_error", "internal_error"), {}),
}


def headers_of(rendered: RenderedError) -> dict[str, str]:
    names = [name for name, _ in rendered.headers]
    assert len(set(names)) == len(names), "a header stands twice"
    return {name.decode(): value.decode() for name, value in rendered.headers}


@pytest.mark.parametrize("name", CASES)
def test_clients_of_messages_get_anthropics_shape(name: str) -> None:
    case = CASES[name]
    rendered = ANTHROPIC.render_error(case.error, "req_7")
    status, kind = case.anthropic
    assert rendered.status == status
    assert json.loads(rendered.body) == {
        "type": "error",
        "error": {"type": kind, "message": case.error.message},
        "request_id": "req_7",
    }
    headers = headers_of(rendered)
    assert headers.pop("content-type") == "application/json"
    assert headers.pop("request-id") == "req_7"
    assert {k: v for k, v in headers.items() if not k.startswith("anthropic-ratelimit-unified-")} == case.headers


@pytest.mark.parametrize("name", CASES)
def test_clients_of_chat_get_openais_shape(name: str) -> None:
    case = CASES[name]
    rendered = OPENAI.render_error(case.error, "req_7")
    status, kind, code = case.openai
    assert rendered.status == status
    assert json.loads(rendered.body) == {
        "error": {"message": case.error.message, "type": kind, "param": case.error.param, "code": code}
    }
    assert headers_of(rendered) == case.headers | {
        "content-type": "application/json",
        "request-id": "req_7",
        "x-request-id": "req_7",
    }


def unified(error: BudgetExhausted) -> dict[str, str]:
    prefix = "anthropic-ratelimit-unified-"
    headers = headers_of(ANTHROPIC.render_error(error, "req_7"))
    return {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}


def test_a_spent_budget_carries_the_refusal_set() -> None:
    reset = str(int(RESET.timestamp()))
    assert unified(spent()) == {
        "status": "rejected",
        "reset": reset,
        "overage-reset": reset,
        "overage-utilization": "1.00",
        "overage-surpassed-threshold": "1",
        "overage-period": "monthly",
        "overage-disabled-reason": "org_spend_cap_reached",
    }


@pytest.mark.parametrize(
    ("limit", "used", "utilization"),
    [(50, 50, "1.00"), (50, 49, "1.00"), (50, 62, "1.24"), (0, 0, "1.00"), (0, 5, "1.00"), (1, 12, "12.00")],
)
def test_the_utilization_of_a_refusal_is_at_least_one(limit: int, used: int, utilization: str) -> None:
    assert unified(spent(limit=limit * DOLLAR, spent=used * DOLLAR))["overage-utilization"] == utilization


@pytest.mark.parametrize("period", [None, "2w", "36h"])
def test_a_period_without_a_name_is_left_out(period: str | None) -> None:
    assert "overage-period" not in unified(spent(period=period))


def test_a_budget_without_end_names_no_reset() -> None:
    error = spent(period=None, resets=False)
    assert not {name for name in unified(error) if "reset" in name}
    assert "retry-after" not in headers_of(ANTHROPIC.render_error(error, "req_7"))
    assert "retry-after" not in headers_of(OPENAI.render_error(error, "req_7"))


@pytest.mark.parametrize("status", [400, 402, 422, 429])
def test_the_status_of_a_spent_budget_is_a_setting(status: int) -> None:
    for codec, kind in ((AnthropicMessages(status), "billing_error"), (OpenAIChat(status), "budget_exceeded")):
        rendered = codec.render_error(spent(), "req_7")
        assert rendered.status == status
        assert json.loads(rendered.body)["error"]["type"] == kind
        assert headers_of(rendered)["x-should-retry"] == "false"
        assert codec.render_error(Unauthenticated("no"), "req_7").status == 401


def _event(stream: bytes) -> tuple[list[str], dict[str, Any]]:
    assert stream.endswith(b"\n\n")
    lines = stream.decode().splitlines()[:-1]
    return lines[:-1], json.loads(lines[-1].removeprefix("data: "))


def test_an_error_in_a_stream_is_one_event() -> None:
    error = UpstreamBroken("the provider broke off:\nline two", provider="openai")
    assert _event(ANTHROPIC.render_stream_error(error, "req_7")) == (
        ["event: error"],
        {"type": "error", "error": {"type": "api_error", "message": error.message}, "request_id": "req_7"},
    )
    assert _event(OPENAI.render_stream_error(error, "req_7")) == (
        [],
        {"error": {"message": error.message, "type": "api_error", "param": None, "code": "upstream_broken"}},
    )


@pytest.mark.parametrize("codec", [ANTHROPIC, OPENAI])
def test_our_own_scanner_understands_our_error_and_our_ping(codec: Codec) -> None:
    scanner = codec.stream_scanner(withhold_usage=False)
    assert scanner.feed(codec.ping) == codec.ping
    assert (scanner.failed, scanner.at_boundary) == (False, True)
    scanner.feed(codec.render_stream_error(GatewayError("a fault"), "req_7"))
    assert (scanner.failed, scanner.ended, scanner.at_boundary) == (True, False, True)
