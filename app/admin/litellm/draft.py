"""The plan of a take-over from LiteLLM while it is made: what is there, what is made, what is left behind by name."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.admin.litellm import rows as tables
from app.admin.litellm.rows import LARGEST_COUNT, Row, Tables, amount_of, duration_of
from app.base.ids import new_id
from app.domain.spend import Receipt

ACTOR = "litellm import"
LIMITS_BY_MODEL = {
    "model_rpm_limit": "model_requests_per_minute",
    "model_tpm_limit": "model_tokens_per_minute",
}
_MEANS_ALL_MODELS = frozenset({"all-team-models", "all-proxy-models"})

# What makes a row of budgets worth having, beside an amount.
_SAYS = ("soft_limit_nanousd", "duration", "model_budgets", "windows")

# Columns that say something which Keyhouse does not hold to: counted and named, never kept in silence.
_LEFT_OF: Mapping[str, tuple[str, ...]] = {
    "organization": ("object_permission_id",),
    "team": (
        "policies", "access_group_ids", "object_permission_id", "model_id",
        "team_member_permissions", "default_team_member_models", "router_settings",
    ),
    "user": ("password", "sso_user_id", "policies", "object_permission_id"),
    "key": (
        "policies", "access_group_ids", "object_permission_id", "agent_id",
        "project_id", "permissions", "config", "router_settings", "auto_rotate", "allowed_cache_controls",
    ),
    "customer": ("object_permission_id",),
    "tag": ("models",),
}  # fmt: skip
# What LiteLLM keeps in metadata and holds to: it stays there, for people to read.
_LEFT_OF_METADATA = (
    "guardrails", "tag_rpm_limit", "enforced_params",
    "logging", "prompts", "policies",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thing:
    """A row to be made, with the budget that is its own; ``name`` is for people."""

    kind: str
    object_id: str
    name: str
    columns: Mapping[str, Any]
    budget: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Present:
    """What there is already: it stays as it is, and its names are taken."""

    ids: Mapping[str, set[str]]
    memberships: set[tuple[str, str]]
    organization_memberships: set[tuple[str, str]]
    digests: set[bytes]
    booked_keys: set[str]
    organization_aliases: set[str]
    team_aliases: set[tuple[str | None, str]]
    key_aliases: set[str]
    addresses: set[str]


@dataclass(slots=True)
class Plan:
    """``things`` in the order in which they can be made; ``there`` counts what is there already, by kind."""

    things: list[Thing] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    there: Counter[str] = field(default_factory=Counter)
    left: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


class Draft:
    """A plan while it is made: what is there already, and what every kind of thing has in common."""

    def __init__(self, source: Tables, present: Present, at: datetime) -> None:
        self.plan = Plan()
        self.source = source
        self.present = present
        self.at = at
        self.budgets = {row.need("budget_id"): row for row in source[tables.BUDGETS]}
        self.uses = Counter(self._named_budgets())
        self._made: dict[str, set[str]] = defaultdict(set)

    def _named_budgets(self) -> Iterable[str]:
        """Each budget as often as it is named; of an organization and a member it may be their own."""
        for table in (tables.ORGANIZATIONS, tables.TEAM_MEMBERS, tables.KEYS):
            for row in self.source[table]:
                budget_id = row.text("budget_id")
                if budget_id is not None:
                    yield budget_id
                    if table == tables.KEYS:
                        yield budget_id
        for table in (tables.CUSTOMERS, tables.TAGS):
            for row in self.source[table]:
                yield from [row.values.get("budget_id") or ""] * 2
        for row in self.source[tables.TEAMS]:
            default_id = row.map("metadata").get("team_member_budget_id")
            if isinstance(default_id, str):
                yield from (default_id, default_id)

    def ensure_user(self, user_id: str) -> None:
        if not self.is_there("user", user_id):
            columns = {"user_id": user_id, "budget_id": None, "created_by": ACTOR, "updated_by": ACTOR}
            self.add("user", user_id, user_id, columns)

    def budget_named(self, row: Row) -> tuple[str | None, Mapping[str, Any] | None, dict[str, Any]]:
        """The id to name, the budget that is the owner's own, and the limits that go with it."""
        named = row.text("budget_id")
        if named is None or named not in self.budgets:
            return None, None, {}
        if self.uses[named] > 1:
            return named, None, {}
        terms = self.terms(self.budgets[named])
        limits = limits_of(self.budgets[named])
        if not any(terms[name] for name in _SAYS) and terms["limit_nanousd"] is None:
            return None, None, limits
        own = {"budget_id": new_id("bud"), **terms}
        return own["budget_id"], own, limits

    def own_budget(self, row: Row) -> Mapping[str, Any] | None:
        terms = self.terms(row)
        if not any(terms[name] for name in _SAYS) and terms["limit_nanousd"] is None:
            return None
        return {"budget_id": new_id("bud"), **terms}

    def terms(self, row: Row) -> dict[str, Any]:
        """Windows go on as they ran: they are measured from when LiteLLM would have reset them."""
        duration, limit = row.duration("budget_duration"), row.amount("max_budget")
        if row.has("budget_duration") and duration is None:
            self.plan.left["budget_duration that cannot be read"].append(str(row.values["budget_duration"]))
        if row.values.get("max_budget") is not None and limit is None:
            self.plan.left["max_budget that cannot be held"].append(str(row.values["max_budget"]))
        soft = row.amount("soft_budget")
        if soft is not None and limit is not None and soft > limit:
            soft = limit
        created = row.time("created_at") or self.at
        return {
            "limit_nanousd": limit,
            "soft_limit_nanousd": soft,
            "duration": None if duration is None else str(duration),
            "model_budgets": self._model_budgets(row),
            "windows": self._windows(row),
            "anchor": (row.time("budget_reset_at") or created) if duration is not None else min(created, self.at),
            # Whatever a window holds already is counted from the receipts.
            "counting_since": self.at,
            "created_by": ACTOR,
            "updated_by": ACTOR,
        }

    def _model_budgets(self, row: Row) -> dict[str, dict[str, Any]]:
        found = {}
        for model, value in row.exact_map("model_max_budget").items():
            entry = value if isinstance(value, dict) else {"budget_limit": value}
            limit = amount_of(entry.get("budget_limit", entry.get("max_budget")))
            period = entry.get("time_period") or entry.get("budget_duration")
            duration = duration_of(period)
            if limit is None or (period and duration is None):
                self.plan.left["model_max_budget that cannot be read"].append(f"{model}: {value}")
            else:
                found[model] = {"limit_nanousd": limit, "duration": None if duration is None else str(duration)}
        return found

    def _windows(self, row: Row) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for entry in row.entries("budget_limits"):
            limit, duration = amount_of(entry.get("max_budget")), duration_of(entry.get("budget_duration"))
            if limit is None or duration is None or str(duration) in found:
                self.plan.left["budget_limits that cannot be read"].append(str(entry))
            else:
                found[str(duration)] = {"duration": str(duration), "limit_nanousd": limit}
        return list(found.values())

    def times(self, row: Row) -> dict[str, Any]:
        created = min(row.time("created_at") or self.at, self.at)
        return {"created_at": created, "created_by": row.text("created_by") or ACTOR, "updated_at": self.at,
                "updated_by": ACTOR}  # fmt: skip

    def is_there(self, kind: str, object_id: Any) -> bool:  # noqa: ANN401
        return isinstance(object_id, str) and (object_id in self.present.ids[kind] or object_id in self._made[kind])

    def add(
        self, kind: str, object_id: str, name: str, columns: Mapping[str, Any], budget: Mapping[str, Any] | None = None
    ) -> bool:
        """False when it is there already: then it stays as it is."""
        if self.is_there(kind, object_id):
            self.plan.there[kind] += 1
            return False
        self._made[kind].add(object_id)
        self.plan.things.append(Thing(kind, object_id, name, columns, budget))
        return True

    def leave(self, kind: str, name: str, row: Row) -> None:
        for column in _LEFT_OF[kind]:
            if row.has(column):
                self.plan.left[f"{column} of {kind}s"].append(name)
        for entry in _LEFT_OF_METADATA:
            if row.map("metadata").get(entry):
                self.plan.left[f"metadata.{entry} of {kind}s"].append(name)


def limits_of(row: Row) -> dict[str, Any]:
    return {
        "requests_per_minute": row.count("rpm_limit"),
        "tokens_per_minute": row.count("tpm_limit"),
        "max_parallel_requests": row.count("max_parallel_requests"),
        "tokens_per_day": row.count("tpd_limit"),
        **{column: _counts(row, name) for name, column in LIMITS_BY_MODEL.items()},
    }


def _counts(row: Row, name: str) -> dict[str, int]:
    """Limits by model stand in a column of their own, or in the metadata."""
    of_metadata = row.map("metadata").get(name)
    found = {**(of_metadata if isinstance(of_metadata, dict) else {}), **row.map(name)}
    return {model: count for model, count in found.items() if type(count) is int and 0 <= count <= LARGEST_COUNT}


def without_limits(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata without the limits that stand in columns here."""
    return {name: value for name, value in metadata.items() if name not in LIMITS_BY_MODEL}


def models_of(row: Row) -> list[str]:
    """An empty list is every model; ``no-default-models`` names none that there is."""
    return [name for name in row.texts("models") if name not in _MEANS_ALL_MODELS]


def free_name(name: str, taken: set[str]) -> str:
    """The name, or with a number behind it when another bears it."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free
