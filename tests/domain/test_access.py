"""What a key may use: its own allow-list, within its team's."""

import pytest

from app.domain.access import (
    Principal,
    blocked_above,
    may_call_route,
    may_use_deployment,
    may_use_model,
    usable_deployments,
    usable_names,
    visible_models,
)
from app.domain.catalog import Catalog
from app.domain.tenancy import Level, LevelKind
from tests.domain.records import deployment, model, team, virtual_key

OPUS = model("claude-opus-4-5", access_groups=("premium",), other_names=("anthropic/claude-opus-4-5",))
ANY = ()


@pytest.mark.parametrize(
    ("team_models", "key_models", "allowed"),
    [
        (ANY, ANY, True),
        (ANY, ("claude-opus-4-5",), True),
        (ANY, ("claude-opus-4",), False),
        (ANY, ("claude-opus-4-5-20251101",), False),
        (ANY, ("anthropic/claude-opus-4-5",), True),
        (ANY, ("anthropic/*",), True),
        (ANY, ("claude-*",), True),
        (ANY, ("CLAUDE-*",), False),
        (ANY, ("gpt-*", "*-4-5"), True),
        (ANY, ("*",), True),
        (ANY, ("all-proxy-models",), True),
        (ANY, ("premium",), True),
        (ANY, ("cheap",), False),
        (ANY, ("no-default-models",), False),
        (ANY, ("all-team-models",), True),
        (("claude-opus-4-5",), ANY, True),
        (("gpt-5",), ANY, False),
        (("gpt-5",), ("claude-opus-4-5",), False),
        (("gpt-5",), ("*",), False),
        (("claude-*",), ("claude-opus-4-5",), True),
        (("claude-*",), ("gpt-5",), False),
        (("claude-*",), ("all-team-models",), True),
        (("gpt-5",), ("all-team-models",), False),
        (("premium",), ("all-team-models",), True),
    ],
)
def test_both_lists_must_hold_the_model(
    team_models: tuple[str, ...], key_models: tuple[str, ...], allowed: bool
) -> None:
    principal = Principal(virtual_key(models=key_models), team(models=team_models))

    assert may_use_model(principal, OPUS) is allowed


def level(kind: LevelKind, *models: str, blocked: bool = False) -> Level:
    return Level(kind, f"{kind}:x", f'{kind} "x"', models, blocked=blocked)


@pytest.mark.parametrize(
    ("organization", "team_models", "user", "key_models", "allowed"),
    [
        (ANY, ANY, ANY, ANY, True),
        (("claude-*",), ("premium",), ("*",), ("claude-opus-4-5",), True),
        (("gpt-5",), ANY, ANY, ANY, False),
        (ANY, ANY, ("gpt-5",), ("claude-opus-4-5",), False),
        (("gpt-5",), ("*",), ("*",), ("*",), False),
        (ANY, ("claude-*",), ("no-default-models",), ("all-team-models",), False),
    ],
)
def test_every_list_above_must_hold_the_model_too(
    organization: tuple[str, ...],
    team_models: tuple[str, ...],
    user: tuple[str, ...],
    key_models: tuple[str, ...],
    allowed: bool,
) -> None:
    levels = (level("team", *team_models), level("user", *user), level("organization", *organization))
    principal = Principal(virtual_key(models=key_models), team(models=team_models), levels=levels)

    assert may_use_model(principal, OPUS) is allowed


def test_the_nearest_blocked_level_is_named() -> None:
    user, organization = level("user", blocked=True), level("organization", blocked=True)

    assert blocked_above(Principal(virtual_key(), team(), levels=(level("user", "a"),))) is None
    assert blocked_above(Principal(virtual_key(), team(), levels=(user, organization))) == 'user "x"'
    assert blocked_above(Principal(virtual_key(), team(alias="red", blocked=True), levels=(user,))) == 'team "red"'


def test_a_key_without_a_team_has_its_own_list_alone() -> None:
    assert may_use_model(Principal(virtual_key(models=("claude-opus-4-5",))), OPUS)
    assert not may_use_model(Principal(virtual_key(models=("gpt-5",))), OPUS)


def test_the_admin_may_use_every_model() -> None:
    assert may_use_model(Principal(virtual_key(models=("no-default-models",)), is_admin=True), OPUS)


def test_only_listed_models_that_are_allowed_are_shown_in_order() -> None:
    catalog = Catalog((model("b"), model("a"), model("hidden", listed=False), model("x/*", listed=False)))

    assert [shown.name for shown in visible_models(Principal(virtual_key()), catalog)] == ["b", "a"]
    assert [shown.name for shown in visible_models(Principal(virtual_key(models=("a",))), catalog)] == ["a"]


@pytest.mark.parametrize(
    ("key_models", "named"),
    [
        (("a", "demo/echo"), ["a"]),
        (("demo/echo",), ["demo/echo"]),
        (("x/*",), ["x/*"]),
        (("x/large", "nowhere"), ["x/large"]),
        (("nowhere",), []),
    ],
)
def test_a_caller_is_told_what_no_list_shows_where_it_may_use_nothing_else(
    key_models: tuple[str, ...], named: list[str]
) -> None:
    catalog = Catalog((model("a"), model("demo/echo", listed=False), model("x/*", listed=False)))

    assert usable_names(Principal(virtual_key(models=key_models)), catalog) == named


@pytest.mark.parametrize(
    ("owner", "user", "admin", "allowed"),
    [
        (None, None, False, True),
        (None, "ada", False, True),
        ("ada", "ada", False, True),
        ("ada", "bob", False, False),
        ("ada", "Ada", False, False),
        ("ada", None, False, False),
        ("ada", None, True, True),
    ],
)
def test_a_personal_credential_serves_its_owners_keys_alone(
    owner: str | None, user: str | None, admin: bool, allowed: bool
) -> None:
    principal = Principal(virtual_key(user_id=user), is_admin=admin)

    assert may_use_deployment(principal, deployment("claude-opus-4-5", owner_user_id=owner)) is allowed


def test_a_model_is_usable_and_shown_where_one_of_its_deployments_is() -> None:
    of_ada, shared = deployment("claude-opus-4-5", owner_user_id="ada"), deployment("claude-sonnet-4-5")
    personal, mixed = model("personal", of_ada), model("mixed", of_ada, shared)
    catalog = Catalog((personal, mixed))
    ada, bob = Principal(virtual_key(user_id="ada")), Principal(virtual_key(user_id="bob"))

    assert [shown.name for shown in visible_models(ada, catalog)] == ["personal", "mixed"]
    assert [shown.name for shown in visible_models(bob, catalog)] == ["mixed"]
    assert (may_use_model(bob, personal), may_use_model(bob, mixed)) == (False, True)
    assert usable_deployments(bob, mixed) == (shared,)
    assert not may_use_model(Principal(virtual_key(user_id="ada", models=("mixed",))), personal)


@pytest.mark.parametrize(
    ("routes", "path", "allowed"),
    [
        ((), "/key/generate", True),
        (("/v1/messages",), "/v1/messages", True),
        (("/v1/messages",), "/v1/messages/count_tokens", False),
        (("/v1/*",), "/v1/chat/completions", True),
        (("llm_api_routes",), "/v1/chat/completions", True),
        (("llm_api_routes",), "/anthropic/v1/files", True),
        (("llm_api_routes",), "/key/generate", False),
        (("anthropic_routes",), "/v1/chat/completions", False),
        (("openai_routes",), "/v1/messages", False),
        (("info_routes",), "/key/info", True),
        (("info_routes",), "/key/delete", False),
        (("management_routes", "info_routes"), "/key/delete", True),
    ],
)
def test_routes_are_allowed_by_path_wildcard_or_group(routes: tuple[str, ...], path: str, allowed: bool) -> None:
    assert may_call_route(Principal(virtual_key(allowed_routes=routes)), path) is allowed
