"""The page that changes a key: its name, models, budget, limits, expiry, tags and notes."""

from collections.abc import Mapping
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.key_reading import KeyReading
from app.admin.keys import Keys
from app.admin.people import Person
from app.api.admin.key_fields import read_update
from app.api.ui.access import Pages
from app.api.ui.desk import Desk
from app.api.ui.forms import (
    BUDGET_READERS,
    LIMIT_READERS,
    Filled,
    Reader,
    as_body,
    filled,
    json_object,
    lines_of,
    names,
    names_by_name,
    plain,
    plain_usd,
    pretty,
    read_fields,
    read_list,
    refused,
    shown_limits,
    text,
)
from app.api.ui.key_form import LIFETIMES
from app.api.ui.keys import find_changeable
from app.api.ui.rendering import calendar_day
from app.api.ui.team_form import PERIODS
from app.base.errors import CallerError
from app.storage.postgres.keys import StoredKey

AnyRequest = Request[Any, Any, Any]
_NEVER = "-1"
_READERS: Mapping[str, Reader] = {
    "key_alias": text, "duration": text, **BUDGET_READERS, **LIMIT_READERS, "tags": names, "metadata": json_object,
    "allowed_model_region": text, "budget_fallbacks": names_by_name,
}  # fmt: skip


class KeyEditPages(Controller):
    """On the services of ``/key/update``, with the same action."""

    include_in_schema = False

    @get("/ui/keys/{key_id:str}/edit")
    async def edit_page(
        self,
        request: AnyRequest,
        key_id: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        key_reading: NamedDependency[KeyReading],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.change")
        key = await find_changeable(key_reading, person, key_id)
        return _show(request, pages, desk, person, (key, filled(_shown(key), {"models": key.models})))

    @post("/ui/keys/{key_id:str}/edit", status_code=200)
    async def change(
        self,
        request: AnyRequest,
        key_id: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        key_reading: NamedDependency[KeyReading],
        keys: NamedDependency[Keys],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.change")
        form = await pages.read_form(request)
        key = await find_changeable(key_reading, person, key_id)
        try:
            body = read_fields(form, _READERS, changes=True) | read_list(form, "models", changes=True)
            body |= as_body(key=key.key_id)
            reference, terms = read_update(body)
            await keys.update(reference, terms, await desk.actor(person, "POST /key/update", body))
        except CallerError as error:
            again = refused(form, _READERS, ["models"], error)
            return _show(request, pages, desk, person, (key, again))
        return pages.go(f"/ui/keys/{key.key_id}?done=changed")


def _shown(key: StoredKey) -> dict[str, str]:
    return {
        "key_alias": plain(key.key_alias),
        "max_budget": plain_usd(key.limit_nanousd),
        "budget_duration": plain(key.budget_duration),
        "soft_budget": plain_usd(key.soft_limit_nanousd),
        "budget_timezone": plain(key.budget_timezone),
        "on_exceed": plain(key.on_exceed),
        **shown_limits(key),
        "allowed_model_region": plain(key.allowed_model_region),
        "budget_fallbacks": lines_of(key.budget_fallbacks),
        "tags": ", ".join(key.tags),
        "metadata": pretty(key.metadata),
    }


def _show(
    request: AnyRequest, pages: Pages, desk: Desk, person: Person, shown: tuple[StoredKey, Filled]
) -> Response[bytes]:
    key, form = shown
    present = "never" if key.expires_at is None else f"{calendar_day(key.expires_at)}, {key.expires_at:%H:%M} UTC"
    lifetimes = [("", f"As it is: {present}"), (_NEVER, "Never")]
    lifetimes += [(value, f"{words} from now") for value, words in LIFETIMES.items() if value]
    values: dict[str, Any] = {"key": key, "f": form, "periods": PERIODS, "lifetimes": lifetimes}
    values |= desk.model_choices(person)
    return pages.show_form(request, "key_edit.html", person, form.error, **values)
