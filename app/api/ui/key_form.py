"""The form of a new key: its fields become those of ``/key/generate``, and are read by the same reader."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.admin.key_terms import KeyTerms
from app.admin.people import Person
from app.api.admin.key_fields import read_generate
from app.api.ui.access import Form
from app.api.ui.forms import names_by_name
from app.api.ui.typed_numbers import EXAMPLES, WHOLE_EXAMPLES, plain_number
from app.base.errors import Unprocessable
from app.domain.catalog import Catalog, Model

LIFETIMES: Mapping[str, str] = {
    "": "Never", "1d": "After a day", "7d": "After a week", "30d": "After 30 days", "90d": "After 90 days",
    "365d": "After a year",
}  # fmt: skip
PERIODS: Mapping[str, str] = {
    "day": "a day", "week": "a week", "month": "a month", "quarter": "a quarter", "total": "in all"
}  # fmt: skip
GRACES: Mapping[str, str] = {
    "": "Stops at once", "1h": "Works for an hour more", "1d": "Works for a day more", "7d": "Works for a week more"
}  # fmt: skip
_TEXTS = ("key_alias", "team_id", "duration", "budget_duration", "allowed_model_region")
_NUMBERS = ("max_budget", "rpm_limit", "tpm_limit", "max_parallel_requests")
_LABELS = {
    "max_budget": "the budget", "rpm_limit": "requests a minute", "tpm_limit": "tokens a minute",
    "max_parallel_requests": "requests at the same time", "key_alias": "the name",
}  # fmt: skip


def read_new_key(form: Form, person: Person) -> KeyTerms:
    """Raises Unprocessable."""
    body = {name: msgspec.json.encode(form.text(name)) for name in _TEXTS if form.text(name)}
    body |= {name: _number(name, form.text(name)) for name in _NUMBERS if form.text(name)}
    if "max_budget" not in body:
        body.pop("budget_duration", None)
    if form.texts("models"):
        body["models"] = msgspec.json.encode(form.texts("models"))
    if form.text("budget_fallbacks"):
        body["budget_fallbacks"] = names_by_name("budget_fallbacks", form.text("budget_fallbacks"))
    if form.text("person") != "nobody":
        body["user_id"] = msgspec.json.encode(person.user_id)
    terms, _ = read_generate(body)
    return terms


def read_grace(form: Form) -> Mapping[str, bytes]:
    """The field of ``/key/regenerate`` for how long the old secret works."""
    grace = form.text("grace")
    return {"grace_period": msgspec.json.encode(grace)} if grace else {}


def models_for(person: Person, catalog: Catalog) -> list[Model]:
    """Those that the person may put on a key: not what others reach on credentials of their own."""
    if person.standing.role == "proxy_admin":
        return list(catalog.models)
    return [
        model
        for model in catalog.models
        if model.listed and any(one.owner_user_id in (None, person.user_id) for one in model.deployments)
    ]


def groups_of(models: Sequence[Model]) -> frozenset[str]:
    """A group that has the name of a model is that model in a list."""
    groups = {group for model in models for group in model.access_groups}
    return frozenset(groups - {model.name for model in models} if groups else groups)


def choices_of(models: Sequence[Model]) -> dict[str, Any]:
    """Their names, the access groups that stand for several of them, and the regions in which they are served."""
    regions = {one.region for model in models for one in model.deployments if one.region is not None}
    return {
        "model_names": [model.name for model in models],
        "groups": sorted(groups_of(models)),
        "regions": [(region, region) for region in sorted(regions)],
    }


def _number(name: str, typed: str) -> bytes:
    """As a number of JSON. Raises Unprocessable."""
    plain = plain_number(typed)
    if plain is None:
        examples = EXAMPLES if name == "max_budget" else WHOLE_EXAMPLES
        raise Unprocessable(f'{_LABELS[name]} is "{typed[:50]}"; give a number such as {examples}', param=name)
    return plain.encode()
