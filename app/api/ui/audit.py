"""The pages of the audit: who changed what, one change with its before and after, and whether the chain holds."""

from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.actor import MASTER_ACTOR
from app.admin.audit import AuditTrail
from app.admin.naming import Naming
from app.admin.users import Users
from app.api.ui.access import Pages
from app.api.ui.audit_words import ACTIONS, KINDS, is_known, kind_of, words_of
from app.api.ui.differences import differences
from app.api.ui.lists import page_of, read_listing, read_text
from app.storage.postgres.audit import AuditFilter, StoredEntry
from app.storage.postgres.users import UserFilter

AnyRequest = Request[Any, Any, Any]
_PAGE = 50
MOST_CHECKED = 20_000
"""Rows of the chain that a page checks, the latest; ``keyhouse audit verify`` checks all."""


class AuditPages(Controller):
    """On the service of ``/audit``, with the same action."""

    include_in_schema = False

    @get("/ui/audit")
    async def list_all(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        audit_trail: NamedDependency[AuditTrail],
        users: NamedDependency[Users],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "audit.read")
        listing = read_listing(
            request, filters={"who": None, "action": None, "kind": tuple(KINDS), "from": None, "to": None}
        )  # fmt: skip
        until = _day(listing.chosen("to"))
        wanted = AuditFilter(
            since=_day(listing.chosen("from")),
            until=None if until is None else until + timedelta(days=1),
            actor=await _actor(users, listing.chosen("who")),
            action=listing.chosen("action") or None,
            object_type=listing.chosen("kind") or None,
            object_id=listing.search or None,
        )
        found, total = await audit_trail.list(wanted, listing.number, _PAGE)
        values: dict[str, Any] = {"found": found, **page_of(listing, total, _PAGE)}
        values |= {
            "names": await _names(naming, found),
            "kinds": KINDS,
            "actions": ACTIONS,
            "master": MASTER_ACTOR,
            "verdict": None,
        }
        values |= {"most_checked": MOST_CHECKED, "words_of": words_of, "kind_of": kind_of, "is_known": is_known}
        if read_text(request, "verify") == "1":
            values["verdict"] = await audit_trail.verify(MOST_CHECKED)
        return pages.show(request, "audit.html", person, **values)

    @get("/ui/audit/{audit_id:str}")
    async def one(
        self,
        request: AnyRequest,
        audit_id: FromPath[str],
        pages: NamedDependency[Pages],
        audit_trail: NamedDependency[AuditTrail],
        naming: NamedDependency[Naming],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "audit.read")
        stored = await audit_trail.get(audit_id.replace("\0", ""))
        rows = differences(stored.entry.before, stored.entry.after)
        values: dict[str, Any] = {"stored": stored, "names": await _names(naming, [stored]), "master": MASTER_ACTOR}
        values |= {"words_of": words_of, "kind_of": kind_of}
        values |= {"changed": [row for row in rows if row.is_change]}
        values |= {"same": [row for row in rows if not row.is_change and row.after is not None]}
        return pages.show(request, "audit_entry.html", person, **values)


async def _actor(users: Users, who: str) -> str | None:
    """A user id, or whose e-mail address was typed; what nobody has is nobody's."""
    if "@" not in who:
        return who or None
    found, _ = await users.list(UserFilter(email_part=who), 1, 1)
    return found[0].user.user_id if found else who


async def _names(naming: Naming, found: list[StoredEntry]) -> dict[str, str]:
    actors = await naming.names("user", {stored.entry.actor for stored in found})
    things = {stored.entry.object_id for stored in found}
    found_names: dict[str, str] = {}
    for dimension in ("organization", "team", "user", "key"):
        found_names |= await naming.names(dimension, things)
    for stored in found:
        said = stored.entry.after or stored.entry.before or {}
        if isinstance(said.get("model_name"), str):
            found_names[stored.entry.object_id] = said["model_name"]
    return found_names | dict(actors)


def _day(text: str) -> datetime | None:
    """The beginning of a day of UTC; what is none narrows nothing."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return datetime.combine(found, time(), UTC) if MINYEAR < found.year < MAXYEAR else None
