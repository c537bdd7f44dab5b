"""Whose rows a request names, in its path, query and body: of a caller who does not reach everything, all its own."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from litestar import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from app.api.admin.fields import read_body
from app.base.errors import Forbidden, InvalidRequest, NotFound, Unprocessable
from app.domain.roles import Rule, Tenant
from app.storage.postgres.tenants import belong_to

_KINDS = {
    "team_id": "team_id", "team_ids": "team_id", "teams": "team_id",
    "organization_id": "organization_id", "organization_ids": "organization_id", "organizations": "organization_id",
    "user_id": "user_id", "user_ids": "user_id", "admins": "user_id", "members": "user_id",
}  # fmt: skip
_BY_ADDRESS = "user_email"
_OPEN = frozenset({"metadata"})
"""What callers may write anything into."""
_DEEPEST = 16


async def check_named(connection: AsyncConnection, request: Request[Any, Any, Any], rule: Rule, tenant: Tenant) -> None:
    """Raises NotFound for what belongs to others, as if it did not exist; Unprocessable when nothing is named that
    the rule asks for; Forbidden for people named by address, and for taking a thing out of where it belongs."""
    named = [*request.path_params.items(), *request.query_params.multi_items()]
    named += [(name, _decode(raw)) for name, raw in (await read_body(request)).items()]
    found: dict[str, set[str]] = {kind: set() for kind in _KINDS.values()}
    for name, value in _walk(named, 0):
        if name == _BY_ADDRESS:
            raise Forbidden('people may be named by "user_id" only, unless by a proxy_admin', param=name)
        if value is None:
            raise Forbidden(f'only a proxy_admin may leave "{name}" empty', param=name)
        found[_KINDS[name]].add(value)
    for name in rule.named:
        if not found[name]:
            raise Unprocessable(f'"{name}" is missing: name which of yours is meant', param=name)
    reached = {"team_id": tenant.team_ids, "organization_id": tenant.organization_ids}
    for name, ids in reached.items():
        if not found[name] <= ids:
            raise _unknown(name, found[name] - ids)
    if found["user_id"] and not await belong_to(connection, tenant, found["user_id"]):
        raise _unknown("user_id", found["user_id"])


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
            elif (name in _KINDS or name == _BY_ADDRESS) and (one is None or isinstance(one, str)):
                yield name, one


def _decode(raw: bytes) -> Any:  # noqa: ANN401  JSON
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body cannot be read as JSON: {error}") from error


def _unknown(name: str, ids: Iterable[str]) -> NotFound:
    return NotFound(f'no such {name.removesuffix("_id")}: "{min(ids)}"', param=name)
