"""The levels beside a key: its organization, team, project, membership and user, the platform, customers and tags."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args
from urllib.parse import quote, unquote

from app.base.ids import BudgetId
from app.base.money import NanoUSD
from app.domain.budgets import SINCE_EVER, Budget, Duration
from app.domain.limits import RateLimits

LevelKind = Literal["organization", "team", "project", "member", "user", "customer", "tag", "platform"]
PLATFORM = "platform"
"""The scope on which every call counts."""


@dataclass(frozen=True, slots=True)
class Level:
    """What one level beside a key sets: no other can widen it.

    ``scope`` names it in the counters (``scope_of``), ``title`` in messages: ``team "research"``. ``models`` empty
    means every model. ``region`` is the one whose deployments alone may serve.
    """

    kind: LevelKind
    scope: str
    title: str
    models: tuple[str, ...] = ()
    limits: tuple[RateLimits, ...] = ()
    budgets: tuple[Budget, ...] = ()
    blocked: bool = False
    default_model: str | None = None
    """Of a customer: what is served in place of a model that ``models`` or the region does not hold."""
    region: str | None = None

    @property
    def sets_something(self) -> bool:
        return self.blocked or bool(self.models or self.budgets or self.limits or self.region)


def budget_of_setting(name: str, limit_nanousd: NanoUSD, duration: Duration | None = None) -> Budget:
    """A budget that no row tells of, but a setting of this name: it has counted since ever."""
    return Budget(BudgetId(name), limit_nanousd, duration, SINCE_EVER, SINCE_EVER, shared=True)


Serving = Literal["deployment", "provider"]


def budget_of_serving(kind: Serving, name: str, limit_nanousd: NanoUSD, duration: Duration | None) -> Budget:
    """A pool of all calls that a deployment, or any of a provider, serves. Running answers go on to their end: others
    can take the next."""
    budget = budget_of_setting(f"{kind} {name}", limit_nanousd, duration)
    return replace(budget, pooled=True, on_exceed="finish")


def serving_of(scope: str) -> tuple[str, str] | None:
    """The deployment or provider whose budget counts on a scope: ``("provider", "openai")``; None where it is
    another's."""
    if not scope.startswith("pool:"):
        return None
    kind, blank, name = ids_in(scope)[0].partition(" ")
    return (kind, name) if blank and kind in get_args(Serving) else None


def scope_of(kind: LevelKind | Literal["model", "pool"], *ids: str) -> str:
    """The name of a level's counters, one word: ``team:research``. A member has two ids, of the team and of the user.

    A key's scope is its id, which has no colon.
    """
    return ":".join((kind, *(quote(one, safe="") for one in ids)))


def scope_of_model(owner: str, model: str) -> str:
    """The name of the counters of one model, or pattern of models, within an owner's scope."""
    return scope_of("model", owner, model)


def scope_of_pool(budget_id: str) -> str:
    return scope_of("pool", budget_id)


@lru_cache(maxsize=10_000)
def scopes_of(  # noqa: PLR0913  the owners of a receipt
    key_id: str,
    team_id: str | None = None,
    user_id: str | None = None,
    organization_id: str | None = None,
    customer_id: str | None = None,
    tags: tuple[str, ...] = (),
    project_id: str | None = None,
) -> tuple[str, ...]:
    """All scopes on which a receipt with these owners counts, the key's first and the platform's last."""
    scopes = [key_id]
    if team_id is not None and user_id is not None:
        scopes.append(scope_of("member", team_id, user_id))
    if project_id is not None:
        scopes.append(scope_of("project", project_id))
    if team_id is not None:
        scopes.append(scope_of("team", team_id))
    if user_id is not None:
        scopes.append(scope_of("user", user_id))
    if organization_id is not None:
        scopes.append(scope_of("organization", organization_id))
    if customer_id is not None:
        scopes.append(scope_of("customer", customer_id))
    scopes += (scope_of("tag", tag) for tag in dict.fromkeys(tags))
    return (*scopes, PLATFORM)


def ids_in(scope: str) -> list[str]:
    """The ids that a scope was made of."""
    return [unquote(one) for one in scope.split(":")[1:]]


def owners_in(scope: str) -> Mapping[str, str]:
    """By which columns of a receipt a scope is told: ``{"team_id": …, "user_id": …}`` of a member.

    ``tag`` and ``scope`` stand for what the receipt has among its tags and further scopes; nothing is everything.
    """
    ids = ids_in(scope)
    match kind := scope.partition(":")[0]:
        case "platform" if not ids:
            return {}
        case _ if not ids:
            return {"key_id": scope}
        case "member":
            return {"team_id": ids[0], "user_id": ids[1]}
        case "tag":
            return {"tag": ids[0]}
        case "pool" | "model":
            return {"scope": scope}
        case _:
            return {f"{kind}_id": ids[0]}
