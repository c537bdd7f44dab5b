"""Teams on pages: what each role sees and may do there is what its key may do by the routes; what was made is there."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.api.ui.segments import read_segment, segment
from app.base.clock import now
from app.base.ids import new_id
from tests.api.ui.support import Browser, Street

pytestmark = pytest.mark.services


async def organization_of(street: Street, **fields: Any) -> str:
    body = {"organization_alias": new_id("org"), **fields}
    return str((await street.door.post("/organization/new", body)).fields["organization_id"])


async def team_of(street: Street, **fields: Any) -> str:
    answer = await street.door.post("/team/new", {"team_alias": new_id("team"), **fields})
    assert answer.status == 200, answer.text
    return str(answer.fields["team_id"])


async def team_info(street: Street, team_id: str) -> dict[str, Any]:
    info: dict[str, Any] = (await street.door.get("/team/info", team_id=team_id)).fields["team_info"]
    return info


@asynccontextmanager
async def an_admin_of(street: Street, **where: str) -> AsyncIterator[tuple[Browser, str]]:
    """Somebody who is the admin of a team, or of an organization."""
    async with street.signed_in("internal_user") as (browser, user_id):
        for kind, one in where.items():
            role = "admin" if kind == "team" else "org_admin"
            body = {f"{kind}_id": one, "member": {"user_id": user_id, "role": role}}
            assert (await street.door.post(f"/{kind}/member_add", body)).status == 200
        yield browser, user_id


async def test_a_team_is_made_found_changed_blocked_and_deleted(street: Street) -> None:
    alias = new_id("research")
    async with street.signed_in("proxy_admin") as (browser, _):
        fields = {
            "team_alias": alias, "max_budget": "$1,250.50", "budget_duration": "month", "soft_budget": "1000",
            "models": "file-claude", "further_models": "team/*", "rpm_limit": "600", "team_member_budget": "50",
            "team_member_budget_duration": "month", "metadata": '{"owner": "Ada"}',
            "cost_center": "R&D EMEA",
        }  # fmt: skip
        made = await browser.send("/ui/teams/new", fields)
        assert made.status_code == 303, made.text
        address = made.headers["location"].partition("?")[0]
        info = await team_info(street, address.rpartition("/")[2])
        assert (info["max_budget"], info["budget_duration"], info["soft_budget"]) == (1250.5, "month", 1000)
        assert (info["models"], info["rpm_limit"]) == (["file-claude", "team/*"], 600)
        assert (info["team_member_budget_table"]["max_budget"], info["metadata"]) == (50, {"owner": "Ada"})

        assert info["cost_center"] == "R&D EMEA"
        assert "<dd>R&amp;D EMEA</dd>" in (await browser.get(address)).text
        assert '<option value="R&amp;D EMEA">' in (await browser.get("/ui/teams/new")).text
        wrong = await browser.send(f"{address}/edit", {"was_cost_center": "R&D EMEA", "cost_center": "a, b"})
        assert (wrong.status_code, "The cost centre is" in wrong.text, 'value="a, b"' in wrong.text) == (
            422,
            True,
            True,
        )
        assert (await browser.send(f"{address}/edit", {"was_cost_center": "R&D EMEA"})).status_code == 303
        assert (await team_info(street, info["team_id"]))["cost_center"] == "R&D EMEA"  # the field was not sent

        listed = await browser.get(f"/ui/teams?q={alias}&sort=spend")
        assert address in listed.text
        assert "$1,250.50" in listed.text
        assert address not in (await browser.get(f"/ui/teams?q={alias}&status=blocked")).text
        assert (await browser.send(f"{address}/block", of=address)).status_code == 303
        assert address in (await browser.get(f"/ui/teams?q={alias}&status=blocked")).text
        assert (await browser.send(f"{address}/unblock", of=address)).status_code == 303
        assert not (await team_info(street, info["team_id"]))["blocked"]

        await street.door.new_key(team_id=info["team_id"])
        assert "takes its 1 key with it" in (await browser.get(address)).text
        assert (await browser.send(f"{address}/delete", of=address)).status_code == 303
        assert (await browser.get(address)).status_code == 404
        assert (await street.door.get("/team/info", team_id=info["team_id"])).status == 404


async def test_only_what_was_changed_in_a_form_is_changed(street: Street) -> None:
    """Two people change different things of one team at once, and both get what they want."""
    team_id = await team_of(street, max_budget=100, budget_duration="month", models=["a-model"], rpm_limit=10)
    async with street.signed_in("proxy_admin") as (browser, _):
        address = f"/ui/teams/{team_id}/edit"
        page = (await browser.get(address)).text
        shown = dict(re.findall(r'name="(was_\w+)" value="([^"]*)"', page)) | {"was_models": "a-model"}
        typed = {name.removeprefix("was_"): value for name, value in shown.items()} | {"models": "a-model"}
        await street.door.post("/team/update", {"team_id": team_id, "rpm_limit": 77})
        changed = await browser.send(address, shown | typed | {"max_budget": "", "tpm_limit": "5000"})
        assert changed.status_code == 303, changed.text
        info = await team_info(street, team_id)
        assert (info["rpm_limit"], info["tpm_limit"], info["max_budget"]) == (77, 5000, None)
        assert (info["budget_duration"], info["models"]) == ("month", ["a-model"])


async def test_a_team_takes_a_shared_budget_and_leaves_it_for_its_own(street: Street) -> None:
    shared = (await street.door.post("/budget/new", {"max_budget": 77, "budget_duration": "month"})).fields["budget_id"]
    team_id = await team_of(street, max_budget=100)
    async with street.signed_in("proxy_admin") as (browser, _):
        address = f"/ui/teams/{team_id}/edit"
        own = {"was_max_budget": "100", "max_budget": "100", "was_budget_id": "", "budget_id": shared}
        assert (await browser.send(address, own)).status_code == 303
        assert (await team_info(street, team_id))["budget_id"] == shared
        refused = await browser.send(address, {"was_max_budget": "", "max_budget": "5"})
        assert refused.status_code == 422
        assert "/budget/update" not in refused.text
        back = {"was_max_budget": "", "max_budget": "5", "was_budget_id": shared, "budget_id": ""}
        assert (await browser.send(address, back)).status_code == 303
        assert (await team_info(street, team_id))["max_budget"] == 5


async def test_what_cannot_be_is_said_in_the_words_of_the_form_and_stays_typed(street: Street) -> None:
    async with street.signed_in("proxy_admin") as (browser, _):
        organization_id = await organization_of(street, max_budget=100)
        above = {"team_alias": "kept", "max_budget": "2500.5", "organization_id": organization_id}
        refused = await browser.send("/ui/teams/new", above)
        assert "The budget is $2,500.50, above the $100.00 of the organization" in refused.text
        assert organization_id not in refused.text.partition("</p>")[0]  # what people call it, not its id
        for field, value, words in (
            ("max_budget", "a lot", "The budget is “a lot”"), ("metadata", "[1]", "The notes must be an object"),
            ("soft_budget", "90", "The warning"), ("team_alias", "", "name"),
            ("tpm_limit", "1,5", "Tokens a minute is &#34;1,5&#34;; give a number such as 25 or 1,250."),
        ):  # fmt: skip
            fields = {"team_alias": "kept", "max_budget": "5", "rpm_limit": "12", field: value}
            refused = await browser.send("/ui/teams/new", fields)
            assert refused.status_code == 422
            assert words.partition(" “")[0] in refused.text
            assert 'value="12"' in refused.text


async def test_members_are_added_changed_and_removed(street: Street) -> None:
    team_id, email = await team_of(street), f"{new_id('new')}@example.com"
    async with street.signed_in("proxy_admin") as (browser, _):
        address = f"/ui/teams/{team_id}"
        assert (await browser.send(f"{address}/members", {"who": "", "role": "user"}, of=address)).status_code == 422
        slip = await browser.send(f"{address}/members", {"who": "nobody-at-all", "role": "user"}, of=address)
        assert (slip.status_code, "Nobody has the id" in slip.text) == (422, True)
        added = await browser.send(f"{address}/members", {"who": email, "role": "user"}, of=address)
        assert added.status_code == 303, added.text
        twice = await browser.send(f"{address}/members", {"who": email, "role": "user"}, of=address)
        assert (twice.status_code, email in twice.text) == (422, True)
        [member] = (await team_info(street, team_id))["members_with_roles"]
        one = f"{address}/members/{member['user_id']}"
        fields = {"role": "admin", "was_role": "user", "max_budget_in_team": "7.5", "budget_duration": "week"}
        assert (await browser.send(one, fields)).status_code == 303
        assert "of $7.50 a week" in (await browser.get(address)).text
        info = await street.door.get("/team/info", team_id=team_id)
        [row] = info.fields["team_memberships"]
        assert (row["role"], row["litellm_budget_table"]["max_budget"]) == ("admin", 7.5)
        assert (await browser.send(f"{one}/remove", of=one)).status_code == 303
        assert (await browser.get(one)).status_code == 404


async def test_an_admin_of_a_team_manages_its_members_and_not_the_team(street: Street) -> None:
    team_id, other = await team_of(street), await team_of(street)
    stranger, _ = await street.person()
    async with an_admin_of(street, team=team_id) as (browser, _):
        address = f"/ui/teams/{team_id}"
        listed = (await browser.get("/ui/teams")).text
        assert address in listed
        assert other not in listed
        assert "/ui/teams/new" not in listed
        page = (await browser.get(address)).text
        assert f"{address}/members" in page
        assert f"{address}/edit" not in page
        assert (await browser.get(f"/ui/teams/{other}")).status_code == 404
        assert (await browser.get(f"{address}/edit")).status_code == 403
        for verb in ("block", "delete"):
            assert (await browser.send(f"{address}/{verb}", of=address)).status_code == 403
        # Nobody learns who is known here: people are named by id, and only those of one's own teams.
        for who in (stranger, f"{stranger}@example.com"):
            refused = await browser.send(f"{address}/members", {"who": who, "role": "user"}, of=address)
            assert refused.status_code == 404
            assert f"o such user: &#34;{who}&#34;" in refused.text


async def test_an_admin_of_an_organization_makes_and_changes_its_teams_alone(street: Street) -> None:
    own, strange = await organization_of(street), await organization_of(street)
    theirs = await team_of(street, organization_id=strange)
    async with an_admin_of(street, organization=own) as (browser, _):
        made = await browser.send("/ui/teams/new", {"team_alias": new_id("team"), "organization_id": own})
        assert made.status_code == 303, made.text
        address = made.headers["location"].partition("?")[0]
        assert (await browser.get(f"{address}/edit")).status_code == 200
        for fields in ({"organization_id": strange}, {}):
            refused = await browser.send("/ui/teams/new", {"team_alias": new_id("team"), **fields})
            assert refused.status_code in (404, 422)
        moved = await browser.send(f"{address}/edit", {"team_alias": "x", "organization_id": strange})
        assert moved.status_code == 404
        assert (await team_info(street, address.rpartition("/")[2]))["organization_id"] == own
        for verb in ("block", "delete", "edit"):
            assert (await browser.send(f"/ui/teams/{theirs}/{verb}", of="/ui/account")).status_code == 404
        listed = (await browser.get("/ui/teams")).text
        assert (address in listed, theirs in listed) == (True, False)


async def test_the_page_of_a_team_adds_up_its_month_by_model_and_member(street: Street) -> None:
    team_id = await team_of(street, max_budget=100, budget_duration="month")
    user_id, email = await street.person()
    key = await street.door.new_key(team_id=team_id, user_id=user_id)
    owners = {"team_id": team_id, "user_id": user_id, "model_served": "a-model-of-theirs"}
    await street.door.book(key["token"], now(), 12_340_000_000, **owners)
    async with street.signed_in("proxy_admin_viewer") as (browser, _):
        page = (await browser.get(f"/ui/teams/{team_id}")).text
        for words in ("a-model-of-theirs", "$12.34", "$87.66 left", email):
            assert words in page
        assert "/edit" not in page
    async with street.signed_in("internal_user") as (browser, _):
        assert (await browser.get("/ui/teams")).status_code == 403


async def test_the_page_of_a_team_says_that_its_organization_is_blocked(street: Street) -> None:
    organization_id = await organization_of(street)
    team_id = await team_of(street, organization_id=organization_id)
    async with street.signed_in("proxy_admin") as (browser, _):
        assert "is blocked" not in (await browser.get(f"/ui/teams/{team_id}")).text
        address = f"/ui/organizations/{organization_id}"
        assert (await browser.send(f"{address}/block", of=address)).status_code == 303
        assert "is blocked" in (await browser.get(f"/ui/teams/{team_id}")).text


@pytest.mark.parametrize("one", ["team_1", "a/b", "new", "..", "?q=#", "Ä ö", "ada@example.com", ".hidden", "~x"])
def test_any_id_can_stand_in_an_address(one: str) -> None:
    assert read_segment(segment(one)) == one
    assert re.fullmatch(r"[A-Za-z0-9@._~-]+", segment(one))
    assert segment(one) not in ("new", ".", "..")
