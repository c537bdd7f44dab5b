"""Claude Code tells the gateway what it did, with the variables that `keyhouse claude --telemetry` gives it."""

import json
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from app.domain.client_setups import Wish, claude_code_environment
from tests.clients.conftest import MakeClaude
from tests.clients.installed import Package
from tests.clients.running import asking
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = pytest.mark.clients

MODEL = "claude-sonnet-4-6"


def make_repository(folder: Path) -> None:
    for arguments in ("init -q .", "config user.name Ada", "config user.email ada@example.com"):
        subprocess.run(["git", *arguments.split()], cwd=folder, check=True)


@pytest.mark.parametrize(("protocol", "temporality"), [("http/protobuf", "delta"), ("http/json", "cumulative")])
async def test_a_commit_of_claude_code_stands_beside_the_cost_of_its_session(
    make_claude: MakeClaude,
    version: Package,
    gateway: GatewayProcess,
    upstream: RecordingUpstream,
    admin: Admin,
    protocol: str,
    temporality: str,
) -> None:
    user = (await admin.post("/user/new", user_alias=f"dev-{uuid4()}", auto_create_key=False)).json()["user_id"]
    key = await admin.generate(user_id=user)
    claude = make_claude(
        version,
        **{
            **claude_code_environment(Wish(gateway.base_url, key, telemetry=True)),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "DISABLE_TELEMETRY": "",
            "DO_NOT_TRACK": "",
        },
    )
    make_repository(claude.work)
    command = "git commit --allow-empty -m x && sleep 1"
    told = json.dumps({"command": command}, separators=(",", ":")).replace(" ", "\\u0020")
    upstream.default = Script(text=("done",))
    run = await claude.run(*asking(f"FAKE: call=Bash input={told}", "--model", MODEL, "--allowedTools", "Bash"))
    assert run.status == 0, run.said
    await admin.receipts(key, 2)
    [session] = (await admin.client.get("/spend/sessions", params={"user_id": user})).json()["data"]
    assert (session["commits"], session["requests"] >= 2) == (1, True)
