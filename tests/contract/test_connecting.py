"""``keyhouse claude`` and ``keyhouse connect`` against a running gateway: what works, what is broken."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.contract.terminal import keyhouse
from tests.fakes.gateway_process import Admin, GatewayProcess, free_port
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]


def links(output: str) -> dict[str, str]:
    """``ok`` or ``BROKEN`` by the name of the link."""
    lines = [line for line in output.splitlines() if line.startswith(("ok", "BROKEN"))]
    return {line.split()[1].rstrip(":"): line.split()[0] for line in lines}


@pytest.mark.parametrize(
    ("client", "model", "expected"),
    [
        ("claude-code", "claude-sonnet-4-6", ["gateway", "key", "models", "message", "stream", "count_tokens"]),
        ("codex", "gpt-5", ["gateway", "key", "models", "message", "stream"]),
        ("openai-python", "gpt-5", ["gateway", "key", "models", "message", "stream"]),
        ("gemini-cli", "claude-sonnet-4-6", ["gateway", "key", "models", "message", "stream"]),
    ],
)
async def test_the_chain_of_every_protocol_is_tried_to_its_end(
    gateway: GatewayProcess, admin: Admin, client: str, model: str, expected: list[str]
) -> None:
    key = await admin.generate()
    status, output, _ = await keyhouse(gateway, "connect", client, "--key", key, "--model", model, "--check")
    assert links(output) == dict.fromkeys(expected, "ok"), output
    assert status == 0


async def broken(gateway: GatewayProcess, *arguments: str, **environment: str) -> tuple[str, str]:
    """The broken link of ``keyhouse claude --check`` and all that was said."""
    status, output, _ = await keyhouse(gateway, "claude", "--check", *arguments, **environment)
    assert status == 1
    [name] = [name for name, state in links(output).items() if state == "BROKEN"]
    assert list(links(output))[-1] == name
    return name, output


async def test_a_gateway_that_does_not_answer_is_named(gateway: GatewayProcess) -> None:
    name, output = await broken(gateway, "--url", f"http://127.0.0.1:{free_port()}", "--key", "sk-kh-any")
    assert name == "gateway"
    assert "keyhouse serve" in output


async def test_another_server_at_the_address_is_not_taken_for_the_gateway(
    gateway: GatewayProcess, upstream: RecordingUpstream
) -> None:
    _, output = await broken(gateway, "--url", upstream.base_url, "--key", "sk-kh-any")
    assert "is no Keyhouse" in output


async def test_a_wrong_and_a_missing_key_are_named(gateway: GatewayProcess) -> None:
    assert (await broken(gateway, "--key", "sk-kh-wrong"))[0] == "key"
    assert (await broken(gateway))[0] == "key"


async def test_a_model_that_the_key_may_not_use_is_named_with_those_it_may(
    gateway: GatewayProcess, admin: Admin
) -> None:
    key = await admin.generate(models=["gpt-5"])
    name, output = await broken(gateway, "--key", key, "--model", "claude-sonnet-4-6")
    assert name == "message"
    assert '"gpt-5"' in output


async def test_a_provider_that_refuses_and_one_that_breaks_off_are_told_apart(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    arguments = ("--key", await admin.generate(), "--model", "claude-sonnet-4-6")
    upstream.default = Script(error=401)
    name, output = await broken(gateway, *arguments)
    assert name == "message"
    assert "keyhouse doctor" in output
    upstream.default = Script(events=9, cut_after=4)
    name, _ = await broken(gateway, *arguments)
    assert name in {"message", "stream"}


async def test_the_settings_of_claude_code_are_written_with_a_key_made_for_it(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    (tmp_path / "settings.json").write_text('{"model": "opus"}')
    status, output, errors = await keyhouse(
        gateway, "claude", "--new-key", "claude-code-of-ada", "--write", "--check", CLAUDE_CONFIG_DIR=str(tmp_path)
    )
    assert status == 0, output
    written = json.loads((tmp_path / "settings.json").read_text())
    assert written["model"] == "opus"
    assert written["env"]["ANTHROPIC_BASE_URL"] == gateway.base_url
    key = written["env"]["ANTHROPIC_AUTH_TOKEN"]
    assert key in errors
    assert key not in output
    assert 'key: "claude-code-of-ada"' in output


async def test_a_key_without_claude_gets_its_model_in_every_role(gateway: GatewayProcess, admin: Admin) -> None:
    key = await admin.generate(models=["gpt-5"])
    _, output, _ = await keyhouse(gateway, "claude", "--key", key)
    assert "export ANTHROPIC_MODEL=gpt-5" in output
    assert "export ANTHROPIC_DEFAULT_HAIKU_MODEL=gpt-5" in output


async def run(arguments: Sequence[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.parametrize(
    ("client", "model"), [("anthropic-python", "claude-sonnet-4-6"), ("openai-python", "gpt-5"), ("curl", "gpt-5")]
)
async def test_what_is_printed_for_an_sdk_runs_as_it_stands(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream, client: str, model: str
) -> None:
    upstream.default = Script(text=("It works.",))
    key = await admin.generate()
    _, printed, _ = await keyhouse(gateway, "connect", client, "--key", key, "--model", model)
    program = ["sh", "-c", printed] if client == "curl" else [sys.executable, "-W", "ignore", "-c", printed]
    assert "It works." in await run(program)
