"""What a key may know about itself: ``GET /key/self``, and ``GET /api/v1/key`` as OpenRouter's clients read it."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.key_reading import KeyReading, KeyView
from app.api.admin.answers import answer, number, optional_number
from app.api.admin.queries import read_query
from app.api.security import Access, Caller
from app.base.clock import now
from app.domain.limits import MINUTE_S
from app.domain.roles import ACTIONS, tenant_of
from app.domain.spend import RateClaim
from app.gateway.authenticate import MASTER_KEY_ID
from app.gateway.own_usage import BudgetStanding, OwnUsage

AnyRequest = Request[Any, Any, Any]


class KeySelfRoutes(Controller):
    """Neither costs anything nor counts on a limit, and a spent budget does not matter."""

    @get("/key/self")
    async def about_itself(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        key_reading: NamedDependency[KeyReading],
        own_usage: NamedDependency[OwnUsage],
    ) -> Response[bytes]:
        """What a key may know about itself: not what admins note about it."""
        caller = await access.require_caller(request)
        read_query(request, ("key",))
        view = await _own_view(caller, key_reading)
        budgets: list[dict[str, Any]] = []
        limits: list[dict[str, Any]] = []
        if caller.principal is not None:
            budgets = [_budget(one) for one in await own_usage.budgets(caller.principal, now())]
            limits = [_limit(whose, claim) for whose, claim in own_usage.limits(caller.principal)]
        key = None if view is None else _own_key(view, caller)
        return answer({**_standing(caller), "key": key, "budgets": budgets, "limits": limits})

    @get("/api/v1/key")
    async def as_openrouter_tells_it(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        key_reading: NamedDependency[KeyReading],
        own_usage: NamedDependency[OwnUsage],
    ) -> Response[bytes]:
        """OpenRouter's shape. ``limit`` and ``usage`` are of the key alone; ``limit_remaining`` is what the budget of
        any level leaves, the least of them. No key here is on a free tier, or on the caller's own provider account."""
        caller = await access.require_caller(request)
        read_query(request, ())
        view, at = await _own_view(caller, key_reading), now()
        spent = await own_usage.spending(MASTER_KEY_ID if view is None else view.key.key_id, at)
        budgets = [] if caller.principal is None else await own_usage.budgets(caller.principal, at)
        left = [_remaining(one) for one in budgets if not one.claim.scope.startswith("model:") and not one.claim.pace]
        own = dict.fromkeys(("expires_at", "limit", "limit_reset")) if view is None else _own_terms(view)
        none = number(0)
        return answer(
            {
                "data": {
                    "label": "master key" if view is None else view.key.key_alias or f"sk-...{view.key.last_four}",
                    **own,
                    "limit_remaining": optional_number(min(left, default=None)),
                    "usage": number(spent.total_nanousd),
                    "usage_daily": number(spent.day_nanousd),
                    "usage_weekly": number(spent.week_nanousd),
                    "usage_monthly": number(spent.month_nanousd),
                    "byok_usage": none,
                    "byok_usage_daily": none,
                    "byok_usage_weekly": none,
                    "byok_usage_monthly": none,
                    "include_byok_in_limit": False,
                    "is_free_tier": False,
                    "is_management_key": view is None,
                    "is_provisioning_key": view is None,
                    "creator_user_id": None if view is None else view.key.user_id,
                    "rate_limit": _rate_limit(own_usage, caller),
                }
            }
        )


def _standing(caller: Caller) -> dict[str, Any]:
    standing = caller.standing
    allowed = [action for action in ACTIONS if tenant_of(standing, action) is not None]
    return {
        "roles": standing.roles,
        "user_id": standing.user_id,
        "organizations_administered": sorted(standing.administered_organizations),
        "teams_administered": sorted(standing.administered_teams),
        "teams": sorted(standing.member_of_teams),
        "actions": allowed,
    }


async def _own_view(caller: Caller, key_reading: KeyReading) -> KeyView | None:
    """None for the master key, which has no row."""
    return None if caller.principal is None else await key_reading.find(caller.principal.key.key_id, caller.tenant)


def _own_key(view: KeyView, caller: Caller) -> dict[str, Any]:
    assert caller.principal is not None
    key, limit = view.key, view.key.limit_nanousd
    return {
        "key_id": key.key_id,
        "key_name": f"sk-...{key.last_four}",
        "key_alias": key.key_alias,
        "team_id": key.team_id,
        "project_id": key.project_id,
        "organization_id": caller.principal.key.organization_id,
        "models": key.models,
        "allowed_routes": key.allowed_routes,
        "rpm_limit": key.requests_per_minute,
        "tpm_limit": key.tokens_per_minute,
        "max_parallel_requests": key.max_parallel_requests,
        "max_budget": optional_number(limit),
        "budget_duration": key.budget_duration,
        "budget_reset_at": view.budget_resets_at,
        "spend": number(view.spend_nanousd),
        "remaining": None if limit is None else number(max(0, limit - view.spend_nanousd)),
        "total_spend": number(view.total_spend_nanousd),
        "tags": key.tags,
        "expires": key.expires_at,
        "created_at": key.created_at,
        "status": view.status,
    }


def _budget(standing: BudgetStanding) -> dict[str, Any]:
    claim = standing.claim
    return {
        "of": standing.whose,
        "kind": "rate" if claim.pace else "budget",
        "max_budget": number(claim.limit_nanousd),
        "spend": number(standing.spent_nanousd),
        "remaining": number(_remaining(standing)),
        "budget_started_at": claim.start,
        "budget_reset_at": claim.end,
    }


def _remaining(standing: BudgetStanding) -> int:
    return max(0, standing.claim.limit_nanousd - standing.spent_nanousd)


def _limit(whose: str, claim: RateClaim) -> dict[str, Any]:
    limits = claim.limits
    return {
        "of": whose,
        "requests": limits.requests,
        "tokens": limits.tokens,
        "window": limits.window,
        "max_parallel_requests": limits.max_parallel_requests,
    }


def _own_terms(view: KeyView) -> dict[str, Any]:
    return {
        "expires_at": view.key.expires_at,
        "limit": optional_number(view.key.limit_nanousd),
        "limit_reset": view.key.budget_duration,
    }


def _rate_limit(own_usage: OwnUsage, caller: Caller) -> dict[str, Any]:
    """Of requests in a minute, the strictest of any level; -1 is none, as OpenRouter writes it."""
    claims = [] if caller.principal is None else own_usage.limits(caller.principal)
    minutes = [
        claim.limits.requests
        for _, claim in claims
        if claim.limits.requests is not None and claim.limits.window_s == MINUTE_S and claim.limits.model is None
    ]
    return {"requests": min(minutes, default=-1), "interval": "1m", "note": "of any level; see GET /key/self"}
