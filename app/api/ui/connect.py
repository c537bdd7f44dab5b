"""The page that points a client at this gateway, makes a key for it, and watches for its first request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.key_reading import KeyView
from app.admin.keys import Keys
from app.admin.naming import Naming
from app.admin.people import Person
from app.api.ui.access import Pages
from app.api.ui.key_form import read_new_key
from app.api.ui.lists import read_text
from app.api.ui.own_keys import LastCall, OwnKeys
from app.base.clock import now
from app.base.errors import CallerError, NotFound
from app.base.ids import new_id
from app.domain.catalog import Model
from app.domain.client_setups import CLIENTS, NO_KEY, Client, Snippet, Wish

AnyRequest = Request[Any, Any, Any]
_PAGE = "/ui/connect"
_LONGEST_NAME = 60
_STOP_POLLING = 286
"""What htmx takes for: this was the last answer."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """``view`` None where there is no key yet; ``secret`` at the one moment when it is known."""

    client: Client
    model: str
    since: datetime
    view: KeyView | None = None
    secret: str | None = None

    def address(self, **changes: str) -> str:
        asked = {"client": self.client.name, "key": self._key_id, "model": self.model}
        return f"{_PAGE}?{urlencode({name: value for name, value in (asked | changes).items() if value})}"

    @property
    def check_address(self) -> str:
        return f"{_PAGE}/check?{urlencode({'key': self._key_id, 'since': self._since})}"

    @property
    def look_again_address(self) -> str:
        return self.address(since=self._since)

    @property
    def _key_id(self) -> str:
        return "" if self.view is None else self.view.key.key_id

    @property
    def _since(self) -> str:
        return f"{self.since.timestamp():.0f}"


class ConnectPages(Controller):
    """On the services of ``/key/*`` and ``/spend/logs``, with the same actions."""

    include_in_schema = False

    @get(_PAGE)
    async def connect(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        own_keys: NamedDependency[OwnKeys],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.read")
        own = await own_keys.list(person)
        view = await own_keys.find(person, read_text(request, "key")) or next(iter(own), None)
        models = await own_keys.models(person, view)
        client = CLIENTS.get(read_text(request, "client"), CLIENTS["claude-code"])
        chosen = Chosen(client, _model_for(client, read_text(request, "model"), models), _read_since(request), view)
        last = LastCall() if view is None else await own_keys.last_call(person, view, chosen.since)
        values = {"own": own, "models": models, "last": last, "teams": await _teams(naming, person)}
        return _show(request, pages, person, chosen, values)

    @post(f"{_PAGE}/key", status_code=200)
    async def make_key(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        own_keys: NamedDependency[OwnKeys],
        naming: NamedDependency[Naming],
        keys: NamedDependency[Keys],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.change")
        form = await pages.read_form(request)
        client = CLIENTS.get(form.text("client"), CLIENTS["claude-code"])
        view, secret, values = None, None, dict[str, Any]()
        try:
            issued = await keys.generate(read_new_key(form, person), person.actor("key.change"))
            view, secret = issued.view, issued.secret
        except CallerError as error:
            values = {"error": error, "typed": {name: form.text(name) for name in ("key_alias", "team_id")}}
        models = await own_keys.models(person, view)
        chosen = Chosen(client, _model_for(client, form.text("model"), models), now(), view, secret)
        values |= {"own": await own_keys.list(person), "models": models, "last": LastCall()}
        return _show(request, pages, person, chosen, values | {"teams": await _teams(naming, person)})

    @get(f"{_PAGE}/check")
    async def check(
        self, request: AnyRequest, pages: NamedDependency[Pages], own_keys: NamedDependency[OwnKeys]
    ) -> Response[bytes]:
        """The part of the page that watches; 204 where there is nothing new to see."""
        person = await pages.require_page(request, "key.read")
        view = await own_keys.find(person, read_text(request, "key"))
        if view is None:
            raise NotFound("There is no such key, or it is not yours to see.")
        last = await own_keys.last_call(person, view, _read_since(request))
        if last.mark == read_text(request, "seen"):
            return Response(b"", status_code=204)
        status = _STOP_POLLING if last.is_new and last.state == "worked" else 200
        return pages.show(request, "connect_check.html", person, status=status, last=last)


def _show(request: AnyRequest, pages: Pages, person: Person, chosen: Chosen, found: dict[str, Any]) -> Response[bytes]:
    base = pages.address(request, "")
    values: dict[str, Any] = {"error": None, "typed": {"key_alias": _new_name(chosen.client, person), "team_id": ""}}
    values |= {"may_make": person.may("key.change"), "clients": CLIENTS.values()} | found
    values |= {"chosen": chosen, "view": chosen.view, "snippets": _snippets(chosen, base, found["models"])}
    status = 200 if values["error"] is None else values["error"].status
    return pages.show(request, "connect.html", person, status=status, **values)


def _snippets(chosen: Chosen, base: str, models: Sequence[Model]) -> list[Snippet]:
    model = next((one for one in models if one.name == chosen.model), None)
    wish = Wish(
        base,
        chosen.secret or NO_KEY,
        chosen.model,
        serves_claude=_serves_claude(models),
        input_window=None if model is None else model.max_input_tokens,
        output_window=None if model is None else model.max_output_tokens,
    )
    return chosen.client.setup(wish)


def _model_for(client: Client, asked: str, models: Sequence[Model]) -> str:
    """What was asked for, else what the client takes by itself, else any model of the key; empty where the client
    chooses among Claude's."""
    names = [model.name for model in models]
    if asked in names:
        return asked
    if client.default_model in names or not names:
        return client.default_model
    return "" if not client.default_model and _serves_claude(models) else names[0]


def _serves_claude(models: Sequence[Model]) -> bool:
    return any(name.startswith("claude-") for model in models for name in model.names)


async def _teams(naming: Naming, person: Person) -> list[tuple[str, str]]:
    tenant = person.tenant("key.change")
    return [] if tenant is None else await naming.teams_for(person.standing, tenant)


def _read_since(request: AnyRequest) -> datetime:
    """Since when the page watches: from now on, unless its address says."""
    asked, at = read_text(request, "since"), now()
    if not asked.isascii() or not asked.isdigit() or len(asked) > len("9999999999"):
        return at
    return min(datetime.fromtimestamp(int(asked), UTC), at)


def _new_name(client: Client, person: Person) -> str:
    """No two keys have the same."""
    return f"{client.name} {person.name.partition('@')[0][:_LONGEST_NAME]} {new_id('n')[-4:].lower()}"
