"""Every admin and finance route for every role, on own rows and on another tenant's; made from the route table."""

from typing import Any, get_args

import pytest
from litestar import Litestar

from app.api.admin.routes import admin_dependencies, admin_routes
from app.domain.roles import ACTIONS, RULES, Role, is_public, rule_for

ROLES: tuple[Role, ...] = get_args(Role)


def route_table() -> list[tuple[str, str]]:
    """Method and path of every route that is not open to all."""
    nothing: Any = type("Nothing", (), {"pepper": b"none"})()
    app = Litestar(
        route_handlers=admin_routes(),
        dependencies=admin_dependencies(nothing, nothing, "sk-nothing"),
        openapi_config=None,
    )
    found = []
    for route in app.routes:
        methods: set[str] = set(getattr(route, "methods", ())) - {"OPTIONS", "HEAD"}
        found += [(method, route.path_format) for method in sorted(methods)]
    return sorted(route for route in found if not is_public(route[1]))


ROUTES = route_table()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_each_route_has_a_rule(method: str, path: str) -> None:
    rule = rule_for(method, path)
    assert rule is not None, f"{method} {path} has no rule in app/domain/roles.py: it is the master key's alone"
    assert rule.action in ACTIONS


def test_the_rules_name_actions_that_there_are_and_each_action_says_what_each_role_reaches() -> None:
    assert {rule.action for rule in RULES} == set(ACTIONS)
    for reaches in ACTIONS.values():
        assert set(reaches) == set(ROLES)
        assert reaches["proxy_admin"] in ("all", "own")
