"""Charts as SVG in the page: where each bar stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.base.money import NanoUSD

_SLOT, _BAR, _HEIGHT = 20, 14, 140
_LEAST = 2  # what is spent is seen, however little it is


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    amount_nanousd: NanoUSD
    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class BarChart:
    """In units of its own, which the page stretches; ``bar_width`` is of each bar, ``slot`` of its place."""

    bars: Sequence[Bar]
    width: int
    height: int
    bar_width: int
    slot: int
    largest_nanousd: NanoUSD


def bars(values: Sequence[tuple[str, NanoUSD]]) -> BarChart:
    largest = max((amount for _, amount in values), default=0)
    found = []
    for place, (label, amount) in enumerate(values):
        height = max(_LEAST, amount * _HEIGHT // largest) if amount > 0 and largest > 0 else 0
        x = place * _SLOT + (_SLOT - _BAR) // 2
        found.append(Bar(label, amount, x, _HEIGHT - height, height))
    return BarChart(found, len(values) * _SLOT, _HEIGHT, _BAR, _SLOT, largest)
