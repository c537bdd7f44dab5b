"""Why a receipt costs what it costs, in words: where the price is from, what was taken off and put on, who counted."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row

from app.base.money import MILLION, NanoUSD

_COUNTED_BY: Mapping[str, str] = {
    "provider": "The provider",
    "counted": "Keyhouse, while the bytes passed",
    "demo": "The demo provider",
    "taken_over": "The gateway that was here before",
    "estimated": "Nobody: this is an estimate, as the provider gave no count",
    "cache": "Nobody: the answer was a stored one",
}
_SOURCES: Mapping[str, str] = {
    "database": "A price that an admin set",
    "config": "The configuration file",
    "imported": "An imported price list",
    "bundled": "The bundled price list",
    "local": "Local hosts cost nothing",
    "demo": "The demo models' own",
    "fallback": "None is known for this model: the fallback, which is high on purpose",
    "reported": "The provider says what a call cost",
    "taken_over": "As the gateway booked it that was here before",
}
_TERM = re.compile(r"(off|on|fee)=(\$?[0-9.]+)")
_TERM_WORDS = {"off": "Discount", "on": "Margin", "fee": "Fee of each receipt"}


@dataclass(frozen=True, slots=True)
class Line:
    """One part of a cost; ``per_million_nanousd`` is what it comes to, None where nothing is counted by tokens."""

    what: str
    quantity: int | None
    cost_nanousd: NanoUSD

    @property
    def per_million_nanousd(self) -> NanoUSD | None:
        return self.cost_nanousd * MILLION // self.quantity if self.quantity else None


def lines_of(row: Row[Any]) -> Sequence[Line]:
    """The parts of which the cost of a receipt is the sum; those of nothing are left out."""
    written = row.cache_write_5m_tokens + row.cache_write_1h_tokens
    counted = (("images", row.images), ("searches", row.web_searches), ("searches in files", row.file_searches))
    pieces = [f"{number} {name}" for name, number in counted if number]
    other = f"Other: {', '.join(pieces)}" if pieces else "Audio, images, searches and fees"
    lines = (
        Line("Input", row.input_tokens, row.input_cost_nanousd),
        Line("Read from the provider's cache", row.cache_read_tokens, row.cache_read_cost_nanousd),
        Line("Written to the provider's cache", written, row.cache_write_cost_nanousd),
        Line("Output", row.output_tokens, row.output_cost_nanousd),
        Line(other, row.audio_input_tokens + row.audio_output_tokens or None, row.other_cost_nanousd),
    )
    return [line for line in lines if line.quantity or line.cost_nanousd]


def reasons_of(row: Row[Any]) -> Sequence[tuple[str, str]]:
    """What is to be said of a price beside its parts; each with what it is."""
    version, terms = _terms_of(row.price_version)
    reasons = [
        ("Price", _price_of(row.price_source, version)),
        *terms,
        ("Service tier", row.service_tier),
        ("Counted by", _COUNTED_BY.get(row.usage_source, row.usage_source)),
    ]
    if row.step_down:
        why = "a limit was reached" if row.step_down == "limit" else f"a budget had reached {row.step_down}"
        reasons.append(
            ("Stepped down", f"{row.model_served} in place of {row.model_asked}, as {why}".replace("_", " "))
        )
    return [(what, words) for what, words in reasons if words]


def _price_of(source: str, version: str) -> str:
    words = _SOURCES.get(source, source)
    version = version.removeprefix(source).removeprefix(":")
    return f"{words}, version {version}" if version else words


def _terms_of(price_version: str) -> tuple[str, list[tuple[str, str]]]:
    """The version without the terms at its end, and the terms."""
    version, terms = [], []
    for part in price_version.split(":"):
        found = _TERM.fullmatch(part)
        if found is None:
            version.append(part)
            continue
        name, amount = found.groups()
        percent = "" if name == "fee" else f"{(Decimal(amount) * 100).normalize():f} %"
        terms.append((_TERM_WORDS[name], percent or f"${amount.removeprefix('$')}"))
    return ":".join(version), terms
