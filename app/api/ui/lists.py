"""What the address of a list asks for: whatever makes no sense there is as if it were not there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from litestar import Request

from app.api.admin.fields import LONGEST_TEXT
from app.base.errors import GatewayError

LAST_PAGE = 100_000
LONGEST_SEARCH = 200


class BeyondLastPage(GatewayError):
    """Of a list that has become shorter: leads to its last page; no error that anybody sees."""

    status = 404

    def __init__(self, address: str) -> None:
        super().__init__("this list has no such page")
        self.address = address


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list, as it was asked for: searched by ``q``, narrowed by ``filters``, ordered by a column. What a
    list does not have (a search, an order) stays empty. A template makes every link of the list from it."""

    path: str
    usual_sort: str = ""
    search: str = ""
    filters: Mapping[str, str] | None = None
    sort: str = ""
    descending: bool = True
    number: int = 1

    def address(self, **changes: object) -> str:
        """Of the same list with something else; what is as it is anyway is left out."""
        asked = {"q": self.search, **(self.filters or {}), "sort": self.sort, "page": self.number}
        asked |= {"order": "desc" if self.descending else "asc"} | changes
        plain = {"sort": self.usual_sort, "order": "desc", "page": 1}
        merged = {name: value for name, value in asked.items() if value != plain.get(name, "")}
        return f"{self.path}?{urlencode(merged)}" if merged else self.path

    def sorted_by(self, column: str) -> str:
        order = "asc" if self.sort == column and self.descending else "desc"
        return self.address(sort=column, order=order, page=1)

    def chosen(self, name: str) -> str:
        """The value of a filter; empty where it narrows nothing."""
        return (self.filters or {}).get(name, "")

    @property
    def is_narrow(self) -> bool:
        """Whether more might be found without what was asked for."""
        return bool(self.search or any((self.filters or {}).values()) or self.number > 1)


def read_listing(
    request: Request[Any, Any, Any],
    *,
    sorts: Collection[str] = (),
    usual_sort: str = "",
    filters: Mapping[str, Collection[str] | None] | None = None,
) -> Listing:
    """``filters`` names the parameters that narrow the list, each with its choices, or None for any text."""
    narrowed = {}
    for name, choices in (filters or {}).items():
        value = read_text(request, name)
        narrowed[name] = value if choices is None or value in choices else ""
    sort = read_text(request, "sort")
    return Listing(
        request.scope["path"],
        usual_sort,
        read_text(request, "q"),
        narrowed,
        sort if sort in sorts else usual_sort,
        read_text(request, "order") != "asc",
        read_page_number(request),
    )


def page_of(listing: Listing, total: int, page_size: int) -> dict[str, Any]:
    """What a template needs for its pager, by the names that all lists have for it. Raises BeyondLastPage."""
    last = last_page(total, page_size)
    if listing.number > last:
        raise BeyondLastPage(listing.address(page=last))
    return {"listing": listing, "total": total, "last": last}


def last_page(total: int, page_size: int) -> int:
    return max(1, -(-total // page_size))


def read_text(request: Request[Any, Any, Any], name: str) -> str:
    return str(request.query_params.get(name, "")).strip().replace("\0", "")[:LONGEST_SEARCH]


def read_id(request: Request[Any, Any, Any], name: str) -> str:
    """Of an id or a name, blanks and all: one character more than there may be, so that what is too long is none."""
    return str(request.query_params.get(name, "")).replace("\0", "")[: LONGEST_TEXT + 1]


def read_page_number(request: Request[Any, Any, Any]) -> int:
    """Counted from 1."""
    asked = read_text(request, "page")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= len(str(LAST_PAGE)) else 1
    return min(max(number, 1), LAST_PAGE)
