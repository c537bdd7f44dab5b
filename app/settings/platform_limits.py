"""Reads LiteLLM's budgets of the file: one for all calls together, one for customers who have none of their own."""

from collections.abc import Callable
from typing import Any

from app.domain.budgets import parse_period
from app.settings.yaml_reading import Item, Reader

LIMIT_NAMES = frozenset({"max_budget", "budget_duration", "max_end_user_budget", "max_end_user_budget_id"})


def read_limits(reader: Reader, items: dict[str, Item]) -> dict[str, Any]:
    """The settings that are set; a slip is a problem of the reader's."""
    readers: dict[str, tuple[str, Callable[[Reader, Item], Any]]] = {
        "max_budget": ("max_budget_nanousd", Reader.amount),
        "budget_duration": ("budget_duration", _period),
        "max_end_user_budget": ("max_customer_budget_nanousd", Reader.amount),
        "max_end_user_budget_id": ("max_customer_budget_id", lambda _, item: reader.text(item)),
    }
    values = {setting: read(reader, items[name]) for name, (setting, read) in readers.items() if name in items}
    if "budget_duration" in items and "max_budget" not in items:
        reader.problems.error(items["budget_duration"].place, '"budget_duration" is of "max_budget"; set that too')
    return {name: value for name, value in values.items() if value is not None}


def _period(reader: Reader, item: Item) -> str | None:
    text = reader.text(item)
    if text is None:
        return None
    try:
        return str(parse_period(text))
    except ValueError as error:
        reader.problems.error(item.place, f'"{item.name}": {error}')
        return None
