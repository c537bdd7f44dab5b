"""The levels above a key: what an organization, a team, a member of it and a user set for all their keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import quote, unquote

from app.domain.budgets import Budget
from app.domain.limits import RateLimits

LevelKind = Literal["organization", "team", "member", "user"]
NO_LIMITS = RateLimits()


@dataclass(frozen=True, slots=True)
class Level:
    """What one level above a key sets: nothing below can widen it.

    ``scope`` names it in the counters (``scope_of``), ``title`` in messages: ``team "research"``. ``models`` empty
    means every model.
    """

    kind: LevelKind
    scope: str
    title: str
    models: tuple[str, ...] = ()
    limits: RateLimits = NO_LIMITS
    budget: Budget | None = None
    blocked: bool = False

    @property
    def sets_something(self) -> bool:
        return self.blocked or bool(self.models) or self.budget is not None or self.limits != NO_LIMITS


def scope_of(kind: LevelKind, *ids: str) -> str:
    """The name of a level's counters, one word: ``team:research``. A member has two ids, of the team and of the user.

    A key's scope is its id, which has no colon.
    """
    return ":".join((kind, *(quote(one, safe="") for one in ids)))


@lru_cache(maxsize=10_000)
def scopes_of(
    key_id: str, team_id: str | None = None, user_id: str | None = None, organization_id: str | None = None
) -> tuple[str, ...]:
    """All scopes on which a receipt with these owners counts, the key's first."""
    scopes = [key_id]
    if team_id is not None and user_id is not None:
        scopes.append(scope_of("member", team_id, user_id))
    if team_id is not None:
        scopes.append(scope_of("team", team_id))
    if user_id is not None:
        scopes.append(scope_of("user", user_id))
    if organization_id is not None:
        scopes.append(scope_of("organization", organization_id))
    return tuple(scopes)


def owners_in(scope: str) -> Mapping[str, str]:
    """By which columns of a receipt a scope is told: ``{"team_id": …, "user_id": …}`` of a member."""
    kind, *quoted = scope.split(":")
    ids = [unquote(one) for one in quoted]
    if not ids:
        return {"key_id": scope}
    if kind == "member":
        return {"team_id": ids[0], "user_id": ids[1]}
    return {f"{kind}_id": ids[0]}
