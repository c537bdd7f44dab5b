"""The key routes over real stores: LiteLLM's shapes, what is enforced, and what is refused."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from app.domain.keys import may_be_key
from app.storage.postgres.audit import list_entries
from tests.api.support import ADMIN, Door

pytestmark = pytest.mark.services

# What LiteLLM 1.109.1 answers to /key/generate with {}: every field, with what we answer in ours.
GENERATED: dict[str, Any] = {
    "key_alias": None, "duration": None, "models": [], "max_budget": None, "user_id": None,
    "team_id": None, "agent_id": None, "max_parallel_requests": None, "metadata": {}, "tpm_limit": None,
    "rpm_limit": None, "budget_duration": None, "budget_limits": None, "allowed_cache_controls": [], "config": {},
    "permissions": {}, "model_max_budget": {}, "budget_fallbacks": {}, "model_rpm_limit": None,
    "model_tpm_limit": None, "mcp_rpm_limit": None, "tag_rpm_limit": None, "guardrails": None, "policies": None,
    "prompts": None, "blocked": None, "aliases": {}, "object_permission": None, "tpd_limit": None,
    "default_estimated_output_tokens": None, "default_estimated_output_tokens_per_model": None, "budget_id": None,
    "end_user_budget_id": None, "tags": None, "disable_global_guardrails": None, "enable_prompt_caching": None,
    "throttle_on_budget_exceeded": None, "enforced_params": None, "allowed_routes": [],
    "allowed_passthrough_routes": None, "denied_passthrough_routes": None, "allowed_vector_store_indexes": None,
    "rpm_limit_type": None, "tpm_limit_type": None, "access_group_ids": [], "key_type": "default", "expires": None,
    "organization_id": None, "project_id": None, "litellm_budget_table": None, "created_by": "default_user_id",
    "updated_by": "default_user_id", "on_exceed": None,
}  # fmt: skip
CHANGING = {"key", "key_name", "token", "token_id", "created_at", "updated_at", "router_settings", "spend"}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_an_empty_request_makes_a_key_and_answers_every_field_of_litellm(admin_door: Door) -> None:
    for body in (b"", b"{}"):
        answer = await admin_door.post("/key/generate", body)
        assert answer.status == 200
        made = answer.fields
        assert {name: made[name] for name in GENERATED} == GENERATED
        assert made.keys() >= GENERATED.keys() | CHANGING
        assert may_be_key(made["key"])
        assert made["key_name"] == f"sk-...{made['key'][-4:]}"
        assert made["token"] == made["token_id"]
        assert made["token"].startswith("key_")
        assert made["created_at"].endswith("Z")
        assert '"spend":0.000000' in answer.text
        assert answer.headers["request-id"].startswith("req_")


async def test_everything_that_is_enforced_comes_back_as_it_was_given(admin_door: Door) -> None:
    team = (await admin_door.post("/team/new", {"team_alias": "research"})).fields
    asked: dict[str, Any] = {
        "key_alias": "ci-robot", "models": ["claude-*", "gpt-5"], "aliases": {"fast": "claude-haiku-4-5"},
        "max_parallel_requests": 3, "rpm_limit": 60, "tpm_limit": 100_000, "budget_duration": "30d", "on_exceed": "cut",
        "allowed_routes": ["anthropic_routes", "/v1/models"], "user_id": "ada@example.org",
        "team_id": team["team_id"], "blocked": True,
    }  # fmt: skip
    body = b'{"max_budget": 0.1000000001, "duration": "1h", "metadata": {"cost": {"centre": 7}}, "tags": ["a", "b"],'
    answer = await admin_door.post("/key/generate", body + msgspec.json.encode(asked)[1:])
    assert answer.status == 200, answer.text
    made = answer.fields
    assert {name: made[name] for name in asked} == asked
    assert '"max_budget":0.100000,' in answer.text
    assert made["metadata"] == {"cost": {"centre": 7}, "tags": ["a", "b"]}
    assert made["tags"] == ["a", "b"]
    lifetime = datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["created_at"])
    assert lifetime == timedelta(hours=1)

    info = (await admin_door.get("/key/info", key=made["key"])).fields
    assert info["key"] == made["key"]
    assert {name: info["info"][name] for name in asked} == asked
    assert info["info"]["status"] == "blocked"
    assert "token" not in info["info"]
    window_end = datetime.fromisoformat(info["info"]["budget_reset_at"])
    assert (window_end.day, window_end.hour) == (1, 0)
    assert window_end > datetime.now(UTC)


@pytest.mark.parametrize(
    ("key_type", "routes"),
    [
        ("default", []),
        ("llm_api", ["llm_api_routes"]),
        ("management", ["management_routes"]),
        ("read_only", ["info_routes"]),
    ],
)
async def test_a_key_type_presets_the_allowed_routes(admin_door: Door, key_type: str, routes: list[str]) -> None:
    assert (await admin_door.new_key(key_type=key_type))["allowed_routes"] == routes


async def test_a_key_may_be_named_by_itself_its_id_or_its_sha256(admin_door: Door) -> None:
    made = await admin_door.new_key(key_alias=None)
    for name in (made["key"], made["token"], hashlib.sha256(made["key"].encode()).hexdigest()):
        answer = await admin_door.post("/key/update", {"key": name, "rpm_limit": 9})
        assert answer.status == 200
        assert answer.fields["key"] == name
        assert answer.fields["token"] == made["token"]


async def test_an_update_changes_what_it_names_and_null_takes_a_limit_away(admin_door: Door) -> None:
    made = await admin_door.new_key(rpm_limit=5, tpm_limit=6, max_budget=1, models=["a"], duration="1d", tags=["x"])
    changed = (await admin_door.post("/key/update", {"key": made["key"], "rpm_limit": None, "max_budget": None})).fields
    assert (changed["rpm_limit"], changed["max_budget"], changed["budget_id"]) == (None, None, None)
    assert (changed["tpm_limit"], changed["models"], changed["expires"]) == (6, ["a"], made["expires"])
    kept = (await admin_door.post("/key/update", {"key": made["key"], "duration": None, "metadata": {"m": 1}})).fields
    assert kept["expires"] == made["expires"]
    assert kept["metadata"] == {"m": 1, "tags": ["x"]}
    forever = (await admin_door.post("/key/update", {"key": made["key"], "duration": "-1"})).fields
    assert forever["expires"] is None
    assert (await admin_door.post("/key/generate", {"duration": "-1"})).error["param"] == "duration"


async def budget_row(door: Door, budget_id: str) -> Any:
    async with door.engine.connect() as connection:
        found = await connection.execute(text("SELECT * FROM budgets WHERE budget_id = :id"), {"id": budget_id})
        return found.one_or_none()


async def test_a_budget_counts_anew_when_its_duration_changes_and_not_when_its_limit_does(admin_door: Door) -> None:
    made = await admin_door.new_key(max_budget=10, budget_duration="1d")
    first = await budget_row(admin_door, made["budget_id"])
    assert first.anchor == first.counting_since == datetime.fromisoformat(made["created_at"])
    await admin_door.post("/key/update", {"key": made["key"], "max_budget": 12.5})
    second = await budget_row(admin_door, made["budget_id"])
    assert (second.limit_nanousd, second.counting_since) == (12_500_000_000, first.counting_since)
    await admin_door.post("/key/update", {"key": made["key"], "budget_duration": "7d"})
    third = await budget_row(admin_door, made["budget_id"])
    assert third.counting_since > first.counting_since
    assert (third.anchor, third.duration) == (first.anchor, "7d")
    await admin_door.post("/key/update", {"key": made["key"], "max_budget": None, "budget_duration": None})
    assert await budget_row(admin_door, made["budget_id"]) is None


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b'{"max_budget": -1}', "max_budget", "negative"),
        (b'{"max_budget": 1e400}', "max_budget", "9000000"),
        (b'{"max_budget": 1e999999999}', "max_budget", "9000000"),
        (b'{"max_budget": true}', "max_budget", "number of dollars"),
        (b'{"max_budget": "5"}', "max_budget", "not a text"),
        (b'{"rpm_limit": -1}', "rpm_limit", "whole number"),
        (b'{"rpm_limit": 1.5}', "rpm_limit", "whole number"),
        (b'{"rpm_limit": true}', "rpm_limit", "whole number"),
        (b'{"rpm_limit": 1e400}', "rpm_limit", "whole number"),
        (b'{"rpm_limit": 99999999999999999999}', "rpm_limit", "whole number"),
        (b'{"tpm_limit": "7"}', "tpm_limit", "whole number"),
        (b'{"max_parallel_requests": []}', "max_parallel_requests", "whole number"),
        (b'{"duration": "30 days"}', "duration", "30 days"),
        (b'{"duration": 30}', "duration", "duration"),
        (b'{"duration": ""}', "duration", "duration"),
        (b'{"budget_duration": "0d"}', "budget_duration", "duration"),
        (b'{"max_budget": 5, "on_exceed": "stop"}', "on_exceed", "finish"),
        (b'{"budget_duration": "99999999d"}', "budget_duration", "100 years"),
        (b'{"blocked": 1}', "blocked", "true or false"),
        (b'{"models": "claude"}', "models", "list of texts"),
        (b'{"models": [1]}', "models", "list of texts"),
        (b'{"models": ["a\\u0000b"]}', "models", "NUL"),
        (b'{"aliases": {"a": 1}}', "aliases", "object of texts"),
        (b'{"aliases": []}', "aliases", "object of texts"),
        (b'{"tags": {"a": "b"}}', "tags", "list of texts"),
        (b'{"metadata": []}', "metadata", "object"),
        (b'{"metadata": {"tags": "x"}}', "metadata", "list of texts"),
        (b'{"metadata": {"a": ["b\\u0000"]}}', "metadata", "NUL"),
        (b'{"metadata": {"a": 1e400}}', "metadata", "object"),
        (b'{"metadata": {"a": 9999999999999999999999}}', "metadata", "number"),
        (b'{"metadata": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", "metadata", "levels"),
        (b'{"metadata": {"a": "' + b"x" * 70_000 + b'"}}', "metadata", "bytes"),
        (b'{"key_alias": "' + b"x" * 257 + b'"}', "key_alias", "256"),
        (b'{"key_alias": ""}', "key_alias", "256"),
        (b'{"key_alias": "a\\u0000"}', "key_alias", "NUL"),
        (b'{"user_id": 7}', "user_id", "text"),
        (b'{"team_id": "team_none"}', "team_id", "POST /team/new"),
        (b'{"allowed_routes": ["mcp_routes"]}', "allowed_routes", "mcp_routes"),
        (b'{"key_type": "root"}', "key_type", "llm_api"),
        (b'{"spend": 3}', "spend", "receipts"),
        (b'{"key": "sk-short"}', "key", "24"),
        (b'{"key": "pk-0123456789012345678901234567"}', "key", 'begin with "sk-"'),
        ('{"key": "sk-0123456789012345678901é"}'.encode(), "key", "ASCII"),
        (b'{"key": "sk-01234567890 2345678901234"}', "key", "spaces"),
        (b'{"key": "sk-kh-0123456789012345678901"}', "key", "checksum"),
        (b'{"soft_budget": "5"}', "soft_budget", "not a text"),
        (b'{"soft_budget": 5, "max_budget": 1}', "soft_budget", "may not be higher"),
        (b'{"guardrails": ["x"]}', "guardrails", "not enforced yet"),
        (b'{"model_max_budget": {"m": {}}}', "model_max_budget", "lacks"),
        (b'{"auto_rotate": true}', "auto_rotate", "not enforced yet"),
        (b'{"max_budgets": 5}', "max_budgets", 'nearest is "max_budget"'),
        (b'{"": 5}', "", "known: access_group_ids"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_written(
    admin_door: Door, body: bytes, param: str, words: str
) -> None:
    async with admin_door.engine.connect() as connection:
        before = (await connection.execute(text("SELECT count(*) FROM keys"))).scalar()
    answer = await admin_door.post("/key/generate", body)
    assert answer.status == 422, answer.text
    assert (answer.error["param"], answer.error["code"]) == (param, "422")
    assert words in answer.error["message"]
    async with admin_door.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM keys"))).scalar() == before


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"NaN", b'{"a": NaN}', b'{"a": "\xff"}', b"[" * 100_000,
     b'{"a":' * 100_000, b"\xef\xbb\xbf{}"],

)  # fmt: skip
async def test_a_body_that_is_no_json_object_is_400(admin_door: Door, body: bytes) -> None:
    answer = await admin_door.post("/key/generate", body)
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["code"] == "400"


async def test_a_lone_surrogate_is_refused(admin_door: Door) -> None:
    answer = await admin_door.post("/key/generate", b'{"key_alias": "a\\ud800b"}')
    assert answer.status in (400, 422)


async def test_a_body_of_more_than_a_megabyte_is_413(admin_door: Door) -> None:
    answer = await admin_door.post("/key/generate", b'{"metadata": {"a": "' + b"x" * 1_000_001 + b'"}}')
    assert (answer.status, answer.error["code"]) == (413, "413")


async def test_what_is_known_but_asks_for_nothing_is_accepted(admin_door: Door) -> None:
    made = await admin_door.new_key(
        soft_budget=None, guardrails=[], config={}, auto_rotate=False, budget_limits=[], spend=0, key_type="default",
        router_settings={}, send_invite_email=False, key_alias=None, models=None, metadata=None, blocked=False,
    )  # fmt: skip
    assert made["models"] == []


async def test_an_alias_names_one_key_until_that_is_deleted(admin_door: Door) -> None:
    first = await admin_door.new_key(key_alias="one-of-a-kind")
    taken = await admin_door.post("/key/generate", {"key_alias": "one-of-a-kind"})
    assert (taken.status, taken.error["param"]) == (422, "key_alias")
    other = await admin_door.new_key()
    renamed = await admin_door.post("/key/update", {"key": other["key"], "key_alias": "one-of-a-kind"})
    assert (renamed.status, renamed.error["param"]) == (422, "key_alias")
    assert (await admin_door.post("/key/delete", {"keys": [first["key"]]})).status == 200
    assert (await admin_door.post("/key/generate", {"key_alias": "one-of-a-kind"})).status == 200


async def test_twenty_at_once_with_one_alias_make_one_key(admin_door: Door) -> None:
    answers = await asyncio.gather(*(admin_door.post("/key/generate", {"key_alias": "rush"}) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] + [422] * 19


async def test_a_supplied_key_works_and_is_never_issued_twice(admin_door: Door) -> None:
    chosen = "sk-chosen-by-hand-0123456789"
    made = await admin_door.new_key(key=chosen)
    assert made["key"] == chosen
    assert (await admin_door.get("/key/info", headers=bearer(chosen))).status == 200
    assert (await admin_door.post("/key/generate", {"key": chosen})).error["param"] == "key"
    await admin_door.post("/key/delete", {"keys": [chosen]})
    assert (await admin_door.post("/key/generate", {"key": chosen})).error["param"] == "key"


async def test_block_and_unblock_answer_the_row_and_hold_at_once(admin_door: Door) -> None:
    made = await admin_door.new_key()
    key = made["key"]
    assert (await admin_door.get("/key/info", headers=bearer(key))).status == 200
    blocked = await admin_door.post("/key/block", {"key": made["token"]})
    assert (blocked.fields["token"], blocked.fields["blocked"]) == (made["token"], True)
    refused = await admin_door.get("/key/info", headers=bearer(key))
    assert (refused.status, refused.error["type"]) == (401, "auth_error")
    assert "is blocked" in refused.error["message"]
    assert (await admin_door.post("/key/unblock", {"key": key})).fields["blocked"] is False
    assert (await admin_door.get("/key/info", headers=bearer(key))).status == 200


async def test_an_expired_key_is_told_when_it_expired(admin_door: Door) -> None:
    made = await admin_door.new_key(duration="1s")
    async with asyncio.timeout(60):
        while True:
            answer = await admin_door.get("/key/info", headers=bearer(made["key"]))
            if answer.status != 200:
                break
            await asyncio.sleep(0.05)
    assert answer.status == 401
    assert "expired on" in answer.error["message"]
    assert (await admin_door.get("/key/info", key=made["token"])).fields["info"]["status"] == "expired"


async def test_delete_takes_those_that_exist_and_archives_them(admin_door: Door) -> None:
    one, two = await admin_door.new_key(), await admin_door.new_key(key_alias="goner")
    answer = await admin_door.post("/key/delete", {"keys": [one["key"], "key_none"], "key_aliases": ["goner"]})
    assert answer.fields == {"deleted_keys": [one["key"], "goner"]}
    assert (await admin_door.get("/key/info", headers=bearer(one["key"]))).status == 401
    info = (await admin_door.get("/key/info", key=two["token"])).fields["info"]
    assert (info["status"], info["deleted_by"]) == ("deleted", "default_user_id")
    assert (await admin_door.post("/key/update", {"key": two["token"], "rpm_limit": 1})).status == 404
    again = await admin_door.post("/key/delete", {"keys": [one["key"]]})
    assert (again.status, again.error["type"]) == (404, "not_found_error")
    nothings: tuple[dict[str, Any], ...] = ({}, {"keys": []}, {"keys": None})
    for nothing in nothings:
        assert (await admin_door.post("/key/delete", nothing)).status == 422


async def test_regenerate_gives_a_new_secret_to_the_same_key(admin_door: Door) -> None:
    made = await admin_door.new_key(rpm_limit=4, key_alias="rotated")
    again = (await admin_door.post("/key/regenerate", {"key": made["key"], "tpm_limit": 8})).fields
    assert again["key"] != made["key"]
    assert (again["token"], again["rpm_limit"], again["tpm_limit"]) == (made["token"], 4, 8)
    assert again.keys() == made.keys()
    assert (await admin_door.get("/key/info", headers=bearer(made["key"]))).status == 401
    chosen = "sk-the-next-one-0123456789"
    path = f"/key/{made['token']}/regenerate"
    graced = await admin_door.post(path, {"new_key": chosen, "grace_period": "1h"})
    assert graced.fields["key"] == chosen
    for key in (again["key"], chosen):
        assert (await admin_door.get("/key/info", headers=bearer(key))).status == 200
    assert (await admin_door.post(path, {"new_key": made["key"]})).error["param"] == "new_key"
    assert (await admin_door.post(path, {"grace_period": "soon"})).error["param"] == "grace_period"
    assert (await admin_door.post("/key/key_none/regenerate")).status == 404


async def test_a_virtual_key_sees_itself_only_and_changes_nothing(admin_door: Door) -> None:
    mine, other = await admin_door.new_key(), await admin_door.new_key()
    own = await admin_door.get("/key/info", headers=bearer(mine["key"]))
    assert own.fields["key"] == mine["token"]
    for key in (other["token"], "key_none"):
        assert (await admin_door.get("/key/info", headers=bearer(mine["key"]), key=key)).status == 404
    for path in ("/key/generate", "/key/update", "/key/delete", "/key/block", "/team/new"):
        refused = await admin_door.post(path, {}, headers=bearer(mine["key"]))
        assert (refused.status, refused.error["type"]) == (403, "permission_error")
        assert path in refused.error["message"]
        assert "proxy_admin" in refused.error["message"]
    manager = await admin_door.new_key(key_type="management")
    assert (await admin_door.post("/key/generate", {}, headers=bearer(manager["key"]))).status == 403
    model_key = await admin_door.new_key(key_type="llm_api")
    assert (await admin_door.get("/key/info", headers=bearer(model_key["key"]))).status == 403


async def test_no_key_and_an_unknown_key_are_401(admin_door: Door) -> None:
    for headers in ({}, bearer("sk-nobody-knows-this-key-0001"), bearer("nonsense"), {"authorization": "Basic eDp5"}):
        refused = await admin_door.post("/key/generate", {}, headers=headers)
        assert (refused.status, refused.error["code"], refused.error["type"]) == (401, "401", "auth_error")
        assert refused.headers["x-should-retry"] == "false"


async def test_the_master_key_is_taken_from_any_of_the_headers(admin_door: Door) -> None:
    key = ADMIN["authorization"].removeprefix("Bearer ")
    for headers in (
        {"authorization": f"bearer {key}"},
        {"x-api-key": key},
        {"api-key": key},
        {"x-goog-api-key": key},
        {"x-litellm-api-key": f"Bearer {key}"},
        {"x-api-key": key, "authorization": "Bearer sk-ant-oat01-somebody-elses"},
    ):
        assert (await admin_door.get("/key/list", headers=headers)).status == 200
    two = {"x-api-key": key, "authorization": f"Bearer {(await admin_door.new_key())['key']}"}
    assert (await admin_door.get("/key/list", headers=two)).status == 401


async def test_spend_is_of_the_window_and_total_spend_of_all_time(admin_door: Door) -> None:
    made = await admin_door.new_key(max_budget=10, budget_duration="1mo")
    long_ago = datetime.now(UTC) - timedelta(days=40)
    await admin_door.book(made["token"], long_ago, 1_000_000_001)
    await admin_door.book(made["token"], datetime.now(UTC), 3)
    answer = await admin_door.get("/key/info", key=made["token"])
    info = answer.fields["info"]
    assert (info["spend"], info["total_spend"]) == (Decimal("0.000000003"), Decimal("1.000000004"))
    plain = await admin_door.new_key()
    await admin_door.book(plain["token"], long_ago, 5_000)
    assert (await admin_door.get("/key/info", key=plain["token"])).fields["info"]["spend"] == Decimal("0.000005")


async def test_the_list_pages_filters_and_sorts(admin_door: Door) -> None:
    made = [await admin_door.new_key(user_id="lister", key_alias=f"list-{number}") for number in range(5)]
    ids = [key["token"] for key in made]
    page = (await admin_door.get("/key/list", user_id="lister", size=2, page=2)).fields
    assert page == {"keys": [ids[2], ids[1]], "total_count": 5, "current_page": 2, "total_pages": 3}
    rising = (await admin_door.get("/key/list", user_id="lister", sort_by="key_alias", sort_order="asc")).fields
    assert rising["keys"] == ids
    whole = (await admin_door.get("/key/list", key_alias="list-3", return_full_object="true")).fields["keys"]
    assert [(key["token"], key["key_alias"], key["status"]) for key in whole] == [(ids[3], "list-3", "active")]
    assert (await admin_door.get("/key/list", key_hash=made[0]["key"])).fields["keys"] == [ids[0]]
    await admin_door.post("/key/block", {"key": ids[4]})
    assert (await admin_door.get("/key/list", user_id="lister", status="blocked")).fields["keys"] == [ids[4]]
    await admin_door.post("/key/delete", {"keys": [ids[4]]})
    assert (await admin_door.get("/key/list", user_id="lister")).fields["total_count"] == 4
    assert (await admin_door.get("/key/list", user_id="lister", status="deleted")).fields["keys"] == [ids[4]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("page", "0"), ("page", "-1"), ("page", "x"), ("page", "²"),
     ("size", "101"), ("size", "1e2"), ("sort_by", "digest"),
     ("sort_order", "up"), ("status", "gone"), ("return_full_object", "perhaps"),
     ("agent_id", "a"), ("user_id", "\0")],
)  # fmt: skip
async def test_a_bad_parameter_of_the_list_is_named(admin_door: Door, name: str, value: str) -> None:
    answer = await admin_door.get("/key/list", query={name: value})
    assert (answer.status, answer.error["param"]) == (422, name)


async def test_every_change_leaves_a_line_in_the_audit_trail(admin_door: Door) -> None:
    made = (await admin_door.post("/key/generate", {"rpm_limit": 1}, {**ADMIN, "litellm-changed-by": "ada"})).fields
    await admin_door.post("/key/update", {"key": made["key"], "rpm_limit": 2})
    await admin_door.post("/key/block", {"key": made["key"]})
    await admin_door.post("/key/regenerate", {"key": made["key"]})
    await admin_door.post("/key/delete", {"keys": [made["token"]]})
    async with admin_door.engine.connect() as connection:
        entries = await list_entries(connection, "key", made["token"])
    actions = ["key.generate", "key.update", "key.block", "key.regenerate", "key.delete"]
    assert [entry.action for entry in entries] == actions
    assert [entry.actor for entry in entries] == ["default_user_id"] * 5
    assert (entries[0].changed_by, entries[0].client_address, entries[0].before) == ("ada", "203.0.113.9", None)
    assert entries[1].before is not None
    assert entries[1].after is not None
    assert (entries[1].before["requests_per_minute"], entries[1].after["requests_per_minute"]) == (1, 2)
    assert entries[4].after is None
    assert made["key"] not in str(entries)


async def test_no_secret_is_stored(admin_door: Door) -> None:
    made = await admin_door.new_key(key_alias="secretive")
    sha256 = hashlib.sha256(made["key"].encode()).hexdigest()
    async with admin_door.engine.connect() as connection:
        for table in ("keys", "audit", "retired_key_digests"):
            rows = await connection.execute(text(f"SELECT row_to_json(t)::text FROM {table} t"))
            dump = "\n".join(row[0] for row in rows)
            assert made["key"] not in dump
            assert sha256 not in dump


async def test_a_wrong_method_and_an_unknown_route_have_the_shape_of_errors(admin_door: Door) -> None:
    for answer in (await admin_door.get("/key/generate"), await admin_door.get("/key/nothing")):
        assert answer.status in (404, 405)
        assert answer.error["code"] == str(answer.status)
        assert answer.headers["request-id"]
