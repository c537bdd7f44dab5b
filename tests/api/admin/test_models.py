"""Models that are made at run time."""

import msgspec
import pytest
from sqlalchemy import text

from tests.api.support import ADMIN, Answer, Door

pytestmark = pytest.mark.services

KEY = "sk-ant-planted-3f1c"


async def new_model(door: Door, **fields: object) -> Answer:
    params = {"model": "anthropic/claude-haiku-4-5", "api_key": KEY}
    return await door.post("/model/new", {"model_name": "haiku", "litellm_params": params, **fields})


async def patch(door: Door, path: str, body: object) -> Answer:
    response = await door.client.patch(path, content=msgspec.json.encode(body), headers=dict(ADMIN))
    return Answer(response.status_code, response.headers, response.text)


async def test_a_model_is_made_read_changed_and_deleted_and_its_key_is_never_shown(admin_door: Door) -> None:
    info = {"input_cost_per_token": "0.0000031", "access_groups": ["cheap"], "supports_vision": True, "id": "mine"}
    made = await new_model(admin_door, model_name="mine", model_info=info)
    assert made.status == 200, made.text
    row = made.fields
    assert (row["model_id"], row["model_name"], row["model_info"]["db_model"]) == ("mine", "mine", True)
    assert row["litellm_params"] == {"model": "anthropic/claude-haiku-4-5"}
    shown = (await admin_door.get("/model/info", litellm_model_id="mine")).fields["data"]
    assert [(one["model_name"], one["litellm_params"]["model"]) for one in shown] == [
        ("mine", "anthropic/claude-haiku-4-5")
    ]
    assert str(shown[0]["model_info"]["input_cost_per_token"]) == "0.0000031"
    assert shown[0]["model_info"]["access_groups"] == ["cheap"]
    assert shown[0]["model_info"]["supports_vision"] is True
    changed = await patch(admin_door, "/model/mine/update", {"litellm_params": {"rpm": 7}, "model_name": "mine-2"})
    assert changed.fields["litellm_params"] == {"model": "anthropic/claude-haiku-4-5", "rpm": 7}
    group = (await admin_door.get("/model_group/info", model_group="mine-2")).fields["data"][0]
    assert (group["model_group"], group["providers"]) == ("mine-2", ["anthropic"])
    for answer in (made, changed, await admin_door.get("/v2/model/info"), await admin_door.get("/audit")):
        assert KEY not in answer.text
    deleted = await admin_door.post("/model/delete", {"id": "mine"})
    assert deleted.fields == {"message": "Model: mine deleted successfully"}
    assert (await admin_door.get("/model/info", litellm_model_id="mine")).status == 404
    assert (await admin_door.post("/model/delete", {"id": "mine"})).status == 404
    rows = (await admin_door.get("/audit", query={"object_id": "mine", "sort_order": "asc"})).fields["audit_logs"]
    assert [row["action"] for row in rows] == ["model.new", "model.update", "model.delete"]
    assert {row["table_name"] for row in rows} == {"LiteLLM_ProxyModelTable"}


async def test_several_with_one_name_serve_it_alike_also_beside_one_of_the_file(admin_door: Door) -> None:
    made = [await new_model(admin_door, model_name="file-claude") for _ in range(2)]
    rows = (await admin_door.get("/v2/model/info", query={"model": "file-claude"})).fields
    assert rows["total_count"] == 3
    assert [row["model_info"]["db_model"] for row in rows["data"]] == [False, True, True]
    for one in made:
        await admin_door.post("/model/delete", {"id": one.fields["model_id"]})


async def test_a_model_of_the_file_is_read_only_here(admin_door: Door) -> None:
    for path, body in (
        ("/model/update", {"model_info": {"id": "of-the-file"}, "litellm_params": {"rpm": 1}}),
        ("/model/delete", {"id": "of-the-file"}),
        ("/model/block", {"model_id": "of-the-file"}),
    ):
        answer = await admin_door.post(path, body)
        assert answer.status == 422, answer.text
        assert "stands in the configuration file" in answer.error["message"]
    taken = await new_model(admin_door, model_info={"id": "of-the-file"})
    assert (taken.status, taken.error["param"]) == (422, "model_info.id")


@pytest.mark.parametrize(
    ("params", "param", "says"),
    [
        ({"model": "antropic/claude"}, "litellm_params.model", 'did you mean "anthropic"'),
        ({"model": "claude"}, "litellm_params.model", "names no provider"),
        ({"model": "anthropic/c", "rpm": "ten"}, "litellm_params.rpm", "whole number"),
        ({"model": "anthropic/c", "rpm": -1}, "litellm_params.rpm", "whole number"),
        ({"model": "anthropic/c", "api_kee": "x"}, "litellm_params.api_kee", '"api_key"'),
        ({"model": "anthropic/c", "tag_regex": ["a"]}, "litellm_params.tag_regex", "not honoured"),
        ({"model": "anthropic/c", "api_key": "os.environ/KEYHOUSE_SECRET"}, "litellm_params.api_key", "environment"),
        ({"model": "anthropic/c", "input_cost_per_token": -1}, "litellm_params.input_cost_per_token", "price"),
        ({"model": "anthropic/c", "api_base": "ftp://x"}, "litellm_params.api_base", "http"),
        ({"model": "anthropic/c"}, "litellm_params", "needs a key"),
        ({"model": "vertex_ai/g", "vertex_project": "p", "vertex_credentials": "/etc/passwd"},
         "litellm_params.vertex_credentials", "service_account"),
        ({"model": "openai/x", "litellm_credential_name": "no"},
         "litellm_params.litellm_credential_name", "credential"),
        ({"model": "bedrock/c", "aws_region_name": "eu-west-1", "api_base": "https://aws.example"},
         "litellm_params", "key of its own"),
        ({"model": "openai/gpt-5", "api_base": "https://thief.example"}, "litellm_params", "needs a key"),
        ({"model": "openai/gpt-5", "extra_headers": {"x": "a\r\nb"}}, "litellm_params.extra_headers", "characters"),
    ],
)  # fmt: skip
async def test_a_model_is_held_to_the_rules_of_the_file(
    admin_door: Door, params: dict[str, object], param: str, says: str
) -> None:
    answer = await new_model(admin_door, model_name="wrong", litellm_params=params)
    assert (answer.status, answer.error["param"]) == (422, param), answer.text
    assert says in answer.error["message"]
    assert "wrong" not in (await admin_door.get("/v2/model/info", query={"search": "wrong"})).text


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "[::ffff:10.0.0.1]",
        "169.254.169.254",
        "metadata.google.internal",
        "a.internal.example",
    ],
)
async def test_an_address_that_is_not_public_is_refused_on_every_way_in(admin_door: Door, host: str) -> None:
    base = f"http://{host}:8080/v1"
    model = await new_model(admin_door, litellm_params={"model": "openai/x", "api_key": KEY, "api_base": base})
    assert (model.status, model.error["param"]) == (422, "litellm_params.api_base"), model.text
    values = {"credential_name": "inner", "credential_values": {"api_key": KEY, "api_base": base}}
    credential = await admin_door.post("/credentials", values)
    assert (credential.status, credential.error["param"]) == (422, "credential_values.api_base"), credential.text


async def test_a_key_is_sent_nowhere_but_where_it_was_meant_for(admin_door: Door) -> None:
    params = {"model": "openai/x", "api_key": KEY, "api_base": "https://models.example/v1"}
    made = (await new_model(admin_door, model_info={"id": "pinned"}, litellm_params=params)).fields
    assert made["litellm_params"]["api_base"] == "https://models.example/v1"
    moved = await patch(admin_door, "/model/pinned/update", {"litellm_params": {"api_base": "https://thief.example"}})
    assert (moved.status, moved.error["param"]) == (422, "litellm_params.api_key")
    both = {"api_base": "https://other.example", "api_key": "sk-another"}
    assert (await patch(admin_door, "/model/pinned/update", {"litellm_params": both})).status == 200
    await admin_door.post("/credentials", {"credential_name": "vault", "credential_values": {"api_key": KEY}})
    beside = {"model": "openai/x", "litellm_credential_name": "vault", "api_base": "https://thief.example"}
    refused = await new_model(admin_door, litellm_params=beside)
    assert (refused.status, refused.error["param"]) == (422, "litellm_params.api_base")
    lured = {"credential_values": {"api_base": "https://thief.example"}}
    assert (await patch(admin_door, "/credentials/vault", lured)).status == 422


async def test_a_blocked_model_is_not_served_until_it_is_unblocked(admin_door: Door) -> None:
    made = (await new_model(admin_door, model_name="resting")).fields
    blocked = await admin_door.post("/model/block", {"model_id": made["model_id"]})
    assert blocked.fields["blocked"] is True
    assert (await admin_door.get("/model_group/info", model_group="resting")).fields == {"data": []}
    assert "resting" in (await admin_door.get("/model/info")).text
    await admin_door.post("/model/unblock", {"model_id": made["model_id"]})
    assert len((await admin_door.get("/model_group/info", model_group="resting")).fields["data"]) == 1


async def test_a_key_sees_the_models_that_it_may_use_without_their_addresses(admin_door: Door) -> None:
    base = "https://models.example/v1"
    await new_model(
        admin_door, model_name="seen", litellm_params={"model": "openai/x", "api_key": KEY, "api_base": base}
    )
    narrow = {"authorization": f"Bearer {(await admin_door.new_key(models=['seen']))['key']}"}
    for path in ("/model/info", "/v1/model/info"):
        rows = (await admin_door.get(path, headers=narrow)).fields["data"]
        assert {row["model_name"] for row in rows} == {"seen"}
        assert "models.example" not in str(rows)
    groups = (await admin_door.get("/model_group/info", headers=narrow)).fields["data"]
    assert [group["model_group"] for group in groups] == ["seen"]


async def test_a_credential_is_written_and_used_and_never_read(admin_door: Door) -> None:
    values = {"api_key": KEY, "api_base": "https://models.example/v1"}
    info = {"custom_llm_provider": "openai", "description": "of the lab"}
    body = {"credential_name": "lab", "credential_values": values, "credential_info": info}
    made = await admin_door.post("/credentials", body)
    assert made.status == 200, made.text
    assert (await admin_door.post("/credentials", body)).error["param"] == "credential_name"
    shown = (await admin_door.get("/credentials/by_name/lab")).fields
    assert shown["credential_values"] == {"api_base": "https://models.example/v1", "api_key": "********"}
    assert shown["credential_info"] == info
    model = await new_model(
        admin_door, model_name="lab-model", litellm_params={"model": "openai/x", "litellm_credential_name": "lab"}
    )
    assert model.fields["litellm_params"] == {"model": "openai/x", "litellm_credential_name": "lab"}
    row = (await admin_door.get("/v2/model/info", query={"model": "lab-model"})).fields["data"][0]
    assert row["litellm_params"]["api_base"] == "https://models.example/v1"
    used = await admin_door.get(f"/credentials/by_model/{model.fields['model_id']}")
    assert used.fields["credential_name"] == "lab"
    in_use = await admin_door.client.delete("/credentials/lab", headers=dict(ADMIN))
    assert in_use.status_code == 422
    assert "lab-model" in in_use.text
    without = await patch(admin_door, "/credentials/lab", {"credential_values_to_delete": ["api_key"]})
    assert "could not be served" in without.error["message"]
    other = {"credential_values": {"api_key": "sk-other"}, "credential_info": {}}
    assert (await patch(admin_door, "/credentials/lab", other)).status == 200
    await admin_door.post("/model/delete", {"id": model.fields["model_id"]})
    assert (await admin_door.client.delete("/credentials/lab", headers=dict(ADMIN))).status_code == 200
    assert (await admin_door.get("/credentials/by_name/lab")).status == 404
    for path in ("/credentials", "/audit", "/v2/model/info"):
        assert KEY not in (await admin_door.get(path)).text
    unknown = await admin_door.post("/credentials", {"credential_name": "odd", "credential_values": {"pass": "x"}})
    assert (unknown.status, unknown.error["param"]) == (422, "credential_values.pass")


async def test_a_group_of_models_stands_for_them_in_a_list_of_models(admin_door: Door) -> None:
    await new_model(admin_door, model_name="grouped")
    assert (
        (await admin_door.post("/access_group/new", {"access_group": "team-picks", "model_names": ["groupd"]}))
        .error["message"]
        .endswith("the nearest is 'grouped'")
    )
    made = await admin_door.post("/access_group/new", {"access_group": "team-picks", "model_names": ["grouped"]})
    assert made.fields == {
        "access_group": "team-picks", "model_names": ["grouped"], "model_ids": None, "models_updated": 1,
    }  # fmt: skip
    key = {"authorization": f"Bearer {(await admin_door.new_key(models=['team-picks']))['key']}"}
    seen = [row["model_name"] for row in (await admin_door.get("/model/info", headers=key)).fields["data"]]
    assert seen == ["grouped"]
    changed = await admin_door.client.put(
        "/access_group/team-picks/update", json={"model_ids": ["of-the-file"]}, headers=dict(ADMIN)
    )
    assert changed.status_code == 200, changed.text
    seen = [row["model_name"] for row in (await admin_door.get("/model/info", headers=key)).fields["data"]]
    assert seen == ["file-claude"]
    listed = (await admin_door.get("/access_group/list")).fields["access_groups"]
    assert {(group["access_group"], group["in_file"]) for group in listed} >= {
        ("team-picks", False), ("of-the-file", True),
    }  # fmt: skip
    of_file = await admin_door.client.delete("/access_group/of-the-file/delete", headers=dict(ADMIN))
    assert of_file.status_code == 422
    gone = await admin_door.client.delete("/access_group/team-picks/delete", headers=dict(ADMIN))
    assert gone.json()["models_updated"] == 1
    assert (await admin_door.get("/access_group/team-picks/info")).status == 404
    assert (await admin_door.get("/model/info", headers=key)).fields == {"data": []}
    for name in ("file-claude", "all-team-models", "a/b", "*"):
        answer = await admin_door.post("/access_group/new", {"access_group": name, "model_names": ["grouped"]})
        assert (answer.status, answer.error["param"]) == (422, "access_group")


async def test_the_tables_hold_no_secret_in_the_clear(admin_door: Door) -> None:
    params = {"model": "openai/x", "api_key": KEY, "extra_headers": {"x-secret": "planted-header-77"}}
    await new_model(admin_door, model_name="sealed", litellm_params=params)
    async with admin_door.engine.connect() as connection:
        for table in ("deployments", "provider_credentials", "audit"):
            rows = (await connection.execute(text(f"SELECT t::text FROM {table} t"))).scalars().all()
            assert not [row for row in rows if KEY in row or "planted-header-77" in row]
