"""What FOCUS 1.2 demands of a cost and usage file, as far as its columns apply to us.

From https://focus.finops.org/focus-specification/v1-2/: column presence, nulls, allowed values, formats, and what must
hold between columns. The official ``focus-validator`` brings a data frame library and a database, so it is not used.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName", "ServiceSubcategory",
)  # fmt: skip
OTHERS = (
    "AvailabilityZone", "BillingAccountType", "CapacityReservationId", "CapacityReservationStatus", "ChargeFrequency",
    "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus", "CommitmentDiscountType", "CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit",
    "ContractedUnitPrice", "InvoiceId", "ListUnitPrice", "PricingCategory", "PricingCurrency",
    "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "RegionId",
    "RegionName", "ResourceId", "ResourceName", "ResourceType", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId",
    "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
)  # fmt: skip
NOT_NULL = (
    "BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory",
    "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName",
    "ListCost", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceSubcategory",
)  # fmt: skip
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {
        "Bots", "Generative AI", "Machine Learning", "Natural Language Processing", "Other (AI and Machine Learning)",
    },
}  # fmt: skip
TIMES = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart")
METRICS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "ConsumedQuantity", "PricingQuantity")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_UNIT = re.compile(r"[A-Z][A-Za-z]*s|[A-Z]+")


def violations(head: Sequence[str], lines: Sequence[Mapping[str, str]]) -> list[str]:
    """In words; none for a file that conforms."""
    found = [f"{name} is missing" for name in MANDATORY if name not in head]
    found += [f"{name} is not of FOCUS" for name in head if name not in {*MANDATORY, *OTHERS} and name[:2] != "x_"]
    found += [f"{name} stands twice" for name in set(head) if list(head).count(name) > 1]
    for place, line in enumerate(lines):
        found += [f"line {place}: {fault}" for fault in _faults(line)]
    return found


def _faults(line: Mapping[str, str]) -> list[str]:
    found = [f"{name} is null" for name in NOT_NULL if not line[name]]
    found += [f"{name} is {line[name]}" for name, allowed in ALLOWED.items() if line[name] not in allowed]
    found += [f"{name} is no time: {line[name]}" for name in TIMES if not _TIME.fullmatch(line[name])]
    found += [
        f"{name} is no number: {line[name]}" for name in METRICS if line[name] and not _NUMBER.fullmatch(line[name])
    ]
    if found:
        return found
    begin, end, period_begin, period_end = (
        datetime.fromisoformat(line[name])
        for name in ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd")
    )
    is_corrected = line["ChargeClass"] == "Correction"
    demands = {
        "the charge ends before it begins": begin < end,
        "the charge lies outside its billing period": period_begin <= begin and end <= period_end,
        "BillingCurrency is no currency": re.fullmatch("[A-Z]{3}", line["BillingCurrency"]) is not None,
        "PricingQuantity is null": bool(line["PricingQuantity"]) or is_corrected,
        "ConsumedQuantity is null": bool(line["ConsumedQuantity"]) or is_corrected,
        "a quantity has no unit": all(
            bool(line[f"{what}Quantity"]) == bool(line[f"{what}Unit"]) for what in ("Pricing", "Consumed")
        ),
        "PricingUnit is no unit": _UNIT.fullmatch(line["PricingUnit"]) is not None,
        "SubAccountType has no SubAccountId": bool(line["SubAccountType"]) == bool(line["SubAccountId"]),
        "SubAccountName has no SubAccountId": bool(line["SubAccountId"]) or not line["SubAccountName"],
        "Tags is no object of texts": _is_object_of_texts(line["Tags"]),
        "ListCost is not what was billed, and nothing was discounted": Decimal(line["ListCost"])
        == Decimal(line["BilledCost"]),
    }
    return [fault for fault, holds in demands.items() if not holds]


def _is_object_of_texts(text: str) -> bool:
    if not text:
        return True
    value = json.loads(text)
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
