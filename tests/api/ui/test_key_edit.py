"""What changes a key on pages, why a key is refused, and the lists of keys of one team, person or project."""

import pytest

from app.base.clock import now
from app.base.ids import new_id
from tests.api.support import Door
from tests.api.ui.support import Street
from tests.api.ui.test_teams import an_admin_of, organization_of, team_of

pytestmark = pytest.mark.services


async def info_of(door: Door, key_id: str) -> dict[str, object]:
    info: dict[str, object] = (await door.get("/key/info", key=key_id)).fields["info"]
    return info


async def test_a_key_is_changed_where_the_form_was_changed(street: Street) -> None:
    async with street.signed_in("internal_user") as (browser, user_id):
        terms = {"max_budget": 25, "budget_duration": "month", "models": ["a"], "tags": ["old"], "duration": "30d"}
        key = await street.door.new_key(user_id=user_id, metadata={"owner": "Ada"}, **terms)
        address = f"/ui/keys/{key['token']}"
        assert f"{address}/edit" in (await browser.get(address)).text
        fields = {
            "key_alias": new_id("laptop"), "was_max_budget": "25", "max_budget": "40", "was_tags": "old",
            "tags": "cost-center:4711, new", "was_models": "a", "models": ["a"], "further_models": "b, b",
            "duration": "-1", "metadata": "", "was_metadata": '{"owner": "Ada"}', "rpm_limit": "60",
        }  # fmt: skip
        changed = await browser.send(f"{address}/edit", fields)
        assert changed.status_code == 303, changed.text
        info = await info_of(street.door, key["token"])
        assert (info["key_alias"], info["max_budget"], info["budget_duration"]) == (fields["key_alias"], 40, "month")
        assert (info["models"], info["expires"], info["rpm_limit"]) == (["a", "b"], None, 60)
        assert info["metadata"] == {"tags": ["cost-center:4711", "new"]}
        refused = await browser.send(f"{address}/edit", {"max_budget": "x", "key_alias": "kept", "metadata": "[]"})
        assert refused.status_code == 422
        assert 'value="kept"' in refused.text
        theirs = await street.door.new_key()
        assert (await browser.get(f"/ui/keys/{theirs['token']}/edit")).status_code == 404
        strange = await browser.send(f"/ui/keys/{theirs['token']}/edit", fields, of=address)
        assert strange.status_code == 404
    async with street.signed_in("internal_user_viewer") as (browser, user_id):
        own = await street.door.new_key(user_id=user_id)
        assert f"/ui/keys/{own['token']}/edit" not in (await browser.get(f"/ui/keys/{own['token']}")).text
        assert (await browser.get(f"/ui/keys/{own['token']}/edit")).status_code == 403


async def test_a_form_says_what_serves_instead_where_and_which_groups_of_models_a_key_may_use(street: Street) -> None:
    names, region, group = sorted(new_id("model") for _ in range(3)), new_id("eu").lower(), new_id("group")
    for name in names:
        params = {"model": "openai/gpt-5", "api_key": "sk-x", "region_name": region}
        model = {"model_name": name, "litellm_params": params, "model_info": {"access_groups": [group]}}
        await street.door.post("/model/new", model)
    lines = f"{names[0]}: {names[1]}, {names[2]}\n{names[1]}:{names[2]}"
    fallbacks = {names[0]: names[1:], names[1]: names[2:]}
    fields = {
        "budget_fallbacks": lines,
        "allowed_model_region": region,
        "models": [group, names[0], names[1], names[2]],
    }
    async with street.signed_in("proxy_admin") as (browser, _):
        form = (await browser.get("/ui/keys/new")).text
        assert f'value="{group}"' in form
        assert f'<option value="{region}">' in form
        made = await browser.send("/ui/keys/new", {"key_alias": new_id("made"), **fields})
        assert made.status_code == 200, made.text
        key = await street.door.new_key()
        address = f"/ui/keys/{key['token']}"
        wrong = await browser.send(f"{address}/edit", fields | {"budget_fallbacks": f"{names[0]}\nfoo: <b>"})
        assert wrong.status_code == 422
        assert f"hat serves instead has the line &#34;{names[0]}&#34;" in wrong.text
        assert f"{names[0]}\nfoo: &lt;b&gt;</textarea>" in wrong.text
        assert (await browser.send(f"{address}/edit", fields)).status_code == 303
        info = await info_of(street.door, key["token"])
        assert (info["budget_fallbacks"], info["allowed_model_region"]) == (fallbacks, region)
        assert info["models"] == [group, *names]
        page, form = (await browser.get(address)).text, (await browser.get(f"{address}/edit")).text
        assert (
            page.index("Access groups") < page.index(group) < page.index("Once a budget refuses") < page.index(region)
        )
        assert f"{names[0]}: {names[1]}, {names[2]}\n{names[1]}: {names[2]}</textarea>" in form
        again = {"was_budget_fallbacks": lines, "budget_fallbacks": "", "was_allowed_model_region": region}
        assert (await browser.send(f"{address}/edit", again | {"allowed_model_region": ""})).status_code == 303
        info = await info_of(street.door, key["token"])
        assert (info["budget_fallbacks"], info["allowed_model_region"]) == ({}, None)


async def test_a_page_of_a_key_says_why_its_calls_are_refused(street: Street) -> None:
    organization_id = await organization_of(street)
    team_id = await team_of(street, organization_id=organization_id, max_budget=1, budget_duration="month")
    async with an_admin_of(street, team=team_id) as (browser, _):
        key = await street.door.new_key(team_id=team_id)
        address = f"/ui/keys/{key['token']}"
        assert "are refused:" not in (await browser.get(address)).text
        owners = {"team_id": team_id, "organization_id": organization_id}
        await street.door.book(key["token"], now(), 2_000_000_000, **owners)
        await street.door.post("/organization/update", {"organization_id": organization_id, "blocked": True})
        await street.door.post("/key/block", {"key": key["token"]})
        page = (await browser.get(address)).text
        for words in ("the key itself is blocked", "the budget of team", "is used up, until", "the organization"):
            assert words in page, words


async def test_keys_are_listed_by_team_and_person(street: Street) -> None:
    team_id = await team_of(street)
    user_id, _ = await street.person()
    of_team = await street.door.new_key(team_id=team_id)
    of_person = await street.door.new_key(user_id=user_id)
    async with street.signed_in("proxy_admin") as (browser, _):
        for query, there, not_there in (
            (f"team={team_id}", of_team, of_person), (f"user={user_id}", of_person, of_team),
        ):  # fmt: skip
            page = (await browser.get(f"/ui/keys?{query}")).text
            assert f"/ui/keys/{there['token']}" in page
            assert f"/ui/keys/{not_there['token']}" not in page
        chosen = f'<option value="{team_id}" selected>'
        assert chosen in (await browser.get(f"/ui/keys/new?team_id={team_id}")).text
