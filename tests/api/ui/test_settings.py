"""The pages of alerts and of settings: whose destinations somebody reaches, and that no secret stands on a page."""

import re

import msgspec
import pytest
from sqlalchemy import insert

from app.base.ids import new_id
from app.base.secret import Secret
from app.domain.roles import ACTIONS, USER_ROLES
from app.settings import Settings
from app.settings.shown import shown_settings
from app.storage.postgres import tables
from tests.api.ui.support import Street

HOSTILE = """<script>alert("x")</script>'"><img src=x onerror=alert(1)>&{{7*7}}"""
WEBHOOK = {"kind": "webhook", "url": "https://hooks.example.com/secret-path"}


def test_no_secret_of_the_settings_is_shown_and_what_was_set_is_marked() -> None:
    secret = Secret("sk-not-to-be-seen")
    settings = Settings(
        master_key=secret, database_url=secret, otlp_headers=secret, workers=3, max_budget_nanousd=1_500_000_000
    )
    groups = shown_settings(settings)
    assert "sk-not-to-be-seen" not in str(groups)
    found = {one.name: (one.value, one.is_changed) for group in groups for one in group.settings}
    assert found["master key"] == ("set", True)
    assert found["workers"] == ("3", True)
    assert found["budget of the platform"] == ("$1.50", True)
    assert found["total timeout"] == ("60 min", False)
    assert found["largest body"] == ("64 MiB", False)


@pytest.mark.services
@pytest.mark.parametrize("role", USER_ROLES)
async def test_alerts_and_settings_are_for_those_who_may_read_them(street: Street, role: str) -> None:
    async with street.signed_in(role) as (browser, _):
        for path, action in (("/ui/alerts", "alert.read"), ("/ui/settings", "settings.read")):
            reads = ACTIONS[action][role] != "nothing"  # type: ignore[index]  # a role of users
            page = await browser.get(path)
            assert page.status_code == (200 if reads else 403)
            assert ("which shows this page" in page.text) == (reads and path == "/ui/settings")
        if role != "proxy_admin":
            refused = await browser.send("/ui/settings/managed", {"settings": "{}"}, of="/ui/account")
            assert refused.status_code == 403
            if role != "org_admin":
                assert (await browser.send("/ui/alerts/new", WEBHOOK, of="/ui/account")).status_code == 403


@pytest.mark.services
async def test_a_destination_is_added_tested_and_deleted_and_its_secret_shown_once(street: Street) -> None:
    name = new_id("hook") + HOSTILE
    async with street.signed_in("proxy_admin") as (browser, _):
        refused = await browser.send("/ui/alerts/new", {"name": name, "kind": "webhook"})
        assert "is missing" in refused.text
        shown = await browser.send("/ui/alerts/new", WEBHOOK | {"name": name, "events": ["key.expiring"]})
        [secret] = re.findall(r'<code id="secret">([^<]+)</code>', shown.text)
        page = (await browser.get("/ui/alerts")).text
        assert secret not in page
        assert "secret-path" not in page
        assert "<script>alert" not in page
        listed = (await street.door.get("/alert/destination")).fields["destinations"]
        [made] = [one for one in listed if one["name"] == name]
        of, one = "/ui/alerts", {"id": made["destination_id"]}
        assert (await browser.send("/ui/alerts/do", one | {"do": "test"}, of=of)).headers["location"].endswith("test")
        assert "on its way" in (await browser.get("/ui/alerts?kind=test")).text
        assert (await browser.send("/ui/alerts/do", one, of=of)).status_code == 404
        assert (await browser.send("/ui/alerts/do", one | {"do": "delete"}, of=of)).status_code == 303
        assert name not in (await street.door.get("/alert/destination")).text


@pytest.mark.services
async def test_an_admin_of_a_team_reaches_the_alerts_of_its_team_alone(street: Street) -> None:
    theirs = await street.door.post("/alert/destination", WEBHOOK | {"name": new_id("theirs")})
    async with street.signed_in("internal_user") as (browser, user_id):
        team_id = new_id("team")
        async with street.door.engine.begin() as connection:
            values = {"team_id": team_id, "created_by": "t", "updated_by": "t"}
            await connection.execute(insert(tables.teams).values(**values))
            member = {"team_id": team_id, "user_id": user_id, "role": "admin"}
            await connection.execute(insert(tables.memberships).values(**member))
        assert theirs.fields["name"] not in (await browser.get("/ui/alerts")).text
        everything = await browser.send("/ui/alerts/new", WEBHOOK | {"name": "all"})
        assert everything.status_code == 403
        assert "Choose a team of yours" in everything.text
        gone = {"id": theirs.fields["destination_id"], "do": "delete"}
        assert (await browser.send("/ui/alerts/do", gone, of="/ui/alerts")).status_code == 404
        own = await browser.send("/ui/alerts/new", WEBHOOK | {"name": new_id("own"), "team_id": team_id})
        assert own.status_code == 200, own.text


@pytest.mark.services
async def test_managed_settings_of_a_team_are_set_and_taken_away(street: Street) -> None:
    team = (await street.door.post("/team/new", {"team_alias": new_id("team")})).fields["team_id"]
    managed = "/ui/settings/managed"
    fields = {"of": "team_id", "id": team, "settings": '{"model": "claude-sonnet-4-5"}'}
    async with street.signed_in("proxy_admin") as (browser, _):
        refused = await browser.send(managed, fields | {"settings": "{not json"})
        assert refused.status_code == 422
        assert "{not json" in refused.text
        assert (await browser.send(managed, fields | {"id": "none"})).status_code == 404
        assert (await browser.send(managed, fields)).status_code == 303
        page = (await browser.get(f"{managed}?of=team_id&id={team}")).text
        assert "claude-sonnet-4-5" in page
        info = (await street.door.get("/managed_settings/info", team_id=team)).fields
        assert msgspec.json.encode(info["settings"]) == b'{"model":"claude-sonnet-4-5"}'
        assert (await browser.send(managed, fields | {"settings": ""})).status_code == 303
        assert (await street.door.get("/managed_settings/info", team_id=team)).fields["settings"] is None
