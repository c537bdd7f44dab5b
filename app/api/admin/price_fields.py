"""The fields of requests on prices: dollars per unit by LiteLLM's names, instants, shares."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import Any

import msgspec

from app.admin.prices import PriceTerms, TermValue
from app.api.admin import fields
from app.api.admin.fields import Body, check_names, is_null
from app.api.admin.term_fields import read_optional, require_text
from app.base.errors import Unprocessable
from app.domain.price_list import ANY_PROVIDER
from app.domain.pricing import BILLION, MOST_MARGIN
from app.providers.host_table import HOSTS
from app.providers.written_prices import read_price_field

HINT = "see GET /price/list"
GLOBAL = "global"
"""LiteLLM's name for every provider that has no margin of its own."""
MOST_DOLLARS = 1000
_PLACE = frozenset({"provider", "model", "organization_id", "effective_from"})
_SEARCHES = "search_context_cost_per_query"


def read_price(body: Body) -> PriceTerms:
    """``provider``, ``model`` and at least one price. Raises Unprocessable."""
    prices = {name for name in body if read_price_field(name) is not None}
    check_names(body, {*_PLACE, "input_cost_per_token", "output_cost_per_token", *prices}, ())
    written = {name: read_dollars(name, body[name]) for name in sorted(prices) if not is_null(body[name])}
    if not written:
        raise Unprocessable(
            '"input_cost_per_token" is missing: give at least one price, in dollars per unit',
            param="input_cost_per_token",
        )
    return _read_place(body, written)


def read_withdrawal(body: Body) -> PriceTerms:
    check_names(body, _PLACE, ())
    return _read_place(body, None)


def _read_place(body: Body, written: Mapping[str, Decimal] | None) -> PriceTerms:
    raw = body.get("effective_from", b"null")
    return PriceTerms(
        provider=check_provider("provider", require_text(body, "provider", "such as anthropic")),
        model=require_text(body, "model", "such as claude-sonnet-4-5"),
        organization_id=read_optional(body, "organization_id"),
        effective_from=None
        if is_null(raw)
        else read_instant("effective_from", fields.read_text("effective_from", raw)),
        written=written,
    )


def check_provider(param: str, name: str) -> str:
    if name not in HOSTS:
        raise Unprocessable(f'provider "{name}" is not known; {fields.nearest_or_all(name, HOSTS)}', param=param)
    return name


def read_instant(name: str, text: str) -> datetime:
    """ISO 8601; without a zone it is of UTC."""
    try:
        instant = datetime.fromisoformat(text)
        at = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unprocessable(
            f'"{name}" is "{text[:40]}"; give an instant such as 2026-12-01T00:00:00Z', param=name
        ) from error
    if not 2000 <= at.year <= 2200:
        raise Unprocessable(f'"{name}" is "{text[:40]}"; give a year from 2000 to 2200', param=name)
    return at


def read_dollars(name: str, raw: bytes) -> Decimal:
    """A price of one unit, from its digits: a number, a text of one, or LiteLLM's object of searches by size."""
    try:
        value: Any = msgspec.json.decode(raw, type=Decimal | dict[str, Decimal])
        if isinstance(value, dict):
            sizes = value if name == _SEARCHES else {}
            value = sizes.get("search_context_size_medium", next(iter(sizes.values())))
    except (msgspec.MsgspecError, DecimalException, StopIteration, ValueError) as error:
        raise _no_price(name, raw) from error
    if not value.is_finite() or not 0 <= value <= MOST_DOLLARS:
        raise _no_price(name, raw)
    dollars: Decimal = value
    return dollars


def _no_price(name: str, raw: bytes) -> Unprocessable:
    written = raw.decode(errors="replace")[:40]
    return Unprocessable(
        f'"{name}" is {written}; give dollars per unit from 0 to {MOST_DOLLARS}, such as 0.000003', param=name
    )


def read_discounts(body: Body) -> dict[str, TermValue]:
    """LiteLLM's map: a fraction from 0 to 1 by provider."""
    return {
        check_provider(name, name): TermValue(_share(name, raw, 1)) for name, raw in body.items() if not is_null(raw)
    }


def read_margins(body: Body) -> dict[str, TermValue]:
    """LiteLLM's map: a fraction, or ``percentage`` and ``fixed_amount``, by provider or ``global``."""
    return {
        ANY_PROVIDER if name == GLOBAL else check_provider(name, name): _margin(name, raw)
        for name, raw in body.items()
        if not is_null(raw)
    }


def _margin(name: str, raw: bytes) -> TermValue:
    if raw[:1] != b"{":
        return TermValue(_share(name, raw, MOST_MARGIN))
    parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    check_names({part: bytes(value) for part, value in parts.items()}, {"percentage", "fixed_amount"}, ())
    share = _share(f"{name}.percentage", bytes(parts["percentage"]), MOST_MARGIN) if "percentage" in parts else 0
    fixed = fields.read_amount(f"{name}.fixed_amount", bytes(parts["fixed_amount"])) if "fixed_amount" in parts else 0
    return TermValue(share, fixed)


def _share(name: str, raw: bytes, most: int) -> int:
    try:
        share = msgspec.json.decode(raw, type=Decimal) * BILLION
        whole = share.is_finite() and share == int(share) and 0 <= share <= most * BILLION
    except (msgspec.MsgspecError, DecimalException, ValueError):
        share, whole = Decimal(0), False
    if not whole:
        written = raw.decode(errors="replace")[:40]
        raise Unprocessable(
            f'"{name}" is {written}; give a fraction from 0 to {most} of at most nine decimals', param=name
        )
    return int(share)
