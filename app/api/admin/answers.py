"""The JSON of an answer: exact amounts, times in UTC with Z, and a ``request-id`` on each."""

from typing import Any

import msgspec
from litestar import Response

from app.base.ids import new_id
from app.base.money import NanoUSD, format_usd


def answer(content: object) -> Response[bytes]:
    """A 200 with ``content`` as JSON."""
    body = msgspec.json.encode(content)
    return Response(body, status_code=200, headers={"request-id": new_id("req")}, media_type="application/json")


def number(amount: NanoUSD) -> msgspec.Raw:
    """Dollars as a JSON number with every digit that there is."""
    return msgspec.Raw(format_usd(amount).encode())


def optional_number(amount: NanoUSD | None) -> Any:  # noqa: ANN401  a JSON number or null
    return None if amount is None else number(amount)
