"""Part D, OpenRouter: its prefix and variables, its own parameters, embeddings, and images drawn by chat."""

import json
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest

from app.providers.host_table import HOSTS
from tests.fakes.gateway_process import Admin
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.asking import USER, ask
from tests.seeds.conftest import PROVIDER_KEY, sent_body

pytestmark = [pytest.mark.services, pytest.mark.contract]

BISON = "openrouter/google/palm-2-chat-bison"
PAINTER = "openrouter/google/gemini-2.5-flash-image"
PNG = "iVBORw0KGgoAAAANSUhEUgAA"
MODELS = (
    "openai/gpt-3.5-turbo", "openai/gpt-3.5-turbo-16k", "openai/gpt-4", "openai/gpt-4-32k", "anthropic/claude-2",
    "anthropic/claude-instant-v1", "google/palm-2-chat-bison", "google/palm-2-codechat-bison",
    "meta-llama/llama-2-13b-chat", "meta-llama/llama-2-70b-chat",
)  # fmt: skip


def drawn(*urls: str) -> Script:
    """A chat completion with pictures, as OpenRouter's reference has it, with its price."""
    images = [{"type": "image_url", "image_url": {"url": url}, "index": index} for index, url in enumerate(urls)]
    message = {"role": "assistant", "content": "Here it is.", "images": images}
    usage = {"prompt_tokens": 10, "completion_tokens": 1290, "total_tokens": 1300, "cost": 0.03871}
    answer = {
        "id": "gen-1703658209-abc", "object": "chat.completion", "created": 1703658209,
        "model": "google/gemini-2.5-flash-image", "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }  # fmt: skip
    return Script(raw=json.dumps(answer).encode())


@pytest.fixture
def _draws(upstream: RecordingUpstream) -> None:
    upstream.default = drawn(f"data:image/png;base64,{PNG}")


async def draw(client: openai.AsyncOpenAI, **fields: Any) -> openai.types.ImagesResponse:
    return await client.images.generate(model=PAINTER, prompt="A cute baby sea otter", extra_body=fields)


async def test_d30_the_prefix_leads_to_openrouter_with_its_key_and_the_name_of_the_site(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(openai_client, "openrouter/a-vendor/a-model")
    request = upstream.requests[-1]
    assert (request.path, sent_body(upstream)["model"]) == ("/api/v1/chat/completions", "a-vendor/a-model")
    assert request.header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert (request.header("http-referer"), request.header("x-title")) == ("https://keyhouse.example", "Keyhouse")
    assert HOSTS["openrouter"].default_base == "https://openrouter.ai/api/v1"


async def test_d31_a_base_url_of_its_own_wins_over_the_variable(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(openai_client, "router-elsewhere")
    assert upstream.requests[-1].path == "/elsewhere/v1/chat/completions"
    # A caller that could say it would be sent our key.
    await ask(openai_client, BISON, base_url="http://127.0.0.1:1/v1", api_base="http://127.0.0.1:1/v1")
    assert upstream.requests[-1].path == "/api/v1/chat/completions"


@pytest.mark.parametrize("model", MODELS)
async def test_d32_each_of_the_models_named_is_asked_by_its_own_name(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    await ask(openai_client, f"openrouter/{model}")
    assert sent_body(upstream)["model"] == model


async def test_d33_transforms_models_and_route_are_passed_on_for_clients_of_either_protocol(
    openai_client: openai.AsyncOpenAI, http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    own: dict[str, Any] = {"transforms": [""], "models": ["openai/gpt-4", "anthropic/claude-2"], "route": "fallback"}
    await ask(openai_client, BISON, **own)
    assert sent_body(upstream).items() >= own.items()
    body = {"model": BISON, "max_tokens": 9, "messages": USER, **own}
    answer = await http.post("/v1/messages", headers={"x-api-key": key}, json=body)
    assert answer.status_code == 200, answer.text
    assert sent_body(upstream).items() >= own.items()


async def test_d34_texts_are_embedded(openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    texts = ["good morning", "this is another item"]
    embedded = await openai_client.embeddings.create(
        model="openrouter/openai/text-embedding-3-small", input=texts, encoding_format="float"
    )
    assert upstream.requests[-1].path == "/api/v1/embeddings"
    assert (sent_body(upstream)["model"], sent_body(upstream)["input"]) == ("openai/text-embedding-3-small", texts)
    assert [item.embedding for item in embedded.data] == [[0.5, -0.25, 0.125]] * 2


@pytest.mark.usefixtures("_draws")
async def test_d35_an_image_is_asked_for_as_a_chat_completion(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await draw(openai_client)
    assert upstream.requests[-1].path == "/api/v1/chat/completions"
    body = sent_body(upstream)
    assert body["model"] == "google/gemini-2.5-flash-image"
    assert body["messages"] == [{"role": "user", "content": "A cute baby sea otter"}]
    assert body["modalities"] == ["image", "text"]


@pytest.mark.usefixtures("_draws")
@pytest.mark.parametrize(
    ("size", "ratio"),
    [("1024x1024", "1:1"), ("1536x1024", "3:2"), ("1024x1536", "2:3"), ("1792x1024", "16:9"), ("1024x1792", "9:16")],
)
async def test_d36_a_size_is_an_aspect_ratio(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, size: str, ratio: str
) -> None:
    await draw(openai_client, size=size)
    assert sent_body(upstream)["image_config"] == {"aspect_ratio": ratio}


@pytest.mark.usefixtures("_draws")
@pytest.mark.parametrize(
    ("quality", "size"), [("low", "1K"), ("standard", "1K"), ("medium", "2K"), ("high", "4K"), ("hd", "4K")]
)
async def test_d37_a_quality_is_an_image_size(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, quality: str, size: str
) -> None:
    await draw(openai_client, quality=quality)
    assert sent_body(upstream)["image_config"] == {"image_size": size}


async def test_d38_several_images_are_asked_for_and_given(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = drawn(*[f"data:image/png;base64,{PNG}"] * 3)
    images = await draw(openai_client, n=3)
    assert sent_body(upstream)["n"] == 3
    assert [image.b64_json for image in images.data or ()] == [PNG] * 3


@pytest.mark.usefixtures("_draws")
async def test_d39_its_own_image_config_is_passed_on_and_wins(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    own = {"aspect_ratio": "16:9", "image_size": "4K"}
    await draw(openai_client, image_config=own)
    assert sent_body(upstream)["image_config"] == own
    await draw(openai_client, image_config=own, size="1024x1024", quality="low")
    assert sent_body(upstream)["image_config"] == own


async def test_d40_the_answer_is_openais_with_the_bytes_or_an_address(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = drawn(f"data:image/png;base64,{PNG}", "https://cdn.example/otter.png")
    images = await draw(openai_client)
    assert images.created > 0
    said = [(image.b64_json, image.url, image.revised_prompt) for image in images.data or ()]
    assert said == [(PNG, None, None), (None, "https://cdn.example/otter.png", None)]
    usage = images.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (10, 1290, 1300)


@pytest.mark.usefixtures("_draws")
async def test_d41_the_cost_that_openrouter_reports_is_the_cost_and_stands_in_a_header(
    http: httpx.AsyncClient, admin: Admin
) -> None:
    key = await admin.generate()
    headers = {"authorization": f"Bearer {key}"}
    body = {"model": PAINTER, "prompt": "A cute baby sea otter"}
    answer = await http.post("/v1/images/generations", headers=headers, json=body)
    for name in ("x-keyhouse-response-cost", "x-litellm-response-cost"):
        assert Decimal(answer.headers[name]) == Decimal("0.03871")
    (row,) = await admin.receipts(key, 1)
    assert row["spend"] == pytest.approx(0.03871)


async def test_d41_a_completion_costs_what_openrouter_reports_too(
    http: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = drawn()
    headers = {"authorization": f"Bearer {await admin.generate()}"}
    answer = await http.post("/v1/chat/completions", headers=headers, json={"model": BISON, "messages": USER})
    assert answer.json()["usage"]["cost"] == 0.03871
    assert Decimal(answer.headers["x-keyhouse-response-cost"]) == Decimal("0.03871")
