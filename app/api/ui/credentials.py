"""The pages of provider credentials: secrets go in and are never shown again."""

from collections.abc import Sequence
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.credentials import Credentials, CredentialTerms, CredentialView
from app.admin.models import Models
from app.admin.people import Person
from app.admin.provider_secrets import HIDDEN
from app.api.ui.access import Form, Pages
from app.api.ui.further_values import read_further, without_secrets
from app.api.ui.lists import read_id
from app.base.errors import CallerError, Unprocessable

AnyRequest = Request[Any, Any, Any]
_TYPED = ("name", "description", "api_base", "further")


class CredentialPages(Controller):
    """On the services of ``/credentials``, with the same actions."""

    include_in_schema = False

    @get("/ui/credentials")
    async def list_all(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        credentials: NamedDependency[Credentials],
        models: NamedDependency[Models],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.read")
        views = await credentials.list()
        users = {view.stored.name: _models_with(models, view.stored.name) for view in views}
        values: dict[str, Any] = {"views": views, "users": users, "done": request.query_params.get("done")}
        values |= {"may_change": person.may("settings.change"), "hidden": HIDDEN}
        return pages.show(request, "credentials.html", person, **values)

    @get("/ui/credentials/edit")
    async def edit_page(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        credentials: NamedDependency[Credentials],
        models: NamedDependency[Models],
    ) -> Response[bytes]:
        """Without ``name`` it is a new one."""
        person = await pages.require_page(request, "settings.change")
        name = read_id(request, "name")
        view = await credentials.get(name) if name else None
        return _show_form(request, pages, person, models, _typed_of(view), view)

    @post("/ui/credentials/edit", status_code=200)
    async def save(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        credentials: NamedDependency[Credentials],
        models: NamedDependency[Models],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        actor, known = person.actor("settings.change"), bool(form.text("known"))
        name = form.raw("name") if known else form.text("name")
        view = await credentials.get(name) if known else None
        try:
            terms = _read(form, view)
            if view is None:
                await credentials.create(_checked_name(name, terms), terms, actor)
            else:
                await credentials.update(name, terms, actor)
        except CallerError as error:
            typed = {one: form.text(one) for one in _TYPED} | {"further": without_secrets(form.raw("further"))}
            return _show_form(request, pages, person, models, typed, view, error)
        return pages.go(f"/ui/credentials?done={'changed' if view else 'made'}")

    @post("/ui/credentials/delete", status_code=200)
    async def delete(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        credentials: NamedDependency[Credentials],
        models: NamedDependency[Models],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        view = await credentials.get(form.raw("name"))
        try:
            await credentials.delete(view.stored.name, person.actor("settings.change"))
        except CallerError as error:
            return _show_form(request, pages, person, models, _typed_of(view), view, error)
        return pages.go("/ui/credentials?done=deleted")


def _show_form(  # noqa: PLR0913  what was typed is shown again
    request: AnyRequest,
    pages: Pages,
    person: Person,
    models: Models,
    typed: dict[str, str],
    view: CredentialView | None,
    error: CallerError | None = None,
) -> Response[bytes]:
    users = [] if view is None else _models_with(models, view.stored.name)
    secrets = [] if view is None else _secrets_of(view)
    values: dict[str, Any] = {"typed": typed, "view": view, "users": users, "secrets": secrets, "error": error}
    return pages.show_form(request, "credential_form.html", person, error, **values)


def _models_with(models: Models, name: str) -> Sequence[str]:
    return sorted({one.model_name for one in models.catalog.deployments if one.credential_name == name})


def _secrets_of(view: CredentialView) -> list[str]:
    return [name for name, value in view.values.items() if value == HIDDEN]


def _typed_of(view: CredentialView | None) -> dict[str, str]:
    typed = dict.fromkeys(_TYPED, "")
    if view is not None:
        shown = {name: value for name, value in view.values.items() if value != HIDDEN}
        typed |= {"name": view.stored.name, "api_base": shown.pop("api_base", "")}
        typed |= {"description": str(view.stored.metadata.get("description", ""))}
        typed["further"] = "\n".join(f"{name} = {value}" for name, value in shown.items())
    return typed


def _read(form: Form, view: CredentialView | None) -> CredentialTerms:
    """What is shown is set or taken away; a secret that is left empty stays. Raises Unprocessable."""
    values: dict[str, Any] = dict(read_further(form.raw("further")))
    values |= {name: form.text(name) for name in ("api_key", "api_base") if form.text(name)}
    shown = [] if view is None else [name for name, value in view.values.items() if value != HIDDEN]
    info = {} if view is None else dict(view.stored.metadata)
    info["description"] = form.text("description")
    return CredentialTerms(values, info, tuple(name for name in shown if name not in values))


def _checked_name(name: str, terms: CredentialTerms) -> str:
    if not name or "/" in name:
        raise Unprocessable('the name is missing, or holds "/": give one such as openai-eu', param="name")
    if not terms.values:
        raise Unprocessable("the key is missing: give the provider's API key", param="api_key")
    return name
