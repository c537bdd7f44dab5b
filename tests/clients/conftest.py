"""Real clients in front of a running gateway; skipped where they are not installed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.installed import CLAUDE_CODE, OLDER_CLAUDE_CODE, Package, has_npm
from tests.clients.running import Client, claude_code
from tests.contract.conftest import CONFIG, EVERY_HOST, _fresh_upstream, admin, make_gateway, upstream
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.upstream import RecordingUpstream

__all__ = ["_fresh_upstream", "admin", "upstream"]

MakeClaude = Callable[..., Client]

EVERY_CLAUDE = """
  - model_name: claude-*
    litellm_params: {model: anthropic/claude-*, api_key: os.environ/ANTHROPIC_API_KEY}
"""
"""Claude Code asks for names of its own when no model is set, and for a small one besides."""


@pytest.fixture(scope="package")
def gateway(
    upstream: RecordingUpstream, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    config = CONFIG + EVERY_HOST + EVERY_CLAUDE
    process = make_gateway(tmp_path_factory.mktemp("gateway"), upstream, config, database_url, redis_url)
    process.start()
    yield process
    process.stop()


def require(package: Package) -> None:
    if not has_npm():
        pytest.skip("npm and node are not there, and the clients come from npm")
    if not package.path.exists():
        pytest.skip(f"{package.name} {package.version} is not installed; run: make test-clients")


@pytest.fixture(params=[CLAUDE_CODE, OLDER_CLAUDE_CODE], ids=lambda package: package.version)
def version(request: pytest.FixtureRequest) -> Package:
    package: Package = request.param
    require(package)
    return package


@pytest.fixture
async def key(admin: Admin) -> str:
    return await admin.generate()


@pytest.fixture
def make_claude(gateway: GatewayProcess, key: str, tmp_path: Path) -> MakeClaude:
    def make(package: Package = CLAUDE_CODE, **environment: str) -> Client:
        require(package)
        return claude_code(tmp_path, gateway.base_url, environment.pop("key", key), package, **environment)

    return make
