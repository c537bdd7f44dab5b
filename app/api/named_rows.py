"""Whose rows a request names, in its path, query and body: of a caller who does not reach everything, all its own."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from app.api.admin.fields import Body, not_json, read_body
from app.base.errors import Forbidden, InvalidRequest, NotFound, Unprocessable
from app.domain.roles import Rule, Tenant
from app.storage.postgres.tenants import belong_to

_KINDS = {
    "team_id": "team_id", "team_ids": "team_id", "teams": "team_id",
    "organization_id": "organization_id", "organization_ids": "organization_id", "organizations": "organization_id",
    "user_id": "user_id", "user_ids": "user_id", "admins": "user_id", "members": "user_id",
}  # fmt: skip
_BY_ADDRESS, _BUDGET = "user_email", "budget_id"
_OPEN = frozenset({"metadata"})
"""What callers may write anything into."""
_DEEPEST = 16


async def check_named(connection: AsyncConnection, request: Request[Any, Any, Any], rule: Rule, tenant: Tenant) -> None:
    """As ``check_named_fields``, of all that the request says."""
    named = [*request.path_params.items(), *_query(request)]
    await check_named_fields(connection, named, await read_body(request), rule, tenant)


async def check_named_fields(
    connection: AsyncConnection, further: Iterable[tuple[str, Any]], body: Body, rule: Rule, tenant: Tenant
) -> None:
    """Raises NotFound for what belongs to others, as if it did not exist; Unprocessable when nothing is named that
    the rule asks for; Forbidden for people named by address, and for taking a thing out of where it belongs."""
    found = _sort(_walk([*further, *((name, _decode(raw)) for name, raw in body.items())], 0))
    for name in rule.named:
        if not found[name]:
            raise Unprocessable(f'"{name}" is missing: name which of yours is meant', param=name)
    reached = {"team_id": tenant.team_ids, "organization_id": tenant.organization_ids}
    for name, ids in reached.items():
        if not found[name] <= ids:
            raise _unknown(name, found[name] - ids)
    if found["user_id"] and not await belong_to(connection, tenant, found["user_id"]):
        raise _unknown("user_id", found["user_id"])


def _sort(fields: Iterable[tuple[str, str | None]]) -> dict[str, set[str]]:
    """The ids that are named, by kind."""
    found: dict[str, set[str]] = {kind: set() for kind in _KINDS.values()}
    for name, value in fields:
        if name == _BY_ADDRESS:
            raise Forbidden('people may be named by "user_id" only, unless by a proxy_admin', param=name)
        if name == _BUDGET:
            if value is not None:
                raise Forbidden(f'only a proxy_admin may give a shared budget by "{name}"', param=name)
        elif value is None:
            raise Forbidden(f'only a proxy_admin may leave "{name}" empty', param=name)
        else:
            found[_KINDS[name]].add(value)
    return found


def _walk(pairs: Iterable[tuple[str, Any]], depth: int) -> Iterator[tuple[str, str | None]]:
    """The fields that name somebody's rows, wherever they stand."""
    if depth > _DEEPEST:
        raise InvalidRequest(f"the body is nested deeper than {_DEEPEST} levels")
    for name, value in pairs:
        if name in _OPEN:
            continue
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, dict):
                yield from _walk(one.items(), depth + 1)
            elif (name in _KINDS or name in (_BY_ADDRESS, _BUDGET)) and (one is None or isinstance(one, str)):
                yield name, one


def _query(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """As app.api.admin.queries reads it, with every value of a name that stands twice."""
    try:
        return parse_qsl(request.scope["query_string"].decode("latin-1"), max_num_fields=50)
    except ValueError as error:
        raise Unprocessable("the query has more than 50 parameters") from error


def _decode(raw: bytes) -> Any:  # noqa: ANN401  JSON
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise not_json(error, raw) from error


def _unknown(name: str, ids: Iterable[str]) -> NotFound:
    return NotFound(f'no such {name.removesuffix("_id")}: "{min(ids)}"', param=name)
