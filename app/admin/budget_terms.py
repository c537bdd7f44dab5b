"""The budget of a team, a user, a member, an organization or a customer: made, changed, and held below its parent's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection

from app.admin.actor import Actor
from app.base.clock import now
from app.base.errors import Forbidden, Unprocessable
from app.base.ids import new_id
from app.base.money import LARGEST_AMOUNT, NanoUSD, format_usd
from app.domain.budgets import Duration, OnExceed, is_longer, parse_period
from app.storage.postgres import budgets as rows
from app.storage.postgres.budgets import StoredBudget

# What an own budget may set, and what nothing is in each.
_OWN: dict[str, Any] = {
    "limit_nanousd": None,
    "soft_limit_nanousd": None,
    "duration": None,
    "on_exceed": None,
    "timezone": None,
    "windows": [],
    "model_budgets": {},
    "increase_nanousd": None,
    "increase_until": None,
    "requests_per_minute": None,
    "tokens_per_minute": None,
}
# What makes a budget count differently: its counters are then rebuilt from the receipts.
_DEFINITION = ("duration", "timezone", "windows", "model_budgets", "pooled")


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """UNSET leaves a term as it is, None clears it; ``budget_id`` names a shared budget in place of an own one."""

    limit_nanousd: NanoUSD | UnsetType | None = UNSET
    duration: Duration | UnsetType | None = UNSET
    soft_limit_nanousd: NanoUSD | UnsetType | None = UNSET
    budget_id: str | UnsetType | None = UNSET
    on_exceed: OnExceed | UnsetType | None = UNSET
    timezone: str | UnsetType | None = UNSET
    windows: Sequence[Mapping[str, Any]] | UnsetType = UNSET
    model_budgets: Mapping[str, Mapping[str, Any]] | UnsetType = UNSET
    increase_nanousd: NanoUSD | UnsetType | None = UNSET
    increase_until: datetime | UnsetType | None = UNSET
    requests_per_minute: int | UnsetType | None = UNSET
    tokens_per_minute: int | UnsetType | None = UNSET

    @property
    def own(self) -> dict[str, Any]:
        """The columns of budgets that are set."""
        columns = {name: getattr(self, name) for name in _OWN if getattr(self, name) is not UNSET}
        if columns.get("duration") is not None:
            columns["duration"] = str(columns["duration"])
        return columns

    @property
    def is_set(self) -> bool:
        return bool(self.own) or self.budget_id is not UNSET


@dataclass(frozen=True, slots=True)
class BudgetWords:
    """What the fields of a budget are called where it is set, for the errors."""

    limit: str = "max_budget"
    soft: str = "soft_budget"


@dataclass(frozen=True, slots=True)
class Life:
    """Since when the owner of a budget exists; one that is new cannot have spent anything before."""

    since: datetime
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class WrittenBudget:
    """``budget_id`` is what the owner's row must name; ``spare_id`` a row to delete once it does."""

    budget_id: str | None
    spare_id: str | None = None


async def write_budget(
    connection: AsyncConnection,
    terms: BudgetTerms,
    present: StoredBudget | None,
    actor: Actor,
    words: BudgetWords = BudgetWords(),
    life: Life | None = None,
) -> WrittenBudget:
    """Make or change the budget of an owner that has ``present``; without ``life`` the owner is made now.

    Raises Unprocessable: an unknown shared budget, one beside an own, a soft limit above the limit. Raises Forbidden
    when somebody who does not reach everything names a shared budget.
    """
    own = terms.own
    named = present is not None and terms.budget_id == present.budget_id  # as a client writes back what it read
    if isinstance(terms.budget_id, str) and not named:
        return await _refer(connection, terms.budget_id, present, own, actor)
    if present is not None and present.shared:
        if terms.budget_id is not None:
            _refuse_own(own, present, words)
            return WrittenBudget(present.budget_id)
        present = None
    if not own:
        return WrittenBudget(None if present is None else present.budget_id)
    return await _write_own(connection, own, present, actor, words, life)


def _refuse_own(own: dict[str, Any], shared: StoredBudget, words: BudgetWords) -> None:
    if any(getattr(shared, name) != value for name, value in own.items()):
        raise Unprocessable(
            f'"{words.limit}" belongs to the shared budget "{shared.budget_id}"; change it with /budget/update, '
            'or send "budget_id": null with it to leave that budget',
            param=words.limit,
        )


async def _refer(
    connection: AsyncConnection, budget_id: str, present: StoredBudget | None, own: dict[str, Any], actor: Actor
) -> WrittenBudget:
    if not actor.tenant.everything:
        raise Forbidden("only a proxy_admin may name a shared budget", param="budget_id")
    if any(value is not None for value in own.values()):
        raise Unprocessable(
            '"budget_id" names a shared budget, so no own budget may stand beside it; leave one of them out',
            param="budget_id",
        )
    await find_shared(connection, budget_id)
    spare = None if present is None or present.shared else present.budget_id
    return WrittenBudget(budget_id, spare)


async def find_shared(connection: AsyncConnection, budget_id: str) -> StoredBudget:
    """A budget made by /budget/new, held until the transaction ends. Raises Unprocessable."""
    found = await rows.find_budget(connection, budget_id, lock=True)
    if found is None or not found.shared:
        raise Unprocessable(
            f'"budget_id" is not the id of a shared budget: "{budget_id}"; make it first with POST /budget/new',
            param="budget_id",
        )
    return found


async def _write_own(
    connection: AsyncConnection,
    own: dict[str, Any],
    present: StoredBudget | None,
    actor: Actor,
    words: BudgetWords,
    life: Life | None,
) -> WrittenBudget:
    before = {name: nothing if present is None else getattr(present, name) for name, nothing in _OWN.items()}
    values = before | own
    check_amounts(values, words)
    if values == _OWN:
        return WrittenBudget(None, None if present is None else present.budget_id)
    if values == before and present is not None:
        return WrittenBudget(present.budget_id)
    at = now()
    values |= {"updated_at": at, "updated_by": actor.name}
    if present is not None:
        await rows.update_budget(connection, present.budget_id, values | recount(values, present, at))
        return WrittenBudget(present.budget_id)
    budget_id = new_id("bud")
    values |= {
        "budget_id": budget_id,
        "anchor": life.since if life else at,
        "counting_since": life.since if life and life.is_new else at,
        "created_at": at,
        "created_by": actor.name,
    }
    await rows.insert_budget(connection, values)
    return WrittenBudget(budget_id)


def recount(values: dict[str, Any], present: StoredBudget, at: datetime) -> dict[str, Any]:
    """A definition that counts differently, or begins to count, makes its counters be rebuilt from the receipts."""
    changed = any(values.get(name, getattr(present, name)) != getattr(present, name) for name in _DEFINITION)
    return {"counting_since": at} if changed or present.limit_nanousd is None else {}


def check_amounts(values: Mapping[str, Any], words: BudgetWords) -> None:
    """Raises Unprocessable for a soft limit above the limit, and for an increase of nothing or without an end."""
    limit, soft = values.get("limit_nanousd"), values.get("soft_limit_nanousd")
    if limit is not None and soft is not None and soft > limit:
        raise Unprocessable(
            f'"{words.soft}" is {format_usd(soft)} and "{words.limit}" {format_usd(limit)}: the soft one may not be '
            "higher",
            param=words.soft,
        )
    increase, until = values.get("increase_nanousd"), values.get("increase_until")
    if (increase is None) != (until is None):
        missing = "temp_budget_expiry" if until is None else "temp_budget_increase"
        raise Unprocessable(
            f'"{missing}" is missing: "temp_budget_increase" and "temp_budget_expiry" go together', param=missing
        )
    if increase is not None and limit is None:
        raise Unprocessable(
            f'"temp_budget_increase" raises "{words.limit}", and there is none; set it too', param=words.limit
        )
    if increase is not None and limit is not None and limit + increase > LARGEST_AMOUNT:
        raise Unprocessable(
            f'"temp_budget_increase" is {format_usd(increase)} and "{words.limit}" {format_usd(limit)}: together more '
            f"than 9000000 dollars; give at most {format_usd(LARGEST_AMOUNT - limit)}",
            param="temp_budget_increase",
        )


def check_below_parent(child: StoredBudget | None, parent: StoredBudget | None, words: BudgetWords, of: str) -> None:
    """Raises Unprocessable when ``child`` allows more than ``parent`` does, the budget ``of`` a level above.

    A child with a longer window than its parent's may have a higher limit: it spans several of the parent's.
    """
    if child is None or child.limit_nanousd is None or parent is None or parent.limit_nanousd is None:
        return
    if child.limit_nanousd <= parent.limit_nanousd or _is_longer(child.duration, parent.duration):
        return
    raise Unprocessable(
        f'"{words.limit}" is {_shown(child)}, above the {_shown(parent)} of {of}; give at most that', param=words.limit
    )


def _is_longer(duration: str | None, than: str | None) -> bool:
    return duration is not None and than is not None and is_longer(parse_period(duration), parse_period(than))


def _shown(budget: StoredBudget) -> str:
    amount = format_usd(budget.limit_nanousd or 0)
    return amount if budget.duration is None else f"{amount} per {budget.duration}"
