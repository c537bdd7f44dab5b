"""Keys of idempotency with the official SDKs at a running gateway: one call of the provider, one receipt."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import MessageParam
from openai.types.chat import ChatCompletionMessageParam

from app.base.ids import new_id
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]
ASKED: list[MessageParam] = [{"role": "user", "content": "Once, please"}]
CHAT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Once, please"}]
REPLAY = "x-keyhouse-idempotent-replay"


@pytest.fixture
async def virtual_key(admin: Admin) -> str:
    return await admin.generate()


@pytest.fixture
async def claude(gateway: GatewayProcess, virtual_key: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    http = anthropic.DefaultAsyncHttpxClient(trust_env=False)
    async with anthropic.AsyncAnthropic(
        api_key=virtual_key, base_url=gateway.base_url, http_client=http, max_retries=2
    ) as client:
        yield client


@pytest.fixture
async def chat(gateway: GatewayProcess, virtual_key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(
        api_key=virtual_key, base_url=f"{gateway.base_url}/v1", http_client=http, max_retries=2
    ) as client:
        yield client


def key() -> dict[str, str]:
    return {"Idempotency-Key": new_id("i")}


async def test_the_same_stream_again_is_one_call_and_one_receipt_whatever_tools_it_has(
    claude: anthropic.AsyncAnthropic, upstream: RecordingUpstream, admin: Admin, virtual_key: str
) -> None:
    upstream.default = Script(events=9, unicode=True, tools=1, split=7)
    tools: Any = [{"name": "pay", "input_schema": {"type": "object"}}]
    headers, answers, heads = key(), [], []
    for _ in range(3):
        async with claude.messages.stream(
            model="claude-sonnet-4-6", max_tokens=300, messages=ASKED, tools=tools, extra_headers=headers
        ) as stream:
            answers.append(await stream.get_final_message())
            heads.append(stream.response.headers)
    assert answers[1:] == [answers[0]] * 2
    assert [REPLAY in head for head in heads] == [False, True, True]
    assert len(upstream.requests) == 1
    assert upstream.requests[0].header("idempotency-key") is None
    [receipt] = await admin.receipts(virtual_key, 1)
    assert {head["request-id"] for head in heads} == {receipt["request_id"]}


async def test_a_retry_while_the_first_is_under_way_waits_for_its_answer(
    chat: openai.AsyncOpenAI, upstream: RecordingUpstream, admin: Admin, virtual_key: str
) -> None:
    upstream.default = Script(delay_ms=700)
    headers = key()
    first, again = await asyncio.gather(
        *(chat.chat.completions.create(model="gpt-5", messages=CHAT, extra_headers=headers) for _ in range(2))
    )
    assert first == again
    assert len(upstream.requests) == 1
    assert len(await admin.receipts(virtual_key, 1)) == 1
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        await chat.chat.completions.create(model="gpt-5", messages=CHAT, seed=1, extra_headers=headers)
    assert refused.value.code == "idempotency_key_reused"


async def test_a_client_that_gave_up_gets_the_answer_that_was_paid_for(
    claude: anthropic.AsyncAnthropic, upstream: RecordingUpstream, admin: Admin, virtual_key: str
) -> None:
    upstream.script(Script(events=6, delay_ms=40), Script(delay_ms=400))
    headers = key()
    impatient = claude.with_options(timeout=0.15, max_retries=0)
    asked: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": ASKED}
    async with claude.messages.stream(**asked, extra_headers=headers) as stream:
        async for _ in stream:
            break  # and the connection is closed
    with pytest.raises(anthropic.APITimeoutError):
        await impatient.messages.create(**asked, extra_headers=(whole := key()))
    async with claude.messages.stream(**asked, extra_headers=headers) as stream:
        message = await stream.get_final_message()
        assert stream.response.headers[REPLAY] == "true"
    answer = await claude.messages.create(**asked, extra_headers=whole)
    assert message.stop_reason == answer.stop_reason == "end_turn"
    assert len(upstream.requests) == 2
    assert [row["status"] for row in await admin.receipts(virtual_key, 2)] == ["success", "success"]


async def test_a_refused_call_leaves_nothing_behind_and_its_retry_is_made(
    chat: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.script(Script(error=500), Script())
    headers = key()
    answer = await chat.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input="Once", extra_headers=headers
    )
    again = await chat.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input="Once", extra_headers=headers
    )
    assert (len(upstream.requests), again.headers[REPLAY], REPLAY in answer.headers) == (2, "true", False)
    assert answer.content == again.content


async def test_a_batch_that_is_sent_again_is_made_once(
    claude: anthropic.AsyncAnthropic, upstream: RecordingUpstream
) -> None:
    headers = key()
    params: Any = {"model": "claude-haiku-4-5", "max_tokens": 20, "messages": ASKED}
    made = [
        await claude.messages.batches.create(requests=[{"custom_id": "a", "params": params}], extra_headers=headers)
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert len(upstream.requests) == 1
