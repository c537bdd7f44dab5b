"""The pages of models: who sees them, the check of a deployment, and that what a form says is what holds."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from app.base.clock import now
from app.base.ids import new_id
from app.base.money import NANO_PER_USD
from app.domain.roles import USER_ROLES
from app.domain.tenancy import scope_of_pool
from app.storage.postgres import tables
from app.storage.postgres.tables.reports import spend_scopes
from tests.api.support import Door
from tests.api.ui.support import Browser, Street

pytestmark = pytest.mark.services
HOSTILE = """<script>alert("x")</script>'"><img src=x onerror=alert(1)>&{{7*7}}"""


async def made(door: Door, **params: object) -> tuple[str, str]:
    """A model of its own name with one deployment: the name and the deployment's id."""
    name = new_id("model")
    answer = await door.post("/model/new", {"model_name": name, "litellm_params": params})
    assert answer.status == 200, answer.text
    return name, str(answer.fields["model_id"])


async def info_of(door: Door, deployment_id: str) -> dict[str, object]:
    answer = await door.get("/model/info", litellm_model_id=deployment_id)
    found: dict[str, object] = answer.fields["data"][0]
    return found


async def checked(browser: Browser, name: str, deployment_id: str, **further: str) -> str:
    of = f"/ui/models/one?name={name}"
    return (await browser.send("/ui/models/check", {"name": name, "id": deployment_id, **further}, of=of)).text


@pytest.mark.parametrize("role", USER_ROLES)
async def test_models_are_for_who_looks_after_all_of_them_and_only_admins_change_them(
    street: Street, role: str
) -> None:
    reads = role in ("proxy_admin", "proxy_admin_viewer", "auditor")
    async with street.signed_in(role) as (browser, _):
        page = await browser.get("/ui/models?q=file-claude")
        assert page.status_code == (200 if reads else 403)
        assert ('href="/ui/models"' in (await browser.get("/ui/account")).text) is reads
        if reads:
            assert "file-claude" in page.text
            assert ("/ui/models/new" in page.text) is (role == "proxy_admin")
            assert (">Spent" in page.text) is (role != "auditor")
        if role != "proxy_admin":
            for path in ("new", "edit", "state", "check", "price"):
                refused = await browser.send(f"/ui/models/{path}", {"name": "file-claude"}, of="/ui/account")
                assert refused.status_code == 403, path


async def test_a_check_calls_the_deployment_and_says_what_it_took_and_cost(street: Street) -> None:
    name, deployment_id = await made(street.door, model="demo/echo")
    async with street.signed_in("proxy_admin") as (browser, _):
        page = await checked(browser, name, deployment_id)
    assert re.search(r"It has answered in \d+ ms, for \$0\.0000\d+ \(\d+ tokens in, 1 out\)", page), page


async def test_a_check_that_fails_says_why(street: Street) -> None:
    name, deployment_id = await made(street.door, model="openai/gpt-5", api_key="sk-x", api_base="https://here.invalid")
    async with street.signed_in("proxy_admin") as (browser, _):
        assert "No answer, after" in await checked(browser, name, deployment_id)
        assert "is no longer one of" in await checked(browser, name, "dep_deleted_meanwhile")
        assert "is no name that this deployment serves" in await checked(
            browser, name, deployment_id, ask_for="file-claude"
        )


async def test_a_model_that_a_form_adds_is_the_one_that_was_typed_and_its_key_is_never_shown(street: Street) -> None:
    name = new_id("model") + HOSTILE
    fields = {
        "model_name": name, "provider": "openai", "upstream_model": "gpt-5", "api_key": "sk-very-secret-1",
        "rpm": "60", "access_groups": "beta, research", "input_cost_per_token": "1.25", "output_cost_per_token": "10",
    }  # fmt: skip
    async with street.signed_in("proxy_admin") as (browser, _):
        refused = await browser.send("/ui/models/new", fields | {"input_cost_per_token": "cheap"})
        assert refused.status_code == 422
        assert "give dollars per million tokens" in refused.text
        assert 'value="beta, research"' in refused.text
        gone_to = await browser.send("/ui/models/new", fields)
        assert gone_to.status_code == 303, gone_to.text
        page = await browser.get(gone_to.headers["location"])
        [deployment_id] = re.findall(r"/ui/models/edit\?id=([\w-]+)", page.text)
        edit = f"/ui/models/edit?id={deployment_id}"
        form = await browser.get(edit)
        for text in (page.text, form.text):
            assert "sk-very-secret-1" not in text
            assert "<script>alert" not in text
        entry = await info_of(street.door, deployment_id)
        assert str(entry["litellm_params"]["input_cost_per_token"]) == "0.00000125"  # type: ignore[index]  # an object
        assert entry["model_info"]["access_groups"] == ["beta", "research"]  # type: ignore[index]  # an object
        del fields["api_key"], fields["rpm"]
        changed = await browser.send("/ui/models/edit", fields | {"id": deployment_id, "tpm": "5000"}, of=edit)
        assert changed.status_code == 303, changed.text
        params = (await info_of(street.door, deployment_id))["litellm_params"]
        assert isinstance(params, dict)
        assert ("rpm" in params, params["tpm"]) == (False, 5000)
        async with street.door.engine.connect() as connection:
            ours = tables.deployments.c.deployment_id == deployment_id
            sealed = await connection.execute(select(tables.deployments.c.ciphertext).where(ours))
            assert sealed.scalar_one() is not None
        done = await browser.send("/ui/models/state", {"id": deployment_id, "do": "delete"}, of=edit)
        assert done.headers["location"] == "/ui/models?done=deleted"


async def test_where_the_budget_of_a_deployment_stands_is_shown_with_its_model_among_all_and_by_the_api(
    street: Street,
) -> None:
    name, deployment_id = await made(street.door, model="openai/gpt-5", max_budget=40, budget_duration="month")
    scope = scope_of_pool(f"deployment {deployment_id}")
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    async with street.door.engine.begin() as connection:
        spent = insert(spend_scopes).values(scope=scope, bucket=today, cost_nanousd=36 * NANO_PER_USD)
        await connection.execute(spent)
    async with street.signed_in("proxy_admin_viewer") as (browser, _):
        of_model = (await browser.get(f"/ui/models/one?name={name}")).text
        among_all = (await browser.get(f"/ui/budgets?level=deployment&state=near&q={deployment_id}")).text
    for page in (of_model, among_all):
        assert "$36.00" in page
        assert "$40.00" in page
        assert re.search(r">90(&nbsp;| )%<", page)
    assert f"/ui/models/one?name={name}" in among_all
    answer = await street.door.get("/provider/budgets")
    assert answer.fields["deployments"][deployment_id] | {"budget_reset_at": ""} == {
        "budget_limit": 40, "time_period": "month", "spend": 36, "budget_reset_at": "", "model_name": name,
    }  # fmt: skip
    async with street.signed_in("auditor") as (browser, _):
        assert "$36.00" not in (await browser.get(f"/ui/models/one?name={name}")).text


async def test_a_form_sets_the_budget_and_the_region_of_a_deployment_and_takes_them_away(street: Street) -> None:
    name, deployment_id = await made(street.door, model="openai/gpt-5")
    typed = {"id": deployment_id, "model_name": name, "provider": "openai", "upstream_model": "gpt-5"}
    of = f"/ui/models/edit?id={deployment_id}"
    async with street.signed_in("proxy_admin") as (browser, _):
        for budget, expected in (("1,250.50", 1250.5), ("", None)):
            fields = {"max_budget": budget, "budget_duration": "month", "region_name": "eu" if budget else ""}
            await browser.send("/ui/models/edit", typed | fields, of=of)
            params = (await info_of(street.door, deployment_id))["litellm_params"]
            assert isinstance(params, dict)
            found = [params.get(one) for one in ("max_budget", "budget_duration", "region_name")]
            assert found == [expected, *(("month", "eu") if budget else (None, None))]
            assert f'value="{budget.replace(",", "").rstrip("0")}"' in (await browser.get(of)).text
        refused = await browser.send("/ui/models/edit", typed | {"max_budget": "lots"}, of=of)
        assert "he budget is" in refused.text
        assert 'value="lots"' in refused.text


async def test_a_price_with_a_date_holds_from_then_on_and_can_be_withdrawn_before(street: Street) -> None:
    upstream = new_id("model")
    name, deployment_id = await made(street.door, model=f"openai/{upstream}", api_key="sk-x")
    of = f"/ui/models/one?name={name}"
    later = (now() + timedelta(days=30)).strftime("%Y-%m-%dT00:00")
    fields = {"name": name, "id": deployment_id, "provider": "openai", "model": upstream}
    fields |= {"input_cost_per_token": "2", "output_cost_per_token": "8"}
    async with street.signed_in("proxy_admin") as (browser, _):
        refused = await browser.send("/ui/models/price", fields | {"effective_from": "soon"}, of=of)
        assert refused.status_code == 422
        assert 'value="soon"' in refused.text
        for since in ("", later):
            assert (
                await browser.send("/ui/models/price", fields | {"effective_from": since}, of=of)
            ).status_code == 303
        page = (await browser.get(of)).text
        assert "set here" in page
        assert "$2.00" in page
        [price_id] = re.findall(r'name="price_id" value="([^"]+)"', page)
        assert (await browser.send("/ui/models/price", {"name": name, "price_id": price_id}, of=of)).status_code == 303
        assert "price_id" not in (await browser.get(of)).text


async def test_a_price_of_one_organization_is_tried_set_and_ended(street: Street) -> None:
    upstream = new_id("model")
    await made(street.door, model=f"openai/{upstream}", api_key="sk-x")
    organization = (await street.door.post("/organization/new", {"organization_alias": HOSTILE})).fields
    of = f"/ui/organizations/{organization['organization_id']}/prices"
    fields = {"model": f"openai/{upstream}", "input_cost_per_token": "2", "output_cost_per_token": "8"}
    tokens = {"input_tokens": 1_000_000, "output_tokens": 500_000, "provider": "openai", "model_served": upstream}
    tokens |= {"organization_id": organization["organization_id"]}
    async with street.signed_in("proxy_admin") as (browser, _):
        made_up = await browser.send(of, fields | {"do": "preview"})
        assert "A made-up one" in made_up.text
        assert "$0.028" in made_up.text
        key = await street.door.new_key()
        call = await street.door.book(str(key["token"]), now(), 1, **tokens)
        known = (await browser.send(of, fields | {"do": "preview"})).text
        assert (call in known, "$6.00" in known, "None:" in known) == (True, True, True)
        for wrong, param in (
            ({"call": "no-such-call"}, "call"), ({"model": "openai/else"}, "model"), ({"model": ""}, "model"),
            ({"effective_from": "soon"}, "effective_from"),
            ({"output_cost_per_token": "dear"}, "output_cost_per_token"),
        ):  # fmt: skip
            refused = await browser.send(of, fields | wrong | {"do": "preview"})
            assert refused.status_code == 422
            assert f'data-field="{param}"' in refused.text
        later = (now() + timedelta(days=30)).strftime("%Y-%m-%dT00:00")
        for since in ("", later):
            assert (await browser.send(of, fields | {"do": "set", "effective_from": since})).status_code == 303
        page = (await browser.get(of)).text
        assert (page.count(">in force<"), page.count(">to come<"), "<script>alert" in page) == (1, 1, False)
        coming, holding = re.findall(r'value="(prc_[^"]+)"', page)
        assert 'data-field="ends"' in (await browser.send(of, {"do": "end", "price_id": holding, "ends": "soon"})).text
        for price_id, done in ((coming, "taken-back"), (holding, "end")):
            ended = await browser.send(of, {"do": "end", "price_id": price_id})
            assert ended.headers["location"] == f"{of}?done={done}"
        page = (await browser.get(of)).text
        assert (">in force<" in page, ">ended<" in page, ">replaced<" in page) == (False, True, True)
    async with street.signed_in("org_admin") as (browser, _):
        assert (await browser.get(of)).status_code == 403
