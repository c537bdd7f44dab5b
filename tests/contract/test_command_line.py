"""The commands of a terminal, against a running gateway."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from tests.contract.conftest import PROVIDER_KEY
from tests.fakes.gateway_process import MASTER_KEY, Admin, GatewayProcess, free_port
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]


async def keyhouse(gateway: GatewayProcess, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        *arguments,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(gateway.home.parent),
            "KEYHOUSE_HOME": str(gateway.home),
            "KEYHOUSE_PORT": str(gateway.port),
            "KEYHOUSE_MASTER_KEY": MASTER_KEY,
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in errors, errors.decode()
    return process.returncode, output.decode(), errors.decode()


async def test_a_key_is_made_listed_blocked_and_deleted(gateway: GatewayProcess, admin: Admin) -> None:
    status, key, _ = await keyhouse(gateway, "keys", "create", "--alias", "laptop", "--max-budget", "2.50")
    key = key.strip()
    assert status == 0
    assert key.startswith("sk-kh-")
    _, listed, _ = await keyhouse(gateway, "keys", "list", "--json")
    [row] = [row for row in json.loads(listed)["keys"] if row["key_alias"] == "laptop"]
    assert row["max_budget"] == 2.5
    _, table, _ = await keyhouse(gateway, "keys", "list")
    assert "laptop" in table
    assert key not in table
    assert (await keyhouse(gateway, "keys", "block", key))[0] == 0
    info = await admin.client.get("/key/info", params={"key": key})
    assert info.json()["info"]["blocked"] is True
    assert (await keyhouse(gateway, "keys", "delete", key))[0] == 0
    assert (await admin.client.get("/key/info", params={"key": key})).json()["info"]["status"] == "deleted"


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "said"),
    [
        (("keys", "create", "--max-budget", "much"), {}, 2, '"much" is not an amount in dollars'),
        (("keys", "create", "--budget-duration", "30 days"), {}, 1, 'such as "30d"'),
        (
            ("keys", "list"),
            {"KEYHOUSE_MASTER_KEY": "sk-wrong-master-key-0123456789"},
            1,
            "this gateway knows no such key",
        ),
        (("keys", "list"), {"KEYHOUSE_PORT": "1"}, 1, "start one with: keyhouse serve"),
        (("serve", "--port", "70000"), {}, 2, "70000"),
        (("serve",), {"KEYHOUSE_PROT": "1"}, 1, "KEYHOUSE_PORT"),
        (("serve",), {"DATABASE_URL": "mysql://x"}, 1, "postgresql://"),
        (("serve",), {"DATABASE_URL": "postgresql://db/x"}, 1, "KEYHOUSE_SECRET must be set"),
    ],
)
async def test_a_mistake_is_told_in_words_with_its_exit_status(
    gateway: GatewayProcess, arguments: tuple[str, ...], environment: dict[str, str], status: int, said: str
) -> None:
    code, _, errors = await keyhouse(gateway, *arguments, **environment)
    assert code == status, errors
    assert said in errors


@pytest.mark.parametrize(
    "command", ["serve", "migrate", "keys", "teams", "spend", "doctor", "keys create", "keys list", "keys block"]
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    told = CliRunner().invoke(main, [*command.split(), "--help"])
    assert told.exit_code == 0
    assert "Example:" in told.output


async def test_doctor_names_the_broken_link(
    gateway: GatewayProcess, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    home = {"KEYHOUSE_HOME": str(tmp_path), "ANTHROPIC_API_KEY": PROVIDER_KEY}
    status, text, _ = await keyhouse(gateway, "doctor", ANTHROPIC_API_BASE=upstream.base_url, **home)
    assert status == 0, text
    assert f"ok      provider anthropic at {upstream.base_url}" in text
    broken = f"http://127.0.0.1:{free_port()}"
    status, text, _ = await keyhouse(gateway, "doctor", ANTHROPIC_API_BASE=broken, **home)
    assert status == 1
    assert f"BROKEN  provider anthropic at {broken}" in text


async def test_migrate_may_be_said_again(gateway: GatewayProcess, database_url: str) -> None:
    status, text, _ = await keyhouse(
        gateway, "migrate", DATABASE_URL=database_url, REDIS_URL="redis://127.0.0.1:1", KEYHOUSE_SECRET="s" * 32
    )
    assert (status, text.strip()) == (0, "the database is at the newest schema")
