"""Charts as SVG in the page: where each bar, line and word stands.

Across it is measured in percent, so that a chart is as wide as its place and its words are never stretched; down in
pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from app.api.ui.rendering import usd
from app.base.money import NANO_PER_USD, NanoUSD
from app.domain.report_periods import Interval

HEIGHT = 190
"""Of the plot, without the words below it."""
_TOP = 8  # room for half a line of words above the highest line
_LEAST = 2  # what is spent is seen, however little it is
_MOST_LINES, _MOST_WORDS = 4, 7
_WIDEST_BAR = 6.0
_CHARACTER, _GAP = 7, 12
OTHERS = "other"
"""The colour of all that have none of their own."""


@dataclass(frozen=True, slots=True)
class Part:
    """Of a bar; ``color`` ends the name of a class of the style sheet."""

    color: str
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Bar:
    """``tip`` has a line for each of its parts and begins with what it is."""

    x: str
    slot_x: str
    parts: Sequence[Part]
    tip: str


@dataclass(frozen=True, slots=True)
class Word:
    """Below the bars; one that is not ``main`` has no room on a small screen."""

    x: str
    text: str
    anchor: str
    main: bool


@dataclass(frozen=True, slots=True)
class Line:
    """Of the grid, with the round amount that it stands for."""

    y: int
    text: str


@dataclass(frozen=True, slots=True)
class Legend:
    color: str
    name: str
    cost_nanousd: NanoUSD
    address: str


@dataclass(frozen=True, slots=True)
class Chart:
    bars: Sequence[Bar]
    bar_width: str
    slot_width: str
    lines: Sequence[Line]
    words: Sequence[Word]
    legend: Sequence[Legend]
    axis_width: int
    largest_nanousd: NanoUSD

    @property
    def height(self) -> int:
        return HEIGHT


@dataclass(frozen=True, slots=True)
class Stack:
    """One color of a chart: what it spent in each period. ``address`` is where its legend leads, empty for nowhere."""

    name: str
    costs_nanousd: Sequence[NanoUSD]
    is_others: bool = False
    address: str = ""


def stacked(labels: Sequence[str], interval: Interval, stacks: Sequence[Stack]) -> Chart:
    """Amounts below zero (corrections) are in the tips, and have no bar."""
    totals = [sum(max(stack.costs_nanousd[place], 0) for stack in stacks) for place in range(len(labels))]
    largest = max(totals, default=0)
    step = round_step(largest)
    top = max(step * -(-largest // step), step)
    colors = [OTHERS if stack.is_others else str(place) for place, stack in enumerate(stacks)]
    slot = 100 / max(len(labels), 1)
    width = min(slot * 0.72, _WIDEST_BAR)
    bars = []
    for place, label in enumerate(labels):
        amounts = [stack.costs_nanousd[place] for stack in stacks]
        tip = _tip(label_words(label, interval, whole=True), stacks, amounts)
        x = slot * place
        bars.append(Bar(_percent(x + (slot - width) / 2), _percent(x), _parts(amounts, colors, top), tip))
    lines = [Line(_y(amount, top), _round_usd(amount, step)) for amount in range(0, top + 1, step)]
    legend = [
        Legend(color, stack.name, sum(stack.costs_nanousd), stack.address)
        for color, stack in zip(colors, stacks, strict=True)
    ]
    axis_width = max(len(line.text) for line in lines) * _CHARACTER + _GAP
    words = _words([label_words(label, interval) for label in labels], slot)
    return Chart(bars, _percent(width), _percent(slot), lines, words, legend, axis_width, largest)


def round_step(largest: NanoUSD) -> NanoUSD:
    """The least of 1, 2, 2.5 and 5 times a power of ten of which ``_MOST_LINES`` reach the largest."""
    power = 1_000
    while True:
        for step in (power, power * 2, power * 5 // 2, power * 5):
            if step * _MOST_LINES >= largest:
                return step
        power *= 10


def label_words(label: str, interval: Interval, *, whole: bool = False) -> str:
    """A label of a report as people write it; ``whole`` with the year, and from where to where."""
    if interval == "hour":
        at = datetime.fromisoformat(label)
        return f"{at:%a} {at.day} {at:%b %Y, %H:%M}" if whole else f"{at:%H:%M}"
    day = date.fromisoformat(label)
    if interval == "month":
        return f"{day:%B %Y}" if whole else f"{day:%b %y}"
    if whole:
        return f"{'Week from ' if interval == 'week' else ''}{day:%a} {day.day} {day:%b %Y}"
    return f"{day.day} {day:%b}"


def _parts(amounts: Sequence[NanoUSD], colors: Sequence[str], top: NanoUSD) -> list[Part]:
    """From the bottom up, with a gap between where there is room for one."""
    parts, below = [], 0
    for amount, color in zip(amounts, colors, strict=True):
        if amount > 0:
            upper, lower = _y(below + amount, top), _y(below, top)
            height = max(lower - upper, _LEAST if len(amounts) == 1 else 0)
            gap = 1 if height > 3 and below else 0
            if height - gap > 0:
                parts.append(Part(color, lower - height, height - gap))
            below += amount
    return parts


def _y(amount: NanoUSD, top: NanoUSD) -> int:
    return HEIGHT - amount * (HEIGHT - _TOP) // top


def _tip(words: str, stacks: Sequence[Stack], amounts: Sequence[NanoUSD]) -> str:
    spent = [(stack.name, amount) for stack, amount in zip(stacks, amounts, strict=True) if amount]
    lines = [f"{name}: {usd(amount)}" for name, amount in reversed(spent)] if len(stacks) > 1 else []
    return "\n".join([words, *lines, f"Total: {usd(sum(amounts))}"])


def _words(texts: Sequence[str], slot: float) -> list[Word]:
    every = -(-len(texts) // _MOST_WORDS)
    words = []
    for number, place in enumerate(range(0, len(texts), max(every, 1))):
        middle = slot * (place + 0.5)
        anchor = "start" if middle < 3 else "end" if middle > 96 else "middle"
        x = slot * place if anchor == "start" else slot * (place + 1) if anchor == "end" else middle
        words.append(Word(_percent(x), texts[place], anchor, main=number % 2 == 0))
    return words


def _percent(value: float) -> str:
    return f"{value:.3f}%"


def _round_usd(amount: NanoUSD, step: NanoUSD) -> str:
    """With as many digits as the step has."""
    if not amount:
        return "$0"
    if step >= 100 * NANO_PER_USD and amount >= 10_000 * NANO_PER_USD:
        return f"${Decimal(amount).scaleb(-12).normalize():,f}k"
    digits = next((digits for digits in range(7) if step * 10**digits % NANO_PER_USD == 0), 6)
    return f"${Decimal(amount).scaleb(-9):,.{digits if digits != 1 else 2}f}"
