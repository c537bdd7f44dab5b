"""A gateway with a deployment at every provider that the rows name, all of them the recording upstream."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

PROVIDER_KEY = "sk-the-providers-own-key"
CLAUDE_CODE_TOKEN = "sk-ant-oat01-the-token-of-one-person"
EXPLICIT_TOKEN = "sk-ant-oat01-written-into-the-file"
OWNER = "the-person-who-signed-in"
"""The user whose keys the personal token of claude_code_native serves."""

CONFIG = """
model_list:
  - model_name: claude-4
    litellm_params: {model: claude-opus-4-20250514, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: claude-sonnet-4-5
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY}
    model_info: {display_name: Claude Sonnet 4.5, description: For most things}
  - model_name: claude-code-sonnet-4
    litellm_params: {model: claude_code_native/claude-sonnet-4-20250514, api_key: os.environ/CLAUDE_CODE_API_KEY}
  - {model_name: claude-on-gpt-5, litellm_params: {model: openai/gpt-5}}
  - {model_name: on-two-hosts, litellm_params: {model: openai/gpt-5}}
  - {model_name: on-two-hosts, litellm_params: {model: gemini/gemini-2.5-pro}}
  - {model_name: "claude-*", litellm_params: {model: "anthropic/claude-*"}}
  - {model_name: "anthropic/*", litellm_params: {model: "anthropic/*"}}
  - {model_name: "claude_code_native/*", litellm_params: {model: "claude_code_native/*"}}
  - {model_name: "gpt-*", litellm_params: {model: "openai/gpt-*"}}
  - {model_name: "openai/*", litellm_params: {model: "openai/*"}}
  - {model_name: "gemini/*", litellm_params: {model: "gemini/*"}}
  - {model_name: "google/*", litellm_params: {model: "gemini/*"}}
  - {model_name: "deepseek/*", litellm_params: {model: "deepseek/*"}}
  - {model_name: "ollama/*", litellm_params: {model: "ollama/*"}}
  - {model_name: "ollama_chat/*", litellm_params: {model: "ollama_chat/*"}}
  - {model_name: "openrouter/*", litellm_params: {model: "openrouter/*"}}
  - {model_name: "azure/*", litellm_params: {model: "azure/*"}}
  - {model_name: "azure_ai/*", litellm_params: {model: "azure_ai/*"}}
  - {model_name: "cohere/*", litellm_params: {model: "cohere/*"}}
  - {model_name: "mistral/*", litellm_params: {model: "mistral/*"}}
  - {model_name: "vllm/*", litellm_params: {model: "hosted_vllm/*"}}
  - model_name: foundry-by-anthropic
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "%(upstream)s/anthropic", api_key: the-azure-key}
  - model_name: foundry-by-token
    litellm_params: {model: azure_ai/claude-sonnet-4-5, api_base: "%(upstream)s/anthropic", azure_ad_token: entra-token}
  - model_name: claude-behind-a-proxy
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "%(upstream)s/api"}
  - model_name: llama-without-tools
    litellm_params: {model: ollama_chat/llama2}
    model_info: {supports_function_calling: false}
  - model_name: llama-outside-the-container
    litellm_params: {model: ollama_chat/llama3, api_base: "http://localhost:%(port)s"}
    model_info: {supports_function_calling: true}
  - model_name: router-elsewhere
    litellm_params: {model: openrouter/google/palm-2-chat-bison, base_url: "%(upstream)s/elsewhere/v1"}
claude_code_native: {enabled: true, owner_user_id: %(owner)s}
"""

SECOND_CONFIG = """
model_list:
  - model_name: claude-code-sonnet-4 ### RECEIVED MODEL NAME ###
    litellm_params:
      model: claude_code_native/claude-sonnet-4-20250514
      api_key: "os.environ/CLAUDE_CODE_API_KEY"
  - model_name: "*"
    litellm_params:
      model: claude_code_native/*
  - model_name: with-its-own-token
    litellm_params: {model: claude_code_native/claude-sonnet-4-5, api_key: %(token)s}
  - model_name: claude-3-5-haiku-20241022
    litellm_params: {model: anthropic/claude-3-5-haiku-20241022}
litellm_settings:
  cost_discount_config: {anthropic: 0.5}
model_list_format: anthropic
open_mode: true
claude_code_native: {enabled: true, owner_user_id: %(owner)s}
"""


@dataclass
class SecondGateway:
    """Another process on the same stores: the keys of the first are good here."""

    process: GatewayProcess
    http: httpx.AsyncClient


def environment_of(upstream: RecordingUpstream) -> dict[str, str]:
    """Every provider's variables: its key, and the recording upstream as its address."""
    hosts = ("ANTHROPIC", "OPENAI", "GEMINI", "DEEPSEEK", "OPENROUTER", "AZURE", "AZURE_AI", "COHERE", "MISTRAL")
    paths = {"OPENAI": "/v1", "OPENROUTER": "/api/v1", "COHERE": "/v1", "MISTRAL": "/v1", "HOSTED_VLLM": "/v1"}
    addressed = (*hosts, "OLLAMA", "HOSTED_VLLM", "CLAUDE_CODE")
    return {
        **{f"{host}_API_KEY": PROVIDER_KEY for host in hosts},
        **{f"{host}_API_BASE": upstream.base_url + paths.get(host, "") for host in addressed},
        "CLAUDE_CODE_API_KEY": CLAUDE_CODE_TOKEN,
        "OR_SITE_URL": "https://keyhouse.example",
        "OR_APP_NAME": "Keyhouse",
    }


@pytest.fixture(scope="package")
async def upstream() -> AsyncIterator[RecordingUpstream]:
    async with RecordingUpstream() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh_upstream(upstream: RecordingUpstream) -> None:
    upstream.requests.clear()
    upstream.responses.clear()
    upstream.default = Script()
    upstream.released.clear()


@pytest.fixture(scope="session")
def stores(database_url: str, redis_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url}


@pytest.fixture(scope="package")
def gateway(
    upstream: RecordingUpstream, stores: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    folder: Path = tmp_path_factory.mktemp("seeds")
    places = {"upstream": upstream.base_url, "port": upstream.port}
    (folder / "config.yaml").write_text(CONFIG % {"owner": OWNER, **places})
    environment = {**stores, **environment_of(upstream)}
    process = GatewayProcess(folder / "home", environment, "--config", str(folder / "config.yaml"))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="package")
async def second_gateway(
    gateway: GatewayProcess,  # it has made the schema
    upstream: RecordingUpstream,
    stores: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[SecondGateway]:
    """With the very entries of the page on claude_code_native, and with the settings that change everything."""
    folder: Path = tmp_path_factory.mktemp("second")
    (folder / "config.yaml").write_text(SECOND_CONFIG % {"owner": OWNER, "token": EXPLICIT_TOKEN})
    environment = {**stores, **environment_of(upstream)}
    process = GatewayProcess(folder / "home", environment, "--config", str(folder / "config.yaml"))
    process.start()
    async with httpx.AsyncClient(base_url=process.base_url, timeout=30, trust_env=False) as client:
        yield SecondGateway(process, client)
    process.stop()


@pytest.fixture(scope="package")
async def admin(gateway: GatewayProcess) -> AsyncIterator[Admin]:
    admin = Admin(gateway.base_url)
    yield admin
    await admin.client.aclose()


@pytest.fixture(scope="package")
async def key(admin: Admin) -> str:
    """A virtual key without limits."""
    return await admin.generate()


@pytest.fixture(scope="package")
async def owners_key(admin: Admin) -> str:
    """A virtual key of the person whose token claude_code_native uses."""
    return await admin.generate(user_id=OWNER)


@pytest.fixture(scope="package")
async def http(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client without any credential."""
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="package")
async def anthropic_client(gateway: GatewayProcess, key: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    http = anthropic.DefaultAsyncHttpxClient(trust_env=False)
    async with anthropic.AsyncAnthropic(
        api_key=key, base_url=gateway.base_url, max_retries=0, http_client=http
    ) as client:
        yield client


@pytest.fixture(scope="package")
async def openai_client(gateway: GatewayProcess, key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(
        api_key=key, base_url=f"{gateway.base_url}/v1", max_retries=0, http_client=http
    ) as client:
        yield client


def sent_body(upstream: RecordingUpstream) -> Any:
    """What the provider was asked last."""
    return upstream.requests[-1].json()
