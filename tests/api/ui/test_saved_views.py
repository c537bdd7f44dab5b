"""Saved views: kept under names for one person alone, of pages of ours, and not without end."""

import html
import re

import pytest

from app.admin.saved_views import LONGEST_NAME, MOST_VIEWS, SavedViews
from app.api.ui.saved_views import read_view_address
from app.base.errors import Unprocessable
from tests.api.ui.support import Street

HOSTILE = """<script>alert("x")</script>'"><img src=x onerror=alert(1)>&{{7*7}}"""


@pytest.mark.parametrize(
    "written",
    [
        "", "https://elsewhere.example/ui/spend", "//elsewhere.example/ui/spend", "/ui/spend/../settings",
        "/ui/settings", "/key/list", "//[", "http://[",
        "javascript:alert(1)", "/ui/spend\r\nset-cookie: a=b", "/ui/spend?by=" + "x" * 2_000, "\\ui/spend",
    ],
)  # fmt: skip
def test_only_a_page_that_has_views_can_be_saved(written: str) -> None:
    with pytest.raises(Unprocessable, match="no address that can be saved"):
        read_view_address(written)


def test_what_is_of_a_moment_is_no_part_of_a_view() -> None:
    assert read_view_address("/ui/requests?span=7d&cursor=abc&page=3&team=a%26b&pick=team") == (
        "/ui/requests?span=7d&team=a%26b"
    )
    assert read_view_address("/ui/keys?page=2") == "/ui/keys"


@pytest.mark.services
async def test_a_view_is_saved_opened_renamed_and_deleted_by_its_owner_alone(street: Street) -> None:
    address = "/ui/spend?span=7d&by=model&team=a%26b"
    async with street.signed_in("internal_user") as (browser, _), street.signed_in("proxy_admin") as (other, _):
        here = html.unescape((await browser.get(f"{address}&page=1")).text)
        [offer] = re.findall(r'href="(/ui/views\?address=[^"]+)"', here)
        page = await browser.get(offer)
        assert page.status_code == 200
        assert html.escape(address) in page.text.replace("&#38;", "&amp;")
        fields = {"do": "saved", "address": address, "name": f"Mine {HOSTILE}"}
        assert (await browser.send("/ui/views", fields)).headers["location"] == "/ui/views?done=saved"
        for name in (f"Mine {HOSTILE}", "", "x" * (LONGEST_NAME + 1)):
            refused = await browser.send("/ui/views", fields | {"name": name})
            assert refused.status_code == 422
            assert 'data-field="name"' in refused.text
        page = await browser.get("/ui/views")
        assert "<script>alert" not in page.text
        menu = (await browser.get("/ui/views/menu?of=/ui/spend")).text
        assert html.escape(address) in menu
        assert "Mine &lt;script" in menu
        assert "Mine" not in (await browser.get("/ui/views/menu?of=/ui/keys")).text
        assert (await browser.get(address)).status_code == 200
        [view_id] = set(re.findall(r'name="view_id" value="([^"]+)"', page.text))
        renamed = {"do": "renamed", "view_id": view_id, "name": "Theirs"}
        assert (await other.send("/ui/views", renamed)).status_code == 404
        await other.send("/ui/views", {"do": "deleted", "view_id": view_id})
        assert "Mine" not in (await other.get("/ui/views")).text
        assert (await browser.send("/ui/views", renamed)).status_code == 303
        assert ">Theirs<" in (await browser.get("/ui/views")).text
        await browser.send("/ui/views", {"do": "deleted", "view_id": view_id})
        assert "None yet" in (await browser.get("/ui/views")).text


@pytest.mark.services
async def test_there_are_at_most_so_many_views(street: Street) -> None:
    views = SavedViews(street.door.engine)
    user_id, _ = await street.person()
    for number in range(MOST_VIEWS):
        await views.save(user_id, f"view {number}", "/ui/keys")
    with pytest.raises(Unprocessable, match=f"there are {MOST_VIEWS} saved views"):
        await views.save(user_id, "one more", "/ui/keys")
