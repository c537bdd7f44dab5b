"""What a call that is known would cost at a price that is not set yet, beside what it would cost without it."""

from dataclasses import dataclass
from datetime import datetime

from app.admin.price_view import PriceView
from app.admin.prices import PriceAdmin, PriceTerms
from app.admin.spend import Spend
from app.base.clock import now
from app.base.errors import Unprocessable
from app.domain.catalog import Deployment
from app.domain.pricing import Cost, PriceSheet, at_service, cost_of, with_terms
from app.domain.roles import Tenant
from app.domain.usage import Usage
from app.storage.postgres.receipts import LogPage, ReceiptFilter
from app.storage.postgres.repricing import usage_of_row

_MADE_UP = Usage(input=10_000, output=1_000)


@dataclass(frozen=True, slots=True)
class Preview:
    """``request_id`` None: no call is known, so it is of a made-up one. ``before`` and ``after`` have discount and
    margin in them, as calls are charged at ``at``."""

    request_id: str | None
    usage: Usage
    at: datetime
    before: Cost
    after: Cost


class PricePreview:
    def __init__(self, price_admin: PriceAdmin, price_view: PriceView, spend: Spend) -> None:
        self._prices = price_admin
        self._view = price_view
        self._spend = spend

    async def of(self, terms: PriceTerms, place: Deployment, request_id: str | None, tenant: Tenant) -> Preview:
        """Of this call, else of the organization's last one of the model. Raises Unprocessable."""
        listed, at = self._prices.sheet_of(terms), terms.effective_from or now()
        found, usage = await self._known(terms, place, request_id, tenant)
        before = self._view.price(place, terms.organization_id, at).charged
        live = self._prices.keeper.prices
        after = with_terms(listed, live.terms(place.provider, terms.organization_id, at))
        return Preview(found, usage, at, _cost(usage, before), _cost(usage, after))

    async def _known(
        self, terms: PriceTerms, place: Deployment, request_id: str | None, tenant: Tenant
    ) -> tuple[str | None, Usage]:
        if request_id:
            wanted = ReceiptFilter(request_id=request_id, kind="usage")
        else:
            wanted = ReceiptFilter(
                organization_id=terms.organization_id, provider=place.provider, model_served=place.upstream_model,
                is_ok=True, kind="usage",
            )  # fmt: skip
        rows = await self._spend.log_rows(tenant, wanted, LogPage(most=1))
        if rows:
            return str(rows[0].request_id), usage_of_row(rows[0])
        if request_id:
            raise Unprocessable(
                f'there is no call "{request_id[:60]}" in the log; give the id of another, or leave it empty',
                param="call",
            )
        return None, _MADE_UP


def _cost(usage: Usage, sheet: PriceSheet) -> Cost:
    return cost_of(usage, at_service(sheet, usage.service))
