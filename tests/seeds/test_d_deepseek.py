"""Part D, DeepSeek: reached by its prefix, and thinking switched on and off in its own words."""

from typing import Any

import httpx
import openai
import pytest

from tests.fakes.script import THINKING_TEXT, Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.asking import USER, ask, hear, member_of, text_of
from tests.seeds.conftest import PROVIDER_KEY, sent_body

pytestmark = [pytest.mark.services, pytest.mark.contract]

REASONER = "deepseek/deepseek-reasoner"
THOUGHTS = "".join(THINKING_TEXT)


async def test_d01_the_prefix_leads_to_deepseek_with_the_key_of_its_variable(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(openai_client, "deepseek/any-model-of-theirs")
    request = upstream.requests[-1]
    assert (request.path, request.header("authorization")) == ("/chat/completions", f"Bearer {PROVIDER_KEY}")
    assert sent_body(upstream)["model"] == "any-model-of-theirs"


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-coder", "deepseek-reasoner"])
async def test_d02_each_of_its_models_is_asked_by_its_own_name(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    completion = await ask(openai_client, f"deepseek/{model}")
    assert completion.choices[0].message.content
    assert sent_body(upstream)["model"] == model


async def test_d03_an_answer_is_streamed(openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    upstream.default = Script(text=("hello ", "from ", "here"))
    chunks = await hear(openai_client, "deepseek/deepseek-chat")
    assert text_of(chunks) == "hello from here"
    assert sent_body(upstream)["stream"] is True


@pytest.mark.parametrize("thinking", [{"type": "enabled"}, {"type": "enabled", "budget_tokens": 1024}])
async def test_d04_thinking_is_taken_and_a_budget_is_left_out(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, thinking: dict[str, Any]
) -> None:
    await ask(openai_client, REASONER, thinking=thinking)
    assert sent_body(upstream)["thinking"] == {"type": "enabled"}


async def test_d04_a_budget_of_a_messages_client_is_left_out_aloud(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    answer = await http.post(
        "/v1/messages",
        headers={"x-api-key": key},
        json={"model": REASONER, "max_tokens": 2048, "messages": USER, "thinking": thinking},
    )
    assert answer.status_code == 200, answer.text
    assert sent_body(upstream)["thinking"] == {"type": "enabled"}
    assert "budget_tokens" in answer.headers["x-keyhouse-losses"]


@pytest.mark.parametrize(
    ("effort", "kind"),
    [("none", "disabled"), *((effort, "enabled") for effort in ("minimal", "low", "medium", "high", "xhigh"))],
)
async def test_d05_any_effort_but_none_switches_thinking_on(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, effort: str, kind: str
) -> None:
    await ask(openai_client, REASONER, reasoning_effort=effort)
    assert sent_body(upstream)["thinking"] == {"type": kind}
    assert "reasoning_effort" not in sent_body(upstream)


async def test_d06_thoughts_stand_beside_the_content(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(thinking=True, text=("It is ", "four."))
    message = (await ask(openai_client, REASONER, thinking={"type": "enabled"})).choices[0].message
    assert (message.reasoning_content, message.content) == (THOUGHTS, "It is four.")
    chunks = await hear(openai_client, REASONER, thinking={"type": "enabled"})
    assert ("".join(member_of(chunks, "reasoning_content")), text_of(chunks)) == (THOUGHTS, "It is four.")


async def test_d07_the_sdk_and_a_plain_request_get_the_same_answer(
    openai_client: openai.AsyncOpenAI, http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(thinking=True, text=("A joke.",))
    by_sdk = (await ask(openai_client, REASONER)).choices[0].message
    plain = await http.post(
        "/chat/completions", headers={"authorization": f"Bearer {key}"}, json={"model": REASONER, "messages": USER}
    )
    by_hand = plain.json()["choices"][0]["message"]
    assert (by_sdk.reasoning_content, by_sdk.content) == (by_hand["reasoning_content"], by_hand["content"])
    first, second = upstream.requests
    assert first.json() == second.json()
