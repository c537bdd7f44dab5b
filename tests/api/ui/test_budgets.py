"""The pages of budgets: all of them by how near they are, shared ones, and tags."""

import html
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.base.clock import now
from app.base.ids import new_id
from app.base.money import NANO_PER_USD
from app.domain.roles import USER_ROLES
from tests.api.changes import send
from tests.api.support import Door
from tests.api.ui.support import Browser, Street

pytestmark = pytest.mark.services
HOSTILE = """<script>alert("x")</script>'"><img src=x onerror=alert(1)>&{{7*7}}"""


async def spent_key(door: Door, alias: str, dollars: int, **terms: object) -> str:
    made = await door.new_key(key_alias=alias, max_budget=10, budget_duration="month", **terms)
    key_id = str(made["token"])
    await door.book(key_id, now() - timedelta(seconds=1), dollars * NANO_PER_USD)
    return key_id


@pytest.mark.parametrize("role", USER_ROLES)
async def test_shared_budgets_are_for_who_sees_all_of_the_tenancy_and_only_admins_change_them(
    street: Street, role: str
) -> None:
    async with street.signed_in(role) as (browser, _):
        reads = role in ("proxy_admin", "proxy_admin_viewer")
        assert ("/ui/budgets/shared" in (await browser.get("/ui/budgets")).text) == reads
        for path in ("/shared", "/tags"):
            assert (await browser.get(f"/ui/budgets{path}")).status_code == (200 if reads else 403)
        if role != "proxy_admin":
            for path in ("shared/edit", "shared/delete", "tags/edit", "tags/delete"):
                refused = await browser.send(f"/ui/budgets/{path}", {"name": "x"}, of="/ui/account")
                assert refused.status_code == 403, path


async def test_the_nearest_to_its_limit_comes_first_with_what_the_books_say(street: Street) -> None:
    mark = new_id("near")
    spent = {
        name: await spent_key(street.door, f"{name} {mark}", dollars)
        for name, dollars in (("c", 1), ("a", 12), ("b", 9))
    }
    async with street.signed_in("proxy_admin_viewer") as (browser, _):
        page = (await browser.get(f"/ui/budgets?q={mark}")).text
        places = [page.index(f"/ui/keys/{spent[name]}") for name in ("a", "b", "c")]
        assert places == sorted(places)
        assert re.findall(r">(\d+) %<", page) == ["120", "90", "10"]
        assert "$12.00" in page
        for state, name in (("reached", "a"), ("near", "b")):
            found = (await browser.get(f"/ui/budgets?q={mark}&level=key&state={state}")).text
            assert [one for one in spent if spent[one] in found] == [name]
        assert "Nothing found" in (await browser.get(f"/ui/budgets?q={mark}&level=team")).text


async def test_each_sees_the_budgets_of_what_it_administers_and_its_own(street: Street) -> None:
    door, mark = street.door, new_id("reach")
    month: dict[str, object] = {"max_budget": 10, "budget_duration": "month"}

    async def make(path: str, body: Mapping[str, object]) -> dict[str, Any]:
        answer = await door.post(path, {**month, **body})
        assert answer.status == 200, answer.text
        made: dict[str, Any] = answer.fields
        return made

    async with (
        street.signed_in(user_alias=f"lead {mark}") as (team_admin, lead),
        street.signed_in(user_alias=f"member {mark}") as (member, user),
        street.signed_in(user_alias=f"head {mark}") as (organization_admin, head),
    ):
        names: dict[str, tuple[str, str]] = {}
        for one in ("mine", "other"):
            alias = f"{one} {mark}"
            organization = (await make("/organization/new", {"organization_alias": alias}))["organization_id"]
            of = {"team_alias": alias, "organization_id": organization}
            team = (await make("/team/new", of))["team_id"]
            await make("/project/new", {"project_alias": alias, "team_id": team})
            await make("/key/generate", {"key_alias": f"team's {alias}", "team_id": team})
            names[one] = organization, team
        organization, team = names["mine"]
        for who, role in ((lead, "admin"), (user, "user")):
            added = {"team_id": team, "member": {"user_id": who, "role": role}, "max_budget_in_team": 5}
            assert (await door.post("/team/member_add", added)).status == 200
            assert (await door.post("/user/update", month | {"user_id": who})).status == 200
        for one in ("mine", "other"):
            of_one = {"team_id": names[one][1], "user_id": user} if one == "mine" else {}
            await make("/key/generate", {"key_alias": f"user's {one} {mark}"} | of_one)
        added = {"organization_id": organization, "member": {"user_id": head, "role": "org_admin"}}
        assert (await door.post("/organization/member_add", added)).status == 200

        async def titles(browser: Browser) -> set[str]:
            page = (await browser.get(f"/ui/budgets?q={mark}")).text
            found = re.findall(r'class="name">(?:<a[^>]*>|<strong>)([^<]+)<', page)
            return {html.unescape(title).replace(f" {mark}", "") for title in found}

        own = {'Member "member" of team "mine"', 'User "member"', 'Key "user\'s mine"'}
        of_team = {'Team "mine"', 'Project "mine"', 'Key "team\'s mine"', 'Member "lead" of team "mine"'}
        members = {'Member "member" of team "mine"', 'Key "user\'s mine"'}
        assert await titles(member) == own
        assert await titles(team_admin) == of_team | members | {'User "lead"'}
        assert await titles(organization_admin) == of_team | members | {'Organization "mine"'}
        async with street.signed_in("auditor") as (auditor, _):
            assert await titles(auditor) == set()
        async with street.signed_in("proxy_admin_viewer") as (finance, _):
            assert len(await titles(finance)) == 14


async def test_what_is_set_for_an_access_group_is_found_by_its_name_where_alerts_of_it_lead(street: Street) -> None:
    group = new_id("group")
    made = await street.door.post("/access_group/new", {"access_group": group, "model_names": ["file-claude"]})
    assert made.status == 200, made.text
    terms = {"soft_budget": 3, "budget_limits": [{"budget_duration": "day", "max_budget": 5}]}
    assert (await send(street.door, "PUT", f"/access_group/{group}/budget", terms)).status == 200
    async with street.signed_in("proxy_admin") as (browser, _):
        page = html.unescape((await browser.get(f"/ui/budgets?level=group&q={group}")).text)
        assert page.count(f'Access group "{group}"') == 2
        assert page.count("tells only") == 1
        assert "$3.00" in page
        assert "$5.00" in page
    assert (await send(street.door, "DELETE", f"/access_group/{group}/delete", None)).status == 200


async def test_a_pool_is_one_line_however_many_name_it(street: Street) -> None:
    pool, mark = new_id("pool"), new_id("pooled")
    made = {"budget_id": pool, "max_budget": 20, "budget_duration": "month", "pooled": True}
    assert (await street.door.post("/budget/new", made)).status == 200
    for _ in range(2):
        await street.door.new_key(key_alias=f"{new_id('k')} {mark}", budget_id=pool)
    async with street.signed_in("proxy_admin") as (browser, _):
        page = (await browser.get(f"/ui/budgets?q={mark}")).text
        assert page.count(f"Pool &#34;{pool}&#34;") == 1


async def test_a_shared_budget_is_made_changed_and_not_deleted_while_it_is_named(street: Street) -> None:
    budget_id = new_id("shared")
    edit = "/ui/budgets/shared/edit"
    fields = {"budget_id": budget_id, "max_budget": "50", "budget_duration": "week", "rpm_limit": "60"}
    async with street.signed_in("proxy_admin") as (browser, _):
        refused = await browser.send(edit, fields | {"soft_budget": "60"})
        assert refused.status_code == 422
        assert "may not be higher" in refused.text
        assert (await browser.send(edit, fields)).headers["location"] == "/ui/budgets/shared?done=made"
        key = await street.door.new_key(budget_id=budget_id)
        of = f"{edit}?id={budget_id}"
        assert "Named by 1 keys" in (await browser.get(of)).text
        changed = {"id": budget_id, "max_budget": "1,250.50", "budget_duration": "month"}
        assert (await browser.send(edit, changed, of=of)).status_code == 303
        [info] = (await street.door.post("/budget/info", {"budgets": [budget_id]})).fields
        assert (str(info["max_budget"]), info["budget_duration"], info["rpm_limit"]) == ("1250.500000", "month", None)
        gone = "/ui/budgets/shared/delete"
        assert "is in use (1 of keys)" in (await browser.send(gone, {"id": budget_id}, of=of)).text
        await street.door.post("/key/delete", {"keys": [key["token"]]})
        assert (await browser.send(gone, {"id": budget_id}, of=of)).status_code == 303


async def test_a_tag_gets_a_budget_and_its_name_is_text(street: Street) -> None:
    tag = new_id("tag") + HOSTILE
    edit = "/ui/budgets/tags/edit"
    fields = {"name": tag, "description": HOSTILE, "max_budget": "5", "budget_duration": "day"}
    async with street.signed_in("proxy_admin") as (browser, _):
        assert (await browser.send(edit, fields)).status_code == 303
        for page in ("/ui/budgets/tags", "/ui/budgets?level=tag", f"/ui/budgets?q={tag[:12]}"):
            assert "<script>alert" not in (await browser.get(page)).text
        changed = {"name": tag, "known": "1", "max_budget": "", "tpm_limit": "1000", "budget_duration": "total"}
        assert (await browser.send(edit, changed)).status_code == 303
        twice = await browser.send(edit, fields)
        assert (twice.status_code, "The name is taken" in twice.text, "/tag/" in twice.text) == (422, True, False)
        nowhere = await browser.send(edit, {"name": "none", "known": "1"})
        assert (nowhere.status_code, "/tag/list" in nowhere.text) == (404, False)
        found = (await street.door.post("/tag/info", {"names": [tag]})).fields[tag]
        assert (found["tpm_limit"], found["description"]) == (1000, None)
        assert (await browser.send("/ui/budgets/tags/delete", {"name": tag}, of=edit)).status_code == 303
        odd = f" {new_id('tag')}".ljust(255, "x") + " "  # as long as a name may be, blanks and all
        assert (await street.door.post("/tag/new", {"name": odd, "max_budget": 5})).status == 200
        of = str(httpx.URL(edit, params={"name": odd}))
        assert (await browser.send(edit, changed | {"name": odd}, of=of)).status_code == 303
        assert (await browser.send("/ui/budgets/tags/delete", {"name": odd}, of=of)).status_code == 303
        assert (await street.door.post("/tag/info", {"names": [tag]})).status == 404
