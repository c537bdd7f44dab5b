"""The pages of alerts: where they go, what has happened, a test, and another try at what was given up."""

from functools import partial
from typing import Any, get_args

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.alerts import CONFIGURED_BY, Alerts
from app.admin.naming import Naming
from app.admin.people import Person
from app.api.admin.alerts import read_destination
from app.api.ui.access import Form, Pages
from app.api.ui.alert_words import address_of, level_of, words_of
from app.api.ui.lists import page_of, read_listing
from app.base.errors import CallerError, Forbidden, NotFound
from app.domain.alerts import ALERT_KINDS, DestinationKind
from app.storage.postgres.alert_outbox import EventFilter

AnyRequest = Request[Any, Any, Any]
_PAGE = 30
_STATES = ("pending", "delivered", "dead")
KIND_WORDS = {
    "budget.threshold_reached": "A budget reaches 50, 75, 90 or 100 %",
    "budget.soft_limit_reached": "A soft budget is reached",
    "budget.forecast_exceeded": "A budget will be reached at this pace",
    "spend.velocity": "A key or team spends far faster than usual",
    "model.unpriced": "A model without a price is called",
    "provider.billing_refused": "A provider's account is out of money",
    "deployment.ejected": "A deployment is put aside",
    "key.expiring": "A key expires soon",
    "test": "A test",
}
CHANNELS = {"webhook": "Webhook", "slack": "Slack", "email": "E-mail"}
_TYPED = ("name", "kind", "url", "recipients", "team_id")


class AlertPages(Controller):
    """On the services of ``/alert/*``, with the same actions: admins of teams reach what is their teams'."""

    include_in_schema = False

    @get("/ui/alerts")
    async def events(
        self, request: AnyRequest, pages: NamedDependency[Pages], alerts: NamedDependency[Alerts]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "alert.read")
        tenant = person.reach("alert.read")
        listing = read_listing(request, filters={"kind": ALERT_KINDS, "state": _STATES})
        wanted = EventFilter(listing.chosen("kind") or None, None, listing.chosen("state") or None, sent=True)
        found, total = await alerts.events(tenant, wanted, listing.number, _PAGE)
        destinations = await alerts.list_destinations(tenant, None)
        values: dict[str, Any] = {"views": found, **page_of(listing, total, _PAGE)}
        values |= {"destinations": destinations, "names": {one.destination_id: one.name for one in destinations}}
        values |= {"kinds": KIND_WORDS, "states": _STATES, "channels": CHANNELS, "configured": CONFIGURED_BY}
        values |= {"may_change": person.may("alert.change"), "done": request.query_params.get("done")}
        values |= {"level_of": level_of, "words_of": words_of, "address_of": partial(address_of, person=person)}
        return pages.show(request, "alerts.html", person, **values)

    @get("/ui/alerts/new")
    async def new_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], naming: NamedDependency[Naming]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "alert.change")
        return await _show_form(request, pages, naming, person, dict.fromkeys(_TYPED, "") | {"kind": "webhook"})

    @post("/ui/alerts/new", status_code=200)
    async def create(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        alerts: NamedDependency[Alerts],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "alert.change")
        form = await pages.read_form(request)
        actor = person.actor("alert.change")
        try:
            wanted = read_destination(_body(form))
            if wanted.team_id is None and not actor.tenant.everything:
                raise Forbidden("choose a team of yours: only a proxy_admin hears of all", param="team_id")
            made, secret = await alerts.create(wanted, actor)
        except CallerError as error:
            typed = {name: form.text(name) for name in _TYPED}
            return await _show_form(request, pages, naming, person, typed, frozenset(form.texts("events")), error)
        if secret is None:
            return pages.go("/ui/alerts?done=made")
        values: dict[str, Any] = {"made": made, "secret": secret.reveal()}
        return pages.show(request, "alert_secret.html", person, **values)

    @post("/ui/alerts/do", status_code=200)
    async def do(
        self, request: AnyRequest, pages: NamedDependency[Pages], alerts: NamedDependency[Alerts]
    ) -> Response[bytes]:
        """Test or delete a destination, or try an event again."""
        person = await pages.require_page(request, "alert.change")
        form = await pages.read_form(request)
        actor, one = person.actor("alert.change"), form.text("id")
        match form.text("do"):
            case "test":
                await alerts.send_test(one, actor)
                return pages.go("/ui/alerts?done=test")
            case "retry":
                await alerts.retry(one, actor)
                return pages.go("/ui/alerts?done=retry")
            case "delete":
                await alerts.delete(one, actor)
                return pages.go("/ui/alerts?done=deleted")
            case _:
                raise NotFound("There is no such thing to do with an alert.")


async def _show_form(  # noqa: PLR0913  what was typed is shown again
    request: AnyRequest,
    pages: Pages,
    naming: Naming,
    person: Person,
    typed: dict[str, str],
    chosen: frozenset[str] = frozenset(),
    error: CallerError | None = None,
) -> Response[bytes]:
    tenant = person.reach("alert.change")
    values: dict[str, Any] = {"typed": typed, "chosen": chosen, "error": error, "channels": CHANNELS}
    values |= {"kinds": {kind: words for kind, words in KIND_WORDS.items() if kind != "test"}}
    values |= {"teams": await naming.teams_for(person.standing, tenant), "everything": tenant.everything}
    return pages.show_form(request, "alert_form.html", person, error, **values)


def _body(form: Form) -> dict[str, bytes]:
    """The fields of ``POST /alert/destination``."""
    kind = form.text("kind")
    fields: dict[str, Any] = {"name": form.text("name") or None, "team_id": form.text("team_id") or None}
    fields["kind"] = kind if kind in get_args(DestinationKind) else "webhook"
    if kind == "email":
        fields["recipients"] = [one.strip() for one in form.text("recipients").split(",") if one.strip()]
    else:
        fields["url"] = form.text("url") or None
    if form.texts("events"):
        fields["events"] = form.texts("events")
    return {name: msgspec.json.encode(value) for name, value in fields.items()}
