"""``/spend/calculate`` says what settlement books, exactly, and to a key what its organization pays."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert

from app.base.ids import new_id
from app.storage.postgres import tables
from tests.api.support import Answer, Door

pytestmark = pytest.mark.services

MESSAGE = {
    "type": "message",
    "model": "file-claude",
    "usage": {
        "input_tokens": 1000,
        "output_tokens": 100,
        "cache_read_input_tokens": 10_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000},
        "server_tool_use": {"web_search_requests": 1},
    },
}
CHAT_USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
CHAT = {"object": "chat.completion", "model": "file-claude", "choices": [], "usage": CHAT_USAGE}
RESPONSE_USAGE = {"input_tokens": 7, "output_tokens": 1}
RESPONSE = {"object": "response", "model": "file-claude", "output": [], "usage": RESPONSE_USAGE}


async def calculated(door: Door, body: dict[str, Any], **further: Any) -> Answer:
    return await door.post("/spend/calculate", body, **further)


@pytest.mark.parametrize(
    ("completion", "cost", "parts"),
    [
        (MESSAGE, "0.0235", {"input": "0.003", "cache_read": "0.003", "cache_write": "0.006", "other": "0.01"}),
        (CHAT, "0.00342", {"input": "0.0018", "cache_read": "0.00012", "output": "0.0015"}),
        (RESPONSE, "0.000036", {"input": "0.000021", "output": "0.000015"}),
        ({**CHAT, "service_tier": "flex"}, "0.00342", {}),
    ],
)  # fmt: skip
async def test_an_answer_of_any_protocol_is_priced_by_class(
    admin_door: Door, completion: dict[str, Any], cost: str, parts: dict[str, str]
) -> None:
    told = (await calculated(admin_door, {"completion_response": completion})).fields

    assert told["cost"] == Decimal(cost)
    assert {name: told["breakdown"][name] for name in parts} == {name: Decimal(part) for name, part in parts.items()}
    assert sum(told["breakdown"].values()) == told["cost"]
    assert (told["price_source"], told["usage_source"]) == ("bundled", "provider")


async def test_messages_are_priced_by_an_estimate_of_their_input(admin_door: Door) -> None:
    messages = [{"role": "user", "content": "x" * 4000}]

    told = (await calculated(admin_door, {"model": "file-claude", "messages": messages})).fields

    assert told["usage_source"] == "estimated"
    assert told["cost"] == told["usage"]["input"] * Decimal("0.000003")
    assert 1000 <= told["usage"]["input"] <= 1020


async def test_a_key_is_told_what_its_organization_pays(admin_door: Door) -> None:
    owner = f"org_{new_id('o')}"
    async with admin_door.engine.begin() as connection:
        await connection.execute(insert(tables.organizations).values(organization_id=owner))
    team = (await admin_door.post("/team/new", {"organization_id": owner})).fields["team_id"]
    key = (await admin_door.new_key(team_id=team))["key"]
    await admin_door.client.patch(
        "/config/cost_margin_config", params={"organization_id": owner}, json={"anthropic": 0.5},
        headers={"authorization": "Bearer sk-master-of-the-tests-1234567890"},
    )  # fmt: skip

    asked = {"completion_response": RESPONSE}
    ours = (await calculated(admin_door, asked, headers={"authorization": f"Bearer {key}"})).fields
    others = (await calculated(admin_door, asked)).fields

    assert (ours["cost"], others["cost"]) == (Decimal("0.000054"), Decimal("0.000036"))
    assert ours["cost_before_discount_and_margin"] == others["cost"]
    assert ours["price_version"] == f"{others['price_version']}:on=0.5"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "model"),
        ({"model": "file-claude"}, 422, "messages"),
        ({"model": "file-claude", "messages": "hello"}, 422, "messages"),
        ({"model": "nobodys", "messages": []}, 404, "model"),
        ({"completion_response": {"model": "file-claude"}}, 422, "completion_response"),
        ({"completion_response": []}, 422, "completion_response"),
        ({"model": "file-claude", "message": []}, 422, "message"),
    ],
)
async def test_what_cannot_be_calculated_is_refused_by_name(
    admin_door: Door, body: dict[str, Any], status: int, param: str
) -> None:
    refused = await calculated(admin_door, body)

    assert (refused.status, refused.error["param"]) == (status, param), refused.text
