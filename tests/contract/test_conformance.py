"""Keyhouse under the conformance checks that it brings along for any gateway."""

import asyncio

import pytest

from app.cli.conformance import witness as witnesses
from app.cli.conformance.checks import Result, Setting, run
from app.cli.conformance.command import ALL
from app.cli.conformance.talk import Line
from tests.contract.terminal import keyhouse
from tests.fakes.gateway_process import Admin, GatewayProcess

pytestmark = [pytest.mark.services, pytest.mark.contract]


async def test_keyhouse_passes_every_check(gateway: GatewayProcess, admin: Admin) -> None:
    key = await admin.generate()
    with witnesses.running("127.0.0.1", 0) as witness:
        made = await admin.post(
            "/model/new",
            model_name="claude-witness",
            litellm_params={"model": "anthropic/claude-sonnet-4-6", "api_key": "sk-own", "api_base": witness.url},
        )
        assert made.status_code == 200, made.text

        def examine() -> list[Result]:
            return [run(check, Setting(Line(gateway.base_url, key), "claude-witness", witness)) for check in ALL]

        told = await asyncio.to_thread(examine)
        gone = await admin.post("/model/delete", id=made.json()["model_id"])
        assert gone.status_code == 200, gone.text
    assert [(result.check.number, result.said) for result in told if result.outcome == "failed"] == []
    assert [result.check.number for result in told if result.outcome == "skipped"] == ["C43"]
    said = {result.check.number: result.said for result in told}
    assert said["C21b"] == "byte for byte, but for the model"
    assert said["C41"] == said["C50"] == "byte for byte"


async def test_the_command_prints_a_line_for_each_check(gateway: GatewayProcess, admin: Admin) -> None:
    status, output, _ = await keyhouse(
        gateway,
        "conformance",
        "--url",
        gateway.base_url,
        "--key",
        await admin.generate(),
        "--model",
        "claude-sonnet-4-6",
    )
    assert status == 0, output
    assert all(f" {check.number} " in output for check in ALL)
    assert "0 failed" in output
    status, output, _ = await keyhouse(
        gateway, "conformance", "--url", gateway.base_url, "--key", "sk-wrong", "--model", "claude-sonnet-4-6"
    )
    assert status == 1
    assert "FAILED C01" in output
