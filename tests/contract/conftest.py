"""A running gateway in front of a recording upstream, for the official SDKs to talk to."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

PROVIDER_KEY = "sk-ant-the-providers-own-key"

CONFIG = """
model_list:
  - model_name: claude-sonnet-4-6
    litellm_params: {model: anthropic/claude-sonnet-4-6, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: team-sonnet
    litellm_params: {model: anthropic/claude-sonnet-4-6, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: claude-haiku-4-5
    litellm_params: {model: anthropic/claude-haiku-4-5, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: gpt-5
    litellm_params: {model: openai/gpt-5, api_key: os.environ/OPENAI_API_KEY}
"""

EVERY_HOST = """
  - model_name: gemini-2.5-pro
    litellm_params: {model: gemini/gemini-2.5-pro, api_key: os.environ/GEMINI_API_KEY, api_base: %(upstream)s}
  - model_name: gemini-3-pro
    litellm_params: {model: gemini/gemini-3-pro-preview, api_key: os.environ/GEMINI_API_KEY, api_base: %(upstream)s}
  - model_name: deepseek-reasoner
    litellm_params: {model: deepseek/deepseek-reasoner, api_key: os.environ/DEEPSEEK_API_KEY, api_base: %(upstream)s}
  - model_name: llama
    litellm_params: {model: ollama_chat/llama3.2, api_base: %(upstream)s}
  - model_name: llama-generate
    litellm_params: {model: ollama/llama3.2, api_base: %(upstream)s}
  - model_name: router
    litellm_params: {model: openrouter/meta/llama, api_key: os.environ/OPENROUTER_API_KEY, api_base: %(upstream)s/v1}
  - model_name: text-embedding-3-small
    litellm_params: {model: openai/text-embedding-3-small, api_key: os.environ/OPENAI_API_KEY}
  - model_name: gemini-embedding-001
    litellm_params: {model: gemini/gemini-embedding-001, api_key: os.environ/GEMINI_API_KEY, api_base: %(upstream)s}
  - model_name: gpt-5-responses
    litellm_params: {model: openai/responses/gpt-5, api_key: os.environ/OPENAI_API_KEY}
"""
"""Deployments of hosts that speak other protocols than the two of CONFIG, all of them the recording upstream."""


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


@pytest.fixture(scope="package")
def gateway(
    upstream: RecordingUpstream, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    process = make_gateway(folder, upstream, CONFIG + EVERY_HOST, database_url, redis_url)
    process.start()
    yield process
    process.stop()


def make_gateway(
    folder: Path, upstream: RecordingUpstream, config: str, database_url: str, redis_url: str, **environment: str
) -> GatewayProcess:
    """Not started yet; each host of ``config`` is the recording upstream."""
    (folder / "config.yaml").write_text(config % {"upstream": upstream.base_url})
    return GatewayProcess(
        folder / "home",
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "ANTHROPIC_API_KEY": PROVIDER_KEY,
            "ANTHROPIC_API_BASE": upstream.base_url,
            **{f"{host}_API_KEY": PROVIDER_KEY for host in ("OPENAI", "GEMINI", "DEEPSEEK", "OPENROUTER")},
            "OPENAI_API_BASE": f"{upstream.base_url}/v1",
            "KEYHOUSE_ALLOWED_UPSTREAMS": "127.0.0.1/32",
            "KEYHOUSE_RESPONSE_CACHE": "opt_in",
            **environment,
        },
        "--config",
        str(folder / "config.yaml"),
    )


@pytest.fixture
async def admin(gateway: GatewayProcess) -> AsyncIterator[Admin]:
    admin = Admin(gateway.base_url)
    yield admin
    await admin.client.aclose()
