"""What a model costs at an instant: by the name that clients ask for, or as a provider calls it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.admin.live_catalog import LiveCatalog
from app.admin.live_prices import PriceKeeper
from app.base.clock import now
from app.base.errors import NotFound
from app.base.ids import DeploymentId
from app.domain.catalog import Deployment
from app.domain.pricing import PriceSheet, always


@dataclass(frozen=True, slots=True)
class Priced:
    """``listed`` is without discount and margin, ``charged`` with them."""

    deployment: Deployment
    listed: PriceSheet
    charged: PriceSheet


class PriceView:
    """Reads from memory alone."""

    def __init__(self, catalog: LiveCatalog, keeper: PriceKeeper) -> None:
        self._catalog = catalog
        self._keeper = keeper

    def of(self, model: str, provider: str | None, organization_id: str | None, at: datetime) -> list[Priced]:
        """Of every deployment of the name, at most those of ``provider``. Raises NotFound."""
        return [self.price(place, organization_id, at) for place in self.places(model, provider)]

    def price(self, place: Deployment, organization_id: str | None, at: datetime) -> Priced:
        prices = self._keeper.prices
        return Priced(place, prices.list_price(place, organization_id, at), prices.sheet(place, organization_id, at))

    def priced(self, place: Deployment, organization_id: str | None) -> Deployment:
        """With the price that holds now, without discount and margin, and no other."""
        return replace(place, prices=always(self._keeper.prices.list_price(place, organization_id, now())))

    def places(self, model: str, provider: str | None) -> Sequence[Deployment]:
        """Raises NotFound for a name that nobody knows; with a provider every name is one of its own."""
        found = self._catalog.current().resolve(model)
        deployments = () if found is None else found.deployments
        if provider is None:
            if not deployments:
                raise NotFound(
                    f'model "{model}" is not known here; see GET /v1/models, or give its provider too', param="model"
                )
            return deployments
        return [place for place in deployments if place.provider == provider] or [self._at_host(provider, model)]

    def _at_host(self, provider: str, model: str) -> Deployment:
        plain = model.removeprefix(f"{provider}/")
        return Deployment(
            DeploymentId(""), provider, plain, "", None, self._catalog.price_book.schedule(provider, plain)
        )
