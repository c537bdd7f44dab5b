"""Part D, Anthropic: how its models are reached: names, addresses, keys, and the three ways to configure them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

from app.providers.host_table import HOSTS
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.asking import USER, ask
from tests.seeds.conftest import PROVIDER_KEY, sent_body

pytestmark = [pytest.mark.services, pytest.mark.contract]

MODELS = (
    "claude-sonnet-4-5-20250929", "claude-opus-4-5-20251101", "claude-opus-4-1-20250805", "claude-opus-4-20250514",
    "claude-sonnet-4-20250514", "claude-3-7-sonnet-20250219", "claude-3-5-sonnet-20240620", "claude-3-haiku-20240307",
    "claude-3-opus-20240229", "claude-3-sonnet-20240229", "claude-2.1", "claude-2", "claude-instant-1.2",
    "claude-instant-1",
)  # fmt: skip


@asynccontextmanager
async def started(
    folder: Path, stores: dict[str, str], environment: dict[str, str], *arguments: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another gateway on the same stores, with nothing but this in its environment."""
    process = GatewayProcess(folder / "home", {**stores, **environment}, *arguments)
    process.start()
    try:
        async with httpx.AsyncClient(base_url=process.base_url, timeout=30, trust_env=False) as client:
            yield client
    finally:
        process.stop()


@pytest.mark.parametrize("prefix", ["anthropic/", ""], ids=["with its prefix", "by its bare name"])
@pytest.mark.parametrize("model", MODELS)
async def test_d50_each_of_the_models_named_is_anthropics(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str, prefix: str
) -> None:
    completion = await ask(openai_client, prefix + model)
    assert completion.model == prefix + model
    assert (upstream.requests[-1].path, sent_body(upstream)["model"]) == ("/v1/messages", model)


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions", "/v1/messages", "/messages"])
async def test_d51_chat_completions_and_messages_are_both_asked_at_v1_messages(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, path: str
) -> None:
    body = {"model": "anthropic/claude-sonnet-4-20250514", "max_tokens": 64, "messages": USER}
    answer = await http.post(path, headers={"authorization": f"Bearer {key}"}, json=body)
    assert answer.status_code == 200, answer.text
    request = upstream.requests[-1]
    assert (request.path, request.header("anthropic-version")) == ("/v1/messages", "2023-06-01")
    assert (sent_body(upstream)["max_tokens"], sent_body(upstream)["model"]) == (64, "claude-sonnet-4-20250514")
    if path.endswith("messages"):
        assert sent_body(upstream)["messages"] == USER, "it is passed on as it is"
    assert HOSTS["anthropic"].default_base == "https://api.anthropic.com"


@pytest.mark.parametrize("model", ["azure/claude-sonnet-4-5", "azure_ai/claude-sonnet-4-5", "foundry-by-anthropic"])
async def test_d52_foundry_is_asked_below_anthropic_with_the_azure_key(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    await ask(openai_client, model)
    request = upstream.requests[-1]
    assert (request.path, sent_body(upstream)["model"]) == ("/anthropic/v1/messages", "claude-sonnet-4-5")
    assert request.header("x-api-key") == ("the-azure-key" if model == "foundry-by-anthropic" else PROVIDER_KEY)


async def test_d52_foundry_is_asked_with_a_token_of_azure_ad(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(openai_client, "foundry-by-token")
    request = upstream.requests[-1]
    assert (request.path, request.header("authorization")) == ("/anthropic/v1/messages", "Bearer entra-token")
    assert (request.header("x-api-key"), request.header("api-key")) == (None, None)


async def test_d54_the_maximum_is_4096_where_nobody_names_one(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(openai_client, "anthropic/claude-3-5-sonnet-20240620")
    assert sent_body(upstream)["max_tokens"] == 4096


async def test_d60_v1_messages_is_appended_to_an_address(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(openai_client, "anthropic/claude-sonnet-4-5")
    assert upstream.requests[-1].path == "/v1/messages"
    await ask(openai_client, "claude-behind-a-proxy")
    assert upstream.requests[-1].path == "/api/v1/messages"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_d60_d69_a_prompt_of_the_claude_2_era_is_asked_at_v1_complete_as_it_was_written(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, stream: bool
) -> None:
    upstream.default = Script(text=(" First,", " take a pot."))
    prompt = "You are a snarky assistant.\n\nHuman: How do I boil water?\n\nAssistant:"
    body = {"model": "claude-2.1", "prompt": prompt, "max_tokens_to_sample": 64, "stream": stream}
    answer = await http.post("/anthropic/v1/complete", headers={"x-api-key": key}, json=body)
    assert answer.status_code == 200, answer.text
    assert (upstream.requests[-1].path, sent_body(upstream)) == ("/v1/complete", body)
    assert answer.content == bytes(upstream.responses[-1].body)


async def test_d59_d60_with_the_suffix_disabled_the_address_is_used_unchanged(
    stores: dict[str, str], upstream: RecordingUpstream, key: str, tmp_path: Path
) -> None:
    environment = {
        "ANTHROPIC_API_KEY": "the-key-of-the-environment",
        "ANTHROPIC_API_BASE": f"{upstream.base_url}/custom/path/messages",
        "LITELLM_ANTHROPIC_DISABLE_URL_SUFFIX": "true",
    }
    async with started(tmp_path, stores, environment) as client:
        body = {"model": "claude-opus-4-20250514", "messages": USER}
        answer = await client.post("/chat/completions", headers={"authorization": f"Bearer {key}"}, json=body)
        assert answer.status_code == 200, answer.text
    request = upstream.requests[-1]
    assert (request.path, request.header("x-api-key")) == ("/custom/path/messages", "the-key-of-the-environment")


@pytest.mark.parametrize("model", ["claude-4", "claude-opus-4-1-20250805", "anthropic/claude-3-haiku-20240307"])
async def test_d67_the_key_comes_from_the_environment_for_a_listed_model_and_for_all_by_a_wildcard(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    await ask(openai_client, model)
    assert upstream.requests[-1].header("x-api-key") == PROVIDER_KEY


async def test_d84_an_alias_of_the_file_stands_for_its_model(
    openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic, upstream: RecordingUpstream
) -> None:
    completion = await ask(openai_client, "claude-4")
    assert (completion.model, sent_body(upstream)["model"]) == ("claude-4", "claude-opus-4-20250514")
    await anthropic_client.messages.create(
        model="claude-4", max_tokens=9, messages=[{"role": "user", "content": "what llm are you"}]
    )
    assert sent_body(upstream)["model"] == "claude-opus-4-20250514"


async def test_d59_d84_one_model_is_named_on_the_command_line_and_the_address_by_its_other_variable(
    stores: dict[str, str], upstream: RecordingUpstream, key: str, tmp_path: Path
) -> None:
    environment = {"ANTHROPIC_API_KEY": "the-key-of-the-environment", "ANTHROPIC_BASE_URL": f"{upstream.base_url}/api"}
    async with started(tmp_path, stores, environment, "--model", "claude-opus-4-20250514") as client:
        headers = {"authorization": f"Bearer {key}"}
        body = {"model": "claude-opus-4-20250514", "messages": USER}
        answer = await client.post("/chat/completions", headers=headers, json=body)
        assert answer.status_code == 200, answer.text
        request = upstream.requests[-1]
        assert (request.path, request.header("x-api-key")) == ("/api/v1/messages", "the-key-of-the-environment")
        listed = await client.get("/v1/models", headers=headers)
        names = {model["id"] for model in listed.json()["data"]}
        assert "claude-opus-4-20250514" in names
        assert not names & {
            "claude-sonnet-4-6",
            "claude-haiku-4-5",
            "demo/echo",
        }  # beside it only those of the database
