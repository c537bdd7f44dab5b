"""Policies that serve a cheaper model near the end of a budget, instead of refusing at it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from app.domain.access import Principal, names_model
from app.domain.catalog import Model
from app.domain.spend import BudgetStanding, RequestClass
from app.domain.tenancy import serving_of

SOFT, LIMIT, BUDGET = "soft_budget", "limit", "budget"
DEFAULT_CLASSES = frozenset({"auxiliary", "subagent"})
"""Those whose answers nobody reads as such: titles, summaries, helpers of an agent."""
MOST_RUNGS = 10
_CLASSES = frozenset(get_args(RequestClass))
_FIELDS = ("to", "at", "classes", "models")


@dataclass(frozen=True, slots=True)
class Rung:
    """``to`` is the model that is served, ``at`` per cent of a budget, ``soft_budget``, ``limit``, or ``budget``: when
    one refuses. ``classes`` None are all; ``models`` are names or patterns of those asked for, none is all."""

    to: str
    at: int | str
    classes: frozenset[str] | None = DEFAULT_CLASSES
    models: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """``80%``, or the word."""
        return f"{self.at}%" if isinstance(self.at, int) else self.at

    def is_for(self, request_class: str, model: Model) -> bool:
        if self.classes is not None and request_class not in self.classes:
            return False
        return not self.models or any(names_model(pattern, model) for pattern in self.models)

    def is_reached(self, standings: Iterable[BudgetStanding]) -> bool:
        """By what is spent of any budget but a deployment's; what only runs may yet be given back. Who
        passes has not reached a limit."""
        if self.at in (LIMIT, BUDGET):
            return False
        for standing in standings:
            claim, spent_nanousd = standing.claim, standing.spent_nanousd
            if claim.pace or serving_of(claim.scope) is not None:
                continue
            if isinstance(self.at, int):
                reached = spent_nanousd * 100 >= claim.limit_nanousd * self.at
            else:
                reached = claim.soft_nanousd is not None and spent_nanousd >= claim.soft_nanousd
            if reached:
                return True
        return False


def parse_step_down(value: object) -> tuple[Rung, ...]:
    """Of ``step_down`` in metadata: one rung or a list, the first that applies counts. Raises ValueError."""
    entries = value if isinstance(value, list) else [value]
    if len(entries) > MOST_RUNGS:
        raise ValueError(f"it has {len(entries)} entries; at most {MOST_RUNGS}")
    return tuple(map(_rung, entries))


def has_policy(principal: Principal) -> bool:
    team = principal.team
    return (
        "step_down" in principal.key.metadata
        or bool(principal.key.budget_fallbacks)
        or (team is not None and "step_down" in team.metadata)
    )


def rungs_of(principal: Principal) -> tuple[Rung, ...]:
    """The key's, then its team's."""
    team = principal.team
    of_team = () if team is None else _of_metadata(team.metadata)
    return (*_of_metadata(principal.key.metadata), *fallback_rungs(principal.key.budget_fallbacks), *of_team)


def fallback_rungs(fallbacks: Mapping[str, Sequence[str]]) -> tuple[Rung, ...]:
    """Of LiteLLM's ``budget_fallbacks``: a model, and those that serve instead, in order, once a budget is spent."""
    return tuple(Rung(to, BUDGET, None, (model,)) for model, others in fallbacks.items() for to in others)


def _of_metadata(metadata: Mapping[str, Any]) -> tuple[Rung, ...]:
    """What makes no sense was written past the admin's routes, and is left out."""
    value = metadata.get("step_down")
    try:
        return () if value is None else parse_step_down(value)
    except ValueError:
        return ()


def _rung(entry: object) -> Rung:
    if not isinstance(entry, Mapping):
        raise ValueError('it must be an object such as {"to": "claude-haiku-4-5", "at": 80}')  # noqa: TRY004
    for name in entry:
        if name not in _FIELDS:
            raise ValueError(f'"{str(name)[:64]}" is not known; there are {", ".join(_FIELDS)}')
    to = entry.get("to")
    if not isinstance(to, str) or not to:
        raise ValueError('"to" must name the model that is served instead')
    return Rung(to, _at(entry.get("at")), _classes(entry), _models(entry))


def _at(at: object) -> int | str:
    if at in (SOFT, LIMIT, BUDGET):
        return str(at)
    if type(at) is int and 1 <= at <= 100:
        return at
    raise ValueError(f'"at" must be per cent of a budget from 1 to 100, "{SOFT}", "{LIMIT}" or "{BUDGET}"')


def _classes(entry: Mapping[str, Any]) -> frozenset[str] | None:
    classes = entry.get("classes")
    if classes is None:
        return DEFAULT_CLASSES
    if classes == "all":
        return None
    if not isinstance(classes, list) or not classes or not _CLASSES.issuperset(map(str, classes)):
        raise ValueError(f'"classes" must be "all", or a list of: {", ".join(sorted(_CLASSES))}')
    return frozenset(map(str, classes))


def _models(entry: Mapping[str, Any]) -> tuple[str, ...]:
    models: Sequence[object] = entry.get("models") or []
    if not isinstance(models, list) or not all(isinstance(one, str) and one for one in models):
        raise ValueError('"models" must be a list of names or patterns of models')
    return tuple(map(str, models))
