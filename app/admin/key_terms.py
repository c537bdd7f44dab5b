"""What an admin asks of a key, checked by the rules that need no store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType

from app.admin.budget_terms import BudgetTerms
from app.base.errors import Unprocessable
from app.domain.access import ROUTE_GROUPS
from app.domain.budgets import Duration, after
from app.domain.keys import KEY_PREFIX, OWN_LOGIN_PREFIX, SHORTEST_SUPPLIED_KEY, may_be_key

LONGEST_SUPPLIED_KEY = 512
FOREVER = "forever"

KEY_TYPE_ROUTES: Mapping[str, tuple[str, ...]] = {
    "default": (),
    "llm_api": ("llm_api_routes",),
    "management": ("management_routes",),
    "read_only": ("info_routes",),
}


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """UNSET leaves a term as it is (on a new key: its default); None clears it.

    ``duration`` is the life from now; ``"forever"`` takes the expiry away, None leaves it, as LiteLLM does.
    ``limits`` are the columns of rate limits that are set. ``group_ids`` are access groups, which become ``models``;
    ``organization_id`` only says again what the key's team or user tells.
    """

    key_alias: str | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    aliases: Mapping[str, str] | UnsetType = UNSET
    budget_fallbacks: Mapping[str, list[str]] | UnsetType = UNSET
    duration: Duration | str | UnsetType | None = UNSET
    budget: BudgetTerms = field(default_factory=BudgetTerms)
    limits: Mapping[str, Any] = field(default_factory=dict)
    blocked: bool | UnsetType = UNSET
    allowed_routes: tuple[str, ...] | UnsetType = UNSET
    key_type: str | UnsetType = UNSET
    metadata: Mapping[str, Any] | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    user_id: str | UnsetType | None = UNSET
    team_id: str | UnsetType | None = UNSET
    project_id: str | UnsetType | None = UNSET
    group_ids: tuple[str, ...] | UnsetType = UNSET
    organization_id: str | UnsetType = UNSET
    allowed_model_region: str | UnsetType | None = UNSET


# Terms that are columns of the same name.
_COLUMNS = (
    "key_alias",
    "aliases",
    "budget_fallbacks",
    "allowed_model_region",
    "blocked",
    "metadata",
    "user_id",
    "team_id",
    "project_id",
)
_LISTS = ("models", "allowed_routes", "tags")


def columns_of(terms: KeyTerms, at: datetime) -> dict[str, Any]:
    """The columns of keys that the terms set; budgets are rows of their own. Raises Unprocessable."""
    columns = {name: getattr(terms, name) for name in _COLUMNS if getattr(terms, name) is not UNSET}
    columns |= terms.limits
    for name in _LISTS:
        if getattr(terms, name) is not UNSET:
            columns[name] = list(getattr(terms, name))
    if terms.key_type is not UNSET:
        columns["key_type"] = terms.key_type
        if not columns.get("allowed_routes"):
            columns["allowed_routes"] = list(KEY_TYPE_ROUTES[terms.key_type])
    _check_routes(columns.get("allowed_routes", ()))
    if terms.duration == FOREVER:
        columns["expires_at"] = None
    elif isinstance(terms.duration, Duration):
        columns["expires_at"] = after(terms.duration, at)
    return columns


def check_supplied_key(key: str, param: str) -> None:
    """Raises Unprocessable for a key that an admin may not choose."""
    if not key.startswith("sk-"):
        raise Unprocessable(f'"{param}" must begin with "sk-"; leave it out to have a key made', param=param)
    if not SHORTEST_SUPPLIED_KEY <= len(key) <= LONGEST_SUPPLIED_KEY:
        raise Unprocessable(
            f'"{param}" has {len(key)} characters; give {SHORTEST_SUPPLIED_KEY} to {LONGEST_SUPPLIED_KEY}, '
            "or leave it out to have a key made",
            param=param,
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Unprocessable(f'"{param}" may hold printable ASCII characters without spaces only', param=param)
    if key.startswith(OWN_LOGIN_PREFIX):
        raise Unprocessable(
            f'"{param}" begins with "{OWN_LOGIN_PREFIX}" as logins of Anthropic do; choose another beginning',
            param=param,
        )
    if not may_be_key(key):
        raise Unprocessable(
            f'"{param}" begins with "{KEY_PREFIX}" but its checksum is wrong; choose another beginning', param=param
        )


def _check_routes(routes: tuple[str, ...] | list[str]) -> None:
    for route in routes:
        if route not in ROUTE_GROUPS and not route.startswith("/") and "*" not in route:
            raise Unprocessable(
                f'"allowed_routes" holds "{route}", which is neither a path such as "/v1/messages" '
                f"nor one of {', '.join(ROUTE_GROUPS)}",
                param="allowed_routes",
            )
