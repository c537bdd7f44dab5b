"""The official ``openai`` SDK through the gateway."""

import json
from collections.abc import AsyncIterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.contract.conftest import PROVIDER_KEY
from tests.contract.test_anthropic_sdk import SentBodies
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Grüße 👋"}]


@pytest.fixture
async def virtual_key(admin: Admin) -> str:
    return await admin.generate()


@pytest.fixture
def sent() -> SentBodies:
    return SentBodies()


@pytest.fixture
async def client(gateway: GatewayProcess, virtual_key: str, sent: SentBodies) -> AsyncIterator[openai.AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [sent]}, trust_env=False)
    async with openai.AsyncOpenAI(
        api_key=virtual_key, base_url=f"{gateway.base_url}/v1", http_client=http, max_retries=0
    ) as client:
        yield client


async def test_a_whole_answer_arrives_byte_for_byte_and_so_does_the_request(
    client: openai.AsyncOpenAI, sent: SentBodies, upstream: RecordingUpstream, virtual_key: str
) -> None:
    answer = await client.chat.completions.with_raw_response.create(model="gpt-5", messages=MESSAGES)
    received = upstream.requests[-1]
    assert received.body == sent.bodies[-1]
    assert received.header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert virtual_key not in str(received.headers)
    assert answer.content == bytes(upstream.responses[-1].body)


async def test_a_stream_is_asked_for_its_usage_which_a_client_who_did_not_ask_never_sees(
    client: openai.AsyncOpenAI, upstream: RecordingUpstream, admin: Admin, virtual_key: str
) -> None:
    upstream.script(Script(events=8, output_tokens=40, split=11))
    stream = await client.chat.completions.create(model="gpt-5", messages=MESSAGES, stream=True)
    chunks = [chunk async for chunk in stream]
    assert json.loads(upstream.requests[-1].body)["stream_options"] == {"include_usage": True}
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    rows = await admin.receipts(virtual_key, 1)
    assert rows[0]["completion_tokens"] == 40


async def test_a_client_who_asks_for_the_usage_gets_every_byte(
    client: openai.AsyncOpenAI, sent: SentBodies, upstream: RecordingUpstream
) -> None:
    upstream.script(Script(events=8, tools=1))
    async with client.chat.completions.with_streaming_response.create(
        model="gpt-5", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ) as answer:
        received = b"".join([chunk async for chunk in answer.iter_bytes()])
    assert upstream.requests[-1].body == sent.bodies[-1]
    assert received == bytes(upstream.responses[-1].body)


async def test_the_model_list_is_openais_and_holds_what_the_key_may_use(gateway: GatewayProcess, admin: Admin) -> None:
    limited = await admin.generate(models=["gpt-5"])
    async with openai.AsyncOpenAI(api_key=limited, base_url=f"{gateway.base_url}/v1", max_retries=0) as client:
        models = [model async for model in await client.models.list()]
        assert [(model.id, model.object) for model in models] == [("gpt-5", "model")]
        with pytest.raises(openai.PermissionDeniedError, match="gpt-5"):
            await client.chat.completions.create(model="claude-sonnet-4-6", messages=MESSAGES)


async def test_a_wrong_key_is_one_clear_401(gateway: GatewayProcess) -> None:
    async with openai.AsyncOpenAI(api_key="sk-kh-nonsense", base_url=f"{gateway.base_url}/v1", max_retries=2) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="gpt-5", messages=MESSAGES)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert "ense" in caught.value.message


async def test_what_a_host_has_no_words_for_is_refused_by_name(client: openai.AsyncOpenAI) -> None:
    audio: openai.types.chat.ChatCompletionContentPartInputAudioParam = {
        "type": "input_audio",
        "input_audio": {"data": "UklGRg==", "format": "wav"},
    }
    with pytest.raises(openai.BadRequestError, match="audio"):
        await client.chat.completions.create(model="claude-sonnet-4-6", messages=[{"role": "user", "content": [audio]}])
