"""People, organizations, projects and customers on pages: made, changed, found, and to each role what it reaches."""

import re
from typing import Any

import pytest

from app.base.clock import now
from app.base.ids import new_id
from app.domain.roles import ACTIONS, USER_ROLES
from tests.api.ui.support import Street
from tests.api.ui.test_pages import HOSTILE
from tests.api.ui.test_teams import an_admin_of, organization_of, team_of

pytestmark = pytest.mark.services


async def user_info(street: Street, user_id: str) -> dict[str, Any]:
    info: dict[str, Any] = (await street.door.get("/user/info", user_id=user_id)).fields["user_info"]
    return info


async def test_a_person_is_found_changed_blocked_and_deleted(street: Street) -> None:
    user_id, email = await street.person("internal_user_viewer")
    await street.door.new_key(user_id=user_id)
    async with street.signed_in("proxy_admin") as (browser, own_id):
        address = f"/ui/people/{user_id}"
        for query in (f"q={email[:20]}", f"q={user_id}", f"q={email}&role=internal_user_viewer&status=active"):
            assert address in (await browser.get(f"/ui/people?{query}")).text, query
        assert address not in (await browser.get(f"/ui/people?q={email}&role=proxy_admin")).text
        fields = {"was_user_role": "internal_user_viewer", "user_role": "internal_user", "user_alias": "Ada"}
        changed = await browser.send(f"{address}/edit", {**fields, "max_budget": "12.5", "cost_center": "4711"})
        assert changed.status_code == 303, changed.text
        info = await user_info(street, user_id)
        assert (info["user_role"], info["user_alias"], info["max_budget"]) == ("internal_user", "Ada", 12.5)
        assert info["cost_center"] == "4711"
        assert info["user_email"] == email
        refused = await browser.send(f"{address}/edit", {"user_email": "nobody", "was_user_email": email})
        assert refused.status_code == 422
        assert 'value="nobody"' in refused.text
        for verb, blocked in (("block", True), ("unblock", False)):
            assert (await browser.send(f"{address}/{verb}", of=address)).status_code == 303
            assert (await user_info(street, user_id))["blocked"] is blocked
        assert "1 key is deleted" in (await browser.get(address)).text
        assert "/delete" not in (await browser.get(f"/ui/people/{own_id}")).text  # nobody removes oneself by mistake
        assert (await browser.send(f"{address}/delete", of=address)).status_code == 303
        assert (await browser.get(address)).status_code == 404


@pytest.mark.parametrize("role", USER_ROLES)
async def test_who_may_read_of_people_reads_all_and_most_others_themselves(street: Street, role: str) -> None:
    other, _ = await street.person()
    async with street.signed_in(role) as (browser, own_id):
        reach = ACTIONS["user.read"][role]  # type: ignore[index]  # a role of users
        own, reads = (await browser.get(f"/ui/people/{own_id}")).status_code, reach == "all"
        assert own == (403 if reach == "nothing" else 200)
        strange = (await browser.get(f"/ui/people/{other}")).status_code
        assert (strange == 200) is reads
        changes = (await browser.send(f"/ui/people/{other}/block", of="/ui/account")).status_code
        assert changes == (303 if role == "proxy_admin" else 403)
        for page, action in (("organizations", "organization.read"), ("customers", "tenancy.read")):
            may = ACTIONS[action][role]  # type: ignore[index]  # a role of users
            assert (await browser.get(f"/ui/{page}")).status_code == (403 if may == "nothing" else 200), page


async def test_an_organization_is_made_changed_and_deleted_with_its_teams(street: Street) -> None:
    alias = new_id("northwind")
    async with street.signed_in("proxy_admin") as (browser, _):
        made = await browser.send("/ui/organizations/new", {"organization_alias": alias, "max_budget": "100"})
        assert made.status_code == 303, made.text
        twice = await browser.send("/ui/organizations/new", {"organization_alias": alias})
        assert (twice.status_code, "The name is taken" in twice.text) == (422, True)
        address = made.headers["location"].partition("?")[0]
        organization_id = address.rpartition("/")[2]
        team_id = await team_of(street, organization_id=organization_id, team_alias=new_id("its"))
        changed = await browser.send(
            f"{address}/edit", {"was_max_budget": "100", "max_budget": "250", "rpm_limit": "9", "cost_center": "4712"}
        )
        assert changed.status_code == 303, changed.text
        info = (await street.door.get("/organization/info", organization_id=organization_id)).fields
        assert (info["litellm_budget_table"]["max_budget"], info["rpm_limit"]) == (250, 9)
        assert info["cost_center"] == "4712"
        page = (await browser.get(address)).text
        assert f"/ui/teams/{team_id}" in page
        assert "takes its 1 team with" in page
        email = f"{new_id('chief')}@example.com"
        added = await browser.send(f"{address}/members", {"who": email, "role": "org_admin"}, of=address)
        assert added.status_code == 303, added.text
        found = re.search(rf"{address}/members/([^/\"]+)\"", (await browser.get(address)).text)
        assert found is not None
        member = f"{address}/members/{found[1]}"
        assert (await browser.send(member, {"role": "internal_user"})).status_code == 303
        assert (await browser.send(f"{member}/remove", of=member)).status_code == 303
        assert (await browser.get(member)).status_code == 404
        assert (await browser.send(f"{address}/delete", of=address)).status_code == 303
        assert (await browser.get(f"/ui/teams/{team_id}")).status_code == 404


async def test_an_admin_of_an_organization_reads_it_and_its_members_alone(street: Street) -> None:
    own, strange = await organization_of(street), await organization_of(street)
    stranger, _ = await street.person()
    async with an_admin_of(street, organization=own) as (browser, own_id):
        listed = (await browser.get("/ui/organizations")).text
        assert (own in listed, strange in listed, "/ui/organizations/new" in listed) == (True, False, False)
        assert (await browser.get(f"/ui/organizations/{strange}")).status_code == 404
        address = f"/ui/organizations/{own}"
        assert f"{address}/edit" not in (await browser.get(address)).text
        for verb in ("edit", "block", "delete"):
            assert (await browser.send(f"{address}/{verb}", of="/ui/account")).status_code == 403
        refused = await browser.send(f"{address}/members", {"who": stranger, "role": "internal_user"}, of=address)
        assert refused.status_code == 404
        taken = await browser.send(f"/ui/organizations/{strange}/members/{own_id}", {"role": "org_admin"}, of=address)
        assert taken.status_code == 404


async def test_an_admin_of_a_team_makes_and_changes_its_projects_alone(street: Street) -> None:
    team_id, other = await team_of(street, max_budget=50, budget_duration="month"), await team_of(street)
    theirs = (await street.door.post("/project/new", {"team_id": other, "project_alias": "theirs"})).fields
    async with an_admin_of(street, team=team_id) as (browser, _):
        too_much = {"project_alias": "digest", "team_id": team_id, "max_budget": "80", "budget_duration": "month"}
        refused = await browser.send("/ui/projects/new", too_much)
        assert refused.status_code == 422
        assert "above the $50.00" in refused.text
        made = await browser.send("/ui/projects/new", too_much | {"max_budget": "8", "description": "Each Monday"})
        assert made.status_code == 303, made.text
        address = made.headers["location"].partition("?")[0]
        listed = (await browser.get("/ui/projects?q=digest")).text
        assert (address in listed, theirs["project_id"] in listed) == (True, False)
        assert (await browser.get(f"/ui/projects/{theirs['project_id']}")).status_code == 404
        stranger = await browser.send("/ui/projects/new", {"project_alias": "x", "team_id": other})
        assert stranger.status_code == 404
        assert 'name="cost_center"' not in (await browser.get(f"{address}/edit")).text
        charged = await browser.send(f"{address}/edit", {"cost_center": "4711"})
        assert (charged.status_code, "The cost centre says who pays" in charged.text) == (403, True)
        assert (await browser.send(f"{address}/block", of=address)).status_code == 303
        assert (await browser.send(f"{address}/edit", {"rpm_limit": "7"})).status_code == 303
        info = (await street.door.get("/project/info", project_id=address.rpartition("/")[2])).fields
        assert (info["blocked"], info["rpm_limit"], info["description"]) == (True, 7, "Each Monday")
        assert (await browser.send(f"{address}/delete", of=address)).status_code == 303
        assert (await browser.get(address)).status_code == 404


async def test_a_customer_that_calls_name_gets_a_budget_and_a_block(street: Street) -> None:
    customer_id = f"acme/{new_id('shop')}?x=1"
    key = await street.door.new_key()
    await street.door.book(key["token"], now(), 900_000_000_000_000, customer_id=customer_id)
    async with street.signed_in("proxy_admin") as (browser, _):
        found = re.search(
            rf'href="(/ui/customers/[^"]+)">{re.escape(customer_id)}<', (await browser.get("/ui/customers")).text
        )
        assert found is not None  # the largest of the month, without terms
        address = found[1]
        assert "none of its own" in (await browser.get(address)).text
        saved = await browser.send(f"{address}/edit", {"alias": "Acme", "max_budget": "5", "budget_duration": "week"})
        assert saved.status_code == 303, saved.text
        assert (await browser.send(f"{address}/block", of=address)).status_code == 303
        info = (await street.door.get("/customer/info", end_user_id=customer_id)).fields
        assert (info["alias"], info["max_budget"], info["blocked"]) == ("Acme", 5, True)
        assert "nothing left" in (await browser.get(address)).text
        assert (await browser.send(f"{address}/delete", of=address)).status_code == 303
        opened = await browser.get(f"/ui/customers/new?customer={customer_id.replace('?', '%3F')}")
        assert opened.headers["location"] == f"{address}/edit"


async def test_teams_organizations_and_customers_are_kept_to_a_region_and_let_go(street: Street) -> None:
    organization_id, customer_id = await organization_of(street), new_id("customer")
    await street.door.post("/customer/new", {"user_id": customer_id})
    addresses = (
        f"/ui/teams/{await team_of(street)}", f"/ui/organizations/{organization_id}", f"/ui/customers/{customer_id}",
    )  # fmt: skip
    async with street.signed_in("proxy_admin") as (browser, _):
        for address in addresses:
            kept = await browser.send(f"{address}/edit", {"allowed_model_region": "eu-here"})
            assert kept.status_code == 303, kept.text
            assert "<dd>eu-here " in (await browser.get(address)).text
            form = (await browser.get(f"{address}/edit")).text
            assert '<option value="eu-here" selected>' in form
            let_go = {"was_allowed_model_region": "eu-here", "allowed_model_region": ""}
            assert (await browser.send(f"{address}/edit", let_go)).status_code == 303
            assert "eu-here" not in (await browser.get(address)).text


async def test_a_hostile_name_is_text_on_each_of_these_pages(street: Street) -> None:
    organization_id = await organization_of(street, organization_alias=HOSTILE + new_id("o"))
    team_id = await team_of(street, team_alias=HOSTILE, organization_id=organization_id, models=[HOSTILE])
    project = await street.door.post(
        "/project/new", {"team_id": team_id, "project_alias": HOSTILE, "description": HOSTILE}
    )
    user_id, _ = await street.person(user_alias=HOSTILE)
    await street.door.post("/team/member_add", {"team_id": team_id, "member": {"user_id": user_id, "role": "user"}})
    await street.door.post(
        "/customer/new", {"user_id": HOSTILE + user_id, "alias": HOSTILE, "metadata": {"a": HOSTILE}}
    )
    async with street.signed_in("proxy_admin") as (browser, _):
        team, person = f"/ui/teams/{team_id}", f"/ui/people/{user_id}"
        one = f"/ui/projects/{project.fields['project_id']}"
        organization = f"/ui/organizations/{organization_id}"
        for path in (
            "/ui/teams", team, f"{team}/edit", f"{team}/members/{user_id}", "/ui/projects", one, f"{one}/edit",
            f"{person}?done={HOSTILE}", f"{person}/edit", "/ui/organizations", organization, f"{organization}/edit",
            "/ui/customers", f"/ui/customers/new?customer={HOSTILE}", f"/ui/teams?q={HOSTILE}&organization={HOSTILE}",
        ):  # fmt: skip
            page = await browser.client.get(path, follow_redirects=True)
            assert "<script>alert" not in page.text, path
            assert "<img src=x" not in page.text, path
            assert page.status_code in (200, 404), path
