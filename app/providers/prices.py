"""What a call costs by all that is known: what admins have set before the file's and the bundled prices."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from app.domain.catalog import Deployment, undated
from app.domain.price_list import ANY_PROVIDER, PriceList
from app.domain.pricing import NO_TERMS, PriceSheet, Terms, with_terms
from app.providers.host_table import HOSTS
from app.providers.model_ids import spellings

_REMEMBERED = 10_000


class Prices(Protocol):
    """How the data plane asks for a price."""

    def sheet(self, deployment: Deployment, organization_id: str | None, at: datetime) -> PriceSheet:
        """In force at ``at`` for a call of the organization, with its discount and margin."""


class LivePrices:
    """``replace`` puts the next snapshot in the place of the last.

    In this order: an organization's own price, an admin's for all, the file's, an imported one, the bundled one.
    """

    def __init__(self, terms: Mapping[str, Terms] | None = None) -> None:
        """``terms`` are the file's, by provider, with ``*`` for any."""
        self.of_file = dict(terms or {})
        self._list = PriceList()
        self._known: dict[tuple[str, str | None, int], tuple[Deployment, PriceSheet, PriceSheet]] = {}

    @property
    def listed(self) -> PriceList:
        """What admins have set, as of the last reading."""
        return self._list

    def replace(self, snapshot: PriceList) -> None:
        self._list = snapshot
        self._known.clear()

    def sheet(self, deployment: Deployment, organization_id: str | None, at: datetime) -> PriceSheet:
        if self._list.empty and not self.of_file:
            return deployment.prices.at(at)
        sheet = self.list_price(deployment, organization_id, at)
        terms = self.terms(deployment.provider, organization_id, at)
        if terms == NO_TERMS:
            return sheet
        # Ten products of large integers: remembered, as most calls of a deployment have the same price.
        key = (deployment.deployment_id, organization_id, hash(terms))
        known = self._known.get(key)
        if known is not None and known[0] is deployment and known[1] is sheet and known[2].terms == terms:
            return known[2]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        charged = with_terms(sheet, terms)
        self._known[key] = (deployment, sheet, charged)
        return charged

    def list_price(self, deployment: Deployment, organization_id: str | None, at: datetime) -> PriceSheet:
        """Without discount and margin."""
        listed, prices = self._list, deployment.prices
        if listed.empty:
            return prices.at(at)
        names = tuple(names_of(deployment.provider, deployment.base_model or deployment.upstream_model))
        for owner in dict.fromkeys((organization_id, None)):
            if (own := listed.price("own", owner, deployment.provider, names, at)) is not None:
                return own
        if prices.source not in {"config", "local", "demo"}:
            imported = listed.price("imported", None, deployment.provider, names, at)
            if imported is not None:
                return imported
        return prices.at(at)

    def terms(self, provider: str, organization_id: str | None, at: datetime) -> Terms:
        """The discount and the margin in force."""
        of_any = self.of_file.get(ANY_PROVIDER, NO_TERMS)
        of_file = self.of_file.get(provider)
        if of_file is None:
            of_file = of_any
        elif of_file.margin == 0 and of_file.fixed_nanousd == 0:
            of_file = replace(of_file, margin=of_any.margin, fixed_nanousd=of_any.fixed_nanousd)
        return self._list.terms(organization_id, provider, at, of_file)


def names_of(provider: str, model: str) -> Iterator[str]:
    """Under which names a price of the host's model may have been set, the nearest first, all in lower case."""
    host = HOSTS.get(provider)
    named, slash, rest = model.partition("/")
    plain = rest if slash and named == provider else model
    spelled = spellings(host.price_list or "" if host is not None else "", plain)
    for name in dict.fromkeys((plain.lower(), *spelled)):
        yield name
        if (shorter := undated(name)) is not None:
            yield shorter
