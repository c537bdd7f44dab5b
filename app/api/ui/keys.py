"""The pages of keys: lists, one key with what can be done to it, and a new one."""

from dataclasses import dataclass
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.key_reading import KeyReading, KeyView
from app.admin.keys import IssuedKey, Keys
from app.admin.naming import Naming
from app.admin.people import Person
from app.api.admin.key_fields import read_regenerate
from app.api.ui.access import Pages
from app.api.ui.desk import Desk
from app.api.ui.forms import Filled, Refusal, as_refusal
from app.api.ui.key_form import GRACES, LIFETIMES, PERIODS, choices_of, models_for, read_grace, read_new_key
from app.api.ui.key_obstacles import KeyObstacles
from app.api.ui.lists import page_of, read_listing, read_text
from app.api.ui.navigation import owner_pages
from app.base.errors import CallerError, NotFound, Unprocessable
from app.domain.catalog import Catalog
from app.domain.client_setups import CLIENTS, Wish
from app.domain.roles import Tenant
from app.storage.postgres.keys import SORT_COLUMNS, KeyFilter, Page, StoredKey

AnyRequest = Request[Any, Any, Any]
_PAGE = 25
_STATUSES = ("active", "blocked", "expired", "deleted")


@dataclass(frozen=True, slots=True)
class Powers:
    """What this person may do with this key, so that nothing is offered that would be refused."""

    change: bool
    unblock: bool
    renew: bool


class KeyPages(Controller):
    """On the services of ``/key/*``, with the same actions."""

    include_in_schema = False

    @get("/ui/keys")
    async def list_all(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        key_reading: NamedDependency[KeyReading],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.read")
        return await _show_list(request, pages, key_reading, naming, (person, "Keys", None))

    @get("/ui/my-keys")
    async def list_own(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        key_reading: NamedDependency[KeyReading],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.read")
        return await _show_list(request, pages, key_reading, naming, (person, "My keys", person.user_id))

    @get("/ui/keys/new")
    async def new_page(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        naming: NamedDependency[Naming],
        page_catalog: NamedDependency[Catalog],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.change")
        return await _show_new(request, pages, naming, page_catalog, person)

    @post("/ui/keys/new", status_code=200)
    async def create(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        keys: NamedDependency[Keys],
        naming: NamedDependency[Naming],
        page_catalog: NamedDependency[Catalog],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.change")
        form = await pages.read_form(request)
        try:
            issued = await keys.generate(read_new_key(form, person), person.actor("key.change"))
        except CallerError as error:
            typed = {name: form.text(name) for name in _TYPED}
            chosen = frozenset(form.texts("models"))
            return await _show_new(request, pages, naming, page_catalog, person, (as_refusal(error), typed, chosen))
        return _show_secret(request, pages, person, issued, "The key is made")

    @get("/ui/keys/{key_id:str}")
    async def key_page(
        self,
        request: AnyRequest,
        key_id: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        key_reading: NamedDependency[KeyReading],
        key_obstacles: NamedDependency[KeyObstacles],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.read")
        tenant = person.reach("key.read")
        view = await key_reading.find(_id(key_id), tenant)
        if view is None:
            raise _unknown()
        models = await desk.largest(person, "model", "key", view.key.key_id)
        names = await _names(desk.naming, [view])
        values: dict[str, Any] = {"view": view, "names": names, "models": models, "powers": _powers(person, view.key)}
        values |= {"graces": GRACES, "done": request.query_params.get("done"), "groups": desk.groups()}
        values |= {"obstacles": await key_obstacles.find(view), "pages_of": owner_pages(person, view.key.team_id)}
        values |= {"earlier": await key_reading.earlier_secrets(view.key.key_id) if view.key.rotation_count else []}
        return pages.show(request, "key.html", person, **values)

    @post("/ui/keys/{key_id:str}/block", status_code=200)
    async def block(
        self, request: AnyRequest, key_id: FromPath[str], pages: NamedDependency[Pages], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.change")
        await pages.read_form(request)
        view = await keys.block(_id(key_id), person.actor("key.change"), blocked=True)
        return pages.go(f"/ui/keys/{view.key.key_id}?done=blocked")

    @post("/ui/keys/{key_id:str}/unblock", status_code=200)
    async def unblock(
        self, request: AnyRequest, key_id: FromPath[str], pages: NamedDependency[Pages], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.manage")
        await pages.read_form(request)
        view = await keys.block(_id(key_id), person.actor("key.manage"), blocked=False)
        return pages.go(f"/ui/keys/{view.key.key_id}?done=unblocked")

    @post("/ui/keys/{key_id:str}/rotate", status_code=200)
    async def rotate(
        self, request: AnyRequest, key_id: FromPath[str], pages: NamedDependency[Pages], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.change")
        form = await pages.read_form(request)
        reference, terms, _, grace = read_regenerate(dict(read_grace(form)), _id(key_id))
        actor = person.actor("key.change")
        issued = await keys.regenerate(reference, terms, actor, supplied=None, grace=grace)
        return _show_secret(request, pages, person, issued, "The key has a new secret")

    @post("/ui/keys/{key_id:str}/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, key_id: FromPath[str], pages: NamedDependency[Pages], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.change")
        await pages.read_form(request)
        await keys.delete([_id(key_id)], [], person.actor("key.change"))
        return pages.go("/ui/my-keys?done=deleted")


_TYPED = (
    "key_alias", "team_id", "duration", "budget_duration", "person", "max_budget", "rpm_limit", "tpm_limit",
    "max_parallel_requests", "allowed_model_region", "budget_fallbacks",
)  # fmt: skip


async def _show_list(
    request: AnyRequest,
    pages: Pages,
    key_reading: KeyReading,
    naming: Naming,
    whose: tuple[Person, str, str | None],
) -> Response[bytes]:
    person, title, user_id = whose
    owners = dict.fromkeys(("team", "user", "project"))
    listing = read_listing(
        request, sorts=SORT_COLUMNS, usual_sort="created_at", filters={"status": _STATUSES, **owners}
    )
    is_id = listing.search.startswith("key_")
    wanted = KeyFilter(
        key_id=listing.search if is_id else None,
        user_id=user_id or listing.chosen("user") or None,
        team_id=listing.chosen("team") or None,
        project_id=listing.chosen("project") or None,
        key_alias=listing.search if listing.search and not is_id else None,
        alias_is_substring=True,
        status=listing.chosen("status") or None,
    )
    page = Page(listing.number, _PAGE, listing.sort, descending=listing.descending)
    tenant = person.reach("key.read")
    found, total = await key_reading.list(tenant, wanted, page)
    values: dict[str, Any] = {"views": found, **page_of(listing, total, _PAGE), "title": title}
    values |= {"names": await _names(naming, found), "statuses": _STATUSES}
    values |= {"may_make": person.may("key.change"), "own": user_id is not None}
    values |= {"done": request.query_params.get("done")}
    values |= {"teams": [] if user_id is not None else await naming.teams_of(tenant)}
    return pages.show(request, "keys.html", person, **values)


async def _show_new(
    request: AnyRequest,
    pages: Pages,
    naming: Naming,
    catalog: Catalog,
    person: Person,
    refused: tuple[Refusal, dict[str, str], frozenset[str]] | None = None,
) -> Response[bytes]:
    empty = dict.fromkeys(_TYPED, "") | {"team_id": read_text(request, "team_id")}
    error, typed, chosen = refused or (None, empty, frozenset[str]())
    tenant = person.reach("key.change")
    teams = await naming.teams_for(person.standing, tenant)
    values: dict[str, Any] = {"error": error, "typed": typed, "chosen": chosen, "teams": teams}
    models = models_for(person, catalog)
    values |= {"models": models, **choices_of(models), "lifetimes": LIFETIMES, "periods": PERIODS}
    values |= {"f": Filled(typed, error=error)}
    values |= {"may_leave_open": tenant.everything or bool(tenant.team_ids)}
    return pages.show_form(request, "key_new.html", person, error, **values)


def _show_secret(request: AnyRequest, pages: Pages, person: Person, issued: IssuedKey, title: str) -> Response[bytes]:
    """The only page that ever shows a secret, and only in the answer to the form that made it."""
    base = pages.address(request, "")
    lines = CLIENTS["claude-code"].setup(Wish(base, issued.secret))[0].text
    values: dict[str, Any] = {"secret": issued.secret, "view": issued.view, "base": base, "title": title}
    values |= {"lines": lines}
    return pages.show(request, "key_secret.html", person, **values)


async def _names(naming: Naming, found: list[KeyView]) -> dict[str, str]:
    names: dict[str, str] = {}
    names |= await naming.names("team", [view.key.team_id for view in found])
    names |= await naming.names("project", [view.key.project_id for view in found])
    return names | dict(await naming.names("user", [view.key.user_id for view in found]))


async def find_changeable(key_reading: KeyReading, person: Person, key_id: str) -> StoredKey:
    """Raises NotFound for one that is not the person's to change."""
    view = await key_reading.find(_id(key_id), person.reach("key.change"))
    if view is None or view.key.deleted_at is not None:
        raise _unknown()
    return view.key


def _powers(person: Person, key: StoredKey) -> Powers:
    changed, managed = person.tenant("key.change"), person.tenant("key.manage")
    may_change = key.deleted_at is None and changed is not None and _holds(changed, key)
    may_renew = may_change and changed is not None and (
        changed.everything or key.user_id in (None, person.user_id)
    )  # fmt: skip
    return Powers(may_change, managed is not None and _holds(managed, key), may_renew)


def _holds(tenant: Tenant, key: StoredKey) -> bool:
    if tenant.everything or key.organization_id in tenant.organization_ids or key.team_id in tenant.team_ids:
        return True
    return tenant.user_id is not None and key.user_id == tenant.user_id


def _id(key_id: str) -> str:
    """Keys are named by their id here: an address stands in logs, and a secret does not belong there."""
    if key_id.startswith("sk-"):
        raise Unprocessable("a page names a key by its id, never by itself")
    return key_id


def _unknown() -> NotFound:
    return NotFound("There is no such key, or it is not yours to see.")
