"""Tables for a terminal: amounts exact, texts shortened and lesser columns left out until a row fits its line."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_NARROWEST, _WIDEST = 80, 160
_WIDTH_WITHOUT_TERMINAL = 120
_SHORTEST_TEXT = 12
_GAP = "  "
_MINUTES = len("2026-11-21T10:00")


@dataclass(frozen=True, slots=True)
class Column:
    """``name`` is of the row's field; dots lead into objects.

    One that ``gives`` is shortened first; one that is ``lesser`` is left out after.
    """

    head: str
    name: str
    gives: bool = False
    lesser: bool = False


def terminal_width() -> int:
    """Of the terminal, within bounds; 120 where there is none."""
    if not sys.stdout.isatty():
        return _WIDTH_WITHOUT_TERMINAL
    return min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)


def write_table(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], width: int) -> str:
    """Every row a line, below the heads; columns that are empty in all rows are left out."""
    texts = {column: [write_value(_at(row, column.name)) for row in rows] for column in columns}
    shown = [column for column in columns if not rows or any(texts[column])]
    widths = _fit(shown, {column: max(map(len, (column.head, *texts[column]))) for column in shown}, width)
    shown = [column for column in shown if column in widths]
    numbers = {column for column in shown if any(_is_number(_at(row, column.name)) for row in rows)}
    lines = [[column.head for column in shown]]
    lines += [[texts[column][place] for column in shown] for place in range(len(rows))]
    return "\n".join(
        _GAP.join(
            _cell(text, widths[column], to_the_right=column in numbers)
            for text, column in zip(line, shown, strict=True)
        ).rstrip()
        for line in lines
    )


def write_sheet(names: Sequence[str], thing: Mapping[str, Any]) -> str:
    """One thing, a line for each of the fields that it has something in."""
    lines = {name: write_value(_at(thing, name)) for name in names}
    longest = max(len(name) for name in names)
    return "\n".join(f"{name.ljust(longest)}{_GAP}{text}" for name, text in lines.items() if text)


def _at(row: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401  JSON
    """None where a part of the path is missing."""
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def write_value(value: object) -> str:
    """A cell: amounts with all their digits, times to the minute, lists with commas, nothing for what is empty."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return f"{value:f}"
        case str():
            return f"{value[:10]} {value[11:_MINUTES]}" if _is_time(value) else _plain(value)
        case list():
            return ", ".join(write_value(entry) for entry in value)
        case dict():
            return ", ".join(f"{name}={write_value(entry)}" for name, entry in value.items())
        case _:
            return str(value)


def _fit(columns: Sequence[Column], widths: Mapping[Column, int], width: int) -> dict[Column, int]:
    """The columns that fit, with their widths."""
    fitting = dict(widths)
    for column in reversed(columns):
        if _sum(fitting) <= width:
            break
        if column.gives:
            fitting[column] = max(min(fitting[column], _SHORTEST_TEXT), fitting[column] - (_sum(fitting) - width))
    for column in reversed(columns):
        if _sum(fitting) > width and column.lesser:
            del fitting[column]
    spare = width - _sum(fitting)
    for column in fitting:
        regained = min(spare, widths[column] - fitting[column])
        fitting[column] += regained
        spare -= regained
    return fitting


def _sum(widths: Mapping[Column, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _cell(text: str, width: int, *, to_the_right: bool) -> str:
    short = text if len(text) <= width else f"{text[: width - 1]}…"
    return short.rjust(width) if to_the_right else short.ljust(width)


def _plain(text: str) -> str:
    """On one line, without what a terminal would obey."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _is_number(value: object) -> bool:
    return isinstance(value, Decimal | int) and not isinstance(value, bool)


def _is_time(text: str) -> bool:
    return len(text) > _MINUTES and text[4:5] == text[7:8] == "-" and text[10] == "T" and text.endswith("Z")
