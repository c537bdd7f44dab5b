"""The key routes, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.key_reading import KeyReading, shown
from app.admin.keys import Keys
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, Body, check_names, is_null, read_body, read_texts
from app.api.admin.key_answers import render_info, render_issued, render_row
from app.api.admin.key_fields import read_generate, read_regenerate, read_update, require_key
from app.api.admin.queries import Query, read_choice, read_number, read_query, read_query_flag
from app.api.security import Access
from app.base.errors import NotFound, Unprocessable
from app.storage.postgres.keys import SORT_COLUMNS, KeyFilter, Page

AnyRequest = Request[Any, Any, Any]
LARGEST_PAGE = 100
LAST_PAGE = 1_000_000
_LIST_PARAMETERS = (
    "page",
    "size",
    "user_id",
    "team_id",
    "key_alias",
    "key_hash",
    "status",
    "sort_by",
    "sort_order",
    "return_full_object",
    "substring_matching",
    "organization_id",
    "project_id",
    "access_group_id",
    "search",
    "include_team_keys",
    "include_created_by_keys",
)


class KeyRoutes(Controller):
    """Each works on the keys that the caller's roles reach (app.domain.roles); others do not exist for it."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/key/generate", status_code=200)
    async def generate(
        self, request: AnyRequest, access: NamedDependency[Access], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        actor = (await access.require_caller(request)).actor
        terms, supplied = read_generate(await read_body(request))
        return answer(render_issued(await keys.generate(terms, actor, supplied)))

    @post("/key/update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        actor = (await access.require_caller(request)).actor
        reference, terms = read_update(await read_body(request))
        view = await keys.update(reference, terms, actor)
        return answer({"key": reference, **render_row(view)})

    @post(["/key/regenerate", "/key/{name:str}/regenerate"], status_code=200)
    async def regenerate(
        self, request: AnyRequest, access: NamedDependency[Access], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        actor = (await access.require_caller(request)).actor
        named = request.path_params.get("name") or read_query(request, ("key",)).get("key")
        reference, terms, supplied, grace = read_regenerate(await read_body(request), named)
        return answer(render_issued(await keys.regenerate(reference, terms, actor, supplied=supplied, grace=grace)))

    @post("/key/block", status_code=200)
    async def block(
        self, request: AnyRequest, access: NamedDependency[Access], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        actor = (await access.require_caller(request)).actor
        reference = _read_key(await read_body(request))
        return answer(render_row(await keys.block(reference, actor, blocked=True)))

    @post("/key/unblock", status_code=200)
    async def unblock(
        self, request: AnyRequest, access: NamedDependency[Access], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        actor = (await access.require_caller(request)).actor
        reference = _read_key(await read_body(request))
        return answer(render_row(await keys.block(reference, actor, blocked=False)))

    @post("/key/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        actor = (await access.require_caller(request)).actor
        body = await read_body(request)
        check_names(body, {"keys", "key_aliases"}, ())
        named = {name: read_texts(name, raw) for name, raw in body.items() if not is_null(raw)}
        if not any(named.values()):
            raise Unprocessable('name what to delete: "keys" or "key_aliases", each a list of texts', param="keys")
        deleted = await keys.delete(named.get("keys", ()), named.get("key_aliases", ()), actor)
        return answer({"deleted_keys": deleted})

    @get("/key/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], key_reading: NamedDependency[KeyReading]
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        reference = read_query(request, ("key",)).get("key")
        own = None if caller.principal is None else caller.principal.key
        if reference is None:
            if own is None:
                raise Unprocessable("the master key has no row of its own; add ?key=… to name a key", param="key")
            reference = own.key_id
        view = await key_reading.find(reference, caller.tenant)
        if view is None:
            raise NotFound(f'no such key: "{shown(reference)}"; see GET /key/list', param="key")
        return answer({"key": reference, "info": render_info(view, await key_reading.parts(view.key))})

    @get("/key/list")
    async def list_keys(
        self, request: AnyRequest, access: NamedDependency[Access], key_reading: NamedDependency[KeyReading]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, _LIST_PARAMETERS)
        page = _read_page(query)
        whole = read_query_flag(query, "return_full_object", default=False)
        for name in ("include_team_keys", "include_created_by_keys"):
            if read_query_flag(query, name, default=False) and "user_id" in query:
                raise Unprocessable(
                    f'"{name}" beside "user_id" is not built; without "user_id" all keys that you may see are listed',
                    param=name,
                )
        key_hash = query.get("key_hash")
        wanted = KeyFilter(
            key_id=None if key_hash is None else await key_reading.find_id(key_hash),
            user_id=query.get("user_id"),
            team_id=query.get("team_id"),
            organization_id=query.get("organization_id"),
            project_id=query.get("project_id"),
            access_group_id=query.get("access_group_id"),
            key_alias=query.get("key_alias"),
            alias_is_substring=read_query_flag(query, "substring_matching", default=False),
            search=query.get("search"),
            status=read_choice(query, "status", ("active", "blocked", "expired", "deleted")),
        )
        found, total = await key_reading.list(tenant, wanted, page)
        return answer(
            {
                "keys": [render_row(view) if whole else view.key.key_id for view in found],
                "total_count": total,
                "current_page": page.number,
                "total_pages": -(-total // page.size),
            }
        )


def _read_key(body: Body) -> str:
    check_names(body, {"key"}, ())
    return require_key(body)


def _read_page(query: Query) -> Page:
    order = read_choice(query, "sort_order", ("asc", "desc"))
    return Page(
        read_number(query, "page", 1, LAST_PAGE),
        read_number(query, "size", 10, LARGEST_PAGE),
        read_choice(query, "sort_by", SORT_COLUMNS.keys()) or "created_at",
        descending=order != "asc",
    )
