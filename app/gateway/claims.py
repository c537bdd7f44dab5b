"""What a call asks of the ledger: its key's limits and budgets, and those of every level beside it."""

from collections.abc import Sequence
from datetime import datetime

from app.base.money import NanoUSD
from app.domain.access import Principal, names_model
from app.domain.budgets import Budget, BudgetWindow, counter_name, limit_at, window_at
from app.domain.catalog import Deployment, Model
from app.domain.limits import MINUTE_S, RateLimits
from app.domain.spend import BudgetClaim, RateClaim
from app.domain.tenancy import PLATFORM, ids_in, owners_in, scope_of_model, scope_of_pool, serving_of

_WINDOWS_REMEMBERED = 100_000
_windows: dict[str, tuple[Budget, BudgetWindow, str]] = {}


def rate_claims(principal: Principal, models: Sequence[Model] | None) -> tuple[RateClaim, ...]:
    """Of the key and of every level beside it that has rate limits; ``models`` are those that are called, None is
    whatever there are."""
    key = principal.key
    claims: list[RateClaim] = []
    if key.limits:
        _claim_rates(key.key_id, key.limits, models, claims)
    for level in principal.levels:
        if level.limits:
            _claim_rates(level.scope, level.limits, models, claims)
    return tuple(claims)


def budget_claims(
    principal: Principal, models: Sequence[Model] | None, hold_nanousd: NanoUSD, at: datetime
) -> tuple[BudgetClaim, ...]:
    """Of the key and of every level beside it that has budgets; one pool is claimed once, however many name it.

    ``models`` None are whatever there are."""
    key = principal.key
    claims: list[BudgetClaim] = []
    if key.budgets:
        _claim_budgets(key.key_id, key.budgets, models, hold_nanousd, at, claims)
    for level in principal.levels:
        if level.budgets:
            _claim_budgets(level.scope, level.budgets, models, hold_nanousd, at, claims)
    return tuple(claims)


def deployment_claims(deployment: Deployment, hold_nanousd: NanoUSD, at: datetime) -> tuple[BudgetClaim, ...]:
    """Of the deployment that is to serve, and of its provider."""
    claims: list[BudgetClaim] = []
    _claim_budgets("", deployment.budgets, None, hold_nanousd, at, claims)
    return tuple(claims)


def further_scopes(claims: Sequence[BudgetClaim]) -> tuple[str, ...]:
    """The scopes that a receipt must name, because its owners do not tell them."""
    if not any(claim.scope.startswith(("pool:", "model:")) for claim in claims):
        return ()
    return tuple(dict.fromkeys(claim.scope for claim in claims if "scope" in owners_in(claim.scope)))


def whose(principal: Principal, scope: str) -> str:
    """A scope of the principal in words: ``key "…4f2a" ("laptop")``, ``model "gpt-4o" of team "research"``. What the
    platform has by model are its access groups."""
    scope = scope.partition("@")[0]
    kind = scope.partition(":")[0]
    if kind == "model":
        owner, model = ids_in(scope)
        if owner == PLATFORM:
            return f'access group "{model}"'
        return f'model "{model}" of {whose(principal, owner)}'
    if (serving := serving_of(scope)) is not None:
        return f'the {serving[0]} "{serving[1]}"'
    if kind == "pool":
        return f'the pool "{ids_in(scope)[0]}"'
    for level in principal.levels:
        if level.scope == scope:
            return level.title
    return f'key "…{principal.key.last_four}"' + (f' ("{principal.key.alias}")' if principal.key.alias else "")


def _claim_rates(
    scope: str, limits: Sequence[RateLimits], models: Sequence[Model] | None, claims: list[RateClaim]
) -> None:
    for one in limits:
        name = scope
        if one.model is not None:
            if not _among(models, one.model):
                continue
            name = scope_of_model(scope, one.model)
        if one.window_s != MINUTE_S:
            name = f"{name}@{one.window_s}"
        claims.append(RateClaim(name, one))


def _claim_budgets(
    owner: str,
    budgets: Sequence[Budget],
    models: Sequence[Model] | None,
    hold_nanousd: NanoUSD,
    at: datetime,
    claims: list[BudgetClaim],
) -> None:
    for budget in budgets:
        scope = owner
        if budget.pooled:
            scope = scope_of_pool(budget.budget_id)
        if budget.model is not None:
            if not _among(models, budget.model):
                continue
            scope = scope_of_model(scope, budget.model)
        window, counter = _window(scope, budget, at)
        if budget.pooled and any(claim.counter == counter for claim in claims):
            continue
        limit_nanousd = budget.limit_nanousd if budget.increase_until is None else limit_at(budget, at)
        counting_since = budget.counting_since if budget.owned_since is None else budget.counted_since
        claims.append(
            BudgetClaim(
                counter,
                budget.budget_id,
                scope,
                limit_nanousd,
                hold_nanousd,
                window.start,
                window.end,
                counting_since,
                strict=False if budget.pace else None if budget.on_exceed is None else budget.on_exceed == "cut",
                pace=budget.pace,
                soft_nanousd=budget.soft_nanousd,
            )
        )


def _among(models: Sequence[Model] | None, pattern: str) -> bool:
    return models is None or any(names_model(pattern, model) for model in models)


def _window(scope: str, budget: Budget, at: datetime) -> tuple[BudgetWindow, str]:
    """The window and the name of its counter; they are remembered, as a window has many calls."""
    place = f"{scope};{budget.part}" if budget.part else scope
    known = _windows.get(place)
    if known is not None:
        of, window, name = known
        in_window = window.start <= at and (window.end is None or at < window.end)
        if in_window and (of is budget or of == budget):
            return window, name
    window = window_at(budget, at)
    name = counter_name(scope, budget, window)
    if len(_windows) >= _WINDOWS_REMEMBERED:
        _windows.clear()
    _windows[place] = (budget, window, name)
    return window, name
