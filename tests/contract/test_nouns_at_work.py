"""The nouns of the command line against a running gateway: a small company set up, looked at and taken apart again."""

import csv
import io
import json

import pytest

from tests.contract.terminal import keyhouse
from tests.fakes.gateway_process import MASTER_KEY, Admin, GatewayProcess

pytestmark = [pytest.mark.services, pytest.mark.contract]


async def said(gateway: GatewayProcess, line: str, **environment: str) -> str:
    status, output, errors = await keyhouse(gateway, *line.split(), **environment)
    assert status == 0, errors
    return output.strip()


async def test_a_company_is_set_up_seen_and_taken_apart(gateway: GatewayProcess, admin: Admin) -> None:
    organization = await said(gateway, "organizations create physics-on-cli --max-budget 5000 --budget-duration 30d")
    team = await said(gateway, f"teams create optics-on-cli --organization {organization} --max-budget 499.999999999")
    await said(gateway, f"teams add-member {team} ada@cli.example --role admin --max-budget 80")
    members = await said(gateway, f"teams members {team}")
    assert "ada@cli.example" in members
    assert "80.000000" not in members.splitlines()[0]
    shown = await said(gateway, f"teams show {team}")
    assert "499.999999999" in shown
    assert "members (1)" in shown
    budget = await said(gateway, "budgets create silver-on-cli --max-budget 20 --budget-duration 30d --rpm 60")
    key = await said(gateway, f"keys create --alias laptop-on-cli --team {team} --budget {budget}")
    listed = await said(gateway, f"keys list --team {team}")
    assert "laptop-on-cli" in listed
    assert "page 1 of 1, 1 key" in listed
    assert max(len(line) for line in listed.splitlines()) <= 120
    await said(gateway, f"keys update {key} --rpm 7 --budget none --max-budget 0.000000001")
    assert (await admin.client.get("/key/info", params={"key": key})).json()["info"]["max_budget"] == 1e-9
    assert "0.000000001" in await said(gateway, f"keys show {key}")
    replaced = await said(gateway, f"keys regenerate {key}")
    assert replaced != key
    user = json.loads(await said(gateway, "users list --email ada@cli.example --json"))["users"][0]["user_id"]
    await said(gateway, f"users update {user} --role internal_user --max-budget 12.5")
    assert "12.500000" in await said(gateway, f"users show {user}")
    await said(gateway, f"organizations add-member {organization} ada@cli.example --role org_admin")
    assert "org_admin" in await said(gateway, f"organizations members {organization}")
    await said(gateway, "customers create acme-on-cli --alias Acme")
    assert "acme-on-cli" in await said(gateway, "customers list --search acme-on-cli")
    assert "user_id" in await said(gateway, "customers show acme-on-cli")
    assert "silver-on-cli" in await said(gateway, "budgets list")
    await said(gateway, "tags create optics-on-cli --max-budget 7.5 --budget-duration 1mo --timezone Europe/Berlin")
    shown = await said(gateway, "tags show optics-on-cli")
    assert "7.500000" in shown
    assert "Europe/Berlin" in shown
    assert "optics-on-cli" in await said(gateway, "tags list")
    project = await said(gateway, f"projects create apollo-on-cli --team {team} --max-budget 2.5")
    assert "2.500000" in await said(gateway, f"projects show {project}")
    assert "apollo-on-cli" in await said(gateway, f"projects list --team {team}")
    await said(gateway, f"projects delete {project} --yes")
    for line in (
        "customers delete acme-on-cli",
        "tags delete optics-on-cli",
        f"organizations remove-member {organization} ada@cli.example",
        f"organizations delete {organization} --yes",
        f"users delete {user}",
        f"budgets delete {budget}",
    ):
        await said(gateway, line)
    assert (await admin.client.get("/key/info", params={"key": replaced})).json()["info"]["status"] == "deleted"
    status, _, errors = await keyhouse(gateway, "teams", "show", team)
    assert status == 1
    assert team in errors


async def test_a_model_is_made_listed_changed_and_deleted(gateway: GatewayProcess) -> None:
    made = await said(
        gateway, "models create sonnet-on-cli anthropic/claude-sonnet-4-5 --api-key sk-of-the-provider --weight 2"
    )
    listed = await said(gateway, "models list --search sonnet-on-cli")
    assert made in listed
    assert "page 1 of 1, 1 deployment" in listed
    await said(gateway, f"models update {made} --display-name Sonnet")
    shown = await said(gateway, f"models show {made}")
    assert "Sonnet" in shown
    assert "0.000003" in shown
    assert "sk-of-the-provider" not in shown
    await said(gateway, f"models block {made}")
    assert "blocked" in (await said(gateway, "models list --search sonnet-on-cli")).splitlines()[0]
    await said(gateway, f"models delete {made}")
    assert "0 deployments" in await said(gateway, "models list --search sonnet-on-cli")


async def test_a_gateway_elsewhere_is_named_by_its_address(gateway: GatewayProcess) -> None:
    elsewhere = {"KEYHOUSE_PORT": "1", "KEYHOUSE_MASTER_KEY": "", "KEYHOUSE_HOME": "/nowhere"}
    listed = await said(
        gateway, "teams list", KEYHOUSE_URL=gateway.base_url, KEYHOUSE_ADMIN_KEY=MASTER_KEY, **elsewhere
    )
    assert "page 1 of" in listed
    status, _, errors = await keyhouse(gateway, "teams", "list", KEYHOUSE_URL="gateway.example.com")
    assert status == 1
    assert "https://gateway.example.com" in errors


async def test_spend_is_reported_by_team_and_model_in_each_format(gateway: GatewayProcess, admin: Admin) -> None:
    team = await said(gateway, "teams create spenders-on-cli")
    key = await said(gateway, f"keys create --team {team}")
    answer = await admin.client.post(
        "/v1/messages",
        json={"model": "demo/echo", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 200, answer.text
    [receipt] = await admin.receipts(key, 1)
    line = f"spend report --by team,model --team {team} --timezone Europe/Berlin --from 2026-01-01 --to 2099-12-31"
    [row] = json.loads(await said(gateway, f"{line} --json"))["data"]
    assert (row["team_alias"], row["cost"]) == ("spenders-on-cli", receipt["spend"])
    [written] = csv.DictReader(io.StringIO(await said(gateway, f"{line} --format csv")))
    assert written["team_alias"] == "spenders-on-cli"
    table = await said(gateway, line)
    assert "spenders-on-cli" in table
    assert written["cost"] in table
    assert table.endswith(f"{written['cost']} USD")
    status, _, errors = await keyhouse(gateway, "spend", "report", "--by", "planet")
    assert status == 1
    assert "planet" in errors
