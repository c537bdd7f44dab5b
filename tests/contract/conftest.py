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


@pytest.fixture(scope="session")
async def upstream() -> AsyncIterator[RecordingUpstream]:
    async with RecordingUpstream() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh_upstream(upstream: RecordingUpstream) -> None:
    upstream.requests.clear()
    upstream.responses.clear()
    upstream.default = Script()


@pytest.fixture(scope="session")
def gateway(
    upstream: RecordingUpstream, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    (folder / "config.yaml").write_text(CONFIG)
    process = GatewayProcess(
        folder / "home",
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "ANTHROPIC_API_KEY": PROVIDER_KEY,
            "ANTHROPIC_API_BASE": upstream.base_url,
            "OPENAI_API_KEY": PROVIDER_KEY,
            "OPENAI_API_BASE": f"{upstream.base_url}/v1",
        },
        "--config",
        str(folder / "config.yaml"),
    )
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def admin(gateway: GatewayProcess) -> AsyncIterator[Admin]:
    admin = Admin(gateway.base_url)
    yield admin
    await admin.client.aclose()
