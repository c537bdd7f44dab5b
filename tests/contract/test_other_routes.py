"""Embeddings, images and text completions by the official openai SDK, whatever the host."""

import pytest

from tests.contract.test_any_client_any_model import Clients, clients, key
from tests.fakes.gateway_process import Admin
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]
__all__ = ["clients", "key"]


@pytest.mark.parametrize("model", ["text-embedding-3-small", "llama", "gemini-embedding-001"])
async def test_embeddings_come_in_the_form_asked_for_and_are_booked(
    clients: Clients, upstream: RecordingUpstream, admin: Admin, key: str, model: str
) -> None:
    upstream.default = Script(input_tokens=6)
    # The SDK asks for base64 by itself, and decodes it.
    embedded = await clients.openai.embeddings.create(model=model, input=["Hello", "Grüße"])
    assert [entry.embedding for entry in embedded.data] == [[0.5, -0.25, 0.125]] * 2
    plain = await clients.openai.embeddings.create(model=model, input="Hello", encoding_format="float")
    assert plain.data[0].embedding == [0.5, -0.25, 0.125]
    rows = await admin.receipts(key, 2)
    assert [row["completion_tokens"] for row in rows] == [0, 0]
    assert all(row["prompt_tokens"] > 0 for row in rows)


async def test_a_host_without_embeddings_is_said_to_have_none(clients: Clients) -> None:
    with pytest.raises(Exception, match='"anthropic" of this model has no embeddings'):
        await clients.openai.embeddings.create(model="claude-sonnet-4-6", input="Hello")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "gemini-2.5-pro", "llama", "llama-generate"])
async def test_text_completions_are_a_front_for_any_model(
    clients: Clients, upstream: RecordingUpstream, admin: Admin, key: str, model: str, stream: bool
) -> None:
    upstream.default = Script(text=("Once ", "upon a time"), input_tokens=4, output_tokens=5)
    if stream:
        chunks = [
            chunk
            async for chunk in await clients.openai.completions.create(
                model=model, prompt="Tell me a tale", stream=True, stream_options={"include_usage": True}
            )
        ]
        text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
        usage = chunks[-1].usage
    else:
        completion = await clients.openai.completions.create(model=model, prompt="Tell me a tale")
        text, usage = completion.choices[0].text, completion.usage
    assert text == "Once upon a time"
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (4, 5)
    assert len(await admin.receipts(key, 1)) == 1


async def test_a_whole_answer_says_what_it_cost(clients: Clients, upstream: RecordingUpstream) -> None:
    upstream.default = Script(input_tokens=1000, output_tokens=100)
    raw = await clients.openai.chat.completions.with_raw_response.create(
        model="claude-sonnet-4-6", messages=[{"role": "user", "content": "Hello"}]
    )
    assert raw.headers["x-keyhouse-response-cost"] == raw.headers["x-litellm-response-cost"] == "0.004500"


async def test_googles_sdk_lists_the_models_of_its_key(clients: Clients) -> None:
    names = [model.name async for model in await clients.gemini.aio.models.list()]
    assert "models/gemini-2.5-pro" in names
    assert "models/claude-sonnet-4-6" in names
    one = await clients.gemini.aio.models.get(model="claude-sonnet-4-6")
    assert one.name == "models/claude-sonnet-4-6"
