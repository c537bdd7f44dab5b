"""What the address of a list asks for: whatever makes no sense there is as if it were not there."""

from typing import Any

from litestar import Request

LAST_PAGE = 100_000
LONGEST_SEARCH = 200


def read_text(request: Request[Any, Any, Any], name: str) -> str:
    return str(request.query_params.get(name, "")).strip().replace("\0", "")[:LONGEST_SEARCH]


def read_page_number(request: Request[Any, Any, Any]) -> int:
    """Counted from 1."""
    asked = read_text(request, "page")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= len(str(LAST_PAGE)) else 1
    return min(max(number, 1), LAST_PAGE)
