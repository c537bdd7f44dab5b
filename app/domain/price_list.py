"""The dated prices, discounts and margins that admins have set, as one snapshot that never changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from app.base.money import NanoUSD
from app.domain.pricing import PriceSheet, Terms

PriceKind = Literal["own", "imported"]
"""``own`` is an admin's, and comes before all others; ``imported`` is of a public list, in the place of the bundled."""
TermKind = Literal["discount", "margin"]
ANY_PROVIDER = "*"


@dataclass(frozen=True, slots=True)
class DatedPrice:
    """In force from ``effective_from`` until the next of the same kind, model and organization.

    ``model`` is in lower case. ``organization_id`` None is for all that have none of their own. ``sheet`` None: from
    then on there is none of this kind.
    """

    price_id: str
    kind: PriceKind
    provider: str
    model: str
    organization_id: str | None
    effective_from: datetime
    sheet: PriceSheet | None


@dataclass(frozen=True, slots=True)
class DatedTerm:
    """A discount or a margin. ``share`` is in billionths; None: from then on the wider one counts, if there is any."""

    kind: TermKind
    provider: str
    organization_id: str | None
    effective_from: datetime
    share: int | None
    fixed_nanousd: NanoUSD = 0


_Dated = TypeVar("_Dated", DatedPrice, DatedTerm)
_Owner = str | None


class PriceList:
    """Look-ups by what is in force at an instant; nothing here is asked of a store."""

    __slots__ = ("_prices", "_terms", "empty")

    def __init__(self, prices: Iterable[DatedPrice] = (), terms: Iterable[DatedTerm] = ()) -> None:
        self._prices: dict[tuple[PriceKind, _Owner, str, str], list[DatedPrice]] = {}
        self._terms: dict[tuple[TermKind, _Owner, str], list[DatedTerm]] = {}
        for price in sorted(prices, key=lambda price: price.effective_from):
            self._prices.setdefault((price.kind, price.organization_id, price.provider, price.model), []).append(price)
        for term in sorted(terms, key=lambda term: term.effective_from):
            self._terms.setdefault((term.kind, term.organization_id, term.provider), []).append(term)
        self.empty = not self._prices and not self._terms

    def price(
        self, kind: PriceKind, organization_id: str | None, provider: str, names: Iterable[str], at: datetime
    ) -> PriceSheet | None:
        """Of the first of ``names`` that has one."""
        for name in names:
            found = _in_force(self._prices.get((kind, organization_id, provider, name), []), at)
            if found is not None and found.sheet is not None:
                return found.sheet
        return None

    def in_force(self, kind: PriceKind, at: datetime) -> list[DatedPrice]:
        """For all organizations, one for each model that has one."""
        found = (
            _in_force(dated, at)
            for (of_kind, owner, _, _), dated in self._prices.items()
            if (of_kind, owner) == (kind, None)
        )
        return [price for price in found if price is not None and price.sheet is not None]

    def terms(self, organization_id: str | None, provider: str, at: datetime, otherwise: Terms) -> Terms:
        """The organization's own before those of all, the provider's before those of any."""
        discount = self._term("discount", organization_id, provider, at)
        margin = self._term("margin", organization_id, provider, at)
        return Terms(
            discount=otherwise.discount if discount is None else discount.share or 0,
            margin=otherwise.margin if margin is None else margin.share or 0,
            fixed_nanousd=otherwise.fixed_nanousd if margin is None else margin.fixed_nanousd,
        )

    def own_terms(self, kind: TermKind, organization_id: str | None, at: datetime) -> list[DatedTerm]:
        """In force at ``at`` for the organization itself, or, with None, for all; one for each provider."""
        found = (
            _in_force(dated, at)
            for (of_kind, owner, _), dated in self._terms.items()
            if (of_kind, owner) == (kind, organization_id)
        )
        return [term for term in found if term is not None and term.share is not None]

    def _term(self, kind: TermKind, organization_id: str | None, provider: str, at: datetime) -> DatedTerm | None:
        for owner in dict.fromkeys((organization_id, None)):
            for named in (provider, ANY_PROVIDER):
                found = _in_force(self._terms.get((kind, owner, named), []), at)
                if found is not None and found.share is not None:
                    return found
        return None


def _in_force(dated: list[_Dated], at: datetime) -> _Dated | None:
    found = None
    for one in dated:
        if one.effective_from > at:
            break
        found = one
    return found
