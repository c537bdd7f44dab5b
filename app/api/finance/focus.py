"""A report as a file of the FinOps Open Cost and Usage Specification (FOCUS 1.2): one line a day, owner and meter.

https://focus.finops.org/focus-specification/v1-2/
"""

import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.admin.spend import Found
from app.api.admin.answers import number
from app.base.money import NanoUSD
from app.domain.report_periods import Period, midnight
from app.storage.postgres.reports import Amounts, Cell, Dimension

GROUP_BY: tuple[Dimension, ...] = (
    "organization", "team", "user", "key", "customer", "project", "model", "provider", "kind",
    "cost_center",
)  # fmt: skip
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "InvoiceIssuerName",
    "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
    "ServiceSubcategory", "SubAccountId", "SubAccountName", "SubAccountType", "Tags", "x_CostCenter", "x_CustomerId",
    "x_CustomerName", "x_KeyId", "x_KeyName", "x_Meter", "x_Requests", "x_UserId", "x_UserName",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Meter:
    name: str
    unit: str
    quantity: int
    cost_nanousd: NanoUSD


def rows(found: Found, timezone: str) -> Iterator[Mapping[str, Any]]:
    """The lines of each cell, one for each meter that counted or cost something."""
    zone = zoneinfo.ZoneInfo(timezone)
    for cell in found.cells:
        period = found.periods[cell.period]
        shared = _shared(found, cell, period, zone)
        # How many calls it were stands in one line of a cell, so that it adds up.
        requests = cell.amounts.requests
        for meter in _meters(cell.amounts):
            yield {**shared, **_charge(meter, shared), "x_Requests": requests}
            requests = 0


def _shared(found: Found, cell: Cell, period: Period, zone: zoneinfo.ZoneInfo) -> dict[str, Any]:
    of = {dimension: found.of(cell, dimension) for dimension in GROUP_BY}
    first = period.start.astimezone(zone).date().replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)

    def name(dimension: Dimension) -> str | None:
        return found.names.get((dimension, of[dimension]))

    return {
        "BillingAccountId": of["organization"] or "keyhouse",
        "BillingAccountName": (name("organization") or of["organization"]) or "Keyhouse",
        "BillingAccountType": "Organization" if of["organization"] else "Gateway",
        "BillingCurrency": "USD",
        "BillingPeriodStart": _instant(midnight(first, zone)),
        "BillingPeriodEnd": _instant(midnight(after, zone)),
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if of["kind"] == "adjustment" else None,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _instant(period.start),
        "ChargePeriodEnd": _instant(period.end),
        "InvoiceIssuerName": of["provider"],
        "ProviderName": of["provider"],
        "PublisherName": of["provider"],
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ServiceName": of["model"],
        "SubAccountId": of["team"] or None,
        "SubAccountName": name("team") or of["team"] or None,
        "SubAccountType": "Team" if of["team"] else None,
        "Tags": msgspec.json.encode({"project": of["project"]}).decode() if of["project"] else "{}",
        "x_CostCenter": of["cost_center"] or None,
        "x_CustomerId": of["customer"] or None,
        "x_CustomerName": name("customer"),
        "x_KeyId": of["key"],
        "x_KeyName": name("key"),
        "x_UserId": of["user"] or None,
        "x_UserName": name("user"),
    }


def _charge(meter: _Meter, shared: Mapping[str, Any]) -> dict[str, Any]:
    cost = number(meter.cost_nanousd)
    return {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        "ChargeDescription": f"{meter.name} of {shared['ServiceName']}",
        **dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), meter.quantity),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit"), meter.unit),
        "x_Meter": meter.name,
    }


def _meters(of: Amounts) -> Sequence[_Meter]:
    """What a provider counts apart. The last has all that is in no other, so that the costs add up to the whole."""
    first = (
        _Meter("Input tokens", "Tokens", of.input_tokens, of.input_cost_nanousd),
        _Meter("Cache read tokens", "Tokens", of.cache_read_tokens, of.cache_read_cost_nanousd),
        _Meter("Cache write tokens", "Tokens", of.cache_write_tokens, of.cache_write_cost_nanousd),
        _Meter("Output tokens", "Tokens", of.output_tokens, of.output_cost_nanousd),
    )
    rest = of.cost_nanousd - sum(meter.cost_nanousd for meter in first)
    units = of.audio_input_tokens + of.audio_output_tokens + of.images + of.web_searches
    meters = (*first, _Meter("Audio, images and searches", "Units", units, rest))
    counted = [meter for meter in meters if meter.quantity or meter.cost_nanousd]
    return counted or [meters[0]]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
