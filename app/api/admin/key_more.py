"""Further key routes: names, service accounts, and counting anew."""

from dataclasses import replace
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from msgspec import UNSET

from app.admin.key_reading import KeyReading
from app.admin.keys import Keys
from app.api.admin.answers import answer, number, optional_number
from app.api.admin.fields import MOST_BODY_BYTES, check_names, is_null, read_amount, read_body
from app.api.admin.key_answers import render_issued
from app.api.admin.key_fields import read_generate
from app.api.admin.queries import read_number, read_query
from app.api.security import Access
from app.base.errors import Unprocessable
from app.storage.postgres.keys import KeyFilter

AnyRequest = Request[Any, Any, Any]
LARGEST_PAGE = 1_000
LAST_PAGE = 1_000_000


class MoreKeyRoutes(Controller):
    """Each works on the keys that the caller's roles reach."""

    request_max_body_size = MOST_BODY_BYTES

    @get("/key/aliases")
    async def aliases(
        self, request: AnyRequest, access: NamedDependency[Access], key_reading: NamedDependency[KeyReading]
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        query = read_query(request, ("page", "size", "search", "team_id"))
        page, size = read_number(query, "page", 1, LAST_PAGE), read_number(query, "size", 50, LARGEST_PAGE)
        wanted = KeyFilter(team_id=query.get("team_id"), key_alias=query.get("search"), alias_is_substring=True)
        found, total = await key_reading.aliases(caller.tenant, wanted, page, size)
        return answer(
            {
                "aliases": found,
                "total_count": total,
                "current_page": page,
                "total_pages": -(-total // size),
                "size": size,
            }
        )

    @post("/key/service-account/generate", status_code=200)
    async def generate_service_account(
        self, request: AnyRequest, access: NamedDependency[Access], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        """A key of a team and of no person: it goes on working when people leave."""
        actor = (await access.require_caller(request)).actor
        body = await read_body(request)
        if not is_null(body.get("user_id", b"null")):
            raise Unprocessable('"user_id": a service account belongs to no person; leave it out', param="user_id")
        if is_null(body.get("team_id", b"null")):
            raise Unprocessable('"team_id" is missing: a service account belongs to a team', param="team_id")
        terms, supplied = read_generate({name: raw for name, raw in body.items() if name != "user_id"})
        if isinstance(terms.key_alias, str):
            metadata = {} if terms.metadata is UNSET else terms.metadata
            terms = replace(terms, metadata={**metadata, "service_account_id": terms.key_alias})
        return answer(render_issued(await keys.generate(terms, actor, supplied)))

    @post("/key/{name:str}/reset_spend", status_code=200)
    async def reset_spend(
        self, request: AnyRequest, access: NamedDependency[Access], keys: NamedDependency[Keys]
    ) -> Response[bytes]:
        actor = (await access.require_caller(request)).actor
        body = await read_body(request)
        check_names(body, {"reset_to"}, ())
        raw = body.get("reset_to", b"null")
        if is_null(raw):
            raise Unprocessable('"reset_to" is missing; give 0', param="reset_to")
        if read_amount("reset_to", raw) != 0:
            raise Unprocessable(
                '"reset_to" must be 0: receipts are never changed, a budget can only begin to count anew',
                param="reset_to",
            )
        before, after = await keys.reset_spend(request.path_params["name"], actor)
        return answer(
            {
                "key_hash": after.key.key_id,
                "spend": number(after.spend_nanousd),
                "previous_spend": number(before.spend_nanousd),
                "total_spend": number(after.total_spend_nanousd),
                "max_budget": optional_number(after.key.limit_nanousd),
                "budget_reset_at": after.budget_resets_at,
            }
        )
