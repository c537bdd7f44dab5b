"""The audit routes, with LiteLLM's paths, parameters and answers, and more of each row than LiteLLM keeps."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.audit import AuditTrail
from app.api.admin.answers import answer
from app.api.admin.queries import Query, read_choice, read_number, read_query
from app.api.finance.dates import read_days
from app.api.security import Access
from app.base.errors import Unprocessable
from app.storage.postgres.audit import AuditFilter, StoredEntry

AnyRequest = Request[Any, Any, Any]
LARGEST_PAGE = 1_000
LAST_PAGE = 1_000_000
_PARAMETERS = (
    "page", "page_size", "sort_by", "sort_order", "start_date", "end_date", "timezone", "actor", "action", "changed_by",
    "changed_by_api_key", "object_type", "table_name", "object_id",
)  # fmt: skip
TABLE_NAMES = {
    "budget": "LiteLLM_BudgetTable",
    "customer": "LiteLLM_EndUserTable",
    "key": "LiteLLM_VerificationToken",
    "model": "LiteLLM_ProxyModelTable",
    "organization": "LiteLLM_OrganizationTable",
    "project": "LiteLLM_ProjectTable",
    "tag": "LiteLLM_TagTable",
    "team": "LiteLLM_TeamTable",
    "user": "LiteLLM_UserTable",
}
_OBJECT_TYPES = {name: object_type for object_type, name in TABLE_NAMES.items()}


class AuditRoutes(Controller):
    """Who changed what."""

    @get("/audit")
    async def list_rows(
        self, request: AnyRequest, access: NamedDependency[Access], audit_trail: NamedDependency[AuditTrail]
    ) -> Response[bytes]:
        await access.require_admin(request)
        query = read_query(request, _PARAMETERS)
        read_choice(query, "sort_by", ("updated_at",))
        page, size = read_number(query, "page", 1, LAST_PAGE), read_number(query, "page_size", 10, LARGEST_PAGE)
        oldest_first = read_choice(query, "sort_order", ("asc", "desc")) == "asc"
        found, total = await audit_trail.list(_read_filter(query), page, size, oldest_first=oldest_first)
        rows = [_render(stored) for stored in found]
        pages = -(-total // size)
        return answer({"audit_logs": rows, "total": total, "page": page, "page_size": size, "total_pages": pages})

    @get("/audit/verify")
    async def verify(
        self, request: AnyRequest, access: NamedDependency[Access], audit_trail: NamedDependency[AuditTrail]
    ) -> Response[bytes]:
        await access.require_admin(request)
        read_query(request, ("audit",))
        verdict = await audit_trail.verify()
        faults = [
            {"sequence": fault.sequence, "id": fault.audit_id, "reason": fault.reason} for fault in verdict.faults
        ]
        return answer(
            {
                "whole": not faults,
                "checked": verdict.checked,
                "unchained": verdict.unchained,
                "head": {"sequence": verdict.head_sequence, "hash": verdict.head_hash.hex()},
                "faults": faults,
            }
        )

    @get("/audit/{audit_id:str}")
    async def one(
        self, request: AnyRequest, access: NamedDependency[Access], audit_trail: NamedDependency[AuditTrail]
    ) -> Response[bytes]:
        await access.require_admin(request)
        audit_id = request.path_params["audit_id"]
        if "\0" in audit_id:
            raise Unprocessable('"id" holds a NUL character', param="id")
        return answer(_render(await audit_trail.get(audit_id)))


def _read_filter(query: Query) -> AuditFilter:
    days = read_days(query)
    return AuditFilter(
        since=days.since,
        until=days.until,
        actor=query.get("actor"),
        actor_key_id=query.get("changed_by_api_key"),
        changed_by=query.get("changed_by"),
        action=query.get("action"),
        object_type=_read_object_type(query),
        object_id=query.get("object_id"),
    )


def _read_object_type(query: Query) -> str | None:
    """``object_type``, or LiteLLM's ``table_name`` for the same."""
    name = query.get("table_name")
    if name is None:
        return query.get("object_type")
    object_type = _OBJECT_TYPES.get(name, name)
    if query.get("object_type", object_type) != object_type:
        raise Unprocessable('"table_name" and "object_type" name different things; give one', param="table_name")
    return object_type


def _render(stored: StoredEntry) -> dict[str, Any]:
    entry = stored.entry
    return {
        "id": stored.audit_id,
        "updated_at": entry.at,
        "changed_by": entry.changed_by or entry.actor,
        "changed_by_api_key": entry.actor_key_id or "",
        "action": entry.action,
        "table_name": TABLE_NAMES.get(entry.object_type, entry.object_type),
        "object_id": entry.object_id,
        "before_value": entry.before,
        "updated_values": entry.after,
        "actor": entry.actor,
        "client_address": entry.client_address,
        "object_type": entry.object_type,
        "sequence": stored.sequence,
        "hash": None if stored.hash is None else stored.hash.hex(),
    }
