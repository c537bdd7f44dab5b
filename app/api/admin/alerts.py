"""The routes of alerts: where they go, what has happened, a test."""

from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency

from app.admin.alerts import CONFIGURED_BY, Alerts, EventView, NewDestination
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, Body, check_names, is_null, read_body
from app.api.admin.queries import path_text, read_choice, read_query
from app.api.admin.tenancy_answers import total_pages
from app.api.admin.term_fields import PAGE, read_email, read_optional, read_page, require_text
from app.api.security import Access
from app.base.errors import Unprocessable
from app.base.secret import Secret
from app.domain.alerts import ALERT_KINDS, DESTINATION_KINDS
from app.notify.addresses import Address, MailAddress, SlackAddress, WebhookAddress
from app.storage.postgres.alert_destinations import StoredDestination
from app.storage.postgres.alert_outbox import EventFilter

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /alert/destination"
_NAMES = ("name", "kind", "url", "secret", "recipients", "events", "team_id")
_STATES = ("pending", "delivered", "dead")
_DEFAULT_PAGE = 50
_LONGEST_URL = 2_048
_SHORTEST_SECRET = 16


class AlertRoutes(Controller):
    """Admins of a team or an organization reach what is their teams'."""

    path = "/alert"
    request_max_body_size = MOST_BODY_BYTES

    @post("/destination", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], alerts: NamedDependency[Alerts]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        made, secret = await alerts.create(read_destination(await read_body(request)), actor)
        return answer(_render(made) | ({} if secret is None else {"secret": secret.reveal()}))

    @get("/destination")
    async def list_destinations(
        self, request: AnyRequest, access: NamedDependency[Access], alerts: NamedDependency[Alerts]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        team_id = read_query(request, ("team_id",)).get("team_id")
        return answer({"destinations": [_render(one) for one in await alerts.list_destinations(actor.tenant, team_id)]})

    @delete("/destination/{destination_id:str}", status_code=200)
    async def remove(
        self, request: AnyRequest, access: NamedDependency[Access], alerts: NamedDependency[Alerts]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        return answer(_render(await alerts.delete(path_text(request, "destination_id"), actor)))

    @get("/events")
    async def events(
        self, request: AnyRequest, access: NamedDependency[Access], alerts: NamedDependency[Alerts]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        query = read_query(request, ("kind", "team_id", "state", *PAGE))
        wanted = EventFilter(
            read_choice(query, "kind", ALERT_KINDS), query.get("team_id"), read_choice(query, "state", _STATES)
        )
        number, size = read_page(query, _DEFAULT_PAGE)
        found, total = await alerts.events(actor.tenant, wanted, number, size)
        pages = {"total": total, "page": number, "page_size": size, "total_pages": total_pages(total, size)}
        return answer({"events": [_render_event(view) for view in found], **pages})

    @post("/events/{event_id:str}/retry", status_code=200)
    async def retry(
        self, request: AnyRequest, access: NamedDependency[Access], alerts: NamedDependency[Alerts]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        check_names(await read_body(request), {"team_id"}, ())
        return answer(_render_event(await alerts.retry(path_text(request, "event_id"), actor)))

    @post("/test", status_code=200)
    async def test(
        self, request: AnyRequest, access: NamedDependency[Access], alerts: NamedDependency[Alerts]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"destination_id", "team_id"}, ())
        event = await alerts.send_test(require_text(body, "destination_id", HINT), actor)
        return answer(
            {"event_id": event.event_id, "message": "on its way; GET /alert/events?kind=test tells how it went"}
        )


def read_destination(body: Body) -> NewDestination:
    check_names(body, _NAMES, ())
    kind = require_text(body, "kind", f"one of {', '.join(DESTINATION_KINDS)}")
    found = next((one for one in DESTINATION_KINDS if one == kind), None)
    if found is None:
        raise Unprocessable(f'"kind" is "{kind}"; give one of {", ".join(DESTINATION_KINDS)}', param="kind")
    raw = body.get("events", b"null")
    kinds = () if is_null(raw) else fields.read_texts("events", raw)
    for one in kinds:
        if one not in ALERT_KINDS:
            raise Unprocessable(f'"events" holds "{one}"; there are {", ".join(ALERT_KINDS)}', param="events")
    return NewDestination(
        require_text(body, "name", "it says in lists what this is"),
        found,
        _read_address(found, body),
        tuple(dict.fromkeys(kinds)),
        read_optional(body, "team_id"),
    )


def _read_address(kind: str, body: Body) -> Address:
    needed = "recipients" if kind == "email" else "url"
    for name in {"url", "recipients", "secret"} - {needed} - ({"secret"} if kind == "webhook" else set()):
        if not is_null(body.get(name, b"null")):
            raise Unprocessable(f'"{name}" means nothing to a destination of kind "{kind}"; leave it out', param=name)
    if is_null(body.get(needed, b"null")):
        raise Unprocessable(f'"{needed}" is missing: a destination of kind "{kind}" needs it', param=needed)
    if kind == "email":
        texts = fields.read_texts("recipients", body["recipients"])
        if not texts:
            raise Unprocessable('"recipients" is empty; give one address or more', param="recipients")
        return MailAddress(tuple(read_email("recipients", msgspec.json.encode(text)) for text in texts))
    url = _read_url(body["url"])
    if kind == "slack":
        return SlackAddress(url, guarded=True)
    secret = read_optional(body, "secret")
    if secret is not None and len(secret) < _SHORTEST_SECRET:
        raise Unprocessable(
            f'"secret" is too short; give {_SHORTEST_SECRET} characters, or none at all', param="secret"
        )
    return WebhookAddress(url, None if secret is None else Secret(secret), guarded=True)


def _read_url(raw: bytes) -> Secret:
    try:
        url = msgspec.json.decode(raw, type=str)
        parts = urlsplit(url)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise Unprocessable(
            '"url" must be an address such as https://hooks.example.com/keyhouse', param="url"
        ) from error
    plain = len(url) <= _LONGEST_URL and url.isprintable() and not any(sign.isspace() for sign in url)
    if not plain or parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise Unprocessable(
            '"url" must be an address such as https://hooks.example.com/keyhouse, without a user name or a password',
            param="url",
        )
    return Secret(url)


def _render(destination: StoredDestination) -> dict[str, Any]:
    configured = destination.created_by == CONFIGURED_BY
    return {
        "destination_id": destination.destination_id,
        "name": destination.name,
        "kind": destination.kind,
        "address": None if configured else destination.shown,
        "events": list(destination.alert_kinds),
        "team_id": destination.team_id,
        "source": "config" if configured else "database",
        "created_at": None if configured else destination.created_at,
        "created_by": None if configured else destination.created_by,
    }


def _render_event(view: EventView) -> dict[str, Any]:
    event = view.event
    return {
        "event_id": event.event_id,
        "kind": event.kind,
        "title": event.title,
        "text": event.text,
        "data": event.facts,
        "team_id": event.team_id,
        "organization_id": event.organization_id,
        "sent": event.sent,
        "created_at": event.created_at,
        "deliveries": [
            {
                "destination_id": one.destination_id,
                "state": one.state,
                "attempts": one.attempts,
                "next_attempt_at": one.next_attempt_at if one.state == "pending" else None,
                "last_error": one.last_error,
                "ended_at": one.ended_at,
            }
            for one in view.deliveries
        ],
    }
