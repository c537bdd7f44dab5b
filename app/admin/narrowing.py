"""A lower level can only narrow: its limits and models, held against those of the level above when they are written."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from app.base.errors import Unprocessable
from app.domain.access import EVERY_MODEL, NO_MODELS, TEAM_MODELS, names_model
from app.domain.catalog import Catalog
from app.domain.step_down import fallback_rungs, parse_step_down

CurrentCatalog = Callable[[], Catalog]

# The columns of limits, and what they are called in requests.
_LIMITS = {
    "requests_per_minute": "rpm_limit",
    "tokens_per_minute": "tpm_limit",
    "tokens_per_day": "tpd_limit",
    "max_parallel_requests": "max_parallel_requests",
}
_BY_MODEL = {"model_requests_per_minute": "model_rpm_limit", "model_tokens_per_minute": "model_tpm_limit"}
# What stands for whatever the levels above allow, and what for nothing.
_NEVER_WIDER = {*EVERY_MODEL, TEAM_MODELS, NO_MODELS}


def check_narrower(written: Mapping[str, Any], above: Any, of: str, catalog: Catalog | None) -> None:  # noqa: ANN401  any stored row
    """Raises Unprocessable for a limit above that of the level ``above``, and for a model that it does not allow.

    ``written`` are the columns that are set; ``of`` names the level above in words.
    """
    for column, field in _LIMITS.items():
        limit, most = written.get(column), getattr(above, column)
        if limit is not None and most is not None and limit > most:
            raise Unprocessable(f'"{field}" is {limit}, above the {most} of {of}; give at most that', param=field)
    for column, field in _BY_MODEL.items():
        of_above = getattr(above, column)
        for model, limit in (written.get(column) or {}).items():
            if limit > (most := of_above.get(model, limit)):
                raise Unprocessable(
                    f'"{field}" of "{model}" is {limit}, above the {most} of {of}; give at most that', param=field
                )
    region, kept_to = written.get("allowed_model_region"), getattr(above, "allowed_model_region", None)
    if region is not None and kept_to is not None and region != kept_to:
        raise Unprocessable(
            f'"allowed_model_region" is "{region}", and {of} is kept to "{kept_to}"; leave it out',
            param="allowed_model_region",
        )
    allowed = getattr(above, "models", ())
    for entry in written.get("models") or () if allowed else ():
        if not _is_within(entry, allowed, catalog):
            raise Unprocessable(
                f'"models" holds "{entry}", which {of} may not use; it may use: {", ".join(allowed[:20])}',
                param="models",
            )


def check_step_down(written: Mapping[str, Any], models: Sequence[str], catalog: Catalog | None) -> None:
    """Raises Unprocessable for a policy or fallback to what is no model here, or none of its owner's ``models``."""
    if catalog is None:
        return
    policy = (written.get("metadata") or {}).get("step_down")
    stepped = () if policy is None else parse_step_down(policy)
    named = [("step_down", "metadata", rung.to) for rung in stepped]
    fallbacks = fallback_rungs(written.get("budget_fallbacks") or {})
    named += [("budget_fallbacks", "budget_fallbacks", rung.to) for rung in fallbacks]
    for word, field, model in named:
        if catalog.resolve(model) is None:
            raise Unprocessable(f'"{word}" names "{model}", which is no model here; see GET /v1/models', param=field)
        if models and TEAM_MODELS not in models and not _is_within(model, models, catalog):
            raise Unprocessable(
                f'"{word}" names "{model}", which "models" does not hold: {", ".join(models[:20])}; add it there',
                param=field,
            )


def _is_within(entry: str, allowed: Sequence[str], catalog: Catalog | None) -> bool:
    if entry in _NEVER_WIDER or entry in allowed or not EVERY_MODEL.isdisjoint(allowed):
        return True
    if any("*" in one and fnmatchcase(entry, one) for one in allowed):
        return True
    if catalog is None:
        return False
    model = catalog.resolve(entry)
    meant = [model] if model is not None else [one for one in catalog.models if entry in one.access_groups]
    return bool(meant) and all(any(names_model(one, each) for one in allowed) for each in meant)
