"""The official ``anthropic`` SDK through the gateway: what it sends arrives, and what comes back is the provider's."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anthropic
import pytest

from tests.contract.conftest import PROVIDER_KEY
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.recording import RecordedRequest
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

TOOLS: list[anthropic.types.ToolParam] = [
    {
        "name": "get_weather",
        "description": "Weather of a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]
MESSAGES: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Grüße aus Zürich 👋, wie ist das Wetter?"}]


class SentBodies:
    """Remembers what the SDK put on the wire."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[list[tuple[str, str]]] = []

    async def __call__(self, request: object) -> None:
        self.remember(request)

    def remember(self, request: object) -> None:
        self.bodies.append(request.content)  # type: ignore[attr-defined]  # httpx.Request of the SDK
        self.headers.append([(name.lower(), value) for name, value in request.headers.multi_items()])  # type: ignore[attr-defined]


def assert_untouched(sent: SentBodies, received: RecordedRequest, virtual_key: str) -> None:
    assert received.body == sent.bodies[-1]
    mine = {name: value for name, value in sent.headers[-1] if name.startswith("anthropic-")}
    theirs = {name.lower(): value for name, value in received.headers if name.lower().startswith("anthropic-")}
    assert theirs == mine
    assert received.header("x-api-key") == PROVIDER_KEY
    assert received.header("accept-encoding") == "identity"
    assert received.header("authorization") is None
    assert virtual_key not in str(received.headers) + received.body.decode()


@pytest.fixture
async def virtual_key(admin: Admin) -> str:
    return await admin.generate()


@pytest.fixture
def sent() -> SentBodies:
    return SentBodies()


@pytest.fixture
async def client(
    gateway: GatewayProcess, virtual_key: str, sent: SentBodies
) -> AsyncIterator[anthropic.AsyncAnthropic]:
    http = anthropic.DefaultAsyncHttpxClient(event_hooks={"request": [sent]}, trust_env=False)
    async with anthropic.AsyncAnthropic(
        api_key=virtual_key, base_url=gateway.base_url, http_client=http, max_retries=0
    ) as client:
        yield client


async def test_a_whole_answer_arrives_byte_for_byte_and_so_does_the_request(
    client: anthropic.AsyncAnthropic, sent: SentBodies, upstream: RecordingUpstream, virtual_key: str
) -> None:
    answer = await client.messages.with_raw_response.create(
        model="claude-sonnet-4-6",
        max_tokens=500,
        messages=MESSAGES,
        tools=TOOLS,
        extra_headers={"anthropic-beta": "a-1,b-2"},
    )
    assert_untouched(sent, upstream.requests[-1], virtual_key)
    assert (await answer.read()) == bytes(upstream.responses[-1].body)
    assert answer.headers["request-id"].startswith("req_")


async def test_a_stream_with_tools_and_thinking_arrives_byte_for_byte(
    client: anthropic.AsyncAnthropic, sent: SentBodies, upstream: RecordingUpstream, virtual_key: str
) -> None:
    upstream.script(Script(events=20, tools=2, thinking=True, unicode=True, unknown=True, split=7))
    async with client.messages.with_streaming_response.create(
        model="claude-sonnet-4-6",
        max_tokens=2000,
        messages=MESSAGES,
        tools=TOOLS,
        thinking={"type": "enabled", "budget_tokens": 1024},
        stream=True,
    ) as answer:
        received = b"".join([chunk async for chunk in answer.iter_bytes()])
    assert_untouched(sent, upstream.requests[-1], virtual_key)
    assert received == bytes(upstream.responses[-1].body)


async def test_the_sdk_accumulates_a_stream(client: anthropic.AsyncAnthropic, upstream: RecordingUpstream) -> None:
    upstream.script(Script(events=5, tools=2, thinking=True))
    async with client.messages.stream(
        model="claude-sonnet-4-6", max_tokens=2000, messages=MESSAGES, tools=TOOLS
    ) as stream:
        message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]


async def test_only_the_model_changes_where_the_name_is_an_alias(
    client: anthropic.AsyncAnthropic, sent: SentBodies, upstream: RecordingUpstream
) -> None:
    await client.messages.create(model="team-sonnet", max_tokens=50, messages=MESSAGES)
    assert upstream.requests[-1].body == sent.bodies[-1].replace(b'"team-sonnet"', b'"claude-sonnet-4-6"')


async def test_unknown_fields_and_betas_pass(client: anthropic.AsyncAnthropic, upstream: RecordingUpstream) -> None:
    await client.messages.create(
        model="claude-sonnet-4-6",
        max_tokens=50,
        messages=MESSAGES,
        extra_body={"field_of_the_future": {"deep": [1.10, 12345678901234567890]}},
        extra_headers={"anthropic-beta": "of-the-future-2027-01-01", "anthropic-of-the-future": "yes"},
    )
    received = upstream.requests[-1]
    assert json.loads(received.body)["field_of_the_future"] == {"deep": [1.10, 12345678901234567890]}
    assert received.header("anthropic-beta") == "of-the-future-2027-01-01"
    assert received.header("anthropic-of-the-future") == "yes"


async def test_the_key_is_taken_as_x_api_key_and_as_bearer_and_as_both(
    gateway: GatewayProcess, virtual_key: str, upstream: RecordingUpstream
) -> None:
    spoken: list[dict[str, str]] = [
        {"x-api-key": virtual_key},
        {"authorization": f"Bearer {virtual_key}"},
        {"authorization": f"bearer {virtual_key}"},
        {"authorization": f"Bearer {virtual_key}", "x-api-key": virtual_key},
    ]
    async with anthropic.DefaultAsyncHttpxClient(trust_env=False) as http:
        for headers in spoken:
            body = {"model": "claude-sonnet-4-6", "max_tokens": 5, "messages": MESSAGES}
            answer = await http.post(f"{gateway.base_url}/v1/messages?beta=true", headers=headers, json=body)
            assert answer.status_code == 200, (headers, answer.text)
            assert upstream.requests[-1].query == "beta=true"
            assert virtual_key not in str(upstream.requests[-1].headers)


async def test_count_tokens_is_forwarded_and_leaves_no_receipt(
    client: anthropic.AsyncAnthropic, admin: Admin, virtual_key: str
) -> None:
    counted = await client.messages.count_tokens(model="claude-sonnet-4-6", messages=MESSAGES)
    assert counted.input_tokens > 0
    await client.messages.create(model="claude-sonnet-4-6", max_tokens=50, messages=MESSAGES)
    rows = await admin.receipts(virtual_key, 1)
    assert len(rows) == 1


async def test_the_providers_errors_pass_unchanged(
    client: anthropic.AsyncAnthropic, upstream: RecordingUpstream
) -> None:
    for status, retry_after in ((400, None), (429, "7"), (500, None), (529, None)):
        upstream.script(Script(error=status, retry_after=retry_after, message="the provider's own words"))
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(model="claude-sonnet-4-6", max_tokens=50, messages=MESSAGES)
        assert caught.value.status_code == status
        assert await caught.value.response.aread() == bytes(upstream.responses[-1].body)
        assert caught.value.response.headers.get("retry-after") == retry_after


async def test_a_stream_that_the_provider_cuts_ends_in_an_error_and_never_cleanly(
    client: anthropic.AsyncAnthropic, upstream: RecordingUpstream
) -> None:
    upstream.script(Script(events=20, cut_after=6))
    with pytest.raises((anthropic.APIStatusError, anthropic.APIConnectionError)):
        async with client.messages.stream(model="claude-sonnet-4-6", max_tokens=50, messages=MESSAGES) as stream:
            await stream.get_final_message()


async def test_the_model_list_is_anthropics_and_holds_what_the_key_may_use(
    gateway: GatewayProcess, admin: Admin
) -> None:
    limited = await admin.generate(models=["claude-haiku-4-5"])
    async with anthropic.AsyncAnthropic(api_key=limited, base_url=gateway.base_url, max_retries=0) as client:
        models = [model async for model in await client.models.list()]
        assert [model.id for model in models] == ["claude-haiku-4-5"]
        assert models[0].type == "model"
        with pytest.raises(anthropic.BadRequestError, match="claude-haiku-4-5"):
            await client.messages.create(model="claude-sonnet-4-6", max_tokens=5, messages=MESSAGES)


async def test_the_synchronous_client_streams_too(gateway: GatewayProcess, virtual_key: str) -> None:
    def stream() -> str:
        with (
            anthropic.Anthropic(api_key=virtual_key, base_url=gateway.base_url, max_retries=0) as client,
            client.messages.stream(model="claude-sonnet-4-6", max_tokens=50, messages=MESSAGES) as stream,
        ):
            return stream.get_final_text()

    # The fake provider lives in this loop, so the blocking client must not block it.
    assert await asyncio.to_thread(stream)


async def test_an_older_major_of_the_sdk_that_sends_x_api_key_works_alike(
    gateway: GatewayProcess, virtual_key: str, upstream: RecordingUpstream
) -> None:
    older = Path(sys.prefix) / "older-sdk"
    assert older.is_dir(), "the older SDK is not installed; run: make install-test"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("older_sdk.py")),
        gateway.base_url,
        virtual_key,
        env={"PYTHONPATH": str(older), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    told = json.loads(output)
    assert told["version"].startswith("0.")
    assert told["whole"]
    assert told["streamed"]
    assert "claude-sonnet-4-6" in told["models"]
    assert upstream.requests[-1].header("x-api-key") == PROVIDER_KEY
