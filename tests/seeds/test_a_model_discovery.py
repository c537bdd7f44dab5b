"""Part A: the model list that Claude Code asks a gateway for at its start."""

from datetime import datetime
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.seeds.conftest import SecondGateway

pytestmark = [pytest.mark.services, pytest.mark.contract]

VERSION = {"anthropic-version": "2023-06-01"}
CLAUDE_CODE = {**VERSION, "user-agent": "claude-cli/2.1.128 (external, cli)"}
HELLO: dict[str, Any] = {"max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def discovered(http: httpx.AsyncClient, owners_key: str) -> dict[str, Any]:
    """What Claude Code gets at its start."""
    answer = await http.get("/v1/models?limit=1000", headers={**CLAUDE_CODE, "x-api-key": owners_key})
    assert answer.status_code == 200
    assert not answer.history
    listed: dict[str, Any] = answer.json()
    return listed


def shown_in_the_picker(ids: list[str], *, since_2_1_223: bool) -> list[str]:
    """Claude Code's own filter: names that begin with one of two words; in newer versions, that contain one."""
    words = ("claude", "anthropic")
    if since_2_1_223:
        return [name for name in ids if any(word in name.lower() for word in words)]
    return [name for name in ids if name.startswith(words)]


async def test_a01_claude_code_is_answered_with_anthropics_own_list_at_its_start(discovered: dict[str, Any]) -> None:
    assert set(discovered) == {"data", "has_more", "first_id", "last_id"}
    assert len(discovered["data"]) > 20


async def test_a02_each_entry_has_the_type_model_and_no_object(discovered: dict[str, Any]) -> None:
    assert {entry["type"] for entry in discovered["data"]} == {"model"}
    assert not [entry for entry in discovered["data"] if "object" in entry]


async def test_a03_each_entry_has_an_id_that_can_be_asked_for(
    discovered: dict[str, Any], http: httpx.AsyncClient, key: str
) -> None:
    ids = [entry["id"] for entry in discovered["data"]]
    assert len(set(ids)) == len(ids)
    for model in ("claude-4", "claude-sonnet-4-5"):
        assert model in ids
        answer = await http.post("/v1/messages", json={"model": model, **HELLO}, headers={"x-api-key": key})
        assert answer.status_code == 200


async def test_a04_each_entry_has_a_label_for_the_picker(discovered: dict[str, Any]) -> None:
    labels = {entry["id"]: entry["display_name"] for entry in discovered["data"]}
    assert all(isinstance(label, str) and label for label in labels.values())
    assert labels["claude-sonnet-4-5"] == "Claude Sonnet 4.5"


async def test_a05_each_entry_has_its_time_in_iso_8601(discovered: dict[str, Any]) -> None:
    for entry in discovered["data"]:
        assert entry["created_at"].endswith("Z")
        assert datetime.fromisoformat(entry["created_at"]).tzinfo is not None
        assert "created" not in entry


async def test_a06_the_list_names_its_ends_and_that_there_is_no_more(discovered: dict[str, Any]) -> None:
    ids = [entry["id"] for entry in discovered["data"]]
    assert (discovered["has_more"], discovered["first_id"], discovered["last_id"]) == (False, ids[0], ids[-1])
    assert "object" not in discovered


async def test_a07_ids_that_begin_with_claude_or_anthropic_are_there_to_be_shown(discovered: dict[str, Any]) -> None:
    ids = [entry["id"] for entry in discovered["data"]]
    older = shown_in_the_picker(ids, since_2_1_223=False)
    assert {"claude-4", "claude-code-sonnet-4", "anthropic/claude-sonnet-4-5"} <= set(older)
    # Another host's model gets into the picker by such a name of its own.
    assert "claude-on-gpt-5" in older
    newer = shown_in_the_picker(ids, since_2_1_223=True)
    assert set(older) < set(newer)
    assert not [entry for entry in discovered["data"] if "From gateway" in str(entry)]  # the client says so itself


async def test_a08_the_list_can_be_cached_because_it_is_the_same_each_time(
    http: httpx.AsyncClient, owners_key: str
) -> None:
    asked = [await http.get("/v1/models", headers={**CLAUDE_CODE, "x-api-key": owners_key}) for _ in range(2)]
    assert asked[0].content == asked[1].content
    assert asked[0].headers["content-type"] == "application/json"


async def test_a09_a10_the_list_is_given_for_x_api_key_and_for_bearer_and_for_nobody_else(
    http: httpx.AsyncClient, key: str
) -> None:
    for credential in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}):
        answer = await http.get("/v1/models", headers={**CLAUDE_CODE, **credential})
        assert answer.status_code == 200
    for credential in ({}, {"x-api-key": "sk-nobody"}):
        answer = await http.get("/v1/models", headers={**CLAUDE_CODE, **credential})
        assert (answer.status_code, answer.json()["type"]) == (401, "error")


async def test_a11_openais_clients_get_openais_list(
    http: httpx.AsyncClient, openai_client: openai.AsyncOpenAI, key: str
) -> None:
    answer = (await http.get("/v1/models", headers={"authorization": f"Bearer {key}"})).json()
    assert answer["object"] == "list"
    entry = next(entry for entry in answer["data"] if entry["id"] == "claude-sonnet-4-5")
    assert (entry["object"], entry["owned_by"], type(entry["created"])) == ("model", "anthropic", int)
    assert "claude-sonnet-4-5" in {model.id async for model in openai_client.models.list()}


async def test_a12_the_header_anthropic_version_decides_the_format(
    http: httpx.AsyncClient, anthropic_client: anthropic.AsyncAnthropic, key: str
) -> None:
    for path in ("/v1/models", "/models"):
        with_header = (await http.get(path, headers={**VERSION, "x-api-key": key})).json()
        without = (await http.get(path, headers={"x-api-key": key})).json()
        assert ("first_id" in with_header, "object" in with_header) == (True, False)
        assert ("first_id" in without, "object" in without) == (False, True)
    assert "claude-4" in {model.id async for model in anthropic_client.models.list()}


async def test_a13_below_anthropic_the_list_is_always_anthropics(http: httpx.AsyncClient, key: str) -> None:
    for headers in ({}, VERSION):
        answer = (await http.get("/anthropic/v1/models", headers={**headers, "x-api-key": key})).json()
        assert {entry["type"] for entry in answer["data"]} == {"model"}
        assert "first_id" in answer


async def test_a14_a_setting_makes_the_list_anthropics_for_everyone(second_gateway: SecondGateway, key: str) -> None:
    """``model_list_format: anthropic`` in the second gateway's file."""
    answer = (await second_gateway.http.get("/v1/models", headers={"authorization": f"Bearer {key}"})).json()
    assert "first_id" in answer
    assert "object" not in answer


@pytest.mark.parametrize("version", ["2.1.126", "2.1.128"])
async def test_a15_one_base_address_without_a_path_serves_discovery_and_messages(
    http: httpx.AsyncClient, anthropic_client: anthropic.AsyncAnthropic, key: str, version: str
) -> None:
    headers = {**VERSION, "authorization": f"Bearer {key}", "user-agent": f"claude-cli/{version} (external, cli)"}
    assert (await http.head("/")).status_code == 200
    listed = (await http.get("/v1/models?limit=1000", headers=headers)).json()
    model = listed["data"][0]["id"]
    answer = await http.post("/v1/messages?beta=true", json={"model": model, **HELLO}, headers=headers)
    assert answer.json()["type"] == "message"
    said = await anthropic_client.messages.create(model=model, **HELLO)
    assert said.type == "message"
