"""What a key may use: its own allow-list, within its team's."""

import pytest

from app.domain.access import Principal, may_call_route, may_use_model, visible_models
from app.domain.catalog import Catalog
from tests.domain.records import model, team, virtual_key

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
