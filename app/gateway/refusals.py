"""What is said to a caller whose call is not admitted: whose limit it was, where it stands, and the next step."""

from app.base.errors import BudgetExhausted, DeploymentSpent, GatewayError, ModelNotAllowed, ModelNotFound, RateLimited
from app.base.money import format_usd
from app.domain.access import Principal, kept_to_regions, usable_names
from app.domain.catalog import Catalog
from app.domain.spend import Admitted, BudgetClaim, BudgetStanding, RateClaim, Refused
from app.domain.tenancy import serving_of
from app.gateway.call import Call
from app.gateway.claims import whose
from app.gateway.own_login import nowhere_to_relay

_MODELS_NAMED = 10


def not_found(principal: Principal, catalog: Catalog, asked: str) -> ModelNotFound:
    names = usable_names(principal, catalog)
    nearest = catalog.nearest(asked, names) or names
    return ModelNotFound(
        f'model "{asked[:200]}" is not known here; {"did you mean" if nearest else "this key may use"}: '
        f"{enumerate_models(nearest)}? See GET /v1/models",
        param="model",
    )


def not_served(principal: Principal, asked: str) -> ModelNotAllowed:
    """None of the model's deployments is for this caller."""
    if kept := kept_to_regions(principal):
        places = " and ".join(f'{who} is kept to "{region}"' for who, region in kept)
        return ModelNotAllowed(
            f'model "{asked}" has no deployment in the region where it may be served: {places} '
            "(allowed_model_region). Choose another model, see GET /v1/models; an admin can set region_name of a "
            "deployment that is there",
            param="model",
        )
    if principal.own_login:
        return nowhere_to_relay(asked)
    return ModelNotAllowed(
        f'model "{asked}" is served here on the personal token of another user alone, which may not serve '
        f'key "…{principal.key.last_four}"; ask an admin for a model on a shared credential, or for a key of '
        "the token's owner",
        param="model",
    )


def enumerate_models(names: list[str]) -> str:
    if not names:
        return "no model"
    more = len(names) - _MODELS_NAMED
    listed = ", ".join(f'"{name}"' for name in names[:_MODELS_NAMED])
    return f"{listed} and {more} more" if more > 0 else listed


def refusal(call: Call, principal: Principal, refused: Refused) -> GatewayError:
    if refused.rate is not None:
        return _rate_refusal(call, principal, refused, refused.rate)
    assert refused.budget is not None
    owner = whose(principal, refused.budget.claim.scope)
    if refused.reason == "budget_short":
        return _budget_refusal(
            owner,
            refused.budget,
            refused.retry_after_s,
            f"and this call may cost up to {format_usd(refused.budget.claim.hold_nanousd)} USD, while the budget "
            "may not be exceeded; allow it less output (max_tokens), send less, or",
        )
    if refused.reason == "budget" and refused.budget.claim.pace:
        return _pace_refusal(owner, refused.budget, refused.retry_after_s)
    if refused.reason == "budget":
        return _budget_refusal(owner, refused.budget, refused.retry_after_s)
    claim = refused.budget.claim
    return RateLimited(
        f"the rest of the budget of {owner} is held by its running requests "
        f"({format_usd(refused.budget.spent_nanousd)} of {format_usd(claim.limit_nanousd)} USD spent, "
        f"{format_usd(refused.budget.held_nanousd)} USD held); try again when one has finished",
        code="budget_held",
        retry_after_s=refused.retry_after_s,
    )


def _rate_refusal(call: Call, principal: Principal, refused: Refused, rate: RateClaim) -> RateLimited:
    limit, noun, window = {
        "requests": (rate.limits.requests, "request", f" per {rate.limits.window}"),
        "tokens": (rate.limits.tokens, "token", f" per {rate.limits.window}"),
        "concurrency": (rate.limits.max_parallel_requests, "parallel request", ""),
    }[refused.reason]
    said = f"the limit of {limit} {noun}{'' if limit == 1 else 's'}{window} of {whose(principal, rate.scope)}"
    if limit == 0:
        error = RateLimited(f"{said} lets no call pass; ask an admin to raise it")
    else:
        said = f"{said} is reached; try again in {refused.retry_after_s} s"
        error = RateLimited(said, retry_after_s=refused.retry_after_s)
    standing = Admitted(requests=refused.requests, tokens=refused.tokens, budgets=())
    error.headers = call.codec.limit_headers(standing, int(call.started_at.timestamp()))
    return error


def _pace_refusal(owner: str, standing: BudgetStanding, retry_after_s: int) -> RateLimited:
    claim = standing.claim
    assert claim.end is not None
    window = {60: "minute", 3_600: "hour"}.get(round((claim.end - claim.start).total_seconds()), "day")
    return RateLimited(
        f"the limit of {format_usd(claim.limit_nanousd)} USD per {window} of {owner} is reached "
        f"({format_usd(standing.spent_nanousd)} USD spent); try again in {retry_after_s} s",
        retry_after_s=retry_after_s,
    )


def answer_stopped(principal: Principal, standing: BudgetStanding) -> BudgetExhausted:
    """A running answer came to the end of a budget that may not be exceeded."""
    held = format_usd(standing.held_nanousd)
    return _budget_refusal(
        whose(principal, standing.claim.scope),
        standing,
        0,
        f"and running requests may still cost {held} USD, so this answer was stopped here, as the budget may not be "
        "exceeded;",
    )


def _budget_refusal(owner: str, standing: BudgetStanding, retry_after_s: int, why: str = "") -> BudgetExhausted:
    """``why`` stands where the budget is not spent."""
    claim = standing.claim
    resets = f"resets {claim.end:%b} {claim.end.day}" if claim.end is not None else "does not reset by itself"
    until = f" at {claim.end:%Y-%m-%d %H:%M:%S} UTC" if claim.end is not None else ""
    kind = BudgetExhausted if serving_of(claim.scope) is None else DeploymentSpent
    return kind(
        f"spend limit reached · {resets}{until}: {owner} has spent {format_usd(standing.spent_nanousd)} "
        f"of its {format_usd(claim.limit_nanousd)} USD{f', {why}' if why else ';'} ask an admin to raise max_budget",
        limit_nanousd=claim.limit_nanousd,
        spent_nanousd=standing.spent_nanousd,
        period=_period(claim),
        resets_at=claim.end,
        retry_after_s=retry_after_s if claim.end is not None else None,
    )


def _period(claim: BudgetClaim) -> str | None:
    if claim.end is None:
        return None
    days = (claim.end - claim.start).days
    return {1: "daily", 7: "weekly"}.get(days, "monthly" if 28 <= days <= 31 else None)
