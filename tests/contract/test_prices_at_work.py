"""Prices that are set while the gateway runs: the next call has them, and the terminal shows and imports them."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.contract.terminal import keyhouse
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

QUESTION = {"max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}


async def test_the_next_call_has_the_price_and_calculate_says_what_it_cost(
    admin: Admin, upstream: RecordingUpstream
) -> None:
    params = {"model": "anthropic/claude-priced-now", "api_key": "sk-ant-x", "api_base": upstream.base_url}
    assert (await admin.post("/model/new", model_name="priced-now", litellm_params=params)).status_code == 200
    owner = (await admin.post("/organization/new", organization_alias="priced")).json()["organization_id"]
    team = (await admin.post("/team/new", organization_id=owner)).json()["team_id"]
    price = {"provider": "anthropic", "model": "claude-priced-now", "output_cost_per_token": 1e-05}
    made = [
        await admin.post("/price/new", **price, input_cost_per_token=1e-06),
        await admin.post("/price/new", **price, input_cost_per_token=2e-06, organization_id=owner),
    ]
    for key, input_dollars, row in (
        (await admin.generate(), "0.000001", made[0]),
        (await admin.generate(team_id=team), "0.000002", made[1]),
    ):
        headers = {"authorization": "", "x-api-key": key}
        answer = await admin.client.post("/v1/messages", json={"model": "priced-now", **QUESTION}, headers=headers)
        assert answer.status_code == 200, answer.text
        [receipt] = await admin.receipts(key, 1)
        usage = answer.json()["usage"]
        cost = usage["input_tokens"] * Decimal(input_dollars) + usage["output_tokens"] * Decimal("0.00001")
        assert Decimal(str(receipt["spend"])) == cost
        assert receipt["metadata"]["price_version"] == f"database:{row.json()['price_id']}"
        asked = {"model": "priced-now", "completion_response": answer.json()}
        told = await admin.client.post("/spend/calculate", json=asked, headers={"authorization": f"Bearer {key}"})
        assert Decimal(str(told.json()["cost"])) == cost


async def test_a_list_is_shown_before_it_is_put_in_force(gateway: GatewayProcess, tmp_path: Path) -> None:
    path = tmp_path / "prices.json"

    def write(price: float) -> None:
        entry = {"litellm_provider": "anthropic", "mode": "chat", "output_cost_per_token": 2e-05}
        path.write_text(json.dumps({"claude-listed-now": entry | {"input_cost_per_token": price}}))

    write(2e-06)
    status, said, errors = await keyhouse(gateway, "prices", "update", "--from", str(path), "--yes")
    assert status == 0, errors
    assert "+ anthropic/claude-listed-now  input_cost_per_token — → 0.000002" in said
    assert "0 added, 0 changed" in (await keyhouse(gateway, "prices", "update", "--from", str(path)))[1]
    write(3e-05)
    status, said, errors = await keyhouse(gateway, "prices", "update", "--from", str(path), "--yes")
    assert status == 1
    assert "input_cost_per_token 0.000002 → 0.00003" in said
    assert "--allow-large-changes" in errors
    status, listed, _ = await keyhouse(gateway, "prices", "list", "--model", "claude-listed-now")
    assert status == 0
    assert listed.count("claude-listed-now") == 1
    status, shown, _ = await keyhouse(gateway, "prices", "show", "claude-listed-now", "--provider", "anthropic")
    assert status == 0
    assert "price_source: imported" in shown
    assert "input_cost_per_token: 0.000002" in shown
    status, _, errors = await keyhouse(gateway, "prices", "update", "--from", "http://169.254.169.254/list.json")
    assert status == 1
    assert "no public address" in errors


async def test_pricing_anew_is_a_command(gateway: GatewayProcess) -> None:
    status, said, errors = await keyhouse(
        gateway, "spend", "reprice", "--from", "2019-01-01", "--to", "2019-01-02", "--dry-run"
    )
    assert status == 0, errors
    assert said == "0 receipts, 0 would be adjusted, 0 without a price now; 0 becomes 0 (+0)\n"
