"""Who is calling, and what they may use."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from app.domain.catalog import PICKER_PREFIX, Catalog, Deployment, Model
from app.domain.keys import VirtualKey
from app.domain.teams import Team
from app.domain.tenancy import Level

EVERY_MODEL = {"all-proxy-models", "*"}
TEAM_MODELS = "all-team-models"
NO_MODELS = "no-default-models"

ROUTE_GROUPS: dict[str, tuple[str, ...]] = {
    "llm_api_routes": (
        "/v1/messages*", "/messages*", "/v1/chat/completions", "/chat/completions", "/v1/completions", "/completions",
        "/v1/responses*", "/responses*", "/v1/embeddings", "/embeddings", "/v1/images/*", "/images/*",
        "/v1/models*", "/models*", "/v1beta/models/*", "/anthropic/*", "/api/oauth/usage", "/managed/settings",
        "/v1/metrics", "/v1/logs", "/v1/traces",
    ),
    "anthropic_routes": (
        "/v1/messages*", "/messages*", "/v1/models*", "/models*", "/anthropic/*", "/api/oauth/usage",
        "/managed/settings", "/v1/metrics", "/v1/logs", "/v1/traces",
    ),
    "openai_routes": (
        "/v1/chat/completions", "/chat/completions", "/v1/completions", "/completions", "/v1/responses*", "/responses*",
        "/v1/embeddings", "/embeddings", "/v1/images/*", "/images/*", "/v1/models*", "/models*",
    ),
    "info_routes": ("/key/info", "/key/list", "/team/info", "/team/list", "/v1/models*", "/models*", "/spend/logs"),
    "management_routes": ("/key/*", "/team/*"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Principal:
    """A key, the team it belongs to, and what the levels above it set. ``is_admin`` is true of the master key alone.

    ``levels`` are those that set something, the nearest first: project, member, team, user, organization.
    ``budget_ids`` are of all budgets that any of them or the key names. ``own_login``: the caller brings its own login
    of the provider, with which its calls go out, and which pays.
    """

    key: VirtualKey
    team: Team | None = None
    is_admin: bool = False
    levels: tuple[Level, ...] = ()
    budget_ids: tuple[str, ...] = ()
    own_login: bool = False


def is_allowed(principal: Principal, model: Model) -> bool:
    """Whether every allow-list, the key's and those above it, holds the model, by name, wildcard or access group."""
    if principal.is_admin:
        return True
    for level in principal.levels:
        if not _lists(level.models, model, team_models=()):
            return False
    team_models = principal.team.models if principal.team is not None else ()
    return _lists(team_models, model, team_models=()) and _lists(principal.key.models, model, team_models=team_models)


def blocked_above(principal: Principal) -> str | None:
    """The title of a blocked level above the key: ``team "research"``."""
    if principal.team is not None and principal.team.blocked:
        return f'team "{principal.team.alias or principal.team.team_id}"'
    for level in principal.levels:
        if level.blocked:
            return level.title
    return None


def may_use_deployment(principal: Principal, deployment: Deployment) -> bool:
    """A deployment on one person's own credential serves that person's keys alone, and the master key. With a login of
    its own a caller reaches only those to which that may be sent, and one that is kept to a region those of the region:
    where nobody has said of a deployment where it is, it is nowhere."""
    if principal.own_login and not deployment.relays_logins:
        return False
    if any(region != deployment.region for region in _regions(principal)):
        return False
    owner = deployment.owner_user_id
    return owner is None or principal.key.user_id == owner or principal.is_admin


def usable_deployments(principal: Principal, model: Model) -> tuple[Deployment, ...]:
    plain = len(model.deployments) == 1 and model.deployments[0].owner_user_id is None and not principal.own_login
    if plain and not _regions(principal):
        return model.deployments
    return tuple(deployment for deployment in model.deployments if may_use_deployment(principal, deployment))


def kept_to_regions(principal: Principal) -> list[tuple[str, str]]:
    """Who is kept to a region, the nearest first, and to which: ``("this key", "eu")``."""
    own = [] if principal.key.region is None else [("this key", principal.key.region)]
    return [*own, *((level.title, level.region) for level in principal.levels if level.region is not None)]


def in_region(model: Model, region: str | None) -> bool:
    """Whether some deployment of the model is there; None is anywhere."""
    return region is None or any(deployment.region == region for deployment in model.deployments)


def _regions(principal: Principal) -> list[str]:
    found = [level.region for level in principal.levels if level.region is not None]
    return found if principal.key.region is None else [principal.key.region, *found]


def may_use_model(principal: Principal, model: Model) -> bool:
    """Whether the allow-lists hold the model, and some deployment of it serves this principal."""
    return is_allowed(principal, model) and any(
        may_use_deployment(principal, deployment) for deployment in model.deployments
    )


def visible_models(principal: Principal, catalog: Catalog) -> list[Model]:
    """The listed models that this principal may use, in the catalogue's order."""
    return [model for model in catalog.models if model.listed and may_use_model(principal, model)]


def usable_names(principal: Principal, catalog: Catalog) -> list[str]:
    """What a caller is told that it may use: the listed models; where that is none, those that no list shows, and the
    names of allow-lists that a wildcard serves."""
    if listed := visible_models(principal, catalog):
        return [model.name for model in listed]
    if unlisted := [model.name for model in catalog.models if may_use_model(principal, model)]:
        return unlisted
    written = (*principal.key.models, *(principal.team.models if principal.team is not None else ()))
    meant = {name: catalog.resolve(name) for name in written}
    return [name for name, model in meant.items() if model is not None and may_use_model(principal, model)]


def may_call_route(principal: Principal, path: str) -> bool:
    """Whether the key's ``allowed_routes`` hold the path: exactly, by wildcard, or by the name of a group."""
    routes = principal.key.allowed_routes
    if not routes:
        return True
    for route in routes:
        for pattern in ROUTE_GROUPS.get(route, (route,)):
            if path == pattern or fnmatchcase(path, pattern):
                return True
    return False


def names_model(pattern: str, model: Model) -> bool:
    """Whether a name, wildcard or access group stands for the model."""
    return _lists((pattern,), model, team_models=())


def lists(allowed: tuple[str, ...], model: Model) -> bool:
    """Whether an allow-list holds the model; an empty one holds all."""
    return _lists(allowed, model, team_models=())


def _lists(allowed: tuple[str, ...], model: Model, team_models: tuple[str, ...]) -> bool:
    if not allowed:
        return True
    for entry in allowed:
        if entry in model.names or entry in EVERY_MODEL or entry in model.access_groups:
            return True
        if entry == TEAM_MODELS and _lists(team_models, model, team_models=()):
            return True
        if "*" in entry and any(fnmatchcase(name, entry) for name in model.names):
            return True
        if entry == model.claude_code_name or entry.removeprefix(PICKER_PREFIX) in model.names:
            return True  # but no wildcard over names of the picker: "claude-*" would hold models of other makers
    return False
