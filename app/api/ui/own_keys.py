"""What several pages of a developer ask: the own keys, who a key is, which models it may use, what it met last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row

from app.admin.key_reading import KeyReading, KeyView
from app.admin.people import Person
from app.admin.playground_keys import PLAYGROUND_ROUTE
from app.admin.spend import Spend
from app.api.ui.key_form import models_for
from app.base.clock import now
from app.domain.access import Principal, visible_models
from app.domain.catalog import Catalog, Model
from app.gateway.last_refusals import LastRefusal, LastRefusals
from app.storage.postgres.keys import KeyFilter, Page
from app.storage.postgres.receipts import LogPage, ReceiptFilter
from app.storage.principals import Principals

_MOST_KEYS = 100
_LONGEST_AGO = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class LastCall:
    """What the last call of a key came to; ``is_new``: since somebody watches."""

    state: Literal["none", "worked", "refused"] = "none"
    is_new: bool = False
    receipt: Row[Any] | None = None
    refusal: LastRefusal | None = None

    @property
    def mark(self) -> str:
        """Changes with what there is to see."""
        of = self.receipt or self.refusal
        return self.state if of is None else f"{self.state} {of.request_id}"


class OwnKeys:
    """Keys are asked for by who may read them: ``key.read``, and ``spend.logs`` for their calls."""

    def __init__(
        self,
        key_reading: KeyReading,
        spend: Spend,
        principals: Principals,
        catalog: Callable[[], Catalog],
        refusals: LastRefusals,
    ) -> None:
        self._key_reading = key_reading
        self._spend = spend
        self._principals = principals
        self._catalog = catalog
        self._refusals = refusals

    async def list(self, person: Person) -> Sequence[KeyView]:
        """The person's own that work, the newest first; but for those of the playground, which no client can use."""
        wanted = KeyFilter(user_id=person.user_id, status="active")
        page = Page(1, _MOST_KEYS, "created_at", descending=True)
        found, _ = await self._key_reading.list(person.reach("key.read"), wanted, page)
        return [view for view in found if view.key.allowed_routes != [PLAYGROUND_ROUTE]]

    async def find(self, person: Person, key_id: str) -> KeyView | None:
        """Any that the person may read."""
        if not key_id.startswith("key_"):  # never a secret: an address stands in logs
            return None
        return await self._key_reading.find(key_id, person.reach("key.read"))

    async def principal(self, view: KeyView) -> Principal | None:
        """None for a deleted key."""
        return await self._principals.find_key(view.key.key_id)

    async def models(self, person: Person, view: KeyView | None) -> Sequence[Model]:
        """Those that the key may use; without one those that the person may put on a key."""
        principal = None if view is None else await self.principal(view)
        catalog = self._catalog()
        return models_for(person, catalog) if principal is None else visible_models(principal, catalog)

    async def last_call(self, person: Person, view: KeyView, since: datetime) -> LastCall:
        tenant = person.tenant("spend.logs")
        if tenant is None:
            return LastCall()
        key_id = view.key.key_id
        wanted = ReceiptFilter(key_id=key_id, since=now() - _LONGEST_AGO)
        found = await self._spend.log_rows(tenant, wanted, LogPage(most=1))
        receipt, refusal = next(iter(found), None), await self._refusals.find(key_id)
        if refusal is not None and (receipt is None or refusal.at > receipt.started_at):
            return LastCall("refused", refusal.at >= since, refusal=refusal)
        return LastCall() if receipt is None else LastCall("worked", receipt.started_at >= since, receipt)
