"""Reports as files for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response

from app.base.csv_cells import harmless
from app.base.ids import new_id


def render_csv(
    head: Sequence[str], rows: Iterable[Mapping[str, Any]], cursor: str | None, filename: str
) -> Response[bytes]:
    """Amounts as they stand in JSON; the next cursor is in the header ``x-next-cursor``."""
    page = io.StringIO()
    writer = csv.writer(page)
    writer.writerow(head)
    writer.writerows([[_cell(row[name]) for name in head] for row in rows])
    headers = {"request-id": new_id("req"), "content-disposition": f'attachment; filename="{filename}"'}
    if cursor is not None:
        headers["x-next-cursor"] = cursor
    return Response(page.getvalue().encode(), status_code=200, headers=headers, media_type="text/csv; charset=utf-8")


def _cell(value: object) -> object:
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return harmless(value) if isinstance(value, str) else "" if value is None else value
