"""What the requests of all levels have in common: budget and limit fields, members, ids, and the page of a list."""

from collections.abc import Collection

import msgspec

from app.admin.budget_terms import BudgetTerms
from app.admin.memberships import Member
from app.api.admin import fields
from app.api.admin.budget_fields import BUDGET
from app.api.admin.fields import Body, Readers, is_null, read_terms
from app.api.admin.queries import Query, read_number
from app.base.errors import Unprocessable
from app.domain.email_addresses import LONGEST_EMAIL

LARGEST_PAGE = 1_000
LAST_PAGE = 1_000_000


def read_budget(body: Body, readers: Readers = BUDGET) -> BudgetTerms:
    return BudgetTerms(**read_terms(body, readers))


def refuse_spend(body: Body) -> None:
    """Raises Unprocessable for a ``spend`` that is not 0."""
    raw = body.get("spend", b"null")
    if not is_null(raw) and fields.read_amount("spend", raw) != 0:
        raise Unprocessable('"spend" is the sum of the receipts and cannot be set', param="spend")


def read_optional(body: Body, name: str) -> str | None:
    raw = body.get(name, b"null")
    return None if is_null(raw) else fields.read_text(name, raw)


def require_text(body: Body, name: str, hint: str) -> str:
    """Raises Unprocessable when the field is missing; ``hint`` says where ids are found."""
    text = read_optional(body, name)
    if text is None:
        raise Unprocessable(f'"{name}" is missing; {hint}', param=name)
    return text


def require_texts(body: Body, name: str, hint: str) -> tuple[str, ...]:
    """One or more. Raises Unprocessable."""
    raw = body.get(name, b"null")
    texts = () if is_null(raw) else fields.read_texts(name, raw)
    if not texts:
        raise Unprocessable(f'"{name}" is missing: a list of ids; {hint}', param=name)
    return texts


def read_email(name: str, raw: bytes) -> str:
    """Something, an @ and something: whether it is an address only a letter to it can tell."""
    text = fields.read_text(name, raw)
    local, _, host = text.rpartition("@")
    if not local or not host or len(text) > LONGEST_EMAIL or any(sign.isspace() for sign in text):
        raise Unprocessable(f'"{name}" is "{text}"; give an address such as "ada@example.com"', param=name)
    return text


def read_role(name: str, raw: bytes, roles: Collection[str]) -> str:
    role = fields.read_text(name, raw)
    if role not in roles:
        raise Unprocessable(f'"{name}" is "{role}"; give one of {", ".join(roles)}', param=name)
    return role


def read_member(body: Body, roles: Collection[str]) -> Member:
    """A user as a member: ``user_id`` or ``user_email``, and ``role``. Raises Unprocessable."""
    email, role = body.get("user_email", b"null"), body.get("role", b"null")
    member = Member(
        user_id=read_optional(body, "user_id"),
        user_email=None if is_null(email) else read_email("user_email", email),
        role=None if is_null(role) else read_role("role", role, roles),
    )
    if member.user_id is None and member.user_email is None:
        raise Unprocessable('name the user: "user_id" or "user_email" is missing', param="user_id")
    return member


def read_members(name: str, raw: bytes, roles: Collection[str]) -> tuple[Member, ...]:
    """One member or a list of them, each with its role. Raises Unprocessable."""
    try:
        entries = msgspec.json.decode(raw, type=list[dict[str, msgspec.Raw]] | dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unprocessable(
            f'"{name}" must be {{"user_id": "…", "role": "{next(iter(roles))}"}}, or a list of such', param=name
        ) from error
    listed = entries if isinstance(entries, list) else [entries]
    if not listed or len(listed) > fields.MOST_ENTRIES:
        raise Unprocessable(f'"{name}" has {len(listed)} entries; give 1 to {fields.MOST_ENTRIES}', param=name)
    members = []
    for entry in listed:
        body = {key: bytes(value) for key, value in entry.items()}
        fields.check_names(body, ("user_id", "user_email", "role"), ())
        members.append(read_member(body, roles))
    return tuple(members)


def read_page(query: Query, default_size: int) -> tuple[int, int]:
    """Number and size of the page asked for: ``page`` counts from 1, ``page_size`` is also called ``size``."""
    size_name = "size" if "size" in query and "page_size" not in query else "page_size"
    return read_number(query, "page", 1, LAST_PAGE), read_number(query, size_name, default_size, LARGEST_PAGE)


PAGE = ("page", "page_size", "size")
