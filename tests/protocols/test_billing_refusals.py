"""Which refusals say that an account is out of money, in the providers' own words."""

import msgspec
import pytest

from app.protocols.billing_refusals import billing_refusal


def anthropic(kind: str, message: str) -> bytes:
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})


def openai(code: object, kind: str, message: str) -> bytes:
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


LOW = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."
SPENT = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
QUOTA = "You exceeded your current quota, please check your plan and billing details."
DEEPSEEK = {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (402, anthropic("billing_error", "There is an issue with your payment."), "There is an issue"),
        (400, anthropic("invalid_request_error", LOW), "credit balance"),
        (400, anthropic("invalid_request_error", SPENT), "usage limits"),
        (429, anthropic("billing_error", "spend limit reached"), "spend limit"),
        (429, openai("insufficient_quota", "insufficient_quota", QUOTA), "quota"),
        (400, openai("billing_hard_limit_reached", "invalid_request_error", "Billing hard limit"), "hard limit"),
        (402, msgspec.json.encode(DEEPSEEK), "Insufficient Balance"),
        (402, b'{"error":{"code":402,"message":"Insufficient credits. Add more"}}', "Insufficient credits"),
        (402, b"<html>Payment Required</html>", "Payment Required"),
        (402, b"", ""),
        (
            429,
            b'{"error":{"code":429,"message":"Your prepayment credits are depleted.","status":"RESOURCE_EXHAUSTED"}}',
            "prepayment",
        ),
    ],
)
def test_out_of_money_is_told_from_other_refusals(status: int, body: bytes, says: str) -> None:
    said = billing_refusal(status, body)

    assert said is not None
    assert says in said


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, anthropic("rate_limit_error", "This request would exceed your organization's rate limit.")),
        (429, openai("rate_limit_exceeded", "requests", "Rate limit reached for gpt-5")),
        (400, anthropic("invalid_request_error", "max_tokens: must be positive")),
        (401, openai("invalid_api_key", "invalid_request_error", "Incorrect API key provided")),
        (429, b'{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing '
              b'details. Quota exceeded for metric: x","status":"RESOURCE_EXHAUSTED"}}'),
        (500, anthropic("billing_error", "no")),
        (400, b"\xff\xfe"),
        (400, b"[]"),
        (400, b'{"error": ["x"]}'),
    ],
)  # fmt: skip
def test_an_ordinary_refusal_is_not_about_money(status: int, body: bytes) -> None:
    assert billing_refusal(status, body) is None
