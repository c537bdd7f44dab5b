"""The forms of shared budgets and tags: their fields become those of ``/budget/*`` and ``/tag/*``."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.admin.budgets import SharedBudgetTerms
from app.admin.tags import TagTerms
from app.api.admin.budgets import read_shared_terms
from app.api.admin.tags import read_tag
from app.api.ui.access import Form
from app.api.ui.rendering import exact_usd
from app.api.ui.typed_numbers import EXAMPLES, WHOLE_EXAMPLES, plain_number
from app.base.errors import Unprocessable
from app.storage.postgres.budgets import StoredBudget

PERIODS: Mapping[str, str] = {
    "hour": "an hour", "day": "a day", "week": "a week", "month": "a month", "quarter": "a quarter", "total": "in all",
}  # fmt: skip
EXCEEDED: Mapping[str, str] = {
    "": "As the settings say", "finish": "Running answers are finished", "cut": "Running answers are cut"
}  # fmt: skip
_AMOUNTS: Mapping[str, str] = {"max_budget": "the budget", "soft_budget": "the soft budget"}
_COUNTS: Mapping[str, str] = {"rpm_limit": "requests a minute", "tpm_limit": "tokens a minute"}
_TEXTS = ("budget_duration", "budget_timezone", "on_exceed")
SHARED = ("budget_id", "pooled", *_AMOUNTS, *_TEXTS, *_COUNTS)
TAG = ("name", "description", *_AMOUNTS, *_TEXTS, *_COUNTS)
_LONGEST_NUMBER = 20


def read_shared(form: Form) -> SharedBudgetTerms:
    """Raises Unprocessable."""
    return read_shared_terms(_body(form) | {"pooled": b"true" if form.text("pooled") else b"false"})


def read_tag_form(form: Form) -> tuple[str, TagTerms]:
    """Raises Unprocessable."""
    name = form.raw("name") if form.text("known") else form.text("name")
    words = {"name": name or None, "description": form.text("description") or None}
    return read_tag(_body(form) | {one: msgspec.json.encode(value) for one, value in words.items()})


def typed_shared(budget: StoredBudget) -> dict[str, str]:
    return typed_budget(budget) | {"budget_id": budget.budget_id, "pooled": "1" if budget.pooled else ""}


def typed_budget(budget: StoredBudget | None, limits: Any = None) -> dict[str, str]:  # noqa: ANN401  a row with limits
    """The form of a budget as it stands; ``limits`` is the row that has the rates, where that is another."""
    own = budget if limits is None else limits
    found = dict.fromkeys((*_AMOUNTS, *_TEXTS, *_COUNTS), "")
    if budget is not None:
        found |= {"max_budget": _dollars(budget.limit_nanousd), "soft_budget": _dollars(budget.soft_limit_nanousd)}
        found |= {"budget_duration": budget.duration or "total", "budget_timezone": budget.timezone or ""}
        found |= {"on_exceed": budget.on_exceed or ""}
    if own is not None:
        found |= {"rpm_limit": _shown(own.requests_per_minute), "tpm_limit": _shown(own.tokens_per_minute)}
    return found


def _body(form: Form) -> dict[str, bytes]:
    """What is left empty is taken away."""
    body = {name: msgspec.json.encode(form.text(name) or None) for name in _TEXTS}
    return body | {
        name: _number(name, words, form.text(name)) for name, words in {**_AMOUNTS, **_COUNTS}.items()
    }  # fmt: skip


def _number(name: str, words: str, typed: str) -> bytes:
    if not typed:
        return b"null"
    plain = plain_number(typed)
    if plain is None or len(plain) > _LONGEST_NUMBER:
        examples = EXAMPLES if name in _AMOUNTS else WHOLE_EXAMPLES
        raise Unprocessable(f'{words} is "{typed[:50]}"; give a number such as {examples}', param=name)
    return plain.encode()


def _dollars(amount: int | None) -> str:
    return "" if amount is None else exact_usd(amount).removeprefix("$").replace(",", "")


def _shown(number: int | None) -> str:
    return "" if number is None else str(number)
