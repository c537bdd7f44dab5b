"""How the two official SDKs take a refusal: what is raised, and after how many requests."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest

from tests.contract.refused import refusals
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

SONNET = "claude-sonnet-4-6"
UNKNOWN_KEY = "sk-kh-" + "0" * 49
CASES: dict[str, tuple[dict[str, Any], str, str, type[Exception], type[Exception], str]] = {
    "unknown key": (
        {}, SONNET, "invalid_api_key", anthropic.AuthenticationError, openai.AuthenticationError, "unknown API key",
    ),
    "spent budget": (
        {"max_budget": 0}, SONNET, "budget_exceeded", anthropic.RateLimitError, openai.APIStatusError, "spend limit re",
    ),
    "model not allowed": (
        {"models": ["gpt-5"]}, SONNET, "model_not_allowed", anthropic.BadRequestError, openai.PermissionDeniedError,
        "it may use",
    ),
    "unknown model": (
        {}, "gpt-6", "model_not_found", anthropic.NotFoundError, openai.NotFoundError, "did you mean",
    ),
}  # fmt: skip
"""The key, the model, our code, what each SDK raises, and words of ours in it."""


@pytest.fixture(params=CASES)
async def case(request: pytest.FixtureRequest, admin: Admin) -> tuple[Any, ...]:
    terms, model, code, *rest = CASES[request.param]
    key = UNKNOWN_KEY if code == "invalid_api_key" else await admin.generate(**terms)
    return (key, model, code, *rest)


@pytest.fixture
async def before(gateway: GatewayProcess, case: tuple[Any, ...], upstream: RecordingUpstream) -> AsyncIterator[int]:
    """What was refused so far; at the end it is one more, and the provider has heard nothing."""
    count = await refusals(gateway, case[2])
    yield count
    assert await refusals(gateway, case[2]) == count + 1
    assert upstream.requests == []


@pytest.mark.usefixtures("before")
async def test_anthropics_sdk_asks_once_and_raises_our_words(gateway: GatewayProcess, case: tuple[Any, ...]) -> None:
    key, model, _, raised, _, words = case
    http = anthropic.DefaultAsyncHttpxClient(trust_env=False)
    async with anthropic.AsyncAnthropic(api_key=key, base_url=gateway.base_url, http_client=http) as client:
        with pytest.raises(raised, match=words):
            await client.messages.create(model=model, max_tokens=5, messages=[{"role": "user", "content": "Hello"}])


@pytest.mark.usefixtures("before")
async def test_openais_sdk_asks_once_and_raises_our_words(gateway: GatewayProcess, case: tuple[Any, ...]) -> None:
    key, model, code, _, raised, words = case
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(api_key=key, base_url=f"{gateway.base_url}/v1", http_client=http) as client:
        with pytest.raises(raised, match=words) as caught:
            await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])
    assert isinstance(caught.value, openai.APIStatusError)
    assert caught.value.code == code
