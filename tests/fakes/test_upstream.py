"""The fake provider is judged by the official SDKs and by its own bill."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

from tests.fakes.bill import read_bill
from tests.fakes.script import TOOL_INPUT, UNICODE_TEXT, Script
from tests.fakes.upstream import RecordingUpstream

EVERYTHING = Script(
    events=4,
    text=("Hel", "lo 👩‍👩‍👧", " 家", "!"),
    thinking=True,
    tools=2,
    unknown=True,
    split=1,
    output_tokens=50,
    reasoning_tokens=20,
    cache_read=1000,
    cache_write_5m=30,
    cache_write_1h=40,
)


@pytest.fixture
async def upstream() -> AsyncIterator[RecordingUpstream]:
    async with RecordingUpstream() as running:
        yield running


@pytest.fixture
async def claude(upstream: RecordingUpstream) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=upstream.base_url, max_retries=0) as client:
        yield client


@pytest.fixture
async def gpt(upstream: RecordingUpstream) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="k", base_url=upstream.base_url + "/v1", max_retries=0) as client:
        yield client


Ask = Callable[[anthropic.AsyncAnthropic, str], Awaitable[anthropic.types.Message]]


async def ask_claude(client: anthropic.AsyncAnthropic, prompt: str) -> anthropic.types.Message:
    return await client.messages.create(
        model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": prompt}]
    )


async def stream_claude(client: anthropic.AsyncAnthropic, prompt: str) -> anthropic.types.Message:
    async with client.messages.stream(
        model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": prompt}]
    ) as stream:
        return await stream.get_final_message()


@pytest.mark.parametrize("ask", [ask_claude, stream_claude])
async def test_the_anthropic_sdk_reads_thinking_text_and_tools_whole_and_streamed(
    upstream: RecordingUpstream, claude: anthropic.AsyncAnthropic, ask: Ask
) -> None:
    upstream.script(EVERYTHING)
    message = await ask(claude, "hi")
    thinking, text, first_tool, second_tool = message.content
    assert thinking.type == "thinking"
    assert thinking.thinking.endswith("answer.")
    assert thinking.signature
    assert text.type == "text"
    assert text.text == "Hello 👩‍👩‍👧 家!"
    assert first_tool.type == second_tool.type == "tool_use"
    assert first_tool.input == second_tool.input == TOOL_INPUT
    assert first_tool.id != second_tool.id
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (12, 1000, 50)
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_5m_input_tokens == 30
    assert usage.cache_creation.ephemeral_1h_input_tokens == 40
    (entry,) = await upstream.wait_until_settled(1)
    assert (entry.input, entry.cache_read, entry.cache_write_5m, entry.cache_write_1h) == (12, 1000, 30, 40)
    assert (entry.output, entry.reasoning, entry.output_tokens_sent) == (50, 20, 50)
    assert (entry.state, entry.usage_sent) == ("finished", "all")


async def test_the_openai_sdk_reads_text_and_tools_whole(upstream: RecordingUpstream, gpt: openai.AsyncOpenAI) -> None:
    upstream.script(EVERYTHING)
    completion = await gpt.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    message = completion.choices[0].message
    assert message.content == "Hello 👩‍👩‍👧 家!"
    assert message.tool_calls is not None
    assert len(message.tool_calls) == 2
    assert completion.choices[0].finish_reason == "tool_calls"
    usage = completion.usage
    assert usage is not None
    assert usage.prompt_tokens == 12 + 1000 + 30 + 40
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 1000
    assert usage.completion_tokens_details is not None
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (50, 20)


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_chat_stream_tells_its_usage_only_when_asked(
    upstream: RecordingUpstream, gpt: openai.AsyncOpenAI, include_usage: bool
) -> None:
    upstream.script(EVERYTHING)
    stream = await gpt.chat.completions.create(
        model="gpt-5",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": include_usage},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello 👩‍👩‍👧 家!"
    last = chunks[-1]
    assert (last.choices == [] and last.usage is not None) == include_usage
    (entry,) = await upstream.wait_until_settled(1)
    assert (entry.state, entry.output) == ("finished", 50)
    assert entry.usage_sent == ("all" if include_usage else "none")
    assert bytes(upstream.responses[0].body).endswith(b"\n\ndata: [DONE]\n\n")


async def test_words_in_the_last_user_message_write_the_script(
    upstream: RecordingUpstream, claude: anthropic.AsyncAnthropic
) -> None:
    message = await stream_claude(claude, "Say it. FAKE: events=5 output_tokens=20 unicode cache_read=7\nNow.")
    (text,) = message.content
    assert text.type == "text"
    assert text.text[:5] == UNICODE_TEXT[:5]
    assert (message.usage.output_tokens, message.usage.cache_read_input_tokens) == (20, 7)
    assert bytes(upstream.responses[0].body).count(b'"text_delta"') == 5
    with pytest.raises(anthropic.BadRequestError, match="evnts"):
        await ask_claude(claude, "FAKE: evnts=5")


async def test_requests_are_recorded_as_they_came(upstream: RecordingUpstream) -> None:
    raw = b"POST /v1/other%20path?beta=true&x= HTTP/1.1\r\nhOsT: a\r\nX-B: 1\r\nx-b: 2\r\nContent-Length: 3\r\n\r\n{ }"
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(raw)
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()
    (request,) = upstream.requests
    assert (request.method, request.target, request.body) == ("POST", "/v1/other%20path?beta=true&x=", b"{ }")
    assert request.headers == (("hOsT", "a"), ("X-B", "1"), ("x-b", "2"), ("Content-Length", "3"))
    assert body == b'{"method":"POST","path":"/v1/other path","query":"beta=true&x="}'
    assert bytes(upstream.responses[0].raw) == head + body


async def test_lists_counts_and_embeddings_have_their_shapes(
    upstream: RecordingUpstream, claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    assert "claude-haiku-4-5" in [model.id async for model in claude.models.list()]
    assert "gpt-5" in [model.id async for model in gpt.models.list()]
    count = await claude.messages.count_tokens(model="m", messages=[{"role": "user", "content": "hi"}])
    assert count.input_tokens == 12
    embeddings = await gpt.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert len(embeddings.data) == 2
    assert [entry.path for entry in upstream.bill.entries] == ["/v1/embeddings"]


async def test_errors_have_the_providers_shape_and_headers(
    upstream: RecordingUpstream, claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    upstream.script(Script(error=429, retry_after="7"), Script(error=529), Script(error=502, html=True))
    with pytest.raises(anthropic.RateLimitError) as limited:
        await ask_claude(claude, "hi")
    assert limited.value.response.headers["retry-after"] == "7"
    assert limited.value.request_id == upstream.responses[0].request_id
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error") as overloaded:
        await ask_claude(claude, "hi")
    assert overloaded.value.status_code == 529
    with pytest.raises(anthropic.InternalServerError, match="Bad Gateway"):
        await ask_claude(claude, "hi")
    with pytest.raises(openai.AuthenticationError) as refused:
        await gpt.chat.completions.create(model="m", messages=[{"role": "user", "content": "FAKE: error=401"}])
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        await stream_claude(claude, "FAKE: error=529 error_after=4")
    (entry,) = await upstream.wait_until_settled(1)
    assert (entry.state, entry.usage_sent) == ("cut_by_upstream", "input")


@pytest.mark.parametrize("words", ["cut_after=5", "cut_after=5 reset", "cut_after=0"])
async def test_a_cut_stream_is_an_error_to_the_client_and_a_cut_on_the_bill(
    upstream: RecordingUpstream, claude: anthropic.AsyncAnthropic, words: str
) -> None:
    with pytest.raises(httpx2.TransportError):
        await stream_claude(claude, f"FAKE: events=20 output_tokens=40 {words}")
    (entry,) = await upstream.wait_until_settled(1)
    assert entry.state == "cut_by_upstream"
    assert (entry.output, entry.output_tokens_sent) == (40, 0 if words == "cut_after=0" else 4)
    assert not upstream.responses[0].complete


@pytest.mark.parametrize("words", ["hang_after=6", "silence_s=60 silence_after=6"])
async def test_a_client_that_hangs_up_is_a_cut_with_the_tokens_sent_until_then(
    upstream: RecordingUpstream, claude: anthropic.AsyncAnthropic, words: str
) -> None:
    async with claude.messages.stream(
        model="m", max_tokens=9, messages=[{"role": "user", "content": f"FAKE: events=10 output_tokens=30 {words}"}]
    ) as stream:
        texts = stream.text_stream
        received = [await anext(texts) for _ in range(3)]
    assert len(received) == 3
    (entry,) = await upstream.wait_until_settled(1)
    assert (entry.state, entry.output, entry.output_tokens_sent) == ("cut_by_client", 30, 9)
    assert entry.usage_sent == "input"


async def test_a_client_that_gives_up_before_the_first_byte_is_a_cut(
    upstream: RecordingUpstream, claude: anthropic.AsyncAnthropic
) -> None:
    upstream.script(Script(hang_before=True))
    call = asyncio.create_task(ask_claude(claude, "hi"))
    await upstream.wait_until(lambda: len(upstream.bill.entries) == 1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    (entry,) = await upstream.wait_until_settled(1)
    assert (entry.state, entry.output_tokens_sent, entry.usage_sent) == ("cut_by_client", 0, "none")


async def until(condition: Callable[[], bool]) -> None:
    """Poll a file that another process writes; the timeout of the test bounds it."""
    while not condition():  # noqa: ASYNC110 - there is no event between processes
        await asyncio.sleep(0.01)


async def test_as_its_own_process_it_keeps_the_bill_in_a_file(tmp_path: Path) -> None:
    bill = tmp_path / "bill.jsonl"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.upstream", "--port", "0", "--bill", str(bill),
        cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        async with anthropic.AsyncAnthropic(api_key="k", base_url=f"http://127.0.0.1:{port}") as client:
            await stream_claude(client, "FAKE: output_tokens=11")
            hanging = asyncio.create_task(stream_claude(client, "FAKE: output_tokens=12 hang_after=3"))
            await until(lambda: len(read_bill(bill)) == 2)
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
            await until(lambda: read_bill(bill)[1].state != "started")
    finally:
        process.kill()
        await process.wait()
    assert [(entry.state, entry.output) for entry in read_bill(bill)] == [("finished", 11), ("cut_by_client", 12)]
    with bill.open("a") as half_written:
        half_written.write('{"request_id": "req_')
    assert len(read_bill(bill)) == 2
