"""The commands of a terminal, against a running gateway."""

import json
import re
from pathlib import Path

import click
import pytest

from app.cli import main
from app.cli.nouns import NOUNS
from tests.contract.conftest import PROVIDER_KEY
from tests.contract.terminal import keyhouse, keyhouse_process
from tests.fakes.gateway_process import Admin, GatewayProcess, free_port
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

TWO_KEYS = """
model_list:
  - model_name: first
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: sk-one, api_base: %(good)s}
  - model_name: second
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: sk-two, api_base: %(good)s}
  - model_name: third
    litellm_params: {model: openai/gpt-5, api_key: sk-three, api_base: http://%(nobody)s}
"""

pytestmark = [pytest.mark.services, pytest.mark.contract]


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
        (
            ("keys", "list"),
            {"KEYHOUSE_URL": "http://127.0.0.1:port"},
            1,
            'KEYHOUSE_URL is "http://127.0.0.1:port"; give',
        ),
        (("keys", "list"), {"KEYHOUSE_URL": "http://[gateway"}, 1, "such as https://gateway.example.com"),
        (
            ("keys", "list"),
            {"KEYHOUSE_ADMIN_KEY": "sk-kh-…"},
            1,
            "not plain ASCII, as keys are",
        ),
        (("claude", "--key", "sk-kh-copied…", "--check"), {}, 2, "give it whole with --key"),
        (("conformance", "--model", "x"), {}, 2, "no key: give one of that gateway with --key"),
        (("spend", "report", "--from", "2026-11-31"), {}, 2, "'--from': \"2026-11-31\" is no day"),
        (("audit", "list", "--to", "today"), {}, 2, "write it as YYYY-MM-DD"),
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


async def test_doctor_finds_everything_in_order_and_makes_nothing(
    gateway: GatewayProcess, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    environment = {"KEYHOUSE_HOME": str(home), "ANTHROPIC_API_KEY": PROVIDER_KEY}
    status, text, _ = await keyhouse(gateway, "doctor", ANTHROPIC_API_BASE=upstream.base_url, **environment)
    assert status == 0, text
    assert f"ok      provider anthropic at {upstream.base_url}" in text
    assert re.search(r"ok      [0-9]+ deployments of the running gateway do well", text), text
    # The first start makes the admin key and shows it: whoever looked before must not have made it.
    assert not (home / "admin-key").exists()
    status, text, _ = await keyhouse(gateway, "doctor", KEYHOUSE_HOME=str(home))
    assert status == 0
    assert "note    no provider has a credential here" in text


async def test_doctor_names_each_broken_link(
    gateway: GatewayProcess, upstream: RecordingUpstream, tmp_path: Path, database_url: str
) -> None:
    status, text, _ = await keyhouse(gateway, "doctor", DATABASE_URL=database_url)
    assert (status, "BROKEN  configuration: KEYHOUSE_SECRET must be set" in text) == (1, True)
    nobody = f"127.0.0.1:{free_port()}"
    config = tmp_path / "config.yaml"
    config.write_text(TWO_KEYS % {"good": upstream.base_url, "nobody": nobody})
    upstream.script(Script(error=401), Script(error=503))
    status, text, _ = await keyhouse(
        gateway, "doctor", "--config", str(config),
        KEYHOUSE_HOME=str(tmp_path), KEYHOUSE_SECRET="s" * 32, DATABASE_URL=f"postgresql://{nobody}/x",
        REDIS_URL=f"redis://{nobody}",
    )  # fmt: skip
    assert status == 1
    lines = text.splitlines()
    assert any(line.startswith("BROKEN  Postgres: ") and "is DATABASE_URL right?" in line for line in lines), text
    assert any(line.startswith("BROKEN  Redis: ") and "is REDIS_URL right?" in line for line in lines), text
    assert any("refuses the credential (401); check ANTHROPIC_API_KEY" in line for line in lines), text
    assert any('for the model "second": it answers 503' in line for line in lines), text
    assert any(line.startswith(f"BROKEN  provider openai at http://{nobody}") for line in lines), text
    healthy = {"DATABASE_URL": database_url, "REDIS_URL": f"redis://{nobody}", "KEYHOUSE_SECRET": "s" * 32}
    _, text, _ = await keyhouse(gateway, "doctor", KEYHOUSE_HOME=str(tmp_path), **healthy)
    assert re.search(r"ok      Postgres: [0-9.]+, schema 00[0-9]{2}", text), text


async def test_what_is_no_keyhouse_is_called_so(gateway: GatewayProcess, upstream: RecordingUpstream) -> None:
    status, _, errors = await keyhouse(gateway, "keys", "list", KEYHOUSE_URL=upstream.base_url)
    assert (status, "is no Keyhouse; is KEYHOUSE_URL the gateway's own address" in errors) == (1, True)


async def test_a_taken_port_is_said_before_anything_is_started(gateway: GatewayProcess, tmp_path: Path) -> None:
    status, output, errors = await keyhouse(gateway, "serve", KEYHOUSE_HOME=str(tmp_path / "home"))
    assert (status, output) == (1, "")
    assert f"port {gateway.port} of 127.0.0.1 is taken by another program" in errors
    assert not (tmp_path / "home").exists()


async def test_migrate_needs_no_secret_and_says_where_the_database_stood(
    gateway: GatewayProcess, database_url: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    status, text, _ = await keyhouse(
        gateway, "migrate", DATABASE_URL=database_url, KEYHOUSE_MASTER_KEY="", KEYHOUSE_HOME=str(home)
    )
    assert status == 0
    assert re.fullmatch(r"the database is at the newest schema, 00\d\d \(it was there already\)\n", text)
    assert not home.exists(), "a database of the operator's needs no data here"


async def test_help_says_of_each_command_a_whole_sentence(gateway: GatewayProcess) -> None:
    for arguments in ((), ("keys",), ("spend",), ("audit",), ("prices",), ("credentials",), ("import",)):
        _, text, _ = await keyhouse(gateway, *arguments, "--help")
        assert "..." not in text.partition("Commands:")[2]


async def test_each_command_starts_in_a_process_of_its_own(gateway: GatewayProcess) -> None:
    """What it imports it finds by itself, whatever other tests have imported before it."""
    for name in sorted(set(main.list_commands(click.Context(main))) - {noun.name for noun in NOUNS[1:]}):
        status, text, errors = await keyhouse_process(gateway, name, "--help")
        assert (status, f"keyhouse {name}" in text) == (0, True), errors
